//! What leaves the state because its time is over: deletions by runs, and deliveries taken off the counters.

use pushrail_model::delivery::{DeliveryKey, DeliveryState};
use pushrail_model::limits;

use crate::context::Context;
use crate::query::page::just_after;
use crate::store::{StoreError, Table};
use crate::txn::Txn;

/// Rows that stand one behind the other, all to be deleted. A long run is one range; a short one is single deletions,
/// since a range costs all who read in its file, and stays until its file is rewritten.
#[derive(Default)]
pub(crate) struct Run {
    keys: Vec<Vec<u8>>,
}

impl Run {
    /// The next row goes too. Invariant: nothing that stays lies between it and the one before.
    pub(crate) fn add(&mut self, key: Vec<u8>) {
        self.keys.push(key);
    }

    /// The run ends here: deletes it.
    pub(crate) fn end(&mut self, txn: &mut Txn<'_>, table: Table) {
        let keys = std::mem::take(&mut self.keys);
        if let [first, .., last] = keys.as_slice()
            && keys.len() >= limits::RANGE_ROWS_MIN
        {
            txn.delete_range(table, first.clone(), just_after(last));
        } else {
            for key in keys {
                txn.delete(table, key);
            }
        }
    }
}

/// A delivery goes: it counts no more. Of a destination that is gone nothing is counted.
pub(crate) fn count_out(
    context: &mut Context<'_, '_>,
    key: &DeliveryKey,
    state: DeliveryState,
) -> Result<(), StoreError> {
    if context
        .lane(key.partition, key.tenant, key.destination)?
        .is_some()
    {
        context.tally.drops(key, state);
    }
    Ok(())
}
