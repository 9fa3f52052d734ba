//! Replication: the ordered log between the nodes, and the state that each of them makes of it.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

pub mod types;
pub mod wire;
