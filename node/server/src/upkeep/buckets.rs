//! Buckets of time that are over: idempotency keys and requests by hour, attempts by day.

use pushrail_machine::query::upkeep::buckets;
use pushrail_model::command::{Bucketed, Command};

use crate::upkeep::{Cut, Shift};

/// Commands found by one question.
const COMMANDS_MAX: usize = 256;

/// Drops all that are over; says how many keys, requests and tenants' days.
pub(super) async fn drop_all(shift: &Shift) -> Result<u64, Cut> {
    let keys = drop_those(shift, Bucketed::IdempotencyKeys, "idempotency_keys").await?;
    let attempts = drop_those(shift, Bucketed::Attempts, "attempt_days").await?;
    let requests = drop_those(shift, Bucketed::Requests, "requests").await?;
    Ok(keys + attempts + requests)
}

async fn drop_those(shift: &Shift, rows: Bucketed, what: &'static str) -> Result<u64, Cut> {
    let mut dropped = 0;
    loop {
        let commands = shift
            .ask(move |keepers, read, now| buckets::over(read, rows, keepers, now, COMMANDS_MAX))
            .await?;
        let mut moved = false;
        for command in commands {
            loop {
                let swept = shift
                    .carry_out(what, Command::DropBuckets(command.clone()))
                    .await?;
                dropped += swept.dropped;
                moved |= swept.moved;
                if !swept.more {
                    break;
                }
            }
        }
        if !moved {
            return Ok(dropped);
        }
    }
}
