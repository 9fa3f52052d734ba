//! Wall clocks that are an hour and a year off: on a follower, on the leader, on two of three.
//! What is stamped on entries decides what expires and what is due, so it is looked at in the state itself.

use std::time::{Duration, Instant};

use pushrail_machine::query;
use pushrail_model::ids::NodeId;
use pushrail_model::time::{Span, Timestamp};
use pushrail_raft::clock::Clock;
use pushrail_raft::replica::Replica;

use crate::world::{World, eventually, make_tenant, tenant};

const HOUR: i64 = 3_600_000_000;
const YEAR: i64 = 365 * 24 * HOUR;
const WRONG: [i64; 4] = [HOUR, -HOUR, YEAR, -YEAR];
/// Elections included.
const SOON: Duration = Duration::from_secs(10);

/// Has a command carried out, and answers what time its entry made it in the state.
async fn stamp(replica: &Replica, id: &str) -> Timestamp {
    let begun = Instant::now();
    loop {
        match replica.propose(tenant(id)).await {
            Ok(proposed) => {
                replica.await_applied(proposed.index, SOON).await.unwrap();
                return query::clock(&replica.view()).unwrap();
            }
            Err(error) => assert!(begun.elapsed() < SOON, "nothing is accepted: {error}"),
        }
    }
}

/// The state's time follows the world's, to within what an election may cost.
fn assert_right(world: &World, time: Timestamp) {
    let apart = Span(time.0.abs_diff(world.clock.wall().0)).as_duration();
    assert!(
        apart < Duration::from_secs(5),
        "the state's time is off by {apart:?}"
    );
}

/// Every node holds a lease: deliveries go on.
async fn leases_are_held(world: &World) {
    eventually("every node holds a lease", || {
        world
            .running()
            .into_iter()
            .all(|node| world.replica(node).lease().is_held())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_with_a_wrong_clock_changes_nothing_and_is_named() {
    let world = World::three().await;
    let leader = world.leader().await;
    let follower = world.follower().await;
    for (round, wrong) in WRONG.into_iter().enumerate() {
        world.set_wall(follower, wrong);

        let time = stamp(&world.replica(follower), &format!("tenant-{round}")).await;

        assert_right(&world, time);
        assert_eq!(world.leader().await, leader);
        leases_are_held(&world).await;
        let mut told = None;
        let asked = world.replica(follower);
        let begun = Instant::now();
        while told.is_none_or(|ahead: i64| ahead.abs_diff(wrong) > 2_000_000) {
            assert!(begun.elapsed() < SOON, "{told:?} of {wrong}");
            let status = asked.cluster_status().await.unwrap();
            assert_eq!(status.clocks_apart, None);
            let member = status.members.iter().find(|member| member.node.0 == follower);
            told = member.unwrap().clock_ahead;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_a_wrong_clock_steps_aside_and_stamps_nothing_meanwhile() {
    let world = World::three().await;
    for (round, wrong) in WRONG.into_iter().enumerate() {
        let leader = world.leader().await;
        let term = world.replica(leader).status().term;
        world.set_wall(leader, wrong);

        let time = stamp(&world.replica(leader), &format!("tenant-{round}")).await;

        assert_right(&world, time);
        let next = world.leader().await;
        assert_ne!(next, leader);
        assert!(world.replica(next).status().term > term);
        leases_are_held(&world).await;
        world.set_wall(leader, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_wrong_clocks_of_three_that_agree_take_no_time_with_them() {
    for wrong in [HOUR, YEAR, -YEAR] {
        let world = World::three().await;
        assert_right(&world, stamp(&world.replica(1), "before").await);
        leases_are_held(&world).await;
        // The leader is the one that is right, or one of the two.
        let right = world.leader().await % 3 + 1;
        for node in world.running() {
            world.set_wall(node, if node == right { 0 } else { wrong });
        }

        for round in 0..5 {
            let time = stamp(&world.replica(right), &format!("tenant-{round}")).await;
            assert_right(&world, time);
        }
        for node in world.running() {
            world.set_wall(node, if node == right { wrong } else { 0 });
        }
        // A change of leader brings no jump either.
        let leader = world.leader().await;
        world.filter.cut(NodeId(leader));
        let next = world.leader_without(Some(leader)).await;
        world.filter.heal(NodeId(leader));
        let time = stamp(&world.replica(next), "after").await;

        assert_right(&world, time);
        leases_are_held(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_two_clocks_agree_nothing_is_accepted_and_all_are_named_until_they_do() {
    let world = World::three().await;
    make_tenant(&world.replica(1), "before").await;
    let leader = world.leader().await;
    let [one, other]: [u64; 2] = world
        .running()
        .into_iter()
        .filter(|node| *node != leader)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    // The leader's own shows at once, the others' with their next question.
    world.set_wall(leader, HOUR);
    world.set_wall(one, YEAR);
    world.set_wall(other, -YEAR);
    eventually("no leader grants a lease", || {
        world
            .running()
            .into_iter()
            .all(|node| !world.replica(node).lease().is_held())
    })
    .await;

    let refused = world.replica(one).propose(tenant("refused")).await.unwrap_err();
    let status = world.replica(other).cluster_status().await.unwrap();

    assert!(refused.is_certain(), "{refused}");
    let why = status.clocks_apart.unwrap();
    for node in 1..=3 {
        assert!(why.contains(&format!("node {node} ")), "{why}");
    }
    assert!(refused.to_string().contains("clocks of the nodes"), "{refused}");
    for node in [leader, one, other] {
        world.set_wall(node, 0);
    }
    let time = stamp(&world.replica(one), "accepted").await;
    assert_right(&world, time);
    leases_are_held(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_at_the_start_of_all_nodes_changes_nothing() {
    let mut world = World::three().await;
    make_tenant(&world.replica(1), "before").await;
    for node in 1..=3 {
        world.stop(node).await;
    }
    world.set_wall(2, YEAR);
    world.clock.advance(Duration::from_secs(3600));

    for node in 1..=3 {
        world.start(node).await;
    }

    let time = stamp(&world.replica(1), "after").await;
    assert_right(&world, time);
    assert_ne!(
        world.leader().await,
        2,
        "whose clock is wrong does not lead for long"
    );
}
