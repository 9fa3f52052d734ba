//! Replicas of one cluster in one process, with real disk and real gRPC on loopback.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/founding.rs"]
mod founding;
#[path = "cluster/leases.rs"]
mod leases;
#[path = "cluster/proposals.rs"]
mod proposals;
#[path = "cluster/reads.rs"]
mod reads;
#[path = "cluster/time.rs"]
mod time;
#[path = "cluster/world.rs"]
mod world;
