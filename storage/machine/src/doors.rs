//! What makes a batch that arrives twice harmless: its row, found again until its door has heard the answer.

use pushrail_model::command::Batch;
use pushrail_model::ids::BatchNumber;
use pushrail_model::limits;

use crate::answers::Answers;
use crate::context::Context;
use crate::keys::{DoorHeadKey, DoorKey, prefix};
use crate::store::{Read, StoreError, Table};
use crate::tables;
use crate::tables::doors::DoorHead;

/// How a batch stands to those that its door sent before.
pub(crate) enum Standing {
    /// Never seen: its commands are to be applied.
    New,
    /// Applied before, with these answers.
    Repeated(Answers),
    /// Its door has given it up, or has started anew since.
    Retired,
}

/// How `batch` stands to those that its door sent before.
pub(crate) fn standing(read: &dyn Read, batch: &Batch) -> Result<Standing, StoreError> {
    let Some(head) = tables::get(read, &DoorHeadKey { node: batch.node })? else {
        return Ok(Standing::New);
    };
    if batch.boot > head.boot {
        return Ok(Standing::New);
    }
    if batch.boot < head.boot || batch.number < head.lowest_open {
        return Ok(Standing::Retired);
    }
    Ok(match tables::get(read, &key_of(batch, batch.number))? {
        Some(answers) => Standing::Repeated(answers),
        None => Standing::New,
    })
}

/// Keeps the answers to a new batch, and drops those that its door no longer needs.
pub(crate) fn keep(
    context: &mut Context<'_, '_>,
    batch: &Batch,
    answers: &Answers,
) -> Result<(), StoreError> {
    let head_key = DoorHeadKey { node: batch.node };
    let head = tables::get(context.txn, &head_key)?;
    // A door's own batch is open until it has its answer, whatever the door says.
    let lowest_open = batch.lowest_open.min(batch.number);
    let next = match head {
        Some(head) if head.boot == batch.boot => {
            let lowest_open = head.lowest_open.max(lowest_open);
            drop_rows(context, batch, head.lowest_open, lowest_open);
            DoorHead { lowest_open, ..head }
        }
        Some(_) | None => {
            // Rows of earlier boots can be found by no batch any more.
            let start = prefix(&[&batch.node]);
            let end = prefix(&[&batch.node, &batch.boot]);
            if head.is_some() {
                context.txn.delete_range(Table::Doors, start, end);
            }
            DoorHead {
                boot: batch.boot,
                lowest_open,
            }
        }
    };
    if head != Some(next) {
        tables::put(context.txn, &head_key, &next);
    }
    tables::put(context.txn, &key_of(batch, batch.number), answers);
    Ok(())
}

/// Drops the rows from `from` up to `to`. They are few, and single deletions are cheaper than a range for all who
/// read across it later; only a door that skips numbers needs one.
fn drop_rows(context: &mut Context<'_, '_>, batch: &Batch, from: BatchNumber, to: BatchNumber) {
    if to.0 - from.0 <= limits::DOOR_BATCHES_OPEN_MAX {
        for number in from.0..to.0 {
            tables::delete(context.txn, &key_of(batch, BatchNumber(number)));
        }
    } else {
        let row = |number: BatchNumber| prefix(&[&batch.node, &batch.boot, &number]);
        context.txn.delete_range(Table::Doors, row(from), row(to));
    }
}

fn key_of(batch: &Batch, number: BatchNumber) -> DoorKey {
    DoorKey {
        node: batch.node,
        boot: batch.boot,
        number,
    }
}
