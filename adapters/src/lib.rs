//! The destinations: what to ask of each, and what its answer means. This crate knows no shards, retries or log;
//! a new kind of destination never touches the replicated state.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

pub mod adapter;
pub mod guard;
pub mod net;
pub mod proxy;
pub mod registry;
pub mod rules;
pub mod settings;
pub mod shown;
pub mod sign;
pub mod spec;
pub mod webhooks;

mod ask;
mod dial;
mod http;
mod lookups;
mod names;
mod plain;
mod retry_after;
mod wire;
