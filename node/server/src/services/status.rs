//! From a door's refusal to an error of the API: code, words, reason, and the details that help.

use std::collections::HashMap;
use std::time::Duration;

use pushrail_api::{Accepted, failure};
use tonic::Status;
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};

use crate::door::refusal::{Refusal, Sort};
use crate::services::reasons::{self, Reason};

/// When to try again where a leader may be about to be elected.
const RETRY_ELECTION: Duration = Duration::from_millis(500);
/// When to try again where only a moment was missed.
const RETRY_SOON: Duration = Duration::from_millis(100);

/// What sort of call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Nothing can have happened.
    Read,
    /// The error says whether it may have happened.
    Write,
}

/// A read's error.
pub(super) fn read(refusal: Refusal) -> Status {
    status(&refusal, Call::Read)
}

/// A write's error.
pub(super) fn write(refusal: Refusal) -> Status {
    status(&refusal, Call::Write)
}

fn status(refusal: &Refusal, call: Call) -> Status {
    let reason = reason(refusal);
    let mut metadata: HashMap<String, String> = HashMap::new();
    if call == Call::Write {
        let accepted = match refusal {
            // It was, long ago: the question is not whether.
            Refusal::Removed { .. } => None,
            Refusal::Unknown { .. } | Refusal::Stands { .. } | Refusal::FencePending { .. } => {
                Some(Accepted::Unknown)
            }
            Refusal::Invalid(_)
            | Refusal::PageToken
            | Refusal::NotFound { .. }
            | Refusal::AlreadyExists { .. }
            | Refusal::KeyConflict { .. }
            | Refusal::LimitReached { .. }
            | Refusal::VersionMoved { .. }
            | Refusal::NotEmpty { .. }
            | Refusal::Locked { .. }
            | Refusal::ClusterExists
            | Refusal::MembersUnfit(_)
            | Refusal::NotFormed
            | Refusal::NotAccepted { .. }
            | Refusal::RoutingUnsettled
            | Refusal::NoLeader { .. }
            | Refusal::Behind { .. }
            | Refusal::Busy
            | Refusal::Stopping
            | Refusal::Unreadable { .. } => Some(Accepted::No),
        };
        if let Some(accepted) = accepted {
            metadata.insert(failure::ACCEPTED.to_owned(), accepted.as_str().to_owned());
        }
    }
    let mut details = ErrorDetails::new();
    more(refusal, &mut details, &mut metadata);
    details.set_error_info(reason.name, failure::DOMAIN, metadata);
    Status::with_error_details(reason.code, words(refusal), details)
}

/// Why, in a stable word.
pub(super) fn reason(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::Invalid(_) => reasons::FIELD_INVALID,
        Refusal::PageToken => reasons::PAGE_TOKEN_INVALID,
        Refusal::NotFound { sort, .. } => match sort {
            Sort::Tenant => reasons::TENANT_NOT_FOUND,
            Sort::Destination => reasons::DESTINATION_NOT_FOUND,
            Sort::Route => reasons::ROUTE_NOT_FOUND,
            Sort::Event => reasons::EVENT_NOT_FOUND,
            Sort::Kind => reasons::KIND_NOT_FOUND,
            Sort::DeadLetter => reasons::DEAD_LETTER_NOT_FOUND,
            Sort::Job => reasons::JOB_NOT_FOUND,
        },
        Refusal::AlreadyExists { .. } => reasons::ALREADY_EXISTS,
        Refusal::KeyConflict { .. } => reasons::IDEMPOTENCY_KEY_CONFLICT,
        Refusal::LimitReached { .. } => reasons::LIMIT_REACHED,
        Refusal::VersionMoved { .. } => reasons::VERSION_MOVED,
        Refusal::NotEmpty { .. } => reasons::NOT_EMPTY,
        Refusal::Removed { .. } => reasons::REMOVED_SINCE,
        Refusal::Locked { .. } => reasons::CREDENTIAL_LOCKED,
        Refusal::ClusterExists => reasons::CLUSTER_EXISTS,
        Refusal::MembersUnfit(_) => reasons::MEMBERS_UNFIT,
        Refusal::NotFormed => reasons::CLUSTER_NOT_FORMED,
        Refusal::NotAccepted { .. } | Refusal::Unknown { .. } | Refusal::NoLeader { .. } => {
            reasons::NO_QUORUM
        }
        Refusal::RoutingUnsettled => reasons::ROUTING_UNSETTLED,
        Refusal::FencePending { .. } => reasons::FENCE_PENDING,
        Refusal::Stands { .. } | Refusal::Behind { .. } => reasons::STATE_BEHIND,
        Refusal::Busy => reasons::NODE_BUSY,
        Refusal::Stopping => reasons::NODE_STOPPING,
        Refusal::Unreadable { .. } => reasons::STATE_UNREADABLE,
    }
}

fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Invalid(wrong) => match wrong.as_slice() {
            [one] => format!("{}: {}", one.field, one.why),
            many => format!("{} fields are not what they must be", many.len()),
        },
        Refusal::PageToken => "the page token was not given by this list with this filter".to_owned(),
        Refusal::NotFound { sort, id } => format!("there is no {} `{id}`", sort.word()),
        Refusal::AlreadyExists { sort, id } if sort == "request" => {
            format!("the request id `{id}` came with another content before")
        }
        Refusal::AlreadyExists { sort, id } => {
            format!("{sort} `{id}` exists already, made by another request")
        }
        Refusal::KeyConflict { event } => {
            format!("the idempotency key came with another content before, as event {event}")
        }
        Refusal::LimitReached { what, limit } => format!("the limit of {limit} {what} is reached"),
        Refusal::VersionMoved { present } => format!("the object is at version {present} by now"),
        Refusal::NotEmpty { sort, id, holds } => {
            format!("{sort} `{id}` still has {holds}: remove them first")
        }
        Refusal::Removed { what } => {
            format!("this very request was carried out before, and its {what} has been removed since")
        }
        Refusal::Locked { why } => format!("a credential cannot be read on this node: {why}"),
        Refusal::ClusterExists => "the cluster has been formed already, with other members".to_owned(),
        Refusal::MembersUnfit(unfit) => {
            let each: Vec<String> = unfit.iter().map(ToString::to_string).collect();
            format!("nothing was formed: {}", each.join("; "))
        }
        Refusal::NotFormed => "the node runs, but its cluster has not been formed yet".to_owned(),
        Refusal::NotAccepted { why } => {
            format!("not accepted by a majority of the nodes ({})", plain(why))
        }
        Refusal::Unknown { why } => format!(
            "no majority answered in time, and it is unknown whether this was accepted ({})",
            plain(why)
        ),
        Refusal::Stands { why } => format!(
            "the change was accepted and carried out, but could not be read back ({})",
            plain(why)
        ),
        Refusal::RoutingUnsettled => {
            "not accepted: the tenant's routes changed again and again meanwhile".to_owned()
        }
        Refusal::FencePending { why } => {
            format!("the change stands, but who delivers has not yet said that it follows: {why}")
        }
        Refusal::NoLeader { why } => {
            format!("no majority can be reached to confirm the read ({})", plain(why))
        }
        Refusal::Behind { why } => why.clone(),
        Refusal::Busy => "more events wait to be accepted at this node than it has room for".to_owned(),
        Refusal::Stopping => "this node is on its way down".to_owned(),
        Refusal::Unreadable { .. } => "this node could not read its own state; its log says more".to_owned(),
    }
}

/// A cause without the verdicts on acceptance that it met on its way: they were given for a part of the whole, and
/// beside the whole's own they would contradict it.
fn plain(why: &str) -> String {
    ["not accepted: ", "it is unknown whether it was accepted: "]
        .iter()
        .fold(why.to_owned(), |why, verdict| why.replace(verdict, ""))
}

fn more(refusal: &Refusal, details: &mut ErrorDetails, metadata: &mut HashMap<String, String>) {
    match refusal {
        Refusal::Invalid(wrong) => {
            for one in wrong {
                details.add_bad_request_violation(&one.field, &one.why);
            }
        }
        Refusal::PageToken => {
            details.add_bad_request_violation("page_token", "not given by this list with this filter");
        }
        Refusal::NotFound { sort, id } => {
            details.set_resource_info(sort.word(), id, "", "not found");
        }
        Refusal::AlreadyExists { sort, id } => {
            details.set_resource_info(sort, id, "", "exists already");
        }
        Refusal::KeyConflict { event } => {
            details.set_resource_info("event", event.to_string(), "", "holds the idempotency key");
            metadata.insert("event".to_owned(), event.to_string());
        }
        Refusal::LimitReached { what, limit } => {
            details.add_quota_failure_violation(what, format!("at most {limit}"));
            metadata.insert("limit".to_owned(), limit.to_string());
        }
        Refusal::NotEmpty { sort, id, holds } => {
            details.add_precondition_failure_violation("NOT_EMPTY", format!("{sort}/{id}"), holds);
        }
        Refusal::VersionMoved { present } => {
            metadata.insert("version".to_owned(), present.to_string());
        }
        Refusal::MembersUnfit(unfit) => {
            let violations = unfit.iter().map(|one| {
                let member = format!("node {} at {}", one.node, one.address);
                PreconditionViolation::new("MEMBER", member, &one.why)
            });
            details.set_precondition_failure(violations.collect::<Vec<_>>());
        }
        Refusal::NotFormed
        | Refusal::NotAccepted { .. }
        | Refusal::Unknown { .. }
        | Refusal::Busy
        | Refusal::NoLeader { .. } => {
            details.set_retry_info(Some(RETRY_ELECTION));
        }
        Refusal::RoutingUnsettled
        | Refusal::Stands { .. }
        | Refusal::FencePending { .. }
        | Refusal::Behind { .. }
        | Refusal::Locked { .. }
        | Refusal::Stopping => {
            details.set_retry_info(Some(RETRY_SOON));
        }
        // The caller is told where to look; what is wrong with this node is for those who run it.
        Refusal::Unreadable { why } => tracing::error!(error = %why, "own state unreadable"),
        Refusal::ClusterExists | Refusal::Removed { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::door::refusal::Wrong;

    #[test]
    fn a_write_says_whether_it_was_accepted_and_a_read_does_not() {
        let why = || "cut off".to_owned();
        let table = [
            (
                Refusal::Unknown { why: why() },
                Accepted::Unknown,
                Code::Unavailable,
            ),
            (
                Refusal::FencePending { why: why() },
                Accepted::Unknown,
                Code::Unavailable,
            ),
            (
                Refusal::NotAccepted { why: why() },
                Accepted::No,
                Code::Unavailable,
            ),
            (Refusal::RoutingUnsettled, Accepted::No, Code::Unavailable),
        ];
        for (refusal, accepted, code) in table {
            let status = write(refusal.clone());
            assert_eq!(failure::accepted(&status), Some(accepted), "{refusal:?}");
            assert_eq!(status.code(), code);
            assert!(failure::retry_after(&status).is_some(), "{refusal:?}");
            assert_eq!(failure::accepted(&read(refusal)), None);
        }
    }

    #[test]
    fn without_a_quorum_an_error_says_so_and_does_not_contradict_itself() {
        let why = || "the first command has no answer yet: not accepted: no leader is known".to_owned();

        let unknown = write(Refusal::Unknown { why: why() });
        let refused = write(Refusal::NotAccepted {
            why: "no leader is known".to_owned(),
        });
        let unread = read(Refusal::NoLeader { why: why() });

        assert_eq!(
            unknown.message(),
            "no majority answered in time, and it is unknown whether this was accepted (the first command has no \
             answer yet: no leader is known)"
        );
        assert_eq!(
            refused.message(),
            "not accepted by a majority of the nodes (no leader is known)"
        );
        assert!(
            unread.message().starts_with("no majority can be reached"),
            "{unread}"
        );
    }

    #[test]
    fn of_a_change_that_stands_nobody_hears_that_it_was_not_accepted() {
        let unread = Refusal::NotAccepted {
            why: "no leader is known".to_owned(),
        };

        let status = write(Refusal::Stands { why: unread.cause() });

        assert_eq!(
            status.message(),
            "the change was accepted and carried out, but could not be read back (no leader is known)"
        );
        assert_eq!(failure::accepted(&status), Some(Accepted::Unknown));
        assert_eq!(failure::reason(&status).as_deref(), Some("STATE_BEHIND"));
    }

    #[test]
    fn every_wrong_field_is_a_violation() {
        let status = write(Refusal::Invalid(vec![
            Wrong::new("event.payload", "too large"),
            Wrong::new("event.tenant", "not a name"),
        ]));

        let fields: Vec<String> = failure::violations(&status)
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(fields, ["event.payload", "event.tenant"]);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(failure::reason(&status).as_deref(), Some("FIELD_INVALID"));
    }

    #[test]
    fn a_missing_thing_is_named() {
        let status = read(Refusal::NotFound {
            sort: Sort::Tenant,
            id: "acme".to_owned(),
        });

        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "there is no tenant `acme`");
        let resource = status.get_details_resource_info().unwrap();
        assert_eq!(
            (resource.resource_type.as_str(), resource.resource_name.as_str()),
            ("tenant", "acme")
        );
    }

    #[test]
    fn what_is_wrong_inside_stays_inside() {
        let status = read(Refusal::Unreadable {
            why: "row 00ff is damaged".to_owned(),
        });

        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("00ff"));
    }
}
