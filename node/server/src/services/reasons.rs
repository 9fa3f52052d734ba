//! Every reason that an error of the API can bear, once. `node/docs/errors.md` is printed from this list, the command
//! line reads its hints from it, and callers may rely on the names: none is ever renamed.

use tonic::Code;

/// A stable reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// As it stands in ErrorInfo.
    pub name: &'static str,
    /// The code it always comes with.
    pub code: Code,
    /// What it means.
    pub meaning: &'static str,
    /// What helps.
    pub remedy: &'static str,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident, $code:ident, $meaning:literal, $remedy:literal;)*) => {
        $(
            $(#[$doc])*
            pub const $name: Reason = Reason {
                name: stringify!($name),
                code: Code::$code,
                meaning: $meaning,
                remedy: $remedy,
            };
        )*

        /// All of them, as they are printed.
        pub const ALL: &[Reason] = &[$($name),*];
    };
}

reasons! {
    /// A field is not what it must be.
    FIELD_INVALID, InvalidArgument,
        "A field of the request is not what it must be; BadRequest names it and says why.",
        "Correct the field.";
    /// The request is longer than the call takes.
    REQUEST_TOO_LARGE, InvalidArgument,
        "The request's bytes are more than this call takes: 5 MiB when publishing a batch, 4 MiB elsewhere. It was not read.",
        "Send less at once; a batch may hold 500 events and 4 MiB.";
    /// A page token of another list, filter or version.
    PAGE_TOKEN_INVALID, InvalidArgument,
        "The page token was not given by this list with this filter.",
        "Begin again without a page token.";
    /// There is no such tenant.
    TENANT_NOT_FOUND, NotFound,
        "There is no such tenant.",
        "Look at the tenants; make it.";
    /// There is no such destination.
    DESTINATION_NOT_FOUND, NotFound,
        "The tenant has no such destination.",
        "Look at its destinations; make it.";
    /// There is no such route.
    ROUTE_NOT_FOUND, NotFound,
        "The tenant has no such route.",
        "Look at its routes.";
    /// There is no such event.
    EVENT_NOT_FOUND, NotFound,
        "The tenant has no such event in the state that was read, or its retention has ended.",
        "Read at least the token that acknowledged it, or linearizably; attempts outlive their event.";
    /// The delivery is not dead, or there is none.
    DEAD_LETTER_NOT_FOUND, NotFound,
        "The tenant has no such dead letter in the state that was read: the delivery is not dead, or there is none.",
        "Explain its event; or read at least the token of what you wait for, or linearizably.";
    /// There is no such job.
    JOB_NOT_FOUND, NotFound,
        "The tenant has no such job: it never had, or it ended a hundred jobs or 30 days ago.",
        "List its jobs.";
    /// There is no such kind.
    KIND_NOT_FOUND, NotFound,
        "This version knows no such kind of destination.",
        "Look at the kinds.";
    /// Another request made an object of this id.
    ALREADY_EXISTS, AlreadyExists,
        "Another request made an object of this id, or the request id came with another content within the last 24 h.",
        "Choose another id, or look at the one that is there.";
    /// The idempotency key came with another content.
    IDEMPOTENCY_KEY_CONFLICT, AlreadyExists,
        "The idempotency key came with another type, content type or payload within the last 24 h.",
        "Give each event a key of its own; the metadata names the event that holds this one.";
    /// A bound of the state is reached.
    LIMIT_REACHED, ResourceExhausted,
        "A bound of the state is reached; the metadata says which.",
        "Remove what is no longer needed, or spread it over several tenants; earlier credentials end by a rotation without overlap.";
    /// The object has changed in between.
    VERSION_MOVED, Aborted,
        "The object has changed since the version that was given.",
        "Read it again and decide anew.";
    /// What still has something in it is not removed.
    NOT_EMPTY, FailedPrecondition,
        "The tenant still has destinations or routes.",
        "Remove them first.";
    /// It was carried out, and its object has been removed since.
    REMOVED_SINCE, NotFound,
        "A repeat of a request that was carried out, and whose object has been removed since.",
        "Nothing; to make it again, use another request id.";
    /// A credential cannot be read here.
    CREDENTIAL_LOCKED, Unavailable,
        "This node has not got the key by which a credential is sealed, or another one under its id.",
        "Ask another node; give this one the key (credentials.keys_file). Where the key is lost, rotate the credential with an overlap of zero.";
    /// The cluster stands already, with other members.
    CLUSTER_EXISTS, FailedPrecondition,
        "The cluster has been formed already, with other members.",
        "Look at its status.";
    /// A member of a cluster to form is absent, or is another's.
    MEMBERS_UNFIT, FailedPrecondition,
        "A member listed for a cluster that is to be formed does not answer at one of its addresses, is another node than was said, or belongs to a cluster already; nothing was formed. PreconditionFailure names each one, and what it answered.",
        "Start every member, correct its number and addresses, and form the cluster again.";
    /// The cluster has not been formed.
    CLUSTER_NOT_FORMED, Unavailable,
        "The node runs, but its cluster has not been formed yet.",
        "Form it, once, through any of its nodes.";
    /// No majority answered in time.
    NO_QUORUM, Unavailable,
        "No majority of the nodes answered in time, or their clocks differ too far; the message says which. `accepted` says \
         whether a write may have happened all the same.",
        "Try again, through any node; `pushrail cluster status` shows nodes and clocks.";
    /// The tenant's routes kept moving.
    ROUTING_UNSETTLED, Unavailable,
        "The tenant's routes changed again and again while the event was being routed; it was not accepted.",
        "Try again.";
    /// The state has not come far enough.
    STATE_BEHIND, Unavailable,
        "This node's state did not reach the token that was asked for in time.",
        "Try again, or ask another node.";
    /// The owner has not reported a fence.
    FENCE_PENDING, Unavailable,
        "The change stands, but the node that delivers has not yet said that it follows it.",
        "Repeat the request with the same request id: it waits again.";
    /// Too much waits here.
    NODE_BUSY, Unavailable,
        "More events wait to be accepted at this node than it has room for (256 MiB of payloads); these were not accepted.",
        "Try again a little later, or ask another node.";
    /// The node is stopping.
    NODE_STOPPING, Unavailable,
        "This node is on its way down.",
        "Ask another node.";
    /// The node could not read its own state.
    STATE_UNREADABLE, Internal,
        "This node could not read its own state; its log says more.",
        "Ask another node, and look after this one.";
}

impl Reason {
    /// The reason of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|reason| reason.name == name)
    }
}

/// The page that the docs print.
pub fn page() -> String {
    let mut page = String::from(
        "# Errors\n\nA failed call bears a `google.rpc.Status` whose `ErrorInfo` has the domain `pushrail` and one of \
         these reasons. They are\nnever renamed; match on them, not on messages. A failed write also says, in the \
         metadata, `accepted`: `no` (certainly\nnot: sending it again is safe) or `unknown` (it may have happened: \
         repeat it with the same request id or idempotency\nkey). This page is printed from \
         `node/server/src/services/reasons.rs`.\n\n| reason | code | means | what helps |\n| --- | --- | --- | --- |\n",
    );
    for reason in ALL {
        let code = code_name(reason.code);
        page.push_str(&format!(
            "| `{}` | {code} | {} | {} |\n",
            reason.name, reason.meaning, reason.remedy
        ));
    }
    page
}

/// A code as gRPC's papers spell it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{env, fs};

    use super::*;

    #[test]
    fn the_docs_print_every_reason() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, page()).unwrap();
        }

        assert_eq!(fs::read_to_string(path).unwrap(), page());
    }

    #[test]
    fn a_reason_is_named_once() {
        let mut names: Vec<&str> = ALL.iter().map(|reason| reason.name).collect();
        names.sort_unstable();
        names.dedup();

        assert_eq!(names.len(), ALL.len());
        assert_eq!(Reason::named("NO_QUORUM"), Some(&NO_QUORUM));
    }
}
