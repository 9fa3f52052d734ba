//! Reads as fresh as they are asked for, through any node.

use std::time::Duration;

use pushrail_model::ids::LogIndex;
use pushrail_model::token::Token;
use pushrail_raft::error::ReadError;
use pushrail_raft::view::Freshness;

use crate::world::{World, knows, make_tenant};

#[tokio::test(flavor = "multi_thread")]
async fn a_linearizable_read_on_a_follower_sees_what_was_just_acknowledged() {
    let world = World::three().await;
    let follower = world.replica(world.follower().await);
    let leader = world.replica(world.leader().await);

    for number in 0..20 {
        let id = format!("tenant-{number}");
        let proposed = make_tenant(&leader, &id).await;

        let read = follower
            .read(Freshness::Linearizable, move |view| knows(view, &id))
            .await
            .unwrap();

        assert!(read.value);
        assert!(read.token.index >= proposed.index);
        assert!(read.age.unwrap() < Duration::from_secs(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_at_least_as_new_as_a_token_sees_what_its_giver_did() {
    let world = World::three().await;
    let leader = world.replica(world.leader().await);

    for number in 0..20 {
        let id = format!("tenant-{number}");
        let token = make_tenant(&leader, &id).await.token;
        for node in world.running() {
            let id = id.clone();
            let read = world
                .replica(node)
                .read(Freshness::AtLeast(token), move |view| knows(view, &id))
                .await;
            assert!(read.unwrap().value);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_group_is_refused() {
    let world = World::unformed(1).await;
    let foreign = Token {
        group: 1,
        term: 1,
        index: LogIndex(1),
    };

    let read = world.replica(1).read(Freshness::AtLeast(foreign), |_| ()).await;

    assert_eq!(read.unwrap_err(), ReadError::ForeignToken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_has_not_come_so_far_says_so() {
    let world = World::three().await;
    let replica = world.replica(1);

    let wanted = LogIndex(1_000_000);
    let waited = replica.await_applied(wanted, Duration::from_millis(50)).await;

    assert!(
        matches!(waited, Err(ReadError::Behind { wanted: w, .. }) if w == wanted),
        "{waited:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_the_leaders_view_of_all() {
    let world = World::three().await;
    let leader = world.leader().await;

    for node in world.running() {
        let status = world.replica(node).cluster_status().await.unwrap();
        assert_eq!(status.leader.0, leader);
        let members: Vec<u64> = status.members.iter().map(|member| member.node.0).collect();
        assert_eq!(members, [1, 2, 3]);
        assert!(status.members.iter().all(|member| member.voter));
    }
}
