//! How far the log was once on disk: a small file beside it that tells a lost tail from one never written.
//!
//! Two slots are written in turn, so that a torn write leaves the other. It is written after every flush of the
//! log, and synced by its owner now and then; before the log is truncated it is lowered and synced.
//! Invariant: what it names has been fsynced in the log, and was not truncated since.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::types::{LeaderId, LogId, Vote};

const MAGIC: [u8; 4] = *b"PRWM";
const VERSION: u8 = 1;
/// The slots lie in different blocks of the file system.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
const SLOT_BYTES: usize = 64;

/// What was once on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last entry.
    pub(crate) log: Option<LogId>,
    /// The last vote.
    pub(crate) vote: Option<Vote>,
}

/// The watermark could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatermarkError {
    /// The file could not be used.
    #[error("{what} the log's watermark {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Neither slot is whole.
    #[error("the log's watermark {path} is damaged")]
    Damaged { path: PathBuf },
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Watermark {
    file: File,
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Of the slot written last.
    sequence: u64,
    mark: Mark,
    /// Raised by every lowering: a flush that began before it may not raise the mark again.
    era: u64,
    unsynced: bool,
}

impl Watermark {
    /// Makes the file of an empty log. Syncing the directory is the caller's.
    pub(crate) fn create(path: &Path) -> Result<(), WatermarkError> {
        let write = || {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)?;
            file.write_all_at(&encode(1, &Mark::default()), SLOT_OFFSETS[1])?;
            file.sync_all()
        };
        write().map_err(|source| WatermarkError::Io {
            what: "create",
            path: path.to_path_buf(),
            source,
        })
    }

    /// Opens the file and reads its mark.
    pub(crate) fn open(path: &Path) -> Result<Self, WatermarkError> {
        let read = || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            let mut found = None;
            for offset in SLOT_OFFSETS {
                let mut slot = [0; SLOT_BYTES];
                match file.read_exact_at(&mut slot, offset) {
                    Ok(()) => found = found.max_by_sequence(decode(&slot)),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                    Err(error) => return Err(error),
                }
            }
            Ok((file, found))
        };
        let (file, found) = read().map_err(|source| WatermarkError::Io {
            what: "open",
            path: path.to_path_buf(),
            source,
        })?;
        let (sequence, mark) = found.ok_or_else(|| WatermarkError::Damaged {
            path: path.to_path_buf(),
        })?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            inner: Mutex::new(Inner {
                sequence,
                mark,
                era: 0,
                unsynced: false,
            }),
        })
    }

    /// What was once on disk.
    pub(crate) fn mark(&self) -> Mark {
        self.lock().mark
    }

    /// The present era; a flush asks before it begins.
    pub(crate) fn era(&self) -> u64 {
        self.lock().era
    }

    /// The log is on disk up to here, by a flush that began in `era`. Not synced.
    pub(crate) fn raise(&self, era: u64, log: LogId) -> Result<(), WatermarkError> {
        let mut inner = self.lock();
        if inner.era != era || inner.mark.log >= Some(log) {
            return Ok(());
        }
        let mark = Mark {
            log: Some(log),
            ..inner.mark
        };
        self.write(&mut inner, mark)
    }

    /// This vote is in the log on disk. Synced, since votes are few and a forgotten one is a second one.
    pub(crate) fn raise_vote(&self, vote: Vote) -> Result<(), WatermarkError> {
        let mut inner = self.lock();
        let mark = Mark {
            vote: Some(vote),
            ..inner.mark
        };
        self.write(&mut inner, mark)?;
        self.sync_locked(&mut inner)
    }

    /// The log is about to end here. Synced.
    pub(crate) fn lower(&self, log: Option<LogId>) -> Result<(), WatermarkError> {
        let mut inner = self.lock();
        inner.era += 1;
        if inner.mark.log <= log {
            return Ok(());
        }
        let mark = Mark { log, ..inner.mark };
        self.write(&mut inner, mark)?;
        self.sync_locked(&mut inner)
    }

    /// Brings to disk what was written since the last time, if anything was.
    pub(crate) fn sync(&self) -> Result<(), WatermarkError> {
        self.sync_locked(&mut self.lock())
    }

    fn write(&self, inner: &mut Inner, mark: Mark) -> Result<(), WatermarkError> {
        let sequence = inner.sequence + 1;
        let offset = SLOT_OFFSETS[usize::from(sequence % 2 == 1)];
        self.file
            .write_all_at(&encode(sequence, &mark), offset)
            .map_err(|source| self.failed("write", source))?;
        inner.sequence = sequence;
        inner.mark = mark;
        inner.unsynced = true;
        Ok(())
    }

    fn sync_locked(&self, inner: &mut Inner) -> Result<(), WatermarkError> {
        if inner.unsynced {
            self.file
                .sync_data()
                .map_err(|source| self.failed("sync", source))?;
            inner.unsynced = false;
        }
        Ok(())
    }

    fn failed(&self, what: &'static str, source: io::Error) -> WatermarkError {
        WatermarkError::Io {
            what,
            path: self.path.clone(),
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

trait Newest {
    fn max_by_sequence(self, other: Self) -> Self;
}

impl Newest for Option<(u64, Mark)> {
    fn max_by_sequence(self, other: Self) -> Self {
        match (self, other) {
            (Some(one), Some(two)) => Some(if one.0 >= two.0 { one } else { two }),
            (one, two) => one.or(two),
        }
    }
}

/// Magic, version, what is there, sequence, log id, vote, checksum.
fn encode(sequence: u64, mark: &Mark) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..4].copy_from_slice(&MAGIC);
    slot[4] = VERSION;
    slot[5] = u8::from(mark.log.is_some());
    slot[6] = u8::from(mark.vote.is_some());
    slot[7] = u8::from(mark.vote.is_some_and(|vote| vote.committed));
    let log = |of: fn(LogId) -> u64| mark.log.map_or(0, of);
    let vote = |of: fn(Vote) -> u64| mark.vote.map_or(0, of);
    let numbers = [
        sequence,
        log(|id| id.leader_id.term),
        log(|id| id.leader_id.node_id),
        log(|id| id.index),
        vote(|vote| vote.leader_id.term),
        vote(|vote| vote.leader_id.node_id),
    ];
    for (place, number) in slot[8..56].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    let sum = crc32c::crc32c(&slot[..60]);
    slot[60..].copy_from_slice(&sum.to_le_bytes());
    slot
}

fn decode(slot: &[u8; SLOT_BYTES]) -> Option<(u64, Mark)> {
    let (checked, sum) = slot.split_last_chunk::<4>()?;
    if crc32c::crc32c(checked) != u32::from_le_bytes(*sum) || checked[..4] != MAGIC || checked[4] != VERSION {
        return None;
    }
    let mut numbers = checked[8..56].chunks_exact(8).filter_map(|number| {
        let bytes: [u8; 8] = number.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    });
    let sequence = numbers.next()?;
    let log = LogId {
        leader_id: LeaderId {
            term: numbers.next()?,
            node_id: numbers.next()?,
        },
        index: numbers.next()?,
    };
    let vote = Vote {
        leader_id: LeaderId {
            term: numbers.next()?,
            node_id: numbers.next()?,
        },
        committed: checked[7] == 1,
    };
    let mark = Mark {
        log: (checked[5] == 1).then_some(log),
        vote: (checked[6] == 1).then_some(vote),
    };
    Some((sequence, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId {
            leader_id: LeaderId { term, node_id: 1 },
            index,
        }
    }

    fn fresh() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watermark");
        Watermark::create(&path).unwrap();
        (dir, path)
    }

    #[test]
    fn what_was_written_last_is_read_back() {
        let (_dir, path) = fresh();
        let mark = Watermark::open(&path).unwrap();
        assert_eq!(mark.mark(), Mark::default());

        let vote = Vote {
            leader_id: LeaderId { term: 2, node_id: 3 },
            committed: true,
        };
        mark.raise(0, id(1, 7)).unwrap();
        mark.raise_vote(vote).unwrap();
        mark.raise(0, id(2, 8)).unwrap();

        let expected = Mark {
            log: Some(id(2, 8)),
            vote: Some(vote),
        };
        assert_eq!(Watermark::open(&path).unwrap().mark(), expected);
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let (_dir, path) = fresh();
        let mark = Watermark::open(&path).unwrap();
        mark.raise(0, id(1, 7)).unwrap();
        mark.raise(0, id(1, 8)).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();

        // The second raising was the third write, so it lies in the second slot.
        file.write_all_at(&[0xff; 20], SLOT_OFFSETS[1] + 30).unwrap();

        assert_eq!(Watermark::open(&path).unwrap().mark().log, Some(id(1, 7)));
        file.write_all_at(&[0xff; 20], SLOT_OFFSETS[0] + 30).unwrap();
        assert!(matches!(
            Watermark::open(&path),
            Err(WatermarkError::Damaged { .. })
        ));
    }

    #[test]
    fn a_flush_that_began_before_a_lowering_does_not_raise_it_again() {
        let (_dir, path) = fresh();
        let mark = Watermark::open(&path).unwrap();
        mark.raise(0, id(1, 9)).unwrap();
        let before = mark.era();

        mark.lower(Some(id(1, 5))).unwrap();
        mark.raise(before, id(1, 10)).unwrap();

        assert_eq!(mark.mark().log, Some(id(1, 5)));
        mark.raise(mark.era(), id(2, 6)).unwrap();
        assert_eq!(mark.mark().log, Some(id(2, 6)));
    }
}
