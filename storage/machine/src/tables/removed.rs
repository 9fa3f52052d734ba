//! Which removed destinations still have deliveries to end.

use pushrail_model::change::Actor;
use pushrail_model::ids::{DestinationId, TenantId};

use crate::keys::RemovalKey;
use crate::tables::Row;

/// A removed destination that still has open deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Whose it was.
    pub(crate) tenant: TenantId,
    /// Its name.
    pub(crate) destination: DestinationId,
    /// The request that removed it.
    pub(crate) request_id: String,
    /// Who did.
    pub(crate) actor: Option<Actor>,
    /// How many deliveries have been ended so far.
    pub(crate) cancelled: u64,
}

impl Row for RemovalKey {
    type Value = Removal;
}
