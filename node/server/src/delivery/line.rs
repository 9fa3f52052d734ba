//! One destination's line in the queue: how far it was read, what was read ahead, and when the next row is due.
//! Pure; part of the queue.

use std::collections::VecDeque;

use pushrail_model::ids::EventSeq;
use pushrail_model::time::Timestamp;

/// Rows read for one line at least: one more than the one that is likely there, so that its end is seen at once.
pub(crate) const AHEAD_MIN: usize = 2;
/// Rows read for one line at most.
const AHEAD_MAX: usize = 64;

/// A due row: when, and which event.
pub(crate) type Row = (Timestamp, EventSeq);

/// What is known of one destination's due rows.
#[derive(Debug)]
pub(crate) struct Line {
    // Below it nothing is left to start.
    cursor: Row,
    ahead: VecDeque<Row>,
    // A row at or above the cursor may be due from here on; `None`: there is none.
    next: Option<Timestamp>,
    read_rows: usize,
    /// Its destination is paused or disabled: it rests.
    pub(crate) held: bool,
}

impl Line {
    /// One that begins with what is due then.
    pub(crate) fn at(due: Timestamp) -> Self {
        Self {
            cursor: (due, EventSeq::ZERO),
            ahead: VecDeque::new(),
            next: Some(due),
            read_rows: AHEAD_MIN,
            held: false,
        }
    }

    /// When its first row is due, or may be.
    pub(crate) fn head(&self) -> Option<Timestamp> {
        self.ahead.front().map(|(due, _)| *due).or(self.next)
    }

    /// Rows read ahead.
    pub(crate) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// The next row read ahead.
    pub(crate) fn pop(&mut self) -> Option<Row> {
        self.ahead.pop_front()
    }

    /// From where it is to be read on, and how many rows it is worth.
    pub(crate) fn to_read(&self) -> (Row, usize) {
        (self.cursor, self.read_rows)
    }

    /// A row is or becomes due at `due`.
    pub(crate) fn note(&mut self, due: Timestamp) {
        let row = (due, EventSeq::ZERO);
        if row < self.cursor {
            self.rewind(row);
        } else {
            // The nearest counts: a retry an hour from now must not hide what is due at once.
            self.next = Some(self.next.map_or(due, |next| next.min(due)));
        }
    }

    /// Goes back, so that this row is met again.
    pub(crate) fn rewind(&mut self, to: Row) {
        let first = self.ahead.front().copied().unwrap_or(self.cursor);
        self.ahead.clear();
        self.cursor = self.cursor.min(first).min(to);
        self.next = Some(self.cursor.0);
        self.read_rows = AHEAD_MIN;
    }

    /// What a read from the cursor found; fewer rows than `limit`: there are no more.
    pub(crate) fn fill(&mut self, rows: &[Row], limit: usize, now: Timestamp) {
        let due = rows.iter().take_while(|(due, _)| *due <= now);
        let due: Vec<Row> = due.copied().collect();
        if let Some(last) = due.last() {
            self.cursor = after(*last);
        }
        match rows.get(due.len()) {
            // The head of what is to come. The cursor stops right there, and what lies behind is read in its time.
            Some(first) => {
                self.cursor = *first;
                self.next = Some(first.0);
            }
            None if rows.len() < limit => self.next = None,
            None => self.next = Some(self.cursor.0),
        }
        self.read_rows = if due.len() == limit {
            (limit * 4).min(AHEAD_MAX)
        } else {
            (due.len() + 1).clamp(AHEAD_MIN, AHEAD_MAX)
        };
        self.ahead.extend(due);
    }
}

/// The smallest row above this one.
fn after((due, seq): Row) -> Row {
    let seq = match seq.position.checked_add(1) {
        Some(position) => EventSeq { position, ..seq },
        None => EventSeq {
            index: seq.index + 1,
            position: 0,
        },
    };
    (due, seq)
}
