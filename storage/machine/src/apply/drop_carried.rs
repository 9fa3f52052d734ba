//! `DropCarried`: looks again at events that were carried forward. One that nothing needs any more goes with its
//! deliveries; one that stands for the record alone loses its payload; any other stays as it is.

use pushrail_model::command::DropCarried;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{EventId, EventSeq};
use pushrail_model::limits;
use pushrail_model::response::Response;

use crate::context::Context;
use crate::forget;
use crate::keeping::Need;
use crate::keys::{CarriedKey, EventKey};
use crate::reject;
use crate::store::StoreError;
use crate::tables::carried::Carried;
use crate::tables::{self, events};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &DropCarried) -> Result<Response, StoreError> {
    if command.events.len() > limits::UPKEEP_CARRIED_MAX {
        let limit = u64::try_from(limits::UPKEEP_CARRIED_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("carried events in a drop", limit));
    }
    let mut dropped = 0;
    for &seq in &command.events {
        if let Some(carried) = tables::get(context.txn, &key_of(command, seq))?
            && look_again(context, command, seq, carried)?
        {
            dropped += 1;
        }
    }
    Ok(Response::Swept {
        dropped,
        carried: 0,
        more: false,
    })
}

/// Whether the event has gone.
fn look_again(
    context: &mut Context<'_, '_>,
    command: &DropCarried,
    seq: EventSeq,
    carried: Carried,
) -> Result<bool, StoreError> {
    let retention = context.retention(command.partition, command.tenant)?;
    let mut most = Need::Nothing;
    let mut deliveries = Vec::with_capacity(carried.destinations.len());
    for &destination in &carried.destinations {
        let key = DeliveryKey {
            partition: command.partition,
            tenant: command.tenant,
            destination,
            seq,
        };
        if let Some(delivery) = tables::get(context.txn, &key)? {
            most = most.max(Need::of(delivery.state, &retention, context.now));
            deliveries.push((key, delivery.state));
        }
    }
    match most {
        Need::All => Ok(false),
        Need::Record => {
            strip(context, command, seq, carried)?;
            Ok(false)
        }
        Need::Nothing => {
            for (key, state) in deliveries {
                forget::count_out(context, &key, state)?;
                tables::delete(context.txn, &key);
            }
            let event = EventKey {
                partition: command.partition,
                tenant: command.tenant,
                seq,
            };
            tables::delete(context.txn, &event);
            tables::delete(context.txn, &key_of(command, seq));
            Ok(true)
        }
    }
}

fn strip(
    context: &mut Context<'_, '_>,
    command: &DropCarried,
    seq: EventSeq,
    carried: Carried,
) -> Result<(), StoreError> {
    if carried.stripped {
        return Ok(());
    }
    let id = EventId {
        partition: command.partition,
        seq,
    };
    events::strip(context.txn, command.tenant, id, context.now)?;
    let carried = Carried {
        stripped: true,
        ..carried
    };
    tables::put(context.txn, &key_of(command, seq), &carried);
    Ok(())
}

fn key_of(command: &DropCarried, seq: EventSeq) -> CarriedKey {
    CarriedKey {
        partition: command.partition,
        tenant: command.tenant,
        seq,
    }
}
