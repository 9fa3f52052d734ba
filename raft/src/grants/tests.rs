//! Who may hold a lease, and who certainly holds none.

use std::time::Duration;

use pushrail_model::ids::BootId;

use super::*;

fn report(boot: u64, fence: u64) -> MemberReport {
    MemberReport {
        boot: BootId(boot),
        fence: LogIndex(fence),
        ..MemberReport::default()
    }
}

#[test]
fn a_new_leader_knows_nobodys_lease_to_be_over_until_all_earlier_ones_must_be() {
    let grants = Grants::new();
    let start = Instant::now();
    grants.lead(3, start);

    assert!(!grants.is_over(NodeId(2), start + LEASE));
    assert!(!grants.is_settled(start + LEASE));
    assert!(grants.is_over(NodeId(2), start + LEASE + LEASE_MARGIN));
    assert!(grants.is_settled(start + LEASE + LEASE_MARGIN));
}

#[test]
fn a_lease_is_over_a_margin_after_it_was_granted_for_the_last_time() {
    let grants = Grants::new();
    let start = Instant::now();
    grants.lead(3, start);
    let later = start + Duration::from_secs(60);

    assert!(grants.grant(3, NodeId(2), report(1, 7), grants.take_up(), later));

    assert!(!grants.is_over(NodeId(2), later + LEASE));
    assert!(grants.is_over(NodeId(2), later + LEASE + LEASE_MARGIN));
    assert_eq!(grants.fence(NodeId(2)), Some(LogIndex(7)));
}

#[test]
fn nothing_is_granted_in_a_term_that_has_passed_or_to_a_start_that_has() {
    let grants = Grants::new();
    let start = Instant::now();
    grants.lead(3, start);
    grants.grant(3, NodeId(2), report(5, 0), grants.take_up(), start);

    assert!(
        !grants.grant(3, NodeId(2), report(4, 0), grants.take_up(), start),
        "an earlier start"
    );
    assert!(
        !grants.grant(2, NodeId(2), report(5, 0), grants.take_up(), start),
        "an earlier term"
    );
    grants.resign();
    assert!(
        !grants.grant(3, NodeId(2), report(5, 0), grants.take_up(), start),
        "no leader"
    );
    assert!(!grants.is_over(NodeId(2), start + Duration::from_secs(60)));
}

#[test]
fn a_report_without_a_lease_is_known_and_makes_no_lease_longer() {
    let grants = Grants::new();
    let start = Instant::now();
    grants.lead(3, start);
    grants.grant(3, NodeId(2), report(5, 7), grants.take_up(), start);
    let later = start + LEASE;

    grants.note(3, NodeId(2), report(5, 8), later);
    grants.note(3, NodeId(3), report(1, 0), later);

    assert_eq!(grants.fence(NodeId(2)), Some(LogIndex(8)));
    for node in [2, 3] {
        assert!(!grants.is_over(NodeId(node), start + LEASE));
        assert!(grants.is_over(NodeId(node), start + LEASE + LEASE_MARGIN));
    }
}

#[test]
fn another_term_begins_with_an_empty_table() {
    let grants = Grants::new();
    let start = Instant::now();
    grants.lead(3, start);
    grants.grant(3, NodeId(2), report(5, 9), grants.take_up(), start);

    grants.lead(4, start);

    assert_eq!(grants.fence(NodeId(2)), None);
}

#[test]
fn a_lease_that_is_asked_for_while_shards_are_given_away_is_refused() {
    let grants = Arc::new(Grants::new());
    let start = Instant::now();
    grants.lead(3, start);
    let later = start + LEASE + LEASE_MARGIN;
    let (lost, other) = (NodeId(2), NodeId(3));
    assert!(grants.grant(3, other, report(1, 0), grants.take_up(), start));
    let grant = |node, taken| grants.grant(3, node, report(1, 0), taken, later);
    // Its leadership was confirmed before the shards were given away, its answer comes after.
    let before = grants.take_up();

    let giving = grants.give_away(3, &BTreeSet::from([lost]), later).unwrap();
    assert!(!grant(lost, before));
    assert!(!grant(lost, grants.take_up()), "they are being given away");
    let meanwhile = grants.take_up();
    drop(giving);

    assert!(!grant(lost, before), "its commit index may lie before the move");
    assert!(!grant(lost, meanwhile));
    assert!(grant(lost, grants.take_up()), "the next one holds the move");
    assert!(grants.is_over(lost, later + LEASE + LEASE_MARGIN));
}

#[test]
fn nothing_is_given_away_of_a_node_whose_lease_was_renewed_in_between() {
    let grants = Arc::new(Grants::new());
    let start = Instant::now();
    grants.lead(3, start);
    let later = start + LEASE + LEASE_MARGIN;
    grants.grant(3, NodeId(2), report(1, 0), grants.take_up(), later);

    let owners = BTreeSet::from([NodeId(2)]);
    assert!(grants.give_away(3, &owners, later).is_none());
    assert!(
        grants.give_away(2, &BTreeSet::new(), later).is_none(),
        "an earlier term"
    );
}

#[test]
fn a_running_lease_is_renewed_while_others_lose_their_shards() {
    let grants = Arc::new(Grants::new());
    let start = Instant::now();
    grants.lead(3, start);
    let later = start + LEASE + LEASE_MARGIN;
    grants.grant(3, NodeId(2), report(1, 0), grants.take_up(), later);
    let taken = grants.take_up();

    let _giving = grants.give_away(3, &BTreeSet::from([NodeId(3)]), later).unwrap();

    assert!(grants.grant(3, NodeId(2), report(1, 0), taken, later));
}
