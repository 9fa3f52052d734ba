//! The attempt log: of a delivery, of an event, of a destination in a span of time.

use pushrail_model::attempt::AttemptRecord;
use pushrail_model::delivery::{Delivery, DeliveryKey};
use pushrail_model::ids::{DestinationNo, EventId, TenantNo};
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keeping;
use crate::keys::{AttemptKey, Key, prefix};
use crate::query::event::delivery_keys;
use crate::query::page::{Page, behind};
use crate::store::{Direction, KeyRange, Read, StoreError};
use crate::tables::cluster::clock;
use crate::tables::{self, damaged, events};

/// The attempts of a delivery that it remembers and that are still kept, in the order in which they were recorded.
pub fn of_delivery(
    read: &dyn Read,
    key: &DeliveryKey,
    delivery: &Delivery,
) -> Result<Vec<AttemptRecord>, StoreError> {
    let now = clock(read)?;
    let mut records = Vec::with_capacity(delivery.marks.len());
    for mark in &delivery.marks {
        let row = AttemptKey {
            day: mark.start.day(),
            partition: key.partition,
            tenant: key.tenant,
            destination: key.destination,
            start: mark.start,
            seq: key.seq,
            run: mark.run,
            number: mark.number,
            epoch: mark.epoch,
        };
        match tables::get(read, &row)? {
            Some(record) => records.push(record),
            // Its retention has ended before its delivery's.
            None if keeping::attempt_may_be_gone(mark.start, now) => {}
            None => {
                let what = "a delivery remembers it, and it is not here";
                return Err(damaged(AttemptKey::TABLE, &row.encode(), what));
            }
        }
    }
    Ok(records)
}

/// The attempts of all deliveries of an event, oldest first; `None` where the tenant has no such event.
pub fn of_event(
    read: &dyn Read,
    tenant: TenantNo,
    id: EventId,
) -> Result<Option<Vec<AttemptRecord>>, StoreError> {
    let Some(event) = events::get(read, tenant, id)? else {
        return Ok(None);
    };
    let mut records = Vec::new();
    for key in delivery_keys(&event) {
        if let Some(delivery) = tables::get(read, &key)? {
            records.extend(of_delivery(read, &key, &delivery)?);
        }
    }
    records.sort_by_key(|record| record.attempt.start);
    Ok(Some(records))
}

/// The attempts of a destination that started from `since` (included) to `until` (excluded), behind `from`: the
/// `next` of the page before.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one key, a span, and where in it"
)]
pub fn of_destination(
    read: &dyn Read,
    partition: Partition,
    tenant: TenantNo,
    destination: DestinationNo,
    since: Timestamp,
    until: Timestamp,
    from: Option<&[u8]>,
    limit: usize,
    direction: Direction,
) -> Result<Page<AttemptRecord>, StoreError> {
    let mut page = Page {
        rows: Vec::new(),
        next: None,
    };
    for day in days(read, since, until, direction)? {
        let of_day = prefix(&[&day, &partition, &tenant, &destination]);
        let range = KeyRange {
            start: [of_day.as_slice(), &since.0.to_be_bytes()].concat(),
            end: Some([of_day.as_slice(), &until.0.to_be_bytes()].concat()),
            direction,
        };
        let wanted = limit - page.rows.len();
        let rows = tables::rows::<AttemptKey>(read, behind(range, from), wanted)?;
        page.next = rows.last().map(|(key, _)| key.encode()).or(page.next);
        page.rows.extend(rows.into_iter().map(|(_, record)| record));
        if page.rows.len() >= limit {
            return Ok(page);
        }
    }
    page.next = None;
    Ok(page)
}

/// The days of a span for which there are attempts at all: bounded by the first and the last of the whole table.
fn days(
    read: &dyn Read,
    since: Timestamp,
    until: Timestamp,
    direction: Direction,
) -> Result<Vec<u32>, StoreError> {
    if since >= until {
        return Ok(Vec::new());
    }
    let all = KeyRange::prefix(&[]);
    let (Some(first), Some(last)) = (first_day(read, all.clone())?, first_day(read, all.descending())?)
    else {
        return Ok(Vec::new());
    };
    let days = first.max(since.day())..=last.min(until.day());
    Ok(match direction {
        Direction::Ascending => days.collect(),
        Direction::Descending => days.rev().collect(),
    })
}

fn first_day(read: &dyn Read, range: KeyRange) -> Result<Option<u32>, StoreError> {
    let mut day = None;
    tables::scan_keys(read, range, |key: AttemptKey| {
        day = Some(key.day);
        Ok(tables::more(false))
    })?;
    Ok(day)
}
