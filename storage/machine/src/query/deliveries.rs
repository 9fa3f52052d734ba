//! The deliveries of a tenant, or of one of its destinations, in the order in which their events were accepted.

use std::ops::ControlFlow;

use pushrail_model::delivery::{Delivery, DeliveryKey, DeliveryState};
use pushrail_model::event::{Event, EventType};
use pushrail_model::ids::{DestinationNo, EventId, EventSeq, TenantNo};
use pushrail_model::shard::Partition;
use pushrail_model::time::Timestamp;

use crate::keys::{EventKey, Key, prefix};
use crate::query::event::delivery_keys;
use crate::query::page::{Budget, Look, Page, behind, just_after};
use crate::store::{Direction, KeyRange, Read, StoreError};
use crate::tables::{self, damaged, events, more};

/// Which deliveries; what is absent narrows nothing.
#[derive(Clone, Debug)]
pub struct Filter {
    /// To this destination.
    pub destination: Option<DestinationNo>,
    /// In this state.
    pub state: Option<Standing>,
    /// Of events of this type.
    pub event_type: Option<EventType>,
    /// Of events accepted at or after this.
    pub since: Timestamp,
    /// Of events accepted before this.
    pub until: Timestamp,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            destination: None,
            state: None,
            event_type: None,
            since: Timestamp::ZERO,
            until: Timestamp::MAX,
        }
    }
}

impl Filter {
    fn found(&self, key: DeliveryKey, delivery: Delivery, event: Option<&Event>) -> Option<Found> {
        let wanted = match (&self.event_type, event) {
            (None, _) => true,
            (Some(wanted), Some(event)) => event.new.event_type == *wanted,
            (Some(_), None) => false,
        };
        wanted.then(|| Found {
            key,
            delivery,
            event: event.map(|event| (event.new.event_type.clone(), event.accepted)),
        })
    }

    fn takes(&self, delivery: &Delivery) -> bool {
        self.state
            .is_none_or(|state| state == Standing::of(delivery.state))
    }
}

/// What has become of a delivery, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its next attempt is due, or will be.
    Scheduled,
    /// The receiver took it.
    Delivered,
    /// It lies in the dead-letter queue.
    Dead,
    /// It was dead, and nobody dealt with it in time.
    Expired,
    /// Somebody gave it up.
    Discarded,
    /// Its destination was removed.
    Cancelled,
}

impl Standing {
    /// Of a state.
    pub fn of(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Scheduled { .. } => Self::Scheduled,
            DeliveryState::Delivered { .. } => Self::Delivered,
            DeliveryState::Dead { .. } => Self::Dead,
            DeliveryState::Expired { .. } => Self::Expired,
            DeliveryState::Discarded { .. } => Self::Discarded,
            DeliveryState::Cancelled { .. } => Self::Cancelled,
        }
    }
}

/// A delivery that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub key: DeliveryKey,
    /// What has become of it.
    pub delivery: Delivery,
    /// The type of its event, and when that was accepted; `None` where the event is gone.
    pub event: Option<(EventType, Timestamp)>,
}

/// The deliveries of a tenant behind `from`: the `next` of the page before.
pub fn list(
    read: &dyn Read,
    of: (Partition, TenantNo),
    filter: &Filter,
    direction: Direction,
    from: Option<&[u8]>,
    budget: &mut Budget,
) -> Result<Page<Found>, StoreError> {
    let mut look = Look::new(budget);
    if filter.since >= filter.until {
        return Ok(look.page());
    }
    let since = first_since(read, of, filter.since)?;
    let until = match filter.until {
        Timestamp::MAX => None,
        until => Some(first_since(read, of, until)?),
    };
    let range = |prefix: Vec<u8>| KeyRange {
        start: [prefix.as_slice(), &since.to_bytes()].concat(),
        end: match until {
            Some(until) => Some([prefix.as_slice(), &until.to_bytes()].concat()),
            None => KeyRange::prefix(&prefix).end,
        },
        direction,
    };
    let (partition, tenant) = of;
    match &filter.destination {
        Some(destination) => {
            let range = range(prefix(&[&partition, &tenant, destination]));
            of_destination(read, behind(range, from), filter, &mut look)?;
        }
        None => {
            let range = range(prefix(&[&partition, &tenant]));
            of_tenant(read, range, filter, Place::of(from), &mut look)?;
        }
    }
    Ok(look.page())
}

fn of_destination(
    read: &dyn Read,
    range: KeyRange,
    filter: &Filter,
    look: &mut Look<'_, Found>,
) -> Result<(), StoreError> {
    tables::scan(read, range, |key: DeliveryKey, delivery: Delivery| {
        if look.is_over() {
            return Ok(look.stop());
        }
        let mut found = None;
        if filter.takes(&delivery) {
            let id = EventId {
                partition: key.partition,
                seq: key.seq,
            };
            let event = events::get(read, key.tenant, id)?;
            look.read(event.as_ref().map_or(0, |event| event.new.payload.bytes.len()));
            found = filter.found(key, delivery, event.as_ref());
        }
        look.at(key.encode(), found);
        Ok(more(true))
    })
}

/// A page may end between two deliveries of one event, so its cursor bears the place in it.
struct Place<'a> {
    event: &'a [u8],
    place: u16,
}

impl<'a> Place<'a> {
    fn of(cursor: Option<&'a [u8]>) -> Option<Self> {
        let (event, place) = cursor?.split_last_chunk::<2>()?;
        Some(Self {
            event,
            place: u16::from_be_bytes(*place),
        })
    }

    /// What of `range` lies at its event or behind it.
    fn narrow(&self, mut range: KeyRange) -> KeyRange {
        match range.direction {
            Direction::Ascending => {
                if self.event > range.start.as_slice() {
                    range.start = self.event.to_vec();
                }
            }
            Direction::Descending => {
                let end = just_after(self.event);
                if range.end.as_deref().is_none_or(|known| end.as_slice() < known) {
                    range.end = Some(end);
                }
            }
        }
        range
    }

    /// Whether the delivery at `place` of the event at `key` lies behind it.
    fn is_before(&self, key: &[u8], place: u16, direction: Direction) -> bool {
        self.event != key
            || match direction {
                Direction::Ascending => place > self.place,
                Direction::Descending => place < self.place,
            }
    }
}

/// By way of the events: each names its deliveries.
fn of_tenant(
    read: &dyn Read,
    range: KeyRange,
    filter: &Filter,
    from: Option<Place<'_>>,
    look: &mut Look<'_, Found>,
) -> Result<(), StoreError> {
    let direction = range.direction;
    let range = match &from {
        Some(from) => from.narrow(range),
        None => range,
    };
    read.scan(EventKey::TABLE, range, &mut |event_key, value| {
        if look.is_over() {
            return Ok(look.stop());
        }
        look.read(value.len());
        let event = events::of_row(&tables::key_of(event_key)?, value)?;
        let mut keys: Vec<(u16, DeliveryKey)> = (0..).zip(delivery_keys(&event)).collect();
        if keys.is_empty() && from.as_ref().is_none_or(|from| from.event != event_key) {
            // Looked at like a delivery: events that went nowhere must not make a page endless.
            look.passed([event_key, &last_place(direction)].concat());
        }
        if direction == Direction::Descending {
            keys.reverse();
        }
        for (place, key) in keys {
            if from
                .as_ref()
                .is_some_and(|from| !from.is_before(event_key, place, direction))
            {
                continue;
            }
            if look.is_over() {
                return Ok(look.stop());
            }
            let delivery = tables::get(read, &key)?;
            let delivery = delivery
                .ok_or_else(|| damaged(DeliveryKey::TABLE, &key.encode(), "its event stands without it"))?;
            let found = match filter.takes(&delivery) {
                true => filter.found(key, delivery, Some(&event)),
                false => None,
            };
            look.at([event_key, &place.to_be_bytes()].concat(), found);
        }
        Ok(more(true))
    })
}

/// Behind all deliveries of an event.
fn last_place(direction: Direction) -> [u8; 2] {
    match direction {
        Direction::Ascending => u16::MAX.to_be_bytes(),
        Direction::Descending => 0_u16.to_be_bytes(),
    }
}

/// The place of the tenant's first event that was accepted at `time` or after it. Acceptance never goes back along
/// the log, so it is found by halving: some twenty rows for a million events.
fn first_since(
    read: &dyn Read,
    (partition, tenant): (Partition, TenantNo),
    time: Timestamp,
) -> Result<EventSeq, StoreError> {
    if time == Timestamp::ZERO {
        return Ok(EventSeq::ZERO);
    }
    let of_tenant = prefix(&[&partition, &tenant]);
    let (Some((first, _)), Some((last, _))) = (
        first_event(read, KeyRange::prefix(&of_tenant))?,
        first_event(read, KeyRange::prefix(&of_tenant).descending())?,
    ) else {
        return Ok(EventSeq::ZERO);
    };
    // Invariant: all events below `low` were accepted before; all from `high` on were not.
    let (mut low, mut high) = (first.index, last.index.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let range = KeyRange {
            start: [of_tenant.as_slice(), &middle.to_be_bytes()].concat(),
            ..KeyRange::prefix(&of_tenant)
        };
        match first_event(read, range)? {
            Some((seq, accepted)) if accepted < time => low = seq.index + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(EventSeq {
        index: low,
        position: 0,
    })
}

fn first_event(read: &dyn Read, range: KeyRange) -> Result<Option<(EventSeq, Timestamp)>, StoreError> {
    let mut first = None;
    read.scan(EventKey::TABLE, range, &mut |key, value| {
        let key: EventKey = tables::key_of(key)?;
        first = Some((key.seq, events::of_row(&key, value)?.accepted));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}
