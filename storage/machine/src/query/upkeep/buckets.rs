//! Buckets of time that are over: attempts by day, idempotency keys and requests by hour.

use pushrail_model::command::{Bucketed, DropBuckets};
use pushrail_model::ids::TenantNo;
use pushrail_model::limits;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keeping;
use crate::keys::{AttemptByTenantKey, KeptKeyExpiryKey, RequestExpiryKey, prefix};
use crate::query::upkeep::Keeper;
use crate::store::{KeyRange, Read, StoreError, Table, prefix_end};
use crate::tables;

/// The buckets of `rows` that are over for any of `keepers`, the oldest first: one command for each bucket and
/// partition, or several where it has many tenants. At most `limit` commands; there may be more.
pub fn over(
    read: &dyn Read,
    rows: Bucketed,
    keepers: &[Keeper],
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DropBuckets>, StoreError> {
    if rows == Bucketed::Requests {
        return requests_over(read, now, limit);
    }
    let mut found = Vec::new();
    let shortest = keepers
        .iter()
        .map(|keeper| keeping::kept(rows, &keeper.retention));
    let Some(last) = shortest
        .min()
        .and_then(|shortest| keeping::last_bucket(rows, shortest, now))
    else {
        return Ok(found);
    };
    let mut next = first_bucket(read, rows, 0)?;
    while let Some(bucket) = next.filter(|bucket| *bucket <= last) {
        let over: Vec<_> = keepers
            .iter()
            .filter(|keeper| keeping::bucket_over(rows, bucket, &keeper.retention, now))
            .map(|keeper| (keeper.partition, keeper.tenant))
            .collect();
        let holders = holders(read, rows, bucket, &over)?;
        for of_partition in holders.chunk_by(|one, other| one.0 == other.0) {
            for tenants in of_partition.chunks(limits::UPKEEP_TENANTS_MAX) {
                if found.len() >= limit {
                    return Ok(found);
                }
                found.push(DropBuckets {
                    partition: tenants[0].0,
                    rows,
                    bucket,
                    tenants: tenants.iter().map(|(_, tenant)| *tenant).collect(),
                });
            }
        }
        next = first_bucket(read, rows, bucket + 1)?;
    }
    Ok(found)
}

/// Requests are remembered for all tenants alike, those too that are gone: one command for each bucket and partition.
fn requests_over(read: &dyn Read, now: Timestamp, limit: usize) -> Result<Vec<DropBuckets>, StoreError> {
    let rows = Bucketed::Requests;
    let mut found: Vec<DropBuckets> = Vec::new();
    let Some(last) = keeping::last_bucket(rows, limits::REQUEST_WINDOW, now) else {
        return Ok(found);
    };
    let mut start = Some(Vec::new());
    while let Some(from) = start.take().filter(|_| found.len() < limit) {
        let range = KeyRange {
            start: from,
            ..KeyRange::prefix(&[])
        };
        tables::scan_keys(read, range, |key: RequestExpiryKey| {
            if key.hour <= last {
                found.push(DropBuckets {
                    partition: key.partition,
                    rows,
                    bucket: key.hour,
                    tenants: Vec::new(),
                });
                // Over all else of it, to the next one that has some.
                start = prefix_end(&prefix(&[&key.hour, &key.partition]));
            }
            Ok(tables::more(false))
        })?;
    }
    Ok(found)
}

type Holder = (Partition, TenantNo);

/// Which of `over`, in the order of keys, have rows in a bucket. The two orders leap over each other's gaps: it costs
/// as many seeks as the shorter of them is long.
fn holders(read: &dyn Read, rows: Bucketed, bucket: u32, over: &[Holder]) -> Result<Vec<Holder>, StoreError> {
    let mut found = Vec::new();
    let mut rest = over;
    while let Some((partition, tenant)) = rest.first() {
        let Some(holder) = holder_from(read, rows, bucket, prefix(&[&bucket, partition, tenant]))? else {
            break;
        };
        rest = &rest[rest.partition_point(|other| *other < holder)..];
        if rest.first() == Some(&holder) {
            found.push(holder);
            rest = &rest[1..];
        }
    }
    Ok(found)
}

/// The bucket that the first row at or behind `bucket` lies in.
fn first_bucket(read: &dyn Read, rows: Bucketed, bucket: u32) -> Result<Option<u32>, StoreError> {
    let range = KeyRange {
        start: prefix(&[&bucket]),
        ..KeyRange::prefix(&[])
    };
    Ok(first(read, rows, range)?.map(|(bucket, _)| bucket))
}

fn holder_from(
    read: &dyn Read,
    rows: Bucketed,
    bucket: u32,
    start: Vec<u8>,
) -> Result<Option<Holder>, StoreError> {
    let range = KeyRange {
        start,
        ..KeyRange::prefix(&prefix(&[&bucket]))
    };
    Ok(first(read, rows, range)?.map(|(_, holder)| holder))
}

fn first(read: &dyn Read, rows: Bucketed, range: KeyRange) -> Result<Option<(u32, Holder)>, StoreError> {
    let table = match rows {
        // The order without values: nothing but keys is read.
        Bucketed::Attempts => Table::AttemptsByTenant,
        Bucketed::IdempotencyKeys => Table::IdempotencyExpiry,
        Bucketed::Requests => Table::RequestExpiry,
    };
    let mut found = None;
    read.scan(table, range, &mut |key, _| {
        found = Some(match rows {
            Bucketed::Attempts => {
                let key: AttemptByTenantKey = tables::key_of(key)?;
                (key.day, (key.partition, key.tenant))
            }
            Bucketed::IdempotencyKeys => {
                let key: KeptKeyExpiryKey = tables::key_of(key)?;
                (key.hour, (key.partition, key.tenant))
            }
            // Of no tenant that could be asked: see `requests_over`.
            Bucketed::Requests => return Ok(tables::more(false)),
        });
        Ok(tables::more(false))
    })?;
    Ok(found)
}
