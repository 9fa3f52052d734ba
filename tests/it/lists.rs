//! Lists: filters narrow them, pages neither lose nor repeat a row while others write, a token belongs to its filter,
//! and a filter that matches nothing is answered as fast as one that matches all.

use std::collections::BTreeSet;

use harness::audit::settled;
use harness::behaviour::{Answer, Behaviour};
use harness::door::{Door, event, linearizable};
use harness::load::Load;
use pushrail_api::v1;
use pushrail_api::v1::{AttemptOutcome, Cause, DeliveryState, Order};
use tonic::Code;

use crate::world::{SOON, World};

/// All pages of a list; how many rows each had.
async fn attempts(door: &Door, request: &v1::ListAttemptsRequest) -> (Vec<v1::Attempt>, Vec<usize>) {
    let mut request = request.clone();
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = door.attempts().list(request.clone()).await.unwrap().into_inner();
        sizes.push(page.attempts.len());
        rows.extend(page.attempts);
        if page.next_page_token.is_empty() {
            return (rows, sizes);
        }
        request.page_token = page.next_page_token;
    }
}

async fn deliveries(door: &Door, request: &v1::ListDeliveriesRequest) -> Vec<v1::Delivery> {
    let mut request = request.clone();
    let mut rows = Vec::new();
    loop {
        let page = door
            .deliveries()
            .list(request.clone())
            .await
            .unwrap()
            .into_inner();
        rows.extend(page.deliveries);
        if page.next_page_token.is_empty() {
            return rows;
        }
        request.page_token = page.next_page_token;
    }
}

fn of_acme() -> v1::ListAttemptsRequest {
    v1::ListAttemptsRequest {
        tenant: String::from("acme"),
        consistency: Some(linearizable()),
        ..Default::default()
    }
}

fn owed_by_acme() -> v1::ListDeliveriesRequest {
    v1::ListDeliveriesRequest {
        tenant: String::from("acme"),
        consistency: Some(linearizable()),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_and_deliveries_are_narrowed_by_every_filter() {
    let mut world = World::three().await;
    world
        .webhook(
            "acme",
            "orders",
            Behaviour::of(|seen| Answer::status([503, 200][seen.of_event.min(1)])),
        )
        .await;
    world.webhook("acme", "bills", Behaviour::always(401)).await;
    let door = world.door();
    let mut ids = Vec::new();
    for event_type in ["orders.paid", "orders.lost", "bills.paid"] {
        ids.push(door.publish(event("acme", event_type, "{}")).await.unwrap().event);
        settled(&door, &world.endpoints, SOON).await.unwrap();
    }

    // Five attempts: two at each order (503, then 200), one at the bill (401).
    let narrowed = async |change: fn(&mut v1::ListAttemptsRequest)| {
        let mut request = of_acme();
        change(&mut request);
        let (rows, _) = attempts(&door, &request).await;
        rows.iter()
            .map(|row| ids.iter().position(|id| *id == row.event).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(narrowed(|_| {}).await, [2, 1, 1, 0, 0]);
    assert_eq!(
        narrowed(|r| r.order = Order::OldestFirst.into()).await,
        [0, 0, 1, 1, 2]
    );
    assert_eq!(
        narrowed(|r| r.outcome = AttemptOutcome::Delivered.into()).await,
        [1, 0]
    );
    assert_eq!(
        narrowed(|r| r.outcome = AttemptOutcome::Failed.into()).await,
        [2, 1, 0]
    );
    assert_eq!(narrowed(|r| r.cause = Cause::Auth.into()).await, [2]);
    assert_eq!(narrowed(|r| r.status = 503).await, [1, 0]);
    assert_eq!(
        narrowed(|r| r.event_type = String::from("orders.lost")).await,
        [1, 1]
    );
    assert_eq!(narrowed(|r| r.destination = String::from("bills")).await, [2]);
    assert_eq!(narrowed(|r| r.page_size = 2).await, [2, 1, 1, 0, 0]);
    let all = attempts(&door, &of_acme()).await.0;
    let mut between = of_acme();
    between.since = all[3].started;
    between.until = all[0].started;
    assert_eq!(attempts(&door, &between).await.0, all[1..4]);

    let owed = async |change: fn(&mut v1::ListDeliveriesRequest)| {
        let mut request = owed_by_acme();
        change(&mut request);
        let rows = deliveries(&door, &request).await;
        rows.iter().map(|row| row.event_type.clone()).collect::<Vec<_>>()
    };
    assert_eq!(owed(|_| {}).await, ["bills.paid", "orders.lost", "orders.paid"]);
    assert_eq!(
        owed(|r| r.page_size = 1).await,
        ["bills.paid", "orders.lost", "orders.paid"]
    );
    assert_eq!(
        owed(|r| r.order = Order::OldestFirst.into()).await,
        ["orders.paid", "orders.lost", "bills.paid"]
    );
    assert_eq!(
        owed(|r| r.state = DeliveryState::Dead.into()).await,
        ["bills.paid"]
    );
    assert_eq!(owed(|r| r.destination = String::from("orders")).await.len(), 2);
    assert_eq!(
        owed(|r| r.event_type = String::from("orders.lost")).await,
        ["orders.lost"]
    );
    let all = deliveries(&door, &owed_by_acme()).await;
    let mut between = owed_by_acme();
    between.since = all[1].accepted;
    between.until = all[0].accepted;
    assert_eq!(deliveries(&door, &between).await, all[1..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_neither_lose_nor_repeat_a_row_while_others_write() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let plan = World::plan("before", std::slice::from_ref(&hook), 400);
    Load::start(world.cluster.doors(), plan)
        .finish(SOON)
        .await
        .unwrap();
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();
    let door = world.cluster.door(world.cluster.follower().await);
    let (rows, _) = attempts(&door, &of_acme()).await;
    let before: BTreeSet<String> = rows.into_iter().map(|attempt| attempt.attempt).collect();
    assert_eq!(before.len(), 400);
    // A mark in time behind all of them.
    door.publish(event("acme", "orders.mark", "{}")).await.unwrap();
    settled(&door, &world.endpoints, SOON).await.unwrap();
    let last = attempts(&door, &of_acme()).await.0[0].started;

    let meanwhile = World::plan("meanwhile", std::slice::from_ref(&hook), usize::MAX);
    let load = Load::start(world.cluster.doors(), meanwhile);
    load.reaches(20, SOON).await;
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut request = of_acme();
        request.page_size = 7;
        request.order = order.into();
        // Oldest first would follow the load for as long as it goes on: it ends at what was there.
        request.until = (order == Order::OldestFirst).then_some(last).flatten();
        let (rows, _) = attempts(&door, &request).await;
        let ids: Vec<&String> = rows.iter().map(|row| &row.attempt).collect();
        let set: BTreeSet<&String> = ids.iter().copied().collect();
        assert_eq!(set.len(), ids.len(), "{order:?} repeated a row");
        assert!(before.iter().all(|id| set.contains(id)), "{order:?} lost a row");

        let mut request = owed_by_acme();
        request.page_size = 7;
        request.order = order.into();
        request.until = last;
        let rows = deliveries(&door, &request).await;
        let set: BTreeSet<&String> = rows.iter().map(|row| &row.delivery).collect();
        assert_eq!(set.len(), rows.len(), "{order:?} repeated a delivery");
    }
    load.stop(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_filter_is_refused_and_says_so() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let door = world.door();
    for _ in 0..3 {
        door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    }
    settled(&door, &world.endpoints, SOON).await.unwrap();
    let mut request = of_acme();
    request.page_size = 1;
    let page = door.attempts().list(request.clone()).await.unwrap().into_inner();

    request.page_token = page.next_page_token;
    request.outcome = AttemptOutcome::Delivered.into();
    let refused = door.attempts().list(request).await.unwrap_err();

    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    assert!(
        refused
            .message()
            .contains("not given by this list with this filter"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_matches_nothing_answers_in_bounded_steps() {
    let mut world = World::three().await;
    let hook = world
        .webhook_with("acme", "orders", Behaviour::default(), |webhook| {
            webhook.concurrency = 64
        })
        .await;
    let plan = World::plan("many", std::slice::from_ref(&hook), 2500);
    Load::start(world.cluster.doors(), plan)
        .finish(SOON)
        .await
        .unwrap();
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();
    let door = world.door();

    let mut request = of_acme();
    request.cause = Cause::Throttle.into();
    let (rows, sizes) = attempts(&door, &request).await;
    let mut all = of_acme();
    all.page_size = 1000;
    let (everything, _) = attempts(&door, &all).await;

    assert_eq!(rows, []);
    assert!(
        (3..=4).contains(&sizes.len()),
        "about a thousand are looked at each time: {sizes:?}"
    );
    assert!(everything.len() >= 2500);
}
