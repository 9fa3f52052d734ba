//! `DropBuckets`: rows that lie in buckets of time, attempts by day, idempotency keys and requests by hour, go when the
//! bucket is over, for their tenant where it has a say. What is not over stays, whoever asked; what is gone already
//! costs a seek.

use std::collections::BTreeSet;

use pushrail_model::command::{Bucketed, DropBuckets};
use pushrail_model::ids::TenantNo;
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::retention::Retention;

use crate::context::Context;
use crate::forget::Run;
use crate::keeping;
use crate::keys::{KeptKeyExpiryKey, KeptKeyKey, Key, RequestExpiryKey, prefix};
use crate::reject;
use crate::store::{KeyRange, Read, StoreError, Table, prefix_end};
use crate::tables;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &DropBuckets) -> Result<Response, StoreError> {
    if command.tenants.len() > limits::UPKEEP_TENANTS_MAX {
        let limit = u64::try_from(limits::UPKEEP_TENANTS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("tenants in a drop of buckets", limit));
    }
    let mut over = BTreeSet::new();
    for &tenant in &command.tenants {
        let retention = context.retention(command.partition, tenant)?;
        if keeping::bucket_over(command.rows, command.bucket, &retention, context.now) {
            over.insert(tenant);
        }
    }
    match command.rows {
        Bucketed::Attempts => drop_attempts(context, command, &over),
        Bucketed::IdempotencyKeys => drop_keys(context, command, &over),
        Bucketed::Requests => drop_requests(context, command),
    }
}

/// Those of all tenants of the partition: their names stand in the keys, since a tenant may have gone before.
fn drop_requests(context: &mut Context<'_, '_>, command: &DropBuckets) -> Result<Response, StoreError> {
    let mut expired = Vec::new();
    if keeping::bucket_over(command.rows, command.bucket, &Retention::default(), context.now) {
        let range = KeyRange::prefix(&prefix(&[&command.bucket, &command.partition]));
        tables::scan_keys(context.txn, range, |key: RequestExpiryKey| {
            expired.push(key);
            Ok(tables::more(expired.len() < limits::UPKEEP_ROWS_MAX))
        })?;
    }
    let mut run = Run::default();
    for key in &expired {
        tables::delete(context.txn, &key.request());
        run.add(key.encode());
    }
    run.end(context.txn, RequestExpiryKey::TABLE);
    Ok(Response::Swept {
        dropped: u64::try_from(expired.len()).unwrap_or(u64::MAX),
        carried: 0,
        more: expired.len() >= limits::UPKEEP_ROWS_MAX,
    })
}

/// Both orders of the attempt log begin with day and tenant, so one range of each holds all. Neighbours go together:
/// where all tenants of a partition keep alike, a day costs two deletions.
fn drop_attempts(
    context: &mut Context<'_, '_>,
    command: &DropBuckets,
    over: &BTreeSet<TenantNo>,
) -> Result<Response, StoreError> {
    let mut dropped = 0;
    let mut runs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for tenant in over {
        let start = prefix(&[&command.bucket, &command.partition, tenant]);
        let Some(end) = prefix_end(&start) else {
            continue;
        };
        if !any(context.txn, Table::Attempts, &start, &end)? {
            continue;
        }
        dropped += 1;
        match runs.last_mut() {
            Some(run) if !any(context.txn, Table::Attempts, &run.1, &start)? => run.1 = end,
            Some(_) | None => runs.push((start, end)),
        }
    }
    for (start, end) in runs {
        context
            .txn
            .delete_range(Table::AttemptsByTenant, start.clone(), end.clone());
        context.txn.delete_range(Table::Attempts, start, end);
    }
    Ok(Response::Swept {
        dropped,
        carried: 0,
        more: false,
    })
}

fn any(read: &dyn Read, table: Table, start: &[u8], end: &[u8]) -> Result<bool, StoreError> {
    let mut any = false;
    let range = KeyRange {
        end: Some(end.to_vec()),
        ..KeyRange::prefix(start)
    };
    if !range.is_empty() {
        read.scan(table, range, &mut |_, _| {
            any = true;
            Ok(tables::more(false))
        })?;
    }
    Ok(any)
}

/// Keys lie by their hash, so each goes on its own; its expiry row says which, without reading it.
fn drop_keys(
    context: &mut Context<'_, '_>,
    command: &DropBuckets,
    over: &BTreeSet<TenantNo>,
) -> Result<Response, StoreError> {
    let mut expired = Vec::new();
    for tenant in over {
        let wanted = limits::UPKEEP_ROWS_MAX - expired.len();
        if wanted == 0 {
            break;
        }
        let range = KeyRange::prefix(&prefix(&[&command.bucket, &command.partition, tenant]));
        let end = expired.len() + wanted;
        tables::scan_keys(context.txn, range, |key: KeptKeyExpiryKey| {
            expired.push(key);
            Ok(tables::more(expired.len() < end))
        })?;
    }
    for key in &expired {
        let kept = KeptKeyKey {
            partition: key.partition,
            tenant: key.tenant,
            hash: key.hash,
        };
        tables::delete(context.txn, &kept);
    }
    // They stand one behind the other but for tenants that are not over: a run for each tenant's.
    for of_tenant in expired.chunk_by(|one, next| one.tenant == next.tenant) {
        let mut run = Run::default();
        for key in of_tenant {
            run.add(key.encode());
        }
        run.end(context.txn, KeptKeyExpiryKey::TABLE);
    }
    Ok(Response::Swept {
        dropped: u64::try_from(expired.len()).unwrap_or(u64::MAX),
        carried: 0,
        more: expired.len() >= limits::UPKEEP_ROWS_MAX,
    })
}
