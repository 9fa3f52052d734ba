//! What a node knows about its own data directory: whose it is, and how often it was started.
//!
//! These few records can be made anew by hand, so they alone are bincode, behind a version byte; everything that
//! is replicated or large is protobuf and lies elsewhere. A directory is made in two steps, so that one whose
//! making was interrupted is recognised.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use pushrail_model::ids::{BootId, NodeId};

use crate::error::StartError;
use crate::seal::Seals;
use crate::watermark::Watermark;

const LOCK: &str = "LOCK";
const IDENTITY: &str = "identity";
const VERSION: u8 = 1;
/// Far above what the record needs.
const RECORD_BYTES_MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Identity {
    node: u64,
    /// Known once this node has applied the cluster's first command.
    cluster: Option<u128>,
    /// Starts so far.
    boot: u64,
    /// Whether log and state stand beside it.
    complete: bool,
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
            Some(foreign) if !root.join(IDENTITY).exists() => Err(refuse(format!(
                "it holds `{foreign}` but no file `{IDENTITY}`, so it is not known whose data it is; name an empty directory"
            ))),
            Some(_) | None => Ok(()),
        };
        foreign()?;
        fs::create_dir_all(root).map_err(io)?;
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
                why: format!(
                    "its file `{IDENTITY}` {why}; remove the directory and let this machine join under a new node id"
                ),
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
                "{} is missing; put it back, or remove the directory and let this machine join under a new node id",
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
                boot: 1,
                complete: false,
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
    if version != VERSION {
        return Err(format!(
            "is of version {version}, which this version does not read"
        ));
    }
    let (identity, read) = bincode::decode_from_slice(record, bincode::config::standard())
        .map_err(|error| format!("cannot be read ({error})"))?;
    if read != record.len() {
        return Err(damaged());
    }
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(root: &Path) -> DataDir {
        let mut dir = DataDir::open(root, NodeId(1)).unwrap();
        dir.complete().unwrap();
        dir
    }

    fn refusal(root: &Path, node: u64) -> String {
        match DataDir::open(root, NodeId(node)) {
            Err(StartError::Refused { why, .. } | StartError::Damaged { why, .. }) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn each_start_has_a_larger_number_and_finds_the_cluster_again() {
        let root = tempfile::tempdir().unwrap();
        let mut first = made(root.path());
        assert_eq!((first.boot(), first.cluster()), (BootId(1), None));
        first.join(77).unwrap();
        drop(first);

        let mut second = DataDir::open(root.path(), NodeId(1)).unwrap();

        assert_eq!((second.boot(), second.cluster()), (BootId(2), Some(77)));
        assert!(second.join(77).is_ok());
        assert!(second.join(78).is_err());
    }

    #[test]
    fn a_second_process_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let _held = made(root.path());

        assert!(refusal(root.path(), 1).contains("another process"));
    }

    #[test]
    fn a_directory_of_another_node_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(made(root.path()));

        assert!(refusal(root.path(), 2).contains("belongs to node 1"));
    }

    #[test]
    fn a_foreign_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("photo.jpg"), b"x").unwrap();

        assert!(refusal(root.path(), 1).contains("photo.jpg"));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_half_made_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(DataDir::open(root.path(), NodeId(1)).unwrap());

        assert!(refusal(root.path(), 1).contains("interrupted"));
    }

    #[test]
    fn a_directory_without_one_of_its_parts_is_refused() {
        for part in [IDENTITY, "log", "watermark", "seals", "state", "snapshots"] {
            let (root, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            drop(made(root.path()));
            fs::rename(root.path().join(part), aside.path().join(part)).unwrap();

            let why = refusal(root.path(), 1);

            assert!(why.contains("missing") || why.contains("whose data"), "{why}");
            fs::rename(aside.path().join(part), root.path().join(part)).unwrap();
            assert!(DataDir::open(root.path(), NodeId(1)).is_ok());
        }
    }

    #[test]
    fn a_damaged_identity_is_refused() {
        let root = tempfile::tempdir().unwrap();
        drop(made(root.path()));
        let path = root.path().join(IDENTITY);
        let mut bytes = fs::read(&path).unwrap();
        bytes[2] ^= 1;
        fs::write(&path, bytes).unwrap();

        assert!(refusal(root.path(), 1).contains("damaged"));
    }

    #[test]
    fn a_start_that_died_before_the_first_record_leaves_an_empty_directory() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(LOCK), b"").unwrap();
        fs::write(root.path().join("identity.new"), b"half").unwrap();

        assert!(DataDir::open(root.path(), NodeId(1)).is_ok());
    }
}
