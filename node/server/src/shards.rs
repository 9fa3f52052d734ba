//! Which node delivers for which shard.

pub mod plan;

pub(crate) mod balancer;
pub(crate) mod ownership;

mod spread;
