//! A page of rows, and where the next one begins.

use std::ops::ControlFlow;

use crate::store::{Direction, KeyRange};

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins, if there may be one: opaque, to be given back with the same question.
    pub next: Option<Vec<u8>>,
}

/// How much one page may be, and may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rows of the page at most.
    pub rows: usize,
    /// Rows that may still be read for it: where few match, the page ends early, and the next one goes on from there.
    pub reads: usize,
}

/// Bytes of a value that count as one more row read: long payloads take as long as many small rows.
const READ_BYTES: usize = 16 * 1024;

/// A page that is being gathered, row by row, within its budget.
pub(crate) struct Look<'b, T> {
    budget: &'b mut Budget,
    rows: Vec<T>,
    last: Option<Vec<u8>>,
    more: bool,
}

impl<'b, T> Look<'b, T> {
    /// Nothing looked at yet; what is read is taken off the budget.
    pub(crate) fn new(budget: &'b mut Budget) -> Self {
        Self {
            budget,
            rows: Vec::new(),
            last: None,
            more: false,
        }
    }

    /// Whether it must end before another row. Never before the first: every page goes on from the one before.
    pub(crate) fn is_over(&self) -> bool {
        self.last.is_some() && (self.rows.len() >= self.budget.rows || self.budget.reads == 0)
    }

    /// Ends it in front of what may be there.
    pub(crate) fn cut(&mut self) {
        self.more = true;
    }

    /// Ends it in front of a row that is there.
    pub(crate) fn stop(&mut self) -> ControlFlow<()> {
        self.cut();
        ControlFlow::Break(())
    }

    /// A row has been looked at; it stands at `key`, and belongs to the page if there is something to show.
    pub(crate) fn at(&mut self, key: Vec<u8>, row: Option<T>) {
        self.read(0);
        self.last = Some(key);
        self.rows.extend(row);
    }

    /// Another row was read for that, of so many bytes.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.budget.reads = self.budget.reads.saturating_sub(1 + bytes / READ_BYTES);
    }

    /// Nothing more lies in front of `key`, which no row need bear.
    pub(crate) fn passed(&mut self, key: Vec<u8>) {
        self.read(0);
        self.last = Some(key);
    }

    /// The page.
    pub(crate) fn page(self) -> Page<T> {
        Page {
            rows: self.rows,
            next: self.last.filter(|_| self.more),
        }
    }
}

/// What of `range` lies behind the row at `cursor`. A cursor only narrows a range: one that was given for another
/// question shows nothing of anybody else.
pub(crate) fn behind(mut range: KeyRange, cursor: Option<&[u8]>) -> KeyRange {
    let Some(cursor) = cursor else {
        return range;
    };
    match range.direction {
        Direction::Ascending => {
            let start = just_after(cursor);
            if start > range.start {
                range.start = start;
            }
        }
        Direction::Descending => {
            if range.end.as_deref().is_none_or(|end| cursor < end) {
                range.end = Some(cursor.to_vec());
            }
        }
    }
    range
}

/// The smallest key above `key`.
pub(crate) fn just_after(key: &[u8]) -> Vec<u8> {
    let mut after = Vec::with_capacity(key.len() + 1);
    after.extend_from_slice(key);
    after.push(0);
    after
}
