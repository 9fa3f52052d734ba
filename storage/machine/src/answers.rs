//! What came of an entry: an answer for each batch, and hints for those who deliver.

use pushrail_model::command::Hint;
use pushrail_model::ids::LogIndex;
use pushrail_model::response::Response;

/// What came of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// One for each batch of the entry, in order.
    pub answers: Vec<BatchAnswer>,
    /// Where something may now deserve attention.
    pub hints: Vec<Hint>,
}

/// What came of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchAnswer {
    /// It was applied, now or by an entry before.
    Answered(Answers),
    /// It lies below its door's lowest open batch, or comes from an earlier boot: by this copy nothing happened.
    Retired,
}

/// The answers to the commands of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// The entry that applied the batch: a state that has applied it shows what was done.
    pub index: LogIndex,
    /// One for each command, in order.
    pub responses: Vec<Response>,
}
