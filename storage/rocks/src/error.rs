//! RocksDB's errors as [`StoreError`]s: whatever they are, the node stops and comes back from its log.

use std::io;

use pushrail_machine::store::StoreError;

/// Gives RocksDB's error the words for what was tried.
pub(crate) fn store_error(what: impl Into<String>) -> impl FnOnce(rocksdb::Error) -> StoreError {
    let what = what.into();
    move |error| {
        let kind = match error.kind() {
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
