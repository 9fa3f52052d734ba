//! What Pushrail talks about: words and rules. No bytes on disk, no network, no clock.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

pub mod attempt;
pub mod change;
pub mod command;
pub mod dead_letter;
pub mod delivery;
pub mod destination;
pub mod event;
pub mod ids;
pub mod job;
pub mod limits;
pub mod outcome;
pub mod payload;
pub mod replay;
pub mod requests;
pub mod response;
pub mod retention;
pub mod retry;
pub mod route;
pub mod settings;
pub mod shard;
pub mod tenant;
pub mod time;
pub mod token;
pub mod verdict;
pub mod weight;

mod base32;
