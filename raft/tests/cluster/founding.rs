//! Forming a cluster: with members that are what they are said to be, or not at all; and one process under an id.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pushrail_model::ids::NodeId;
use pushrail_raft::clock::Clock;
use pushrail_raft::config::ReplicaConfig;
use pushrail_raft::error::{InitError, StartError, Unfit};
use pushrail_raft::replica::Replica;
use pushrail_raft::types::NodeAddresses;
use pushrail_raft::wire::proto;
use pushrail_raft::wire::proto::peer_client::PeerClient;
use tonic::{Code, Request, Status};

use crate::world::{World, addresses, eventually, knows, make_tenant};

fn unfit(result: Result<(), InitError>) -> Vec<Unfit> {
    match result {
        Err(InitError::Unfit(unfit)) => unfit,
        other => panic!("{other:?}"),
    }
}

fn unformed(world: &World) -> bool {
    world
        .running()
        .into_iter()
        .all(|node| !world.replica(node).status().initialised)
}

/// The members, one of them elsewhere.
fn but(world: &World, node: u64, addresses: NodeAddresses) -> BTreeMap<NodeId, NodeAddresses> {
    let mut members = world.members();
    members.insert(NodeId(node), addresses);
    members
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_member_is_named_and_nothing_is_formed_until_it_is_there() {
    let mut world = World::unformed(3).await;
    world.stop(3).await;

    let refused = unfit(world.replica(1).init(world.members()).await);

    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].node, NodeId(3));
    assert_eq!(refused[0].address, world.members()[&NodeId(3)].peer);
    assert!(refused[0].why.contains("does not answer"), "{refused:?}");
    assert!(unformed(&world));

    world.start(3).await;
    world.replica(1).init(world.members()).await.unwrap();
    world.all_follow().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_another_node_than_was_said_is_named_and_nothing_is_formed() {
    let world = World::unformed(3).await;
    let twisted = but(&world, 2, world.members()[&NodeId(3)].clone());
    let twisted = twisted
        .into_iter()
        .filter(|(node, _)| *node != NodeId(3))
        .collect();

    let refused = unfit(world.replica(1).init(twisted).await);

    assert_eq!(refused[0].node, NodeId(2));
    assert!(refused[0].why.contains("is node 3"), "{refused:?}");
    assert!(unformed(&world));
    world.replica(1).init(world.members()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_of_the_node_itself_is_found_before_anything_is_formed() {
    let world = World::unformed(3).await;

    let refused = unfit(world.replica(1).init(but(&world, 1, addresses())).await);

    assert_eq!(refused[0].node, NodeId(1));
    assert!(unformed(&world));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_cluster_is_named_and_both_clusters_stay_as_they_are() {
    let other = World::three().await;
    let world = World::unformed(3).await;
    let stolen = but(&world, 3, other.members()[&NodeId(3)].clone());

    let refused = unfit(world.replica(1).init(stolen).await);

    assert_eq!(refused[0].node, NodeId(3));
    assert!(refused[0].why.contains("belongs to cluster"), "{refused:?}");
    assert!(unformed(&world));
    make_tenant(&other.replica(3), "acme").await;
    world.replica(1).init(world.members()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_foundings_at_once_make_one_cluster_of_the_same_members_and_never_two_of_others() {
    let world = World::unformed(3).await;
    let without = |node| {
        let mut members = world.members();
        members.remove(&NodeId(node));
        members
    };

    let (first, third) = (world.replica(1), world.replica(3));
    let (one, other) = tokio::join!(first.init(without(3)), third.init(without(1)));

    assert!(
        one.is_err() || other.is_err(),
        "node 2 belongs to one cluster: {one:?} {other:?}"
    );
}

/// All files under `from`, but for the lock.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// A copy of a node's data, to be started at other addresses.
fn copied(world: &World, node: u64) -> ReplicaConfig {
    let mut config = world.config(node);
    let copied = config.data_dir.with_extension("copied");
    copy(&config.data_dir, &copied);
    config.data_dir = copied;
    config.advertise = addresses();
    config.peer_listen = config.advertise.peer.parse().unwrap();
    config
}

async fn start(world: &World, config: ReplicaConfig) -> Result<Replica, StartError> {
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    Replica::start(config, clock).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_directory_is_refused_beside_the_node_that_it_was_taken_from() {
    let mut world = World::three().await;
    world.stop(3).await;
    let config = copied(&world, 3);
    world.start(3).await;

    let refused = start(&world, config).await.err();

    let Some(StartError::Refused { why, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(why.contains("node 3 runs already at"), "{why}");
    make_tenant(&world.replica(3), "acme").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_node_and_its_copy_one_alone_goes_on_and_the_other_ends_with_the_reason() {
    let mut world = World::three().await;
    world.stop(3).await;
    let config = copied(&world, 3);
    let copy = start(&world, config).await.unwrap();
    let leader = world.replica(world.leader().await);
    eventually("the leader hears the copy", || {
        leader.leadership().is_some_and(|leadership| {
            leadership
                .members
                .iter()
                .any(|member| member.report.is_some_and(|report| report.boot == copy.boot()))
        })
    })
    .await;

    world.start(3).await;

    let failed = world.replica(3).failed();
    let why = tokio::time::timeout(Duration::from_secs(10), failed)
        .await
        .unwrap();
    assert!(why.why.contains("another process speaks as node 3"), "{why}");
    copy.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_wiped_directory_counts_again_once_it_has_caught_up() {
    let mut world = World::three().await;
    make_tenant(&world.replica(1), "before").await;
    for node in [1, 2, 3] {
        world.stop(node).await;
    }
    fs::remove_dir_all(world.config(3).data_dir).unwrap();
    world.start(1).await;
    world.start(3).await;
    // Two of three run, and one of them has forgotten what it promised: that makes no majority.
    let wiped = world.replica(3);
    let refused = ask_for_a_vote(&world, 1, 3).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");

    world.start(2).await;
    eventually("the wiped one is let in again", || wiped.lease().is_held()).await;
    eventually("and votes", || wiped.status().votes).await;
    world.stop(1).await;

    make_tenant(&wiped, "after").await;
    assert!(knows(&wiped.view(), "before"));
}

/// As `from` asks `to`.
async fn ask_for_a_vote(world: &World, from: u64, to: u64) -> Result<proto::VoteResponse, Status> {
    let address = world.members()[&NodeId(to)].peer.clone();
    let mut client = PeerClient::connect(format!("http://{address}")).await.unwrap();
    let asking = world.replica(from).status();
    let mut request = Request::new(proto::VoteRequest {
        vote: Some(proto::Vote {
            term: asking.term + 1,
            node: from,
            committed: false,
        }),
        last: Some(proto::LogId {
            term: asking.term,
            node: from,
            index: asking.last_log.0,
        }),
        leadership_transfer: false,
    });
    let metadata = request.metadata_mut();
    // A stranger brings it: the node itself speaks in a start that only it knows, and nobody else may in its name.
    metadata.insert("pushrail-source", 9.into());
    metadata.insert("pushrail-boot", 1.into());
    metadata.insert("pushrail-run", 1.into());
    metadata.insert("pushrail-target", to.into());
    let cluster = format!("{:032x}", asking.cluster.unwrap());
    metadata.insert("pushrail-cluster", cluster.parse().unwrap());
    client.pre_vote(request).await.map(tonic::Response::into_inner)
}
