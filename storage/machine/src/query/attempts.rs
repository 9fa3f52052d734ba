//! The attempt log: of a delivery, of an event, of a tenant or one of its destinations in a span of time.

use pushrail_model::attempt::AttemptRecord;
use pushrail_model::delivery::{AttemptMark, Delivery, DeliveryKey};
use pushrail_model::event::{Event, EventType};
use pushrail_model::ids::{DestinationNo, EventId, TenantNo};
use pushrail_model::outcome::{Cause, Outcome};
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keeping;
use crate::keys::{AttemptByTenantKey, AttemptKey, Key, prefix};
use crate::query::event::delivery_keys;
use crate::query::page::{Budget, Look, Page, behind};
use crate::store::{Direction, KeyRange, Read, StoreError};
use crate::tables::cluster::clock;
use crate::tables::{self, damaged, events};

/// The newest attempts of a delivery that it remembers and that are still kept, `newest` at most, in the order in which
/// they were recorded.
pub fn of_delivery(
    read: &dyn Read,
    key: &DeliveryKey,
    delivery: &Delivery,
    newest: usize,
) -> Result<Vec<AttemptRecord>, StoreError> {
    let now = clock(read)?;
    let skipped = delivery.marks.len().saturating_sub(newest);
    let mut records = Vec::with_capacity(delivery.marks.len() - skipped);
    for mark in &delivery.marks[skipped..] {
        records.extend(remembered(read, &row(key, mark), now)?);
    }
    Ok(records)
}

/// The attempts of all deliveries of an event by their starts, behind `from`: the `next` of the page before.
pub fn of_event(
    read: &dyn Read,
    event: &Event,
    filter: &Filter,
    direction: Direction,
    from: Option<&[u8]>,
    budget: &mut Budget,
) -> Result<Page<AttemptRecord>, StoreError> {
    let mut look = Look::new(budget);
    let of_type = filter.event_type.as_ref();
    if of_type.is_some_and(|wanted| *wanted != event.new.event_type) {
        return Ok(look.page());
    }
    // Marks are small and few; the records that they stand for are neither.
    let mut rows = Vec::new();
    for key in delivery_keys(event) {
        if let Some(delivery) = tables::get(read, &key)? {
            rows.extend(delivery.marks.iter().map(|mark| row(&key, mark)));
        }
    }
    let mut rows: Vec<(Vec<u8>, AttemptKey)> = rows.into_iter().map(|row| (place(&row), row)).collect();
    rows.sort_by(|(one, _), (other, _)| match direction {
        Direction::Ascending => one.cmp(other),
        Direction::Descending => other.cmp(one),
    });
    let behind = |place: &[u8]| {
        from.is_none_or(|from| match direction {
            Direction::Ascending => place > from,
            Direction::Descending => place < from,
        })
    };
    let now = clock(read)?;
    for (place, row) in rows {
        if !behind(&place) {
            continue;
        }
        if look.is_over() {
            look.cut();
            break;
        }
        let record = remembered(read, &row, now)?;
        look.at(place, record.filter(|record| filter.matches(record)));
    }
    Ok(look.page())
}

/// Where an attempt stands among those of its event: by start, then by what tells two apart.
fn place(row: &AttemptKey) -> Vec<u8> {
    let mut place = Vec::with_capacity(32);
    place.extend_from_slice(&row.start.0.to_be_bytes());
    place.extend_from_slice(&row.destination.0.to_be_bytes());
    place.extend_from_slice(&row.run.0.to_be_bytes());
    place.extend_from_slice(&row.number.0.to_be_bytes());
    place.extend_from_slice(&row.epoch.0.to_be_bytes());
    place
}

/// The record's key that a mark of this delivery stands for.
fn row(key: &DeliveryKey, mark: &AttemptMark) -> AttemptKey {
    AttemptKey {
        day: mark.start.day(),
        partition: key.partition,
        tenant: key.tenant,
        destination: key.destination,
        start: mark.start,
        seq: key.seq,
        run: mark.run,
        number: mark.number,
        epoch: mark.epoch,
    }
}

/// A record that a delivery remembers; `None` where its retention has ended before its delivery's.
fn remembered(
    read: &dyn Read,
    row: &AttemptKey,
    now: Timestamp,
) -> Result<Option<AttemptRecord>, StoreError> {
    let record = tables::get(read, row)?;
    if record.is_none() && !keeping::attempt_may_be_gone(row.start, now) {
        let what = "a delivery remembers it, and it is not here";
        return Err(damaged(AttemptKey::TABLE, &row.encode(), what));
    }
    Ok(record)
}

/// Which attempts of a tenant; what is absent narrows nothing.
#[derive(Clone, Debug)]
pub struct Filter {
    /// At this destination.
    pub destination: Option<DestinationNo>,
    /// Delivered, or failed.
    pub outcome: Option<Came>,
    /// Failed of this.
    pub cause: Option<Cause>,
    /// Answered with this.
    pub status: Option<u16>,
    /// Of events of this type.
    pub event_type: Option<EventType>,
    /// Begun at or after this.
    pub since: Timestamp,
    /// Begun before this.
    pub until: Timestamp,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// The receiver took it.
    Delivered,
    /// It did not.
    Failed,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            destination: None,
            outcome: None,
            cause: None,
            status: None,
            event_type: None,
            since: Timestamp::ZERO,
            until: Timestamp::MAX,
        }
    }
}

impl Filter {
    /// Whether the record is one of them, but for its event's type.
    pub fn matches(&self, record: &AttemptRecord) -> bool {
        let attempt = &record.attempt;
        let (came, cause) = match &attempt.outcome {
            Outcome::Delivered => (Came::Delivered, None),
            Outcome::Failed(failure) => (Came::Failed, Some(failure.cause)),
        };
        (self.since..self.until).contains(&attempt.start)
            && self
                .destination
                .is_none_or(|wanted| wanted == attempt.delivery.destination)
            && self.outcome.is_none_or(|wanted| wanted == came)
            && self.cause.is_none_or(|wanted| Some(wanted) == cause)
            && self
                .status
                .is_none_or(|wanted| Some(wanted) == attempt.observed.status)
    }
}

/// The attempts of a tenant by their starts, behind `from`: the `next` of the page before.
pub fn list(
    read: &dyn Read,
    (partition, tenant): (Partition, TenantNo),
    filter: &Filter,
    direction: Direction,
    from: Option<&[u8]>,
    budget: &mut Budget,
) -> Result<Page<AttemptRecord>, StoreError> {
    let mut look = Look::new(budget);
    for day in days(read, filter, direction, from)? {
        if look.is_over() {
            look.cut();
            break;
        }
        let of_day = match &filter.destination {
            Some(destination) => prefix(&[&day, &partition, &tenant, destination]),
            None => prefix(&[&day, &partition, &tenant]),
        };
        let range = KeyRange {
            start: [of_day.as_slice(), &filter.since.0.to_be_bytes()].concat(),
            end: Some([of_day.as_slice(), &filter.until.0.to_be_bytes()].concat()),
            direction,
        };
        let range = behind(range, from);
        let ended = match filter.destination {
            Some(_) => of_destination(read, range, filter, &mut look)?,
            None => of_tenant(read, range, filter, &mut look)?,
        };
        if ended {
            break;
        }
        // Behind all of this day, whoever's it is: there the next page begins if this one ends here.
        look.passed(match direction {
            Direction::Ascending => (day.saturating_add(1)).to_be_bytes().to_vec(),
            Direction::Descending => day.to_be_bytes().to_vec(),
        });
    }
    Ok(look.page())
}

/// Whether the page ended within the range.
fn of_destination(
    read: &dyn Read,
    range: KeyRange,
    filter: &Filter,
    look: &mut Look<'_, AttemptRecord>,
) -> Result<bool, StoreError> {
    let mut ended = false;
    tables::scan(read, range, |key: AttemptKey, record| {
        if look.is_over() {
            ended = true;
            return Ok(look.stop());
        }
        let wanted = filter.matches(&record) && of_type(read, filter, &key, look)?;
        look.at(key.encode(), wanted.then_some(record));
        Ok(tables::more(true))
    })?;
    Ok(ended)
}

/// Whether the page ended within the range.
fn of_tenant(
    read: &dyn Read,
    range: KeyRange,
    filter: &Filter,
    look: &mut Look<'_, AttemptRecord>,
) -> Result<bool, StoreError> {
    let mut ended = false;
    tables::scan_keys(read, range, |by_tenant: AttemptByTenantKey| {
        if look.is_over() {
            ended = true;
            return Ok(look.stop());
        }
        let key = by_tenant.attempt();
        // The record may have gone before its mark: their retention ends in bounded steps.
        let record = tables::get(read, &key)?.filter(|record| filter.matches(record));
        let wanted = record.is_some() && of_type(read, filter, &key, look)?;
        look.at(by_tenant.encode(), record.filter(|_| wanted));
        Ok(tables::more(true))
    })?;
    Ok(ended)
}

fn of_type(
    read: &dyn Read,
    filter: &Filter,
    key: &AttemptKey,
    look: &mut Look<'_, AttemptRecord>,
) -> Result<bool, StoreError> {
    let Some(wanted) = &filter.event_type else {
        return Ok(true);
    };
    let id = EventId {
        partition: key.partition,
        seq: key.seq,
    };
    let event = events::get(read, key.tenant, id)?;
    look.read(event.as_ref().map_or(0, |event| event.new.payload.bytes.len()));
    Ok(event.is_some_and(|event| event.new.event_type == *wanted))
}

/// The days of a span for which there are attempts at all, from the one that the cursor stands in.
fn days(
    read: &dyn Read,
    filter: &Filter,
    direction: Direction,
    from: Option<&[u8]>,
) -> Result<Vec<u32>, StoreError> {
    if filter.since >= filter.until {
        return Ok(Vec::new());
    }
    let all = KeyRange::prefix(&[]);
    let (Some(first), Some(last)) = (first_day(read, all.clone())?, first_day(read, all.descending())?)
    else {
        return Ok(Vec::new());
    };
    let (first, last) = (first.max(filter.since.day()), last.min(filter.until.day()));
    let begun = from
        .and_then(<[u8]>::first_chunk)
        .map(|day| u32::from_be_bytes(*day));
    Ok(match direction {
        Direction::Ascending => (first.max(begun.unwrap_or(first))..=last).collect(),
        // A cursor that is a day and no more stands behind all of it.
        Direction::Descending => (first..=last.min(begun.unwrap_or(last)))
            .rev()
            .filter(|day| from != Some(day.to_be_bytes().as_slice()))
            .collect(),
    })
}

fn first_day(read: &dyn Read, range: KeyRange) -> Result<Option<u32>, StoreError> {
    let mut day = None;
    tables::scan_keys(read, range, |key: AttemptByTenantKey| {
        day = Some(key.day);
        Ok(tables::more(false))
    })?;
    Ok(day)
}
