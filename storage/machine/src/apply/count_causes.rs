//! `CountCauses`: a step of counting dead letters by their causes, for those that died before there were such
//! counters. A state without this command's row counts no causes at all, so that an old log means what it meant.

use pushrail_model::command::CountCauses;
use pushrail_model::limits;
use pushrail_model::response::Response;

use crate::context::Context;
use crate::keys::{CauseCountKey, DeadLetterKey, Key};
use crate::query::page::just_after;
use crate::reject;
use crate::store::{KeyRange, StoreError};
use crate::tables;
use crate::tables::counts::CauseCounting;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &CountCauses) -> Result<Response, StoreError> {
    let read_max = usize::try_from(command.read_max).unwrap_or(usize::MAX);
    if read_max > limits::JOB_STEP_READ_MAX {
        let limit = u64::try_from(limits::JOB_STEP_READ_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("dead letters in a step", limit));
    }
    let counting = context.counting()?;
    if counting.done || counting.counted_to != command.from {
        return Ok(Response::Done);
    }

    let mut range = KeyRange::prefix(&[]);
    if !command.from.is_empty() {
        range.start = just_after(&command.from);
    }
    let letters = tables::rows::<DeadLetterKey>(context.txn, range, read_max)?;
    for (key, letter) in &letters {
        context.tally.letter_enters(CauseCountKey::of(key, letter.cause));
    }
    context.put_counting(CauseCounting {
        counted_to: letters
            .last()
            .map_or_else(|| command.from.clone(), |(key, _)| key.encode().into()),
        done: letters.len() < read_max,
    });
    Ok(Response::Done)
}
