//! Who may start how much, and when it is whose turn.

use super::*;

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
fn what_has_been_under_way_for_a_second_hangs_until_it_is_recorded() {
    let mut world = World::new(8, 8);
    let (slow, other) = (key(1, 1, 1), key(1, 1, 2));
    world.publish(slow, [row(10, 1)]);
    world.start(1);
    let later = world.now.plus(pushrail_model::time::Span::from_secs(1));
    let shard = slow.shard;
    assert!(!world.queue.hangs_in(shard, world.now), "it has just begun");

    assert!(world.queue.hangs_in(shard, later));
    assert!(world.queue.hangs(slow, later));
    assert!(!world.queue.hangs(other, later));
    assert!(!world.queue.hangs_in(key(2, 1, 1).shard, later));

    world.end(slow);
    world.record(slow, row(10, 1));
    assert!(!world.queue.hangs_in(shard, later));
}
