//! Leases, fences, and what the leader knows of the others.

use std::time::Duration;

use pushrail_model::command::{AssignShards, Command, MoveKind, ShardMove};
use pushrail_model::ids::{Epoch, LogIndex, NodeId};
use pushrail_model::response::Response;
use pushrail_model::shard::ShardId;
use pushrail_model::time::Span;
use pushrail_raft::clock::Clock;
use pushrail_raft::error::ReadError;
use pushrail_raft::replica::Replica;
use pushrail_raft::status::Work;

use crate::world::{World, eventually, make_tenant};

fn shard() -> ShardId {
    ShardId::new(5).unwrap()
}

async fn give(replica: &Replica, to: u64, from_epoch: u64) -> LogIndex {
    let proposed = replica
        .propose(Command::AssignShards(AssignShards {
            moves: vec![ShardMove {
                shard: shard(),
                from_epoch: Epoch(from_epoch),
                to: NodeId(to),
                how: MoveKind::Give,
            }],
        }))
        .await
        .unwrap();
    assert_eq!(proposed.response, Response::Shards(1));
    proposed.index
}

async fn all_hold_leases(world: &World) {
    eventually("every node holds a lease", || {
        world
            .running()
            .into_iter()
            .all(|node| world.replica(node).lease().is_held())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_holds_a_lease_and_knows_the_states_time() {
    let world = World::three().await;
    all_hold_leases(&world).await;
    let before: Vec<_> = world
        .running()
        .into_iter()
        .map(|node| world.replica(node).lease().state_now())
        .collect();

    world.clock.advance(Duration::from_millis(500));

    for (node, before) in world.running().into_iter().zip(before) {
        let lease = world.replica(node).lease();
        let now = lease.state_now();
        assert!(now >= before.plus(Span::from_millis(500)), "it is counted on");
        assert!(now <= world.clock.wall(), "it is not ahead of the leader");
        assert!(lease.remaining() <= Duration::from_secs(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_sees_what_the_members_report() {
    let world = World::three().await;
    let leader = world.replica(world.leader().await);
    let work = Work {
        depth: 17,
        oldest_due_age: Duration::from_secs(3),
        shards: 341,
    };
    for node in world.running() {
        world.replica(node).report_work(work);
        world.replica(node).report_fence(LogIndex(2));
    }

    eventually("all reports are here", || {
        leader.leadership().is_some_and(|leadership| {
            leadership.settled
                && leadership.members.len() == 3
                && leadership.members.iter().all(|member| {
                    !member.lease_over
                        && member
                            .report
                            .is_some_and(|report| report.work == work && report.fence == LogIndex(2))
                })
        })
    })
    .await;
    let follower = world.replica(world.follower().await);
    assert_eq!(follower.leadership(), None);
    let status = follower.cluster_status().await.unwrap();
    assert!(
        status
            .members
            .iter()
            .all(|member| member.report.unwrap().0.work == work)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_awaited_until_the_owner_reports_it() {
    let world = World::three().await;
    let owner = world.follower().await;
    give(&world.replica(owner), owner, 0).await;
    let index = make_tenant(&world.replica(owner), "acme").await.index;
    all_hold_leases(&world).await;
    let door = world.replica(world.leader().await);
    all_but_report_fences(&world, owner);

    let early = door.await_fence(shard(), index, Duration::from_millis(300)).await;
    world.replica(owner).report_fence(index);
    let late = door.await_fence(shard(), index, Duration::from_secs(10)).await;
    let elsewhere = world
        .replica(owner)
        .await_fence(shard(), index, Duration::from_secs(10))
        .await;

    assert_eq!(
        early,
        Err(ReadError::Fence {
            owner: NodeId(owner),
            wanted: index
        })
    );
    assert_eq!(late, Ok(()));
    assert_eq!(elsewhere, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_fence_of_a_shard_without_an_owner() {
    let world = World::three().await;
    let index = make_tenant(&world.replica(1), "acme").await.index;

    let fenced = world
        .replica(2)
        .await_fence(shard(), index, Duration::from_secs(5))
        .await;

    assert_eq!(fenced, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_of_a_dead_owner_is_there_once_its_lease_is_over() {
    let mut world = World::three().await;
    let owner = world.follower().await;
    give(&world.replica(owner), owner, 0).await;
    all_hold_leases(&world).await;
    let leader = world.leader().await;
    all_but_report_fences(&world, owner);

    world.stop(owner).await;
    let index = make_tenant(&world.replica(leader), "acme").await.index;
    let begun = world.clock.monotonic();
    let fenced = world
        .replica(leader)
        .await_fence(shard(), index, Duration::from_secs(10))
        .await;

    assert_eq!(fenced, Ok(()));
    assert!(
        world.clock.monotonic() - begun < Duration::from_secs(4),
        "a lease and a margin"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_in_between_does_not_free_the_old_owner_from_its_fence() {
    let world = World::three().await;
    let owner = world.follower().await;
    give(&world.replica(owner), owner, 0).await;
    let index = make_tenant(&world.replica(owner), "acme").await.index;
    all_hold_leases(&world).await;
    let leader = world.leader().await;
    let door = world.replica(leader);
    all_but_report_fences(&world, owner);

    give(&door, leader, 1).await;
    let early = door.await_fence(shard(), index, Duration::from_millis(300)).await;
    world.replica(owner).report_fence(index);
    let late = door.await_fence(shard(), index, Duration::from_secs(10)).await;

    assert!(matches!(early, Err(ReadError::Fence { .. })), "{early:?}");
    assert_eq!(late, Ok(()));
}

/// Every other node says that nothing starts there on old terms.
fn all_but_report_fences(world: &World, owner: u64) {
    for node in (1..=3).filter(|node| *node != owner) {
        world.replica(node).report_fence(LogIndex(u64::MAX));
    }
}
