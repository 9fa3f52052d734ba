//! How the replicated state changes: one pure function from state and entry to changes, and the questions that the
//! state answers. No clock, no chance, no disk: `apply` computes what is to be written.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

pub mod answers;
pub mod apply;
pub mod codec;
pub mod digest;
pub mod invariants;
pub mod memory;
pub mod query;
pub mod store;
pub mod txn;

pub use crate::answers::{Answers, Applied, BatchAnswer};
pub use crate::apply::apply;

mod attempts;
mod changes;
mod context;
mod doors;
mod forget;
mod jobs;
mod keeping;
mod keys;
mod lifecycle;
mod reject;
mod requests;
mod tables;
mod tally;
