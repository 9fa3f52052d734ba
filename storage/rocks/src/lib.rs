//! Where the state lies: RocksDB, seen as tables of bytes. It does not know what a delivery is.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

mod blobs;
mod checkpoint;
mod error;
mod layout;
mod scrub;
mod store;
mod view;

pub use checkpoint::Checkpoint;
pub use layout::RocksOptions;
pub use scrub::{ScrubPlace, Scrubbed};
pub use store::{Meta, Properties, RocksStore};
pub use view::View;
