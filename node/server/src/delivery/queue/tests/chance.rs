//! Whatever happens, in whatever order.

use super::*;

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
        assert!(world.queue.lines.is_empty() && world.queue.places.is_empty());
        assert_eq!(world.queue.ahead_total, 0);
    }
}
