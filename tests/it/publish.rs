//! An event can be published through any node, and an acknowledgement says what became of exactly that event.

use std::time::{Duration, Instant};

use harness::audit::settled;
use harness::behaviour::Behaviour;
use harness::door::{event, linearizable};
use harness::eventually::eventually;
use pushrail_api::failure::{accepted, reason, retry_after, violations};
use pushrail_api::{Accepted, v1};
use tonic::Code;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_published_through_any_node_reaches_its_destination_once() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;

    let mut published = Vec::new();
    for door in world.cluster.doors() {
        for number in 0..10 {
            let payload = format!(r#"{{"node":{},"number":{number}}}"#, door.node());
            let receipt = door
                .publish(event("acme", "orders.paid", payload.clone()))
                .await
                .unwrap();
            published.push((door.node(), receipt, payload));
        }
    }

    let taken = world.arrived(&hook, published.len()).await;
    assert_eq!(taken.len(), 30);
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
    let requests = world.receiver.requests_to(&hook.path);
    for (node, receipt, payload) in published {
        assert_eq!((receipt.deliveries, receipt.duplicate), (1, false));
        let request = requests
            .iter()
            .find(|request| request.webhook_id == receipt.event)
            .unwrap();
        assert_eq!(request.body, payload.as_bytes());
        let story = world
            .door()
            .explain("acme", &receipt.event, linearizable())
            .await
            .unwrap();
        assert_eq!(story.event.unwrap().door_node, node);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_a_batch_has_its_own_result_in_its_place() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let follower = world.cluster.follower().await;
    let too_large = vec![b'x'; 256 * 1024 + 1];
    let events = vec![
        event("acme", "orders.paid", "{}"),
        event("nobody", "orders.paid", "{}"),
        event("acme", "orders..paid", "{}"),
        event("acme", "orders.paid", too_large),
        event("acme", "else.where", "{}"),
        event("acme", "orders.sent", vec![b'y'; 256 * 1024]),
    ];

    let request = v1::PublishBatchRequest { events };
    let response = world
        .cluster
        .door(follower)
        .publisher()
        .publish_batch(request)
        .await
        .unwrap();

    let results = response.into_inner().results;
    assert_eq!(results.len(), 6);
    let deliveries = |at: usize| match &results[at].result {
        Some(v1::publish_result::Result::Accepted(receipt)) => receipt.deliveries,
        other => panic!("result {at}: {other:?}"),
    };
    let refused = |at: usize| match &results[at].result {
        Some(v1::publish_result::Result::Error(error)) => pushrail_api::failure::from_message(error),
        other => panic!("result {at}: {other:?}"),
    };
    assert_eq!([deliveries(0), deliveries(4), deliveries(5)], [1, 0, 1]);
    assert_eq!(refused(1).code(), Code::NotFound);
    assert_eq!(refused(2).code(), Code::InvalidArgument);
    assert_eq!(refused(3).code(), Code::InvalidArgument);
    assert!(
        violations(&refused(2))
            .iter()
            .any(|wrong| wrong.field.ends_with("event_type")),
        "{:?}",
        refused(2)
    );
    assert!(
        violations(&refused(3))
            .iter()
            .any(|wrong| wrong.field.ends_with("payload")),
        "{:?}",
        refused(3)
    );
    let taken = world.arrived(&hook, 2).await;
    assert_eq!(taken.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_beyond_the_limits_is_refused_whole() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let publish = |events: Vec<v1::NewEvent>| {
        let mut publisher = world.door().publisher();
        async move { publisher.publish_batch(v1::PublishBatchRequest { events }).await }
    };

    let none = publish(Vec::new()).await.unwrap_err();
    let many = publish(vec![event("acme", "orders.paid", "{}"); 501])
        .await
        .unwrap_err();
    let heavy = publish(vec![event("acme", "orders.paid", vec![b'x'; 250_000]); 20])
        .await
        .unwrap_err();
    let fitting = publish(vec![event("acme", "orders.paid", "{}"); 500])
        .await
        .unwrap()
        .into_inner();

    assert_eq!(none.code(), Code::InvalidArgument);
    assert_eq!(many.code(), Code::InvalidArgument);
    assert!(
        matches!(heavy.code(), Code::InvalidArgument | Code::OutOfRange),
        "{heavy:?}"
    );
    assert_eq!(fitting.results.len(), 500);
    let taken = world.arrived(&hook, 500).await;
    assert_eq!(taken.len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_route_names_is_kept_and_says_why_it_went_nowhere() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;

    let receipt = world
        .door()
        .publish(event("acme", "invoices.made", "{}"))
        .await
        .unwrap();

    let story = world
        .door()
        .explain("acme", &receipt.event, linearizable())
        .await
        .unwrap();
    assert_eq!(receipt.deliveries, 0);
    assert_eq!(story.deliveries.len(), 0);
    assert_eq!(story.decisions.len(), 1);
    assert_eq!(story.decisions[0].reason(), v1::DecisionReason::TypeDiffers);
    assert_eq!(story.decisions[0].pattern, "orders.*");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_counts_from_its_acknowledgement_on_through_every_node() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let doors = world.cluster.doors();

    for round in 0..10 {
        let (here, there) = (&doors[round % 3], &doors[(round + 1) % 3]);
        here.create_route("acme", &format!("round-{round}.*"), "orders")
            .await
            .unwrap();

        let receipt = there
            .publish(event("acme", &format!("round-{round}.paid"), "{}"))
            .await
            .unwrap();

        assert_eq!(receipt.deliveries, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_publishing_is_refused_in_time_and_what_is_said_of_it_is_true() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let alone = world.cluster.follower().await;
    let others: Vec<u64> = world
        .cluster
        .ids()
        .into_iter()
        .filter(|id| *id != alone)
        .collect();
    for other in &others {
        world.cluster.kill(*other);
    }

    // Without keys, so that nothing folds a repeat: what the node says of acceptance must hold by itself.
    let door = world.cluster.door(alone);
    let asked = Instant::now();
    let calls = (0..40).map(|number| door.publish(event("acme", "orders.paid", format!("{number}"))));
    let answers = futures::future::join_all(calls).await;
    let took = asked.elapsed();
    for other in others {
        world.cluster.restart(other);
    }
    world.cluster.ready().await;
    let marker = door
        .publish(event("acme", "orders.sent", "marker"))
        .await
        .unwrap();
    eventually("the marker arrives", SOON, || async {
        let taken = world.receiver.taken(&hook.path);
        taken
            .contains_key(&marker.event)
            .then_some(())
            .ok_or(format!("{taken:?}"))
    })
    .await;
    settled(&door, &world.endpoints, SOON).await.unwrap();

    assert!(took < Duration::from_millis(5500), "{took:?}");
    let requests = world.receiver.requests_to(&hook.path);
    for (number, answer) in answers.into_iter().enumerate() {
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert!(
            reason(&refused).is_some() && retry_after(&refused).is_some(),
            "{refused:?}"
        );
        let times = requests
            .iter()
            .filter(|request| request.body == number.to_string().as_bytes())
            .count();
        match accepted(&refused) {
            Some(Accepted::No) => {
                assert_eq!(times, 0, "event {number} was certainly not accepted, and arrived")
            }
            Some(Accepted::Unknown) => assert!(times <= 1, "event {number} arrived {times} times"),
            None => panic!("event {number}: nothing is said of acceptance: {refused:?}"),
        }
    }
}
