//! Dead letters whose retention has ended: they expire, on record.

use pushrail_machine::query::upkeep::letters;
use pushrail_model::change::Actor;
use pushrail_model::command::{Command, ExpireDeadLetters};

use crate::upkeep::{Cut, Shift};

/// As whom the change log names what nobody asked for: it has no address.
const ACTOR: &str = "retention";

/// Expires all that are over; says how many.
pub(super) async fn expire(shift: &Shift) -> Result<u64, Cut> {
    let mut expired = 0;
    let actor = Actor {
        name: ACTOR.to_owned(),
        address: String::new(),
        door: shift.replica.node(),
    };
    loop {
        let commands = shift
            .ask(|keepers, read, now| letters::over(read, keepers, now))
            .await?;
        let mut moved = false;
        for command in commands {
            let command = ExpireDeadLetters {
                actor: Some(actor.clone()),
                ..command
            };
            let swept = shift
                .carry_out("dead_letters", Command::ExpireDeadLetters(command))
                .await?;
            expired += swept.dropped;
            moved |= swept.moved;
        }
        // Nothing more, or nothing that the state would grant.
        if !moved {
            return Ok(expired);
        }
    }
}
