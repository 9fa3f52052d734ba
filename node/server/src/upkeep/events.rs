//! Events that are over, tenant by tenant in the order in which they were accepted.

use pushrail_machine::query::upkeep::{Keeper, events};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::{Command, DropEvents};
use pushrail_model::time::Timestamp;

use crate::upkeep::{Cut, Shift};

/// Drops all that are over, or carries them forward; says how many went.
pub(super) async fn drop_all(shift: &Shift) -> Result<u64, Cut> {
    let mut dropped = 0;
    let mut place = 0;
    loop {
        let found = shift
            .ask(move |keepers, read, now| first_from(read, keepers, place, now))
            .await?;
        let Some((of, command)) = found else {
            return Ok(dropped);
        };
        let swept = shift.carry_out("events", Command::DropEvents(command)).await?;
        dropped += swept.dropped;
        // The same tenant again while it goes on; what the state did not grant waits for the next look.
        place = if swept.moved { of } else { of + 1 };
    }
}

/// The first tenant from `place` on with events that are over.
fn first_from(
    read: &dyn Read,
    keepers: &[Keeper],
    place: usize,
    now: Timestamp,
) -> Result<Option<(usize, DropEvents)>, StoreError> {
    for (of, keeper) in keepers.iter().enumerate().skip(place) {
        if let Some(command) = events::over(read, keeper, now)? {
            return Ok(Some((of, command)));
        }
    }
    Ok(None)
}
