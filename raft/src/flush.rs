//! Group commit above the log's crate, which groups nothing unless it is made to wait.
//!
//! Invariant: at most one flush is under way; those who come meanwhile are carried by the next one, together and
//! in order. A lone entry waits for nobody.
//! Order of locks: the log, then the group. The log's own thread, on which flushes end, takes the group alone, and
//! before that the sealer, which nobody else wants meanwhile.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openraft::storage::IOFlushed;
use raft_log::RaftLog;
use raft_log::api::raft_log_writer::RaftLogWriter;
use tokio::sync::{oneshot, watch};

use crate::error::{Cause, Failure, in_full};
use crate::metrics::RAFT_FSYNC_DURATION_SECONDS;
use crate::record::LogTypes;
use crate::seal::Sealer;
use crate::types::{LogId, TypeConfig, Vote};
use crate::watermark::Watermark;

/// Called after each flush, before anybody is told of it; tests make flushes slow with it, or fail.
pub(crate) type FlushHook = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// Who waits for a flush.
pub(crate) enum Waiter {
    /// Entries of the core.
    Append(IOFlushed<TypeConfig>),
    /// A vote; it also goes into the watermark.
    Vote(Vote, oneshot::Sender<io::Result<()>>),
    /// Nobody, but the log's crate has files to remove afterwards.
    Nobody,
}

/// What the thread beside the log is to do.
pub(crate) enum Task {
    /// The next flush: some gathered while the last was under way.
    Flush,
    /// Bring the watermark to disk: a chunk's worth has been flushed.
    SyncMark,
    /// Nothing more.
    Stop,
}

/// Those who wait, and what stands between them and the disk.
pub(crate) struct Group {
    gathered: Mutex<Gathered>,
    sealer: Mutex<Sealer>,
    // Where the log ends, in memory or in its files.
    end: AtomicU64,
    watermark: Watermark,
    failure: watch::Sender<Option<Failure>>,
    tasks: Sender<Task>,
    chunk_bytes: u64,
    hook: Option<FlushHook>,
}

#[derive(Default)]
struct Gathered {
    under_way: bool,
    waiting: Vec<Waiter>,
    /// Something lies in memory that should reach the file, but for which nobody waits.
    unwritten: bool,
    /// Bytes of the log when the watermark was last brought to disk.
    marked_bytes: u64,
    failed: Option<String>,
}

impl Group {
    pub(crate) fn new(
        watermark: Watermark,
        sealer: Sealer,
        end: u64,
        tasks: Sender<Task>,
        chunk_bytes: u64,
        hook: Option<FlushHook>,
    ) -> Self {
        Self {
            gathered: Mutex::default(),
            sealer: Mutex::new(sealer),
            end: AtomicU64::new(end),
            watermark,
            failure: watch::Sender::new(None),
            tasks,
            chunk_bytes,
            hook,
        }
    }

    pub(crate) fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// The log ends here now. Order: said before the flush that brings it to disk begins, under the log's lock.
    pub(crate) fn ends_at(&self, end: u64) {
        self.end.fetch_max(end, Ordering::AcqRel);
    }

    /// Why the log can no longer be used; the process must end.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<Failure>> {
        self.failure.subscribe()
    }

    /// The first reason stays. Whoever listens ends the process at once, whatever the core makes of it.
    pub(crate) fn tell_failure(&self, failure: Failure) {
        self.failure.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(failure);
            first
        });
    }

    /// What was flushed without a group, when the log is closed.
    pub(crate) fn seal_all(&self) {
        let sealed = self.sealer().advance(self.end.load(Ordering::Acquire));
        let raised = sealed.and_then(|sealed| {
            self.watermark
                .raise(self.watermark.era(), None, sealed)
                .map_err(io::Error::other)
        });
        if let Err(error) = raised {
            tracing::error!(%error, "the log was not sealed when it was closed");
        }
    }

    fn sealer(&self) -> MutexGuard<'_, Sealer> {
        self.sealer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error once a flush has failed: nothing is tried again in place.
    pub(crate) fn check(&self) -> io::Result<()> {
        match &self.lock().failed {
            Some(why) => Err(io::Error::other(why.clone())),
            None => Ok(()),
        }
    }

    /// Has all that was appended to `log` brought to disk, now or with the next flush, and `waiter` told of it.
    pub(crate) fn flush(self: &Arc<Self>, log: &mut RaftLog<LogTypes>, waiter: Waiter) -> io::Result<()> {
        let waiters = {
            let mut gathered = self.lock();
            gathered.waiting.push(waiter);
            if gathered.under_way {
                return Ok(());
            }
            gathered.under_way = true;
            gathered.unwritten = false;
            std::mem::take(&mut gathered.waiting)
        };
        self.begin(log, waiters)
    }

    /// Hands all that was appended to `log` to the file system, now or with the next flush; nobody waits.
    pub(crate) fn write(self: &Arc<Self>, log: &mut RaftLog<LogTypes>) -> io::Result<()> {
        {
            let mut gathered = self.lock();
            if gathered.under_way {
                gathered.unwritten = true;
                return Ok(());
            }
        }
        log.flush(false, None)
    }

    /// The flush after one that has ended, for those who gathered meanwhile.
    pub(crate) fn flush_next(self: &Arc<Self>, log: &mut RaftLog<LogTypes>) -> io::Result<()> {
        let waiters = {
            let mut gathered = self.lock();
            gathered.unwritten = false;
            if gathered.waiting.is_empty() {
                gathered.under_way = false;
                None
            } else {
                Some(std::mem::take(&mut gathered.waiting))
            }
        };
        match waiters {
            Some(waiters) => self.begin(log, waiters),
            None => log.flush(false, None),
        }
    }

    /// Brings the watermark to disk; a failure is one of the log.
    pub(crate) fn sync_mark(&self) {
        if let Err(error) = self.watermark.sync() {
            self.fail(&io::Error::other(error), Vec::new());
        }
    }

    fn begin(self: &Arc<Self>, log: &mut RaftLog<LogTypes>, waiters: Vec<Waiter>) -> io::Result<()> {
        let flushing = Flushing {
            group: Arc::clone(self),
            batch: Some(FlushBatch {
                waiters,
                last: log.log_state().last().map(|id| id.0),
                bytes: log.on_disk_size(),
                end: self.end.load(Ordering::Acquire),
                era: self.watermark.era(),
                began: Instant::now(),
            }),
        };
        log.flush(true, Some(flushing))
    }

    fn ended(&self, batch: FlushBatch, result: io::Result<()>) {
        metrics::histogram!(RAFT_FSYNC_DURATION_SECONDS).record(batch.began.elapsed());
        let hooked = || self.hook.as_ref().map_or(Ok(()), |hook| hook());
        if let Err(error) = result.and_then(|()| hooked()).and_then(|()| self.mark(&batch)) {
            self.fail(&error, batch.waiters);
            return;
        }
        tell(batch.waiters, None);
        let mut gathered = self.lock();
        if batch.bytes >= gathered.marked_bytes + self.chunk_bytes {
            gathered.marked_bytes = batch.bytes;
            // The thread is gone only where the log is being closed, and then it has synced.
            self.tasks.send(Task::SyncMark).ok();
        }
        if gathered.waiting.is_empty() && !gathered.unwritten {
            gathered.under_way = false;
        } else {
            // Not from here: this is the log's own thread, and a flush waits for it where its queue is full.
            self.tasks.send(Task::Flush).ok();
        }
    }

    fn mark(&self, batch: &FlushBatch) -> io::Result<()> {
        let sealed = self.sealer().advance(batch.end)?;
        self.watermark
            .raise(batch.era, batch.last, sealed)
            .map_err(io::Error::other)?;
        for waiter in &batch.waiters {
            if let Waiter::Vote(vote, _) = waiter {
                self.watermark.raise_vote(*vote).map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    fn fail(&self, error: &io::Error, mut waiters: Vec<Waiter>) {
        let why = format!("the log could not be brought to disk: {}", in_full(error));
        self.tell_failure(Failure {
            cause: Cause::Disk,
            why: why.clone(),
        });
        {
            let mut gathered = self.lock();
            waiters.append(&mut gathered.waiting);
            gathered.under_way = false;
            gathered.failed = Some(why.clone());
        }
        tell(waiters, Some(&why));
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(waiters: Vec<Waiter>, failure: Option<&str>) {
    let result = || match failure {
        Some(why) => Err(io::Error::other(why.to_owned())),
        None => Ok(()),
    };
    for waiter in waiters {
        match waiter {
            Waiter::Append(flushed) => flushed.io_completed(result()),
            // Whoever asked may have gone away.
            Waiter::Vote(_, asked) => asked.send(result()).unwrap_or_default(),
            Waiter::Nobody => {}
        }
    }
}

/// One flush under way, held by the log's crate until it ends.
pub(crate) struct Flushing {
    group: Arc<Group>,
    batch: Option<FlushBatch>,
}

struct FlushBatch {
    waiters: Vec<Waiter>,
    last: Option<LogId>,
    bytes: u64,
    end: u64,
    era: u64,
    began: Instant,
}

impl raft_log::Callback for Flushing {
    fn send(mut self, result: io::Result<()>) {
        if let Some(batch) = self.batch.take() {
            self.group.ended(batch, result);
        }
    }
}

impl Drop for Flushing {
    /// The log's thread has died, or refused: whoever waits must not wait for ever.
    fn drop(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.group
                .ended(batch, Err(io::Error::other("the log's writer has stopped")));
        }
    }
}
