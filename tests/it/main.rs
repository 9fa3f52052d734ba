//! The promises, one file each, held against real clusters; and the house rules that no tool knows.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod changes;
mod cli;
mod clocks;
mod crash;
mod credentials;
mod damage;
mod disk;
mod early;
mod failures;
mod fairness;
mod follower;
mod health;
mod idempotency;
mod isolation;
mod jobs;
mod leader;
mod lists;
mod metrics;
mod moving;
mod offline;
mod owner;
mod partition;
mod pause;
mod publish;
mod reads;
mod replay;
mod replicas;
mod retention;
mod run;
mod sandbox;
mod secrecy;
mod settings;
mod signatures;
mod sigterm;
mod startup;
mod tidy;
mod trial;
mod unsettled;
mod world;
