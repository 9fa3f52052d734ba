//! Checksums over whole files of the log: each record has its own, but none of them tells a record that belongs here
//! from one that lies in another node's log, or in the file beside it.
//!
//! The newest file is summed up as it grows, to where it was last flushed, and the watermark keeps that; of a file
//! that is full, the file `seals` keeps length and sum. Invariant: what is sealed is on disk and never changes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pushrail_model::ids::NodeId;
use raft_log::ChunkId;
use raft_log::chunked_wal;

const MAGIC: [u8; 8] = *b"PRSEALS1";
const HEAD_BYTES: usize = 20;
const SEAL_BYTES: usize = 24;
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// How far the newest file is summed up. Places are counted from the beginning of the whole log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Where the file begins, which is also its name.
    pub(crate) chunk: u64,
    /// Up to where it is on disk.
    pub(crate) upto: u64,
    /// The sum of those bytes.
    pub(crate) sum: u32,
}

/// The file of seals could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealsError {
    /// The file could not be used.
    #[error("{what} the log's seals {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It does not hold what was written.
    #[error("the log's seals {path} are damaged at byte {offset}")]
    Damaged { path: PathBuf, offset: u64 },
    /// It was another node's.
    #[error("the log's seals {path} belong to node {found}")]
    Foreign { path: PathBuf, found: NodeId },
}

/// The open file of seals.
#[derive(Debug)]
pub(crate) struct Seals {
    file: File,
    path: PathBuf,
    seals: Vec<Sealed>,
}

impl Seals {
    /// Makes the file of a log without full files. Syncing the directory is the caller's.
    pub(crate) fn create(path: &Path, node: NodeId) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        file.write_all_at(&head(node), 0)?;
        file.sync_all()
    }

    /// Opens the file of a log whose newest flushed file begins at `newest`: all before that must be sealed. What
    /// comes after is of a seal that was under way when the process died, and is made again.
    pub(crate) fn open(path: &Path, node: NodeId, newest: u64) -> Result<Self, SealsError> {
        let read = || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            Ok::<_, io::Error>((file, std::fs::read(path)?))
        };
        let (file, bytes) = read().map_err(|source| SealsError::Io {
            what: "open",
            path: path.to_path_buf(),
            source,
        })?;
        let damaged = |offset: usize| SealsError::Damaged {
            path: path.to_path_buf(),
            offset: offset as u64,
        };
        let found = bytes
            .first_chunk::<HEAD_BYTES>()
            .and_then(owner)
            .ok_or_else(|| damaged(0))?;
        if found != node {
            return Err(SealsError::Foreign {
                path: path.to_path_buf(),
                found,
            });
        }
        let mut seals: Vec<Sealed> = Vec::new();
        while seals.last().map_or(0, |seal| seal.upto) < newest {
            let offset = HEAD_BYTES + seals.len() * SEAL_BYTES;
            let next = bytes
                .get(offset..offset + SEAL_BYTES)
                .and_then(decode)
                .filter(|seal| seal.chunk == seals.last().map_or(0, |last| last.upto) && seal.upto <= newest)
                .ok_or_else(|| damaged(offset))?;
            seals.push(next);
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
            seals,
        })
    }

    /// The full files, oldest first; those that were purged since as well.
    pub(crate) fn seals(&self) -> &[Sealed] {
        &self.seals
    }

    fn add(&mut self, seal: Sealed) -> io::Result<()> {
        let offset = HEAD_BYTES + self.seals.len() * SEAL_BYTES;
        self.file
            .write_all_at(&encode(&seal), offset as u64)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| named("seal the log in", &self.path, &error))?;
        self.seals.push(seal);
        Ok(())
    }
}

/// Sums up what is flushed.
pub(crate) struct Sealer {
    wal: chunked_wal::Config,
    seals: Seals,
    at: Sealed,
    file: Option<File>,
    buffer: Vec<u8>,
}

impl Sealer {
    /// Goes on from what the watermark keeps.
    pub(crate) fn new(wal: chunked_wal::Config, seals: Seals, at: Sealed) -> Self {
        Self {
            wal,
            seals,
            at,
            file: None,
            buffer: vec![0; BUFFER],
        }
    }

    /// The log is on disk up to `end`: sums up what is new.
    pub(crate) fn advance(&mut self, end: u64) -> io::Result<Sealed> {
        while self.at.upto < end {
            let path = PathBuf::from(self.wal.chunk_path(ChunkId(self.at.chunk)));
            let file = match self.file.take() {
                Some(file) => file,
                None => File::open(&path).map_err(|error| named("sum up", &path, &error))?,
            };
            let wanted = usize::try_from(end - self.at.upto)
                .unwrap_or(usize::MAX)
                .min(BUFFER);
            let read = file
                .read_at(&mut self.buffer[..wanted], self.at.upto - self.at.chunk)
                .map_err(|error| named("sum up", &path, &error))?;
            if read > 0 {
                self.at.sum = crc32c::crc32c_append(self.at.sum, &self.buffer[..read]);
                self.at.upto += read as u64;
                self.file = Some(file);
            } else if self.at.upto > self.at.chunk {
                // It ends here although the log goes on: it is full, and the next one begins.
                self.seals.add(self.at)?;
                self.at = Sealed {
                    chunk: self.at.upto,
                    upto: self.at.upto,
                    sum: 0,
                };
            } else {
                let gone = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(named("sum up", &path, &gone));
            }
        }
        Ok(self.at)
    }
}

/// The sum of the first `length` bytes of a file, or how many it has if it is shorter.
pub(crate) fn sum_up(file: &File, length: u64) -> io::Result<Result<u32, u64>> {
    let mut buffer = vec![0; BUFFER];
    let (mut sum, mut at) = (0, 0);
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(BUFFER);
        match file.read_at(&mut buffer[..wanted], at)? {
            0 => return Ok(Err(at)),
            read => {
                sum = crc32c::crc32c_append(sum, &buffer[..read]);
                at += read as u64;
            }
        }
    }
    Ok(Ok(sum))
}

fn named(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// Magic, node, checksum.
fn head(node: NodeId) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&MAGIC);
    head[8..16].copy_from_slice(&node.0.to_le_bytes());
    let sum = crc32c::crc32c(&head[..16]);
    head[16..].copy_from_slice(&sum.to_le_bytes());
    head
}

fn owner(head: &[u8; HEAD_BYTES]) -> Option<NodeId> {
    let (checked, sum) = head.split_last_chunk::<4>()?;
    let node = u64::from_le_bytes(*checked.last_chunk::<8>()?);
    let whole = crc32c::crc32c(checked) == u32::from_le_bytes(*sum) && checked.starts_with(&MAGIC);
    whole.then_some(NodeId(node))
}

/// Where the file began, where it ended, its sum, checksum.
fn encode(seal: &Sealed) -> [u8; SEAL_BYTES] {
    let mut bytes = [0; SEAL_BYTES];
    bytes[..8].copy_from_slice(&seal.chunk.to_le_bytes());
    bytes[8..16].copy_from_slice(&seal.upto.to_le_bytes());
    bytes[16..20].copy_from_slice(&seal.sum.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..20]);
    bytes[20..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Sealed> {
    let (checked, sum) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(checked) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (chunk, rest) = checked.split_first_chunk::<8>()?;
    let (upto, rest) = rest.split_first_chunk::<8>()?;
    let (chunk, upto) = (u64::from_le_bytes(*chunk), u64::from_le_bytes(*upto));
    let sum = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    (upto > chunk).then_some(Sealed { chunk, upto, sum })
}
