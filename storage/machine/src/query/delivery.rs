//! A delivery.

use pushrail_model::delivery::{Delivery, DeliveryKey};
use pushrail_model::ids::{DeliveryId, TenantNo};

use crate::store::{Read, StoreError};
use crate::tables::{self, events};

/// What has become of a delivery.
pub fn delivery(read: &dyn Read, key: &DeliveryKey) -> Result<Option<Delivery>, StoreError> {
    tables::get(read, key)
}

/// Where a tenant's delivery stands, by its public id: its event knows the destination at that place.
pub fn key(read: &dyn Read, tenant: TenantNo, id: DeliveryId) -> Result<Option<DeliveryKey>, StoreError> {
    let Some(event) = events::get(read, tenant, id.event)? else {
        return Ok(None);
    };
    let destination = event.new.destinations.get(usize::from(id.place));
    Ok(destination.map(|&destination| DeliveryKey {
        partition: id.event.partition,
        tenant,
        destination,
        seq: id.event.seq,
    }))
}
