//! `DiscardDeadLetters`: somebody gives chosen dead letters up. They are never tried again; who did it, and every
//! attempt made, stay on record.

use pushrail_model::change::Fact;
use pushrail_model::command::DiscardDeadLetters;
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::limits;
use pushrail_model::replay::DiscardAnswer;
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;

use crate::changes::{self, Chosen};
use crate::context::Context;
use crate::lifecycle;
use crate::reject;
use crate::store::StoreError;
use crate::tables::{self, names};

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &DiscardDeadLetters,
) -> Result<Response, StoreError> {
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    if command.deliveries.len() > limits::COMMAND_DISCARDS_MAX {
        let limit = u64::try_from(limits::COMMAND_DISCARDS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("deliveries in a discard", limit));
    }
    let of_tenant = (Partition::of(&tenant.id), tenant.number);
    let mut discarded = Vec::new();
    let answers = command.deliveries.iter().map(|key| {
        if (key.partition, key.tenant) == of_tenant {
            discard(context, command, key, &mut discarded)
        } else {
            Ok(DiscardAnswer::Unknown)
        }
    });
    let answers = answers.collect::<Result<_, _>>()?;
    changes::record_by_destination(
        context,
        command.actor.as_ref(),
        &command.request_id,
        (&tenant.id, Fact::DeadLettersDiscarded),
        &discarded,
    )?;
    Ok(Response::Discards(answers))
}

fn discard(
    context: &mut Context<'_, '_>,
    command: &DiscardDeadLetters,
    key: &DeliveryKey,
    discarded: &mut Vec<Chosen>,
) -> Result<DiscardAnswer, StoreError> {
    let Some(delivery) = tables::get(context.txn, key)? else {
        return Ok(DiscardAnswer::Unknown);
    };
    match delivery.state {
        DeliveryState::Dead { .. } => {
            let lane = context.lane_of_delivery(key)?;
            discarded.push(Chosen::of(key, delivery.place));
            let actor = changes::name_of(command.actor.as_ref(), &command.former_actor);
            lifecycle::discard(context, lane, key, delivery, actor)?;
            Ok(DiscardAnswer::Discarded)
        }
        DeliveryState::Discarded { .. } => Ok(DiscardAnswer::Discarded),
        DeliveryState::Scheduled { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Expired { .. }
        | DeliveryState::Cancelled { .. } => Ok(DiscardAnswer::NotDead),
    }
}
