//! The dead-letter queues of a tenant.

use pushrail_model::dead_letter::DeadLetter;
use pushrail_model::ids::{DestinationNo, TenantNo};
use pushrail_model::shard::Partition;

use crate::keys::{DeadLetterKey, Key, prefix};
use crate::query::page::{Page, behind};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;

/// The dead letters of a tenant, or of one of its destinations, behind `from` (the `next` of the page before):
/// destination by destination, newest first within each.
pub fn list(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
    destination: Option<DestinationNo>,
    from: Option<&[u8]>,
    limit: usize,
) -> Result<Page<DeadLetter>, StoreError> {
    let prefix = match &destination {
        Some(destination) => prefix(&[&partition, &tenant, destination]),
        None => prefix(&[&partition, &tenant]),
    };
    let range = behind(KeyRange::prefix(&prefix).descending(), from);
    let rows = tables::rows::<DeadLetterKey>(read, range, limit)?;
    let next = rows
        .last()
        .filter(|_| rows.len() >= limit)
        .map(|(key, _)| key.encode());
    Ok(Page {
        rows: rows.into_iter().map(|(_, letter)| letter).collect(),
        next,
    })
}
