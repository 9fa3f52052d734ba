//! A copy of the database's files as they stood at one point: hard links, so nearly free until compaction moves on.
//!
//! What it says of itself (its applied index) is read from the checkpoint, never from the live state, which may
//! have moved while the files were linked.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use pushrail_machine::store::StoreError;

use crate::layout::RocksOptions;
use crate::store::RocksStore;

/// A checkpoint on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// The checkpoint that lies in `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for reading.
    pub fn open(&self) -> Result<RocksStore, StoreError> {
        let small = RocksOptions {
            cache_bytes: 1024 * 1024,
            ..RocksOptions::default()
        };
        RocksStore::open_read_only(&self.path, &small)
    }

    /// One of the store's own rows, as the checkpoint holds it.
    pub fn meta(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.open()?.meta(key)
    }
}
