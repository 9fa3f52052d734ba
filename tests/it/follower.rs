//! A follower killed, and back: nobody waits for it, and it catches up from the log.

use std::time::Duration;

use harness::behaviour::Behaviour;
use harness::door::local;
use harness::load::{Load, longest_pause};
use pushrail_api::v1;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_killed_is_missed_by_nobody_and_catches_up_when_it_is_back() {
    let mut world = World::three().await;
    for tenant in ["acme", "globex", "initech"] {
        world.webhook(tenant, "orders", Behaviour::default()).await;
    }
    let follower = world.cluster.follower().await;
    let others: Vec<_> = world
        .cluster
        .doors()
        .into_iter()
        .filter(|door| door.node() != follower)
        .collect();

    let load = Load::start(others, World::plan("follower", &world.endpoints, 1500));
    let began = load.began();
    load.reaches(300, SOON).await;
    world.cluster.kill(follower);
    let acknowledged = load.finish(SOON).await.unwrap();
    world.cluster.restart(follower);
    world.cluster.ready().await;
    world.cluster.level().await;

    let pause = longest_pause(began, &acknowledged);
    assert!(pause < Duration::from_secs(2), "no acknowledgement for {pause:?}");
    let audit = world.audit(&world.cluster.door(follower), &acknowledged).await;
    audit.assert_clean();
    assert_eq!(audit.delivered, 1500);
    let door = world.cluster.door(follower);
    for one in &acknowledged {
        let story = door.explain(&one.tenant, &one.event, local()).await.unwrap();
        assert_eq!(
            story.deliveries[0].delivery.as_ref().unwrap().state(),
            v1::DeliveryState::Delivered
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_sends_nothing_that_was_settled_while_it_was_away() {
    let mut world = World::three().await;
    world.receiver.name_senders();
    let away = world.cluster.follower().await;
    let hook = world
        .webhook_owned_by(away, "acme", Behaviour::hold(), |_| {})
        .await;
    let load = Load::start(
        world.cluster.doors(),
        World::plan("away", std::slice::from_ref(&hook), 200),
    );
    let acknowledged = load.finish(SOON).await.unwrap();

    // Its queue is full of what the others will have delivered by the time it is back.
    world.cluster.kill(away);
    world.receiver.script(&hook.path, Behaviour::default());
    world.arrived(&hook, 200).await;
    let before = world.receiver.count(&hook.path);
    world.cluster.restart(away);
    let back = world.cluster.node(away).process().pid();
    world.cluster.ready().await;
    world.cluster.level().await;
    let marker = world
        .webhook_owned_by(away, "marker", Behaviour::default(), |_| {})
        .await;
    let after = Load::start(
        world.cluster.doors(),
        World::plan("marker", std::slice::from_ref(&marker), 20),
    );
    after.finish(SOON).await.unwrap();
    world.arrived(&marker, 20).await;

    assert!(
        world
            .receiver
            .requests_to(&marker.path)
            .iter()
            .any(|request| request.sender == Some(back))
    );
    assert_eq!(world.receiver.count(&hook.path), before);
    let audit = world.audit(&world.door(), &acknowledged).await;
    audit.assert_clean();
    assert_eq!((audit.delivered, audit.duplicates), (200, 0));
}
