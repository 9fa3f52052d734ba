//! Brings the state to disk now and then, so that a restart has little to apply again. On a thread of its own: a
//! flush of the state must hold up neither applying nor Raft's timers.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::state::State;

/// When the state is brought to disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlushPolicy {
    /// After so many bytes of entries were applied.
    pub(crate) bytes: usize,
    /// And at the latest so long after the first of them.
    pub(crate) age: Duration,
}

impl Default for FlushPolicy {
    fn default() -> Self {
        Self {
            bytes: 96 * 1024 * 1024,
            age: Duration::from_secs(30),
        }
    }
}

/// The way to the thread; it ends when this is dropped.
pub(crate) struct Persister {
    applied: Option<Sender<usize>>,
    thread: Option<JoinHandle<()>>,
}

impl Persister {
    pub(crate) fn start(state: State, policy: FlushPolicy) -> std::io::Result<Self> {
        let (applied, heard) = channel();
        let thread = std::thread::Builder::new()
            .name("state-flush".to_owned())
            .spawn(move || serve(&state, policy, &heard))?;
        Ok(Self {
            applied: Some(applied),
            thread: Some(thread),
        })
    }

    /// So many bytes of entries were applied.
    pub(crate) fn applied(&self, bytes: usize) {
        if let Some(applied) = &self.applied {
            // The thread ends by itself only where it panicked: then memtables are flushed when they are full.
            applied.send(bytes).ok();
        }
    }
}

impl Drop for Persister {
    fn drop(&mut self) {
        self.applied = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that flushes the state panicked");
        }
    }
}

fn serve(state: &State, policy: FlushPolicy, applied: &Receiver<usize>) {
    let mut bytes = 0;
    let mut since: Option<Instant> = None;
    loop {
        let heard = match since {
            None => applied.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => applied.recv_timeout(policy.age.saturating_sub(since.elapsed())),
        };
        match heard {
            Ok(more) => {
                bytes += more;
                let first = *since.get_or_insert_with(Instant::now);
                if bytes < policy.bytes && first.elapsed() < policy.age {
                    continue;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        flush(state);
        (bytes, since) = (0, None);
    }
    if since.is_some() {
        flush(state);
    }
}

fn flush(state: &State) {
    // What a disk has refused once is not tried again in place.
    if state.failure().borrow().is_some() {
        return;
    }
    if let Err(error) = state.flush() {
        state.fail(Failure::of_store(&error));
    }
    state.sweep();
}
