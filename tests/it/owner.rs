//! The owner of a delivery killed in mid-attempt: another node makes the attempt, within five seconds.

use std::time::{Duration, Instant};

use harness::audit::Endpoint;
use harness::behaviour::Behaviour;
use harness::door::{Door, event, linearizable};
use harness::eventually::eventually;
use pushrail_api::v1;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_killed_in_mid_attempt_is_replaced_within_five_seconds() {
    let world = World::three().await;
    let follower = world.cluster.follower().await;
    killed_in_mid_attempt(world, follower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_in_mid_attempt_is_replaced_within_five_seconds() {
    let world = World::three().await;
    let leader = world.cluster.leader().await;
    killed_in_mid_attempt(world, leader).await;
}

async fn killed_in_mid_attempt(mut world: World, owner: u64) {
    world.receiver.name_senders();
    let hook = world
        .webhook_owned_by(owner, "acme", Behaviour::default(), |_| {})
        .await;
    let pid = world.cluster.node(owner).process().pid();
    let other = world.cluster.ids().into_iter().find(|id| *id != owner).unwrap();
    let door = world.cluster.door(other);
    let an_event = event(&hook.tenant, &format!("{}.made", hook.destination), "{}");
    let first = door.publish(an_event.clone()).await.unwrap();
    let epoch = delivered(&door, &hook, &first.event).await.epoch;

    world.receiver.script(&hook.path, Behaviour::hold());
    let receipt = door.publish(an_event).await.unwrap();
    eventually("the attempt begins", SOON, || async {
        let requests = world.receiver.requests_to(&hook.path);
        (requests.len() == 2)
            .then_some(())
            .ok_or(format!("{} requests", requests.len()))
    })
    .await;
    world.receiver.script(&hook.path, Behaviour::default());
    let killed = Instant::now();
    world.cluster.kill(owner);
    let attempt = delivered(&door, &hook, &receipt.event).await;

    let requests = world.receiver.requests_to(&hook.path);
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[1].sender, Some(pid));
    assert_ne!(requests[2].sender, Some(pid));
    assert_eq!(requests[2].webhook_id, receipt.event);
    let gap = requests[2].at - killed;
    assert!(
        gap < Duration::from_secs(5),
        "the next attempt came after {gap:?}"
    );
    // The killed one's attempt was never recorded, so this one bears its number, under a later ownership.
    assert_eq!(attempt.number, 1);
    assert_ne!(attempt.node, owner);
    assert!(attempt.epoch > epoch, "epoch {} after {epoch}", attempt.epoch);
}

/// Waits until an event is delivered, and answers its one attempt.
async fn delivered(door: &Door, hook: &Endpoint, event: &str) -> v1::Attempt {
    eventually("the attempt is on record", SOON, || async {
        let story = door
            .explain(&hook.tenant, event, linearizable())
            .await
            .map_err(|status| status.to_string())?;
        let explained = &story.deliveries[0];
        match (
            explained.delivery.as_ref().unwrap().state(),
            explained.attempts.as_slice(),
        ) {
            (v1::DeliveryState::Delivered, [attempt]) => Ok(attempt.clone()),
            _ => Err(format!("{explained:?}")),
        }
    })
    .await
}
