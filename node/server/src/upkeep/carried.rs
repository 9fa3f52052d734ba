//! Events that were carried forward past their retention: they go once nothing needs them any more.

use pushrail_machine::query::upkeep::{Keeper, carried};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::{Command, DropCarried};
use pushrail_model::ids::EventSeq;
use pushrail_model::time::Timestamp;

use crate::upkeep::{Cut, Shift};

/// Events looked at by one question: a row or a few each.
const EVENTS_MAX: usize = 4096;

/// Where a look through all tenants' carried events stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    tenant: usize,
    after: Option<EventSeq>,
}

/// Looks at all of them; says how many went.
pub(super) async fn drop_all(shift: &Shift) -> Result<u64, Cut> {
    let mut dropped = 0;
    let mut place = Place::default();
    loop {
        let found = shift
            .ask(move |keepers, read, now| next_from(read, keepers, place, now))
            .await?;
        let Some((next, command)) = found else {
            return Ok(dropped);
        };
        place = next;
        if let Some(command) = command {
            let swept = shift.carry_out("events", Command::DropCarried(command)).await?;
            dropped += swept.dropped;
        }
    }
}

/// What can be done from `place` on, and where to go on; `None`: that was all.
fn next_from(
    read: &dyn Read,
    keepers: &[Keeper],
    mut place: Place,
    now: Timestamp,
) -> Result<Option<(Place, Option<DropCarried>)>, StoreError> {
    while let Some(keeper) = keepers.get(place.tenant) {
        let looked = carried::look(read, keeper, place.after, EVENTS_MAX, now)?;
        place = match looked.next {
            Some(after) => Place {
                after: Some(after),
                ..place
            },
            None => Place {
                tenant: place.tenant + 1,
                after: None,
            },
        };
        if looked.command.is_some() || looked.next.is_some() {
            return Ok(Some((place, looked.command)));
        }
    }
    Ok(None)
}
