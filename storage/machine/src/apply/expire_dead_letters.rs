//! `ExpireDeadLetters`: dead letters whose retention has ended leave the queue; their deliveries say so from then on, and
//! the change log how many there were of which destination.

use std::collections::BTreeMap;

use pushrail_model::change::{Deed, Fact};
use pushrail_model::command::{ExpireDeadLetters, LetterRef};
use pushrail_model::delivery::DeliveryState;
use pushrail_model::ids::{DestinationNo, TenantNo};
use pushrail_model::limits;
use pushrail_model::response::Response;

use crate::changes;
use crate::context::Context;
use crate::keeping;
use crate::lifecycle;
use crate::reject;
use crate::store::StoreError;
use crate::tables::{self, names};

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &ExpireDeadLetters,
) -> Result<Response, StoreError> {
    if command.letters.len() > limits::UPKEEP_LETTERS_MAX {
        let limit = u64::try_from(limits::UPKEEP_LETTERS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("dead letters to expire", limit));
    }
    let mut dropped = 0;
    let mut expired: BTreeMap<(TenantNo, DestinationNo), u64> = BTreeMap::new();
    for letter in &command.letters {
        let key = &letter.delivery;
        if key.partition == command.partition && expire(context, letter)? {
            dropped += 1;
            *expired.entry((key.tenant, key.destination)).or_default() += 1;
        }
    }
    put_on_record(context, command, &expired)?;
    Ok(Response::Swept {
        dropped,
        carried: 0,
        more: false,
    })
}

/// One change for each destination and command: each delivery tells of itself, and only for as long as it is kept.
fn put_on_record(
    context: &mut Context<'_, '_>,
    command: &ExpireDeadLetters,
    expired: &BTreeMap<(TenantNo, DestinationNo), u64>,
) -> Result<(), StoreError> {
    if command.actor.is_none() {
        return Ok(());
    }
    for (&(tenant, destination), &count) in expired {
        let of = names::of_tenant(context.txn, command.partition, tenant)?;
        let object = names::of_destination(context.txn, command.partition, tenant, destination)?;
        let deed = Deed {
            count,
            ..Deed::new(&of, object.as_str(), Fact::DeadLettersExpired)
        };
        changes::record(context, command.actor.as_ref(), "", deed);
    }
    Ok(())
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
