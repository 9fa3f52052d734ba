//! A leader killed in mid-stream: nothing acknowledged is lost, and publishing soon goes on.

use std::time::Duration;

use harness::behaviour::Behaviour;
use harness::door::local;
use harness::load::{Load, longest_pause};

use crate::replicas::same_state_everywhere;
use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_in_mid_stream_loses_nothing_acknowledged() {
    let mut world = World::three().await;
    for tenant in ["acme", "globex", "initech", "umbrella"] {
        world.webhook(tenant, "orders", Behaviour::default()).await;
        world.webhook(tenant, "flaky", Behaviour::first(1, 500)).await;
    }
    let leader = world.cluster.leader().await;
    let term = world.door().status().await.unwrap().term;

    let load = Load::start(
        world.cluster.doors(),
        World::plan("leader", &world.endpoints, 2000),
    );
    let began = load.began();
    load.reaches(600, SOON).await;
    world.cluster.kill(leader);
    load.reaches(1400, SOON).await;
    world.cluster.restart(leader);
    let acknowledged = load.finish(SOON).await.unwrap();

    assert_eq!(acknowledged.len(), 2000);
    let pause = longest_pause(began, &acknowledged);
    assert!(pause < Duration::from_secs(4), "no acknowledgement for {pause:?}");
    world.cluster.ready().await;
    let follower = world.cluster.follower().await;
    let audit = world.audit(&world.cluster.door(follower), &acknowledged).await;
    audit.assert_clean();
    assert_eq!((audit.delivered, audit.dead_letters()), (2000, 0));
    // Half of them failed once; where the owner was killed with the record of that, it is not counted here.
    assert!((900..=1000).contains(&audit.retried), "{} retried", audit.retried);
    assert!(world.door().status().await.unwrap().term > term);

    // The killed one has the whole story too, from its own copy.
    world.cluster.level().await;
    let back = world.cluster.door(leader);
    for one in acknowledged.iter().step_by(50) {
        let story = back.explain(&one.tenant, &one.event, local()).await.unwrap();
        assert_eq!(story.deliveries.len(), 1);
    }
    same_state_everywhere(&mut world.cluster).await;
}
