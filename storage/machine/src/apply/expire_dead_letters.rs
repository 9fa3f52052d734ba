//! `ExpireDeadLetters`: dead letters whose retention has ended leave the queue; their deliveries say so from then on.

use pushrail_model::command::{ExpireDeadLetters, LetterRef};
use pushrail_model::delivery::DeliveryState;
use pushrail_model::limits;
use pushrail_model::response::Response;

use crate::context::Context;
use crate::keeping;
use crate::lifecycle;
use crate::reject;
use crate::store::StoreError;
use crate::tables;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &ExpireDeadLetters,
) -> Result<Response, StoreError> {
    if command.letters.len() > limits::UPKEEP_LETTERS_MAX {
        let limit = u64::try_from(limits::UPKEEP_LETTERS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("dead letters to expire", limit));
    }
    let mut dropped = 0;
    for letter in &command.letters {
        if letter.delivery.partition == command.partition && expire(context, letter)? {
            dropped += 1;
        }
    }
    Ok(Response::Swept {
        dropped,
        carried: 0,
        more: false,
    })
}

/// Whether it has expired now; not where somebody has dealt with it since, or where it is kept longer.
fn expire(context: &mut Context<'_, '_>, letter: &LetterRef) -> Result<bool, StoreError> {
    let key = &letter.delivery;
    let retention = context.retention(key.partition, key.tenant)?;
    if !keeping::letter_over(letter.died, &retention, context.now) {
        return Ok(false);
    }
    let Some(delivery) = tables::get(context.txn, key)? else {
        return Ok(false);
    };
    let DeliveryState::Dead { at, reason } = delivery.state else {
        return Ok(false);
    };
    let Some(lane) = context.lane(key.partition, key.tenant, key.destination)? else {
        return Ok(false);
    };
    if at != letter.died {
        return Ok(false);
    }
    lifecycle::expire(context, lane, key, delivery, at, reason)?;
    Ok(true)
}
