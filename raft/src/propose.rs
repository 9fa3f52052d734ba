//! Taking commands to the door, where they gather into numbered batches while earlier ones are on their way.
//!
//! A lone command leaves at once. A batch keeps its number: after a change of leader, or where its outcome is
//! unknown, the same number goes to whoever leads now, and a copy that arrives second finds the first.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pushrail_machine::codec;
use pushrail_model::command::{Batch, Command};
use pushrail_model::ids::{BatchNumber, BootId, NodeId};
use pushrail_model::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::door::Door;
use crate::error::ProposeError;
use crate::load::Load;
use crate::metrics;
use crate::replica::Proposed;
use crate::way::{LeaderSeen, Ways};

/// Commands that wait at the door.
const QUEUE: usize = 4096;
/// KiB of events that wait at the door or are on their way.
const EVENTS_KIB: usize = 64 * 1024;
/// KiB of all else: what a node brings back from receivers must not wait for a crowd of callers.
const OTHERS_KIB: usize = 16 * 1024;
/// How long after its deadline a command may still hear from the door, which knows better what became of it.
const GRACE: Duration = Duration::from_millis(100);

/// Takes commands to the door.
#[derive(Clone, Debug)]
pub(crate) struct DoorHandle {
    events: Queue,
    others: Queue,
}

/// Where commands of a sort wait until the door takes them.
#[derive(Clone, Debug)]
struct Queue {
    waiters: mpsc::Sender<Waiter>,
    room: Arc<Semaphore>,
}

impl Queue {
    fn of(kib: usize) -> (Self, mpsc::Receiver<Waiter>) {
        let (waiters, arrivals) = mpsc::channel(QUEUE);
        let room = Arc::new(Semaphore::new(kib));
        (Self { waiters, room }, arrivals)
    }
}

/// What comes to the door, events after all else.
pub(crate) struct Arrivals {
    events: mpsc::Receiver<Waiter>,
    others: mpsc::Receiver<Waiter>,
}

impl Arrivals {
    /// The next one; `None` once no more can come. Nothing is lost where the wait is given up.
    pub(crate) async fn recv(&mut self) -> Option<Waiter> {
        tokio::select! {
            biased;
            Some(waiter) = self.others.recv() => Some(waiter),
            Some(waiter) = self.events.recv() => Some(waiter),
            else => None,
        }
    }

    /// The next one that is there.
    pub(crate) fn try_recv(&mut self) -> Option<Waiter> {
        self.others.try_recv().or_else(|_| self.events.try_recv()).ok()
    }

    /// Takes no more.
    pub(crate) fn close(&mut self) {
        self.events.close();
        self.others.close();
    }
}

/// What became of a command.
pub(crate) type Answer = Result<Proposed, ProposeError>;

/// A command at the door.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// Encoded by whoever brought it, as it will stand in a batch.
    pub command: Bytes,
    /// How much work it is.
    pub weight: usize,
    /// Only in this term, or not at all.
    pub pinned: Option<u64>,
    /// When it has waited long enough.
    pub deadline: Instant,
    /// Who waits.
    pub reply: oneshot::Sender<Answer>,
    /// Held until the answer: bounds what waits.
    pub _room: OwnedSemaphorePermit,
}

impl Waiter {
    /// What it adds to a batch.
    pub(crate) fn load(&self) -> Load {
        Load {
            bytes: self.command.len(),
            weight: self.weight,
        }
    }
}

impl DoorHandle {
    /// Has a command carried out, in term `pinned` alone if one is given. An answer comes by `deadline`.
    pub(crate) async fn propose(&self, command: Command, pinned: Option<u64>, deadline: Instant) -> Answer {
        let begun = Instant::now();
        let result = self.answer_by(command, pinned, deadline).await;
        ::metrics::histogram!(metrics::PROPOSE_DURATION_SECONDS).record(begun.elapsed().as_secs_f64());
        if let Err(error) = &result {
            let outcome = if error.is_certain() {
                "not_accepted"
            } else {
                "unknown"
            };
            ::metrics::counter!(metrics::PROPOSE_FAILED_TOTAL, "outcome" => outcome).increment(1);
        }
        result
    }

    async fn answer_by(&self, command: Command, pinned: Option<u64>, deadline: Instant) -> Answer {
        let queue = if let Command::AcceptEvents(_) = &command {
            &self.events
        } else {
            &self.others
        };
        let weight = command.weight();
        let command = encode_command(command);
        if command.len() + BATCH_HEAD_BYTES > limits::ENTRY_BYTES_MAX {
            return Err(not_accepted("the command is larger than an entry may be"));
        }
        let kib = u32::try_from(command.len() / 1024 + 1).unwrap_or(u32::MAX);
        let room = timeout_at(deadline, Arc::clone(&queue.room).acquire_many_owned(kib))
            .await
            .map_err(|_| not_accepted("too many commands wait at this node"))?
            .map_err(|_| not_accepted("the node is stopping"))?;
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter {
            command,
            weight,
            pinned,
            deadline,
            reply,
            _room: room,
        };
        match timeout_at(deadline, queue.waiters.send(waiter)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(not_accepted("the node is stopping")),
            Err(_) => return Err(not_accepted("too many commands wait at this node")),
        }
        // The door answers by then; this is for the case that it cannot.
        let unknown = |why: &str| ProposeError::Unknown { why: why.to_owned() };
        match timeout_at(deadline + GRACE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(unknown("the node stopped before the answer came")),
            Err(_) => Err(unknown("no answer came in time")),
        }
    }
}

/// What a batch needs beside its commands, at most.
const BATCH_HEAD_BYTES: usize = 64;

/// A command as it stands inside a batch: protobuf messages that are put together are one message, so a batch is
/// its head and its commands, each encoded by whoever brought it.
fn encode_command(command: Command) -> Bytes {
    codec::encode_batch(&Batch {
        node: NodeId(0),
        boot: BootId(0),
        number: BatchNumber(0),
        lowest_open: BatchNumber(0),
        commands: vec![command],
    })
}

pub(crate) fn not_accepted(why: impl Into<String>) -> ProposeError {
    ProposeError::NotAccepted { why: why.into() }
}

/// The door's task; ends when `stop` is called, leaving no command without an answer.
pub(crate) fn spawn(
    node: NodeId,
    boot: BootId,
    leader: watch::Receiver<Option<LeaderSeen>>,
    ways: Box<dyn Ways>,
    stop: CancellationToken,
) -> (DoorHandle, impl Future<Output = ()> + Send + 'static) {
    let (for_events, events) = Queue::of(EVENTS_KIB);
    let (for_others, others) = Queue::of(OTHERS_KIB);
    let handle = DoorHandle {
        events: for_events,
        others: for_others,
    };
    let arrivals = Arrivals { events, others };
    let door = Door::new(node, boot, leader, ways);
    (handle, door.run(arrivals, stop))
}

#[cfg(test)]
mod tests;
