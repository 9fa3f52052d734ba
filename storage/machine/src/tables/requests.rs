//! Requests on settings that were carried out, for as long as they may be repeated.

use pushrail_model::ids::TenantNo;
use pushrail_model::time::Timestamp;

use crate::keys::RequestKey;
use crate::tables::Row;

/// What a request led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownRequest {
    /// Of what it asked for, credentials left out: the same request with another is refused.
    pub(crate) content_hash: u128,
    /// Where its object stands, or stood.
    pub(crate) led: Led,
    /// When, in the state's time.
    pub(crate) at: Timestamp,
}

/// Which object a request led to, and to which version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Led {
    /// The tenant's number.
    pub(crate) tenant: TenantNo,
    /// The number of the destination, or the first number of the route; 0 where it was the tenant itself.
    pub(crate) object: u32,
    /// The version that the object had by then.
    pub(crate) version: u64,
}

impl Row for RequestKey {
    type Value = KnownRequest;
}
