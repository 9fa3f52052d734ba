//! How far the log was once on disk: a small file beside it that tells a lost tail from one never written.
//!
//! Two slots are written in turn, each within one sector, which a disk writes whole or not at all: so one that is
//! neither empty nor whole is damage. It is written after every flush of the log, and synced by its owner now and
//! then; before the log is truncated it is lowered and synced.
//! Invariant: what it names has been fsynced in the log, and was not truncated since.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pushrail_model::ids::NodeId;

use crate::seal::Sealed;
use crate::types::{LogId, Vote};
use crate::watermark::slot::{SLOT_BYTES, Slot, Unreadable};

mod slot;

/// The slots lie in different blocks of the file system.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
/// The second slot, which is the first one written, ends the file.
const FILE_BYTES: usize = 4096 + SLOT_BYTES;

/// What was once on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last entry.
    pub(crate) log: Option<LogId>,
    /// The last vote.
    pub(crate) vote: Option<Vote>,
    /// The bytes of the newest file.
    pub(crate) sealed: Sealed,
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
    /// It does not hold what was written.
    #[error("the log's watermark {path} is damaged at byte {offset}")]
    Damaged { path: PathBuf, offset: u64 },
    /// Another version of this program wrote it.
    #[error("the log's watermark {path} is of version {version}, which this version does not read")]
    Version { path: PathBuf, version: u8 },
    /// It was another node's.
    #[error("the log's watermark {path} belongs to node {found}")]
    Foreign { path: PathBuf, found: NodeId },
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Watermark {
    file: File,
    path: PathBuf,
    node: NodeId,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Of the slot written last.
    sequence: u64,
    mark: Mark,
    /// Raised by every lowering: a flush that began before it may not raise the mark again.
    era: u64,
    /// The sequence of the slot written last when the file was last synced.
    synced: u64,
}

impl Watermark {
    /// Makes the file of an empty log. Syncing the directory is the caller's.
    pub(crate) fn create(path: &Path, node: NodeId) -> Result<(), WatermarkError> {
        let write = || {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)?;
            let first = Slot {
                sequence: 1,
                node,
                mark: Mark::default(),
            };
            file.write_all_at(&first.encode(), SLOT_OFFSETS[1])?;
            file.sync_all()
        };
        write().map_err(|source| WatermarkError::Io {
            what: "create",
            path: path.to_path_buf(),
            source,
        })
    }

    /// Opens the file of `node` and reads its mark. Every byte of it is checked.
    pub(crate) fn open(path: &Path, node: NodeId) -> Result<Self, WatermarkError> {
        let read = || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            Ok::<_, io::Error>((file, std::fs::read(path)?))
        };
        let (file, bytes) = read().map_err(|source| WatermarkError::Io {
            what: "open",
            path: path.to_path_buf(),
            source,
        })?;
        let newest = newest(path, &bytes)?;
        if newest.node != node {
            return Err(WatermarkError::Foreign {
                path: path.to_path_buf(),
                found: newest.node,
            });
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
            node,
            inner: Mutex::new(Inner {
                sequence: newest.sequence,
                mark: newest.mark,
                era: 0,
                synced: newest.sequence,
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
    pub(crate) fn raise(&self, era: u64, log: Option<LogId>, sealed: Sealed) -> Result<(), WatermarkError> {
        let mut inner = self.lock();
        // Files only grow, so that their bytes are there whatever was cut since; an entry may not be.
        let log = if inner.era == era {
            inner.mark.log.max(log)
        } else {
            inner.mark.log
        };
        let mark = Mark {
            log,
            sealed,
            ..inner.mark
        };
        if mark == inner.mark {
            return Ok(());
        }
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

    /// How many marks it had been given when it was last synced.
    #[cfg(test)]
    pub(crate) fn synced(&self) -> u64 {
        self.lock().synced
    }

    fn write(&self, inner: &mut Inner, mark: Mark) -> Result<(), WatermarkError> {
        let sequence = inner.sequence + 1;
        let slot = Slot {
            sequence,
            node: self.node,
            mark,
        };
        self.file
            .write_all_at(&slot.encode(), SLOT_OFFSETS[place_of(sequence)])
            .map_err(|source| self.failed("write", source))?;
        inner.sequence = sequence;
        inner.mark = mark;
        Ok(())
    }

    fn sync_locked(&self, inner: &mut Inner) -> Result<(), WatermarkError> {
        if inner.synced < inner.sequence {
            self.file
                .sync_data()
                .map_err(|source| self.failed("sync", source))?;
            inner.synced = inner.sequence;
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

/// In which of the two slots a mark of this number lies.
fn place_of(sequence: u64) -> usize {
    usize::from(sequence % 2 == 1)
}

/// The slot that was written last, if all that the file holds is what was written.
fn newest(path: &Path, bytes: &[u8]) -> Result<Slot, WatermarkError> {
    let damaged = |offset: usize| WatermarkError::Damaged {
        path: path.to_path_buf(),
        offset: offset as u64,
    };
    let version = |version| WatermarkError::Version {
        path: path.to_path_buf(),
        version,
    };
    // The first version had shorter slots.
    if bytes.get(4096..4101) == Some(b"PRWM\x01") {
        return Err(version(1));
    }
    if bytes.len() != FILE_BYTES {
        return Err(damaged(bytes.len().min(FILE_BYTES)));
    }
    let between = SLOT_BYTES..4096;
    if let Some(at) = bytes[between].iter().position(|byte| *byte != 0) {
        return Err(damaged(SLOT_BYTES + at));
    }
    let mut found: Option<Slot> = None;
    for (place, offset) in [0, 4096].into_iter().enumerate() {
        let slot = bytes[offset..].first_chunk().ok_or_else(|| damaged(offset))?;
        match Slot::decode(slot) {
            Ok(None) => {}
            Ok(Some(slot)) if place_of(slot.sequence) != place => return Err(damaged(offset)),
            Ok(Some(slot)) => {
                found = found
                    .filter(|other| other.sequence > slot.sequence)
                    .or(Some(slot));
            }
            Err(Unreadable::Damaged) => return Err(damaged(offset)),
            Err(Unreadable::Version(found)) => return Err(version(found)),
        }
    }
    found.ok_or_else(|| damaged(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LeaderId;

    const NODE: NodeId = NodeId(4);

    fn id(term: u64, index: u64) -> LogId {
        LogId {
            leader_id: LeaderId { term, node_id: 1 },
            index,
        }
    }

    fn fresh() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watermark");
        Watermark::create(&path, NODE).unwrap();
        (dir, path)
    }

    #[test]
    fn what_was_written_last_is_read_back() {
        let (_dir, path) = fresh();
        let mark = Watermark::open(&path, NODE).unwrap();
        assert_eq!(mark.mark(), Mark::default());

        let vote = Vote {
            leader_id: LeaderId { term: 2, node_id: 3 },
            committed: true,
        };
        mark.raise(0, Some(id(1, 7)), Sealed::default()).unwrap();
        mark.raise_vote(vote).unwrap();
        let sealed = Sealed {
            chunk: 5,
            upto: 77,
            sum: 9,
        };
        mark.raise(0, Some(id(2, 8)), sealed).unwrap();

        let expected = Mark {
            log: Some(id(2, 8)),
            vote: Some(vote),
            sealed,
        };
        assert_eq!(Watermark::open(&path, NODE).unwrap().mark(), expected);
    }

    #[test]
    fn every_flipped_bit_is_found_and_so_is_every_cut() {
        let (_dir, path) = fresh();
        let mark = Watermark::open(&path, NODE).unwrap();
        mark.raise(0, Some(id(1, 7)), Sealed::default()).unwrap();
        mark.raise(0, Some(id(1, 8)), Sealed::default()).unwrap();
        let whole = std::fs::read(&path).unwrap();

        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(newest(&path, &flipped).is_err(), "bit {bit}");
        }
        for length in 0..whole.len() {
            let refused = newest(&path, &whole[..length]);
            assert!(matches!(refused, Err(WatermarkError::Damaged { .. })), "{length}");
        }
        assert_eq!(newest(&path, &whole).unwrap().mark.log, Some(id(1, 8)));
    }

    #[test]
    fn another_nodes_is_refused() {
        let (_dir, path) = fresh();

        let refused = Watermark::open(&path, NodeId(5));

        assert!(matches!(
            refused,
            Err(WatermarkError::Foreign { found: NODE, .. })
        ));
    }

    #[test]
    fn a_flush_that_began_before_a_lowering_does_not_raise_it_again() {
        let (_dir, path) = fresh();
        let mark = Watermark::open(&path, NODE).unwrap();
        mark.raise(0, Some(id(1, 9)), Sealed::default()).unwrap();
        let before = mark.era();

        mark.lower(Some(id(1, 5))).unwrap();
        mark.raise(before, Some(id(1, 10)), Sealed::default()).unwrap();

        assert_eq!(mark.mark().log, Some(id(1, 5)));
        mark.raise(mark.era(), Some(id(2, 6)), Sealed::default()).unwrap();
        assert_eq!(mark.mark().log, Some(id(2, 6)));
    }
}
