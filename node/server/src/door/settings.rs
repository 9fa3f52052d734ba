//! What people set up: what a caller says is checked here, by the kind's own adapter too, becomes a command, and is
//! read back as it stands. One file for each sort of object; what they share is here.

pub(crate) mod checks;
mod credentials;
pub(crate) mod destinations;
mod present;
pub(crate) mod routes;
pub(crate) mod tenants;

use std::time::Duration;

use pushrail_model::change::Actor;
use pushrail_model::command::Command;
use pushrail_model::response::Response;
use pushrail_raft::replica::Proposed;
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::{Refusal, done_but};

/// How long a whole call may take: carried out, waited for and read back.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_800);
/// How long a change waits for the nodes that deliver: a lease and its margin, and then some.
const FENCE_WITHIN: Duration = Duration::from_millis(2_800);

/// What a fence leaves of a call's time, for reading back.
const READ_BACK: Duration = Duration::from_millis(200);

/// Something to remove; texts as the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    pub(crate) tenant: String,
    /// The destination or route; empty for the tenant itself.
    pub(crate) object: String,
    pub(crate) version: u64,
    pub(crate) request_id: String,
    pub(crate) actor: Actor,
}

impl Door {
    /// Has the cluster carry out a command, once there is one; an answer comes by `deadline`.
    pub(in crate::door) async fn carry_out(
        &self,
        command: Command,
        deadline: Instant,
    ) -> Result<Proposed, Refusal> {
        if pushrail_machine::query::cluster(&self.replica().view())?.is_none() {
            return Err(Refusal::NotFormed);
        }
        Ok(Box::pin(self.replica().propose_by(command, deadline)).await?)
    }

    /// Waits until no attempt starts on terms older than this change of a destination, anywhere.
    async fn fence(&self, proposed: &Proposed, deadline: Instant) -> Result<(), Refusal> {
        let Response::Destination { shard, .. } = proposed.response else {
            return Err(Refusal::unexpected(&proposed.response));
        };
        // What is left for reading back is little, but by then this node has applied it, as a rule.
        let left = deadline.saturating_duration_since(Instant::now() + READ_BACK);
        let within = left.min(FENCE_WITHIN);
        let fence = self.replica().await_fence(shard, proposed.index, within);
        fence.await.map_err(|error| Refusal::FencePending {
            why: error.to_string(),
        })
    }
}

/// By when a call that begins now has its answer, whatever it reads before the change and after it.
pub(crate) fn call_deadline() -> Instant {
    Instant::now() + ANSWER_WITHIN
}

pub(in crate::door) fn gone() -> Refusal {
    Refusal::Stands {
        why: "its object has gone since".to_owned(),
    }
}

/// The change stands, and only the reading back failed: that it was not accepted must never be said.
fn read_back(refusal: Refusal, what: &'static str) -> Refusal {
    if let Refusal::NotFound { .. } = refusal {
        return Refusal::Removed { what };
    }
    done_but(refusal)
}
