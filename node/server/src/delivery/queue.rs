//! Which deliveries start, and in what order. Pure: it holds no store, no clock and no lease; `owner.rs` asks it and
//! does what it says.
//!
//! Of each destination it keeps a *line*: the cursor (below it nothing is left to start), a few rows read ahead, and
//! when the next one is due; so finding what is due never passes over what is done. Invariant: what is open (started,
//! and its attempt not yet applied here) is never started again, however often its row is met.

use std::collections::{BTreeMap, HashSet};

use pushrail_model::command::QueueKey;
use pushrail_model::ids::{DestinationNo, EventSeq, TenantNo};
use pushrail_model::shard::ShardId;
use pushrail_model::time::Timestamp;

use crate::delivery::line::{AHEAD_MIN, Line, Row};
use crate::delivery::open::{Open, OpenDeliveries};
use crate::delivery::places::{Place, Places};
use crate::delivery::turns::Running;

/// Rows read ahead over all lines: beyond it every read is as short as can be.
const AHEAD_TOTAL_WANTED: usize = 65_536;

/// What the queue wants of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read the rows of a destination from here up, this many, and hand them to [`Queue::filled`].
    Read {
        /// Whose.
        queue: QueueKey,
        /// The first row that is wanted.
        from: Row,
        /// How many.
        limit: usize,
    },
    /// Start this delivery, and answer with [`Queue::started`], [`Queue::skipped`] or [`Queue::hold`].
    Start {
        /// Whose.
        queue: QueueKey,
        /// Which.
        row: Row,
    },
}

/// How much may be under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Attempts at a time.
    pub(crate) running: usize,
    /// Deliveries started and not recorded at a time.
    pub(crate) open: usize,
}

/// All lines of the shards that this node owns.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    shards: HashSet<ShardId>,
    lines: BTreeMap<QueueKey, Line>,
    places: Places,
    running: Running,
    open: OpenDeliveries,
    ahead_total: usize,
}

impl Queue {
    /// An empty one.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            shards: HashSet::new(),
            lines: BTreeMap::new(),
            places: Places::default(),
            running: Running::default(),
            open: OpenDeliveries::default(),
            ahead_total: 0,
        }
    }

    /// From now on the rows of this shard are started here.
    pub(crate) fn take_shard(&mut self, shard: ShardId) {
        self.shards.insert(shard);
    }

    /// A row of this destination is or becomes due at `due`. It may lie below the cursor: times are given by the
    /// leader, and ours may have run ahead of them; then the cursor is lowered, and what is open is passed over.
    pub(crate) fn note_due(&mut self, queue: QueueKey, due: Timestamp) {
        if !self.shards.contains(&queue.shard) {
            return;
        }
        let line = self.lines.entry(queue).or_insert_with(|| Line::at(due));
        self.ahead_total -= line.ahead();
        line.note(due);
        self.ahead_total += line.ahead();
        self.place(queue, None);
    }

    /// The destination may be served again: its next row will tell.
    pub(crate) fn look_again(&mut self, queue: QueueKey) {
        if let Some(line) = self.lines.get_mut(&queue) {
            line.held = false;
            self.place(queue, None);
        }
    }

    /// All held destinations of a shard may be served again: their next rows will tell.
    pub(crate) fn look_again_in(&mut self, shard: ShardId) {
        let held: Vec<QueueKey> = self
            .of_shard(shard)
            .filter(|(_, line)| line.held)
            .map(|(queue, _)| queue)
            .collect();
        for queue in held {
            self.look_again(queue);
        }
    }

    /// Forgets the lines of a shard. What is open stays open until it is recorded.
    pub(crate) fn drop_shard(&mut self, shard: ShardId) {
        self.shards.remove(&shard);
        let queues: Vec<QueueKey> = self.of_shard(shard).map(|(queue, _)| queue).collect();
        for queue in queues {
            self.forget(queue);
        }
    }

    fn of_shard(&self, shard: ShardId) -> impl Iterator<Item = (QueueKey, &Line)> {
        let first = QueueKey {
            shard,
            tenant: TenantNo(0),
            destination: DestinationNo(0),
        };
        self.lines
            .range(first..)
            .take_while(move |(queue, _)| queue.shard == shard)
            .map(|(queue, line)| (*queue, line))
    }

    /// What to do next at this time; `None`: nothing now.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Step> {
        self.wake(now);
        loop {
            if self.running.total() >= self.bounds.running || self.open.count() >= self.bounds.open {
                return None;
            }
            let queue = self.places.next_turn(&self.running, self.bounds.running)?;
            let line = self.lines.get_mut(&queue)?;
            let Some(row) = line.pop() else {
                let (from, wanted) = line.to_read();
                let spare = AHEAD_TOTAL_WANTED.saturating_sub(self.ahead_total);
                let limit = wanted.min(spare.max(AHEAD_MIN));
                return Some(Step::Read { queue, from, limit });
            };
            self.ahead_total -= 1;
            if self.open.meet(queue, row.1, row.0) {
                self.place(queue, Some(now));
                continue;
            }
            return Some(Step::Start { queue, row });
        }
    }

    /// The earliest time at which [`Queue::next`] may have more to say without anything else happening.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.places.first_parked().map(|(due, _)| due)
    }

    /// What a [`Step::Read`] found; fewer rows than wanted: there are no more.
    pub(crate) fn filled(&mut self, queue: QueueKey, rows: &[Row], limit: usize, now: Timestamp) {
        let Some(line) = self.lines.get_mut(&queue) else {
            return;
        };
        self.ahead_total -= line.ahead();
        line.fill(rows, limit, now);
        self.ahead_total += line.ahead();
        self.place(queue, Some(now));
    }

    /// A [`Step::Start`] was done; the destination takes `concurrency` attempts at a time.
    pub(crate) fn started(&mut self, queue: QueueKey, row: Row, concurrency: usize, now: Timestamp) {
        self.open.open(queue, row.1, row.0, now);
        self.running.add(queue, concurrency);
        self.places.served(queue);
        self.place(queue, Some(now));
    }

    /// A [`Step::Start`] had nothing to start: the row is gone, or stands for another time.
    pub(crate) fn skipped(&mut self, queue: QueueKey, now: Timestamp) {
        self.place(queue, Some(now));
    }

    /// A [`Step::Start`] found its destination held: the line rests where it is.
    pub(crate) fn hold(&mut self, queue: QueueKey, row: Row) {
        if let Some(line) = self.lines.get_mut(&queue) {
            self.ahead_total -= line.ahead();
            line.rewind(row);
            line.held = true;
            self.place(queue, None);
        }
    }

    /// The attempt of a delivery has ended; it stays open until it is recorded.
    pub(crate) fn ended(&mut self, queue: QueueKey, now: Timestamp) {
        self.running.remove(queue);
        self.place(queue, Some(now));
    }

    /// A delivery that was started sent nothing after all: it is as if it had not been.
    pub(crate) fn unstarted(&mut self, queue: QueueKey, seq: EventSeq, now: Timestamp) {
        self.ended(queue, now);
        if let Some(open) = self.open.close(queue, seq) {
            self.note_due(queue, open.due);
        }
    }

    /// The attempt of a delivery is on record, and this node's state shows it.
    pub(crate) fn recorded(&mut self, queue: QueueKey, seq: EventSeq) {
        if let Some(Open { met: Some(due), .. }) = self.open.close(queue, seq) {
            self.note_due(queue, due);
        }
    }

    /// Deliveries of a shard that were started and are not recorded.
    pub(crate) fn open_in(&self, shard: ShardId) -> usize {
        self.open.count_in(shard)
    }

    /// Whether an attempt of a shard has been under way for so long that the others cannot wait for its end.
    pub(crate) fn hangs_in(&self, shard: ShardId, now: Timestamp) -> bool {
        self.open.hanging_in(shard, now).next().is_some()
    }

    /// Whether such a one is this destination's.
    pub(crate) fn hangs(&self, queue: QueueKey, now: Timestamp) -> bool {
        self.open
            .hanging_in(queue.shard, now)
            .any(|hanging| hanging == queue)
    }

    /// Deliveries that were started and are not recorded.
    pub(crate) fn open(&self) -> usize {
        self.open.count()
    }

    /// Attempts under way.
    pub(crate) fn running(&self) -> usize {
        self.running.total()
    }

    /// When the oldest delivery that waits for its start became due, or will; held destinations aside.
    pub(crate) fn oldest_due(&self) -> Option<Timestamp> {
        self.places.first_head()
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some((due, queue)) = self.places.first_parked() {
            if due > now {
                return;
            }
            self.place(queue, Some(now));
        }
    }

    /// Puts a line where it belongs now, after whatever happened to it. Without a time, one that takes turns goes on
    /// taking them: whoever is hinted at often must not lose its turn by it.
    fn place(&mut self, queue: QueueKey, now: Option<Timestamp>) {
        let Some(line) = self.lines.get(&queue) else {
            return;
        };
        if line.head().is_none() {
            // A hint will bring it back. What is open is remembered apart.
            self.forget(queue);
            return;
        }
        let head = line.head().filter(|_| !line.held);
        let is_due = |due| match now {
            Some(now) => due <= now,
            None => self.places.takes_turns(queue),
        };
        let place = match head {
            None => Place::Rests,
            Some(_) if self.running.is_full(queue) => Place::Full,
            Some(due) if line.ahead() > 0 || is_due(due) => Place::Ready,
            Some(_) => Place::Parked,
        };
        self.places.put(queue, place, head);
    }

    fn forget(&mut self, queue: QueueKey) {
        if let Some(line) = self.lines.remove(&queue) {
            self.ahead_total -= line.ahead();
        }
        self.places.remove(queue);
    }
}

#[cfg(test)]
mod tests;
