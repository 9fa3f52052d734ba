//! One consistent sight of a node's own state, and how fresh a reader wants it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pushrail_machine::store::{KeyRange, Read, StoreError, Table, Visit};
use pushrail_model::ids::LogIndex;
use pushrail_model::token::Token;

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What this node has applied by now.
    Local,
    /// At least what the token's giver had applied.
    AtLeast(Token),
    /// Everything that was acknowledged before the question; the leader confirms it.
    Linearizable,
}

/// One consistent sight of the state, at one index. Cheap to clone; holds old files on disk while it lives.
#[derive(Clone)]
pub struct View {
    rows: Arc<dyn Read + Send + Sync>,
    term: u64,
    applied: LogIndex,
}

impl View {
    /// Over these rows, which show all entries up to `applied`.
    pub(crate) fn new(rows: Arc<dyn Read + Send + Sync>, term: u64, applied: LogIndex) -> Self {
        Self { rows, term, applied }
    }

    /// The last entry whose changes it shows.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// A receipt for what it shows.
    pub fn token(&self) -> Token {
        Token {
            group: 0,
            term: self.term,
            index: self.applied,
        }
    }
}

impl Read for View {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.rows.get(table, key)
    }

    fn scan(&self, table: Table, range: KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.rows.scan(table, range, visit)
    }
}

/// What a query found, and how fresh that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered<T> {
    /// What it found.
    pub value: T,
    /// The state that it reflects.
    pub token: Token,
    /// How old that state may be at most: since this node was last known to be level with the leader.
    pub age: Option<Duration>,
}
