//! `StartReplay`: chosen dead letters run again, in this command. Each gets a run of its own; its attempts so far
//! stay on record.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::StartReplay;
use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::limits;
use pushrail_model::replay::{Replay, ReplayAnswer};
use pushrail_model::response::Response;
use pushrail_model::shard::Partition;

use crate::changes::{self, Chosen};
use crate::context::Context;
use crate::keys::ReplayKey;
use crate::lifecycle;
use crate::reject;
use crate::store::StoreError;
use crate::tables::{self, names};

pub(super) fn handle(context: &mut Context<'_, '_>, command: &StartReplay) -> Result<Response, StoreError> {
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let key = ReplayKey {
        partition: Partition::of(&tenant.id),
        tenant: tenant.number,
        request_id: command.request_id.clone(),
    };
    let named = !command.request_id.is_empty();
    if named && let Some(replay) = tables::get(context.txn, &key)? {
        return Ok(match replay.content_hash == command.content_hash {
            true => Response::Replay(replay.answers),
            false => reject::already_exists("request", &command.request_id),
        });
    }
    if command.deliveries.len() > limits::COMMAND_REPLAYS_MAX {
        let limit = u64::try_from(limits::COMMAND_REPLAYS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("deliveries in a replay", limit));
    }

    let answers = command
        .deliveries
        .iter()
        .map(|delivery| {
            if (delivery.partition, delivery.tenant) == (key.partition, key.tenant) {
                run_again(context, delivery)
            } else {
                Ok(ReplayAnswer::Unknown)
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    put_on_record(context, command, &answers)?;
    if named {
        let replay = Replay {
            request_id: command.request_id.clone(),
            started: context.now,
            content_hash: command.content_hash,
            answers: answers.clone(),
        };
        tables::put(context.txn, &key, &replay);
    }
    Ok(Response::Replay(answers))
}

fn put_on_record(
    context: &mut Context<'_, '_>,
    command: &StartReplay,
    answers: &[ReplayAnswer],
) -> Result<(), StoreError> {
    let mut started = Vec::new();
    for (key, answer) in command.deliveries.iter().zip(answers) {
        if let (ReplayAnswer::Started, Some(delivery)) = (answer, tables::get(context.txn, key)?) {
            started.push(Chosen::of(key, delivery.place));
        }
    }
    if command.by_destination {
        return changes::record_by_destination(
            context,
            command.actor.as_ref(),
            &command.request_id,
            (&command.tenant, Fact::DeadLettersReplayed),
            &started,
        );
    }
    if started.is_empty() {
        return Ok(());
    }
    let deed = Deed {
        count: u64::try_from(started.len()).unwrap_or(u64::MAX),
        deliveries: started.into_iter().map(|chosen| chosen.id).collect(),
        ..Deed::new(&command.tenant, "", Fact::DeadLettersReplayed)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    Ok(())
}

fn run_again(context: &mut Context<'_, '_>, key: &DeliveryKey) -> Result<ReplayAnswer, StoreError> {
    let Some(delivery) = tables::get(context.txn, key)? else {
        return Ok(ReplayAnswer::Unknown);
    };
    match delivery.state {
        DeliveryState::Dead { .. } => {
            let lane = context.lane_of_delivery(key)?;
            if lane.removed {
                return Ok(ReplayAnswer::NotDead);
            }
            lifecycle::run_again(context, lane, key, delivery)?;
            Ok(ReplayAnswer::Started)
        }
        DeliveryState::Scheduled { .. }
        | DeliveryState::Delivered { .. }
        | DeliveryState::Expired { .. }
        | DeliveryState::Discarded { .. }
        | DeliveryState::Cancelled { .. } => Ok(ReplayAnswer::NotDead),
    }
}
