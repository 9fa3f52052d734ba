//! The way of outcomes into the log: gathered while earlier ones are under way, sent again until they are on record,
//! and let go only once this node's own state shows them.
//!
//! Invariant: an outcome that came back is never dropped while the process lives, and its delivery stays open with
//! the owner until then; how many there can be is bounded there (`delivery.unrecorded_max`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use metrics::counter;
use pushrail_model::attempt::Attempt;
use pushrail_model::command::{Command, QueueKey, RecordAttempts};
use pushrail_model::ids::EventSeq;
use pushrail_model::limits::{COMMAND_ATTEMPTS_MAX, ENTRY_BYTES_WANTED};
use pushrail_model::response::{AttemptAnswer, Response};
use pushrail_model::shard::Partition;
use pushrail_model::verdict::Verdict;
use pushrail_raft::error::ReadError;
use pushrail_raft::replica::{Proposed, Replica};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, error, warn};

use crate::metrics::{DELIVERIES_TOTAL, RETRIES_SCHEDULED_TOTAL};

/// Bytes of one command that its attempts' fixed fields take, about.
const ATTEMPT_BYTES: usize = 256;
/// Bytes of one command at most: a few of them fit an entry.
const COMMAND_BYTES_WANTED: usize = ENTRY_BYTES_WANTED / 2;
/// Before what was not recorded is sent again, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long one wait for the local state is; it is repeated.
const APPLY_WAIT: Duration = Duration::from_secs(5);

/// An attempt that was made.
pub(crate) struct Made {
    pub(crate) queue: QueueKey,
    pub(crate) kind: &'static str,
    pub(crate) attempt: Attempt,
}

/// Deliveries whose attempts are on record here.
pub(crate) type Recorded = Vec<(QueueKey, EventSeq)>;

/// Where attempts are handed in. While one lives, the recorder runs.
#[derive(Clone)]
pub(crate) struct Inbox {
    // Unbounded in form; in fact at most `delivery.unrecorded_max`, by the owner's count.
    made: UnboundedSender<Made>,
}

impl Inbox {
    pub(crate) fn hand_in(&self, made: Made) {
        // An error says that the recorder was aborted: the process is ending, and the attempt will be made again.
        self.made.send(made).ok();
    }
}

/// Starts the recorder; it tells `recorded` of what is done. It ends once every inbox is gone and all is recorded.
pub(crate) fn start(
    replica: Replica,
    recorded: impl Fn(Recorded) + Clone + Send + 'static,
) -> (Inbox, JoinHandle<()>) {
    let (made, inbox) = unbounded_channel();
    let recorder = Recorder {
        replica,
        recorded,
        waiting: BTreeMap::new(),
        under_way: BTreeSet::new(),
        tasks: JoinSet::new(),
    };
    (Inbox { made }, tokio::spawn(recorder.run(inbox)))
}

struct Recorder<F> {
    replica: Replica,
    recorded: F,
    waiting: BTreeMap<Partition, VecDeque<Made>>,
    // One command of a partition at a time: what comes meanwhile joins the next.
    under_way: BTreeSet<Partition>,
    tasks: JoinSet<()>,
}

impl<F: Fn(Recorded) + Clone + Send + 'static> Recorder<F> {
    async fn run(mut self, mut inbox: UnboundedReceiver<Made>) {
        let (answered, mut answers) = unbounded_channel();
        let mut open = true;
        while open || !self.waiting.is_empty() || !self.tasks.is_empty() {
            tokio::select! {
                made = inbox.recv(), if open => match made {
                    Some(made) => {
                        self.keep(made);
                        while let Ok(made) = inbox.try_recv() {
                            self.keep(made);
                        }
                    }
                    None => open = false,
                },
                Some(partition) = answers.recv() => {
                    self.under_way.remove(&partition);
                }
                Some(task) = self.tasks.join_next() => {
                    if let Err(failed) = task {
                        error!(error = %failed, "recording failed inside");
                    }
                }
            }
            self.send(&answered);
        }
    }

    fn keep(&mut self, made: Made) {
        let partition = made.attempt.delivery.partition;
        self.waiting.entry(partition).or_default().push_back(made);
    }

    fn send(&mut self, answered: &UnboundedSender<Partition>) {
        let free: Vec<Partition> = self
            .waiting
            .keys()
            .filter(|partition| !self.under_way.contains(partition))
            .copied()
            .collect();
        for partition in free {
            let Some(waiting) = self.waiting.get_mut(&partition) else {
                continue;
            };
            let gathered = gather(waiting);
            if waiting.is_empty() {
                self.waiting.remove(&partition);
            }
            self.under_way.insert(partition);
            let replica = self.replica.clone();
            let recorded = self.recorded.clone();
            let answered = answered.clone();
            self.tasks.spawn(async move {
                let proposed = record(&replica, partition, &gathered).await;
                // The next command of the partition need not wait for our own state.
                answered.send(partition).ok();
                if await_applied(&replica, &proposed).await {
                    recorded(
                        gathered
                            .iter()
                            .map(|made| (made.queue, made.attempt.delivery.seq))
                            .collect(),
                    );
                }
            });
        }
    }
}

/// As many as one command takes.
fn gather(waiting: &mut VecDeque<Made>) -> Vec<Made> {
    let mut bytes = 0;
    let mut gathered = Vec::new();
    while let Some(made) = waiting.front() {
        let observed = &made.attempt.observed;
        bytes += ATTEMPT_BYTES + observed.excerpt.len() + observed.detail.len();
        if gathered.len() == COMMAND_ATTEMPTS_MAX || (bytes > COMMAND_BYTES_WANTED && !gathered.is_empty()) {
            break;
        }
        gathered.extend(waiting.pop_front());
    }
    gathered
}

/// Proposes the same attempts until there is an answer: their identities make a second time harmless.
async fn record(replica: &Replica, partition: Partition, gathered: &[Made]) -> Proposed {
    let command = Command::RecordAttempts(RecordAttempts {
        partition,
        attempts: gathered.iter().map(|made| made.attempt.clone()).collect(),
    });
    let mut pause = PAUSE_MIN;
    loop {
        match replica.propose(command.clone()).await {
            Ok(proposed) => {
                if let Response::Attempts(answers) = &proposed.response {
                    count(gathered, answers);
                    return proposed;
                }
                warn!(%partition, answer = ?proposed.response, "attempts were not recorded");
            }
            Err(error) => {
                debug!(%partition, %error, attempts = gathered.len(), "attempts wait to be recorded")
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// `false`: the replica has stopped, and nobody is left to tell.
async fn await_applied(replica: &Replica, proposed: &Proposed) -> bool {
    loop {
        match replica.await_applied(proposed.index, APPLY_WAIT).await {
            Ok(()) => return true,
            Err(ReadError::Stopped) => return false,
            Err(error) => warn!(%error, "the own state is behind what was recorded"),
        }
    }
}

fn count(gathered: &[Made], answers: &[AttemptAnswer]) {
    for (made, answer) in gathered.iter().zip(answers) {
        // On record before: by an earlier sending whose answer was lost.
        if !matches!(answer, AttemptAnswer::Effective | AttemptAnswer::Repeated) {
            continue;
        }
        let kind = made.kind;
        match made.attempt.verdict {
            Verdict::Settle => {
                counter!(DELIVERIES_TOTAL, "kind" => kind, "outcome" => "delivered").increment(1)
            }
            Verdict::Bury(_) => counter!(DELIVERIES_TOTAL, "kind" => kind, "outcome" => "dead").increment(1),
            Verdict::Retry { .. } => counter!(RETRIES_SCHEDULED_TOTAL, "kind" => kind).increment(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pushrail_model::delivery::DeliveryKey;
    use pushrail_model::ids::{AttemptNumber, DestinationNo, Epoch, NodeId, Run, TenantNo};
    use pushrail_model::outcome::{Observed, Outcome};
    use pushrail_model::shard::ShardId;
    use pushrail_model::time::{Span, Timestamp};

    use super::*;

    fn made(index: u64, excerpt_bytes: usize) -> Made {
        let queue = QueueKey {
            shard: ShardId::default(),
            tenant: TenantNo(1),
            destination: DestinationNo(1),
        };
        Made {
            queue,
            kind: "webhook",
            attempt: Attempt {
                delivery: DeliveryKey {
                    partition: queue.shard.partition(),
                    tenant: queue.tenant,
                    destination: queue.destination,
                    seq: EventSeq { index, position: 0 },
                },
                place: None,
                run: Run(1),
                number: AttemptNumber(1),
                epoch: Epoch(1),
                node: NodeId(1),
                start: Timestamp(index),
                took: Span::ZERO,
                outcome: Outcome::Delivered,
                observed: Observed {
                    excerpt: Bytes::from(vec![b'x'; excerpt_bytes]),
                    ..Observed::default()
                },
                verdict: Verdict::Settle,
            },
        }
    }

    fn sizes(mut waiting: VecDeque<Made>) -> Vec<usize> {
        let mut sizes = Vec::new();
        while !waiting.is_empty() {
            sizes.push(gather(&mut waiting).len());
        }
        sizes
    }

    #[test]
    fn a_command_holds_a_bounded_number_of_attempts() {
        assert_eq!(
            sizes((0..600).map(|index| made(index, 10)).collect()),
            [256, 256, 88]
        );
    }

    #[test]
    fn a_command_holds_a_bounded_number_of_bytes_and_always_one_attempt() {
        let long = COMMAND_BYTES_WANTED / 3;
        let mut waiting: VecDeque<Made> = (0..4).map(|index| made(index, long)).collect();
        waiting.push_back(made(9, COMMAND_BYTES_WANTED * 2));

        assert_eq!(sizes(waiting), [2, 2, 1]);
    }

    #[test]
    fn attempts_keep_their_order() {
        let mut waiting: VecDeque<Made> = (0..3).map(|index| made(index, 0)).collect();

        let order: Vec<u64> = gather(&mut waiting)
            .iter()
            .map(|made| made.attempt.delivery.seq.index)
            .collect();

        assert_eq!(order, [0, 1, 2]);
    }
}
