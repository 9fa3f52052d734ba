//! One consistent sight of the state, owned: it may travel to another thread and outlive the call that made it.
//!
//! A view pins old rows and files: it is for one question, never kept.

use std::sync::Arc;

use bytes::Bytes;
use pushrail_machine::store::{Direction, KeyRange, Read, StoreError, Table, Visit};
use rocksdb::{ColumnFamily, DB, ReadOptions};
use self_cell::self_cell;

use crate::error::read_error;
use crate::layout::{Family, META, place};

type Snapshot<'a> = rocksdb::Snapshot<'a>;

self_cell!(
    struct Pinned {
        owner: Arc<DB>,
        #[covariant]
        dependent: Snapshot,
    }
);

/// The state as it stood when the view was taken.
pub struct View {
    pinned: Pinned,
}

impl View {
    pub(crate) fn new(db: Arc<DB>) -> Self {
        Self {
            pinned: Pinned::new(db, |db| db.snapshot()),
        }
    }

    /// One of the store's own rows, as this view sees it.
    pub fn meta(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.pinned
            .with_dependent(|db, snapshot| get_meta(db, key, pinned_options(snapshot)))
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sequence = self
            .pinned
            .with_dependent(|_, snapshot| snapshot.sequence_number());
        f.debug_struct("View").field("sequence", &sequence).finish()
    }
}

impl Read for View {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.pinned
            .with_dependent(|db, snapshot| get(db, table, key, pinned_options(snapshot)))
    }

    fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.pinned
            .with_dependent(|db, snapshot| scan(db, table, range, pinned_options(snapshot), visit))
    }
}

fn pinned_options(snapshot: &Snapshot<'_>) -> ReadOptions {
    let mut options = read_options();
    options.set_snapshot(snapshot);
    options
}

/// How we read: everything that comes from a file is checked.
pub(crate) fn read_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_verify_checksums(true);
    options
}

pub(crate) fn family(db: &DB, family: Family) -> &ColumnFamily {
    db.cf_handle(family.name())
        .expect("every family is created or found when the database is opened")
}

/// A table's key as it lies in its family.
pub(crate) fn stored_key(first: u8, key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + 1);
    stored.push(first);
    stored.extend_from_slice(key);
    stored
}

pub(crate) fn get_meta(db: &DB, key: &[u8], options: ReadOptions) -> Result<Option<Bytes>, StoreError> {
    let found = db
        .get_pinned_cf_opt(family(db, Family::Config), stored_key(META, key), &options)
        .map_err(read_error(db.path(), "read a row of the store's own"))?;
    Ok(found.map(|value| Bytes::copy_from_slice(&value)))
}

pub(crate) fn get(
    db: &DB,
    table: Table,
    key: &[u8],
    options: ReadOptions,
) -> Result<Option<Bytes>, StoreError> {
    let (lies, first) = place(table);
    let found = db
        .get_pinned_cf_opt(family(db, lies), stored_key(first, key), &options)
        .map_err(read_error(db.path(), format!("read a row of {table:?}")))?;
    Ok(found.map(|value| Bytes::copy_from_slice(&value)))
}

pub(crate) fn scan(
    db: &DB,
    table: Table,
    range: KeyRange,
    mut options: ReadOptions,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let (lies, first) = place(table);
    let start = stored_key(first, &range.start);
    let end = match &range.end {
        Some(end) => stored_key(first, end),
        None => vec![first + 1],
    };
    if start >= end {
        return Ok(());
    }
    // Both bounds always: a scan never walks into tombstones beside its own range.
    options.set_iterate_lower_bound(start);
    options.set_iterate_upper_bound(end);
    let mut rows = db.raw_iterator_cf_opt(family(db, lies), options);
    match range.direction {
        Direction::Ascending => rows.seek_to_first(),
        Direction::Descending => rows.seek_to_last(),
    }
    while let Some((key, value)) = rows.item() {
        let (_, key) = key
            .split_first()
            .expect("the bounds let only keys through that begin with the table's byte");
        if visit(key, value)?.is_break() {
            return Ok(());
        }
        match range.direction {
            Direction::Ascending => rows.next(),
            Direction::Descending => rows.prev(),
        }
    }
    rows.status()
        .map_err(read_error(db.path(), format!("scan {table:?}")))
}
