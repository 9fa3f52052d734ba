//! What was started and is not on record yet. Pure; part of the queue.

use std::collections::HashMap;

use pushrail_model::command::QueueKey;
use pushrail_model::ids::EventSeq;
use pushrail_model::shard::ShardId;
use pushrail_model::time::Timestamp;

/// A delivery that was started and is not recorded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Its row when it was started.
    pub(crate) due: Timestamp,
    /// Its row was met again at this time, perhaps a new one: to be looked at once it is recorded.
    pub(crate) met: Option<Timestamp>,
}

/// All of them, and how many of each shard.
#[derive(Debug, Default)]
pub(crate) struct OpenDeliveries {
    all: HashMap<(QueueKey, EventSeq), Open>,
    in_shard: HashMap<ShardId, usize>,
}

impl OpenDeliveries {
    /// One was started.
    pub(crate) fn open(&mut self, queue: QueueKey, seq: EventSeq, due: Timestamp) {
        if self.all.insert((queue, seq), Open { due, met: None }).is_none() {
            *self.in_shard.entry(queue.shard).or_default() += 1;
        }
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
