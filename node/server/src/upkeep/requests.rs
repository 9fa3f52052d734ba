//! What is left of requests that nobody repeats any more: answers of replays, jobs that have ended.

use pushrail_machine::query::upkeep::requests::{self, Place};
use pushrail_model::command::Command;

use crate::upkeep::{Cut, Shift};

/// Rows looked at by one question.
const ROWS_MAX: usize = 4096;

/// Looks at all of them; says how many went.
pub(super) async fn drop_all(shift: &Shift) -> Result<u64, Cut> {
    let mut dropped = 0;
    let mut place = Some(Place::default());
    while let Some(from) = place {
        let looked = shift
            .ask(move |_, read, now| requests::look(read, &from, ROWS_MAX, now))
            .await?;
        place = looked.next;
        if let Some(command) = looked.command {
            let swept = shift
                .carry_out("requests", Command::DropRequests(command))
                .await?;
            dropped += swept.dropped;
        }
    }
    Ok(dropped)
}
