//! The questions that the state answers: one file each. They read one view and know nothing of where it lies.

pub mod assignment;
pub mod attempts;
pub mod changes;
pub mod config;
pub mod counts;
pub mod dead_letters;
pub mod deliveries;
pub mod delivery;
pub mod due;
pub mod event;
pub mod jobs;
pub mod page;
pub mod removals;
pub mod replay;
pub mod requests;
pub mod upkeep;

use pushrail_model::time::Timestamp;

use crate::keys::ClusterKey;
use crate::store::{Read, StoreError};
use crate::tables;

pub use crate::tables::cluster::ClusterRow;

/// The state's time; zero before the first entry.
pub fn clock(read: &dyn Read) -> Result<Timestamp, StoreError> {
    tables::cluster::clock(read)
}

/// The cluster's identity, once it is initialised.
pub fn cluster(read: &dyn Read) -> Result<Option<ClusterRow>, StoreError> {
    tables::get(read, &ClusterKey {})
}
