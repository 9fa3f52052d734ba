//! What is read of a line: what is due, once, in order, and never what is done.

use super::*;

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
