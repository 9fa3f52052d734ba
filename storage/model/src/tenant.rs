//! Whose data it is.

use crate::ids::{LogIndex, TenantId, TenantNo};
use crate::retention::Retention;
use crate::time::Timestamp;

/// A customer of the product; the border of every key and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its public id.
    pub id: TenantId,
    /// Its number inside keys.
    pub number: TenantNo,
    /// For people.
    pub description: String,
    /// Moves with every route, and with every destination made or removed: the log index of the last such change.
    pub routing_revision: LogIndex,
    /// 1 when made, one more with each change.
    pub version: u64,
    /// When it was made, in the state's time.
    pub created: Timestamp,
    /// The request that made it: a repeat is answered alike.
    pub request_id: String,
    /// How many destinations it has.
    pub destinations: u32,
    /// How many routes it has.
    pub routes: u32,
    /// The number that its next destination gets.
    pub next_destination: u32,
    /// The number that its next route gets.
    pub next_route: u32,
    /// How long its rows are kept.
    pub retention: Retention,
    /// The request that last changed it.
    pub update_request_id: String,
    /// When it was removed, in the state's time: its row stays, since what it published may still be there.
    pub removed: Option<Timestamp>,
}
