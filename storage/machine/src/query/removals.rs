//! Removed destinations that still have open deliveries: what the leader goes on with.

use pushrail_model::settings::CancelDeliveries;

use crate::keys::RemovalKey;
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;

/// The next step of each of the first `limit`.
pub fn steps(read: &dyn Read, limit: usize) -> Result<Vec<CancelDeliveries>, StoreError> {
    let rows = tables::rows::<RemovalKey>(read, KeyRange::prefix(&[]), limit)?;
    let steps = rows.into_iter().map(|(key, _)| CancelDeliveries {
        partition: key.partition,
        tenant: key.tenant,
        destination: key.destination,
    });
    Ok(steps.collect())
}
