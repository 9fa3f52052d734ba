//! RocksDB's errors as [`StoreError`]s: whatever they are, the node stops and comes back from its log.

use std::io;
use std::path::Path;

use pushrail_machine::store::StoreError;

use crate::blobs;

/// As [`store_error`], for a read of the database in `dir`. Of damage in a blob file RocksDB does not say which: that
/// is looked for.
pub(crate) fn read_error(dir: &Path, what: impl Into<String>) -> impl FnOnce(rocksdb::Error) -> StoreError {
    let what = what.into();
    move |error| {
        let text = error.as_ref();
        let named = text.contains(".sst") || text.contains(".blob");
        let damaged = error.kind() == rocksdb::ErrorKind::Corruption && !named;
        let what = match (damaged, damaged.then(|| blobs::first_damage(dir)).flatten()) {
            (true, Some((path, offset))) => {
                format!("{what} ({} is damaged at byte {offset})", path.display())
            }
            // Each is whole in itself: one is not the file that it was.
            (true, None) => match blobs::names(dir) {
                Some(names) => format!("{what} (one of {names} is another file)"),
                None => what,
            },
            (false, _) => what,
        };
        store_error(what)(error)
    }
}

/// Gives RocksDB's error the words for what was tried.
pub(crate) fn store_error(what: impl Into<String>) -> impl FnOnce(rocksdb::Error) -> StoreError {
    let what = what.into();
    move |error| {
        let text = error.as_ref();
        let gone = text.contains("No such file") || text.contains("does not exist");
        let kind = match error.kind() {
            // A file that was there once and is gone was not removed by this program.
            _ if gone => io::ErrorKind::InvalidData,
            rocksdb::ErrorKind::Corruption => io::ErrorKind::InvalidData,
            rocksdb::ErrorKind::NotFound
            | rocksdb::ErrorKind::NotSupported
            | rocksdb::ErrorKind::InvalidArgument
            | rocksdb::ErrorKind::IOError
            | rocksdb::ErrorKind::MergeInProgress
            | rocksdb::ErrorKind::Incomplete
            | rocksdb::ErrorKind::ShutdownInProgress
            | rocksdb::ErrorKind::TimedOut
            | rocksdb::ErrorKind::Aborted
            | rocksdb::ErrorKind::Busy
            | rocksdb::ErrorKind::Expired
            | rocksdb::ErrorKind::TryAgain
            | rocksdb::ErrorKind::CompactionTooLarge
            | rocksdb::ErrorKind::ColumnFamilyDropped
            | rocksdb::ErrorKind::Unknown => io::ErrorKind::Other,
        };
        StoreError::Io {
            what,
            source: io::Error::new(kind, error),
        }
    }
}
