//! A node's own copy of the state: which database is current, how far it has applied, and views of it.
//!
//! The database lies in a directory `db-<generation>`; the file `CURRENT` names it. Installing a snapshot builds
//! the next generation beside it and switches; the old one stays until its last view ends.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use pushrail_machine::store::{KeyRange, Read, StoreError, Table, Visit};
use pushrail_model::ids::LogIndex;
use pushrail_rocks::{Properties, RocksOptions, RocksStore};
use tokio::sync::watch;

use crate::error::Failure;
use crate::hints::HintSender;
use crate::types::{LogId, StoredMembership};
use crate::view::View;
use crate::wire;

const CURRENT: &str = "CURRENT";
const PREFIX: &str = "db-";
/// The store's own rows: the last applied entry, and the last membership.
const APPLIED: &[u8] = b"applied";
const MEMBERSHIP: &[u8] = b"membership";

/// Whether a directory has held a state before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Never.
    Fresh,
    /// It must be there.
    Made,
}

/// How far the state has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last entry applied.
    pub(crate) applied: Option<LogId>,
    /// Raised by every installed snapshot: what was built on an older one is void.
    pub(crate) generation: u64,
}

/// One database.
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) store: RocksStore,
}

/// The state. Cheap to clone.
#[derive(Clone)]
pub(crate) struct State {
    shared: Arc<Shared>,
}

struct Shared {
    dir: PathBuf,
    options: RocksOptions,
    current: ArcSwap<Generation>,
    /// Replaced databases that somebody may still look at.
    retired: Mutex<Vec<Arc<Generation>>>,
    progress: watch::Sender<Progress>,
    failure: watch::Sender<Option<Failure>>,
    hints: HintSender,
}

impl State {
    /// Opens the state in `dir`, which must be there; makes the one before the first entry only where there was
    /// none ever.
    pub(crate) fn open(
        dir: &Path,
        standing: Standing,
        options: RocksOptions,
        hints: HintSender,
    ) -> Result<Self, StoreError> {
        let number = match (read_current(dir)?, standing) {
            (Some(number), _) => number,
            (None, Standing::Fresh) => 1,
            (None, Standing::Made) => {
                return Err(io_error(
                    format!("read {}", dir.join(CURRENT).display()),
                    missing(),
                ));
            }
        };
        let path = database(dir, number);
        if standing == Standing::Made && !path.is_dir() {
            return Err(io_error(format!("find the state {}", path.display()), missing()));
        }
        let store = match standing {
            Standing::Fresh => RocksStore::open(&path, &options)?,
            Standing::Made => RocksStore::open_existing(&path, &options)?,
        };
        if standing == Standing::Fresh {
            write_current(dir, number)?;
        }
        let progress = Progress {
            applied: applied(&store)?,
            generation: number,
        };
        let state = Self {
            shared: Arc::new(Shared {
                dir: dir.to_path_buf(),
                options,
                current: ArcSwap::from_pointee(Generation { number, store }),
                retired: Mutex::default(),
                progress: watch::Sender::new(progress),
                failure: watch::Sender::new(None),
                hints,
            }),
        };
        state.remove_leftovers()?;
        Ok(state)
    }

    /// A consistent sight of what has been applied by now.
    pub(crate) fn view(&self) -> Result<View, StoreError> {
        let rows = self.current().store.view();
        let applied = rows.meta(APPLIED)?.map(decode_id).transpose()?;
        let (term, index) = applied.map_or((0, 0), |id| (id.leader_id.term, id.index));
        let watched = Watched {
            rows,
            state: self.clone(),
        };
        Ok(View::new(Arc::new(watched), term, LogIndex(index)))
    }

    /// How far it has come, and when it comes further.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }

    /// Why the state can no longer be trusted or written; the process must end.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<Failure>> {
        self.shared.failure.subscribe()
    }

    /// Brings all that was applied to disk.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.current().store.flush()
    }

    /// Figures of the database, for metrics. They also show what no writer is told: a flush or a compaction that failed in
    /// the background.
    pub(crate) fn properties(&self) -> Result<Properties, StoreError> {
        let properties = self.current().store.properties()?;
        self.look_at(&properties);
        Ok(properties)
    }

    /// Says that the node must stop, if these figures show it.
    pub(crate) fn look_at(&self, properties: &Properties) {
        if let Err(error) = properties.check() {
            self.fail(Failure::of_store(&error));
        }
    }

    /// Where applied entries put their hints.
    pub(crate) fn hints(&self) -> &HintSender {
        &self.shared.hints
    }

    /// The present database.
    pub(crate) fn current(&self) -> Arc<Generation> {
        self.shared.current.load_full()
    }

    /// Says how far the state has come. Only the thread that applies says so, or an install while none runs.
    pub(crate) fn publish(&self, progress: Progress) {
        self.shared.progress.send_replace(progress);
    }

    /// Says that the node must stop. The first reason stays.
    pub(crate) fn fail(&self, failure: Failure) {
        self.shared.failure.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(failure);
            first
        });
    }

    /// Says so, if it was the state that could not be read or written.
    pub(crate) fn watch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.fail(Failure::of_store(error)))
    }

    /// Where the next generation is to be put together, and its number. What an earlier attempt left is removed.
    pub(crate) fn next_generation(&self) -> Result<(u64, PathBuf), StoreError> {
        let number = self.current().number + 1;
        let path = database(&self.shared.dir, number);
        if path.exists() {
            fs::remove_dir_all(&path)
                .map_err(|error| io_error(format!("remove {}", path.display()), error))?;
        }
        Ok((number, path))
    }

    /// Opens the generation that was put together, and makes it the current one.
    pub(crate) fn switch(&self, number: u64) -> Result<(), StoreError> {
        let store = RocksStore::open_existing(&database(&self.shared.dir, number), &self.shared.options)?;
        let applied = applied(&store)?;
        write_current(&self.shared.dir, number)?;
        let old = self.shared.current.swap(Arc::new(Generation { number, store }));
        self.retired().push(old);
        self.publish(Progress {
            applied,
            generation: number,
        });
        Ok(())
    }

    /// Makes an empty state the current one; what was applied is applied again from the log.
    pub(crate) fn begin_anew(&self) -> Result<(), StoreError> {
        let (number, path) = self.next_generation()?;
        // Only what is there can be switched to: a database that was lost must never be taken for an empty one.
        drop(RocksStore::open(&path, &self.shared.options)?);
        self.switch(number)?;
        self.sweep();
        Ok(())
    }

    /// Removes replaced databases that nobody looks at any more.
    pub(crate) fn sweep(&self) {
        let mut retired = self.retired();
        let (used, unused) = std::mem::take(&mut *retired)
            .into_iter()
            .partition(|old| Arc::strong_count(old) > 1 || old.store.in_use());
        *retired = used;
        drop(retired);
        for old in unused {
            let path = old.store.path();
            drop::<Arc<Generation>>(old);
            if let Err(error) = fs::remove_dir_all(&path) {
                // It only takes room, and the next start tries again.
                tracing::warn!(path = %path.display(), %error, "a replaced state could not be removed");
            }
        }
    }

    fn retired(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Generation>>> {
        self.shared.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a crash left beside the current database.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let current = database(&self.shared.dir, self.current().number);
        let remove = || {
            for entry in fs::read_dir(&self.shared.dir)? {
                let entry = entry?;
                let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
                if ours && entry.path() != current {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            Ok(())
        };
        remove().map_err(|error| io_error(format!("tidy {}", self.shared.dir.display()), error))
    }
}

/// Rows of which none may be unreadable: whoever meets one gets an error, and the node stops.
struct Watched {
    rows: pushrail_rocks::View,
    state: State,
}

impl Read for Watched {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.state.watch(self.rows.get(table, key))
    }

    fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.state.watch(self.rows.scan(table, range, visit))
    }
}

/// The store's own rows for a commit that ends at `applied`.
pub(crate) fn meta(applied: &LogId, membership: Option<&StoredMembership>) -> Vec<(&'static [u8], Vec<u8>)> {
    let mut meta = vec![(APPLIED, wire::encode_log_id(applied))];
    if let Some(membership) = membership {
        meta.push((MEMBERSHIP, wire::encode_stored_membership(membership)));
    }
    meta
}

/// The last entry that a database has applied.
pub(crate) fn applied(store: &RocksStore) -> Result<Option<LogId>, StoreError> {
    store.meta(APPLIED)?.map(decode_id).transpose()
}

/// The last membership that a database has applied.
pub(crate) fn membership(store: &RocksStore) -> Result<StoredMembership, StoreError> {
    match store.meta(MEMBERSHIP)? {
        Some(bytes) => wire::decode_stored_membership(bytes).map_err(damaged_meta),
        None => Ok(StoredMembership::default()),
    }
}

fn decode_id(bytes: bytes::Bytes) -> Result<LogId, StoreError> {
    wire::decode_log_id(bytes).map_err(damaged_meta)
}

fn damaged_meta(error: wire::WireError) -> StoreError {
    io_error(
        "read how far the state has come".into(),
        io::Error::new(io::ErrorKind::InvalidData, error),
    )
}

pub(crate) fn io_error(what: String, source: io::Error) -> StoreError {
    StoreError::Io { what, source }
}

fn database(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number}"))
}

/// What was made once and is gone was not lost by this program.
fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is missing")
}

/// What the file `CURRENT` holds: a name, and its checksum, so that no flipped bit names another one.
fn current_text(number: u64) -> String {
    let name = format!("{PREFIX}{number}");
    format!("{name} {:08x}\n", crc32c::crc32c(name.as_bytes()))
}

/// The number of the current database; `None` where no state was ever made here.
fn read_current(dir: &Path) -> Result<Option<u64>, StoreError> {
    let path = dir.join(CURRENT);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(format!("read {}", path.display()), error)),
    };
    let number = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_prefix(PREFIX)?.split_once(' '))
        .and_then(|(number, _)| number.parse().ok())
        .filter(|number| current_text(*number).as_bytes() == bytes);
    match number {
        Some(number) => Ok(Some(number)),
        None => {
            let damaged = io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its bytes 0 to {} are damaged", bytes.len()),
            );
            Err(io_error(format!("read {}", path.display()), damaged))
        }
    }
}

/// Puts the name in place whole or not at all, and on disk.
fn write_current(dir: &Path, number: u64) -> Result<(), StoreError> {
    let write = || {
        let new = dir.join(format!("{CURRENT}.new"));
        let mut file = File::create(&new)?;
        file.write_all(current_text(number).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, dir.join(CURRENT))?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| io_error(format!("write {}", dir.join(CURRENT).display()), error))
}
