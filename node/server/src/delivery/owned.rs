//! The owner's part about shards: which it has gained or lost, whose queues it must still look for, and which it may
//! let go. It reads the assignment in the owner's view, and keeps the queue to it.
//!
//! Invariant: what is released has nothing open, and nothing of it is started any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use pushrail_machine::query;
use pushrail_machine::store::StoreError;
use pushrail_model::command::{Command, ReleaseShards};
use pushrail_model::ids::{Epoch, NodeId};
use pushrail_model::shard::ShardId;
use pushrail_model::time::Timestamp;
use pushrail_raft::replica::Replica;
use pushrail_raft::view::View;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, info, warn};

use crate::delivery::event::Event;
use crate::delivery::queue::Queue;
use crate::shards::ownership::{Holdings, Turn};

/// Time given to loading shards in one round.
const LOAD_TIME: Duration = Duration::from_millis(2);
/// In which time all shards are looked at again from their beginnings, whatever the hints said.
const SWEEP_TIME: Duration = Duration::from_secs(300);
/// Shards released by one command.
const RELEASE_MAX: usize = 256;
/// Between two proposals to release, and how long one waits for this node's own state.
const RELEASE_PAUSE: Duration = Duration::from_millis(100);
const RELEASE_APPLY_WAIT: Duration = Duration::from_secs(1);

/// For how long at most the other destinations of a shard are served that waits for the end of an attempt: longer than
/// an attempt takes by default. New ones that hang could hold the shard here for ever.
const SERVE_LEAVING: Duration = Duration::from_secs(30);

/// How a release gets on its way, and back: the tasks, the replica, and whom to tell.
type Road<'a> = (&'a Handle, &'a Replica, &'a UnboundedSender<Event>);

/// The shards of this node, and what is to be done about them.
pub(crate) struct Owned {
    node: NodeId,
    holdings: Holdings,
    // Shards whose row in the assignment may have changed.
    changed: BTreeSet<ShardId>,
    look_everywhere: bool,
    to_load: VecDeque<ShardId>,
    generation: Option<u64>,
    releasing: bool,
    release_at: Instant,
    // Shards asked for, since when, and whether what does not hang is served meanwhile.
    asked: BTreeMap<ShardId, Asked>,
    // Nothing is taken any more: the node is about to stop.
    resting: bool,
    swept: Option<ShardId>,
    sweep_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    since: Instant,
    served: bool,
}

impl Owned {
    pub(crate) fn new(node: NodeId) -> Self {
        let now = Instant::now();
        Self {
            node,
            holdings: Holdings::new(node),
            changed: BTreeSet::new(),
            look_everywhere: true,
            to_load: VecDeque::new(),
            generation: None,
            releasing: false,
            release_at: now,
            asked: BTreeMap::new(),
            resting: false,
            swept: None,
            sweep_at: now,
        }
    }

    /// A shard's row may have changed.
    pub(crate) fn note(&mut self, shard: ShardId) {
        self.changed.insert(shard);
    }

    /// Any row may have changed, and any queue.
    pub(crate) fn note_all(&mut self) {
        self.look_everywhere = true;
    }

    /// A proposal to release has its answer, whichever it was.
    pub(crate) fn released(&mut self) {
        self.releasing = false;
        // Whatever the answer was: never in a tight circle.
        self.release_at = Instant::now() + RELEASE_PAUSE;
        self.changed
            .extend(self.holdings.leaving().map(|(shard, _)| shard));
    }

    /// A look at a row showed that this one is another's: nothing of it is started until the assignment is read anew.
    pub(crate) fn not_ours(&mut self, queue: &mut Queue, shard: ShardId) {
        queue.drop_shard(shard);
        self.holdings.forget(shard);
        self.asked.remove(&shard);
        self.changed.insert(shard);
    }

    /// Whether this node delivers for a shard.
    pub(crate) fn delivers(&self, shard: ShardId) -> bool {
        self.holdings.delivers(shard)
    }

    /// How many it delivers for.
    pub(crate) fn count(&self) -> usize {
        self.holdings.count()
    }

    /// Whether it has nothing to deliver for, and nothing to let go.
    pub(crate) fn is_empty(&self) -> bool {
        self.holdings.is_empty()
    }

    /// Whether this one is to be let go.
    pub(crate) fn is_leaving(&self, shard: ShardId) -> bool {
        self.holdings.is_leaving(shard)
    }

    /// From now on nothing is started, but of shards that are asked for and wait for the end of an attempt.
    pub(crate) fn rest(&mut self, queue: &mut Queue) {
        if self.resting {
            return;
        }
        self.resting = true;
        self.to_load.clear();
        for shard in self
            .holdings
            .shards()
            .filter(|shard| self.holdings.delivers(*shard))
        {
            queue.drop_shard(shard);
        }
    }

    /// Where a shard that is asked for waits for an attempt that hangs, its other destinations are served meanwhile:
    /// it cannot be released before, and they would rest for as long. Once all is to be `quiet`, none is.
    pub(crate) fn serve_leaving(&mut self, queue: &mut Queue, now: Timestamp, quiet: bool) {
        for (shard, _) in self.holdings.leaving() {
            let Some(asked) = self.asked.get_mut(&shard) else {
                continue;
            };
            let serves = !quiet && asked.since.elapsed() < SERVE_LEAVING && queue.hangs_in(shard, now);
            if serves == asked.served {
                continue;
            }
            asked.served = serves;
            if serves {
                queue.take_shard(shard);
                self.to_load.push_back(shard);
            } else {
                queue.drop_shard(shard);
            }
        }
    }

    fn serves(&self, shard: ShardId) -> bool {
        if self.holdings.is_leaving(shard) {
            return self.asked.get(&shard).is_some_and(|asked| asked.served);
        }
        self.holdings.delivers(shard) && !self.resting
    }

    /// Whether queues are still to be looked for.
    pub(crate) fn is_loading(&self) -> bool {
        !self.to_load.is_empty()
    }

    /// Takes in what the assignment says now.
    pub(crate) fn observe(
        &mut self,
        queue: &mut Queue,
        view: &View,
        generation: u64,
    ) -> Result<(), StoreError> {
        if self.generation != Some(generation) {
            if self.generation.is_some() {
                info!(generation, "the store was replaced, building all queues anew");
            }
            self.generation = Some(generation);
            self.look_everywhere = true;
            let all: Vec<ShardId> = self.holdings.shards().collect();
            for shard in all {
                queue.drop_shard(shard);
                self.holdings.forget(shard);
                self.asked.remove(&shard);
            }
        }
        if self.look_everywhere {
            self.look_everywhere = false;
            self.changed.clear();
            let mut lost: BTreeSet<ShardId> = self.holdings.shards().collect();
            for (shard, ownership) in query::assignment::all(view)? {
                lost.remove(&shard);
                let turn = self.holdings.observe(shard, Some(ownership));
                self.turn(queue, shard, turn);
            }
            for shard in lost {
                let turn = self.holdings.observe(shard, None);
                self.turn(queue, shard, turn);
            }
            self.to_load = self
                .holdings
                .shards()
                .filter(|shard| self.serves(*shard))
                .collect();
        }
        while let Some(shard) = self.changed.pop_first() {
            let ownership = query::assignment::of(view, shard)?;
            let turn = self.holdings.observe(shard, ownership);
            self.turn(queue, shard, turn);
        }
        Ok(())
    }

    fn turn(&mut self, queue: &mut Queue, shard: ShardId, turn: Turn) {
        match turn {
            Turn::Gained => {
                self.asked.remove(&shard);
                queue.drop_shard(shard);
                if !self.resting {
                    queue.take_shard(shard);
                    self.to_load.push_back(shard);
                }
            }
            Turn::Leaving => {
                queue.drop_shard(shard);
                let since = Instant::now();
                self.asked.insert(shard, Asked { since, served: false });
            }
            Turn::Lost => {
                queue.drop_shard(shard);
                self.asked.remove(&shard);
            }
            Turn::Same => {}
        }
    }

    /// Looks for the heads of shards that were gained, or are due for a second look.
    pub(crate) fn load(&mut self, queue: &mut Queue, view: &View) -> Result<(), StoreError> {
        let until = Instant::now() + LOAD_TIME;
        while let Some(shard) = self.to_load.pop_front() {
            if self.serves(shard) {
                queue.look_again_in(shard);
                for (head, due, _) in query::due::heads(view, shard)? {
                    queue.note_due(head, due);
                }
            }
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// Now and then one shard more is looked at again.
    pub(crate) fn sweep(&mut self) {
        let now = Instant::now();
        if now < self.sweep_at || !self.to_load.is_empty() || self.resting {
            return;
        }
        let shards = u32::try_from(self.holdings.count()).unwrap_or(u32::MAX);
        self.sweep_at = now + SWEEP_TIME / shards.max(1);
        self.swept = self.holdings.following(self.swept);
        self.to_load.extend(self.swept);
    }

    /// Lets go what was asked for and has nothing open any more.
    pub(crate) fn release(&mut self, queue: &Queue, (tasks, replica, events): Road<'_>) {
        if self.releasing || Instant::now() < self.release_at {
            return;
        }
        let shards: Vec<(ShardId, Epoch)> = self
            .holdings
            .leaving()
            .filter(|(shard, _)| queue.open_in(*shard) == 0)
            .take(RELEASE_MAX)
            .collect();
        if shards.is_empty() {
            return;
        }
        self.releasing = true;
        let node = self.node;
        let replica = replica.clone();
        let events = events.clone();
        tasks.spawn(async move {
            let count = shards.len();
            match replica
                .propose(Command::ReleaseShards(ReleaseShards { node, shards }))
                .await
            {
                Ok(proposed) => {
                    debug!(shards = count, index = %proposed.index, "shards released");
                    // Our own state shows it, or the next round would release them again.
                    replica
                        .await_applied(proposed.index, RELEASE_APPLY_WAIT)
                        .await
                        .ok();
                }
                Err(error) => warn!(shards = count, %error, "shards could not be released, trying again"),
            }
            // An error says that the loop has ended.
            events.send(Event::Released).ok();
        });
    }
}
