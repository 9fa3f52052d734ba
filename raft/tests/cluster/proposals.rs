//! Commands through every node, many at a time, and twice.

use std::time::Duration;

use bytes::Bytes;
use pushrail_machine::codec;
use pushrail_model::command::Batch;
use pushrail_model::ids::{BatchNumber, BootId, NodeId};
use pushrail_model::limits;
use pushrail_raft::error::InitError;
use pushrail_raft::wire::proto;
use pushrail_raft::wire::proto::forward_answer::Outcome;
use pushrail_raft::wire::proto::peer_client::PeerClient;
use tonic::Request;

use crate::world::{World, eventually, knows, make_tenant, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_may_go_through_any_node() {
    let world = World::three().await;

    for node in world.running() {
        make_tenant(&world.replica(node), &format!("through-{node}")).await;
    }

    eventually("all nodes know all tenants", || {
        world.running().into_iter().all(|node| {
            let view = world.replica(node).view();
            (1..=3).all(|through| knows(&view, &format!("through-{through}")))
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_at_a_time_are_each_answered_and_share_entries() {
    let world = World::three().await;
    let before = world.replica(1).status().committed;

    let mut asked = Vec::new();
    for number in 0..600 {
        let replica = world.replica(number % 3 + 1);
        asked.push(tokio::spawn(async move {
            make_tenant(&replica, &format!("many-{number}")).await
        }));
    }
    let mut indexes = Vec::new();
    for proposed in asked {
        indexes.push(proposed.await.unwrap().index);
    }

    let entries = indexes.iter().max().unwrap().0 - before.0;
    assert!(entries < 300, "600 commands took {entries} entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn forming_the_cluster_again_changes_nothing_and_another_one_is_refused() {
    let world = World::three().await;
    let named = world.replica(1).status().cluster;

    world.replica(2).init(world.members()).await.unwrap();
    let mut others = world.members();
    others.remove(&NodeId(3));
    let refused = world.replica(1).init(others).await;

    assert_eq!(refused, Err(InitError::AlreadyInitialised));
    assert_eq!(world.replica(2).status().cluster, named);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_no_member_forms_no_cluster() {
    let world = World::unformed(1).await;
    let mut members = world.members();
    let addresses = members.remove(&NodeId(1)).unwrap();
    members.insert(NodeId(2), addresses);

    let refused = world.replica(1).init(members).await;

    assert!(matches!(refused, Err(InitError::Members(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaders_decision_dies_with_its_term() {
    let world = World::three().await;
    let leader = world.replica(world.leader().await);
    let mut term = None;
    eventually("the leader knows that it leads", || {
        term = leader.leadership().map(|leadership| leadership.term);
        term.is_some()
    })
    .await;
    let term = term.unwrap();

    leader.propose_leading(term, tenant("now")).await.unwrap();
    let early = leader.propose_leading(term - 1, tenant("early")).await;
    let follower = world.replica(world.follower().await);
    let elsewhere = follower.propose_leading(term, tenant("elsewhere")).await;

    assert!(early.unwrap_err().is_certain());
    assert!(elsewhere.unwrap_err().is_certain());
    assert!(!knows(&leader.view(), "early"));
}

/// A door of our own making that speaks to the leader.
async fn forward(world: &World, to: u64, batches: Vec<proto::ForwardBatch>) -> Vec<Outcome> {
    let count = batches.len();
    let address = world.members()[&NodeId(to)].peer.clone();
    let mut client = PeerClient::connect(format!("http://{address}")).await.unwrap();
    // The call stays open until all answers are here.
    let stream = futures::StreamExt::chain(futures::stream::iter(batches), futures::stream::pending());
    let mut request = Request::new(stream);
    for (name, value) in [
        ("pushrail-source", 9),
        ("pushrail-target", to),
        ("pushrail-boot", 1),
        ("pushrail-run", 1),
    ] {
        request.metadata_mut().insert(name, value.into());
    }
    let mut answers = client.forward(request).await.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while outcomes.len() < count {
        let answer = tokio::time::timeout(Duration::from_secs(10), answers.message())
            .await
            .unwrap();
        outcomes.push(answer.unwrap().unwrap().outcome.unwrap());
    }
    outcomes
}

fn batch(boot: u64, number: u64, lowest_open: u64, id: &str) -> proto::ForwardBatch {
    let batch: Bytes = codec::encode_batch(&Batch {
        node: NodeId(9),
        boot: BootId(boot),
        number: BatchNumber(number),
        lowest_open: BatchNumber(lowest_open),
        commands: vec![tenant(id)],
    });
    proto::ForwardBatch { number, batch }
}

fn answers(outcome: &Outcome) -> pushrail_machine::answers::Answers {
    let Outcome::Answered(answered) = outcome else {
        panic!("{outcome:?}");
    };
    codec::decode_answers(answered.answers.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_arrives_twice_finds_its_first() {
    let world = World::three().await;
    let leader = world.leader().await;

    let first = forward(&world, leader, vec![batch(1, 1, 1, "acme")]).await;
    let second = forward(&world, leader, vec![batch(1, 1, 1, "acme")]).await;

    assert_eq!(
        answers(&first[0]),
        answers(&second[0]),
        "the same entry and the same answers"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_an_earlier_start_is_retired() {
    let world = World::three().await;
    let leader = world.leader().await;
    forward(&world, leader, vec![batch(2, 1, 1, "acme")]).await;

    let late = forward(&world, leader, vec![batch(1, 7, 7, "late")]).await;

    assert!(matches!(late[0], Outcome::Retired(_)), "{late:?}");
    assert!(!knows(&world.replica(leader).view(), "late"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_no_node_could_apply_is_refused_before_it_is_in_the_log() {
    let world = World::three().await;
    let leader = world.leader().await;
    let sound = batch(1, 1, 1, "acme");
    let unreadable = Bytes::from_static(b"not a batch at all");
    // Field 5 of a batch: a command whose one choice has number 99.
    let of_tomorrow = Bytes::from_static(&[0x08, 9, 0x18, 3, 0x2a, 3, 0x9a, 0x06, 0]);
    let too_large = Bytes::from(vec![0; limits::ENTRY_BYTES_MAX + 1]);
    let refused: Vec<_> = [
        (2, unreadable),
        (3, of_tomorrow),
        (4, too_large),
        // Under another number than it bears.
        (5, sound.batch.clone()),
    ]
    .into_iter()
    .map(|(number, batch)| proto::ForwardBatch { number, batch })
    .collect();

    let outcomes = forward(&world, leader, refused).await;

    for outcome in outcomes {
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    }
    // Nobody has met any of them.
    answers(&forward(&world, leader, vec![sound]).await[0]);
    make_tenant(&world.replica(world.follower().await), "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_refuses_batches_and_names_the_leader() {
    let world = World::three().await;
    let leader = world.leader().await;
    let follower = world.follower().await;

    let refused = forward(&world, follower, vec![batch(1, 1, 1, "acme")]).await;

    let Outcome::Refused(refused) = &refused[0] else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.leader, Some(leader));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_turned_away() {
    let world = World::three().await;
    let address = world.members()[&NodeId(1)].peer.clone();
    let mut client = PeerClient::connect(format!("http://{address}")).await.unwrap();
    let request = || {
        let mut request = Request::new(proto::ReadIndexRequest {});
        for (name, value) in [
            ("pushrail-source", "2"),
            ("pushrail-target", "1"),
            ("pushrail-boot", "1"),
            ("pushrail-run", "1"),
            ("pushrail-cluster", "77"),
        ] {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        request
    };

    // Until the log has told the node its cluster's name, it cannot know a stranger.
    let refused = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Err(refused) = client.read_index(request()).await {
                break refused;
            }
        }
    })
    .await
    .expect("a stranger is refused in time");

    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
}
