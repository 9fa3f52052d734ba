//! What a failed try means: nothing went out, no answer came, or a node said no.

use std::error::Error;

use tonic::{Code, Status, TimeoutExpired};

use super::error::Lost;
use crate::failure::{self, Accepted};

/// Whether a call may be sent again after an answer that leaves open whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Nothing can happen.
    Read,
    /// A write that is recognised when it comes again.
    Harmless,
    /// A write that would happen twice.
    Harmful,
}

/// What a failed try means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nobody took the call: no connection stood, or whoever listens there knows no such call.
    NotTaken,
    /// It went out, and no answer came.
    Lost(Lost),
    /// A node answered.
    Answered,
}

impl Outcome {
    /// Reads it from what the transport or the node says.
    pub(super) fn of(status: &Status) -> Self {
        let ours = failure::reason(status).is_some();
        if caused_by::<tonic::ConnectError>(status) || (!ours && status.code() == Code::Unimplemented) {
            return Self::NotTaken;
        }
        if caused_by::<TimeoutExpired>(status) {
            return Self::Lost(Lost::Time);
        }
        // Only the transport's own errors have a cause: a node's are read from headers.
        if status.source().is_some() {
            return Self::Lost(Lost::Connection);
        }
        if !ours && matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) {
            return Self::Lost(Lost::Time);
        }
        Self::Answered
    }
}

/// Whether another node, or a later time, is to be asked after this.
pub(super) fn again(repeat: Repeat, status: &Status) -> bool {
    match Outcome::of(status) {
        Outcome::NotTaken => true,
        Outcome::Lost(_) => repeat != Repeat::Harmful,
        Outcome::Answered if !open(status.code()) => false,
        Outcome::Answered => repeat != Repeat::Harmful || failure::accepted(status) == Some(Accepted::No),
    }
}

/// Whether a write that ended so may have happened.
pub(super) fn accepted(status: &Status) -> Accepted {
    match Outcome::of(status) {
        Outcome::NotTaken => Accepted::No,
        Outcome::Lost(_) => Accepted::Unknown,
        Outcome::Answered => match failure::accepted(status) {
            Some(accepted) => accepted,
            // A node's own refusal of a bad or unknown thing; a proxy has no reason to give.
            None if failure::reason(status).is_some() && !open(status.code()) => Accepted::No,
            None => Accepted::Unknown,
        },
    }
}

/// In words. The innermost cause says most: `Connection refused` rather than `transport error`.
pub(super) fn describe(status: &Status) -> String {
    match Outcome::of(status) {
        Outcome::NotTaken if status.code() == Code::Unimplemented => {
            "it does not know this call: this is not the client port of a node, or the node is older than its caller"
                .to_owned()
        }
        Outcome::Lost(Lost::Time) => "it did not answer in time".to_owned(),
        Outcome::Lost(Lost::Connection) => format!("the connection was lost ({})", innermost(status)),
        Outcome::NotTaken | Outcome::Answered => innermost(status),
    }
}

fn innermost(status: &Status) -> String {
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

fn caused_by<E: Error + 'static>(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<E>() {
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;

    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn unavailable(accepted: &str) -> Status {
        let metadata = HashMap::from([(failure::ACCEPTED.to_owned(), accepted.to_owned())]);
        let details = ErrorDetails::with_error_info("NO_QUORUM", failure::DOMAIN, metadata);
        Status::with_error_details(Code::Unavailable, "no quorum", details)
    }

    fn broken() -> Status {
        Status::from_error(Box::new(io::Error::from(io::ErrorKind::BrokenPipe)))
    }

    #[test]
    fn only_what_is_safe_is_sent_again() {
        let table = [
            (Repeat::Read, unavailable("unknown"), true),
            (Repeat::Harmless, unavailable("unknown"), true),
            (Repeat::Harmful, unavailable("unknown"), false),
            (Repeat::Harmful, unavailable("no"), true),
            (Repeat::Harmful, broken(), false),
            (Repeat::Harmless, broken(), true),
            (Repeat::Harmful, Status::cancelled("Timeout expired"), false),
            (Repeat::Harmless, Status::cancelled("Timeout expired"), true),
            (Repeat::Harmful, Status::unimplemented(""), true),
            (Repeat::Harmless, Status::not_found("no such tenant"), false),
            (Repeat::Harmless, Status::already_exists("taken"), false),
        ];
        for (repeat, status, expected) in table {
            assert_eq!(again(repeat, &status), expected, "{repeat:?} {status:?}");
        }
    }

    #[test]
    fn only_an_answer_or_an_unsent_call_makes_it_certain_that_a_write_did_not_happen() {
        let table = [
            (broken(), Accepted::Unknown),
            (Status::cancelled("Timeout expired"), Accepted::Unknown),
            (Status::unknown("a proxy's words"), Accepted::Unknown),
            (unavailable("unknown"), Accepted::Unknown),
            (unavailable("no"), Accepted::No),
            (Status::unimplemented(""), Accepted::No),
        ];
        for (status, expected) in table {
            assert_eq!(accepted(&status), expected, "{status:?}");
        }
    }

    #[test]
    fn a_try_is_told_by_what_it_means() {
        assert_eq!(describe(&broken()), "the connection was lost (broken pipe)");
        assert_eq!(
            describe(&Status::cancelled("Timeout expired")),
            "it did not answer in time"
        );
        assert!(describe(&Status::unimplemented("")).contains("not the client port"));
        assert_eq!(describe(&unavailable("no")), "no quorum");
    }
}
