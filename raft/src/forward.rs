//! The door's ways to the leader: straight to this node's proposer, or over one open call to another node.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use pushrail_machine::codec;
use pushrail_model::ids::{BatchNumber, NodeId};
use pushrail_model::limits;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::error::in_full;
use crate::peers::{Lane, Peers};
use crate::proposer::{Arrival, Outcome, ProposerHandle, Reply, ReplyTo};
use crate::way::{LeaderSeen, Lost, LostTo, Way, Ways};
use crate::wire::proto;

/// How long the call may take to open.
const OPEN: Duration = Duration::from_secs(1);
/// How often a call looks whether it still may speak.
const LOOK: Duration = Duration::from_millis(250);

/// Opens ways to whoever leads.
pub(crate) struct LeaderWays {
    peers: Arc<Peers>,
    proposer: ProposerHandle,
}

impl LeaderWays {
    pub(crate) fn new(peers: Arc<Peers>, proposer: ProposerHandle) -> Self {
        Self { peers, proposer }
    }
}

impl Ways for LeaderWays {
    fn outrun(&self) {
        let (node, boot) = (self.peers.me(), self.peers.start().boot);
        self.peers.be_outrun(format!(
            "the cluster knows a later start of node {node} than this one, which is start {boot} of its data directory, \
             and takes nothing from it. Either another process runs as this node: stop it. Or this directory was made \
             while the clock was behind: give this machine a new node id and an empty directory"
        ));
    }

    fn open(&self, leader: &LeaderSeen, reply: ReplyTo, lost: LostTo) -> Box<dyn Way> {
        if leader.node == self.peers.me() {
            return Box::new(Straight {
                proposer: self.proposer.clone(),
                reply,
            });
        }
        let open = usize::try_from(limits::DOOR_BATCHES_OPEN_MAX).unwrap_or(usize::MAX);
        let (outbound, batches) = mpsc::channel(open);
        let call = Call {
            peers: Arc::clone(&self.peers),
            leader: leader.clone(),
            reply,
            left: Arc::new(Left(Mutex::new(Some(Vec::new())))),
        };
        let closed = lost;
        tokio::spawn(async move { call.run(batches, closed).await });
        Box::new(Forwarded { outbound })
    }
}

/// This node leads: no wire between.
struct Straight {
    proposer: ProposerHandle,
    reply: ReplyTo,
}

impl Way for Straight {
    fn send(&mut self, number: BatchNumber, batch: Bytes, weight: usize, pinned: Option<u64>) -> bool {
        self.proposer.try_send(Arrival {
            number,
            batch,
            weight,
            pinned,
            reply: self.reply.clone(),
            at: Instant::now(),
        });
        true
    }
}

/// Another node leads.
struct Forwarded {
    outbound: mpsc::Sender<proto::ForwardBatch>,
}

impl Way for Forwarded {
    fn send(&mut self, number: BatchNumber, batch: Bytes, _: usize, _: Option<u64>) -> bool {
        let batch = proto::ForwardBatch {
            number: number.0,
            batch,
        };
        self.outbound.try_send(batch).is_ok()
    }
}

/// One open call to a leader; ends when the door lets go of its way, or the connection breaks.
struct Call {
    peers: Arc<Peers>,
    leader: LeaderSeen,
    reply: ReplyTo,
    left: Arc<Left>,
}

/// Batches that the connection has taken and that have no answer: they may have arrived. Others certainly have not. Once
/// it has been read, `None`: the connection, which may outlive its call for a moment, takes no more.
struct Left(Mutex<Option<Vec<BatchNumber>>>);

impl Left {
    fn lock(&self) -> MutexGuard<'_, Option<Vec<BatchNumber>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a batch that is about to leave, unless it is too late for that.
    fn leaves(&self, number: BatchNumber) -> bool {
        let mut left = self.lock();
        left.as_mut().map(|left| left.push(number)).is_some()
    }

    fn answered(&self, number: BatchNumber) {
        if let Some(left) = self.lock().as_mut() {
            left.retain(|open| *open != number);
        }
    }

    fn close(&self) -> Vec<BatchNumber> {
        self.lock().take().unwrap_or_default()
    }
}

impl Call {
    async fn run(self, batches: mpsc::Receiver<proto::ForwardBatch>, lost: LostTo) {
        let why = match self.speak(batches).await {
            Ok(()) => "the call to the leader ended".to_owned(),
            Err(status) => format!("node {}: {}", self.leader.node, status.message()),
        };
        tracing::debug!(node = %self.leader.node, why, "a way to the leader has ended");
        let left = self.left.close();
        // The door may have stopped.
        lost.sender
            .send(Lost {
                session: lost.session,
                left,
                why,
            })
            .ok();
    }

    async fn speak(&self, batches: mpsc::Receiver<proto::ForwardBatch>) -> Result<(), Status> {
        let leader = self.leader.node;
        let mut client = self.peers.client(leader, &self.leader.peer, Lane::Door)?;
        let outbound = {
            let (left, peers) = (Arc::clone(&self.left), Arc::clone(&self.peers));
            ReceiverStream::new(batches).take_while(move |batch| {
                let goes = peers.reaches(leader) && left.leaves(BatchNumber(batch.number));
                std::future::ready(goes)
            })
        };
        let opening = client.forward(self.peers.request(leader, outbound));
        let mut answers = timeout(OPEN, opening)
            .await
            .map_err(|_| Status::unavailable("it did not take the call in time"))??
            .into_inner();
        loop {
            let received = timeout(LOOK, answers.message()).await;
            if !self.peers.reaches(leader) {
                return Err(Status::unavailable("cut off"));
            }
            let Ok(received) = received else { continue };
            let Some(answer) = received? else { return Ok(()) };
            let number = BatchNumber(answer.number);
            self.left.answered(number);
            let reply = Reply {
                session: self.reply.session,
                number,
                outcome: outcome_from(answer.outcome),
            };
            if self.reply.sender.send(reply).is_err() {
                return Ok(());
            }
        }
    }
}

/// How much work a batch of `sender`'s door is; or why it must not be proposed. What is committed and cannot be applied
/// ends every node, and again at each start: so a batch is read before, by whoever receives it. A newer door's command
/// that this leader does not know is met here, too.
pub(crate) fn weigh(sender: NodeId, message: &proto::ForwardBatch) -> Result<usize, String> {
    let bytes = message.batch.len();
    if bytes > limits::ENTRY_BYTES_MAX {
        return Err(format!("it has {bytes} bytes, more than an entry may have"));
    }
    let batch = codec::decode_batch(message.batch.clone())
        .map_err(|error| format!("it cannot be read: {}", in_full(&error)))?;
    if batch.node != sender || batch.number.0 != message.number {
        return Err(format!(
            "it is batch {} of node {}, and came as batch {} of node {sender}",
            batch.number, batch.node, message.number
        ));
    }
    Ok(batch.weight())
}

/// An outcome as a message.
pub(crate) fn outcome_to(outcome: Outcome) -> proto::forward_answer::Outcome {
    use proto::forward_answer::Outcome as Message;
    match outcome {
        Outcome::Answered { answers, term } => Message::Answered(proto::Answered {
            term,
            answers: codec::encode_answers(&answers),
        }),
        Outcome::Retired => Message::Retired(proto::Retired {}),
        Outcome::Refused { leader, why } => Message::Refused(proto::Refused {
            leader: leader.map(|node| node.0),
            why,
        }),
        Outcome::Unknown { why } => Message::Unknown(proto::Unknown { why }),
    }
}

/// An outcome from a message; what cannot be read is unknown.
fn outcome_from(outcome: Option<proto::forward_answer::Outcome>) -> Outcome {
    use proto::forward_answer::Outcome as Message;
    match outcome {
        Some(Message::Answered(message)) => match codec::decode_answers(message.answers) {
            Ok(answers) => Outcome::Answered {
                answers,
                term: message.term,
            },
            Err(error) => Outcome::Unknown {
                why: format!("the leader's answer cannot be read: {error}"),
            },
        },
        Some(Message::Retired(proto::Retired {})) => Outcome::Retired,
        Some(Message::Refused(message)) => Outcome::Refused {
            leader: message.leader.map(NodeId),
            why: message.why,
        },
        Some(Message::Unknown(message)) => Outcome::Unknown { why: message.why },
        None => Outcome::Unknown {
            why: "the leader's answer is of a kind unknown here".to_owned(),
        },
    }
}
