//! Ends what is still owed to removed destinations, a bounded step at a time, one destination after the other.

use std::time::Duration;

use pushrail_machine::query;
use pushrail_model::command::Command;
use pushrail_model::response::Response;
use pushrail_raft::replica::Replica;
use tracing::{debug, info, warn};

use crate::upkeep::settings::read;

/// Steps in one look: the other jobs have their turn between.
const STEPS: usize = 32;
/// Destinations looked at in one look; the rest follows as these are through.
const DESTINATIONS: usize = 8;
/// For this node's state to show a step that it proposed.
const APPLIED_WITHIN: Duration = Duration::from_secs(2);

/// Goes on with what is not through yet. An error means that the node cannot read its state.
pub(crate) async fn advance(replica: &Replica, term: u64) -> Result<(), String> {
    let steps = read(replica, |view| query::removals::steps(view, DESTINATIONS)).await?;
    let mut taken = 0;
    for step in steps {
        loop {
            if taken == STEPS {
                return Ok(());
            }
            taken += 1;
            let command = Command::CancelDeliveries(step.clone());
            let proposed = match replica.propose_leading(term, command).await {
                Ok(proposed) => proposed,
                Err(error) => {
                    debug!(%error, "a removal could not go on, trying again");
                    return Ok(());
                }
            };
            let Response::Advanced { done, .. } = proposed.response else {
                warn!(destination = %step.destination, answer = ?proposed.response, "a removal cannot go on");
                break;
            };
            if !done {
                continue;
            }
            info!(
                destination = %step.destination,
                tenant = %step.tenant,
                index = %proposed.index,
                "removal is through"
            );
            // The next look must not find it again.
            replica.await_applied(proposed.index, APPLIED_WITHIN).await.ok();
            break;
        }
    }
    Ok(())
}
