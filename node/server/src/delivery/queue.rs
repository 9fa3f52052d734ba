//! Which deliveries start, and in what order. Pure: it holds no store, no clock and no lease; `owner.rs` asks it and
//! does what it says.
//!
//! Of each destination it keeps a *line*: the cursor (below it nothing is left to start), a few rows read ahead, and
//! when the next one is due; so finding what is due never passes over what is done. Invariant: what is open (started,
//! and its attempt not yet applied here) is never started again, however often its row is met.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use pushrail_model::command::QueueKey;
use pushrail_model::ids::EventSeq;
use pushrail_model::shard::ShardId;
use pushrail_model::time::Timestamp;

use crate::delivery::turns::{Running, Turns};

/// Rows read for one line at least: one more than the one that is likely there, so that its end is seen at once.
const AHEAD_MIN: usize = 2;
/// Rows read for one line at most.
const AHEAD_MAX: usize = 64;
/// Rows read ahead over all lines: beyond it every read is as short as can be.
const AHEAD_TOTAL_WANTED: usize = 65_536;

/// A due row: when, and which event.
pub(crate) type Row = (Timestamp, EventSeq);

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

/// One destination's line.
#[derive(Debug)]
struct Line {
    cursor: Row,
    ahead: VecDeque<Row>,
    // A row at or above the cursor may be due from here on; `None`: there is none.
    next: Option<Timestamp>,
    read_rows: usize,
    held: bool,
}

impl Line {
    fn at(due: Timestamp) -> Self {
        Self {
            cursor: (due, EventSeq::ZERO),
            ahead: VecDeque::new(),
            next: Some(due),
            read_rows: AHEAD_MIN,
            held: false,
        }
    }

    fn head(&self) -> Option<Timestamp> {
        self.ahead.front().map(|(due, _)| *due).or(self.next)
    }

    fn rewind(&mut self, to: Row) {
        let first = self.ahead.front().copied().unwrap_or(self.cursor);
        self.ahead.clear();
        self.cursor = self.cursor.min(first).min(to);
        self.next = Some(self.cursor.0);
        self.read_rows = AHEAD_MIN;
    }
}

/// A delivery that was started and is not recorded yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    due: Timestamp,
    // Its row was met again at this time, perhaps a new one: to be looked at once it is recorded.
    met: Option<Timestamp>,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Waits for its head to become due.
    Parked,
    /// Takes turns.
    Ready,
    /// Its destination is at its concurrency.
    Full,
    /// Its destination is held, or nothing is left.
    Rests,
}

/// All lines of the shards that this node owns.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    shards: HashSet<ShardId>,
    lines: BTreeMap<QueueKey, Line>,
    places: HashMap<QueueKey, (Place, Option<Timestamp>)>,
    parked: BTreeSet<(Timestamp, QueueKey)>,
    // Heads of all lines that are not held: the oldest is the age of the queue.
    heads: BTreeSet<(Timestamp, QueueKey)>,
    turns: Turns,
    running: Running,
    open: HashMap<(QueueKey, EventSeq), Open>,
    open_in: HashMap<ShardId, usize>,
    ahead_total: usize,
}

impl Queue {
    /// An empty one.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            shards: HashSet::new(),
            lines: BTreeMap::new(),
            places: HashMap::new(),
            parked: BTreeSet::new(),
            heads: BTreeSet::new(),
            turns: Turns::default(),
            running: Running::default(),
            open: HashMap::new(),
            open_in: HashMap::new(),
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
        let row = (due, EventSeq::ZERO);
        if row < line.cursor {
            self.ahead_total -= line.ahead.len();
            line.rewind(row);
        } else {
            // The nearest counts: a retry an hour from now must not hide what is due at once.
            line.next = Some(line.next.map_or(due, |next| next.min(due)));
        }
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
            tenant: pushrail_model::ids::TenantNo(0),
            destination: pushrail_model::ids::DestinationNo(0),
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
            if self.running.total() >= self.bounds.running || self.open.len() >= self.bounds.open {
                return None;
            }
            let queue = self.turns.next(&self.running, self.bounds.running)?;
            let line = self.lines.get_mut(&queue)?;
            let Some(row) = line.ahead.pop_front() else {
                let spare = AHEAD_TOTAL_WANTED.saturating_sub(self.ahead_total);
                return Some(Step::Read {
                    queue,
                    from: line.cursor,
                    limit: line.read_rows.min(spare.max(AHEAD_MIN)),
                });
            };
            self.ahead_total -= 1;
            if let Some(open) = self.open.get_mut(&(queue, row.1)) {
                open.met = Some(row.0);
                self.place(queue, Some(now));
                continue;
            }
            return Some(Step::Start { queue, row });
        }
    }

    /// The earliest time at which [`Queue::next`] may have more to say without anything else happening.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.parked.first().map(|(due, _)| *due)
    }

    /// What a [`Step::Read`] found; fewer rows than wanted: there are no more.
    pub(crate) fn filled(&mut self, queue: QueueKey, rows: &[Row], limit: usize, now: Timestamp) {
        let Some(line) = self.lines.get_mut(&queue) else {
            return;
        };
        let due = rows.iter().take_while(|(due, _)| *due <= now);
        let due: Vec<Row> = due.copied().collect();
        if let Some(last) = due.last() {
            line.cursor = after(*last);
        }
        match rows.get(due.len()) {
            // The head of what is to come. The cursor stops right there, and what lies behind is read in its time.
            Some(first) => {
                line.cursor = *first;
                line.next = Some(first.0);
            }
            None if rows.len() < limit => line.next = None,
            None => line.next = Some(line.cursor.0),
        }
        line.read_rows = if due.len() == limit {
            (limit * 4).min(AHEAD_MAX)
        } else {
            (due.len() + 1).clamp(AHEAD_MIN, AHEAD_MAX)
        };
        self.ahead_total += due.len();
        line.ahead.extend(due);
        self.place(queue, Some(now));
    }

    /// A [`Step::Start`] was done; the destination takes `concurrency` attempts at a time.
    pub(crate) fn started(&mut self, queue: QueueKey, row: Row, concurrency: usize, now: Timestamp) {
        let open = Open {
            due: row.0,
            met: None,
        };
        if self.open.insert((queue, row.1), open).is_none() {
            *self.open_in.entry(queue.shard).or_default() += 1;
        }
        self.running.add(queue, concurrency);
        self.turns.served(queue);
        self.place(queue, Some(now));
    }

    /// A [`Step::Start`] had nothing to start: the row is gone, or stands for another time.
    pub(crate) fn skipped(&mut self, queue: QueueKey, now: Timestamp) {
        self.place(queue, Some(now));
    }

    /// A [`Step::Start`] found its destination held: the line rests where it is.
    pub(crate) fn hold(&mut self, queue: QueueKey, row: Row) {
        if let Some(line) = self.lines.get_mut(&queue) {
            self.ahead_total -= line.ahead.len();
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
        if let Some(open) = self.close(queue, seq) {
            self.note_due(queue, open.due);
        }
    }

    /// The attempt of a delivery is on record, and this node's state shows it.
    pub(crate) fn recorded(&mut self, queue: QueueKey, seq: EventSeq) {
        if let Some(Open { met: Some(due), .. }) = self.close(queue, seq) {
            self.note_due(queue, due);
        }
    }

    fn close(&mut self, queue: QueueKey, seq: EventSeq) -> Option<Open> {
        let open = self.open.remove(&(queue, seq))?;
        if let Some(count) = self.open_in.get_mut(&queue.shard) {
            *count -= 1;
            if *count == 0 {
                self.open_in.remove(&queue.shard);
            }
        }
        Some(open)
    }

    /// Deliveries of a shard that were started and are not recorded.
    pub(crate) fn open_in(&self, shard: ShardId) -> usize {
        self.open_in.get(&shard).copied().unwrap_or(0)
    }

    /// Deliveries that were started and are not recorded.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Attempts under way.
    pub(crate) fn running(&self) -> usize {
        self.running.total()
    }

    /// When the oldest delivery that waits for its start became due, or will; held destinations aside.
    pub(crate) fn oldest_due(&self) -> Option<Timestamp> {
        self.heads.first().map(|(due, _)| *due)
    }

    fn wake(&mut self, now: Timestamp) {
        while let Some((due, queue)) = self.parked.first().copied() {
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
        let before = self.places.get(&queue).copied();
        let head = line.head().filter(|_| !line.held);
        let is_due = |due| match now {
            Some(now) => due <= now,
            None => before.is_some_and(|(place, _)| place == Place::Ready),
        };
        let place = match head {
            None => Place::Rests,
            Some(_) if self.running.is_full(queue) => Place::Full,
            Some(due) if !line.ahead.is_empty() || is_due(due) => Place::Ready,
            Some(_) => Place::Parked,
        };
        if before == Some((place, head)) {
            return;
        }
        self.places.insert(queue, (place, head));
        if let Some(before) = before {
            self.unlist(queue, before, place == Place::Ready);
        }
        if let Some(due) = head {
            self.heads.insert((due, queue));
            match place {
                Place::Parked => {
                    self.parked.insert((due, queue));
                }
                Place::Ready => self.turns.join(queue),
                Place::Full | Place::Rests => {}
            }
        }
    }

    fn unlist(&mut self, queue: QueueKey, (place, head): (Place, Option<Timestamp>), stays_ready: bool) {
        if let Some(due) = head {
            self.heads.remove(&(due, queue));
            if place == Place::Parked {
                self.parked.remove(&(due, queue));
            }
        }
        if place == Place::Ready && !stays_ready {
            self.turns.leave(queue);
        }
    }

    fn forget(&mut self, queue: QueueKey) {
        if let Some(line) = self.lines.remove(&queue) {
            self.ahead_total -= line.ahead.len();
        }
        if let Some(before) = self.places.remove(&queue) {
            self.unlist(queue, before, false);
        }
    }
}

/// The smallest row above this one.
fn after((due, seq): Row) -> Row {
    let seq = match seq.position.checked_add(1) {
        Some(position) => EventSeq { position, ..seq },
        None => EventSeq {
            index: seq.index + 1,
            position: 0,
        },
    };
    (due, seq)
}

#[cfg(test)]
mod tests;
