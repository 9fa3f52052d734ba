//! A batch without an answer: who waits for it, which copies of it are out, and what may be said of it.
//!
//! Invariant: whoever waits is told once, at the latest at its own deadline; and *not accepted* only while no copy is
//! out or was lost, and none will be sent any more.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use pushrail_machine::answers::Answers;
use pushrail_machine::codec;
use pushrail_model::command::Batch;
use pushrail_model::ids::BatchNumber;
use pushrail_model::token::Token;
use tokio::time::Instant;

use crate::error::ProposeError;
use crate::load::Load;
use crate::propose::Waiter;
use crate::replica::Proposed;

/// Commands in one batch.
const BATCH_COMMANDS_MAX: usize = 512;

/// A batch on its way.
pub(super) struct Open {
    /// As it stands in the log.
    pub(super) bytes: Bytes,
    /// How much work it is.
    pub(super) weight: usize,
    /// Only in this term, or not at all.
    pub(super) pinned: Option<u64>,
    /// Sessions that hold a copy without an outcome.
    pub(super) copies: Vec<u64>,
    /// A copy may have entered the log.
    pub(super) unknown: bool,
    /// Whether any copy was ever sent.
    pub(super) sent_before: bool,
    /// What happened last.
    pub(super) last_why: String,
    // One for each command, in their order; `None`: its wait is over.
    waiters: Vec<Option<Waiter>>,
}

impl Open {
    /// Takes from the front what fits into one batch; `None`: nothing waits.
    pub(super) fn gather(waiting: &mut VecDeque<Waiter>) -> Option<Self> {
        let first = waiting.front()?;
        let pinned = first.pinned;
        let mut load = Load::default();
        let mut waiters = Vec::new();
        while let Some(next) = waiting.front() {
            let with_next = load.and(next.load());
            let full = !with_next.is_wanted() || waiters.len() >= BATCH_COMMANDS_MAX;
            if next.pinned != pinned || (full && !waiters.is_empty()) {
                break;
            }
            load = with_next;
            waiters.push(waiting.pop_front());
        }
        Some(Self {
            bytes: Bytes::new(),
            weight: load.weight,
            pinned,
            copies: Vec::new(),
            unknown: false,
            sent_before: false,
            last_why: "it was not sent yet".to_owned(),
            waiters,
        })
    }

    /// Bytes of its commands, for whom somebody waits.
    pub(super) fn command_bytes(&self) -> usize {
        self.waiters
            .iter()
            .flatten()
            .map(|waiter| waiter.command.len())
            .sum()
    }

    /// Its bytes are this head and its commands.
    pub(super) fn under(mut self, head: &Batch) -> Self {
        let mut bytes = BytesMut::from(codec::encode_batch(head).as_ref());
        for waiter in self.waiters.iter().flatten() {
            bytes.extend_from_slice(&waiter.command);
        }
        self.bytes = bytes.freeze();
        self
    }

    /// Whether somebody's wait is over.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.waiters.iter().flatten().any(|waiter| waiter.deadline <= now)
    }

    /// Whether somebody still waits.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiters.iter().any(Option::is_some)
    }

    /// Whether it is certainly in no log, as far as it was sent.
    pub(super) fn is_certain(&self) -> bool {
        !self.unknown && self.copies.is_empty()
    }

    /// What those who wait are told where it comes to nothing now.
    pub(super) fn error(&self, why: String) -> ProposeError {
        if self.is_certain() {
            ProposeError::NotAccepted { why }
        } else {
            ProposeError::Unknown { why }
        }
    }

    /// Tells those whose wait is over.
    pub(super) fn end_waits(&mut self, now: Instant) {
        let error = self.error(self.last_why.clone());
        for waiter in &mut self.waiters {
            if let Some(late) = waiter.take_if(|waiter| waiter.deadline <= now) {
                // Whoever asked may have left.
                late.reply.send(Err(error.clone())).ok();
            }
        }
    }

    /// Gives those who still wait back, to be sent in another batch. Only where it is certainly in no log.
    pub(super) fn dissolve(self) -> Vec<Waiter> {
        self.waiters.into_iter().flatten().collect()
    }

    /// Tells everybody what came of it.
    pub(super) fn settle(self, number: BatchNumber, answers: Answers, token: Token) {
        if answers.responses.len() != self.waiters.len() {
            let why = format!(
                "{} commands had {} answers",
                self.waiters.len(),
                answers.responses.len()
            );
            tracing::error!(batch = %number, why, "a batch was not answered as it was sent");
            self.refuse(&ProposeError::Unknown { why });
            return;
        }
        for (waiter, response) in self.waiters.into_iter().zip(answers.responses) {
            let proposed = Proposed {
                response,
                index: answers.index,
                token,
            };
            if let Some(waiter) = waiter {
                // Whoever asked may have left.
                waiter.reply.send(Ok(proposed)).ok();
            }
        }
    }

    /// Tells everybody that it comes to nothing, or that nobody knows.
    pub(super) fn refuse(self, error: &ProposeError) {
        for waiter in self.waiters.into_iter().flatten() {
            // Whoever asked may have left.
            waiter.reply.send(Err(error.clone())).ok();
        }
    }
}
