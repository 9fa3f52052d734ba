//! `AcceptEvents`: keeps events and schedules their deliveries. Looked at in this order: the tenant's idempotency
//! key, then its routing revision; only then is anything written.

use pushrail_model::command::AcceptEvents;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::event::{IdempotencyKey, NewEvent};
use pushrail_model::ids::{DestinationNo, EventId};
use pushrail_model::limits;
use pushrail_model::response::{EventAnswer, Response};
use pushrail_model::shard::Partition;

use crate::context::{Context, Lane};
use crate::keys::KeptKeyKey;
use crate::lifecycle;
use crate::reject;
use crate::store::StoreError;
use crate::tables;
use crate::tables::events;
use crate::tables::idempotency::KeptKey;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &AcceptEvents) -> Result<Response, StoreError> {
    if command.events.len() > limits::COMMAND_EVENTS_MAX {
        let limit = u64::try_from(limits::COMMAND_EVENTS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("events in a command", limit));
    }
    let answers = command
        .events
        .iter()
        .map(|event| accept(context, command.partition, event))
        .collect::<Result<_, _>>()?;
    Ok(Response::Events(answers))
}

fn accept(
    context: &mut Context<'_, '_>,
    partition: Partition,
    event: &NewEvent,
) -> Result<EventAnswer, StoreError> {
    let held = match &event.idempotency {
        None => None,
        Some(idempotency) => {
            let key = KeptKeyKey {
                partition,
                tenant: event.tenant,
                hash: idempotency.key_hash,
            };
            let kept = tables::get(context.txn, &key)?;
            let window = context.retention(partition, event.tenant)?.idempotency_keys();
            if let Some(kept) = &kept
                && context.now.since(kept.accepted) < window
            {
                return Ok(answer_of_first(kept, idempotency));
            }
            Some((key, idempotency, kept))
        }
    };
    let terms = context.terms(partition, event.tenant)?;
    let Some(terms) = terms.filter(|terms| !terms.removed) else {
        return Ok(EventAnswer::UnknownTenant);
    };
    let revision = terms.routing_revision;
    if revision != event.routing_revision {
        return Ok(EventAnswer::RoutingMoved(revision));
    }
    let Some(lanes) = lanes(context, partition, event)? else {
        // No door that has applied the revision can have chosen these; to decide anew is the cure in any case.
        return Ok(EventAnswer::RoutingMoved(revision));
    };

    let id = EventId {
        partition,
        seq: context.next_seq(),
    };
    let deliveries = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
    events::put(context.txn, id, event, context.now);
    for (place, (destination, lane)) in (0..).zip(lanes) {
        let key = DeliveryKey {
            partition,
            tenant: event.tenant,
            destination,
            seq: id.seq,
        };
        lifecycle::begin(context, lane, &key, place);
    }
    if let Some((key, idempotency, outlived)) = held {
        keep_key(context, &key, idempotency, outlived, id, deliveries);
    }
    Ok(EventAnswer::Accepted {
        event: id,
        deliveries,
        duplicate: false,
    })
}

/// A key that is taken: by the same event, or by another.
fn answer_of_first(kept: &KeptKey, asked: &IdempotencyKey) -> EventAnswer {
    if kept.content_hash == asked.content_hash && kept.key == asked.key {
        EventAnswer::Accepted {
            event: kept.event,
            deliveries: kept.deliveries,
            duplicate: true,
        }
    } else {
        EventAnswer::KeyConflict { event: kept.event }
    }
}

/// The chosen destinations with what their deliveries need to know; `None` where one does not exist any more, stands twice,
/// or they are more than routes could choose.
fn lanes(
    context: &mut Context<'_, '_>,
    partition: Partition,
    event: &NewEvent,
) -> Result<Option<Vec<(DestinationNo, Lane)>>, StoreError> {
    if event.destinations.len() > limits::ROUTES_PER_TENANT_MAX {
        return Ok(None);
    }
    let mut lanes = Vec::with_capacity(event.destinations.len());
    for &destination in &event.destinations {
        let lane = context.lane(partition, event.tenant, destination)?;
        let twice = lanes.iter().any(|&(other, _)| other == destination);
        match lane {
            Some(lane) if !twice && !lane.removed => lanes.push((destination, lane)),
            Some(_) | None => return Ok(None),
        }
    }
    Ok(Some(lanes))
}

/// Takes the key for the event `id`; a row that has outlived its window makes room, and so does its expiry.
fn keep_key(
    context: &mut Context<'_, '_>,
    key: &KeptKeyKey,
    idempotency: &IdempotencyKey,
    outlived: Option<KeptKey>,
    id: EventId,
    deliveries: u32,
) {
    if let Some(outlived) = outlived {
        tables::delete(context.txn, &key.expiry(outlived.accepted));
    }
    let kept = KeptKey {
        key: idempotency.key.clone(),
        content_hash: idempotency.content_hash,
        event: id,
        deliveries,
        accepted: context.now,
    };
    tables::put(context.txn, key, &kept);
    tables::mark(context.txn, &key.expiry(context.now));
}
