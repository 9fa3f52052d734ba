//! Events that are over: of each tenant the next in line behind those that have gone.

use std::collections::BTreeSet;

use pushrail_model::command::DropEvents;
use pushrail_model::ids::EventId;
use pushrail_model::limits;
use pushrail_model::time::Timestamp;

use crate::codec::decode_event;
use crate::keeping;
use crate::keys::{EventCursorKey, EventKey, Key, prefix};
use crate::query::upkeep::Keeper;
use crate::store::{KeyRange, Read, StoreError};
use crate::tables::carried::EventCursor;
use crate::tables::{self, unreadable};

/// The next events of a tenant that are over, as many as one command may drop; `None` where there are none. Events
/// stand in the order in which they were accepted, so that the first one that is not over ends the look.
pub fn over(read: &dyn Read, keeper: &Keeper, now: Timestamp) -> Result<Option<DropEvents>, StoreError> {
    let cursor = EventCursorKey {
        partition: keeper.partition,
        tenant: keeper.tenant,
    };
    let EventCursor(from) = tables::get(read, &cursor)?.unwrap_or_default();
    let range = KeyRange {
        start: prefix(&[&keeper.partition, &keeper.tenant, &from]),
        ..KeyRange::prefix(&prefix(&[&keeper.partition, &keeper.tenant]))
    };
    let mut events = Vec::new();
    let mut destinations = BTreeSet::new();
    let mut deliveries = 0;
    read.scan(EventKey::TABLE, range, &mut |key, value| {
        let place: EventKey = tables::key_of(key)?;
        let id = EventId {
            partition: place.partition,
            seq: place.seq,
        };
        let event = decode_event(id, bytes::Bytes::copy_from_slice(value))
            .map_err(|error| unreadable(EventKey::TABLE, key, &error))?;
        let goes_to = &event.new.destinations;
        let added = goes_to.iter().filter(|to| !destinations.contains(*to)).count();
        deliveries += goes_to.len();
        let fits = events.is_empty()
            || (destinations.len() + added <= limits::UPKEEP_DESTINATIONS_MAX
                && deliveries <= limits::UPKEEP_ROWS_MAX);
        if !fits || !keeping::event_over(event.accepted, &keeper.retention, now) {
            return Ok(tables::more(false));
        }
        destinations.extend(goes_to.iter().copied());
        events.push(place.seq);
        Ok(tables::more(events.len() < limits::UPKEEP_EVENTS_MAX))
    })?;
    Ok((!events.is_empty()).then(|| DropEvents {
        partition: keeper.partition,
        tenant: keeper.tenant,
        from,
        events,
        destinations: destinations.into_iter().collect(),
    }))
}
