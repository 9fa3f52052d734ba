//! What a node knows about its own data directory: whose it is, and how often it was started.
//!
//! These few records can be made anew by hand, so they alone are bincode, behind a version byte; everything that
//! is replicated or large is protobuf and lies elsewhere. A directory is made in two steps, so that one whose
//! making was interrupted is recognised.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bincode::{Decode, Encode};
use pushrail_model::ids::{BootId, NodeId};

use crate::error::{RECOVERY, StartError};
use crate::seal::Seals;
use crate::watermark::Watermark;

const LOCK: &str = "LOCK";
const IDENTITY: &str = "identity";
/// What stands in every directory of a node beside that.
const OURS: [&str; 3] = ["log", "watermark", "state"];
const VERSION: u8 = 2;
/// Far above what the record needs.
const RECORD_BYTES_MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Identity {
    node: u64,
    /// Known once this node has applied the cluster's first command.
    cluster: Option<u128>,
    /// The number of the present start.
    boot: u64,
    /// Whether log and state stand beside it.
    complete: bool,
    /// Whether it takes part in the cluster's elections.
    votes: bool,
}

/// As the first version wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct FirstIdentity {
    node: u64,
    cluster: Option<u128>,
    boot: u64,
    complete: bool,
}

impl From<FirstIdentity> for Identity {
    fn from(first: FirstIdentity) -> Self {
        Self {
            node: first.node,
            cluster: first.cluster,
            boot: first.boot,
            complete: first.complete,
            votes: first.cluster.is_some(),
        }
    }
}

/// This node's data directory, held against other processes.
#[derive(Debug)]
pub(crate) struct DataDir {
    root: PathBuf,
    identity: Identity,
    /// Held as long as this lives; the operating system lets go of it even where the process is killed.
    _lock: File,
}

impl DataDir {
    /// Takes the directory for `node`: makes it where there is none, refuses it where it is somebody else's, in
    /// use, or half made. This is one more start of the node.
    pub(crate) fn open(root: &Path, node: NodeId) -> Result<Self, StartError> {
        let io = |source| StartError::Directory {
            path: root.to_path_buf(),
            source,
        };
        let refuse = |why: String| StartError::Refused {
            path: root.to_path_buf(),
            why,
        };
        let damaged = |why: String| StartError::Damaged {
            path: root.to_path_buf(),
            why,
        };
        // What is foreign is left as it was: not even the lock goes into it.
        let foreign = || match first_foreign(root).map_err(io)? {
            Some(_) if root.join(IDENTITY).exists() => Ok(()),
            // Nobody else's directory looks like this.
            Some(_) if OURS.iter().all(|name| root.join(name).exists()) => {
                Err(damaged(format!("its file `{IDENTITY}` is gone; {RECOVERY}")))
            }
            Some(foreign) => Err(refuse(format!(
                "it holds `{foreign}` but no file `{IDENTITY}`, so it is not known whose data it is; name an empty directory"
            ))),
            None => Ok(()),
        };
        foreign()?;
        // Payloads lie in it: where it is made here, nobody else looks into it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(io)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join(LOCK))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(refuse("another process uses it; stop that one first".into()));
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let found = match read(&root.join(IDENTITY)) {
            Ok(found) => found.map_err(|why| StartError::Damaged {
                path: root.to_path_buf(),
                why: format!("its file `{IDENTITY}` {why}; {RECOVERY}"),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                foreign()?;
                return Self::create(root, node, lock);
            }
            Err(source) => return Err(io(source)),
        };
        if found.node != node.0 {
            return Err(refuse(format!(
                "its file `{IDENTITY}` says that it belongs to node {}, and this is node {node}",
                found.node
            )));
        }
        if !found.complete {
            return Err(refuse(
                "its making was interrupted, so it holds nothing yet; remove it and start again".into(),
            ));
        }
        let mut dir = Self {
            root: root.to_path_buf(),
            identity: found,
            _lock: lock,
        };
        let parts = [
            dir.log(),
            dir.watermark(),
            dir.seals(),
            dir.state(),
            dir.snapshots(),
        ];
        if let Some(missing) = parts.iter().find(|part| !part.exists()) {
            return Err(damaged(format!(
                "{} is missing; put it back, or: {RECOVERY}",
                missing.display()
            )));
        }
        dir.identity.boot += 1;
        dir.save()?;
        Ok(dir)
    }

    /// First step: the record that says that the rest is still missing, then the rest.
    fn create(root: &Path, node: NodeId, lock: File) -> Result<Self, StartError> {
        let dir = Self {
            root: root.to_path_buf(),
            identity: Identity {
                node: node.0,
                cluster: None,
                boot: first_boot(),
                complete: false,
                votes: false,
            },
            _lock: lock,
        };
        dir.save()?;
        let make = || {
            for part in [dir.log(), dir.state(), dir.snapshots()] {
                fs::create_dir_all(part)?;
            }
            Watermark::create(&dir.watermark(), node).map_err(io::Error::other)?;
            Seals::create(&dir.seals(), node)?;
            File::open(root)?.sync_all()?;
            // The directory's own name must outlive a power cut, too.
            match root.parent() {
                Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
                Some(_) | None => Ok(()),
            }
        };
        make().map_err(|source| dir.failed(source))?;
        Ok(dir)
    }

    /// Second step, once log and state were opened for the first time; nothing if the directory was whole already.
    pub(crate) fn complete(&mut self) -> Result<(), StartError> {
        if self.identity.complete {
            return Ok(());
        }
        self.identity.complete = true;
        self.save()
    }

    /// Whether log and state are yet to be made.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.identity.complete
    }

    /// The number of this start: larger than all before it.
    pub(crate) fn boot(&self) -> BootId {
        BootId(self.identity.boot)
    }

    /// The cluster that this node belongs to, once it knows.
    pub(crate) fn cluster(&self) -> Option<u128> {
        self.identity.cluster
    }

    /// Remembers the cluster that this node belongs to. It never changes.
    pub(crate) fn join(&mut self, cluster: u128) -> Result<(), StartError> {
        match self.identity.cluster {
            Some(known) if known == cluster => Ok(()),
            Some(known) => Err(StartError::Refused {
                path: self.root.clone(),
                why: format!("it belongs to cluster {known:032x}, and its state to cluster {cluster:032x}"),
            }),
            None => {
                self.identity.cluster = Some(cluster);
                self.save()
            }
        }
    }

    /// Whether this node takes part in elections: it founded its cluster, or has once been level with its leader.
    pub(crate) fn votes(&self) -> bool {
        self.identity.votes
    }

    /// Remembers that it does.
    pub(crate) fn enfranchise(&mut self) -> Result<(), StartError> {
        if self.identity.votes {
            return Ok(());
        }
        self.identity.votes = true;
        self.save()
    }

    /// Where the log lies.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Where the log's watermark lies.
    pub(crate) fn watermark(&self) -> PathBuf {
        self.root.join("watermark")
    }

    /// Where the sums of the log's full files lie.
    pub(crate) fn seals(&self) -> PathBuf {
        self.root.join("seals")
    }

    /// Where the state lies.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Where snapshots of the state lie.
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    fn save(&self) -> Result<(), StartError> {
        write(&self.root, IDENTITY, &self.identity).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> StartError {
        StartError::Directory {
            path: self.root.clone(),
            source,
        }
    }
}

/// A new directory under an old id begins above all starts of the one before it, which nobody else remembers for it:
/// what the cluster knows of earlier starts would silence it else.
fn first_boot() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().max(1)
}

/// Something in `root` that is neither ours nor the file system's.
fn first_foreign(root: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        let half_written = format!("{IDENTITY}.new");
        if name != LOCK && name != "lost+found" && name != half_written.as_str() {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Version, record, checksum; put in place whole or not at all.
fn write(root: &Path, name: &str, record: &Identity) -> io::Result<()> {
    let mut bytes = vec![VERSION];
    bytes.extend(bincode::encode_to_vec(record, bincode::config::standard()).map_err(io::Error::other)?);
    let sum = crc32c::crc32c(&bytes);
    bytes.extend(sum.to_le_bytes());
    let new = root.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&new, root.join(name))?;
    File::open(root)?.sync_all()
}

/// The record, or in words why it is none.
fn read(path: &Path) -> io::Result<Result<Identity, String>> {
    let bytes = fs::read(path)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Result<Identity, String> {
    // A handful of bytes under one checksum: the place is the whole of them.
    let damaged = || format!("is damaged in its bytes 0 to {}", bytes.len());
    let (checked, sum) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c(checked) != u32::from_le_bytes(*sum) || checked.len() > RECORD_BYTES_MAX {
        return Err(damaged());
    }
    let (&version, record) = checked.split_first().ok_or_else(damaged)?;
    let (identity, read) = match version {
        1 => decode::<FirstIdentity>(record).map(|(first, read)| (first.into(), read))?,
        VERSION => decode(record)?,
        other => {
            return Err(format!("is of version {other}, which this version does not read"));
        }
    };
    if read != record.len() {
        return Err(damaged());
    }
    Ok(identity)
}

fn decode<T: Decode<()>>(record: &[u8]) -> Result<(T, usize), String> {
    bincode::decode_from_slice(record, bincode::config::standard())
        .map_err(|error| format!("cannot be read ({error})"))
}

#[cfg(test)]
mod tests;
