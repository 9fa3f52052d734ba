//! The process: what a node is told, what it answers, when it acts. It decides *when* to act, never *what the
//! state becomes*.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may fail loudly"))]

pub mod cli;
pub mod config;
pub mod door;
pub mod keyring;
pub mod metrics;
pub mod sandbox;
pub mod serve;
pub mod services;
pub mod shards;
pub mod telemetry;

mod delivery;
mod housekeeping;
mod http;
mod readiness;
mod send;
mod upkeep;
