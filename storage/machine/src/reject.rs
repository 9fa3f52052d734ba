//! The state's *no*, as handlers say it.

use std::fmt::Display;

use pushrail_model::response::{Rejection, Response};

/// Another request made an object of this name.
pub(crate) fn already_exists(kind: &str, id: impl Display) -> Response {
    Response::Rejected(Rejection::AlreadyExists {
        kind: kind.to_owned(),
        id: id.to_string(),
    })
}

/// There is no such object.
pub(crate) fn not_found(kind: &str, id: impl Display) -> Response {
    Response::Rejected(Rejection::NotFound {
        kind: kind.to_owned(),
        id: id.to_string(),
    })
}

/// There may be no more than `limit` of them.
pub(crate) fn limit_reached(what: &str, limit: u64) -> Response {
    Response::Rejected(Rejection::LimitReached {
        what: what.to_owned(),
        limit,
    })
}

/// The object has changed since the version that the request was made for.
pub(crate) fn version_moved(present: u64) -> Response {
    Response::Rejected(Rejection::VersionMoved { present })
}

/// What still has something in it is not removed.
pub(crate) fn not_empty(kind: &str, id: impl Display, holds: String) -> Response {
    Response::Rejected(Rejection::NotEmpty {
        kind: kind.to_owned(),
        id: id.to_string(),
        holds,
    })
}

/// Whether a request is the one that is on the object already. A request without an id repeats nothing.
pub(crate) fn repeats(asked: &str, kept: &str) -> bool {
    !asked.is_empty() && asked == kept
}
