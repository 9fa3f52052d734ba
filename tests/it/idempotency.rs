//! The same idempotency key, raced through two nodes: one event, one delivery, one id.

use harness::behaviour::Behaviour;
use harness::door::{Door, event};
use pushrail_api::failure::{accepted, reason};
use pushrail_api::{Accepted, v1};
use tonic::{Code, Status};

use crate::world::World;

fn keyed(tenant: &str, key: &str, payload: &str) -> v1::NewEvent {
    v1::NewEvent {
        idempotency_key: key.to_owned(),
        ..event(tenant, "orders.paid", payload)
    }
}

async fn race(doors: &[Door], key: &str) -> Vec<Result<v1::Receipt, Status>> {
    let calls = doors
        .iter()
        .map(|door| door.publish(keyed("acme", key, r#"{"same":true}"#)));
    futures::future::join_all(calls).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_raced_through_all_nodes_makes_one_event_and_one_delivery() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let doors = world.cluster.doors();

    let mut ids = Vec::new();
    for number in 0..100 {
        let answers: Vec<v1::Receipt> = race(&doors, &format!("order-{number}"))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();

        let first = answers.iter().filter(|receipt| !receipt.duplicate).count();
        assert_eq!(first, 1, "key {number}: {answers:?}");
        assert!(
            answers.iter().all(|receipt| receipt.event == answers[0].event),
            "key {number}: {answers:?}"
        );
        assert!(
            answers.iter().all(|receipt| receipt.deliveries == 1),
            "key {number}: {answers:?}"
        );
        ids.push(answers[0].event.clone());
    }

    let taken = world.arrived(&hook, 100).await;
    ids.sort_unstable();
    assert_eq!(taken.keys().collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_remembered_when_every_node_was_killed_in_between() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let first = world
        .door()
        .publish(keyed("acme", "order-1", "{}"))
        .await
        .unwrap();

    world.cluster.kill_all();
    for id in world.cluster.ids() {
        world.cluster.restart(id);
    }
    world.cluster.ready().await;
    let again = world
        .cluster
        .door(3)
        .publish(keyed("acme", "order-1", "{}"))
        .await
        .unwrap();
    let other = world
        .cluster
        .door(3)
        .publish(keyed("acme", "order-2", "{}"))
        .await
        .unwrap();

    assert_eq!(
        (again.event.as_str(), again.duplicate),
        (first.event.as_str(), true)
    );
    assert!(!other.duplicate);
    let taken = world.arrived(&hook, 2).await;
    assert!(
        taken.contains_key(&first.event) && taken.contains_key(&other.event),
        "{taken:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_with_other_content_is_refused_and_says_which_event_holds_it() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let first = world
        .cluster
        .door(1)
        .publish(keyed("acme", "order-1", r#"{"total":1}"#))
        .await
        .unwrap();

    let body = world
        .cluster
        .door(2)
        .publish(keyed("acme", "order-1", r#"{"total":2}"#))
        .await
        .unwrap_err();
    let event_type = v1::NewEvent {
        event_type: String::from("orders.sent"),
        ..keyed("acme", "order-1", r#"{"total":1}"#)
    };
    let event_type = world.cluster.door(3).publish(event_type).await.unwrap_err();
    let content_type = v1::NewEvent {
        content_type: String::from("text/plain"),
        ..keyed("acme", "order-1", r#"{"total":1}"#)
    };
    let content_type = world.cluster.door(3).publish(content_type).await.unwrap_err();

    for refused in [body, event_type, content_type] {
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
        assert_eq!(reason(&refused).as_deref(), Some("IDEMPOTENCY_KEY_CONFLICT"));
        assert_eq!(accepted(&refused), Some(Accepted::No));
    }
    let taken = world.arrived(&hook, 1).await;
    assert_eq!(taken.into_keys().collect::<Vec<_>>(), [first.event]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_tenant_s_own() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    world.webhook("globex", "orders", Behaviour::default()).await;

    let ours = world
        .cluster
        .door(1)
        .publish(keyed("acme", "order-1", "{}"))
        .await
        .unwrap();
    let theirs = world
        .cluster
        .door(2)
        .publish(keyed("globex", "order-1", "{\"other\":1}"))
        .await
        .unwrap();

    assert!(!ours.duplicate && !theirs.duplicate);
    assert_ne!(ours.event, theirs.event);
}
