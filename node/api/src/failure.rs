//! What a failed call says in its details: the reason, whether a write was accepted, when to try again, which field
//! was wrong. Every reader of errors goes through here, so that nobody matches on messages.

use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{StatusExt as _, pb};

/// The domain of every reason.
pub const DOMAIN: &str = "pushrail";
/// The key of ErrorInfo's metadata that says whether a write was accepted.
pub const ACCEPTED: &str = "accepted";

/// Whether a failed write may have happened all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Certainly not: sending it again is safe.
    No,
    /// Perhaps: only a repeat that is recognised as one is safe.
    Unknown,
}

impl Accepted {
    /// As it stands in the metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// A field of the request that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path, such as `event.payload`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// The stable reason, such as `TENANT_NOT_FOUND`; `None` where the answer is not Pushrail's own.
pub fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

/// What the node said about a failed write; `None` where it said nothing.
pub fn accepted(status: &Status) -> Option<Accepted> {
    let info = status.get_details_error_info()?;
    match info.metadata.get(ACCEPTED)?.as_str() {
        "no" => Some(Accepted::No),
        _ => Some(Accepted::Unknown),
    }
}

/// After how long to try again, where that helps.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// The fields that were refused.
pub fn violations(status: &Status) -> Vec<Violation> {
    let refused = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default();
    refused
        .into_iter()
        .map(|violation| Violation {
            field: violation.field,
            description: violation.description,
        })
        .collect()
}

/// A call's error as one event of a batch bears it.
pub fn to_message(status: &Status) -> pb::Status {
    let details = pb::Status::decode(status.details())
        .map(|whole| whole.details)
        .unwrap_or_default();
    pb::Status {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        details,
    }
}

/// An event's error of a batch as if the call had failed with it.
pub fn from_message(message: &pb::Status) -> Status {
    Status::with_details(
        Code::from_i32(message.code),
        message.message.clone(),
        message.encode_to_vec().into(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn an_error_survives_its_way_through_a_batch() {
        let mut details = ErrorDetails::with_error_info(
            "NO_QUORUM",
            DOMAIN,
            HashMap::from([(ACCEPTED.to_owned(), "no".to_owned())]),
        );
        details.set_retry_info(Some(Duration::from_millis(250)));
        let status = Status::with_error_details(Code::Unavailable, "no quorum", details);

        let back = from_message(&to_message(&status));

        assert_eq!(back.code(), Code::Unavailable);
        assert_eq!(reason(&back).as_deref(), Some("NO_QUORUM"));
        assert_eq!(accepted(&back), Some(Accepted::No));
        assert_eq!(retry_after(&back), Some(Duration::from_millis(250)));
    }

    #[test]
    fn a_foreign_error_has_no_reason() {
        let status = Status::unavailable("a proxy's words");

        assert_eq!(reason(&status), None);
        assert_eq!(accepted(&status), None);
        assert_eq!(violations(&status), []);
    }
}
