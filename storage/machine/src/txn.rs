//! Pending writes over a base: `apply` and its helpers read and write this only, and see both.
//! Invariant: what it yields depends on what was written, never on how the entries were cut into batches.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use crate::store::{Change, Changes, Direction, KeyRange, Read, StoreError, Table, Visit};

/// Pending writes over a [`Read`].
pub struct Txn<'a> {
    base: &'a dyn Read,
    pending: [Pending; Table::ALL.len()],
}

/// What is pending in one table. A row is put (`Some`) or deleted (`None`).
/// Invariant: no deletion in `rows` lies within `cleared`; a put that does was written after the clearing.
#[derive(Default)]
struct Pending {
    rows: BTreeMap<Vec<u8>, Option<Bytes>>,
    cleared: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pending {
    fn clears(&self, key: &[u8]) -> bool {
        self.cleared
            .iter()
            .any(|(start, end)| start.as_slice() <= key && key < end.as_slice())
    }
}

impl<'a> Txn<'a> {
    /// Nothing pending yet.
    pub fn new(base: &'a dyn Read) -> Self {
        Self {
            base,
            pending: Default::default(),
        }
    }

    /// Sets a row.
    pub fn put(&mut self, table: Table, key: Vec<u8>, value: Bytes) {
        self.pending[table as usize].rows.insert(key, Some(value));
    }

    /// Removes a row, if it is there.
    pub fn delete(&mut self, table: Table, key: Vec<u8>) {
        let pending = &mut self.pending[table as usize];
        if pending.clears(&key) {
            pending.rows.remove(&key);
        } else {
            pending.rows.insert(key, None);
        }
    }

    /// Removes all rows from `start` (included) to `end` (excluded).
    pub fn delete_range(&mut self, table: Table, start: Vec<u8>, end: Vec<u8>) {
        if start >= end {
            return;
        }
        let pending = &mut self.pending[table as usize];
        let within: Vec<_> = pending
            .rows
            .range::<[u8], _>((Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice())))
            .map(|(key, _)| key.clone())
            .collect();
        for key in within {
            pending.rows.remove(&key);
        }
        pending.cleared.push((start, end));
    }

    /// Rows that are put or deleted one by one.
    pub fn rows(&self) -> usize {
        self.pending.iter().map(|pending| pending.rows.len()).sum()
    }

    /// Ranges that are cleared. Every read of a row that is not pending walks those of its table.
    pub fn ranges(&self) -> usize {
        self.pending.iter().map(|pending| pending.cleared.len()).sum()
    }

    /// Everything pending, in the order of tables and keys.
    pub fn into_changes(self) -> Changes {
        let mut changes = Vec::new();
        for (table, mut pending) in Table::ALL.into_iter().zip(self.pending) {
            // Order: ranges before rows, since a row that lies in one was put after it.
            pending.cleared.sort();
            changes.extend(
                pending
                    .cleared
                    .into_iter()
                    .map(|(start, end)| Change::DeleteRange { table, start, end }),
            );
            changes.extend(pending.rows.into_iter().map(|(key, value)| match value {
                Some(value) => Change::Put { table, key, value },
                None => Change::Delete { table, key },
            }));
        }
        Changes(changes)
    }
}

impl Read for Txn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let pending = &self.pending[table as usize];
        match pending.rows.get(key) {
            Some(row) => Ok(row.clone()),
            None if pending.clears(key) => Ok(None),
            None => self.base.get(table, key),
        }
    }

    fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let pending = &self.pending[table as usize];
        if range
            .end
            .as_deref()
            .is_some_and(|end| end <= range.start.as_slice())
        {
            return Ok(());
        }
        if pending.rows.is_empty() && pending.cleared.is_empty() {
            return self.base.scan(table, range, visit);
        }
        let end = match &range.end {
            Some(end) => Bound::Excluded(end.as_slice()),
            None => Bound::Unbounded,
        };
        let rows = pending
            .rows
            .range::<[u8], _>((Bound::Included(range.start.as_slice()), end));
        let mut overlay = Overlay::new(rows, range.direction);
        let mut ended = false;
        self.base.scan(table, range, &mut |key, value| {
            let flow = if overlay.show_before(key, visit)?.is_break() {
                ControlFlow::Break(())
            } else if overlay.show_instead_of(key, visit)? {
                overlay.flow
            } else if pending.clears(key) {
                ControlFlow::Continue(())
            } else {
                visit(key, value)?
            };
            ended = flow.is_break();
            Ok(flow)
        })?;
        if ended { Ok(()) } else { overlay.show_rest(visit) }
    }
}

/// The pending rows of a scan, in its direction.
type PendingRows<'t> = Box<dyn Iterator<Item = (&'t Vec<u8>, &'t Option<Bytes>)> + 't>;

/// The pending rows of a scan, walked beside the base's.
struct Overlay<'t> {
    rows: Peekable<PendingRows<'t>>,
    direction: Direction,
    /// What the visitor last said.
    flow: ControlFlow<()>,
}

impl<'t> Overlay<'t> {
    fn new(rows: Range<'t, Vec<u8>, Option<Bytes>>, direction: Direction) -> Self {
        let rows: PendingRows<'t> = match direction {
            Direction::Ascending => Box::new(rows),
            Direction::Descending => Box::new(rows.rev()),
        };
        Self {
            rows: rows.peekable(),
            direction,
            flow: ControlFlow::Continue(()),
        }
    }

    /// Shows the rows that come before the base's row at `key`.
    fn show_before(&mut self, key: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>, StoreError> {
        let direction = self.direction;
        let before = |own: &[u8]| match direction {
            Direction::Ascending => own < key,
            Direction::Descending => own > key,
        };
        while self.flow.is_continue() {
            match self.rows.next_if(|(own, _)| before(own)) {
                Some((own, Some(value))) => self.flow = visit(own, value)?,
                Some((_, None)) => {}
                None => break,
            }
        }
        Ok(self.flow)
    }

    /// Whether the row at `key` is a pending one; shows it unless it is deleted.
    fn show_instead_of(&mut self, key: &[u8], visit: &mut Visit<'_>) -> Result<bool, StoreError> {
        let Some((own, row)) = self.rows.next_if(|(own, _)| own.as_slice() == key) else {
            return Ok(false);
        };
        if let Some(value) = row {
            self.flow = visit(own, value)?;
        }
        Ok(true)
    }

    /// Shows what lies behind the base's last row.
    fn show_rest(mut self, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        for (own, row) in self.rows {
            if let Some(value) = row {
                self.flow = visit(own, value)?;
            }
            if self.flow.is_break() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
