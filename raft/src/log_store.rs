//! The log on disk, as the consensus core wants it: entries and votes in one file after another, by `raft-log`.
//!
//! What is appended is readable at once and acknowledged once it is on disk ([`crate::flush`]). Nothing else in
//! this crate knows how the log lies on disk.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use pushrail_model::ids::NodeId;
use raft_log::RaftLog;
use raft_log::api::raft_log_writer::RaftLogWriter;
use raft_log::chunked_wal;
use raft_log::types::Segment;
use tokio::sync::{oneshot, watch};

use crate::error::{Cause, Failure};
use crate::flush::{FlushHook, Group, Task, Waiter};
use crate::log_check::{self, LogDamage, LogError};
use crate::record::{IdRecord, LogTypes, PayloadRecord, VoteRecord};
use crate::seal::{Sealer, Seals};
use crate::types::{LogEntry, LogId, TypeConfig, Vote};
use crate::watermark::Watermark;

const MIB: usize = 1024 * 1024;
/// How long the watermark may be ahead of its copy on disk.
const MARK_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Where the log lies and how much memory it may have.
#[derive(Clone)]
pub(crate) struct LogOptions {
    pub(crate) node: NodeId,
    pub(crate) dir: PathBuf,
    pub(crate) watermark: PathBuf,
    pub(crate) seals: PathBuf,
    /// Bytes of one file.
    pub(crate) chunk_bytes: usize,
    /// Bytes of entries kept in memory beyond those of the newest file.
    pub(crate) cache_bytes: usize,
    pub(crate) mark_sync_every: Duration,
    pub(crate) after_flush: Option<FlushHook>,
}

impl LogOptions {
    pub(crate) fn new(node: NodeId, dir: PathBuf, watermark: PathBuf, seals: PathBuf) -> Self {
        Self {
            node,
            dir,
            watermark,
            seals,
            chunk_bytes: 16 * MIB,
            cache_bytes: 32 * MIB,
            mark_sync_every: MARK_SYNC_INTERVAL,
            after_flush: None,
        }
    }
}

/// The open log. Cheap to clone; the files close when the last clone is gone.
#[derive(Clone)]
pub(crate) struct LogStore {
    owner: Arc<Owner>,
}

/// Ends the thread beside the log with the last clone.
struct Owner {
    shared: Arc<Shared>,
    tasks: Sender<Task>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    log: RwLock<RaftLog<LogTypes>>,
    group: Arc<Group>,
}

impl LogStore {
    /// Opens the log in its directory, which must be there; an empty one is a log without entries. Refuses a log
    /// that does not hold what was once on disk.
    pub(crate) fn open(options: LogOptions) -> Result<Self, LogError> {
        let watermark = Watermark::open(&options.watermark, options.node)?;
        let failed = |source| LogError::Io {
            dir: options.dir.clone(),
            source,
        };
        let config = raft_log::Config {
            wal: chunked_wal::Config {
                dir: options.dir.to_string_lossy().into_owned(),
                read_buffer_size: Some(MIB),
                chunk_max_size: Some(options.chunk_bytes),
                truncate_incomplete_record: Some(true),
                // Its own wait would delay a lone entry; the grouping is ours.
                flush_batch_wait: Some(Duration::ZERO),
                ..chunked_wal::Config::default()
            },
            log_cache_max_items: None,
            log_cache_capacity: Some(options.cache_bytes),
        };
        let config = Arc::new(config);
        let sealed = watermark.mark().sealed;
        let seals = Seals::open(&options.seals, options.node, sealed.chunk)?;
        // Order: before the log is opened, which cuts off what cannot be read at its end.
        let missing = log_check::check(&config, seals.seals(), &sealed)?;
        let before = log_check::bytes_in(&options.dir).map_err(failed)?;
        let log = RaftLog::open(Arc::clone(&config)).map_err(|source| {
            // The log's crate names a place in the whole log, which helps nobody who has files.
            log_check::locate(&config).map_or_else(|| failed(source), LogError::Damage)
        })?;
        let cut = before.saturating_sub(log_check::bytes_in(&options.dir).map_err(failed)?);
        if cut > 0 {
            tracing::warn!(
                dir = %options.dir.display(),
                bytes = cut,
                "the end of the log was torn before it was flushed, and is cut off; nobody was told that it is there"
            );
        }
        if let Some(lost) = log_check::lost(&log, &watermark.mark()).map_err(failed)? {
            return Err(match missing {
                Some(path) => LogError::Damage(LogDamage::Missing { path }),
                None => LogError::Lost {
                    dir: options.dir,
                    lost,
                },
            });
        }
        let (tasks, received) = std::sync::mpsc::channel();
        let end = log_check::end_in(&options.dir).map_err(failed)?;
        let group = Group::new(
            watermark,
            Sealer::new(config.wal.clone(), seals, sealed),
            end,
            tasks.clone(),
            options.chunk_bytes as u64,
            options.after_flush,
        );
        let shared = Arc::new(Shared {
            log: RwLock::new(log),
            group: Arc::new(group),
        });
        let beside = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("log-flush".to_owned())
            .spawn(move || beside.serve(&received, options.mark_sync_every))
            .map_err(failed)?;
        Ok(Self {
            owner: Arc::new(Owner {
                shared,
                tasks,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Why the log can no longer be used; the process must end.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<Failure>> {
        self.group().failure()
    }

    /// Bytes of the log on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.read().on_disk_size()
    }

    /// The last entry that it holds.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.read().log_state().last().map(|id| id.0)
    }

    /// The vote that it holds.
    pub(crate) fn vote(&self) -> Option<Vote> {
        self.read().log_state().vote().map(|vote| vote.0)
    }

    /// The last entry that was removed from its beginning.
    pub(crate) fn purged(&self) -> Option<LogId> {
        self.read().log_state().purged().map(|id| id.0)
    }

    fn read(&self) -> RwLockReadGuard<'_, RaftLog<LogTypes>> {
        self.owner
            .shared
            .log
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> io::Result<RwLockWriteGuard<'_, RaftLog<LogTypes>>> {
        self.group().check()?;
        Ok(self.owner.shared.write())
    }

    fn group(&self) -> &Arc<Group> {
        &self.owner.shared.group
    }

    /// Entries from `start` up to before `end`, no more than fill `bytes`, but one if there is one.
    ///
    /// What cannot be read is neither applied nor sent to a peer: the node stops.
    pub(crate) fn entries(&self, start: u64, end: u64, bytes: usize) -> io::Result<Vec<LogEntry>> {
        self.read_entries(start, end, bytes).inspect_err(|error| {
            self.group().tell_failure(Failure {
                cause: Cause::of_io(error),
                why: format!("the log could not be read from index {start}: {error}"),
            });
        })
    }

    fn read_entries(&self, start: u64, end: u64, bytes: usize) -> io::Result<Vec<LogEntry>> {
        if start >= end {
            return Ok(Vec::new());
        }
        let mut taken = 0;
        let mut entries = Vec::new();
        let mut next = start;
        while next < end {
            // Let go between records: a cold one is read from the disk, and who writes waits for that one at most.
            let found = self.read().read(next, end).next();
            let Some(found) = found else { break };
            let (IdRecord(id), payload) = found?;
            next = id.index + 1;
            taken += payload.body_bytes();
            if taken > bytes && !entries.is_empty() {
                break;
            }
            entries.push(payload.into_entry(id)?);
        }
        Ok(entries)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The thread ends by itself only where it panicked, and then there is nothing to stop.
        self.tasks.send(Task::Stop).ok();
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread beside the log panicked");
        }
    }
}

impl Shared {
    fn write(&self) -> RwLockWriteGuard<'_, RaftLog<LogTypes>> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread beside the log: flushes what gathered, and brings the watermark to disk.
    fn serve(&self, tasks: &Receiver<Task>, sync_every: Duration) {
        let mut next_sync = Instant::now() + sync_every;
        loop {
            match tasks.recv_timeout(next_sync.saturating_duration_since(Instant::now())) {
                Ok(Task::Flush) => {
                    // An error has reached those who wait for the flush already, through its callback.
                    if let Err(error) = self.group.flush_next(&mut self.write()) {
                        tracing::error!(%error, "the log refused a flush");
                    }
                }
                Ok(Task::SyncMark) => next_sync = Instant::now(),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            // After every task: under load the next one is there long before a wait could end.
            if next_sync <= Instant::now() {
                // What a disk has refused once is not tried again in place.
                if self.group.check().is_ok() {
                    self.group.sync_mark();
                }
                next_sync = Instant::now() + sync_every;
            }
        }
        let mut log = self.write();
        // What a disk has refused once is not tried again in place.
        if self.group.check().is_err() {
            return;
        }
        let written = log.flush(true, None).and_then(|()| log.wait_worker_idle());
        match written {
            Ok(()) => self.group.seal_all(),
            Err(error) => tracing::error!(%error, "the log was not flushed when it was closed"),
        }
        self.group.sync_mark();
    }
}

/// Where a record that was written ends, counted from the beginning of the whole log.
fn end_of(written: &Segment) -> u64 {
    written.offset + written.size
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.read();
        Ok(LogState {
            last_purged_log_id: log.log_state().purged().map(|id| id.0),
            last_log_id: log.log_state().last().map(|id| id.0),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (asked, flushed) = oneshot::channel();
        {
            let mut log = self.write()?;
            let written = log.save_vote(VoteRecord(*vote))?;
            self.group().ends_at(end_of(&written));
            self.group().flush(&mut log, Waiter::Vote(*vote, asked))?;
        }
        flushed
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the log was closed")))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let Some(committed) = committed.map(IdRecord) else {
            return Ok(());
        };
        let mut log = self.write()?;
        let state = log.log_state();
        // While a snapshot is installed the core may know of more than the log holds; then it is not worth keeping.
        if state.committed() >= Some(&committed) || state.last() < Some(&committed) {
            return Ok(());
        }
        let written = log.commit(committed)?;
        self.group().ends_at(end_of(&written));
        self.group().write(&mut log)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.read().log_state().committed().map(|id| id.0))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = LogEntry> + Send,
        I::IntoIter: Send,
    {
        let mut log = self.write()?;
        let written = log.append(
            entries
                .into_iter()
                .map(|entry| (IdRecord(entry.log_id), PayloadRecord::of(entry.payload))),
        )?;
        self.group().ends_at(end_of(&written));
        self.group().flush(&mut log, Waiter::Append(callback))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let mut log = self.write()?;
        if log.log_state().last().map(|id| id.0) <= last {
            return Ok(());
        }
        // Order: the watermark first, or a crash in between would look like a lost tail.
        self.group().watermark().lower(last).map_err(io::Error::other)?;
        let written = log.truncate(last.map_or(0, |id| id.index + 1))?;
        self.group().ends_at(end_of(&written));
        self.group().write(&mut log)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut log = self.write()?;
        let written = log.purge(IdRecord(upto))?;
        self.group().ends_at(end_of(&written));
        self.group().flush(&mut log, Waiter::Nobody)
    }
}

#[cfg(test)]
mod tests;
