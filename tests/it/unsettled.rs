//! Settings without a majority: every call is answered in time, and what is said of acceptance is true.

use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, join_all};
use harness::behaviour::Behaviour;
use harness::door::{Door, Webhook, linearizable};
use pushrail_api::failure::{accepted, reason};
use pushrail_api::{Accepted, v1};
use tonic::{Code, Status};

use crate::world::World;

type Call = BoxFuture<'static, Result<(), Status>>;

/// One of each sort, each upon an object of its own.
fn calls(door: &Door) -> Vec<(&'static str, Call)> {
    let name = |number: usize| format!("orders-{number}");
    let (tenants, destinations) = (door.clone(), door.clone());
    let made = Webhook::new("acme", "made", "http://127.0.0.1:1/");
    let (paused, updated, deleted) = (door.clone(), door.clone(), door.clone());
    let routed = door.clone();
    let update = v1::UpdateDestinationRequest {
        tenant: "acme".to_owned(),
        destination: name(1),
        version: 1,
        description: Some("changed".to_owned()),
        ..v1::UpdateDestinationRequest::default()
    };
    let delete = v1::DeleteDestinationRequest {
        tenant: "acme".to_owned(),
        destination: name(2),
        version: 1,
        ..v1::DeleteDestinationRequest::default()
    };
    vec![
        (
            "create a tenant",
            async move { tenants.create_tenant("late").await }.boxed(),
        ),
        (
            "create a destination",
            async move { destinations.create_webhook(&made).await.map(drop) }.boxed(),
        ),
        (
            "create a route",
            async move { routed.create_route("acme", "late.*", "orders-0").await }.boxed(),
        ),
        (
            "pause",
            async move { paused.pause("acme", "orders-0").await.map(drop) }.boxed(),
        ),
        (
            "update",
            async move { updated.destinations().update(update).await.map(drop) }.boxed(),
        ),
        (
            "delete",
            async move { deleted.destinations().delete(delete).await.map(drop) }.boxed(),
        ),
    ]
}

/// Whether it happened.
async fn happened(door: &Door, what: &str) -> bool {
    let version = |name: &'static str| async move {
        let found = door.destination("acme", name).await;
        found.map(|destination| destination.version)
    };
    match what {
        "create a tenant" => {
            let request = v1::GetTenantRequest {
                tenant: "late".to_owned(),
                consistency: Some(linearizable()),
            };
            door.tenants().get(request).await.is_ok()
        }
        "create a destination" => version("made").await.is_ok(),
        "create a route" => {
            let request = v1::ListRoutesRequest {
                tenant: "acme".to_owned(),
                consistency: Some(linearizable()),
                ..v1::ListRoutesRequest::default()
            };
            let routes = door.routes().list(request).await.unwrap().into_inner().routes;
            routes.iter().any(|route| route.pattern == "late.*")
        }
        "pause" => version("orders-0").await.unwrap() > 1,
        "update" => version("orders-1").await.unwrap() > 1,
        "delete" => version("orders-2").await.is_err(),
        other => panic!("{other}"),
    }
}

/// Kills all but one, and asks that one for everything.
async fn left_alone(mut world: World, alone: u64) {
    for name in ["orders-0", "orders-1", "orders-2"] {
        world.webhook("acme", name, Behaviour::default()).await;
    }
    let others: Vec<u64> = world
        .cluster
        .ids()
        .into_iter()
        .filter(|id| *id != alone)
        .collect();
    for other in &others {
        world.cluster.kill(*other);
    }

    let door = world.cluster.door(alone);
    let answers = join_all(calls(&door).into_iter().map(|(what, call)| async move {
        let asked = Instant::now();
        (what, call.await, asked.elapsed())
    }));
    let answers = answers.await;
    for other in others {
        world.cluster.restart(other);
    }
    world.cluster.ready().await;

    for (what, answer, took) in answers {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{what}: {refused:?}");
        assert!(took < Duration::from_millis(5_500), "{what}: {took:?}");
        assert!(reason(&refused).is_some(), "{what}: {refused:?}");
        match accepted(&refused) {
            Some(Accepted::No) => assert!(!happened(&door, what).await, "{what}: {refused:?}"),
            Some(Accepted::Unknown) => {}
            None => panic!("{what}: nothing is said of acceptance: {refused:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_left_alone_refuses_settings_in_time_and_what_it_says_of_them_is_true() {
    let world = World::three().await;
    let alone = world.cluster.leader().await;

    left_alone(world, alone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_left_alone_refuses_settings_in_time_and_what_it_says_of_them_is_true() {
    let world = World::three().await;
    let alone = world.cluster.follower().await;

    left_alone(world, alone).await;
}
