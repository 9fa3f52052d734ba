//! The leader's side of the door: batches of many doors that wait together become one entry, stamped and proposed.
//!
//! Runs on every node; on one that does not lead the core refuses at once. Nobody waits for a timer: an entry leaves
//! as soon as one of the few places in flight is free, with whatever has gathered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::ClientWriteError;
use openraft::impls::ProgressResponder;
use openraft::raft::ClientWriteResult;
use pushrail_machine::answers::{Answers, BatchAnswer};
use pushrail_machine::codec;
use pushrail_model::ids::{BatchNumber, NodeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::config::PROPOSE_DEADLINE;
use crate::load::Load;
use crate::metrics;
use crate::timekeeper::{NoTime, Timekeeper};
use crate::types::{LeaderId, Payload, Raft, TypeConfig};

/// Entries proposed and not answered: more only buys latency.
const ENTRIES_IN_FLIGHT: usize = 8;
/// Batches that may wait to be proposed, each of about 1 MiB at most; the open batches of five doors fit.
const QUEUE: usize = 64;
/// How long a new leader may take to hear the clocks of a majority before batches are refused.
const CLOCKS_WAIT: Duration = Duration::from_secs(1);

/// What became of one copy of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Applied, by this copy or an earlier one.
    Answered {
        /// The answers to its commands.
        answers: Answers,
        /// The term of the entry.
        term: u64,
    },
    /// Its door has given it up or started anew: this copy changed nothing.
    Retired,
    /// This copy is certainly in no log and never will be.
    Refused {
        /// Who leads, where that is known.
        leader: Option<NodeId>,
        /// Why.
        why: String,
    },
    /// This copy may be in the log or not.
    Unknown {
        /// Why.
        why: String,
    },
}

/// Where the outcome goes.
#[derive(Clone, Debug)]
pub(crate) struct ReplyTo {
    /// Which of the receiver's conversations this belongs to.
    pub session: u64,
    /// Who waits.
    pub sender: mpsc::UnboundedSender<Reply>,
}

/// The outcome of one copy of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Which of the receiver's conversations this belongs to.
    pub session: u64,
    /// Which batch.
    pub number: BatchNumber,
    /// What became of it.
    pub outcome: Outcome,
}

impl Arrival {
    /// What it adds to an entry.
    fn load(&self) -> Load {
        Load {
            bytes: self.batch.len(),
            weight: self.weight,
        }
    }
}

impl ReplyTo {
    pub(crate) fn send(&self, number: BatchNumber, outcome: Outcome) {
        let reply = Reply {
            session: self.session,
            number,
            outcome,
        };
        // Whoever asked may have left; its batch number is its own affair.
        self.sender.send(reply).ok();
    }
}

/// A batch at the leader's door.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Its door's number of it.
    pub number: BatchNumber,
    /// As it will stand in the log.
    pub batch: Bytes,
    /// How much work it is.
    pub weight: usize,
    /// Only in this term, or not at all.
    pub pinned: Option<u64>,
    /// Who waits for its outcome.
    pub reply: ReplyTo,
    /// When it came.
    pub at: Instant,
}

/// Where batches are left for the proposer.
#[derive(Clone, Debug)]
pub(crate) struct ProposerHandle {
    arrivals: mpsc::Sender<Arrival>,
}

impl ProposerHandle {
    /// Leaves a batch; waits while too many are waiting. Refused if the proposer has stopped.
    pub(crate) async fn send(&self, arrival: Arrival) {
        if let Err(mpsc::error::SendError(arrival)) = self.arrivals.send(arrival).await {
            refuse_stopped(&arrival);
        }
    }

    /// Leaves a batch at once, or refuses it.
    pub(crate) fn try_send(&self, arrival: Arrival) {
        match self.arrivals.try_send(arrival) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(arrival)) => refuse_stopped(&arrival),
            Err(mpsc::error::TrySendError::Full(arrival)) => arrival.reply.send(
                arrival.number,
                Outcome::Refused {
                    leader: None,
                    why: "too many batches wait at the leader".to_owned(),
                },
            ),
        }
    }
}

fn refuse_stopped(arrival: &Arrival) {
    let outcome = Outcome::Refused {
        leader: None,
        why: "the node is stopping".to_owned(),
    };
    arrival.reply.send(arrival.number, outcome);
}

/// Proposes what arrives until every handle is gone.
pub(crate) fn spawn(
    raft: Raft,
    time: Arc<Timekeeper>,
) -> (ProposerHandle, impl Future<Output = ()> + Send + 'static) {
    let (arrivals, receiver) = mpsc::channel(QUEUE);
    let proposer = Proposer {
        raft,
        time,
        arrivals: receiver,
        carried: None,
    };
    (ProposerHandle { arrivals }, proposer.run())
}

struct Proposer {
    raft: Raft,
    time: Arc<Timekeeper>,
    arrivals: mpsc::Receiver<Arrival>,
    // Did not fit into the last entry.
    carried: Option<Arrival>,
}

impl Proposer {
    async fn run(mut self) {
        let places = Arc::new(Semaphore::new(ENTRIES_IN_FLIGHT));
        // Order: first a place, then the batches. While all places are taken, batches gather.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Some(first) = self.next().await else { return };
            let gathered = self.gather(first);
            self.propose(gathered, place).await;
        }
    }

    async fn next(&mut self) -> Option<Arrival> {
        loop {
            let arrival = match self.carried.take() {
                Some(arrival) => arrival,
                None => self.arrivals.recv().await?,
            };
            if let Some(arrival) = in_time(arrival) {
                return Some(arrival);
            }
        }
    }

    /// What waits and fits into one entry with `first`.
    fn gather(&mut self, first: Arrival) -> Vec<Arrival> {
        let mut load = first.load();
        let pinned = first.pinned;
        let mut gathered = vec![first];
        while load.is_wanted() {
            let Ok(next) = self.arrivals.try_recv() else { break };
            let Some(next) = in_time(next) else { continue };
            let with_next = load.and(next.load());
            if next.pinned != pinned || !with_next.is_wanted() {
                self.carried = Some(next);
                break;
            }
            load = with_next;
            gathered.push(next);
        }
        gathered
    }

    async fn propose(&self, gathered: Vec<Arrival>, place: OwnedSemaphorePermit) {
        let pinned = gathered.first().and_then(|arrival| arrival.pinned);
        let stamp = match self.time.stamp_within(pinned, CLOCKS_WAIT).await {
            Ok(stamp) => stamp,
            Err(why) => return self.refuse(gathered, &why),
        };
        let batches: Vec<Bytes> = gathered.iter().map(|arrival| arrival.batch.clone()).collect();
        let payload = codec::encode_entry_payload(stamp.time, &batches);
        record_size(batches.len(), payload.len());
        let (responder, answer) = ProgressResponder::complete_only();
        // Only in the term that the time is of: another leader may have said a later one since.
        let leader = LeaderId {
            term: stamp.term,
            node_id: *self.raft.node_id(),
        };
        let write = self
            .raft
            .write(Payload(payload))
            .responder(responder)
            .with_leader(leader);
        let sent = write.await;
        tokio::spawn(async move {
            let result = match sent {
                Ok(()) => answer
                    .await
                    .map_err(|_| "the consensus core has stopped".to_owned()),
                Err(fatal) => Err(fatal.to_string()),
            };
            drop(place);
            answer_all(gathered, result);
        });
    }
}

impl Proposer {
    /// What has no time cannot be proposed.
    fn refuse(&self, gathered: Vec<Arrival>, why: &NoTime) {
        let me = *self.raft.node_id();
        let known = self.raft.metrics().borrow_watched().current_leader;
        let leader = known.filter(|leader| *leader != me).map(NodeId);
        for arrival in gathered {
            let outcome = Outcome::Refused {
                leader,
                why: why.to_string(),
            };
            arrival.reply.send(arrival.number, outcome);
        }
    }
}

/// While the leader has no majority batches gather that their doors have given up long since. They are refused
/// instead of proposed: what was answered *unknown* minutes ago must not happen now, nor hold up what is new.
fn in_time(arrival: Arrival) -> Option<Arrival> {
    if arrival.at.elapsed() < PROPOSE_DEADLINE {
        return Some(arrival);
    }
    let why = "it waited too long at the leader".to_owned();
    arrival
        .reply
        .send(arrival.number, Outcome::Refused { leader: None, why });
    None
}

fn record_size(batches: usize, bytes: usize) {
    // Both are far below what a float holds exactly.
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    ::metrics::histogram!(metrics::ENTRY_BATCHES).record(float(batches));
    ::metrics::histogram!(metrics::ENTRY_BYTES).record(float(bytes));
}

fn answer_all(gathered: Vec<Arrival>, result: Result<ClientWriteResult<TypeConfig>, String>) {
    let outcome = match result {
        Ok(Ok(response)) => {
            let term = response.log_id.leader_id.term;
            let batches = response.data.0;
            if batches.len() == gathered.len() {
                for (arrival, batch) in gathered.into_iter().zip(batches) {
                    arrival.reply.send(arrival.number, answered(batch, term));
                }
                return;
            }
            Outcome::Unknown {
                why: format!("{} batches had {} answers", gathered.len(), batches.len()),
            }
        }
        Ok(Err(error)) => not_answered(error),
        Err(why) => Outcome::Unknown { why },
    };
    for arrival in gathered {
        arrival.reply.send(arrival.number, outcome.clone());
    }
}

fn answered(batch: BatchAnswer, term: u64) -> Outcome {
    match batch {
        BatchAnswer::Answered(answers) => Outcome::Answered { answers, term },
        BatchAnswer::Retired => Outcome::Retired,
    }
}

fn not_answered(error: ClientWriteError<TypeConfig>) -> Outcome {
    match error {
        // The core says this before it appends anything.
        ClientWriteError::ForwardToLeader(forward) => Outcome::Refused {
            leader: forward.leader_id.map(NodeId),
            why: match forward.reason {
                openraft::errors::ForwardReason::NotLeader => "the node does not lead".to_owned(),
                openraft::errors::ForwardReason::LeadershipTransfer => "the leadership moves".to_owned(),
                openraft::errors::ForwardReason::LeaseExpired => {
                    "the leader has lost its majority".to_owned()
                }
            },
        },
        discarded @ ClientWriteError::LogEntryDiscarded(_) => Outcome::Unknown {
            why: discarded.to_string(),
        },
        // Neither is asked for by a plain write.
        other @ (ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_)) => {
            Outcome::Unknown {
                why: other.to_string(),
            }
        }
    }
}
