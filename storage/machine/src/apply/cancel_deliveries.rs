//! `CancelDeliveries`: ends some of what is still owed to a removed destination, the waiting first, then its dead
//! letters. When nothing is left, it says on record how many there were.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::QueueKey;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::settings::CancelDeliveries;
use pushrail_model::time::Timestamp;

use crate::changes;
use crate::context::{Context, Lane};
use crate::keys::{DeadLetterKey, DestinationKey, Key, RemovalKey, prefix};
use crate::lifecycle;
use crate::query::due;
use crate::store::{KeyRange, StoreError};
use crate::tables::{self, damaged};

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &CancelDeliveries,
) -> Result<Response, StoreError> {
    let key = RemovalKey {
        partition: command.partition,
        tenant: command.tenant,
        destination: command.destination,
    };
    let Some(mut removal) = tables::get(context.txn, &key)? else {
        return Ok(Response::Advanced { rows: 0, done: true });
    };
    let lane = context
        .lane(command.partition, command.tenant, command.destination)?
        .ok_or_else(|| missing(command))?;

    // One more than a step takes: whether anything is left is known without another look.
    let mut open = open(context, command, lane.queue, limits::COMMAND_CANCELS_MAX + 1)?;
    let done = open.len() <= limits::COMMAND_CANCELS_MAX;
    open.truncate(limits::COMMAND_CANCELS_MAX);
    let rows = u32::try_from(open.len()).unwrap_or(u32::MAX);
    for delivery in open {
        cancel(context, lane, &delivery)?;
    }
    removal.cancelled += u64::from(rows);
    if done {
        tables::delete(context.txn, &key);
        let deed = Deed {
            count: removal.cancelled,
            ..Deed::new(
                &removal.tenant,
                removal.destination.as_str(),
                Fact::DeliveriesCancelled,
            )
        };
        changes::record(context, removal.actor.as_ref(), &removal.request_id, deed);
    } else {
        tables::put(context.txn, &key, &removal);
    }
    Ok(Response::Advanced { rows, done })
}

/// What is still owed: at most `limit`.
fn open(
    context: &Context<'_, '_>,
    command: &CancelDeliveries,
    queue: QueueKey,
    limit: usize,
) -> Result<Vec<DeliveryKey>, StoreError> {
    let from = (Timestamp::ZERO, pushrail_model::ids::EventSeq::ZERO);
    let waiting = due::after(context.txn, queue, from, Timestamp::MAX, limit)?;
    let mut open: Vec<DeliveryKey> = waiting
        .into_iter()
        .map(|(_, seq)| DeliveryKey {
            partition: command.partition,
            tenant: command.tenant,
            destination: command.destination,
            seq,
        })
        .collect();
    let of_destination = prefix(&[&command.partition, &command.tenant, &command.destination]);
    let letters =
        tables::rows::<DeadLetterKey>(context.txn, KeyRange::prefix(&of_destination), limit - open.len())?;
    open.extend(letters.into_iter().map(|(_, letter)| letter.delivery));
    Ok(open)
}

fn cancel(context: &mut Context<'_, '_>, lane: Lane, key: &DeliveryKey) -> Result<(), StoreError> {
    let delivery = tables::get(context.txn, key)?.ok_or_else(|| {
        damaged(
            DeliveryKey::TABLE,
            &key.encode(),
            "a due row or a dead letter stands without its delivery",
        )
    })?;
    lifecycle::cancel(context, lane, key, delivery)
}

fn missing(command: &CancelDeliveries) -> StoreError {
    let key = DestinationKey {
        partition: command.partition,
        tenant: command.tenant,
        destination: command.destination,
    };
    damaged(
        DestinationKey::TABLE,
        &key.encode(),
        "a removal stands without its destination",
    )
}
