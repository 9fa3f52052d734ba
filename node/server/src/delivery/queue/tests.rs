//! Turns, bounds and cursors, against a store that is a sorted set.

use pushrail_model::ids::{DestinationNo, TenantNo};

use super::*;

/// Queue and store together: what the owner does, without a node.
struct World {
    queue: Queue,
    rows: BTreeMap<QueueKey, BTreeSet<Row>>,
    held: BTreeSet<QueueKey>,
    concurrency: usize,
    now: Timestamp,
    reads: usize,
}

fn key(shard: u16, tenant: u32, destination: u32) -> QueueKey {
    QueueKey {
        shard: ShardId::new(shard).unwrap(),
        tenant: TenantNo(tenant),
        destination: DestinationNo(destination),
    }
}

fn row(due: u64, index: u64) -> Row {
    (Timestamp(due), EventSeq { index, position: 0 })
}

impl World {
    fn new(running: usize, concurrency: usize) -> Self {
        let mut queue = Queue::new(Bounds {
            running,
            open: 10_000,
        });
        for shard in 0..4 {
            queue.take_shard(ShardId::new(shard).unwrap());
        }
        Self {
            queue,
            rows: BTreeMap::new(),
            held: BTreeSet::new(),
            concurrency,
            now: Timestamp(1000),
            reads: 0,
        }
    }

    fn publish(&mut self, queue: QueueKey, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            self.rows.entry(queue).or_default().insert(row);
            self.queue.note_due(queue, row.0);
        }
    }

    /// Starts whatever may start, at most `most`.
    fn start(&mut self, most: usize) -> Vec<(QueueKey, Row)> {
        let mut started = Vec::new();
        while started.len() < most {
            match self.queue.next(self.now) {
                None => break,
                Some(Step::Read { queue, from, limit }) => {
                    self.reads += 1;
                    let of = self.rows.entry(queue).or_default();
                    let rows: Vec<Row> = of.range(from..).take(limit).copied().collect();
                    self.queue.filled(queue, &rows, limit, self.now);
                }
                Some(Step::Start { queue, row }) if self.held.contains(&queue) => self.queue.hold(queue, row),
                // Read ahead while it was open, and recorded since: the owner sees that it is gone.
                Some(Step::Start { queue, row }) if !self.rows[&queue].contains(&row) => {
                    self.queue.skipped(queue, self.now);
                }
                Some(Step::Start { queue, row }) => {
                    self.queue.started(queue, row, self.concurrency, self.now);
                    started.push((queue, row));
                }
            }
        }
        started
    }

    fn end(&mut self, queue: QueueKey) {
        self.queue.ended(queue, self.now);
    }

    fn record(&mut self, queue: QueueKey, row: Row) {
        self.rows.get_mut(&queue).unwrap().remove(&row);
        self.queue.recorded(queue, row.1);
    }

    fn finish(&mut self, queue: QueueKey, row: Row) {
        self.end(queue);
        self.record(queue, row);
    }
}

fn of(started: &[(QueueKey, Row)], queue: QueueKey) -> usize {
    started.iter().filter(|(key, _)| *key == queue).count()
}

#[test]
fn a_lone_publish_starts_at_once_and_leaves_nothing_behind() {
    let mut world = World::new(8, 4);
    let queue = key(1, 1, 1);
    world.publish(queue, [row(1000, 7)]);

    let started = world.start(9);
    world.finish(queue, row(1000, 7));

    assert_eq!(started, [(queue, row(1000, 7))]);
    assert_eq!(world.reads, 1);
    assert_eq!(world.start(9), []);
    assert_eq!(world.reads, 1, "nothing is left to read");
    assert_eq!(world.queue.next_due(), None);
    assert_eq!((world.queue.open(), world.queue.running()), (0, 0));
    assert!(world.queue.lines.is_empty() && world.queue.places.is_empty());
}

#[test]
fn nothing_starts_before_it_is_due() {
    let mut world = World::new(8, 4);
    let queue = key(1, 1, 1);
    world.publish(queue, [row(1500, 1), row(2000, 2)]);

    assert_eq!(world.start(9), []);
    assert_eq!(world.queue.next_due(), Some(Timestamp(1500)));

    world.now = Timestamp(1500);
    assert_eq!(world.start(9), [(queue, row(1500, 1))]);
    assert_eq!(world.queue.next_due(), Some(Timestamp(2000)));
}

#[test]
fn tenants_take_turns_and_so_do_their_destinations() {
    let mut world = World::new(64, 16);
    let busy = [key(0, 1, 1), key(0, 1, 2)];
    let quiet = key(0, 2, 1);
    for queue in busy {
        world.publish(queue, (0..100).map(|index| row(900, index)));
    }
    world.publish(quiet, [row(1000, 500), row(1000, 501)]);

    let started = world.start(8);

    assert_eq!(
        of(&started[..2], quiet),
        1,
        "one of the first two is the quiet tenant's"
    );
    assert_eq!(of(&started[..4], quiet), 2);
    assert_eq!((of(&started, busy[0]), of(&started, busy[1])), (3, 3));
}

#[test]
fn a_destination_never_has_more_under_way_than_its_concurrency() {
    let mut world = World::new(64, 3);
    let queue = key(0, 1, 1);
    world.publish(queue, (0..10).map(|index| row(900, index)));

    let first = world.start(99);
    world.end(queue);
    let second = world.start(99);

    assert_eq!(first.len(), 3);
    assert_eq!(second.len(), 1, "an end makes room, recorded or not");
    assert_eq!(second[0].1, row(900, 3));
}

#[test]
fn a_line_that_was_forgotten_still_knows_what_is_under_way() {
    let mut world = World::new(64, 2);
    let queue = key(0, 1, 1);
    for index in 0..3 {
        world.publish(queue, [row(1000 + index, index)]);
        world.now = Timestamp(1000 + index);
        world.start(9);
    }

    assert_eq!(world.queue.running(), 2, "not one, and not three");
}

#[test]
fn a_destination_that_hangs_holds_up_no_other() {
    let mut world = World::new(64, 16);
    let hangs = key(0, 1, 1);
    let well = key(0, 1, 2);
    world.publish(hangs, (0..1000).map(|index| row(500, index)));
    world.start(999);

    world.publish(well, (2000..2100).map(|index| row(1000, index)));
    let mut delivered = 0;
    loop {
        let started = world.start(99);
        if started.is_empty() {
            break;
        }
        for (queue, row) in started {
            world.finish(queue, row);
            delivered += 1;
        }
    }

    assert_eq!(delivered, 100);
    assert_eq!(
        world.queue.running(),
        16,
        "the one that hangs keeps what it holds"
    );
}

#[test]
fn a_tenant_whose_destinations_all_hang_leaves_half_of_the_node_to_others() {
    let mut world = World::new(64, 16);
    for destination in 0..50 {
        world.publish(key(0, 1, destination), (0..20).map(|index| row(500, index)));
    }
    let held = world.start(999).len();

    let other = key(1, 2, 1);
    world.publish(other, (2000..2100).map(|index| row(1000, index)));
    let started = world.start(999);

    assert_eq!(held, 32);
    assert!(of(&started, other) >= 8, "{}", started.len());
    assert_eq!(started.len(), of(&started, other));
}

#[test]
fn a_due_time_below_the_cursor_lowers_it_and_nothing_starts_twice() {
    let mut world = World::new(64, 16);
    let queue = key(0, 1, 1);
    world.publish(queue, [row(1000, 1), row(1000, 2)]);
    assert_eq!(world.start(9).len(), 2);

    // The leader's time was behind ours.
    world.publish(queue, [row(998, 3)]);

    assert_eq!(world.start(9), [(queue, row(998, 3))]);
    assert_eq!(world.start(9), []);
}

#[test]
fn a_retry_far_ahead_hides_nothing_that_is_due_now() {
    let mut world = World::new(64, 1);
    let queue = key(1, 1, 1);
    world.publish(queue, (1..=4).map(|index| row(900, index)));
    for index in 1..=2 {
        assert_eq!(world.start(9), [(queue, row(900, index))]);
        world.finish(queue, row(900, index));
    }
    assert_eq!(world.start(9), [(queue, row(900, 3))]);

    // While the third is under way: a retry an hour from now, and after it a new event.
    world.publish(queue, [row(3_600_000_000, 1)]);
    world.publish(queue, [row(1001, 9)]);
    world.now = Timestamp(1001);
    world.finish(queue, row(900, 3));
    assert_eq!(world.start(9), [(queue, row(900, 4))]);
    world.finish(queue, row(900, 4));

    assert_eq!(world.start(9), [(queue, row(1001, 9))]);
}

#[test]
fn rows_read_ahead_give_way_to_one_that_comes_before_them() {
    let mut world = World::new(1, 16);
    let queue = key(0, 1, 1);
    world.publish(queue, (0..5).map(|index| row(900, index)));
    let first = world.start(9);
    world.publish(queue, [row(800, 9)]);
    world.finish(queue, first[0].1);

    let mut order = Vec::new();
    while let Some((queue, row)) = world.start(1).first().copied() {
        world.finish(queue, row);
        order.push(row);
    }

    assert_eq!(
        order,
        [row(800, 9), row(900, 1), row(900, 2), row(900, 3), row(900, 4)]
    );
}

#[test]
fn a_retry_that_is_due_before_its_record_is_seen_starts_once_it_is() {
    let mut world = World::new(64, 16);
    let queue = key(0, 1, 1);
    world.publish(queue, [row(1000, 1)]);
    world.start(9);
    world.end(queue);

    // The state has moved the row, and the hint is here before the recorder has said so.
    world.rows.get_mut(&queue).unwrap().clear();
    world.publish(queue, [row(1001, 1)]);
    world.now = Timestamp(1001);
    assert_eq!(world.start(9), []);

    world.queue.recorded(queue, row(1000, 1).1);
    assert_eq!(world.start(9), [(queue, row(1001, 1))]);
}

#[test]
fn a_held_destination_rests_untouched_and_goes_on_where_it_was() {
    let mut world = World::new(64, 2);
    let queue = key(0, 1, 1);
    world.held.insert(queue);
    world.publish(queue, (0..5).map(|index| row(900, index)));

    assert_eq!(world.start(9), []);
    assert_eq!(world.queue.oldest_due(), None, "it is nobody's lateness");
    world.publish(queue, [row(901, 9)]);
    assert_eq!(world.start(9), []);

    world.held.clear();
    world.queue.look_again_in(queue.shard);
    assert_eq!(world.start(9), [(queue, row(900, 0)), (queue, row(900, 1))]);
}

#[test]
fn a_start_that_sent_nothing_comes_again() {
    let mut world = World::new(64, 2);
    let queue = key(0, 1, 1);
    world.publish(queue, [row(900, 1)]);
    world.start(9);

    world.queue.unstarted(queue, row(900, 1).1, world.now);

    assert_eq!(world.queue.running(), 0);
    assert_eq!(world.start(9), [(queue, row(900, 1))]);
}

#[test]
fn a_shard_that_is_dropped_starts_nothing_and_remembers_what_is_open() {
    let mut world = World::new(64, 1);
    let queue = key(2, 1, 1);
    world.publish(queue, [row(900, 1), row(900, 2)]);
    world.start(9);

    world.queue.drop_shard(queue.shard);
    assert_eq!(world.queue.open_in(queue.shard), 1);
    world.end(queue);
    world.publish(queue, [row(901, 3)]);
    assert_eq!(world.start(9), []);

    // Back again, and the first is still not recorded.
    world.queue.take_shard(queue.shard);
    world.queue.note_due(queue, Timestamp(900));
    assert_eq!(world.start(9), [(queue, row(900, 2))]);
    world.record(queue, row(900, 1));
    world.finish(queue, row(900, 2));
    assert_eq!(world.queue.open_in(queue.shard), 0);
    assert_eq!(world.start(9), [(queue, row(901, 3))]);
}

#[test]
fn nothing_starts_while_too_much_is_unrecorded() {
    let mut world = World::new(64, 16);
    world.queue.bounds.open = 3;
    let queue = key(0, 1, 1);
    world.publish(queue, (0..5).map(|index| row(900, index)));

    let first = world.start(9);
    for _ in &first {
        world.end(queue);
    }
    assert_eq!(first.len(), 3);
    assert_eq!(world.start(9), []);

    world.record(queue, first[0].1);
    assert_eq!(world.start(9).len(), 1);
}

#[test]
fn a_million_done_are_never_passed_over_again() {
    // Whatever was finished lies below the cursor: the reads start above it.
    let mut world = World::new(64, 16);
    let queue = key(0, 1, 1);
    let mut lowest = Timestamp(0);
    for index in 0..500 {
        world.now = Timestamp(1000 + index);
        world.publish(queue, [row(1000 + index, index)]);
        while let Some(step) = world.queue.next(world.now) {
            match step {
                Step::Read { from, limit, .. } => {
                    assert!(from.0 >= lowest, "read from {from:?}, and {lowest:?} is done");
                    let rows: Vec<Row> = world.rows[&queue].range(from..).take(limit).copied().collect();
                    world.queue.filled(queue, &rows, limit, world.now);
                }
                Step::Start { queue, row } => {
                    world.queue.started(queue, row, 16, world.now);
                    world.finish(queue, row);
                    lowest = row.0;
                }
            }
        }
    }
}

#[test]
fn a_long_line_is_read_in_growing_steps() {
    let mut world = World::new(20_000, 20_000);
    let queue = key(0, 1, 1);
    world.publish(queue, (0..5_000).map(|index| row(900, index)));

    let started = world.start(5_000);

    assert_eq!(started.len(), 5_000);
    assert!(world.reads < 100, "{}", world.reads);
}

proptest::proptest! {
    #[test]
    fn whatever_happens_everything_due_starts_once_and_the_counts_hold(
        steps in proptest::collection::vec((0_u8..8, 0_u16..3, 0_u32..3, 0_u64..40), 1..200),
    ) {
        let mut world = World::new(6, 2);
        let mut under_way: Vec<(QueueKey, Row)> = Vec::new();
        let mut unrecorded: Vec<(QueueKey, Row)> = Vec::new();
        let mut index = 0;
        let mut done = 0_u64;
        for (what, shard, destination, amount) in steps {
            let queue = key(shard, u32::from(shard) % 2, destination);
            match what {
                0..=2 => {
                    index += 1;
                    // Some below the cursor, some ahead of time.
                    world.publish(queue, [row((world.now.0 + amount).saturating_sub(20), index)]);
                }
                3 => world.now = Timestamp(world.now.0 + amount),
                4 => if let Some((queue, row)) = under_way.pop() {
                    world.end(queue);
                    unrecorded.push((queue, row));
                },
                5 => if !unrecorded.is_empty() {
                    let (queue, row) = unrecorded.remove(0);
                    world.record(queue, row);
                    done += 1;
                },
                6 => if let Some((queue, row)) = under_way.pop() {
                    world.queue.unstarted(queue, row.1, world.now);
                },
                _ => world.queue.look_again(queue),
            }
            let started = world.start(usize::MAX);
            for one in &started {
                assert!(!under_way.contains(one) && !unrecorded.contains(one), "twice: {one:?}");
                assert!(one.1.0 <= world.now);
            }
            under_way.extend(started);
            assert_eq!(world.queue.running(), under_way.len());
            assert_eq!(world.queue.open(), under_way.len() + unrecorded.len());
        }

        // At the end everything comes to its turn.
        world.now = Timestamp(1_000_000);
        loop {
            for (queue, row) in under_way.drain(..) {
                world.end(queue);
                unrecorded.push((queue, row));
            }
            for (queue, row) in unrecorded.drain(..) {
                world.record(queue, row);
                done += 1;
            }
            under_way = world.start(usize::MAX);
            if under_way.is_empty() {
                break;
            }
        }
        assert_eq!(done, index);
        assert!(world.queue.lines.is_empty() && world.queue.heads.is_empty() && world.queue.parked.is_empty());
        assert_eq!(world.queue.ahead_total, 0);
    }
}
