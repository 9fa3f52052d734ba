//! Idempotency keys that are taken, found by their hash.

use pushrail_model::ids::EventId;
use pushrail_model::time::Timestamp;

use crate::keys::KeptKeyKey;
use crate::tables::Row;

/// An idempotency key that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptKey {
    /// The caller's key.
    pub(crate) key: String,
    /// What *same content* means.
    pub(crate) content_hash: u128,
    /// The event that holds the key.
    pub(crate) event: EventId,
    /// How many deliveries it made.
    pub(crate) deliveries: u32,
    /// When, in the state's time.
    pub(crate) accepted: Timestamp,
}

impl Row for KeptKeyKey {
    type Value = KeptKey;
}
