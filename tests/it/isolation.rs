//! One destination's trouble stays its own: one that hangs holds up no other, and none gets more requests at a time
//! than it is set to take.

use std::time::{Duration, Instant};

use harness::behaviour::Behaviour;
use harness::eventually::eventually;
use harness::load::Load;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_holds_up_no_other_of_the_same_owner() {
    let mut world = World::three().await;
    let owner = world.cluster.follower().await;
    let hanging = world
        .webhook_owned_by(owner, "acme", Behaviour::hold(), |_| {})
        .await;
    let healthy = world
        .webhook_owned_by(owner, "globex", Behaviour::default(), |_| {})
        .await;
    let stuck = Load::start(
        world.cluster.doors(),
        World::plan("stuck", std::slice::from_ref(&hanging), 1000),
    );
    stuck.finish(SOON).await.unwrap();
    eventually("it is as full as it may be", SOON, || async {
        let count = world.receiver.count(&hanging.path);
        (count >= 16).then_some(()).ok_or(format!("{count} requests"))
    })
    .await;

    let began = Instant::now();
    let load = Load::start(
        world.cluster.doors(),
        World::plan("healthy", std::slice::from_ref(&healthy), 300),
    );
    load.finish(SOON).await.unwrap();
    world.arrived(&healthy, 300).await;
    let took = began.elapsed();

    // An attempt may hang for 20 s: the others were not waiting for that.
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(world.receiver.most_at_once(&hanging.path), 16);
    assert!(world.receiver.most_at_once(&healthy.path) <= 16);
    world.receiver.release();
    let taken = world.arrived(&hanging, 1000).await;
    assert_eq!(taken.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_gets_no_more_at_a_time_than_it_is_set_to_take() {
    let mut world = World::three().await;
    let slow = Behaviour::slow(Duration::from_millis(30));
    let narrow = world
        .webhook_with("acme", "narrow", slow.clone(), |hook| hook.concurrency = 3)
        .await;
    let wide = world
        .webhook_with("acme", "wide", slow, |hook| hook.concurrency = 40)
        .await;

    let plan = World::plan("both", &[narrow.clone(), wide.clone()], 400);
    Load::start(world.cluster.doors(), plan)
        .finish(SOON)
        .await
        .unwrap();
    world.arrived(&narrow, 200).await;
    world.arrived(&wide, 200).await;

    assert_eq!(world.receiver.most_at_once(&narrow.path), 3);
    let most = world.receiver.most_at_once(&wide.path);
    assert!((4..=40).contains(&most), "{most} at once");
}
