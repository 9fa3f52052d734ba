//! Shards move while deliveries run, and no receiver gets anything twice: the old owner finishes and records what it
//! has begun before the new one starts.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::audit::Endpoint;
use harness::behaviour::Behaviour;
use harness::cluster::{brief, node_of};
use harness::eventually::eventually;
use harness::load::{Load, Plan};

use crate::world::{SOON, World};

/// Enough that each node owns some of them, whichever shards it owns.
const DESTINATIONS: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_move_while_deliveries_run_duplicate_none() {
    let mut world = World::three().await;
    world.receiver.name_senders();
    let leader = world.cluster.leader().await;
    let away = world.cluster.follower().await;
    let ended = world.cluster.node(away).terminate(SOON).await;
    assert_eq!(ended.code(), Some(0));
    world.cluster.ready().await;
    // Slow enough that there are attempts under way whenever a shard is asked for.
    let slow = Behaviour::slow(Duration::from_millis(30));
    let mut hooks = Vec::new();
    for number in 0..DESTINATIONS {
        let tenant = format!("tenant-{}", number % 4);
        hooks.push(
            world
                .webhook(&tenant, &format!("hook-{number}"), slow.clone())
                .await,
        );
    }
    let plan = Plan {
        batch: DESTINATIONS,
        callers: 2,
        ..World::plan("moving", &hooks, usize::MAX)
    };
    let load = Load::start(vec![world.cluster.door(leader)], plan);
    load.reaches(DESTINATIONS * 4, SOON).await;

    // It comes back, and gets its share while all the others go on.
    world.cluster.restart(away);
    let pid = world.cluster.node(away).process().pid();
    even(&world, leader, away).await;
    delivers(&world, &hooks, pid).await;

    let acknowledged = load.stop(SOON).await;
    let audit = world.audit(&world.door(), &acknowledged).await;
    audit.assert_clean();
    assert_eq!((audit.delivered, audit.duplicates), (acknowledged.len(), 0));
    assert_eq!(audit.retried, 0);
    let moved = hooks
        .iter()
        .filter(|hook| senders(&world, hook).len() > 1)
        .count();
    assert!(moved > 0, "no destination with deliveries moved");
}

/// Waits until the node owns its third of all shards.
async fn even(world: &World, leader: u64, node: u64) {
    let door = world.cluster.door(leader);
    eventually("the shards are spread evenly", SOON, || async {
        let status = door.status().await.map_err(|status| status.to_string())?;
        let owned = status
            .members
            .iter()
            .find(|member| node_of(member) == node)
            .map_or(0, |member| member.shards_owned);
        (owned >= 1024 / 3).then_some(()).ok_or_else(|| brief(&status))
    })
    .await;
}

/// Waits until this process has sent to one of them.
async fn delivers(world: &World, hooks: &[Endpoint], pid: u32) {
    eventually("the node that came back delivers", SOON, || async {
        let found = hooks.iter().any(|hook| senders(world, hook).contains(&pid));
        found.then_some(()).ok_or("nothing came from it".to_owned())
    })
    .await;
}

fn senders(world: &World, hook: &Endpoint) -> BTreeSet<u32> {
    let requests = world.receiver.requests_to(&hook.path);
    requests
        .into_iter()
        .filter_map(|request| request.sender)
        .collect()
}
