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
    /// Above that of any tenant of its partition that was removed when made, one more with each change.
    pub version: u64,
    /// When it was made, in the state's time.
    pub created: Timestamp,
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
    /// The highest version that anything removed from it has had: whatever is made in it begins above, so that a name
    /// that is used again never has a version that it had before.
    pub spent_version: u64,
    /// When it was removed, in the state's time: its row stays, since what it published may still be there.
    pub removed: Option<Timestamp>,
}

impl Tenant {
    /// The version with which the next object that is made in it begins.
    pub fn first_version(&self) -> u64 {
        self.spent_version + 1
    }

    /// Something was removed from it at this version.
    pub fn spend(&mut self, version: u64) {
        self.spent_version = self.spent_version.max(version);
    }
}
