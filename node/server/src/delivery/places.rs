//! Where each line of the queue stands: waiting for its time, taking turns, or set aside. Pure; part of the queue.

use std::collections::{BTreeSet, HashMap};

use pushrail_model::command::QueueKey;
use pushrail_model::time::Timestamp;

use crate::delivery::turns::{Running, Turns};

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Waits for its head to become due.
    Parked,
    /// Takes turns.
    Ready,
    /// Its destination is at its concurrency.
    Full,
    /// Its destination is held, or nothing is left.
    Rests,
}

/// The places of all lines.
#[derive(Debug, Default)]
pub(crate) struct Places {
    of: HashMap<QueueKey, (Place, Option<Timestamp>)>,
    parked: BTreeSet<(Timestamp, QueueKey)>,
    // Heads of all lines that are not held: the oldest is the age of the queue.
    heads: BTreeSet<(Timestamp, QueueKey)>,
    turns: Turns,
}

impl Places {
    /// Whether a line takes turns.
    pub(crate) fn takes_turns(&self, queue: QueueKey) -> bool {
        self.of
            .get(&queue)
            .is_some_and(|(place, _)| *place == Place::Ready)
    }

    /// Puts a line, whose first row is due at `head`, to this place. One that takes turns already keeps its own.
    pub(crate) fn put(&mut self, queue: QueueKey, place: Place, head: Option<Timestamp>) {
        let before = self.of.insert(queue, (place, head));
        if before == Some((place, head)) {
            return;
        }
        if let Some(before) = before {
            self.unlist(queue, before, place == Place::Ready);
        }
        if let Some(due) = head {
            self.heads.insert((due, queue));
            match place {
                Place::Parked => {
                    self.parked.insert((due, queue));
                }
                Place::Ready => self.turns.join(queue),
                Place::Full | Place::Rests => {}
            }
        }
    }

    /// A line is no more.
    pub(crate) fn remove(&mut self, queue: QueueKey) {
        if let Some(before) = self.of.remove(&queue) {
            self.unlist(queue, before, false);
        }
    }

    fn unlist(&mut self, queue: QueueKey, (place, head): (Place, Option<Timestamp>), stays_ready: bool) {
        if let Some(due) = head {
            self.heads.remove(&(due, queue));
            if place == Place::Parked {
                self.parked.remove(&(due, queue));
            }
        }
        if place == Place::Ready && !stays_ready {
            self.turns.leave(queue);
        }
    }

    /// The line that waits for the nearest time.
    pub(crate) fn first_parked(&self) -> Option<(Timestamp, QueueKey)> {
        self.parked.first().copied()
    }

    /// The first row's time of all lines that are not held.
    pub(crate) fn first_head(&self) -> Option<Timestamp> {
        self.heads.first().map(|(due, _)| *due)
    }

    /// Whose turn it is, of those who may take one more of the node's `places`.
    pub(crate) fn next_turn(&self, running: &Running, places: usize) -> Option<QueueKey> {
        self.turns.next(running, places)
    }

    /// A line had its turn.
    pub(crate) fn served(&mut self, queue: QueueKey) {
        self.turns.served(queue);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty() && self.parked.is_empty() && self.heads.is_empty()
    }
}
