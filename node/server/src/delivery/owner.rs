//! The delivery loop of a node: it acts on hints and by its own timer, starts what the queue says, and tells the
//! replica how far it has come. It runs on a thread of its own, because it reads the store; attempts run elsewhere.
//!
//! Invariant: nothing starts without a lease at that instant, nor on a view older than the fence that was reported.

use std::time::{Duration, Instant};

use metrics::gauge;
use pushrail_machine::query;
use pushrail_machine::store::StoreError;
use pushrail_model::command::{Hint, QueueKey};
use pushrail_model::ids::LogIndex;
use pushrail_model::time::Timestamp;
use pushrail_raft::hints::{HintStream, Notice};
use pushrail_raft::replica::Replica;
use pushrail_raft::status::Work;
use pushrail_raft::view::View;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{debug, error};

use crate::delivery::attempt::Job;
use crate::delivery::event::{Ending, Event};
use crate::delivery::launch::Launcher;
use crate::delivery::line::Row;
use crate::delivery::links::{Links, Opened};
use crate::delivery::look::{Found, look};
use crate::delivery::owned::Owned;
use crate::delivery::queue::{Queue, Step};
use crate::metrics::{ATTEMPTS_IN_FLIGHT, OLDEST_PENDING_AGE_SECONDS, PENDING, SHARDS_OWNED, UNRECORDED};

/// Steps of the queue taken on one view: the fence moves on after each round, and hints are heard between them.
const ROUND_STEPS: usize = 64;
/// How often it looks by itself: at the lease, at a clock that was set forward, at what is to be released.
const TICK: Duration = Duration::from_millis(100);
/// How often it says what is before it.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// The loop's state.
pub(crate) struct Owner {
    launcher: Launcher,
    links: Links,
    hints: HintStream,
    events: UnboundedReceiver<Event>,
    queue: Queue,
    owned: Owned,
    // The node is about to stop.
    ending: Option<Ending>,
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
        launcher: Launcher,
        links: Links,
        events: UnboundedReceiver<Event>,
        queue: Queue,
    ) -> Self {
        Self {
            // Order: it listens before it looks for the first time, so that nothing falls between.
            hints: launcher.outfit.replica.hints(),
            owned: Owned::new(launcher.outfit.node),
            launcher,
            links,
            events,
            queue,
            ending: None,
            report_at: Instant::now(),
        }
    }

    /// Runs until it was told to stop, its shards are with others or rest, and no attempt is under way; or until the
    /// replica has stopped.
    pub(crate) async fn run(mut self) -> Result<(), StoreError> {
        loop {
            while let Some(notice) = self.hints.try_next() {
                self.hear(notice);
            }
            while let Ok(event) = self.events.try_recv() {
                self.take(event);
            }
            let view = self.replica().view();
            let left = self.round(&view)?;
            // All rounds to come take newer views, and the gate knows what was decided and has not begun.
            self.replica()
                .report_fence(self.launcher.gate.fence(view.applied()));
            self.report(&view)?;
            drop(view);
            if self.is_done() {
                // Nothing starts here any more, on whatever terms.
                self.replica().report_fence(LogIndex(u64::MAX));
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
                self.owned.note(shard);
            }
            Notice::Missed => {
                debug!("hints were missed, looking everywhere");
                self.owned.note_all();
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
            Event::Released => self.owned.released(),
            Event::Stop(ending) => self.ending = Some(ending),
        }
    }

    /// What is asked for is released while there is time for it; then only attempts under way are waited for.
    fn is_done(&self) -> bool {
        let Some(ending) = self.ending else {
            return false;
        };
        self.queue.running() == 0 && (self.owned.is_empty() || Instant::now() >= ending.rest_at)
    }

    fn replica(&self) -> &Replica {
        &self.launcher.outfit.replica
    }

    fn state_now(&self) -> Timestamp {
        self.replica().lease().state_now()
    }

    fn round(&mut self, view: &View) -> Result<Left, StoreError> {
        let generation = self.replica().lease().store_generation;
        self.owned.observe(&mut self.queue, view, generation)?;
        let now = self.state_now();
        let reached =
            |of: fn(Ending) -> Instant| self.ending.is_some_and(|ending| Instant::now() >= of(ending));
        let (rests, quiet) = (
            reached(|ending| ending.rest_at),
            reached(|ending| ending.quiet_at),
        );
        self.owned.serve_leaving(&mut self.queue, now, quiet);
        let launcher = &self.launcher;
        let road = (&launcher.attempts, &launcher.outfit.replica, &launcher.events);
        self.owned.release(&self.queue, road);
        if rests {
            self.owned.rest(&mut self.queue);
        }
        self.owned.sweep();
        self.owned.load(&mut self.queue, view)?;
        // What was accepted at a time is due by then, even if our count of the leader's time is a little behind.
        let state_clock = query::clock(view)?;
        for _ in 0..ROUND_STEPS {
            let lease = self.replica().lease_at(view.applied());
            if !lease.is_held() {
                return Ok(Left::Nothing);
            }
            let now = lease.state_now().max(state_clock);
            match self.queue.next(now) {
                None if self.owned.is_loading() => return Ok(Left::More),
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
        // Its shard waits for the end of what hangs here: more of the same would only keep it longer.
        if self.owned.is_leaving(queue.shard) && self.queue.hangs(queue, now) {
            self.queue.hold(queue, row);
            return Ok(());
        }
        match look(view, self.launcher.outfit.node, queue, row, now)? {
            Found::Due(due, epoch) => {
                let link = match self.links.open(view, queue, &due.destination, now)? {
                    Opened::Ready(link) => Ok(link),
                    Opened::Invalid(invalid) => Err(invalid),
                    Opened::Locked(locked) => {
                        error!(tenant = %queue.tenant, destination = %due.destination.id, error = %locked,
                            "credential cannot be read here, its deliveries wait");
                        // It rests until the destination changes, or this node starts with the key.
                        self.queue.hold(queue, row);
                        return Ok(());
                    }
                };
                let concurrency = usize::try_from(due.destination.spec.concurrency.max(1)).unwrap_or(1);
                self.queue.started(queue, row, concurrency, now);
                let job = Job {
                    queue,
                    due: *due,
                    link,
                    epoch,
                    decided: now,
                };
                self.launcher.launch(job, row.1, view.applied());
            }
            Found::Gone => self.queue.skipped(queue, now),
            Found::Held => self.queue.hold(queue, row),
            Found::NotOurs => self.owned.not_ours(&mut self.queue, queue.shard),
        }
        Ok(())
    }

    fn report(&mut self, view: &View) -> Result<(), StoreError> {
        let now = Instant::now();
        if now < self.report_at {
            return Ok(());
        }
        self.report_at = now + REPORT_INTERVAL;
        let depth = query::counts::shards(view)?
            .into_iter()
            .filter(|(shard, _)| self.owned.delivers(*shard))
            .map(|(_, scheduled)| scheduled)
            .sum();
        let age = self
            .queue
            .oldest_due()
            .map_or(Duration::ZERO, |due| self.state_now().since(due).as_duration());
        let shards = self.owned.count();
        self.replica().report_work(Work {
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
