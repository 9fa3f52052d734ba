//! Replication: the ordered log between the nodes, and the state that each of them makes of it.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

pub mod clock;
pub mod config;
pub mod error;
pub mod hints;
pub mod lease;
pub mod metrics;
pub mod replica;
pub mod status;
pub mod types;
pub mod view;
pub mod wire;

mod agreement;
mod applier;
mod ask;
mod calls;
mod clockwatch;
mod course;
mod desk;
mod door;
mod flush;
mod forward;
mod founding;
mod grants;
mod load;
mod local;
mod log_check;
mod log_read;
mod log_store;
mod marks;
mod membership;
mod observe;
mod own_state;
mod peer;
mod peers;
mod persist;
mod propose;
mod proposer;
mod reachability;
mod record;
mod rivals;
mod scrub;
mod seal;
mod service;
mod snapshot;
mod start;
mod state;
mod state_machine;
mod stores;
mod timekeeper;
mod watermark;
mod way;
