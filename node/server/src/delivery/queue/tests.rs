//! The queue against a store that is a sorted set: whose turn it is, what is read, and that nothing is lost.

use std::collections::BTreeSet;

use super::*;

mod chance;
mod reading;
mod turns;

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
