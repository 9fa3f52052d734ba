//! Jobs over dead letters: of a tenant, and those that the leader moves on.

use pushrail_model::ids::{JobNo, TenantNo};
use pushrail_model::job::Job;
use pushrail_model::shard::Partition;

use crate::jobs;
use crate::keys::{JobKey, RunningJobKey};
use crate::store::{KeyRange, Read, StoreError};
use crate::tables::{self, more};

/// A tenant's job.
pub fn job(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
    job: JobNo,
) -> Result<Option<Job>, StoreError> {
    let key = JobKey {
        partition,
        tenant,
        job,
    };
    tables::get(read, &key)
}

/// All jobs of a tenant, newest first: some hundred at most.
pub fn list(read: &dyn Read, partition: Partition, tenant: TenantNo) -> Result<Vec<Job>, StoreError> {
    let all = jobs::of_tenant(read, partition, tenant)?;
    Ok(all.into_iter().rev().map(|(_, job)| job).collect())
}

/// The first jobs that run, over all tenants.
pub fn running(read: &dyn Read, limit: usize) -> Result<Vec<(Partition, TenantNo, Job)>, StoreError> {
    let mut found = Vec::new();
    let mut keys: Vec<RunningJobKey> = Vec::new();
    tables::scan_keys(read, KeyRange::prefix(&[]), |key| {
        keys.push(key);
        Ok(more(keys.len() < limit))
    })?;
    for key in keys {
        if let Some(job) = job(read, key.partition, key.tenant, key.job)? {
            found.push((key.partition, key.tenant, job));
        }
    }
    Ok(found)
}
