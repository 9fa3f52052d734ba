//! The door's task: which commands share a batch, which leader gets a copy, and what those who wait are told.
//!
//! Invariant: *not accepted* is said only when every copy that was sent has been refused; a batch keeps its number
//! until it is answered or given up.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pushrail_machine::answers::Answers;
use pushrail_model::command::Batch;
use pushrail_model::ids::{BatchNumber, BootId, NodeId};
use pushrail_model::limits;
use pushrail_model::token::Token;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::door::open::Open;
use crate::error::ProposeError;
use crate::metrics;
use crate::propose::{Arrivals, Waiter, not_accepted};
use crate::proposer::{Outcome, Reply, ReplyTo};
use crate::way::{LeaderSeen, Lost, LostTo, Way, Ways};

mod open;

/// Batches on their way at a time: more only buys latency.
pub(crate) const BATCHES_IN_FLIGHT: usize = 6;
/// How often unanswered batches are looked at.
const LOOK: Duration = Duration::from_millis(50);

const _: () = assert!(BATCHES_IN_FLIGHT as u64 <= limits::DOOR_BATCHES_OPEN_MAX);

/// What waits, what is on its way, and to whom.
pub(crate) struct Door {
    node: NodeId,
    boot: BootId,
    next_number: u64,
    waiting: VecDeque<Waiter>,
    waiting_bytes: usize,
    open: BTreeMap<BatchNumber, Open>,
    sessions: BTreeMap<u64, Session>,
    // The session that batches go to now.
    current: Option<u64>,
    next_session: u64,
    // After a refusal or a loss the leader is given a moment.
    retry_at: Instant,
    leader: watch::Receiver<Option<LeaderSeen>>,
    ways: Box<dyn Ways>,
    replies: (mpsc::UnboundedSender<Reply>, mpsc::UnboundedReceiver<Reply>),
    losses: (mpsc::UnboundedSender<Lost>, mpsc::UnboundedReceiver<Lost>),
}

struct Session {
    leader: LeaderSeen,
    way: Box<dyn Way>,
}

impl Door {
    pub(crate) fn new(
        node: NodeId,
        boot: BootId,
        leader: watch::Receiver<Option<LeaderSeen>>,
        ways: Box<dyn Ways>,
    ) -> Self {
        Self {
            node,
            boot,
            next_number: 1,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            open: BTreeMap::new(),
            sessions: BTreeMap::new(),
            current: None,
            next_session: 1,
            retry_at: Instant::now(),
            leader,
            ways,
            replies: mpsc::unbounded_channel(),
            losses: mpsc::unbounded_channel(),
        }
    }

    /// Serves until `stop` is called, and leaves no command without an answer.
    pub(crate) async fn run(mut self, mut arrivals: Arrivals, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.take_waiting(&mut arrivals);
            self.send_all();
            let idle = self.waiting.is_empty() && self.open.is_empty();
            tokio::select! {
                waiter = arrivals.recv(), if self.has_room() => match waiter {
                    Some(waiter) => self.enqueue(waiter),
                    None => break,
                },
                Some(reply) = self.replies.1.recv() => self.answer(reply),
                Some(lost) = self.losses.1.recv() => self.lose(&lost),
                changed = self.leader.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.retry_at = Instant::now();
                }
                _ = look.tick(), if !idle => self.expire(),
                () = stop.cancelled() => break,
            }
            while let Ok(reply) = self.replies.1.try_recv() {
                self.answer(reply);
            }
        }
        arrivals.close();
        while let Some(waiter) = arrivals.recv().await {
            self.enqueue(waiter);
        }
        self.abandon();
    }

    /// Whether more may wait here; beyond that they wait in the channel.
    fn has_room(&self) -> bool {
        self.waiting_bytes < limits::ENTRY_BYTES_MAX
    }

    fn take_waiting(&mut self, arrivals: &mut Arrivals) {
        while self.has_room() {
            let Some(waiter) = arrivals.try_recv() else { return };
            self.enqueue(waiter);
        }
    }

    fn enqueue(&mut self, waiter: Waiter) {
        self.waiting_bytes += waiter.command.len();
        self.waiting.push_back(waiter);
    }

    /// Sends what has no copy on its way to the present leader, then new batches while there is a place.
    fn send_all(&mut self) {
        if self.retry_at > Instant::now() {
            return;
        }
        let Some(session) = self.session() else { return };
        let unsent: Vec<BatchNumber> = self
            .open
            .iter()
            .filter(|(_, open)| !open.copies.contains(&session))
            .map(|(number, _)| *number)
            .collect();
        for number in unsent {
            if !self.send(number, session) {
                return;
            }
        }
        while self.open.len() < BATCHES_IN_FLIGHT && !self.waiting.is_empty() {
            let Some(number) = self.form() else { break };
            if !self.send(number, session) {
                return;
            }
        }
        self.close_old_sessions();
    }

    /// The session to the present leader, opened if need be.
    fn session(&mut self) -> Option<u64> {
        let leader = self.leader.borrow_and_update().clone()?;
        if let Some(current) = self.current
            && let Some(session) = self.sessions.get(&current)
            && session.leader.node == leader.node
            && session.leader.peer == leader.peer
        {
            return Some(current);
        }
        let number = self.next_session;
        self.next_session += 1;
        let reply = ReplyTo {
            session: number,
            sender: self.replies.0.clone(),
        };
        let lost = LostTo {
            session: number,
            sender: self.losses.0.clone(),
        };
        let way = self.ways.open(&leader, reply, lost);
        self.sessions.insert(number, Session { leader, way });
        self.current = Some(number);
        Some(number)
    }

    /// Puts waiting commands together under a new number; `None`: none of them has time left.
    fn form(&mut self) -> Option<BatchNumber> {
        // What ends within a look would end its wait on the way: it is told now, and certainly.
        self.turn_away(
            Instant::now() + LOOK,
            "no time was left for the way to the leader",
        );
        let open = Open::gather(&mut self.waiting)?;
        self.waiting_bytes -= open.command_bytes();
        let number = BatchNumber(self.next_number);
        self.next_number += 1;
        let lowest_open = self.open.keys().next().copied().unwrap_or(number);
        let head = Batch {
            node: self.node,
            boot: self.boot,
            number,
            lowest_open,
            commands: Vec::new(),
        };
        self.open.insert(number, open.under(&head));
        Some(number)
    }

    /// Sends a copy. `false`: the way takes no more for now.
    fn send(&mut self, number: BatchNumber, session: u64) -> bool {
        let (Some(open), Some(to)) = (self.open.get_mut(&number), self.sessions.get_mut(&session)) else {
            return false;
        };
        if open.pinned.is_some() && (to.leader.node != self.node || open.sent_before) {
            let why = "this node no longer leads in the term".to_owned();
            self.give_up(number, why);
            return true;
        }
        if !to.way.send(number, open.bytes.clone(), open.weight, open.pinned) {
            self.pause();
            return false;
        }
        if open.sent_before {
            ::metrics::counter!(metrics::PROPOSE_RESENT_TOTAL).increment(1);
        }
        open.sent_before = true;
        open.copies.push(session);
        open.last_why = format!("node {} has not answered", to.leader.node);
        true
    }

    fn answer(&mut self, reply: Reply) {
        let Some(open) = self.open.get_mut(&reply.number) else {
            return;
        };
        open.copies.retain(|session| *session != reply.session);
        match reply.outcome {
            Outcome::Answered { answers, term } => self.settle(reply.number, answers, term),
            // A copy sent again would only be retired again, and so would every other batch.
            Outcome::Retired => {
                self.ways.outrun();
                self.give_up(reply.number, "its door has started anew".to_owned());
            }
            Outcome::Refused { leader, why } => {
                open.last_why = match leader {
                    Some(leader) => format!("{why}; node {leader} may"),
                    None => why,
                };
                self.pause();
            }
            Outcome::Unknown { why } => {
                open.unknown = true;
                open.last_why = why;
                self.pause();
            }
        }
    }

    fn lose(&mut self, lost: &Lost) {
        self.sessions.remove(&lost.session);
        if self.current == Some(lost.session) {
            self.current = None;
            self.pause();
        }
        for (number, open) in &mut self.open {
            if open.copies.contains(&lost.session) {
                open.copies.retain(|session| *session != lost.session);
                open.unknown |= lost.left.contains(number);
                open.last_why.clone_from(&lost.why);
            }
        }
    }

    /// Gives the leader, or its election, a moment.
    fn pause(&mut self) {
        self.retry_at = self.retry_at.max(Instant::now() + LOOK / 2);
    }

    fn settle(&mut self, number: BatchNumber, answers: Answers, term: u64) {
        let Some(open) = self.open.remove(&number) else {
            return;
        };
        let token = Token {
            group: 0,
            term,
            index: answers.index,
        };
        open.settle(number, answers, token);
    }

    fn give_up(&mut self, number: BatchNumber, why: String) {
        let Some(open) = self.open.remove(&number) else {
            return;
        };
        let error = open.error(why);
        open.refuse(&error);
    }

    /// Ends the waits that are over, each at its own time. A batch goes on while somebody waits for it; one that is
    /// certainly in no log is dissolved, and those who have time left wait for another.
    fn expire(&mut self) {
        let now = Instant::now();
        let late: Vec<BatchNumber> = self
            .open
            .iter()
            .filter(|(_, open)| open.is_late(now))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            let Some(mut open) = self.open.remove(&number) else {
                continue;
            };
            open.end_waits(now);
            if !open.is_certain() {
                if open.is_awaited() {
                    self.open.insert(number, open);
                }
                continue;
            }
            for waiter in open.dissolve().into_iter().rev() {
                self.waiting_bytes += waiter.command.len();
                self.waiting.push_front(waiter);
            }
        }
        let why = match self.leader.borrow().as_ref() {
            None => "no leader is known",
            Some(_) => "too many batches wait for the leader",
        };
        self.turn_away(now, why);
    }

    /// Ends the waits at the door that are over by `until`.
    fn turn_away(&mut self, until: Instant, why: &str) {
        if self.waiting.iter().all(|waiter| waiter.deadline > until) {
            return;
        }
        // Each has a time of its own: one that has long stands before one that has not.
        let (late, left): (VecDeque<Waiter>, VecDeque<Waiter>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiter| waiter.deadline <= until);
        self.waiting = left;
        for waiter in late {
            self.waiting_bytes -= waiter.command.len();
            waiter.reply.send(Err(not_accepted(why))).ok();
        }
    }

    /// Lets go of sessions to earlier leaders that hold no copy any more.
    fn close_old_sessions(&mut self) {
        let (open, current) = (&self.open, self.current);
        self.sessions.retain(|number, _| {
            Some(*number) == current || open.values().any(|batch| batch.copies.contains(number))
        });
    }

    fn abandon(&mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            let why = "the node is stopping".to_owned();
            let error = if open.sent_before {
                ProposeError::Unknown { why }
            } else {
                ProposeError::NotAccepted { why }
            };
            open.refuse(&error);
        }
        for waiter in self.waiting.drain(..) {
            waiter.reply.send(Err(not_accepted("the node is stopping"))).ok();
        }
    }
}
