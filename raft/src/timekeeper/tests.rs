//! What a leader says about the time: when, how much, and why not.

use super::*;
use crate::clock::TestClock;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

struct World {
    clock: Arc<TestClock>,
    keeper: Timekeeper,
}

impl World {
    /// Node 1 leads two others in term 5, of whom nothing was heard.
    fn led() -> Self {
        let clock = Arc::new(TestClock::new());
        let shared: Arc<dyn Clock> = Arc::<TestClock>::clone(&clock);
        let keeper = Timekeeper::new(NodeId(1), shared, Duration::from_secs(10));
        keeper.lead(5, (1..=3).map(NodeId).collect());
        Self { clock, keeper }
    }

    /// As `led`; node 2's clock was heard, and all before this term is applied.
    fn begun() -> Self {
        let world = Self::led();
        world.hear(2, Duration::ZERO);
        world.keeper.begin(5, Timestamp::ZERO, None);
        world
    }

    /// `node` tells its clock, which is `ahead` of this one's before any of the test's turns.
    fn hear(&self, node: u64, ahead: Duration) {
        let right = crate::clock::SystemClock.wall();
        let wall = right.plus(Span::from_duration(ahead));
        self.keeper.hear(NodeId(node), wall, self.clock.monotonic());
    }

    fn time(&self) -> Timestamp {
        self.keeper.stamp(None).unwrap().time
    }
}

fn near(one: Timestamp, other: Timestamp) -> bool {
    one.0.abs_diff(other.0) < Span::from_secs(1).0
}

#[test]
fn no_time_is_said_before_a_majority_was_heard_and_the_past_is_applied() {
    let world = World::led();
    let missing = |world: &World| match world.keeper.stamp(None) {
        Err(NoTime::NotYet { why }) => why,
        other => panic!("{other:?}"),
    };
    assert!(missing(&world).contains("1 of 2"));

    world.hear(3, Duration::ZERO);
    assert!(missing(&world).contains("applied"));
    world.keeper.begin(5, Timestamp::ZERO, None);

    assert!(near(world.time(), world.clock.wall()));
    assert_eq!(world.keeper.stamp(Some(5)).unwrap().term, 5);
    assert_eq!(world.keeper.stamp(Some(4)), Err(NoTime::NotLeading));
    world.keeper.resign();
    assert_eq!(world.keeper.stamp(None), Err(NoTime::NotLeading));
}

#[test]
fn the_time_begins_at_the_median_and_is_counted_on_whatever_the_wall_clocks_do() {
    let world = World::begun();
    let first = world.time();

    // All walls are set forward by a year at once: no jump.
    world.clock.jump_wall(YEAR);
    world.hear(2, YEAR);
    world.hear(3, YEAR);
    world.clock.advance(HOUR);

    let passed = world.time().since(first).as_duration();
    assert!(passed >= HOUR && passed < HOUR + 5 * SECOND, "{passed:?}");
}

#[test]
fn a_follower_with_a_wrong_clock_is_named_and_changes_nothing() {
    let world = World::begun();
    let first = world.time();

    world.hear(3, YEAR);
    world.hear(2, Duration::ZERO);

    assert!(near(world.time(), first));
    let sight = world.keeper.sight().unwrap();
    assert_eq!(sight.off.keys().collect::<Vec<_>>(), [&NodeId(3)]);
    assert_eq!(sight.apart, None);
    assert!(sight.ahead[&NodeId(3)] > 364 * 86_400 * 1_000_000);
}

#[test]
fn a_leader_whose_own_clock_jumps_says_nothing_more_and_names_everybody() {
    let world = World::begun();
    world.hear(3, SECOND);
    world.time();

    world.clock.jump_wall(HOUR);

    let Err(NoTime::Apart { why }) = world.keeper.stamp(None) else {
        panic!("it went on");
    };
    assert!(
        why.contains("node 1 +3") && why.contains("node 2 ") && why.contains("10s"),
        "{why}"
    );
    let sight = world.keeper.sight().unwrap();
    let Agreement::Apart { heirs, .. } = &sight.agreement else {
        panic!("{sight:?}");
    };
    assert_eq!(heirs.len(), 2);
    // Said a moment later, so to the microsecond it may be another figure.
    let apart = sight.apart.unwrap_or_default();
    assert!(apart.contains("node 1 +3"), "{apart}");

    world.clock.turn_wall_back(HOUR);
    assert!(world.keeper.stamp(None).is_ok(), "it is right again");
}

#[test]
fn a_clock_heard_once_still_bears_witness_when_its_node_is_gone() {
    let world = World::begun();
    world.clock.advance(HOUR);

    // Node 2 is dead; node 3 comes with a clock that is a year off.
    world.keeper.hear(
        NodeId(3),
        world.clock.wall().plus(Span::from_duration(YEAR)),
        world.clock.monotonic(),
    );

    assert!(world.keeper.stamp(None).is_ok());
}

#[test]
fn a_new_term_begins_where_the_last_leader_was_and_not_where_two_wrong_clocks_are() {
    let world = World::led();
    let followed = world.clock.wall();
    world.clock.jump_wall(YEAR);
    world.hear(2, YEAR);
    world.hear(3, Duration::ZERO);

    world.keeper.begin(5, Timestamp::ZERO, Some(followed));

    assert!(near(world.time(), followed));
    let ahead = world.keeper.sight().unwrap().time_ahead.unwrap();
    assert!(ahead < -364 * 86_400 * 1_000_000, "{ahead}");
}

#[test]
fn a_state_ahead_of_all_clocks_goes_on() {
    let world = World::led();
    world.hear(2, Duration::ZERO);
    let state = world.clock.wall().plus(Span::from_duration(YEAR));
    world.keeper.begin(5, state, None);
    let first = world.time();
    assert!(first >= state);

    world.clock.advance(HOUR);

    let passed = world.time().since(first).as_duration();
    assert!(passed >= HOUR * 8 / 10 && passed <= HOUR, "{passed:?}");
}

#[tokio::test]
async fn whoever_asks_a_new_leader_waits_for_the_clocks() {
    let world = World::led();
    let asked = world.keeper.stamp_within(None, Duration::from_secs(30));
    let tell = async {
        world.hear(2, Duration::ZERO);
        world.keeper.begin(5, Timestamp::ZERO, None);
    };

    let (said, ()) = tokio::join!(asked, tell);

    assert!(said.is_ok());
    let other = World::led();
    let too_soon = other.keeper.stamp_within(None, Duration::from_millis(1)).await;
    assert!(matches!(too_soon, Err(NoTime::NotYet { .. })));
}

#[test]
fn an_offset_is_told_with_its_sign() {
    assert_eq!(signed(3_600_000_400), "+3600s");
    assert_eq!(signed(-1_500_000), "-1.5s");
}
