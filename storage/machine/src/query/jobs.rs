//! Jobs over dead letters: of a tenant, and those that the leader moves on.

use pushrail_model::ids::{JobNo, TenantNo};
use pushrail_model::job::Job;
use pushrail_model::shard::Partition;

use crate::jobs;
use crate::keys::{JobKey, Key as _, RunningJobKey};
use crate::query::page::just_after;
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

/// Which job of which tenant.
pub type JobPlace = (Partition, TenantNo, JobNo);

/// Jobs that run, over all tenants: the next ones `behind` a job, and after the last one the first. Whoever asks behind
/// the last one that it was told gives each its turn, however many there are.
pub fn running(
    read: &dyn Read,
    behind: Option<JobPlace>,
    limit: usize,
) -> Result<Vec<(Partition, TenantNo, Job)>, StoreError> {
    let all = KeyRange::prefix(&[]);
    let ranges = match behind {
        None => vec![all],
        Some((partition, tenant, job)) => {
            let place = RunningJobKey {
                partition,
                tenant,
                job,
            };
            let middle = just_after(&place.encode());
            vec![
                KeyRange {
                    start: middle.clone(),
                    ..all.clone()
                },
                KeyRange {
                    end: Some(middle),
                    ..all
                },
            ]
        }
    };
    let mut found = Vec::new();
    let mut keys: Vec<RunningJobKey> = Vec::new();
    for range in ranges {
        if keys.len() < limit {
            tables::scan_keys(read, range, |key| {
                keys.push(key);
                Ok(more(keys.len() < limit))
            })?;
        }
    }
    for key in keys {
        if let Some(job) = job(read, key.partition, key.tenant, key.job)? {
            found.push((key.partition, key.tenant, job));
        }
    }
    Ok(found)
}
