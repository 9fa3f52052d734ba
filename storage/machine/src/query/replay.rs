//! A replay, by the request that made it.

use pushrail_model::replay::Replay;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::keys::ReplayKey;
use crate::store::{Read, StoreError};
use crate::tables;

/// The tenant's replay that this request made.
pub fn replay(read: &dyn Read, tenant: &Tenant, request_id: &str) -> Result<Option<Replay>, StoreError> {
    let key = ReplayKey {
        partition: Partition::of(&tenant.id),
        tenant: tenant.number,
        request_id: request_id.to_owned(),
    };
    tables::get(read, &key)
}
