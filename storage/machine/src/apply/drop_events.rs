//! `DropEvents`: the events of a tenant next in line go once they are over, and their deliveries with them. One that a
//! delivery still needs is carried forward: it stays, and is looked at again by `DropCarried`.

use std::collections::BTreeMap;

use pushrail_model::command::DropEvents;
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::ids::{DestinationNo, EventId, EventSeq};
use pushrail_model::limits;
use pushrail_model::response::Response;

use crate::context::Context;
use crate::forget::{self, Run};
use crate::keeping::{self, Need};
use crate::keys::{CarriedKey, EventCursorKey, EventKey, Key, prefix};
use crate::query::page::just_after;
use crate::reject;
use crate::store::{Direction, KeyRange, StoreError};
use crate::tables::carried::{Carried, EventCursor};
use crate::tables::{self, events};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &DropEvents) -> Result<Response, StoreError> {
    if let Some(rejected) = beyond_bounds(command) {
        return Ok(rejected);
    }
    if !due(context, command)? {
        return Ok(Response::Swept {
            dropped: 0,
            carried: 0,
            more: false,
        });
    }
    let deliveries = deliveries(context, command)?;
    let retention = context.retention(command.partition, command.tenant)?;
    let needs = needs(&deliveries, |state| Need::of(state, &retention, context.now));
    let need_of = |seq: &EventSeq| needs.get(seq).map_or(Need::Nothing, |(need, _)| *need);

    let mut run = Run::default();
    for &seq in &command.events {
        let key = EventKey {
            partition: command.partition,
            tenant: command.tenant,
            seq,
        };
        match need_of(&seq) {
            Need::Nothing => run.add(key.encode()),
            need @ (Need::Record | Need::All) => {
                run.end(context.txn, EventKey::TABLE);
                carry(context, command, seq, need, &needs)?;
            }
        }
    }
    run.end(context.txn, EventKey::TABLE);
    forget_deliveries(context, &deliveries, |seq| need_of(seq) == Need::Nothing)?;
    advance(context, command);
    let carried = u64::try_from(needs.values().filter(|(need, _)| *need != Need::Nothing).count());
    let carried = carried.unwrap_or(u64::MAX);
    let all = u64::try_from(command.events.len()).unwrap_or(u64::MAX);
    Ok(Response::Swept {
        dropped: all.saturating_sub(carried),
        carried,
        more: false,
    })
}

fn beyond_bounds(command: &DropEvents) -> Option<Response> {
    let bounds = [
        (
            "events in a drop",
            command.events.len(),
            limits::UPKEEP_EVENTS_MAX,
        ),
        (
            "destinations in a drop of events",
            command.destinations.len(),
            limits::UPKEEP_DESTINATIONS_MAX,
        ),
    ];
    bounds
        .into_iter()
        .find(|(_, found, limit)| found > limit)
        .map(|(what, _, limit)| reject::limit_reached(what, u64::try_from(limit).unwrap_or(u64::MAX)))
}

/// Whether these are the next ones in order, and over. Acceptance follows the log, so the last one speaks for all.
fn due(context: &mut Context<'_, '_>, command: &DropEvents) -> Result<bool, StoreError> {
    let EventCursor(cursor) = tables::get(context.txn, &cursor_key(command))?.unwrap_or_default();
    let in_order = command.events.is_sorted_by(|one, next| one < next);
    let (Some(first), Some(last)) = (command.events.first(), command.events.last()) else {
        return Ok(false);
    };
    if cursor != command.from || *first < cursor || !in_order {
        return Ok(false);
    }
    let id = EventId {
        partition: command.partition,
        seq: *last,
    };
    let retention = context.retention(command.partition, command.tenant)?;
    let event = events::get(context.txn, command.tenant, id)?;
    Ok(event.is_some_and(|event| keeping::event_over(event.accepted, &retention, context.now)))
}

type Deliveries = BTreeMap<DestinationNo, Vec<(DeliveryKey, DeliveryState)>>;

/// The deliveries of these events, by destination. An event's destinations never change, so that the leader could
/// name them; what has become of the deliveries is read here, where nothing can move any more.
fn deliveries(context: &Context<'_, '_>, command: &DropEvents) -> Result<Deliveries, StoreError> {
    let mut found = Deliveries::new();
    let (Some(first), Some(last)) = (command.events.first(), command.events.last()) else {
        return Ok(found);
    };
    for destination in &command.destinations {
        let place = |seq: &EventSeq| prefix(&[&command.partition, &command.tenant, destination, seq]);
        let range = KeyRange {
            start: place(first),
            end: Some(just_after(&place(last))),
            direction: Direction::Ascending,
        };
        let mut rows = Vec::new();
        tables::scan(context.txn, range, |key: DeliveryKey, delivery| {
            rows.push((key, delivery.state));
            Ok(tables::more(true))
        })?;
        found.insert(*destination, rows);
    }
    Ok(found)
}

/// What each event is needed for, and where it goes.
type Needs = BTreeMap<EventSeq, (Need, Vec<DestinationNo>)>;

fn needs(deliveries: &Deliveries, need: impl Fn(DeliveryState) -> Need) -> Needs {
    let mut needs = Needs::new();
    for (destination, rows) in deliveries {
        for (key, state) in rows {
            let (most, destinations) = needs.entry(key.seq).or_default();
            *most = need(*state).max(*most);
            destinations.push(*destination);
        }
    }
    needs
}

fn carry(
    context: &mut Context<'_, '_>,
    command: &DropEvents,
    seq: EventSeq,
    need: Need,
    needs: &Needs,
) -> Result<(), StoreError> {
    let stripped = need == Need::Record;
    if stripped {
        let id = EventId {
            partition: command.partition,
            seq,
        };
        events::strip(context.txn, command.tenant, id, context.now)?;
    }
    let key = CarriedKey {
        partition: command.partition,
        tenant: command.tenant,
        seq,
    };
    let destinations = needs.get(&seq).map(|(_, destinations)| destinations.clone());
    let carried = Carried {
        destinations: destinations.unwrap_or_default(),
        stripped,
    };
    tables::put(context.txn, &key, &carried);
    Ok(())
}

fn forget_deliveries(
    context: &mut Context<'_, '_>,
    deliveries: &Deliveries,
    goes: impl Fn(&EventSeq) -> bool,
) -> Result<(), StoreError> {
    for rows in deliveries.values() {
        let mut run = Run::default();
        for (key, state) in rows {
            if goes(&key.seq) {
                forget::count_out(context, key, *state)?;
                run.add(key.encode());
            } else {
                run.end(context.txn, DeliveryKey::TABLE);
            }
        }
        run.end(context.txn, DeliveryKey::TABLE);
    }
    Ok(())
}

fn cursor_key(command: &DropEvents) -> EventCursorKey {
    EventCursorKey {
        partition: command.partition,
        tenant: command.tenant,
    }
}

fn advance(context: &mut Context<'_, '_>, command: &DropEvents) {
    if let Some(last) = command.events.last() {
        let next = EventSeq {
            index: last.index,
            position: last.position + 1,
        };
        tables::put(context.txn, &cursor_key(command), &EventCursor(next));
    }
}
