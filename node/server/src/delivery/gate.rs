//! The last look before something goes out, and what the fence is made of.
//!
//! Invariant: an attempt sends nothing unless the lease is held at that instant, and until then its ticket holds the
//! fence at the index of the view that it was decided upon. So once the fence has passed an index, nothing begins on
//! older terms, however long a task waited for its thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pushrail_model::ids::LogIndex;

/// Tickets of attempts that were decided and have not begun.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    waiting: Arc<Mutex<BTreeMap<LogIndex, usize>>>,
}

impl Gate {
    /// For an attempt decided upon a view of this index.
    pub(crate) fn ticket(&self, index: LogIndex) -> Ticket {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting.entry(index).or_default() += 1;
        Ticket {
            index,
            waiting: Arc::clone(&self.waiting),
        }
    }

    /// The fence, where all decisions to come are made upon views of `present` or later.
    pub(crate) fn fence(&self, present: LogIndex) -> LogIndex {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .first_key_value()
            .map_or(present, |(oldest, _)| present.min(*oldest))
    }
}

/// Dropped when its attempt begins, or will not.
#[derive(Debug)]
pub(crate) struct Ticket {
    index: LogIndex,
    waiting: Arc<Mutex<BTreeMap<LogIndex, usize>>>,
}

impl Ticket {
    /// Index of the view that the attempt was decided upon.
    pub(crate) fn index(&self) -> LogIndex {
        self.index
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.index) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_waits_for_what_was_decided_and_has_not_begun() {
        let gate = Gate::default();
        let (first, second, same) = (
            gate.ticket(LogIndex(5)),
            gate.ticket(LogIndex(7)),
            gate.ticket(LogIndex(7)),
        );

        assert_eq!(gate.fence(LogIndex(9)), LogIndex(5));
        drop(first);
        assert_eq!(gate.fence(LogIndex(9)), LogIndex(7));
        drop(second);
        assert_eq!(gate.fence(LogIndex(9)), LogIndex(7));
        drop(same);
        assert_eq!(gate.fence(LogIndex(9)), LogIndex(9));
    }
}
