//! When a shard is given, when it is asked for, and when nothing is done.

use pushrail_raft::status::MemberReport;

use super::*;

const CALM: Circumstances = Circumstances {
    settled: true,
    all_reported: true,
    led_for: Duration::from_secs(60),
    steady_for: Duration::from_secs(60),
};

fn member(node: u64, last_seen: bool, lease_over: bool) -> MemberView {
    MemberView {
        node: NodeId(node),
        voter: true,
        last_seen: last_seen.then(Instant::now),
        lease_over,
        report: None,
    }
}

fn leadership(members: Vec<MemberView>) -> Leadership {
    Leadership {
        term: 1,
        since: Instant::now(),
        settled: true,
        members,
    }
}

fn decide(
    members: &[MemberView],
    assignment: &BTreeMap<ShardId, Ownership>,
    circumstances: Circumstances,
) -> Vec<ShardMove> {
    let live = live(&leadership(members.to_vec()));
    choose(&live, members, assignment, circumstances)
}

/// Spread evenly over these.
fn spread(nodes: &[u64]) -> BTreeMap<ShardId, Ownership> {
    let nodes = nodes.iter().copied().map(NodeId).collect();
    plan(&nodes, &BTreeMap::new())
        .into_iter()
        .map(|(shard, owner)| {
            let ownership = Ownership {
                owner,
                epoch: Epoch(1),
                moving_to: None,
            };
            (shard, ownership)
        })
        .collect()
}

#[test]
fn the_first_assignment_waits_for_those_who_have_not_reported_but_not_for_long() {
    let members = [
        member(1, true, false),
        member(2, true, false),
        member(3, false, false),
    ];
    let early = Circumstances {
        settled: false,
        all_reported: false,
        led_for: Duration::from_millis(300),
        steady_for: Duration::ZERO,
    };

    assert_eq!(decide(&members, &BTreeMap::new(), early), []);
    let waited = Circumstances {
        led_for: FIRST_WAIT,
        ..early
    };
    let moves = decide(&members, &BTreeMap::new(), waited);

    assert_eq!(moves.len(), 1024);
    assert!(moves.iter().all(|shard_move| shard_move.how == MoveKind::Give
        && shard_move.from_epoch == Epoch(0)
        && shard_move.to != NodeId(3)));
}

#[test]
fn a_silent_node_keeps_its_shards_while_it_may_hold_a_lease_and_loses_them_after() {
    let assignment = spread(&[1, 2, 3]);
    let silent = [
        member(1, true, false),
        member(2, false, false),
        member(3, true, false),
    ];
    let over = [
        member(1, true, false),
        member(2, true, true),
        member(3, true, false),
    ];

    assert_eq!(decide(&silent, &assignment, CALM), []);
    let moves = decide(&over, &assignment, CALM);

    let lost = assignment
        .values()
        .filter(|ownership| ownership.owner == NodeId(2))
        .count();
    assert_eq!(moves.len(), lost);
    for shard_move in moves {
        assert_eq!(assignment[&shard_move.shard].owner, NodeId(2));
        assert_eq!(shard_move.how, MoveKind::Give);
        assert_eq!(shard_move.from_epoch, Epoch(1));
    }
}

#[test]
fn a_new_leader_takes_nothing_from_anybody_before_earlier_leases_are_over() {
    let assignment = spread(&[1, 2, 3]);
    let members = [
        member(1, true, false),
        member(2, true, true),
        member(3, true, false),
    ];
    let unsettled = Circumstances {
        settled: false,
        ..CALM
    };

    assert_eq!(decide(&members, &assignment, unsettled), []);
}

#[test]
fn a_node_that_comes_back_gets_its_share_by_asking_some_at_a_time() {
    let mut assignment = spread(&[1, 3]);
    let members = [
        member(1, true, false),
        member(2, true, false),
        member(3, true, false),
    ];

    let just_back = Circumstances {
        steady_for: Duration::from_millis(500),
        ..CALM
    };
    assert_eq!(decide(&members, &assignment, just_back), []);
    let moves = decide(&members, &assignment, CALM);

    assert_eq!(moves.len(), ASKED_MAX);
    assert!(
        moves
            .iter()
            .all(|shard_move| shard_move.how == MoveKind::Ask && shard_move.to == NodeId(2))
    );

    for shard_move in &moves {
        assignment.get_mut(&shard_move.shard).unwrap().moving_to = Some(NodeId(2));
    }
    assert_eq!(
        decide(&members, &assignment, CALM),
        [],
        "no more until some are released"
    );
}

#[test]
fn a_move_whose_old_owner_died_goes_where_it_was_going() {
    let mut assignment = spread(&[1, 2, 3]);
    let (shard, ownership) = assignment
        .iter_mut()
        .find(|(_, held)| held.owner == NodeId(2))
        .unwrap();
    ownership.moving_to = Some(NodeId(3));
    let shard = *shard;
    let members = [
        member(1, true, false),
        member(2, true, true),
        member(3, true, false),
    ];

    let moves = decide(&members, &assignment, CALM);

    let shard_move = moves.iter().find(|shard_move| shard_move.shard == shard).unwrap();
    assert_eq!(shard_move.how, MoveKind::Give);
    assert!(moves.iter().filter(|other| other.shard == shard).count() == 1);
}

#[test]
fn an_even_spread_is_left_alone() {
    let members = [
        member(1, true, false),
        member(2, true, false),
        member(3, true, false),
    ];

    assert_eq!(decide(&members, &spread(&[1, 2, 3]), CALM), []);
}

#[test]
fn a_node_that_is_about_to_stop_is_asked_for_all_its_shards_at_once_and_gets_none() {
    let mut assignment = spread(&[1, 2, 3]);
    let mut members = [
        member(1, true, false),
        member(2, true, false),
        member(3, true, false),
    ];
    members[1].report = Some(MemberReport {
        leaving: true,
        ..MemberReport::default()
    });
    // Another one is on its way to it.
    let (going, ownership) = assignment
        .iter_mut()
        .find(|(_, ownership)| ownership.owner == NodeId(3))
        .unwrap();
    ownership.moving_to = Some(NodeId(2));
    let going = *going;
    let just_now = Circumstances {
        settled: false,
        steady_for: Duration::ZERO,
        ..CALM
    };

    let moves = decide(&members, &assignment, just_now);

    let its_own = moves
        .iter()
        .filter(|shard_move| assignment[&shard_move.shard].owner == NodeId(2));
    let owned = assignment
        .values()
        .filter(|ownership| ownership.owner == NodeId(2))
        .count();
    assert_eq!(its_own.count(), owned);
    assert!(
        moves
            .iter()
            .all(|shard_move| shard_move.how == MoveKind::Ask && shard_move.to != NodeId(2))
    );
    assert!(moves.iter().all(|shard_move| shard_move.shard != going));
}
