//! The two traits every kind of destination has, and what goes in and comes out of an attempt. An adapter only
//! reports what it saw; what that means is decided by its table, in [`crate::rules`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pushrail_model::event::Event;
use pushrail_model::ids::{AttemptNumber, DeliveryId};
use pushrail_model::limits;
use pushrail_model::outcome::Observed;
use pushrail_model::time::{Span, Timestamp};

use crate::net::Net;
use crate::plain;
use crate::settings::{Credential, Invalid, Settings};
use crate::shown::{Head, ShownRequest};
use crate::spec::Spec;

/// A kind of destination: what it is, as data. One static each, all listed in [`crate::registry`].
pub trait Adapter: Send + Sync {
    /// What it is.
    fn spec(&self) -> &'static Spec;

    /// Parses and checks settings and credential, field by field. No I/O. Credentials before the present one that still
    /// count come newest first; a kind that can only show one shows the present one.
    fn open(
        &self,
        settings: &Settings,
        credential: &Credential,
        previous: &[Credential],
        net: &Net,
    ) -> Result<Arc<dyn Link>, Vec<Invalid>>;

    /// Makes what a caller may leave out of a credential, such as a signing secret. What is there stays.
    fn fill_credential(&self, credential: Credential) -> Credential {
        credential
    }
}

/// A configured destination, ready to send; kept by the caller as long as settings and credential stay the same.
#[async_trait]
pub trait Link: Send + Sync {
    /// The exact bytes this event becomes; kept with the attempt where they differ from the payload.
    fn encode(&self, event: &Event) -> Result<Bytes, Fault> {
        plain::payload(&event.new.payload)
    }

    /// Exactly one exchange for these events, at most as many as the kind's batch allows. No retry inside: retrying is
    /// the core's ([`Net`] makes a request once more that a stale connection swallowed). It ends within the time
    /// limits of [`Net`].
    async fn send(&self, batch: &[Dispatch<'_>]) -> Reply;

    /// What [`Link::send`] would send, for a person to look at; `None`: this kind has nothing to show.
    fn show(&self, _batch: &[Dispatch<'_>]) -> Option<ShownRequest> {
        None
    }

    /// The cheapest call that proves the target, and the credential where the kind can.
    async fn probe(&self) -> Reply;
}

/// All that an adapter needs for one attempt.
#[derive(Clone)]
pub struct Dispatch<'a> {
    /// The event's public id: the same over all attempts and replays.
    pub event_id: String,
    /// The delivery's public id.
    pub delivery: DeliveryId,
    /// The attempt's number within its run, from 1.
    pub number: AttemptNumber,
    /// The event's type.
    pub event_type: &'a str,
    /// What the payload is.
    pub content_type: &'a str,
    /// What [`Link::encode`] made of the event.
    pub body: Bytes,
    /// When the event was accepted, in the state's time.
    pub created: Timestamp,
    /// When this attempt begins, by the wall clock: what receivers compare with theirs.
    pub now: Timestamp,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What was seen on the wire, for the record. Its detail never holds credentials, payload or headers.
    pub observed: Observed,
    /// What went wrong, where the status alone does not say it.
    pub fault: Option<Fault>,
    /// How long it took.
    pub took: Span,
    /// The answer's head, where there was one: for whoever tests a destination, and no part of the record.
    pub head: Option<Head>,
}

impl Reply {
    /// A request that failed without an answer.
    pub fn failed(fault: Fault, detail: &str) -> Self {
        Self {
            observed: Observed {
                detail: detail_of(detail),
                ..Observed::default()
            },
            fault: Some(fault),
            ..Self::default()
        }
    }

    /// An adapter that panicked; the caller caught it.
    pub fn panicked() -> Self {
        Self::failed(
            Fault::Panicked,
            "the adapter failed inside; this is a defect of Pushrail",
        )
    }

    /// A destination whose settings or credential this node's version of the kind refuses.
    pub fn unopened(invalid: &[Invalid]) -> Self {
        let fields: Vec<String> = invalid.iter().map(Invalid::to_string).collect();
        Self::failed(Fault::Unopened, &fields.join("; "))
    }
}

/// What went wrong with a request, as the adapter saw it. A row of the kind's table says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The provider's own code, which stands in the answer and beats its status.
    Code(String),
    /// The event cannot be put into a request of this kind.
    Unsendable,
    /// The guard refused every address of the target.
    AddressRefused,
    /// The target's name could not be resolved.
    Dns,
    /// No connection.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// No secure connection.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection broke, or something else than the protocol came, before an answer was there.
    Broken,
    /// Settings or credential do not fit this node's version of the kind.
    Unopened,
    /// The adapter failed inside.
    Panicked,
}

/// Makes words fit for the record: one line of at most [`limits::DETAIL_BYTES_MAX`], without control characters.
pub(crate) fn detail_of(words: &str) -> String {
    let mut detail = String::new();
    for letter in words.chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        if detail.len() + letter.len_utf8() > limits::DETAIL_BYTES_MAX {
            break;
        }
        detail.push(letter);
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_bounded_line() {
        let detail = detail_of(&format!("a\r\nb{}", "ä".repeat(limits::DETAIL_BYTES_MAX)));

        assert!(detail.starts_with("a  bä"));
        assert!(detail.len() <= limits::DETAIL_BYTES_MAX);
    }
}
