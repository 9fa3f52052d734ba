//! The open database: commits, views, flushes.
//!
//! Its write-ahead log is off: the Raft log is the write-ahead log. A crash loses a tail of commits, whole ones,
//! and never in one family alone; they are applied again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pushrail_machine::store::{Change, Changes, KeyRange, Read, StoreError, Table, Visit};
use rocksdb::properties as names;
use rocksdb::{DB, FlushOptions, Options, WriteBatch, WriteOptions};

use crate::checkpoint::Checkpoint;
use crate::error::store_error;
use crate::layout::{self, Family, META, QUEUE_DYNAMIC, RocksOptions, Shared, place};
use crate::view::{self, View, family, read_options, stored_key};

/// The store's own rows of one commit (applied index, membership): opaque to it, atomic with the changes.
pub type Meta = [(&'static [u8], Vec<u8>)];

/// The state on disk. Cheap to clone; the database closes when the last clone and the last view are gone.
#[derive(Clone)]
pub struct RocksStore {
    db: Arc<DB>,
    shared: Arc<Shared>,
}

/// Levels of a family: RocksDB's own number of them.
const LEVELS: usize = 7;

/// What fills and what stalls, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// Bytes in memtables, those being flushed included.
    pub memtable_bytes: u64,
    /// Bytes in the block cache.
    pub cache_bytes: u64,
    /// Bytes that compaction still has to rewrite.
    pub compaction_pending_bytes: u64,
    /// Files of level 0 in the family that has most.
    pub level0_files: u64,
    /// Files of each level, over all families.
    pub level_files: [u64; LEVELS],
    /// Bytes of table files that are alive.
    pub table_bytes: u64,
    /// Bytes of blob files that are alive.
    pub blob_bytes: u64,
    /// Flushes and compactions under way.
    pub background_jobs: u64,
    /// Bytes a second to which writers are held; 0: not held.
    pub delayed_write_rate: u64,
    /// Whether writers are stopped altogether.
    pub write_stopped: bool,
    /// Flushes and compactions that failed since the start.
    pub background_errors: u64,
}

impl Properties {
    /// An error where a flush or a compaction has failed since the start. RocksDB would try that again by itself, but a
    /// node does not go on with a disk that has lost a write.
    pub fn check(&self) -> Result<(), StoreError> {
        background_failed(self.background_errors)
    }
}

fn background_failed(writes: u64) -> Result<(), StoreError> {
    if writes == 0 {
        return Ok(());
    }
    Err(StoreError::Io {
        what: "write the state in the background".into(),
        source: std::io::Error::other(format!("{writes} flushes or compactions have failed")),
    })
}

impl RocksStore {
    /// Opens the database in `path`; creates it where there is none.
    pub fn open(path: &Path, options: &RocksOptions) -> Result<Self, StoreError> {
        let shared = Shared::new(options);
        Self::open_as(path, options, shared, |_| {})
    }

    /// Opens the database in `path`, which must be there: one that lost its own `CURRENT` is not begun anew.
    pub fn open_existing(path: &Path, options: &RocksOptions) -> Result<Self, StoreError> {
        let shared = Shared::new(options);
        Self::open_as(path, options, shared, |database| {
            database.create_if_missing(false);
            database.create_missing_column_families(false);
        })
    }

    fn open_as(
        path: &Path,
        options: &RocksOptions,
        shared: Shared,
        change: impl FnOnce(&mut Options),
    ) -> Result<Self, StoreError> {
        let mut database = layout::database(options, &shared);
        change(&mut database);
        let db = DB::open_cf_descriptors(&database, path, layout::families(options, &shared))
            .map_err(store_error(format!("open the state in {}", path.display())))?;
        db.set_options_cf(family(&db, Family::Queue), &QUEUE_DYNAMIC)
            .map_err(store_error("tune the queue's column family"))?;
        Ok(Self {
            db: Arc::new(db),
            shared: Arc::new(shared),
        })
    }

    /// Opens an existing database that nobody may change: a checkpoint.
    pub fn open_read_only(path: &Path, options: &RocksOptions) -> Result<Self, StoreError> {
        let shared = Shared::new(options);
        let db = DB::open_cf_descriptors_read_only(
            &Options::default(),
            path,
            layout::families(options, &shared),
            false,
        )
        .map_err(store_error(format!(
            "open the state in {} for reading",
            path.display()
        )))?;
        Ok(Self {
            db: Arc::new(db),
            shared: Arc::new(shared),
        })
    }

    pub(crate) fn db(&self) -> &DB {
        &self.db
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.db.path().to_path_buf()
    }

    /// Whether a view or another clone of this handle still holds the database open.
    pub fn in_use(&self) -> bool {
        Arc::strong_count(&self.db) > 1
    }

    /// Commits `changes` and `meta` together or not at all. They are readable on return, and on disk after a flush.
    pub fn commit(&self, changes: &Changes, meta: &Meta) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for change in &changes.0 {
            match change {
                Change::Put { table, key, value } => {
                    let (lies, first) = place(*table);
                    batch.put_cf(family(&self.db, lies), stored_key(first, key), value);
                }
                Change::Delete { table, key } => {
                    let (lies, first) = place(*table);
                    batch.delete_cf(family(&self.db, lies), stored_key(first, key));
                }
                Change::DeleteRange { table, start, end } => {
                    // RocksDB refuses a range that ends before it starts; it means nothing.
                    if start < end {
                        let (lies, first) = place(*table);
                        batch.delete_range_cf(
                            family(&self.db, lies),
                            stored_key(first, start),
                            stored_key(first, end),
                        );
                    }
                }
            }
        }
        for (key, value) in meta {
            batch.put_cf(family(&self.db, Family::Config), stored_key(META, key), value);
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db
            .write_opt(batch, &options)
            .map_err(store_error("commit to the state"))
    }

    /// One of the store's own rows, as last committed.
    pub fn meta(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        view::get_meta(&self.db, key, read_options())
    }

    /// One consistent sight of everything committed so far.
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.db))
    }

    /// Brings everything committed so far to disk, at one point, and waits for it.
    ///
    /// It fails also where [`Properties::check`] does.
    pub fn flush(&self) -> Result<(), StoreError> {
        let families: Vec<_> = Family::ALL
            .into_iter()
            .map(|each| family(&self.db, each))
            .collect();
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db
            .flush_cfs_opt(&families, &options)
            .map_err(store_error("flush the state"))?;
        background_failed(self.number(None, names::BACKGROUND_ERRORS)?)
    }

    /// Makes a checkpoint in `dir`, which must not exist yet: flushes, then links the files.
    pub fn checkpoint(&self, dir: &Path) -> Result<Checkpoint, StoreError> {
        let what = || format!("make a checkpoint in {}", dir.display());
        rocksdb::checkpoint::Checkpoint::new(&self.db)
            .and_then(|maker| maker.create_checkpoint(dir))
            .map_err(store_error(what()))?;
        Ok(Checkpoint::new(dir))
    }

    /// Figures for metrics; each is a look into memory.
    pub fn properties(&self) -> Result<Properties, StoreError> {
        let mut found = Properties {
            cache_bytes: self.shared.cache.get_usage() as u64,
            memtable_bytes: self.shared.memtables.get_usage() as u64,
            delayed_write_rate: self.number(None, names::ACTUAL_DELAYED_WRITE_RATE)?,
            write_stopped: self.number(None, names::IS_WRITE_STOPPED)? != 0,
            background_errors: self.number(None, names::BACKGROUND_ERRORS)?,
            background_jobs: self.number(None, names::NUM_RUNNING_FLUSHES)?
                + self.number(None, names::NUM_RUNNING_COMPACTIONS)?,
            ..Properties::default()
        };
        for each in Family::ALL {
            found.compaction_pending_bytes +=
                self.number(Some(each), names::ESTIMATE_PENDING_COMPACTION_BYTES)?;
            found.table_bytes += self.number(Some(each), names::LIVE_SST_FILES_SIZE)?;
            found.blob_bytes += self.number(Some(each), c"rocksdb.live-blob-file-size")?;
            for (level, files) in found.level_files.iter_mut().enumerate() {
                let of_family = self.number(Some(each), names::num_files_at_level(level))?;
                *files += of_family;
                if level == 0 {
                    found.level0_files = found.level0_files.max(of_family);
                }
            }
        }
        Ok(found)
    }

    fn number(&self, of: Option<Family>, name: impl rocksdb::CStrLike) -> Result<u64, StoreError> {
        let found = match of {
            Some(each) => self.db.property_int_value_cf(family(&self.db, each), name),
            None => self.db.property_int_value(name),
        };
        Ok(found
            .map_err(store_error("read a figure of the state's database"))?
            .unwrap_or(0))
    }
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStore")
            .field("path", &self.db.path())
            .finish()
    }
}

/// The state as last committed; consistent over several reads only for the one thread that commits.
impl Read for RocksStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        view::get(&self.db, table, key, read_options())
    }

    fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        view::scan(&self.db, table, range, read_options(), visit)
    }
}

#[cfg(test)]
mod tests;
