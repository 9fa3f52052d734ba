//! What whole clusters are tested with: real processes on real disks, a scripted receiver, links that can be cut,
//! and one way to wait. The tests in `it/` and the demo use it.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod answering;
pub mod audit;
pub mod behaviour;
pub mod cluster;
pub mod door;
pub mod eventually;
pub mod fairness;
pub mod http;
pub mod load;
pub mod node;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod silent;
pub mod sockets;
pub mod wall;
