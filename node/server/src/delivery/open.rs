//! What was started and is not on record yet. Pure; part of the queue.

use std::collections::{BTreeSet, HashMap};

use pushrail_model::command::QueueKey;
use pushrail_model::ids::{DestinationNo, EventSeq, TenantNo};
use pushrail_model::shard::ShardId;
use pushrail_model::time::{Span, Timestamp};

/// An attempt hangs that has been under way for so long: most end well within it, so that a shard that is asked for
/// mostly empties without a word. One that does not may take its whole time, and the others need not wait for that.
const HANGING: Span = Span::from_secs(1);

/// A delivery that was started and is not recorded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Its row when it was started.
    pub(crate) due: Timestamp,
    /// When that was.
    pub(crate) started: Timestamp,
    /// Its row was met again at this time, perhaps a new one: to be looked at once it is recorded.
    pub(crate) met: Option<Timestamp>,
}

/// All of them, and how many of each shard.
#[derive(Debug, Default)]
pub(crate) struct OpenDeliveries {
    all: HashMap<(QueueKey, EventSeq), Open>,
    in_shard: HashMap<ShardId, usize>,
    // By shard and age.
    by_age: BTreeSet<(ShardId, Timestamp, QueueKey, EventSeq)>,
}

impl OpenDeliveries {
    /// One was started now.
    pub(crate) fn open(&mut self, queue: QueueKey, seq: EventSeq, due: Timestamp, now: Timestamp) {
        let open = Open {
            due,
            started: now,
            met: None,
        };
        match self.all.insert((queue, seq), open) {
            Some(before) => {
                self.by_age.remove(&(queue.shard, before.started, queue, seq));
            }
            None => *self.in_shard.entry(queue.shard).or_default() += 1,
        }
        self.by_age.insert((queue.shard, now, queue, seq));
    }

    /// The destinations of a shard, once for each of their attempts that hangs.
    pub(crate) fn hanging_in(&self, shard: ShardId, now: Timestamp) -> impl Iterator<Item = QueueKey> + '_ {
        let first = QueueKey {
            shard,
            tenant: TenantNo(0),
            destination: DestinationNo(0),
        };
        self.by_age
            .range((shard, Timestamp::ZERO, first, EventSeq::ZERO)..)
            .take_while(move |(of, started, ..)| *of == shard && started.plus(HANGING) <= now)
            .map(|(_, _, queue, _)| *queue)
    }

    /// Its row was met: `true` if it is open and so must not be started.
    pub(crate) fn meet(&mut self, queue: QueueKey, seq: EventSeq, due: Timestamp) -> bool {
        match self.all.get_mut(&(queue, seq)) {
            Some(open) => {
                open.met = Some(due);
                true
            }
            None => false,
        }
    }

    /// It is on record, or sent nothing.
    pub(crate) fn close(&mut self, queue: QueueKey, seq: EventSeq) -> Option<Open> {
        let open = self.all.remove(&(queue, seq))?;
        self.by_age.remove(&(queue.shard, open.started, queue, seq));
        if let Some(count) = self.in_shard.get_mut(&queue.shard) {
            *count -= 1;
            if *count == 0 {
                self.in_shard.remove(&queue.shard);
            }
        }
        Some(open)
    }

    /// Over all.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Of one shard.
    pub(crate) fn count_in(&self, shard: ShardId) -> usize {
        self.in_shard.get(&shard).copied().unwrap_or(0)
    }
}
