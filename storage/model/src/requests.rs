//! What is left of requests, so that a late repeat finds what the first one did: it goes once nobody repeats any more.

use crate::ids::{JobNo, TenantNo};
use crate::shard::Partition;

/// Lets go what is left of requests of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropRequests {
    /// Of which.
    pub partition: Partition,
    /// What, at most [`crate::limits::UPKEEP_REQUESTS_MAX`]: what is not over stays.
    pub rows: Vec<RequestRow>,
}

/// What is left of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// Whose; 0 where it was the tenant itself.
    pub tenant: TenantNo,
    /// What.
    pub left: Left,
}

/// What a request has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// The answers of a replay of chosen dead letters, under its request id.
    Replay(String),
    /// A job that has ended.
    Job(JobNo),
}
