//! On the leader: goes on with what is not through (`settings`), and lets go what is over. For that one look an hour of
//! the state's time, and one when a node begins to lead; each job asks the state what is over and proposes it in bounded
//! commands, one at a time, so that others' entries find room between them. A cluster in which nothing is over writes
//! nothing.

mod buckets;
mod carried;
mod credentials;
pub(crate) mod dead_letters;
mod events;
mod letters;
mod removals;
mod requests;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::metrics::counter;
use pushrail_machine::query::upkeep::{Keeper, keepers};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::Command;
use pushrail_model::response::Response;
use pushrail_model::time::Timestamp;
use pushrail_raft::replica::Replica;
use tracing::{debug, info, warn};

use crate::keyring::Keyring;
use crate::metrics::RETENTION_DROPPED_TOTAL;
use crate::telemetry::chain;

/// How often the leader asks whether it is time for a look: nothing is read for that.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the state may take to show what was proposed.
const APPLIED_WITHIN: Duration = Duration::from_secs(5);
/// The longest rest between two commands.
const REST_MAX: Duration = Duration::from_millis(100);

/// Looks after all jobs until it is dropped; does nothing while another node leads. Returns only if it cannot go on,
/// with the reason: the node must stop.
pub(crate) async fn run(replica: Replica, keyring: Arc<Keyring>) -> String {
    tokio::select! {
        why = let_go(replica.clone()) => why,
        // What somebody has just asked for waits for no hour.
        why = settings::run(replica, keyring) => why,
    }
}

async fn let_go(replica: Replica) -> String {
    let mut looked = Looked::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = replica.lease().state_now();
        let Some(leadership) = replica.leadership().filter(|_| now > Timestamp::ZERO) else {
            looked = Looked::default();
            continue;
        };
        let due = looked.due(leadership.term, now);
        if !due.any {
            continue;
        }
        match look(&replica, leadership.term, now, due.daily).await {
            Ok(()) => looked = Looked::at(leadership.term, now),
            Err(Cut::Refused) => debug!("upkeep was refused, looking again"),
            Err(Cut::Store(error)) => return chain(&error),
        }
    }
}

/// When the leader last looked through everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Looked {
    term: u64,
    hour: u32,
    day: u32,
}

/// What it is time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DueLook {
    any: bool,
    daily: bool,
}

impl Looked {
    fn at(term: u64, now: Timestamp) -> Self {
        Self {
            term,
            hour: now.hour(),
            day: now.day(),
        }
    }

    fn due(self, term: u64, now: Timestamp) -> DueLook {
        DueLook {
            any: (self.term, self.hour) != (term, now.hour()),
            // What is carried is still owed, mostly, and there may be much of it: once a day. Nor does a month that has
            // gone by since a request depend on the hour.
            daily: (self.term, self.day) != (term, now.day()),
        }
    }
}

/// Why a look ended before its end.
#[derive(Debug)]
enum Cut {
    /// The leadership has moved on, or the log takes nothing at the moment.
    Refused,
    /// The state cannot be read.
    Store(StoreError),
}

impl From<StoreError> for Cut {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn look(replica: &Replica, term: u64, now: Timestamp, daily_too: bool) -> Result<(), Cut> {
    let mut shift = Shift {
        replica: replica.clone(),
        term,
        now,
        keepers: Arc::new(Vec::new()),
    };
    shift.keepers = Arc::new(shift.ask(|_, read, _| keepers(read)).await?);
    let letters = letters::expire(&shift).await?;
    let buckets = buckets::drop_all(&shift).await?;
    let events = events::drop_all(&shift).await?;
    // What has just expired may have been the last that needed its event.
    let carried = if daily_too || letters > 0 {
        carried::drop_all(&shift).await?
    } else {
        0
    };
    let requests = if daily_too {
        requests::drop_all(&shift).await?
    } else {
        0
    };
    if letters + buckets + events + carried + requests > 0 {
        info!(
            letters,
            buckets, events, carried, requests, "retention has ended for these"
        );
    }
    Ok(())
}

/// One look of one leadership.
struct Shift {
    replica: Replica,
    term: u64,
    /// The state's time as it began: what is over then is over when it is applied.
    now: Timestamp,
    keepers: Arc<Vec<Keeper>>,
}

impl Shift {
    /// Asks this node's copy of the state, where blocking is allowed.
    async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&[Keeper], &dyn Read, Timestamp) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Cut> {
        let (view, keepers, now) = (self.replica.view(), Arc::clone(&self.keepers), self.now);
        let asked = tokio::task::spawn_blocking(move || query(&keepers, &view, now)).await;
        // A query that panicked has been reported by its thread.
        asked.map_err(|_| Cut::Refused)?.map_err(Cut::from)
    }

    /// Has a command carried out, and rests for as long as that took.
    async fn carry_out(&self, what: &'static str, command: Command) -> Result<Swept, Cut> {
        let begun = Instant::now();
        let proposed = match self.replica.propose_leading(self.term, command).await {
            Ok(proposed) => proposed,
            Err(error) => {
                debug!(%error, what, "not dropped, looking again");
                return Err(Cut::Refused);
            }
        };
        let Response::Swept {
            dropped,
            carried,
            more,
        } = proposed.response
        else {
            warn!(what, response = ?proposed.response, "the state drops nothing");
            return Err(Cut::Refused);
        };
        // The next question must see what this one has done.
        let applied = self.replica.await_applied(proposed.index, APPLIED_WITHIN).await;
        if applied.is_err() {
            return Err(Cut::Refused);
        }
        counter!(RETENTION_DROPPED_TOTAL, "what" => what).increment(dropped);
        tokio::time::sleep(begun.elapsed().min(REST_MAX)).await;
        Ok(Swept {
            dropped,
            moved: dropped + carried > 0,
            more,
        })
    }
}

/// What a command has done.
#[derive(Clone, Copy, Debug)]
struct Swept {
    dropped: u64,
    /// Whether it did anything at all.
    moved: bool,
    more: bool,
}

#[cfg(test)]
mod tests {
    use pushrail_model::time::Span;

    use super::*;

    const NOW: Timestamp = Timestamp(100 * Span::DAY.0);

    #[test]
    fn a_new_leader_looks_through_everything_and_then_every_hour() {
        let looked = Looked::at(7, NOW);
        let all = DueLook {
            any: true,
            daily: true,
        };

        assert_eq!(Looked::default().due(7, NOW), all);
        assert!(!looked.due(7, NOW.plus(Span(Span::HOUR.0 - 1))).any);
        assert_eq!(
            looked.due(7, NOW.plus(Span::HOUR)),
            DueLook {
                any: true,
                daily: false
            }
        );
        assert_eq!(looked.due(7, NOW.plus(Span::DAY)), all);
        assert_eq!(looked.due(8, NOW), all);
    }
}
