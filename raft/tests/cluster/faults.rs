//! Nodes that stop, come back, and are cut off.

use std::time::{Duration, Instant};

use pushrail_raft::error::StartError;
use pushrail_raft::replica::Replica;
use pushrail_raft::view::Freshness;

use crate::world::{World, eventually, knows, make_tenant, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn publishing_goes_on_when_the_leader_stops() {
    let mut world = World::three().await;
    let leader = world.leader().await;
    let survivors: Vec<u64> = world
        .running()
        .into_iter()
        .filter(|node| *node != leader)
        .collect();
    make_tenant(&world.replica(survivors[0]), "before").await;

    world.stop(leader).await;
    let begun = Instant::now();
    for node in &survivors {
        make_tenant(&world.replica(*node), &format!("after-{node}")).await;
    }

    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "took {:?}",
        begun.elapsed()
    );
    world.start(leader).await;
    let back = world.replica(leader);
    let seen = back
        .read(Freshness::Linearizable, move |view| {
            knows(view, "before") && survivors.iter().all(|node| knows(view, &format!("after-{node}")))
        })
        .await;
    assert!(seen.unwrap().value, "the one that came back has everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_in_order_hands_the_leadership_over() {
    let mut world = World::three().await;
    let leader = world.leader().await;
    let term = world.replica(leader).status().term;

    world.stop(leader).await;

    let heir = world.leader().await;
    assert_eq!(
        world.replica(heir).status().term,
        term + 1,
        "one election, and nobody else asked for votes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_under_way_survive_a_change_of_leader() {
    let mut world = World::three().await;
    let leader = world.leader().await;
    let door = world.replica(world.follower().await);
    let publishing = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for number in 0..200 {
            let id = format!("stream-{number}");
            match door.propose(tenant(&id)).await {
                Ok(_) => acknowledged.push(id),
                Err(error) => assert!(!error.is_certain(), "{error}"),
            }
        }
        acknowledged
    });
    eventually("some are acknowledged", || {
        knows(&world.replica(leader).view(), "stream-20")
    })
    .await;

    world.stop(leader).await;

    let acknowledged = publishing.await.unwrap();
    assert!(acknowledged.len() >= 195, "{} of 200", acknowledged.len());
    for node in world.running() {
        let acknowledged = acknowledged.clone();
        let read = world
            .replica(node)
            .read(Freshness::Linearizable, move |view| {
                acknowledged.iter().all(|id| knows(view, id))
            })
            .await;
        assert!(read.unwrap().value, "nothing acknowledged is missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_loses_its_lease_and_answers_nobody_for_long() {
    let world = World::three().await;
    let old = world.leader().await;
    eventually("the leader holds a lease", || {
        world.replica(old).lease().is_held()
    })
    .await;

    world.filter.cut(pushrail_model::ids::NodeId(old));
    let begun = Instant::now();
    let lone = world.replica(old);
    let asked = {
        let lone = lone.clone();
        tokio::spawn(async move { lone.propose(tenant("lost")).await })
    };
    eventually("its lease is over", || !lone.lease().is_held()).await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "after {:?}",
        begun.elapsed()
    );
    let answer = asked.await.unwrap();
    assert!(answer.is_err(), "{answer:?}");
    assert!(
        begun.elapsed() < Duration::from_millis(5_500),
        "after {:?}",
        begun.elapsed()
    );
    // By now it knows that it has no majority: nothing is accepted, for certain.
    let certain = lone.propose(tenant("refused")).await.unwrap_err();
    assert!(certain.is_certain(), "{certain}");
    let stale = lone.read(Freshness::Linearizable, |_| ()).await;
    assert!(stale.is_err(), "it confirms no read");

    let new = world.leader_without(Some(old)).await;
    make_tenant(&world.replica(new), "meanwhile").await;
    world.filter.heal(pushrail_model::ids::NodeId(old));
    eventually("it catches up and holds a lease", || {
        knows(&lone.view(), "meanwhile") && lone.lease().is_held()
    })
    .await;
    assert!(!knows(&lone.view(), "refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_command_fails_within_five_seconds() {
    let mut world = World::three().await;
    let leader = world.leader().await;
    for node in world.running() {
        if node != leader {
            world.stop(node).await;
        }
    }

    let begun = Instant::now();
    let first = world.replica(leader).propose(tenant("lonely")).await;

    assert!(first.is_err());
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "took {:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_come_back_and_find_their_place() {
    let mut world = World::three().await;
    make_tenant(&world.replica(1), "kept").await;
    let cluster = world.replica(1).status().cluster;
    let boot = world.replica(1).boot();
    for node in world.running() {
        world.stop(node).await;
    }

    for node in 1..=3 {
        world.start(node).await;
    }

    let replica = world.replica(1);
    assert_eq!(
        replica.status().cluster,
        cluster,
        "it knows its cluster before it has spoken to anybody"
    );
    assert!(replica.boot() > boot);
    make_tenant(&replica, "more").await;
    let seen = world
        .replica(2)
        .read(Freshness::Linearizable, |view| {
            knows(view, "kept") && knows(view, "more")
        })
        .await;
    assert!(seen.unwrap().value);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_in_use_is_refused() {
    let world = World::unformed(1).await;
    let mut config = world.config(1);
    config.peer_listen = "127.0.0.1:0".parse().unwrap();
    let clock = std::sync::Arc::new(pushrail_raft::clock::SystemClock);

    let second = Replica::start(config, clock).await;

    assert!(
        matches!(second, Err(StartError::Refused { .. })),
        "{:?}",
        second.err()
    );
}
