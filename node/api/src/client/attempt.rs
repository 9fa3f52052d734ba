//! One call over several nodes: whom to ask next, when to stop, and whether asking again is safe.

use std::error::Error;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::{Client, ClientError, Try};
use crate::failure::{self, Accepted};

const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Whether a call may be sent again after an answer that leaves open whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// A read, or a write that is recognised when it comes again.
    Harmless,
    /// A write that would happen twice.
    Harmful,
}

impl Client {
    /// Sends `request` until a node gives an answer that stands, or the options' time or rounds are over.
    pub(super) async fn call<Req, Res, F>(
        &self,
        repeat: Repeat,
        request: Req,
        send: impl Fn(Channel, Request<Req>) -> F,
    ) -> Result<Res, ClientError>
    where
        Req: Clone,
        F: Future<Output = Result<Response<Res>, Status>>,
    {
        let until = Instant::now() + self.options.deadline;
        let first = self.current.load(Ordering::Relaxed);
        let mut tried: Vec<Try> = Vec::new();
        let mut last: Option<(String, Status)> = None;
        let mut pause = PAUSE_FIRST;

        for round in 0..self.options.rounds.max(1) {
            let mut reached = false;
            for step in 0..self.nodes.len() {
                let at = (first + step) % self.nodes.len();
                let Some(node) = self.nodes.get(at) else { continue };
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(give_up(last, tried));
                }
                let mut asked = Request::new(request.clone());
                asked.set_timeout(left.min(self.options.answer));
                let status = match send(node.channel.clone(), asked).await {
                    Ok(response) => {
                        self.current.store(at, Ordering::Relaxed);
                        return Ok(response.into_inner());
                    }
                    Err(status) => status,
                };
                let sent = !never_sent(&status);
                reached |= sent;
                if sent && !again(repeat, &status) {
                    self.current.store(at, Ordering::Relaxed);
                    return Err(ClientError::Refused {
                        address: node.address.clone(),
                        status: Box::new(status),
                        tried,
                    });
                }
                tried.push(Try {
                    address: node.address.clone(),
                    why: describe(&status),
                });
                if sent {
                    last = Some((node.address.clone(), status));
                }
            }
            // Where nobody even listens, another round only makes a person wait.
            if !reached || round + 1 >= self.options.rounds {
                break;
            }
            let asked_for = last.as_ref().and_then(|(_, status)| failure::retry_after(status));
            let wait = asked_for.unwrap_or(pause).min(PAUSE_MAX);
            tokio::time::sleep_until((Instant::now() + wait).min(until)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(give_up(last, tried))
    }
}

fn give_up(last: Option<(String, Status)>, mut tried: Vec<Try>) -> ClientError {
    match last {
        Some((address, status)) => {
            // The last answer is the error itself; the trail holds what came before it.
            if let Some(at) = tried.iter().rposition(|one| one.address == address) {
                tried.remove(at);
            }
            ClientError::Refused {
                address,
                status: Box::new(status),
                tried,
            }
        }
        None => ClientError::Unreachable { tried },
    }
}

/// Whether the call certainly did not happen: it was never sent, refused as such, or was not one to begin with.
pub(super) fn certainly_not_accepted(status: &Status) -> bool {
    if never_sent(status) {
        return true;
    }
    match failure::accepted(status) {
        Some(Accepted::No) => true,
        Some(Accepted::Unknown) => false,
        // A node's own refusal of a bad or unknown thing; a proxy or a broken connection has no reason to give.
        None => failure::reason(status).is_some() && !open(status.code()),
    }
}

/// Whether no connection stood, so that nothing can have gone out.
fn never_sent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Codes after which another node, or a later time, may give another answer.
fn open(code: Code) -> bool {
    match code {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Internal => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

fn again(repeat: Repeat, status: &Status) -> bool {
    if !open(status.code()) {
        return false;
    }
    match repeat {
        Repeat::Harmless => true,
        Repeat::Harmful => failure::accepted(status) == Some(Accepted::No),
    }
}

/// The innermost cause says most: `Connection refused` rather than `transport error`.
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    if text.is_empty() {
        text = status.code().description().to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn unavailable(accepted: &str) -> Status {
        let metadata = HashMap::from([(failure::ACCEPTED.to_owned(), accepted.to_owned())]);
        let details = ErrorDetails::with_error_info("NO_QUORUM", failure::DOMAIN, metadata);
        Status::with_error_details(Code::Unavailable, "no quorum", details)
    }

    #[test]
    fn only_what_is_safe_is_sent_again() {
        let table = [
            (Repeat::Harmless, unavailable("unknown"), true),
            (Repeat::Harmful, unavailable("unknown"), false),
            (Repeat::Harmful, unavailable("no"), true),
            (Repeat::Harmful, Status::unknown("broken pipe"), false),
            (Repeat::Harmless, Status::unknown("broken pipe"), true),
            (Repeat::Harmless, Status::not_found("no such tenant"), false),
            (Repeat::Harmless, Status::already_exists("taken"), false),
        ];
        for (repeat, status, expected) in table {
            assert_eq!(again(repeat, &status), expected, "{repeat:?} {status:?}");
        }
    }

    #[test]
    fn a_broken_connection_leaves_it_open_whether_a_write_happened() {
        assert!(!certainly_not_accepted(&Status::unknown("broken pipe")));
        assert!(!certainly_not_accepted(&unavailable("unknown")));
        assert!(certainly_not_accepted(&unavailable("no")));
    }

    #[tokio::test]
    async fn addresses_that_nobody_listens_on_are_named_and_nothing_was_sent() {
        let client = Client::new(["127.0.0.1:1", "127.0.0.1:2"]).unwrap();

        let error = client.cluster_status(Default::default()).await.unwrap_err();

        assert!(error.certainly_not_accepted());
        let ClientError::Unreachable { tried } = error else {
            panic!("{error}");
        };
        let addresses: Vec<&str> = tried.iter().map(|one| one.address.as_str()).collect();
        assert_eq!(addresses, ["127.0.0.1:1", "127.0.0.1:2"]);
        assert!(tried[0].why.contains("refused"), "{}", tried[0].why);
    }
}
