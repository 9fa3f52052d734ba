//! The attempt log: its only writer. Every attempt that happened is on record once, whatever its verdict moved.

use pushrail_model::attempt::Attempt;
use pushrail_model::delivery::{AttemptMark, Delivery};
use pushrail_model::limits;
use pushrail_model::time::Timestamp;

use crate::codec::encode_attempt_record;
use crate::context::Context;
use crate::keys::{AttemptKey, Key};
use crate::store::{Read, StoreError};
use crate::tables;

/// Whether this very attempt is on record. The delivery remembers its attempts, so that the log is asked only for
/// those that it has forgotten.
pub(crate) fn on_record(read: &dyn Read, delivery: &Delivery, attempt: &Attempt) -> Result<bool, StoreError> {
    let same = |mark: &AttemptMark| {
        mark.number == attempt.number && mark.epoch == attempt.epoch && mark.run == attempt.run
    };
    if delivery.marks.iter().any(same) {
        return Ok(true);
    }
    if delivery.marks.len() < limits::ATTEMPT_MARKS_MAX {
        return Ok(false);
    }
    tables::stands(read, &AttemptKey::of(attempt))
}

/// Puts an attempt on record, and lets its delivery remember it.
pub(crate) fn record(
    context: &mut Context<'_, '_>,
    delivery: &mut Delivery,
    attempt: &Attempt,
    effective: bool,
    next_due: Option<Timestamp>,
) {
    let key = AttemptKey::of(attempt);
    let row = encode_attempt_record(attempt, context.now, effective, next_due);
    context.txn.put(AttemptKey::TABLE, key.encode(), row);
    tables::mark(context.txn, &key.by_tenant());
    if delivery.marks.len() >= limits::ATTEMPT_MARKS_MAX {
        delivery.marks.remove(0);
    }
    delivery.marks.push(AttemptMark {
        start: attempt.start,
        run: attempt.run,
        number: attempt.number,
        epoch: attempt.epoch,
    });
}
