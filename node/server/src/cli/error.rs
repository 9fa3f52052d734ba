//! What a verb says when it comes to nothing: what was tried, what is wrong, which command helps; and the exit code
//! that scripts read.

use std::io::{self, Write as _};
use std::process::ExitCode;

use pushrail_api::{ClientError, Try, failure};
use tonic::{Code, Status};

use crate::services::reasons::Reason;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Failed, and none of the others says how.
    Failed = 1,
    /// What was asked cannot be.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// Not allowed.
    NotAllowed = 4,
    /// Something is there, or has moved, that stands against it.
    Conflict = 5,
    /// No node can do it now.
    Unavailable = 6,
    /// Some of it was done.
    Partly = 7,
    /// Time is over.
    TimeOut = 124,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A verb came to nothing.
#[derive(Debug)]
pub(super) struct CliError {
    tried: String,
    wrong: String,
    notes: Vec<String>,
    help: Option<String>,
    exit: Exit,
}

impl CliError {
    /// It failed.
    pub(super) fn failed(tried: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self {
            tried: tried.into(),
            wrong: wrong.into(),
            notes: Vec::new(),
            help: None,
            exit: Exit::Failed,
        }
    }

    /// What was asked cannot be.
    pub(super) fn usage(tried: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self::failed(tried, wrong).exiting(Exit::Usage)
    }

    /// Ctrl-C.
    pub(super) fn interrupted() -> Self {
        Self::failed("wait for an answer", "interrupted").exiting(Exit::Interrupted)
    }

    /// The client's error, met while trying `tried`.
    pub(super) fn of(tried: impl Into<String>, error: &ClientError) -> Self {
        match error {
            ClientError::NoAddress | ClientError::BadAddress { .. } => {
                Self::usage(tried, error.to_string()).helping("--server 127.0.0.1:7400")
            }
            ClientError::Unreachable { tried: tries } => {
                let mut this = Self::failed(tried, "no node can be reached").exiting(Exit::Unavailable);
                this.notes = told(tries);
                this.helping(
                    "name nodes that run with --server or PUSHRAIL_SERVER; start one: pushrail serve --help",
                )
            }
            ClientError::Refused {
                address,
                status,
                tried: tries,
            } => {
                let mut this = Self::of_status(tried, status);
                this.notes.extend(told(tries));
                this.notes.push(format!("answered by {address}"));
                this
            }
        }
    }

    /// A node's answer, met while trying `tried`.
    pub(super) fn of_status(tried: impl Into<String>, status: &Status) -> Self {
        let mut this = Self::failed(tried, status.message()).exiting(exit(status.code()));
        let violations = failure::violations(status);
        let wrong = violations
            .iter()
            .map(|one| format!("{}: {}", one.field, one.description));
        // One wrong field is the message itself.
        this.notes.extend(wrong.filter(|wrong| wrong != status.message()));
        if exit(status.code()) == Exit::Unavailable {
            this.notes
                .extend(failure::accepted(status).map(|accepted| match accepted {
                    pushrail_api::Accepted::No => "certainly not accepted".to_owned(),
                    pushrail_api::Accepted::Unknown => "it is unknown whether it was accepted".to_owned(),
                }));
        }
        let of_kind = |one: &pushrail_api::Violation| {
            let section = one.field.split('.').next().unwrap_or_default();
            matches!(section, "kind" | "settings" | "credential")
        };
        this.help = match failure::reason(status).as_deref() {
            Some("FIELD_INVALID") if violations.iter().any(of_kind) => {
                Some("pushrail kinds list; pushrail kinds show webhook".to_owned())
            }
            // What is wrong with the field says all there is to say.
            Some("FIELD_INVALID") | None => None,
            Some(reason) => help(reason),
        };
        this
    }

    /// With this exit code.
    #[must_use]
    pub(super) fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// With this help.
    #[must_use]
    pub(super) fn helping(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }

    /// As it is printed.
    pub(super) fn text(&self) -> String {
        let mut text = format!("error: cannot {}: {}\n", self.tried, self.wrong);
        for note in &self.notes {
            text.push_str(&format!("  {note}\n"));
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("  try: {help}\n"));
        }
        text
    }

    #[cfg(test)]
    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Says it on stderr.
    pub(super) fn report(&self) -> ExitCode {
        // With stderr gone there is nobody left to tell; the exit code says it still.
        drop(io::stderr().lock().write_all(self.text().as_bytes()));
        ExitCode::from(self.exit as u8)
    }
}

/// Tries that came to the same, once.
fn told(tries: &[Try]) -> Vec<String> {
    let mut told: Vec<(String, usize)> = Vec::new();
    for one in tries {
        let text = one.to_string();
        match told.iter_mut().find(|(known, _)| *known == text) {
            Some((_, times)) => *times += 1,
            None => told.push((text, 1)),
        }
    }
    let lines = told.into_iter().map(|(text, times)| match times {
        1 => text,
        times => format!("{text} ({times} times)"),
    });
    lines.collect()
}

fn exit(code: Code) -> Exit {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => Exit::NotAllowed,
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => Exit::Conflict,
        Code::Unavailable => Exit::Unavailable,
        Code::DeadlineExceeded | Code::Cancelled => Exit::TimeOut,
        Code::Ok
        | Code::Unknown
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => Exit::Failed,
    }
}

/// The command that helps, where there is one; otherwise the reason's own words.
fn help(name: &str) -> Option<String> {
    let command = match name {
        "TENANT_NOT_FOUND" => "pushrail tenants list; pushrail tenants create <id>",
        "DESTINATION_NOT_FOUND" => "pushrail destinations list --tenant <tenant>",
        "ROUTE_NOT_FOUND" => "pushrail routes list --tenant <tenant>",
        "EVENT_NOT_FOUND" => "the same with --consistency linearizable, or another --tenant",
        "KIND_NOT_FOUND" => "pushrail kinds list",
        "CLUSTER_NOT_FORMED" => "pushrail cluster init --member 1=<peer>,<client>,<http> …",
        "CLUSTER_EXISTS" | "NO_QUORUM" => "pushrail cluster status",
        _ => return Reason::named(name).map(|reason| reason.remedy.to_owned()),
    };
    Some(command.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn an_error_says_what_was_tried_what_is_wrong_and_what_helps() {
        let details = ErrorDetails::with_error_info("TENANT_NOT_FOUND", failure::DOMAIN, HashMap::new());
        let status = Status::with_error_details(Code::NotFound, "there is no tenant `acme`", details);
        let error = CliError::of(
            "publish order.paid",
            &ClientError::Refused {
                address: "127.0.0.1:7400".to_owned(),
                status: Box::new(status),
                tried: Vec::new(),
            },
        );

        assert_eq!(
            error.text(),
            "error: cannot publish order.paid: there is no tenant `acme`\n\
             \x20 answered by 127.0.0.1:7400\n\
             \x20 try: pushrail tenants list; pushrail tenants create <id>\n"
        );
        assert_eq!(error.exit(), Exit::NotFound);
    }

    #[test]
    fn every_field_that_was_refused_is_named() {
        let mut details =
            ErrorDetails::with_bad_request_violation("event.payload", "larger than 262144 bytes");
        details.set_error_info("FIELD_INVALID", failure::DOMAIN, HashMap::new());
        let status = Status::with_error_details(Code::InvalidArgument, "a field is wrong", details);

        let error = CliError::of_status("publish", &status);

        assert!(
            error.text().contains("event.payload: larger than 262144 bytes"),
            "{}",
            error.text()
        );
        assert_eq!(error.exit(), Exit::Usage);
    }

    #[test]
    fn tries_that_came_to_the_same_are_told_once() {
        let one = |address: &str| Try {
            address: address.to_owned(),
            why: "no".to_owned(),
        };

        let lines = told(&[one("a:1"), one("b:1"), one("a:1")]);

        assert_eq!(lines, ["a:1: no (2 times)", "b:1: no"]);
    }
}
