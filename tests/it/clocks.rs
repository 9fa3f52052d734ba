//! Wall clocks of real nodes that go wrong while they run: nothing expires early, nothing is due early, nothing freezes.

use std::time::Duration;

use harness::audit::{Endpoint, settled};
use harness::behaviour::Behaviour;
use harness::cluster::Shape;
use harness::door::event;
use harness::eventually::eventually;

use crate::world::{SOON, World};

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 24 * HOUR;

/// Publishes an event through any node that takes it, and sees it arrive.
async fn goes_through(world: &World, live: &Endpoint, arrived: &mut usize) {
    let payload = format!("{{\"number\":{arrived}}}");
    eventually("an event is accepted", SOON, || async {
        let published = world
            .door()
            .publish(event("acme", "live.paid", payload.clone()))
            .await;
        published.map(drop).map_err(|status| status.to_string())
    })
    .await;
    *arrived += 1;
    world.arrived(live, *arrived).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_an_hour_and_a_year_off_expire_nothing_early_and_freeze_nothing() {
    let mut world = World::of(Shape::three().settable_walls()).await;
    let live = world.webhook("acme", "live", Behaviour::always(200)).await;
    // Fails once, and is due again in half an hour; its window ends in an hour.
    let later = world
        .webhook_with("acme", "later", Behaviour::always(500), |webhook| {
            webhook.waits = vec![Duration::from_secs(1800); 40];
        })
        .await;
    world
        .door()
        .publish(event("acme", "later.paid", "{}"))
        .await
        .unwrap();
    world.arrived(&live, 0).await;
    eventually("the first attempt fails", SOON, || async {
        let count = world.receiver.count(&later.path);
        (count == 1).then_some(()).ok_or(format!("{count} attempts"))
    })
    .await;

    let mut arrived = 0;
    for wrong in [HOUR, -HOUR, YEAR, -YEAR] {
        let leader = world.cluster.leader().await;
        let others: Vec<u64> = world
            .cluster
            .ids()
            .into_iter()
            .filter(|id| *id != leader)
            .collect();
        for off in [vec![others[0]], vec![leader], vec![leader, others[0]]] {
            for id in &off {
                world.cluster.node(*id).wall().set(wrong);
            }

            for _ in 0..3 {
                goes_through(&world, &live, &mut arrived).await;
            }

            for id in &off {
                world.cluster.node(*id).wall().set(0);
            }
            world.cluster.ready().await;
        }
    }
    goes_through(&world, &live, &mut arrived).await;

    assert_eq!(world.receiver.count(&later.path), 1, "nothing was due early");
    let dead = world.door().dead_letters_of("acme", "later").await.unwrap();
    assert!(dead.is_empty(), "nothing has expired: {dead:?}");
    settled(&world.door(), &[live], SOON).await.unwrap();
    world.cluster.check();
}
