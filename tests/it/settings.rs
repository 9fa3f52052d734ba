//! Settings change for whoever saw them as they were, go away for good, and a name that is used again meets nothing of
//! what bore it before.

use std::time::{Duration, Instant};

use harness::behaviour::Behaviour;
use harness::door::{Door, Webhook, event, linearizable};
use harness::eventually::eventually;
use harness::load::Load;
use pushrail_api::{failure, v1};
use tonic::{Code, Status};

use crate::replicas::same_state_everywhere;
use crate::world::{SOON, World};

fn describe(version: u64, description: &str) -> v1::UpdateDestinationRequest {
    v1::UpdateDestinationRequest {
        tenant: "acme".to_owned(),
        destination: "orders".to_owned(),
        version,
        description: Some(description.to_owned()),
        ..v1::UpdateDestinationRequest::default()
    }
}

async fn delete(door: &Door, destination: &str, request_id: &str) -> Result<(), Status> {
    let request = v1::DeleteDestinationRequest {
        tenant: "acme".to_owned(),
        destination: destination.to_owned(),
        version: 0,
        request_id: request_id.to_owned(),
    };
    door.destinations().delete(request).await.map(drop)
}

fn reason(status: &Status) -> String {
    failure::reason(status).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_updates_that_race_through_all_nodes_exactly_one_wins() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let before = world.door().destination("acme", "orders").await.unwrap();

    let mut racing = Vec::new();
    for number in 0..12 {
        let door = world.cluster.doors()[number % 3].clone();
        racing.push(tokio::spawn(async move {
            let mut destinations = door.destinations();
            destinations.update(describe(1, &format!("racer {number}"))).await
        }));
    }
    let mut won = Vec::new();
    for racer in racing {
        match racer.await.unwrap() {
            Ok(answer) => won.push(answer.into_inner().destination.unwrap()),
            Err(status) => {
                assert_eq!(status.code(), Code::Aborted, "{status}");
                assert_eq!(reason(&status), "VERSION_MOVED");
            }
        }
    }

    assert_eq!(before.version, 1);
    let [winner] = won.as_slice() else {
        panic!("{} won", won.len());
    };
    let after = world.door().destination("acme", "orders").await.unwrap();
    assert_eq!((after.version, &after.description), (2, &winner.description));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_acknowledged_holds_for_every_attempt_that_starts() {
    let mut world = World::three().await;
    let owner = world.cluster.follower().await;
    let hook = world
        .webhook_owned_by(owner, "acme", Behaviour::default(), |hook| hook.concurrency = 1)
        .await;
    let plan = harness::load::Plan {
        callers: 1,
        batch: 4,
        ..World::plan("moved", std::slice::from_ref(&hook), usize::MAX)
    };
    let load = Load::start(world.cluster.doors(), plan);
    eventually("it is delivered to", SOON, || async {
        let count = world.receiver.count(&hook.path);
        (count > 20).then_some(()).ok_or(format!("{count} requests"))
    })
    .await;
    let door = world.cluster.door(world.cluster.leader().await);

    let request = v1::UpdateDestinationRequest {
        tenant: hook.tenant.clone(),
        destination: hook.destination.clone(),
        version: 1,
        settings: Some(format!(r#"{{"url":"{}"}}"#, world.receiver.url("/acme/moved"))),
        ..v1::UpdateDestinationRequest::default()
    };
    door.destinations().update(request).await.unwrap();
    let acknowledged = Instant::now();
    eventually("it is delivered to its new place", SOON, || async {
        let count = world.receiver.count("/acme/moved");
        (count > 20).then_some(()).ok_or(format!("{count} requests"))
    })
    .await;
    load.stop(SOON).await;

    let requests = world.receiver.requests_to(&hook.path);
    let late = requests
        .iter()
        .filter(|request| request.at > acknowledged)
        .count();
    // One may have been on its way.
    assert!(
        late <= 1,
        "{late} requests to the old place after the acknowledgement"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_under_load_goes_on_after_its_leader_was_killed() {
    let mut world = World::three().await;
    // What fails waits for an hour: all of it is open when the destination goes.
    let hook = world
        .webhook_with("acme", "orders", Behaviour::always(500), |hook| {
            hook.waits = vec![Duration::from_secs(3600); 3];
        })
        .await;
    let other = world.webhook("acme", "other", Behaviour::default()).await;
    let load = Load::start(
        world.cluster.doors(),
        World::plan("owed", std::slice::from_ref(&hook), 4000),
    );
    let owed = load.finish(SOON).await.unwrap();
    let leader = world.cluster.leader().await;
    let live = Load::start(
        world.cluster.doors(),
        World::plan("live", std::slice::from_ref(&other), usize::MAX),
    );

    delete(&world.cluster.door(leader), "orders", "gone")
        .await
        .unwrap();
    let acknowledged = Instant::now();
    world.cluster.kill(leader);
    let door = world.door();
    eventually("all that was owed is cancelled", SOON, || async {
        let found = cancelled(&door).await.map_err(|status| status.to_string())?;
        match found.as_slice() {
            [count] if *count > 0 => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    let live = live.stop(SOON).await;
    world.cluster.restart(leader);
    world.cluster.ready().await;

    // A repeat is harmless, through whichever node, and another request finds nothing.
    for door in world.cluster.doors() {
        delete(&door, "orders", "gone").await.unwrap();
        let again = delete(&door, "orders", "another").await.unwrap_err();
        assert_eq!(reason(&again), "DESTINATION_NOT_FOUND");
    }
    let late = world.receiver.requests_to(&hook.path);
    let late = late.iter().filter(|request| request.at > acknowledged).count();
    assert!(
        late <= 16,
        "{late} requests after the acknowledgement, of 16 at a time at most"
    );
    for one in owed.iter().step_by(97) {
        let story = world
            .door()
            .explain(&one.tenant, &one.event, linearizable())
            .await
            .unwrap();
        let delivery = story.deliveries[0].delivery.as_ref().unwrap();
        assert_eq!(delivery.state(), v1::DeliveryState::Cancelled, "{}", one.event);
        assert_eq!(
            story.decisions[0].pattern, "orders.*",
            "the route is told as it was"
        );
    }
    world.endpoints.retain(|endpoint| endpoint.destination == "other");
    let audit = world.audit(&world.door(), &live).await;
    audit.assert_clean();
    assert_eq!(audit.delivered, live.len());
    same_state_everywhere(&mut world.cluster).await;
}

/// How many deliveries each removal on record has ended.
async fn cancelled(door: &Door) -> Result<Vec<u64>, Status> {
    let request = v1::ListChangesRequest {
        tenant: "acme".to_owned(),
        destination: "orders".to_owned(),
        consistency: Some(linearizable()),
        ..v1::ListChangesRequest::default()
    };
    let changes = door.changes().list(request).await?.into_inner().changes;
    Ok(changes
        .iter()
        .filter(|change| change.fact() == v1::ChangeFact::DeliveriesCancelled)
        .map(|change| change.deliveries_touched)
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_used_again_meets_nothing_of_what_bore_it_before() {
    let mut world = World::three().await;
    let hook = world
        .webhook_with("acme", "orders", Behaviour::first(1, 400), |_| {})
        .await;
    let door = world.door();
    let before = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    eventually("it is dead", SOON, || async {
        let letters = door.dead_letters_of("acme", "orders").await;
        let count = letters.map_err(|status| status.to_string())?.len();
        (count == 1).then_some(()).ok_or(format!("{count} dead letters"))
    })
    .await;

    delete(&door, "orders", "gone").await.unwrap();
    let repeated = door
        .create_webhook(&Webhook::new("acme", "orders", &world.receiver.url(&hook.path)))
        .await
        .unwrap_err();
    let request = v1::CreateDestinationRequest {
        tenant: "acme".to_owned(),
        destination: "orders".to_owned(),
        kind: "webhook".to_owned(),
        settings: format!(r#"{{"url":"{}"}}"#, world.receiver.url("/acme/anew")),
        request_id: "anew".to_owned(),
        ..v1::CreateDestinationRequest::default()
    };
    let made = door.destinations().create(request).await.unwrap().into_inner();
    let unrouted = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    door.routes()
        .create(v1::CreateRouteRequest {
            tenant: "acme".to_owned(),
            pattern: "orders.*".to_owned(),
            destination: "orders".to_owned(),
            request_id: "anew".to_owned(),
            ..v1::CreateRouteRequest::default()
        })
        .await
        .unwrap();
    let after = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();

    assert_eq!(reason(&repeated), "REMOVED_SINCE", "{repeated}");
    let destination = made.destination.unwrap();
    assert_eq!(destination.counts.unwrap().dead, 0);
    assert!(destination.version > 2, "versions go on: {}", destination.version);
    let stale = door.destinations().update(describe(1, "late")).await.unwrap_err();
    assert_eq!(
        (stale.code(), reason(&stale)),
        (Code::Aborted, "VERSION_MOVED".to_owned())
    );
    assert_eq!(unrouted.deliveries, 0, "its routes went with it");
    eventually("the new one gets what is for it", SOON, || async {
        let taken = world.receiver.taken("/acme/anew");
        (taken.len() == 1).then_some(()).ok_or(format!("{taken:?}"))
    })
    .await;
    assert!(world.receiver.taken("/acme/anew").contains_key(&after.event));
    assert_eq!(door.dead_letters_of("acme", "orders").await.unwrap(), []);
    delete(&door, "orders", "gone").await.unwrap();
    assert!(
        door.destination("acme", "orders").await.is_ok(),
        "a late repeat removes nothing"
    );
    let story = door.explain("acme", &before.event, linearizable()).await.unwrap();
    let step = story.deliveries[0].next.as_ref().unwrap().step.as_ref();
    assert!(
        matches!(step, Some(v1::next_step::Step::Cancelled(_))),
        "{step:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_goes_only_when_it_is_empty_and_its_name_begins_anew() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let door = world.door();
    let published = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    world.arrived(&hook, 1).await;
    let removal = v1::DeleteTenantRequest {
        tenant: "acme".to_owned(),
        version: 0,
        request_id: "close".to_owned(),
    };

    let refused = door.tenants().delete(removal.clone()).await.unwrap_err();
    delete(&door, "orders", "gone").await.unwrap();
    door.tenants().delete(removal.clone()).await.unwrap();
    door.tenants().delete(removal.clone()).await.unwrap();

    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::FailedPrecondition, "NOT_EMPTY".to_owned())
    );
    let nobody = door
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap_err();
    assert_eq!(reason(&nobody), "TENANT_NOT_FOUND");
    let request = v1::CreateTenantRequest {
        tenant: "acme".to_owned(),
        request_id: "again".to_owned(),
        ..v1::CreateTenantRequest::default()
    };
    door.tenants().create(request).await.unwrap();
    let foreign = door
        .explain("acme", &published.event, linearizable())
        .await
        .unwrap_err();
    assert_eq!(
        reason(&foreign),
        "EVENT_NOT_FOUND",
        "what was published before is nobody's"
    );
    door.tenants().delete(removal).await.unwrap();
    assert!(
        door.publish(event("acme", "orders.paid", "{}")).await.is_ok(),
        "a late repeat removes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_changes_or_goes_changes_what_is_published_after_it() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let door = world.door();
    let routes = door
        .routes()
        .list(v1::ListRoutesRequest {
            tenant: "acme".to_owned(),
            consistency: Some(linearizable()),
            ..v1::ListRoutesRequest::default()
        })
        .await
        .unwrap()
        .into_inner()
        .routes;
    let route = routes[0].route.clone();
    let before = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    let update = v1::UpdateRouteRequest {
        tenant: "acme".to_owned(),
        route: route.clone(),
        version: 1,
        pattern: Some("invoices.*".to_owned()),
        ..v1::UpdateRouteRequest::default()
    };

    let updated = door.routes().update(update.clone()).await.unwrap().into_inner();
    let stale = door.routes().update(update).await.unwrap_err();
    let other = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    let matching = door.publish(event("acme", "invoices.sent", "{}")).await.unwrap();
    let removal = v1::DeleteRouteRequest {
        tenant: "acme".to_owned(),
        route,
        version: 2,
        request_id: "r1".to_owned(),
    };
    door.routes().delete(removal.clone()).await.unwrap();
    door.routes().delete(removal).await.unwrap();
    let after = door.publish(event("acme", "invoices.sent", "{}")).await.unwrap();

    assert_eq!(updated.route.unwrap().version, 2);
    assert_eq!(reason(&stale), "VERSION_MOVED");
    let deliveries = [&before, &other, &matching, &after].map(|receipt| receipt.deliveries);
    assert_eq!(deliveries, [1, 0, 1, 0]);
    let taken = world.arrived(&hook, 2).await;
    assert!(taken.contains_key(&before.event) && taken.contains_key(&matching.event));
    let story = door.explain("acme", &before.event, linearizable()).await.unwrap();
    assert_eq!(story.decisions[0].pattern, "orders.*", "as it was decided");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_repeat_undoes_nothing_of_what_came_in_between() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let doors = world.cluster.doors();
    let create = |request_id: &str| v1::CreateDestinationRequest {
        tenant: "acme".to_owned(),
        destination: "orders".to_owned(),
        kind: "webhook".to_owned(),
        settings: r#"{"url":"http://127.0.0.1:9/"}"#.to_owned(),
        request_id: request_id.to_owned(),
        ..v1::CreateDestinationRequest::default()
    };
    let pause = v1::PauseDestinationRequest {
        tenant: "acme".to_owned(),
        destination: "orders".to_owned(),
        request_id: "p1".to_owned(),
    };
    doors[0].destinations().pause(pause.clone()).await.unwrap();
    doors[1].resume("acme", "orders").await.unwrap();

    let again = doors[2].destinations().pause(pause.clone()).await.unwrap();
    for life in ["second", "third"] {
        delete(&doors[0], "orders", &format!("before-{life}"))
            .await
            .unwrap();
        let made = doors[1].destinations().create(create(life)).await.unwrap();
        assert_ne!(made.into_inner().credential, "");
    }
    delete(&doors[2], "orders", "before-second").await.unwrap();
    let paused = doors[1].destinations().pause(pause).await.unwrap_err();
    let made = doors[0]
        .destinations()
        .create(create("second"))
        .await
        .unwrap_err();
    let update = v1::UpdateDestinationRequest {
        request_id: "second".to_owned(),
        ..describe(1, "late")
    };
    let updated = doors[0].destinations().update(update).await.unwrap_err();
    let other = v1::CreateDestinationRequest {
        description: "another".to_owned(),
        ..create("third")
    };
    let other = doors[2].destinations().create(other).await.unwrap_err();

    let again = again.into_inner().destination.unwrap();
    assert_eq!(again.state(), v1::DestinationState::Active);
    for late in [paused, made] {
        assert_eq!(reason(&late), "REMOVED_SINCE", "{late}");
    }
    assert_eq!(reason(&updated), "VERSION_MOVED");
    assert_eq!(reason(&other), "ALREADY_EXISTS", "{other}");
    let stands = doors[0].destination("acme", "orders").await.unwrap();
    assert_eq!(stands.state(), v1::DestinationState::Active);
    let shown = doors[1]
        .destinations()
        .create(create("third"))
        .await
        .unwrap()
        .into_inner();
    assert_ne!(
        shown.credential, "",
        "the repeat of the one that made it is shown its secret"
    );
    same_state_everywhere(&mut world.cluster).await;
}
