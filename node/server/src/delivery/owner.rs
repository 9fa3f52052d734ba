//! The delivery loop of a node: it acts on hints and by its own timer, starts what the queue says, and tells the
//! replica how far it has come. It runs on a thread of its own, because it reads the store; attempts run elsewhere.
//!
//! Invariant: nothing starts without a lease at that instant, nor on a view older than the fence that was reported.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::gauge;
use pushrail_adapters::registry;
use pushrail_machine::query;
use pushrail_machine::store::StoreError;
use pushrail_model::command::{Command, Hint, QueueKey, ReleaseShards};
use pushrail_model::ids::{Epoch, EventSeq, LogIndex};
use pushrail_model::shard::ShardId;
use pushrail_model::time::Timestamp;
use pushrail_raft::hints::{HintStream, Notice};
use pushrail_raft::status::Work;
use pushrail_raft::view::View;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::delivery::attempt::{self, Job, Outfit};
use crate::delivery::gate::Gate;
use crate::delivery::look::{Found, look};
use crate::delivery::queue::{Queue, Row, Step};
use crate::delivery::recorder::{Inbox, Made, Recorded};
use crate::metrics::{ATTEMPTS_IN_FLIGHT, OLDEST_PENDING_AGE_SECONDS, PENDING, SHARDS_OWNED, UNRECORDED};
use crate::shards::ownership::{Holdings, Turn};

/// Steps of the queue taken on one view: the fence moves on after each round, and hints are heard between them.
const ROUND_STEPS: usize = 64;
/// Time given to loading shards in one round.
const LOAD_TIME: Duration = Duration::from_millis(2);
/// How often it looks by itself: at the lease, at a clock that was set forward, at what is to be released.
const TICK: Duration = Duration::from_millis(100);
/// How often it says what is before it.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// In which time all shards are looked at again from their beginnings, whatever the hints said.
const SWEEP_TIME: Duration = Duration::from_secs(300);
/// Shards released by one command.
const RELEASE_MAX: usize = 256;

/// What happened outside the loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// An attempt is over.
    Ended {
        queue: QueueKey,
        seq: EventSeq,
        /// Whether anything may have gone out.
        sent: bool,
    },
    /// Attempts are on record, and our state shows it.
    Recorded(Recorded),
    /// A proposal to release shards has its answer, or none.
    Released,
    /// Start nothing more.
    Stop,
}

/// The loop's state.
pub(crate) struct Owner {
    outfit: Arc<Outfit>,
    attempts: Handle,
    cancel: CancellationToken,
    inbox: Inbox,
    hints: HintStream,
    events: UnboundedReceiver<Event>,
    sender: UnboundedSender<Event>,
    gate: Gate,
    queue: Queue,
    holdings: Holdings,
    // Shards whose row in the assignment may have changed.
    changed: BTreeSet<ShardId>,
    look_everywhere: bool,
    to_load: VecDeque<ShardId>,
    generation: Option<u64>,
    releasing: bool,
    release_at: Instant,
    stopping: bool,
    swept: Option<ShardId>,
    sweep_at: Instant,
    report_at: Instant,
}

/// What a round left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// More to do at once.
    More,
    /// Nothing before the next due time, or something from outside.
    UntilDue(Timestamp),
    /// Nothing that it may do now.
    Nothing,
}

impl Owner {
    pub(crate) fn new(
        outfit: Arc<Outfit>,
        attempts: Handle,
        cancel: CancellationToken,
        inbox: Inbox,
        (sender, events): (UnboundedSender<Event>, UnboundedReceiver<Event>),
        queue: Queue,
    ) -> Self {
        let now = Instant::now();
        Self {
            // Order: it listens before it looks for the first time, so that nothing falls between.
            hints: outfit.replica.hints(),
            holdings: Holdings::new(outfit.node),
            outfit,
            attempts,
            cancel,
            inbox,
            events,
            sender,
            gate: Gate::default(),
            queue,
            changed: BTreeSet::new(),
            look_everywhere: true,
            to_load: VecDeque::new(),
            generation: None,
            releasing: false,
            release_at: now,
            stopping: false,
            swept: None,
            sweep_at: now,
            report_at: now,
        }
    }

    /// Runs until it was told to stop and no attempt is under way, or the replica has stopped.
    pub(crate) async fn run(mut self) -> Result<(), StoreError> {
        loop {
            while let Some(notice) = self.hints.try_next() {
                self.hear(notice);
            }
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
            let view = self.outfit.replica.view();
            let left = self.round(&view)?;
            // All rounds to come take newer views, and the gate knows what was decided and has not begun.
            self.outfit.replica.report_fence(self.gate.fence(view.applied()));
            self.report(&view)?;
            drop(view);
            if self.stopping && self.queue.running() == 0 {
                // Nothing starts here any more, on whatever terms.
                self.outfit.replica.report_fence(LogIndex(u64::MAX));
                return Ok(());
            }
            let wait = match left {
                Left::More => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Left::UntilDue(due) => due.since(self.state_now()).as_duration().min(TICK),
                Left::Nothing => TICK,
            };
            tokio::select! {
                notice = self.hints.next() => match notice {
                    Some(notice) => self.hear(notice),
                    None => return Ok(()),
                },
                Some(event) = self.events.recv() => self.take(event),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Hint(Hint::Due { queue, due }) => self.queue.note_due(queue, due),
            Notice::Hint(Hint::Destination { queue }) => self.queue.look_again(queue),
            Notice::Hint(Hint::Shard(shard)) => {
                self.changed.insert(shard);
            }
            Notice::Missed => {
                debug!("hints were missed, looking everywhere");
                self.look_everywhere = true;
            }
        }
    }

    fn take(&mut self, event: Event) {
        let now = self.state_now();
        match event {
            Event::Ended {
                queue, sent: true, ..
            } => self.queue.ended(queue, now),
            Event::Ended {
                queue,
                seq,
                sent: false,
            } => self.queue.unstarted(queue, seq, now),
            Event::Recorded(recorded) => {
                for (queue, seq) in recorded {
                    self.queue.recorded(queue, seq);
                }
            }
            Event::Released => {
                self.releasing = false;
                // Whatever the answer was: never in a tight circle.
                self.release_at = Instant::now() + TICK;
                self.changed
                    .extend(self.holdings.leaving().map(|(shard, _)| shard));
            }
            Event::Stop => self.stopping = true,
        }
    }

    fn state_now(&self) -> Timestamp {
        self.outfit.replica.lease().state_now()
    }

    fn round(&mut self, view: &View) -> Result<Left, StoreError> {
        self.observe(view)?;
        self.release();
        if self.stopping {
            return Ok(Left::Nothing);
        }
        self.sweep();
        self.load(view)?;
        // What was accepted at a time is due by then, even if our count of the leader's time is a little behind.
        let state_clock = query::clock(view)?;
        for _ in 0..ROUND_STEPS {
            let lease = self.outfit.replica.lease_at(view.applied());
            if !lease.is_held() {
                return Ok(Left::Nothing);
            }
            let now = lease.state_now().max(state_clock);
            match self.queue.next(now) {
                None if !self.to_load.is_empty() => return Ok(Left::More),
                None => return Ok(self.queue.next_due().map_or(Left::Nothing, Left::UntilDue)),
                Some(Step::Read { queue, from, limit }) => {
                    let rows = query::due::after(view, queue, from, Timestamp::MAX, limit)?;
                    self.queue.filled(queue, &rows, limit, now);
                }
                Some(Step::Start { queue, row }) => self.start(view, queue, row, now)?,
            }
        }
        Ok(Left::More)
    }

    fn start(&mut self, view: &View, queue: QueueKey, row: Row, now: Timestamp) -> Result<(), StoreError> {
        match look(view, self.outfit.node, queue, row, now)? {
            Found::Due(due, epoch) => {
                let concurrency = usize::try_from(due.destination.spec.concurrency.max(1)).unwrap_or(1);
                self.queue.started(queue, row, concurrency, now);
                let job = Job {
                    queue,
                    due: *due,
                    epoch,
                    decided: now,
                };
                self.spawn(job, row.1, view.applied());
            }
            Found::Gone => self.queue.skipped(queue, now),
            Found::Held => self.queue.hold(queue, row),
            Found::NotOurs => {
                self.queue.drop_shard(queue.shard);
                self.holdings.forget(queue.shard);
                self.changed.insert(queue.shard);
            }
        }
        Ok(())
    }

    fn spawn(&self, job: Job, seq: EventSeq, decided_on: LogIndex) {
        let ticket = self.gate.ticket(decided_on);
        let queue = job.queue;
        let mut ending = Ending {
            events: self.sender.clone(),
            queue,
            seq,
            sent: true,
        };
        let kind = registry::adapter(&job.due.destination.spec.kind)
            .map_or("unknown", |adapter| adapter.spec().kind);
        let outfit = Arc::clone(&self.outfit);
        let inbox = self.inbox.clone();
        let cancel = self.cancel.clone();
        self.attempts.spawn(async move {
            tokio::select! {
                made = attempt::make(&outfit, job, ticket) => {
                    ending.sent = made.is_some();
                    // Order: the owner hears that it ended before it can hear that it is recorded.
                    drop(ending);
                    if let Some(attempt) = made {
                        inbox.hand_in(Made { queue, kind, attempt });
                    }
                }
                // Abandoned: whoever owns the shard next makes it again.
                () = cancel.cancelled() => {}
            }
        });
    }

    /// Takes in what the assignment says now.
    fn observe(&mut self, view: &View) -> Result<(), StoreError> {
        let generation = self.outfit.replica.lease().store_generation;
        if self.generation != Some(generation) {
            if self.generation.is_some() {
                info!(generation, "the store was replaced, building all queues anew");
            }
            self.generation = Some(generation);
            self.look_everywhere = true;
            let all: Vec<ShardId> = self.holdings.shards().collect();
            for shard in all {
                self.queue.drop_shard(shard);
                self.holdings.forget(shard);
            }
        }
        if self.look_everywhere {
            self.look_everywhere = false;
            self.changed.clear();
            let mut lost: BTreeSet<ShardId> = self.holdings.shards().collect();
            for (shard, ownership) in query::assignment::all(view)? {
                lost.remove(&shard);
                let turn = self.holdings.observe(shard, Some(ownership));
                self.turn(shard, turn);
            }
            for shard in lost {
                let turn = self.holdings.observe(shard, None);
                self.turn(shard, turn);
            }
            self.to_load = self
                .holdings
                .shards()
                .filter(|shard| self.holdings.delivers(*shard))
                .collect();
        }
        while let Some(shard) = self.changed.pop_first() {
            let ownership = query::assignment::of(view, shard)?;
            let turn = self.holdings.observe(shard, ownership);
            self.turn(shard, turn);
        }
        Ok(())
    }

    fn turn(&mut self, shard: ShardId, turn: Turn) {
        match turn {
            Turn::Gained => {
                self.queue.drop_shard(shard);
                self.queue.take_shard(shard);
                self.to_load.push_back(shard);
            }
            Turn::Leaving | Turn::Lost => self.queue.drop_shard(shard),
            Turn::Same => {}
        }
    }

    /// Looks for the heads of shards that were gained, or are due for a second look.
    fn load(&mut self, view: &View) -> Result<(), StoreError> {
        let until = Instant::now() + LOAD_TIME;
        while let Some(shard) = self.to_load.pop_front() {
            if self.holdings.delivers(shard) {
                self.queue.look_again_in(shard);
                for (queue, due, _) in query::due::heads(view, shard)? {
                    self.queue.note_due(queue, due);
                }
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        if now < self.sweep_at || !self.to_load.is_empty() {
            return;
        }
        let shards = u32::try_from(self.holdings.count()).unwrap_or(u32::MAX);
        self.sweep_at = now + SWEEP_TIME / shards.max(1);
        self.swept = self.holdings.following(self.swept);
        self.to_load.extend(self.swept);
    }

    /// Lets go what was asked for and has nothing open any more.
    fn release(&mut self) {
        if self.releasing || Instant::now() < self.release_at {
            return;
        }
        let shards: Vec<(ShardId, Epoch)> = self
            .holdings
            .leaving()
            .filter(|(shard, _)| self.queue.open_in(*shard) == 0)
            .take(RELEASE_MAX)
            .collect();
        if shards.is_empty() {
            return;
        }
        self.releasing = true;
        let node = self.outfit.node;
        let replica = self.outfit.replica.clone();
        let sender = self.sender.clone();
        self.attempts.spawn(async move {
            let count = shards.len();
            match replica
                .propose(Command::ReleaseShards(ReleaseShards { node, shards }))
                .await
            {
                Ok(proposed) => {
                    debug!(shards = count, index = %proposed.index, "shards released");
                    // Our own state shows it, or the next round would release them again.
                    replica.await_applied(proposed.index, TICK * 10).await.ok();
                }
                Err(error) => warn!(shards = count, %error, "shards could not be released, trying again"),
            }
            // An error says that the loop has ended.
            sender.send(Event::Released).ok();
        });
    }

    fn report(&mut self, view: &View) -> Result<(), StoreError> {
        let now = Instant::now();
        if now < self.report_at {
            return Ok(());
        }
        self.report_at = now + REPORT_INTERVAL;
        let depth = query::counts::shards(view)?
            .into_iter()
            .filter(|(shard, _)| self.holdings.delivers(*shard))
            .map(|(_, scheduled)| scheduled)
            .sum();
        let age = self
            .queue
            .oldest_due()
            .map_or(Duration::ZERO, |due| self.state_now().since(due).as_duration());
        let shards = self.holdings.count();
        self.outfit.replica.report_work(Work {
            depth,
            oldest_due_age: age,
            shards: u32::try_from(shards).unwrap_or(u32::MAX),
        });
        gauge!(PENDING).set(depth as f64);
        gauge!(OLDEST_PENDING_AGE_SECONDS).set(age.as_secs_f64());
        gauge!(SHARDS_OWNED).set(shards as f64);
        gauge!(ATTEMPTS_IN_FLIGHT).set(self.queue.running() as f64);
        gauge!(UNRECORDED).set(self.queue.open() as f64);
        Ok(())
    }
}

/// Tells the owner that an attempt is over, whichever way it went.
struct Ending {
    events: UnboundedSender<Event>,
    queue: QueueKey,
    seq: EventSeq,
    // A panic leaves this true: then the delivery stays open here, and is not tried over and over.
    sent: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let event = Event::Ended {
            queue: self.queue,
            seq: self.seq,
            sent: self.sent,
        };
        // An error says that the loop has ended.
        self.events.send(event).ok();
    }
}
