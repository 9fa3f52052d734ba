//! What an answer means. One table per kind (its own rows, then the base) decides every outcome, and the same table
//! is what the API and the kind's page show: it cannot drift from behaviour, for it is the behaviour.

use std::fmt;

use pushrail_model::outcome::{Cause, Failure, FailureClass, Outcome};

use crate::adapter::{Fault, Reply};
use crate::spec::Spec;

/// What an attempt means whose kind this version does not know: a newer node made the destination, and one that knows
/// its kind may own the shard next.
pub fn unknown_kind() -> Failure {
    Failure {
        class: FailureClass::Transient,
        cause: Cause::Unknown,
        disables: false,
        floors: false,
        why: "this node's version does not know the destination's kind".to_owned(),
    }
}

/// A row: what was seen, and what it means.
#[derive(Debug)]
pub struct Rule {
    /// What must have been seen.
    pub on: On,
    /// What it means.
    pub class: Class,
    /// Why, in words that a customer's engineer can act on.
    pub why: &'static str,
    /// What follows for the destination and for the wait.
    pub effects: Effects,
}

/// What a rule looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// This code of the provider's own.
    Code(&'static str),
    /// A status from the first to the second, both included, and no fault.
    Status(u16, u16),
    /// The event cannot be put into a request.
    Unsendable,
    /// The guard refused the address.
    AddressRefused,
    /// No address for the name.
    Dns,
    /// No connection.
    Connect,
    /// No connection in time.
    ConnectTimeout,
    /// No secure connection.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection broke.
    Broken,
    /// The settings do not fit this node's version.
    Unopened,
    /// The adapter failed inside.
    Panicked,
    /// Whatever no rule before it has met.
    Else,
}

/// What a rule makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The receiver took it.
    Delivered,
    /// Trying again can help.
    Transient(Cause),
    /// It cannot.
    Permanent(Cause),
}

/// What a rule does beside classifying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// Nothing.
    None,
    /// The destination is disabled until somebody resumes it.
    Disables,
    /// Without a wait named by the receiver, at least the policy's floor applies.
    Floors,
}

/// The rules that every kind ends with.
pub const BASE: &[Rule] = &[
    rule(
        On::Status(200, 299),
        Class::Delivered,
        "the receiver took it; what its body says is the receiver's",
    ),
    rule(
        On::Status(401, 401),
        Class::Permanent(Cause::Auth),
        "the receiver does not accept the credential",
    ),
    rule(
        On::Status(403, 403),
        Class::Permanent(Cause::Auth),
        "the receiver does not allow this request",
    ),
    rule(
        On::Status(404, 404),
        Class::Permanent(Cause::Missing),
        "the destination's target is not there",
    ),
    rule(
        On::Status(408, 408),
        Class::Transient(Cause::Timeout),
        "the receiver gave up waiting for the request",
    ),
    rule(
        On::Status(410, 410),
        Class::Permanent(Cause::Missing),
        "the destination's target is gone",
    ),
    rule(
        On::Status(413, 413),
        Class::Permanent(Cause::TooLarge),
        "the event is larger than the receiver takes",
    ),
    Rule {
        on: On::Status(429, 429),
        class: Class::Transient(Cause::Throttle),
        why: "the receiver asks to slow down",
        effects: Effects::Floors,
    },
    Rule {
        on: On::Status(503, 503),
        class: Class::Transient(Cause::Server),
        why: "the receiver is overloaded or under maintenance",
        effects: Effects::Floors,
    },
    rule(
        On::Status(500, 599),
        Class::Transient(Cause::Server),
        "the receiver failed",
    ),
    rule(
        On::Status(300, 399),
        Class::Permanent(Cause::Rejected),
        "the receiver points elsewhere, and redirects are never followed; change the destination's address",
    ),
    rule(
        On::Dns,
        Class::Transient(Cause::Network),
        "the destination's host name could not be resolved",
    ),
    rule(
        On::Connect,
        Class::Transient(Cause::Network),
        "no connection to the destination",
    ),
    Rule {
        on: On::ConnectTimeout,
        class: Class::Transient(Cause::Timeout),
        why: "no connection to the destination in time",
        effects: Effects::Floors,
    },
    rule(
        On::Tls,
        Class::Transient(Cause::Network),
        "no secure connection to the destination",
    ),
    Rule {
        on: On::Timeout,
        class: Class::Transient(Cause::Timeout),
        why: "the receiver did not answer in time",
        effects: Effects::Floors,
    },
    rule(
        On::Broken,
        Class::Transient(Cause::Network),
        "the connection broke before an answer was there",
    ),
    // Whose name has no public address is no receiver that could recover, and the whole destination is wrong, not
    // this event: hence permanent, and *missing*, whose scope is the destination.
    rule(
        On::AddressRefused,
        Class::Permanent(Cause::Missing),
        "the destination's address is not public, and this cluster's configuration does not allow it",
    ),
    rule(
        On::Unsendable,
        Class::Permanent(Cause::Rejected),
        "the event cannot be put into a request of this kind",
    ),
    // Settings were checked when they were made: this is an older node, or one that is misled; another may succeed.
    rule(
        On::Unopened,
        Class::Transient(Cause::Unknown),
        "this node's version does not accept the destination's settings",
    ),
    rule(
        On::Panicked,
        Class::Transient(Cause::Unknown),
        "the adapter failed inside, which is a defect of Pushrail",
    ),
    rule(
        On::Else,
        Class::Permanent(Cause::Rejected),
        "the receiver refused the event",
    ),
];

/// A row without effects.
pub const fn rule(on: On, class: Class, why: &'static str) -> Rule {
    Rule {
        on,
        class,
        why,
        effects: Effects::None,
    }
}

/// What `reply` means for a kind: its first rule that fits.
pub fn classify(spec: &Spec, reply: &Reply) -> Outcome {
    let rule = spec.rules().find(|rule| rule.on.fits(reply));
    let rule = rule.expect("the base ends with a rule that fits everything");
    let (class, cause) = match rule.class {
        Class::Delivered => return Outcome::Delivered,
        Class::Transient(cause) => (FailureClass::Transient, cause),
        Class::Permanent(cause) => (FailureClass::Permanent, cause),
    };
    Outcome::Failed(Failure {
        class,
        cause,
        disables: rule.effects == Effects::Disables,
        floors: rule.effects == Effects::Floors,
        why: rule.why.to_owned(),
    })
}

impl On {
    fn fits(self, reply: &Reply) -> bool {
        let fault = reply.fault.as_ref();
        match self {
            Self::Code(code) => matches!(fault, Some(Fault::Code(seen)) if seen == code),
            // A code that no rule knows leaves the status to decide.
            Self::Status(from, to) => {
                let bare = matches!(fault, None | Some(Fault::Code(_)));
                bare && reply
                    .observed
                    .status
                    .is_some_and(|status| (from..=to).contains(&status))
            }
            Self::Unsendable => fault == Some(&Fault::Unsendable),
            Self::AddressRefused => fault == Some(&Fault::AddressRefused),
            Self::Dns => fault == Some(&Fault::Dns),
            Self::Connect => fault == Some(&Fault::Connect),
            Self::ConnectTimeout => fault == Some(&Fault::ConnectTimeout),
            Self::Tls => fault == Some(&Fault::Tls),
            Self::Timeout => fault == Some(&Fault::Timeout),
            Self::Broken => fault == Some(&Fault::Broken),
            Self::Unopened => fault == Some(&Fault::Unopened),
            Self::Panicked => fault == Some(&Fault::Panicked),
            Self::Else => true,
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::Status(from, to) if from == to => write!(f, "status {from}"),
            Self::Status(from, to) => write!(f, "status {from} to {to}"),
            Self::Unsendable => f.write_str("event not sendable"),
            Self::AddressRefused => f.write_str("address not allowed"),
            Self::Dns => f.write_str("name not resolved"),
            Self::Connect => f.write_str("connection failed"),
            Self::ConnectTimeout => f.write_str("connection timed out"),
            Self::Tls => f.write_str("TLS failed"),
            Self::Timeout => f.write_str("answer timed out"),
            Self::Broken => f.write_str("connection broken"),
            Self::Unopened => f.write_str("settings not accepted"),
            Self::Panicked => f.write_str("adapter failed"),
            Self::Else => f.write_str("anything else"),
        }
    }
}

impl Class {
    /// `delivered`, `transient` or `permanent`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Transient(_) => "transient",
            Self::Permanent(_) => "permanent",
        }
    }

    /// The cause, where it is a failure.
    pub fn cause(self) -> Option<Cause> {
        match self {
            Self::Delivered => None,
            Self::Transient(cause) | Self::Permanent(cause) => Some(cause),
        }
    }
}

impl Effects {
    /// For a table; empty where there is none.
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Disables => "disables the destination",
            Self::Floors => "waits at least the policy's floor",
        }
    }
}

/// A cause as tables, logs and metrics name it.
pub fn cause_name(cause: Cause) -> &'static str {
    match cause {
        Cause::Duplicate => "duplicate",
        Cause::Network => "network",
        Cause::Timeout => "timeout",
        Cause::Throttle => "throttle",
        Cause::Server => "server",
        Cause::Auth => "auth",
        Cause::Missing => "missing",
        Cause::Rejected => "rejected",
        Cause::TooLarge => "too large",
        Cause::Bystander => "bystander",
        Cause::Unknown => "unknown",
    }
}
