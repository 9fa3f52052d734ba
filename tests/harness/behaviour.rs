//! What a path of the receiver answers: a function from how often it was asked to an answer, with names for the
//! ones that customers' endpoints really show.

use std::sync::Arc;
use std::time::Duration;

/// How often the path was asked before this request.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// In all.
    pub of_path: usize,
    /// With this event's `webhook-id`.
    pub of_event: usize,
}

/// One answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status, with headers and a body.
    Status {
        /// The status.
        status: u16,
        /// Extra headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// A bare status, after a while.
    Late {
        /// The status.
        status: u16,
        /// How long the request is held.
        after: Duration,
    },
    /// Nothing, until the receiver is told to release; then 200.
    Hold,
    /// A status, and a body without an end.
    Endless {
        /// The status.
        status: u16,
        /// Between two pieces of 4 KiB.
        pause: Duration,
    },
    /// The connection breaks before there is a response.
    HangUp,
}

impl Answer {
    /// A bare status.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            headers: Vec::new(),
            body: format!("answered {status}"),
        }
    }
}

/// How a path behaves.
#[derive(Clone)]
pub struct Behaviour(Arc<dyn Fn(&Seen) -> Answer + Send + Sync>);

impl Behaviour {
    /// Any function.
    pub fn of(script: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(script))
    }

    /// The same status for everything.
    pub fn always(status: u16) -> Self {
        Self::of(move |_| Answer::status(status))
    }

    /// `status` for the first `times` requests of each event, then 200.
    pub fn first(times: usize, status: u16) -> Self {
        Self::of(move |seen| Answer::status(if seen.of_event < times { status } else { 200 }))
    }

    /// `status` with a `Retry-After` for the first `times` requests of each event, then 200.
    pub fn asks_to_wait(times: usize, status: u16, retry_after: &str) -> Self {
        let retry_after = retry_after.to_owned();
        Self::of(move |seen| {
            if seen.of_event >= times {
                return Answer::status(200);
            }
            Answer::Status {
                status,
                headers: vec![("retry-after", retry_after.clone())],
                body: String::from("later, please"),
            }
        })
    }

    /// The connection breaks at the first `times` requests of each event, then 200.
    pub fn hangs_up(times: usize) -> Self {
        Self::of(move |seen| {
            if seen.of_event < times {
                Answer::HangUp
            } else {
                Answer::status(200)
            }
        })
    }

    /// A status and a body without an end.
    pub fn endless(status: u16, pause: Duration) -> Self {
        Self::of(move |_| Answer::Endless { status, pause })
    }

    /// 200, after a while.
    pub fn slow(after: Duration) -> Self {
        Self::of(move |_| Answer::Late { status: 200, after })
    }

    /// Nothing at all until released.
    pub fn hold() -> Self {
        Self::of(|_| Answer::Hold)
    }

    pub(crate) fn answer(&self, seen: &Seen) -> Answer {
        (self.0)(seen)
    }
}

impl Default for Behaviour {
    /// 200.
    fn default() -> Self {
        Self::always(200)
    }
}
