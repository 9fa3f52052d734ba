//! One call over several nodes: whom to ask next, for how long, and when to stop. The deadline covers all of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prost::Message;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::error::{ClientError, Lost, Try};
use super::outcome::{self, Outcome, Repeat};
use super::{Client, Node, Patience};
use crate::ACTOR;
use crate::failure::{self, Accepted};

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Times round all the nodes, for the less patient.
const ROUNDS_BRIEF: u32 = 3;
/// Bytes of a request: what a node takes, a whole batch and its envelopes.
const REQUEST_BYTES_MAX: usize = 5 * 1024 * 1024;

impl Client {
    /// Sends `request` until a node gives an answer that stands, or time or patience is over.
    pub(super) async fn call<Req, Res, F>(
        &self,
        repeat: Repeat,
        request: Req,
        send: impl Fn(Channel, Request<Req>) -> F,
    ) -> Result<Res, ClientError>
    where
        Req: Clone + Message,
        F: Future<Output = Result<Response<Res>, Status>>,
    {
        let bytes = request.encoded_len();
        if bytes > REQUEST_BYTES_MAX {
            return Err(ClientError::TooLarge {
                bytes,
                bytes_max: REQUEST_BYTES_MAX,
            });
        }
        let begun = Instant::now();
        let until = begun + self.options.deadline;
        let first = self.current.load(Ordering::Relaxed);
        let mut course = Course::new(repeat);
        let mut pause = PAUSE_FIRST;
        let mut round = 0;
        loop {
            let mut reached = false;
            for step in 0..self.nodes.len() {
                let at = (first + step) % self.nodes.len();
                let Some(node) = self.nodes.get(at) else { continue };
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(course.over());
                }
                let share = share(left, self.nodes.len() - 1 - step).min(self.options.answer);
                let mut asked = Request::new(request.clone());
                asked.set_timeout(share);
                if let Some(actor) = &self.actor {
                    asked.metadata_mut().insert(ACTOR, actor.clone());
                }
                let status = match ask(node, share, asked, &send).await {
                    Ok(answer) => {
                        self.current.store(at, Ordering::Relaxed);
                        node.spoke.store(true, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(status) => status,
                };
                reached |= Outcome::of(&status) != Outcome::NotTaken;
                let again = outcome::again(repeat, &status);
                course.add(node, status);
                if !again {
                    self.current.store(at, Ordering::Relaxed);
                    return Err(course.over());
                }
            }
            round += 1;
            if !self.goes_on(round, reached, begun.elapsed()) {
                return Err(course.over());
            }
            let wait = course.retry_after().unwrap_or(pause).min(PAUSE_MAX);
            sleep_until((Instant::now() + wait).min(until)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Whether to go round again after so many rounds, which took so long.
    fn goes_on(&self, rounds: u32, reached: bool, spent: Duration) -> bool {
        match self.options.patience {
            Patience::Whole => true,
            // Where nobody even listens, another round only makes a person wait.
            Patience::Brief => reached && rounds < ROUNDS_BRIEF && spent < self.options.deadline / 3,
        }
    }
}

/// How long one try may take, of what is left: a silent node must leave time for those after it, and a node that waits
/// for a majority, 5 s of the usual 10 s, must be heard out.
fn share(left: Duration, nodes_after: usize) -> Duration {
    if nodes_after == 0 { left } else { left * 3 / 5 }
}

/// One try. The time covers connecting too, which the call's own deadline does not.
async fn ask<Req, Res, F>(
    node: &Node,
    time: Duration,
    request: Request<Req>,
    send: impl Fn(Channel, Request<Req>) -> F,
) -> Result<Res, Status>
where
    F: Future<Output = Result<Response<Res>, Status>>,
{
    match timeout(time, send(node.channel.clone(), request)).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}

/// The tries of a call that has not succeeded so far.
struct Course {
    repeat: Repeat,
    tried: Vec<Try>,
    // A node's last answer, and which of the tries it was.
    answer: Option<(usize, Box<Status>)>,
    lost: Option<Lost>,
    perhaps: bool,
}

impl Course {
    fn new(repeat: Repeat) -> Self {
        Self {
            repeat,
            tried: Vec::new(),
            answer: None,
            lost: None,
            perhaps: false,
        }
    }

    fn add(&mut self, node: &Node, status: Status) {
        self.perhaps |= outcome::accepted(&status) == Accepted::Unknown;
        let outcome = Outcome::of(&status);
        let mut why = outcome::describe(&status);
        // A port of HTTP hangs up on gRPC without a word.
        if outcome == Outcome::Lost(Lost::Connection) && !node.spoke.load(Ordering::Relaxed) {
            why.push_str("; if it always is, this is not the client port of a node");
        }
        self.tried.push(Try {
            address: node.address.clone(),
            why,
        });
        match outcome {
            Outcome::NotTaken => {}
            Outcome::Lost(lost) => self.lost = Some(lost),
            Outcome::Answered => {
                node.spoke.store(true, Ordering::Relaxed);
                self.answer = Some((self.tried.len() - 1, Box::new(status)));
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        failure::retry_after(&self.answer.as_ref()?.1)
    }

    /// What it all came to. A node's answer says more than a silence after it, but a silence may have been a yes.
    fn over(mut self) -> ClientError {
        let accepted = match (self.repeat, self.perhaps) {
            (Repeat::Read, _) => None,
            (Repeat::Harmless | Repeat::Harmful, true) => Some(Accepted::Unknown),
            (Repeat::Harmless | Repeat::Harmful, false) => Some(Accepted::No),
        };
        match (self.answer, self.lost) {
            (Some((at, status)), _) => {
                let answered = self.tried.remove(at);
                ClientError::Refused {
                    address: answered.address,
                    status,
                    accepted,
                    tried: self.tried,
                }
            }
            (None, Some(lost)) => ClientError::Unanswered {
                lost,
                accepted,
                tried: self.tried,
            },
            (None, None) => ClientError::Unreachable { tried: self.tried },
        }
    }
}

#[cfg(test)]
mod tests;
