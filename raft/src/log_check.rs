//! Looks at the files of a stopped node's log before anything opens, cuts or removes them: what was on disk must be
//! there, byte for byte, and what was not is said.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_log::{ChunkId, Dump, DumpApi, RaftLog, chunked_wal};

use crate::record::LogTypes;
use crate::seal::{Sealed, SealsError, sum_up};
use crate::watermark::{Mark, WatermarkError};

/// A file of the log is not what it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogDamage {
    /// It is not there.
    #[error("the log file {path} is missing: what was acknowledged is gone")]
    Missing { path: PathBuf },
    /// It ends too early.
    #[error(
        "the log file {path} ends at byte {length}, and had {wanted} on disk: what was acknowledged is gone"
    )]
    Short { path: PathBuf, length: u64, wanted: u64 },
    /// Its bytes are others.
    #[error("the log file {path} is damaged at byte {offset}: {what}")]
    Damaged {
        path: PathBuf,
        offset: u64,
        what: String,
    },
    /// It could not be read.
    #[error("read the log file {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The log cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// It could not be opened or read.
    #[error("open the log in {dir}")]
    Io {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
    #[error(transparent)]
    Seals(#[from] SealsError),
    /// A file of it is not what it was.
    #[error(transparent)]
    Damage(#[from] LogDamage),
    /// It does not hold what was once on disk.
    #[error("the log in {dir} {lost}: what was acknowledged is gone")]
    Lost { dir: PathBuf, lost: String },
}

/// Holds the files against the seals of the full ones and against what the watermark keeps of the newest. Answers the
/// oldest file that is not there, where that may be because it was purged.
pub(crate) fn check(
    config: &Arc<raft_log::Config>,
    seals: &[Sealed],
    newest: &Sealed,
) -> Result<Option<PathBuf>, LogDamage> {
    let mut missing = None;
    let mut found = false;
    for seal in seals {
        let path = chunk_path(&config.wal, seal.chunk);
        // The oldest ones go when the log is purged; whether it was is seen when the log is open.
        if !found && !path.exists() {
            missing.get_or_insert(path);
            continue;
        }
        found = true;
        let length = length_of(&path)?;
        if length > seal.upto - seal.chunk {
            return Err(LogDamage::Damaged {
                path,
                offset: seal.upto - seal.chunk,
                what: format!("it goes on to byte {length} where it should end"),
            });
        }
        hold(config, &path, seal)?;
    }
    if newest.upto > newest.chunk {
        hold(config, &chunk_path(&config.wal, newest.chunk), newest)?;
    }
    Ok(missing)
}

fn hold(config: &Arc<raft_log::Config>, path: &Path, seal: &Sealed) -> Result<(), LogDamage> {
    let wanted = seal.upto - seal.chunk;
    let length = length_of(path)?;
    let summed = File::open(path)
        .and_then(|file| sum_up(&file, wanted))
        .map_err(|source| LogDamage::Io {
            path: path.to_path_buf(),
            source,
        })?;
    match summed {
        Ok(sum) if sum == seal.sum => Ok(()),
        Ok(_) => Err(first_damage(config, path, seal)),
        Err(_) => Err(LogDamage::Short {
            path: path.to_path_buf(),
            length,
            wanted,
        }),
    }
}

/// Where the first record is that cannot be read; where all can, they are another log's.
fn first_damage(config: &Arc<raft_log::Config>, path: &Path, seal: &Sealed) -> LogDamage {
    let (offset, what) = match unreadable(config, Some(seal.chunk)) {
        Some((_, offset, what)) if offset < seal.upto - seal.chunk => (offset, what),
        Some(_) | None => (0, "it holds other records than were written".to_owned()),
    };
    LogDamage::Damaged {
        path: path.to_path_buf(),
        offset,
        what,
    }
}

/// Of a log that could not be opened: the file and the place of the first record that cannot be read.
pub(crate) fn locate(config: &Arc<raft_log::Config>) -> Option<LogDamage> {
    let (chunk, offset, what) = unreadable(config, None)?;
    Some(LogDamage::Damaged {
        path: chunk_path(&config.wal, chunk),
        offset,
        what,
    })
}

/// The first record that cannot be read: its file, where it begins there, and why.
fn unreadable(config: &Arc<raft_log::Config>, only: Option<u64>) -> Option<(u64, u64, String)> {
    let mut found = None;
    let mut at = (None, 0);
    let dump = Dump::<LogTypes>::new(Arc::clone(config)).ok()?;
    let seen = dump.write_with(|ChunkId(chunk), _, record| {
        if at.0 != Some(chunk) {
            at = (Some(chunk), 0);
        }
        match record {
            Ok((segment, _)) => at.1 = segment.offset + segment.size,
            Err(error) if found.is_none() && only.is_none_or(|only| only == chunk) => {
                found = Some((chunk, at.1, error.to_string()));
            }
            Err(_) => {}
        }
        Ok(())
    });
    // What ends the look early is what is looked for.
    seen.ok();
    found
}

/// What of the watermark the log does not hold, in words.
pub(crate) fn lost(log: &RaftLog<LogTypes>, mark: &Mark) -> io::Result<Option<String>> {
    let state = log.log_state();
    let vote = state.vote().map(|vote| vote.0);
    if vote < mark.vote {
        let (present, wanted) = (words(vote), words(mark.vote));
        return Ok(Some(format!(
            "has the vote {present}, and once had {wanted} on disk"
        )));
    }
    if let Some(why) = begins_late(log)? {
        return Ok(Some(why));
    }
    let Some(marked) = mark.log else {
        return Ok(None);
    };
    if state
        .purged()
        .is_some_and(|purged| purged.0.index >= marked.index)
    {
        return Ok(None);
    }
    let held = log
        .read(marked.index, marked.index.saturating_add(1))
        .next()
        .transpose()?
        .map(|(id, _)| id.0);
    if held == Some(marked) {
        return Ok(None);
    }
    let last = words(state.last().map(|id| id.0));
    Ok(Some(format!("ends at {last}, and once had {marked} on disk")))
}

/// The oldest file can be missing because it was purged; then the log says so.
fn begins_late(log: &RaftLog<LogTypes>) -> io::Result<Option<String>> {
    let state = log.log_state();
    let wanted = state.purged().map_or(0, |purged| purged.0.index + 1);
    let Some(last) = state
        .last()
        .map(|last| last.0.index)
        .filter(|last| *last >= wanted)
    else {
        return Ok(None);
    };
    let first = log.read(wanted, last + 1).next().transpose()?;
    Ok(match first {
        Some((id, _)) if id.0.index == wanted => None,
        Some((id, _)) => Some(format!("begins at {}, and should at index {wanted}", id.0)),
        None => Some(format!("holds nothing from index {wanted} to {last}")),
    })
}

/// Bytes of all files together.
pub(crate) fn bytes_in(dir: &Path) -> io::Result<u64> {
    Ok(files_in(dir)?.into_iter().map(|(_, length)| length).sum())
}

/// Where the newest file ends, counted from the beginning of the whole log.
pub(crate) fn end_in(dir: &Path) -> io::Result<u64> {
    let ends = files_in(dir)?.into_iter().map(|(chunk, length)| chunk + length);
    Ok(ends.max().unwrap_or(0))
}

/// The log's files: where each begins, and how long it is.
fn files_in(dir: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Ok(chunk) = chunked_wal::Config::parse_chunk_file_name(&name.to_string_lossy()) {
            files.push((chunk, entry.metadata()?.len()));
        }
    }
    Ok(files)
}

fn words(what: Option<impl std::fmt::Display>) -> String {
    what.map_or_else(|| "nothing".to_owned(), |what| what.to_string())
}

fn length_of(path: &Path) -> Result<u64, LogDamage> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(LogDamage::Missing {
            path: path.to_path_buf(),
        }),
        Err(source) => Err(LogDamage::Io {
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn chunk_path(wal: &chunked_wal::Config, chunk: u64) -> PathBuf {
    PathBuf::from(wal.chunk_path(ChunkId(chunk)))
}
