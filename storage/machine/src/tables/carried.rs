//! Events past their retention: up to where a tenant's are gone, and those that were carried forward because a
//! delivery still needed them.

use pushrail_model::ids::{DestinationNo, EventSeq};

use crate::keys::{CarriedKey, EventCursorKey};
use crate::tables::Row;

/// The place below which all events of a tenant are gone, but for those that are carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventCursor(pub(crate) EventSeq);

/// An event that outlives its retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// All its destinations, so that its deliveries are found without reading its payload.
    pub(crate) destinations: Vec<DestinationNo>,
    /// Whether its payload is gone: it stands for the record alone.
    pub(crate) stripped: bool,
}

impl Row for EventCursorKey {
    type Value = EventCursor;
}

impl Row for CarriedKey {
    type Value = Carried;
}
