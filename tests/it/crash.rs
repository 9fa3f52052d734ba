//! All nodes SIGKILLed at once, under load, several times over: what was acknowledged is there afterwards, and is
//! delivered.

use harness::behaviour::Behaviour;
use harness::load::Load;

use crate::replicas::same_state_everywhere;
use crate::world::{SOON, World};

const ROUNDS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_killed_at_once_under_load_several_times_over_lose_nothing_acknowledged() {
    let mut world = World::three().await;
    for tenant in ["acme", "globex", "initech"] {
        world.webhook(tenant, "orders", Behaviour::default()).await;
        world.webhook(tenant, "flaky", Behaviour::first(2, 503)).await;
        world.webhook(tenant, "strict", Behaviour::always(401)).await;
    }
    let load = Load::start(
        world.cluster.doors(),
        World::plan("crash", &world.endpoints, usize::MAX),
    );

    for _ in 0..ROUNDS {
        load.reaches(load.acknowledged() + 300, SOON).await;
        world.cluster.kill_all();
        for id in world.cluster.ids() {
            world.cluster.restart(id);
        }
    }
    load.reaches(load.acknowledged() + 300, SOON).await;
    let acknowledged = load.stop(SOON).await;
    world.cluster.ready().await;

    assert!(acknowledged.len() >= 300 * (ROUNDS + 1), "{}", acknowledged.len());
    let audit = world.audit(&world.door(), &acknowledged).await;
    audit.assert_clean();
    let strict = acknowledged.iter().filter(|one| is_strict(one)).count();
    assert_eq!(audit.dead_letters(), strict, "{:?}", audit.dead);
    assert_eq!(audit.delivered, acknowledged.len() - strict);
    world.cluster.check();
    same_state_everywhere(&mut world.cluster).await;
}

fn is_strict(one: &harness::load::Acknowledged) -> bool {
    // The plan deals events out in turn: tenant and type by the same number, so every third is of `strict`.
    String::from_utf8_lossy(&one.payload)
        .split_once(r#""number":"#)
        .and_then(|(_, rest)| rest.split(',').next()?.parse::<usize>().ok())
        .is_some_and(|number| number % 3 == 2)
}
