//! Snapshots of the state: checkpoints of its database, which are hard links and nearly free.
//!
//! One is kept, the newest. What it says of itself (applied entry, membership) is read from the checkpoint, never
//! from the live state. Nothing crosses the wire yet: a snapshot is built and installed on one machine.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::RaftSnapshotBuilder;
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use pushrail_machine::store::StoreError;
use pushrail_rocks::Checkpoint;

use crate::state::{self, State, io_error};
use crate::types::TypeConfig;

/// What a snapshot shows.
pub(crate) type SnapshotMeta = SnapshotMetaOf<TypeConfig>;
/// A snapshot and what it shows.
pub(crate) type Snapshot = SnapshotOf<TypeConfig, SnapshotFiles>;

/// What is put together carries this at the end of its name, until it is whole.
const HALF: &str = ".half";

/// Where a snapshot's files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotFiles {
    pub(crate) path: PathBuf,
}

/// The snapshots of one node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Snapshots {
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    /// Held while one is built or installed: an older build must not replace a newer install.
    newest: Mutex<Option<(SnapshotMeta, PathBuf)>>,
}

impl Snapshots {
    /// Finds the newest snapshot in `dir`, which must be there, and removes all else.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |error| io_error(format!("read snapshots in {}", dir.display()), error);
        let mut found = None;
        for entry in fs::read_dir(dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.to_string_lossy().ends_with(HALF) {
                fs::remove_dir_all(&path).map_err(failed)?;
                continue;
            }
            let meta = describe(&path)?;
            let older = match found.take() {
                Some((newest, kept)) if newer(&newest, &meta) => {
                    found = Some((newest, kept));
                    Some(path)
                }
                other => {
                    found = Some((meta, path));
                    other.map(|(_, older)| older)
                }
            };
            if let Some(older) = older {
                fs::remove_dir_all(older).map_err(failed)?;
            }
        }
        Ok(Self {
            shared: Arc::new(Shared {
                dir: dir.to_path_buf(),
                newest: Mutex::new(found),
            }),
        })
    }

    /// The newest one.
    pub(crate) fn newest(&self) -> Option<Snapshot> {
        self.lock().as_ref().map(|(meta, path)| Snapshot {
            meta: meta.clone(),
            snapshot: SnapshotFiles { path: path.clone() },
        })
    }

    /// Makes one of the state as it is now; the present one, where the state has not moved since.
    pub(crate) fn build(&self, state: &State) -> Result<Snapshot, StoreError> {
        let mut newest = self.lock();
        let half = self.half()?;
        let checkpoint = state.current().store.checkpoint(&half)?;
        let meta = describe(checkpoint.path())?;
        self.keep(&mut newest, meta, &half)
    }

    /// Makes `snapshot` the state, in a new generation beside the old one, and keeps it as the newest.
    pub(crate) fn install(
        &self,
        state: &State,
        meta: &SnapshotMeta,
        snapshot: &SnapshotFiles,
    ) -> Result<(), StoreError> {
        let mut newest = self.lock();
        let found = describe(&snapshot.path)?;
        if found != *meta {
            let text = format!("it shows {found}, and should show {meta}");
            return Err(io_error(
                format!("install the snapshot {}", snapshot.path.display()),
                io::Error::new(io::ErrorKind::InvalidData, text),
            ));
        }
        let half = self.half()?;
        copy(&snapshot.path, &half)?;
        self.keep(&mut newest, found, &half)?;
        let (number, next) = state.next_generation()?;
        copy(&snapshot.path, &next)?;
        state.switch(number)?;
        drop(newest);
        state.sweep();
        Ok(())
    }

    /// A place to put a snapshot together, empty.
    fn half(&self) -> Result<PathBuf, StoreError> {
        let path = self.shared.dir.join(format!("next{HALF}"));
        match fs::remove_dir_all(&path) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
            Err(error) => Err(io_error(format!("remove {}", path.display()), error)),
        }
    }

    /// Gives what was put together its name, and lets the one before go, unless it shows the same.
    fn keep(
        &self,
        newest: &mut MutexGuard<'_, Option<(SnapshotMeta, PathBuf)>>,
        meta: SnapshotMeta,
        half: &Path,
    ) -> Result<Snapshot, StoreError> {
        let failed = |error| io_error(format!("keep the snapshot {}", half.display()), error);
        let path = match newest.as_ref() {
            Some((present, path)) if *present == meta => {
                fs::remove_dir_all(half).map_err(failed)?;
                path.clone()
            }
            Some(_) | None => {
                let path = self.shared.dir.join(name(&meta));
                fs::rename(half, &path).map_err(failed)?;
                sync_dir(&self.shared.dir).map_err(failed)?;
                let before = newest.replace((meta.clone(), path.clone()));
                if let Some((_, before)) = before {
                    fs::remove_dir_all(before).map_err(failed)?;
                }
                path
            }
        };
        Ok(Snapshot {
            meta,
            snapshot: SnapshotFiles { path },
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<(SnapshotMeta, PathBuf)>> {
        self.shared.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Builds one snapshot, for the core.
pub(crate) struct SnapshotBuilder {
    pub(crate) state: State,
    pub(crate) snapshots: Snapshots,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotFiles;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (state, snapshots) = (self.state.clone(), self.snapshots.clone());
        on_a_blocking_thread(move || snapshots.build(&state)).await
    }
}

/// Runs what waits for the disk where it may.
pub(crate) async fn on_a_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
        .map_err(io::Error::other)
}

/// What the checkpoint in `path` shows.
fn describe(path: &Path) -> Result<SnapshotMeta, StoreError> {
    let store = Checkpoint::new(path).open()?;
    Ok(SnapshotMeta {
        last_log_id: state::applied(&store)?,
        last_membership: state::membership(&store)?,
    })
}

fn newer(one: &SnapshotMeta, other: &SnapshotMeta) -> bool {
    one.last_log_id > other.last_log_id
}

fn name(meta: &SnapshotMeta) -> String {
    match &meta.last_log_id {
        Some(id) => format!("{:020}-{}-{}", id.index, id.leader_id.term, id.leader_id.node_id),
        None => "empty".to_owned(),
    }
}

/// Copies a checkpoint: its large files never change, so they are linked where that is possible.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let copy = || {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let source = entry?.path();
            let Some(file) = source.file_name() else {
                continue;
            };
            let target = to.join(file);
            let unchanging = source
                .extension()
                .is_some_and(|kind| kind == "sst" || kind == "blob");
            if unchanging && fs::hard_link(&source, &target).is_ok() {
                continue;
            }
            fs::copy(&source, &target)?;
            File::open(&target)?.sync_all()?;
        }
        sync_dir(to)?;
        to.parent().map_or(Ok(()), sync_dir)
    };
    copy().map_err(|error| {
        io_error(
            format!("copy the snapshot {} to {}", from.display(), to.display()),
            error,
        )
    })
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
