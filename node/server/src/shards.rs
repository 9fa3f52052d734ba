//! Which node delivers for which shard.

pub mod plan;

mod spread;
