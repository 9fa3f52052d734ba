//! SIGTERM: the shards go to the others, what is in flight ends or is abandoned within the limit, and the process exits
//! 0.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::audit::Endpoint;
use harness::behaviour::Behaviour;
use harness::cluster::Shape;
use harness::door::{event, linearizable};
use harness::eventually::eventually;
use harness::load::Load;
use harness::process::Signal;
use pushrail_api::v1;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_finished_and_recorded_before_the_process_ends() {
    let mut world = World::three().await;
    world.receiver.name_senders();
    let node = world.cluster.follower().await;
    let hook = world
        .webhook_owned_by(node, "acme", Behaviour::hold(), |_| {})
        .await;
    let pid = world.cluster.node(node).process().pid();
    let receipt = world
        .door()
        .publish(event("acme", &format!("{}.made", hook.destination), "{}"))
        .await
        .unwrap();
    eventually("the attempt begins", SOON, || async {
        let count = world.receiver.count(&hook.path);
        (count == 1).then_some(()).ok_or(format!("{count} requests"))
    })
    .await;

    world.cluster.node(node).process().signal(Signal::Term);
    world.receiver.release();
    let status = world.cluster.node(node).process().end(SOON).await.unwrap();
    world.cluster.kill(node);

    assert_eq!(status.code(), Some(0), "{}", world.cluster.node(node).tail());
    let other = world.cluster.running()[0];
    let door = world.cluster.door(other);
    let attempt = eventually("the attempt is on record", SOON, || async {
        let story = door
            .explain("acme", &receipt.event, linearizable())
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
    .await;
    assert_eq!(attempt.node, node);
    let requests = world.receiver.requests_to(&hook.path);
    assert_eq!(requests.len(), 1, "the attempt was made once");
    assert_eq!(requests[0].sender, Some(pid));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_does_not_end_is_abandoned_at_the_limit_and_made_again_elsewhere() {
    let mut world = World::of(Shape::three().set("shutdown.limit=2s")).await;
    let node = world.cluster.follower().await;
    let hook = world
        .webhook_owned_by(node, "acme", Behaviour::hold(), |_| {})
        .await;
    let receipt = world
        .door()
        .publish(event("acme", &format!("{}.made", hook.destination), "{}"))
        .await
        .unwrap();
    eventually("the attempt begins", SOON, || async {
        let count = world.receiver.count(&hook.path);
        (count == 1).then_some(()).ok_or(format!("{count} requests"))
    })
    .await;

    world.receiver.script(&hook.path, Behaviour::default());
    let asked = Instant::now();
    let status = world.cluster.node(node).terminate(Duration::from_secs(15)).await;
    let took = asked.elapsed();

    assert_eq!(status.code(), Some(0), "{}", world.cluster.node(node).tail());
    assert!(
        took >= Duration::from_millis(1500) && took < Duration::from_secs(8),
        "{took:?}"
    );
    let taken = world.arrived(&hook, 1).await;
    assert_eq!(taken.get(&receipt.event), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_keeps_its_neighbours_from_nothing_while_its_node_stops() {
    let mut world = World::three().await;
    let node = world.cluster.follower().await;
    let (hanging, beside) = two_of_one_shard(&mut world, node).await;
    world.receiver.script(&hanging.path, Behaviour::hold());
    let door = world.door();
    let made = |endpoint: &Endpoint| event("acme", &format!("{}.made", endpoint.destination), "{}");
    door.publish(made(&hanging)).await.unwrap();
    eventually("the attempt begins", SOON, || async {
        let count = world.receiver.count(&hanging.path);
        (count == 1).then_some(()).ok_or(format!("{count} requests"))
    })
    .await;

    world.cluster.node(node).process().signal(Signal::Term);
    let other = world.cluster.ids().into_iter().find(|id| *id != node).unwrap();
    world.cluster.door(other).publish(made(&beside)).await.unwrap();
    let taken = world.arrived(&beside, 1).await;

    assert_eq!(taken.into_values().collect::<Vec<_>>(), [1]);
    let process = world.cluster.node(node).process();
    assert!(process.ended().is_none(), "the attempt still hangs");
    world.receiver.release();
    let status = world.cluster.node(node).process().end(SOON).await.unwrap();
    world.cluster.kill(node);
    assert_eq!(status.code(), Some(0), "{}", world.cluster.node(node).tail());
    assert_eq!(world.receiver.count(&hanging.path), 1, "it was made once");
}

/// Two destinations of one tenant in one shard, which this node owns.
async fn two_of_one_shard(world: &mut World, node: u64) -> (Endpoint, Endpoint) {
    let mut seen: BTreeMap<u32, Endpoint> = BTreeMap::new();
    for number in 0..64 {
        let name = format!("hook-{number}");
        let endpoint = world.webhook("acme", &name, Behaviour::default()).await;
        let shown = world.door().destination("acme", &name).await.unwrap();
        if shown.owner_node != node {
            continue;
        }
        if let Some(first) = seen.insert(shown.shard, endpoint.clone()) {
            return (first, endpoint);
        }
    }
    panic!("node {node} owns no two of 64 destinations in one shard");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_stopped_and_started_one_after_the_other_under_load_lose_and_repeat_nothing() {
    let mut world = World::three().await;
    for tenant in ["acme", "globex", "initech"] {
        world.webhook(tenant, "orders", Behaviour::default()).await;
    }
    let load = Load::start(
        world.cluster.doors(),
        World::plan("rolling", &world.endpoints, usize::MAX),
    );

    for node in world.cluster.ids() {
        load.reaches(load.acknowledged() + 200, SOON).await;
        let status = world.cluster.node(node).terminate(Duration::from_secs(40)).await;
        assert_eq!(status.code(), Some(0), "node {node}");
        load.reaches(load.acknowledged() + 200, SOON).await;
        world.cluster.restart(node);
        world.cluster.ready().await;
    }
    let acknowledged = load.stop(SOON).await;

    let audit = world.audit(&world.door(), &acknowledged).await;
    audit.assert_clean();
    assert_eq!(audit.delivered, acknowledged.len());
    assert_eq!(audit.duplicates, 0, "a planned stop needs no repeat");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_stopped_all_at_once_under_load_end_soon_and_repeat_nothing() {
    let mut world = World::three().await;
    for tenant in ["acme", "globex", "initech"] {
        let answer = Behaviour::slow(Duration::from_millis(300));
        world.webhook(tenant, "orders", answer).await;
    }
    let load = Load::start(
        world.cluster.doors(),
        World::plan("all at once", &world.endpoints, usize::MAX),
    );
    load.reaches(600, SOON).await;

    let asked = Instant::now();
    for node in world.cluster.ids() {
        world.cluster.node(node).process().signal(Signal::Term);
    }
    for node in world.cluster.ids() {
        let ended = world
            .cluster
            .node(node)
            .process()
            .end(Duration::from_secs(40))
            .await;
        assert_eq!(ended.unwrap().code(), Some(0), "node {node}");
        world.cluster.kill(node);
    }
    let took = asked.elapsed();
    for node in world.cluster.ids() {
        world.cluster.restart(node);
    }
    world.cluster.ready().await;
    let acknowledged = load.stop(SOON).await;

    // All of it is far below the limit of 25 s: nobody waits in vain for a majority that has gone.
    assert!(took < Duration::from_secs(10), "{took:?}");
    let audit = world.audit(&world.door(), &acknowledged).await;
    audit.assert_clean();
    assert_eq!(audit.duplicates, 0, "a planned stop needs no repeat");
}
