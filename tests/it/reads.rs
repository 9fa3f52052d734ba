//! Readers choose how fresh: local, at least a token, or linearizable; from followers too.

use std::time::{Duration, Instant};

use harness::behaviour::Behaviour;
use harness::cluster::Shape;
use harness::door::{at_least, event, linearizable, local};
use harness::eventually::eventually;
use pushrail_api::failure::{accepted, reason};
use pushrail_api::v1;
use tonic::Code;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_answers_at_once_with_what_was_just_acknowledged_elsewhere() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let leader = world.cluster.leader().await;
    let writer = world.cluster.door(leader);
    let followers: Vec<_> = world
        .cluster
        .doors()
        .into_iter()
        .filter(|door| door.node() != leader)
        .collect();

    for number in 0..50 {
        let receipt = writer
            .publish(event("acme", "orders.paid", format!("{number}")))
            .await
            .unwrap();

        let linear = followers[0].explain("acme", &receipt.event, linearizable()).await;
        let token = followers[1]
            .explain("acme", &receipt.event, at_least(&receipt.token))
            .await;

        let linear = linear.unwrap_or_else(|status| panic!("linearizable, event {number}: {status}"));
        let token = token.unwrap_or_else(|status| panic!("at least, event {number}: {status}"));
        for story in [linear, token] {
            assert_eq!(story.event.unwrap().event, receipt.event);
            assert!(!story.applied.is_empty() && story.age.is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_that_an_answer_names_can_be_asked_for_elsewhere() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let (here, there) = (world.cluster.door(1), world.cluster.door(2));
    let receipt = here.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    let story = here
        .explain("acme", &receipt.event, linearizable())
        .await
        .unwrap();

    let elsewhere = there
        .explain("acme", &receipt.event, at_least(&story.applied))
        .await
        .unwrap();

    assert_eq!(elsewhere.event, story.event);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_cut_off_says_how_old_its_answer_is_and_claims_nothing_more() {
    let mut world = World::of(Shape::three().cuttable()).await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let leader = world.cluster.leader().await;
    let follower = world.cluster.follower().await;
    let before = world
        .cluster
        .door(leader)
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();
    let lonely = world.cluster.door(follower);
    lonely
        .explain("acme", &before.event, at_least(&before.token))
        .await
        .unwrap();

    world.cluster.network().isolate(follower);
    let after = world
        .cluster
        .door(leader)
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();
    let asked = Instant::now();
    let linear = lonely
        .explain("acme", &before.event, linearizable())
        .await
        .unwrap_err();
    let linear_took = asked.elapsed();
    let asked = Instant::now();
    let token = lonely
        .explain("acme", &after.event, at_least(&after.token))
        .await
        .unwrap_err();
    let token_took = asked.elapsed();
    let unknown = lonely.explain("acme", &after.event, local()).await.unwrap_err();
    let known = lonely.explain("acme", &before.event, local()).await.unwrap();
    world.cluster.network().heal();
    let healed = eventually("it catches up", SOON, || async {
        let story = lonely.explain("acme", &after.event, at_least(&after.token)).await;
        story.map_err(|status| status.to_string())
    })
    .await;

    for (refused, took) in [(&linear, linear_took), (&token, token_took)] {
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert!(
            reason(refused).is_some() && accepted(refused).is_none(),
            "{refused:?}"
        );
        assert!(took < Duration::from_millis(5500), "{took:?}");
    }
    assert_eq!(unknown.code(), Code::NotFound, "{unknown:?}");
    let age = Duration::try_from(known.age.unwrap()).unwrap();
    assert!(
        age > Duration::from_secs(1),
        "an answer of {age:?} ago, after {linear_took:?} and {token_took:?} alone"
    );
    assert_eq!(healed.event.unwrap().event, after.event);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tenant_sees_another_s_event_nor_is_a_token_guessed() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    world.webhook("globex", "orders", Behaviour::default()).await;
    let receipt = world
        .door()
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();

    let foreign = world
        .door()
        .explain("globex", &receipt.event, linearizable())
        .await
        .unwrap_err();
    let request = v1::GetEventRequest {
        tenant: String::from("globex"),
        event: receipt.event.clone(),
        consistency: Some(linearizable()),
    };
    let foreign_get = world.door().events().get(request).await.unwrap_err();
    let made_up = world
        .door()
        .explain("acme", &receipt.event, at_least("tok_nonsense"))
        .await
        .unwrap_err();

    assert_eq!(foreign.code(), Code::NotFound);
    assert_eq!(foreign_get.code(), Code::NotFound);
    assert_eq!(made_up.code(), Code::InvalidArgument);
}

/// Nagle's algorithm holds a small answer until the caller acknowledges the one before, which takes it 40 ms. The
/// quickest of many calls tells, however busy the machine is.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_answer_is_not_held_back() {
    let mut world = World::three().await;
    world.webhook("acme", "orders", Behaviour::default()).await;
    let follower = world.cluster.door(world.cluster.follower().await);
    let receipt = follower
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();

    follower
        .explain("acme", &receipt.event, at_least(&receipt.token))
        .await
        .unwrap();

    let mut quickest = [Duration::MAX; 3];
    for number in 0..20 {
        let begun = Instant::now();
        follower.explain("acme", &receipt.event, local()).await.unwrap();
        let told = Instant::now();
        follower
            .explain("acme", &receipt.event, linearizable())
            .await
            .unwrap();
        let confirmed = Instant::now();
        let next = event("acme", "orders.paid", format!("{number}"));
        follower.publish(next).await.unwrap();
        let took = [told - begun, confirmed - told, confirmed.elapsed()];
        quickest = std::array::from_fn(|of| quickest[of].min(took[of]));
    }

    assert!(
        quickest.iter().all(|took| *took < Duration::from_millis(35)),
        "local, linearizable, publish: {quickest:?}"
    );
}
