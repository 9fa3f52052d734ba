//! The dead-letter queues of a tenant: their letters, and how many of which cause.

use bytes::Bytes;

use pushrail_model::dead_letter::DeadLetter;
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::event::EventType;
use pushrail_model::ids::{DestinationNo, EventId, TenantNo};
use pushrail_model::outcome::Cause;
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keys::{CauseCountKey, CauseCountingKey, DeadLetterKey, Key, prefix};
use crate::query::page::{Budget, Look, Page, behind};
use crate::store::{Direction, KeyRange, Read, StoreError};
use crate::tables::counts::CauseCount;
use crate::tables::{self, events, more};

/// Which dead letters; what is absent narrows nothing.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of this destination.
    pub destination: Option<DestinationNo>,
    /// Whose last attempt failed of this.
    pub cause: Option<Cause>,
    /// Whose last attempt was answered with this.
    pub status: Option<u16>,
    /// Of events of this type.
    pub event_type: Option<EventType>,
    /// Died at or after this.
    pub since: Timestamp,
    /// Died before this.
    pub until: Timestamp,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            destination: None,
            cause: None,
            status: None,
            event_type: None,
            since: Timestamp::ZERO,
            until: Timestamp::MAX,
        }
    }
}

/// The dead letters of a tenant behind `from` (the `next` of the page before): destination by destination, in the
/// order of their deaths within each.
pub fn list(
    read: &dyn Read,
    (partition, tenant): (Partition, TenantNo),
    filter: &Filter,
    direction: Direction,
    from: Option<&[u8]>,
    budget: &mut Budget,
) -> Result<Page<DeadLetter>, StoreError> {
    let range = match &filter.destination {
        Some(destination) => {
            let of = prefix(&[&partition, &tenant, destination]);
            KeyRange {
                start: [of.as_slice(), &filter.since.0.to_be_bytes()].concat(),
                end: Some([of.as_slice(), &filter.until.0.to_be_bytes()].concat()),
                direction,
            }
        }
        None => KeyRange {
            direction,
            ..KeyRange::prefix(&prefix(&[&partition, &tenant]))
        },
    };
    let mut look = Look::new(budget);
    tables::scan(read, behind(range, from), |key: DeadLetterKey, letter| {
        if look.is_over() {
            return Ok(look.stop());
        }
        let matches = matches(read, &mut look, filter, &letter)?;
        look.at(key.encode(), matches.then_some(letter));
        Ok(more(true))
    })?;
    Ok(look.page())
}

fn matches(
    read: &dyn Read,
    look: &mut Look<'_, DeadLetter>,
    filter: &Filter,
    letter: &DeadLetter,
) -> Result<bool, StoreError> {
    let plain = (filter.since..filter.until).contains(&letter.died)
        && filter.cause.is_none_or(|cause| cause == letter.cause)
        && filter.status.is_none_or(|status| letter.status == Some(status));
    match &filter.event_type {
        Some(wanted) if plain => {
            let id = EventId {
                partition: letter.delivery.partition,
                seq: letter.delivery.seq,
            };
            let event = events::get(read, letter.delivery.tenant, id)?;
            look.read(event.as_ref().map_or(0, |event| event.new.payload.bytes.len()));
            Ok(event.is_some_and(|event| event.new.event_type == *wanted))
        }
        Some(_) | None => Ok(plain),
    }
}

/// The dead letter of a delivery; `None` where it is not dead.
pub fn letter(read: &dyn Read, key: &DeliveryKey) -> Result<Option<DeadLetter>, StoreError> {
    match tables::get(read, key)?.map(|delivery| delivery.state) {
        Some(DeliveryState::Dead { at, .. }) => tables::get(read, &DeadLetterKey::of(key, at)),
        Some(
            DeliveryState::Scheduled { .. }
            | DeliveryState::Delivered { .. }
            | DeliveryState::Expired { .. }
            | DeliveryState::Discarded { .. }
            | DeliveryState::Cancelled { .. },
        )
        | None => Ok(None),
    }
}

/// How many dead letters of a destination failed of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfCause {
    /// Whose.
    pub destination: DestinationNo,
    /// Of what.
    pub cause: Cause,
    /// How many; never zero.
    pub dead: u64,
}

/// The causes that a tenant's dead letters, or those of one destination, failed of: read from counters.
pub fn causes(
    read: &dyn Read,
    (partition, tenant): (Partition, TenantNo),
    destination: Option<DestinationNo>,
    from: Option<&[u8]>,
    limit: usize,
) -> Result<Page<OfCause>, StoreError> {
    let of = match &destination {
        Some(destination) => prefix(&[&partition, &tenant, destination]),
        None => prefix(&[&partition, &tenant]),
    };
    let mut budget = Budget {
        rows: limit,
        reads: limit,
    };
    let mut look = Look::new(&mut budget);
    tables::scan(
        read,
        behind(KeyRange::prefix(&of), from),
        |key: CauseCountKey, CauseCount(dead)| {
            if look.is_over() {
                return Ok(look.stop());
            }
            let group = OfCause {
                destination: key.destination,
                cause: key.cause,
                dead,
            };
            look.at(key.encode(), Some(group));
            Ok(more(true))
        },
    )?;
    Ok(look.page())
}

/// Where the counting of dead letters by their causes goes on; `None` where all have been counted.
pub fn counted_to(read: &dyn Read) -> Result<Option<Bytes>, StoreError> {
    let counting = tables::get(read, &CauseCountingKey {})?.unwrap_or_default();
    Ok((!counting.done).then_some(counting.counted_to))
}
