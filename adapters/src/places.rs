//! How many connections a node holds towards destinations, in all. The pool bounds what it keeps for one host only,
//! so with the number of hosts it would grow until the process has no descriptor left for anything. Every socket has
//! a place here from its first packet to its end; where none is free, the connection that was idle longest gives up
//! its own, and while none is idle, whoever wants one waits as long as a connection may take.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::wire::Wire;

/// Held by whoever holds a socket.
pub(crate) type Place = OwnedSemaphorePermit;

/// All places. Clones are of the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    next: u64,
    /// Longest idle first.
    idle: BTreeMap<u64, Wire>,
}

impl Places {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(max)),
            state: Mutex::default(),
        }))
    }

    pub(crate) async fn take(&self) -> Place {
        let free = || Arc::clone(&self.0.free);
        if let Ok(place) = free().try_acquire_owned() {
            return place;
        }
        let _waiting = self.wait();
        let place = free().acquire_owned().await;
        place.expect("this semaphore is never closed")
    }

    fn wait(&self) -> Waiting<'_> {
        let mut state = self.state();
        state.waiting += 1;
        if let Some((_, longest)) = state.idle.pop_first() {
            longest.end();
        }
        Waiting(self)
    }

    /// An exchange is over and leaves its connection to the next one; under which number it is idle now.
    pub(crate) fn idle(&self, wire: &Wire) -> Option<u64> {
        let mut state = self.state();
        if state.waiting > 0 {
            wire.end();
            return None;
        }
        state.next += 1;
        let number = state.next;
        state.idle.insert(number, wire.clone());
        Some(number)
    }

    /// It is in use again, or closed.
    pub(crate) fn no_longer_idle(&self, number: u64) {
        self.state().idle.remove(&number);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting<'a>(&'a Places);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}
