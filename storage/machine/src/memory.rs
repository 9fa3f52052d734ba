//! The state in memory: what tests apply to, and what RocksDB is compared with.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::store::{Change, Changes, Direction, KeyRange, Read, StoreError, Table, Visit};

/// A store of one sorted map for each table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    tables: [BTreeMap<Vec<u8>, Bytes>; Table::ALL.len()],
}

impl MemoryStore {
    /// Makes all of `changes`, in their order.
    pub fn commit(&mut self, changes: &Changes) {
        for change in &changes.0 {
            match change {
                Change::Put { table, key, value } => {
                    self.tables[*table as usize].insert(key.clone(), value.clone());
                }
                Change::Delete { table, key } => {
                    self.tables[*table as usize].remove(key);
                }
                Change::DeleteRange { table, start, end } => {
                    self.tables[*table as usize].retain(|key, _| key < start || key >= end);
                }
            }
        }
    }
}

impl Read for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.tables[table as usize].get(key).cloned())
    }

    fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let end = match &range.end {
            Some(end) if end <= &range.start => return Ok(()),
            Some(end) => Bound::Excluded(end.as_slice()),
            None => Bound::Unbounded,
        };
        let mut rows =
            self.tables[table as usize].range::<[u8], _>((Bound::Included(range.start.as_slice()), end));
        loop {
            let row = match range.direction {
                Direction::Ascending => rows.next(),
                Direction::Descending => rows.next_back(),
            };
            let Some((key, value)) = row else {
                return Ok(());
            };
            if visit(key, value)?.is_break() {
                return Ok(());
            }
        }
    }
}
