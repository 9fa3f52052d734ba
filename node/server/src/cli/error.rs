//! What a verb says when it comes to nothing: what was tried, what is wrong, which command helps; and the exit code
//! that scripts read.

use std::io::{self, Write as _};
use std::process::ExitCode;

use pushrail_api::{Accepted, ClientError, Lost, Try, failure};
use tonic::{Code, Status};

use crate::cli::pending::repeat;
use crate::cli::words;

mod help;

pub(super) use help::Help;

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
    help: Option<Help>,
    exit: Exit,
    // A write of which nobody knows whether it was accepted.
    open: bool,
    // A write of which the node says itself that it stands, though not all that belongs to it could be done in time.
    stands: bool,
}

const NOT_ACCEPTED: &str = "it was certainly not accepted";
const UNKNOWN: &str = "it is unknown whether it was accepted";
const UNKNOWN_OF_ANOTHER: &str = "of another try it is unknown whether it was accepted";

impl CliError {
    /// It failed.
    pub(super) fn failed(tried: impl Into<String>, wrong: impl Into<String>) -> Self {
        Self {
            tried: tried.into(),
            wrong: wrong.into(),
            notes: Vec::new(),
            help: None,
            exit: Exit::Failed,
            open: false,
            stands: false,
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
        let mut this = match error {
            ClientError::NoAddress | ClientError::BadAddress { .. } => {
                return Self::usage(tried, error.to_string())
                    .helping("the same command with --server 127.0.0.1:7400");
            }
            ClientError::TooLarge { .. } => Self::usage(tried, error.to_string()),
            ClientError::Unreachable { .. } => Self::failed(tried, "no node can be reached")
                .exiting(Exit::Unavailable)
                .advising(
                    "name nodes that run with --server or PUSHRAIL_SERVER; start one: pushrail serve --help",
                ),
            ClientError::Unanswered { lost, .. } => match lost {
                Lost::Connection => Self::failed(tried, "no answer came").exiting(Exit::Unavailable),
                Lost::Time => Self::failed(tried, "no answer came in time").exiting(Exit::TimeOut),
            },
            ClientError::Refused { status, .. } => Self::of_status(tried, status),
        };
        if matches!(error, ClientError::Unreachable { .. }) {
            this.notes.extend(told(error.tried()));
            return this;
        }
        this.accepted(error.accepted());
        // Of tries that came to the very same, this is the one that is told.
        let others: Vec<&Try> = error.tried().iter().filter(|one| one.why != this.wrong).collect();
        this.notes.extend(told(others));
        if let ClientError::Refused { address, .. } = error {
            this.notes.push(format!("answered by {address}"));
        }
        this
    }

    /// A node's answer, met while trying `tried`.
    pub(super) fn of_status(tried: impl Into<String>, status: &Status) -> Self {
        let mut this = Self::failed(tried, status.message()).exiting(exit(status.code()));
        let violations = failure::violations(status);
        // One wrong field is the message itself.
        if violations.len() > 1
            || !violations
                .iter()
                .all(|one| status.message().contains(&one.description))
        {
            let wrong = violations
                .iter()
                .map(|one| format!("{}: {}", one.field, one.description));
            this.notes.extend(wrong);
        }
        let (reason, accepted) = (failure::reason(status), failure::accepted(status));
        let carried_out = matches!(reason.as_deref(), Some("FENCE_PENDING" | "STATE_BEHIND"));
        this.stands = carried_out && accepted == Some(Accepted::Unknown);
        this.accepted(accepted);
        this.help = match reason.as_deref() {
            Some("FIELD_INVALID") => Help::against_fields(&violations),
            Some(reason) => Help::against(reason),
            None => None,
        };
        this
    }

    /// Says whether a write may have happened, where the message does not: of what was refused for good nobody doubts
    /// it. A node speaks for its own try only: after a silence of another, its no is not the last word.
    fn accepted(&mut self, accepted: Option<Accepted>) {
        self.open |= accepted == Some(Accepted::Unknown);
        // The message says that it was, and a doubt beside it would contradict it.
        if self.stands {
            return;
        }
        let said =
            |what: &str| self.wrong.contains(what) || self.notes.iter().any(|note| note.contains(what));
        let doubted = matches!(self.exit, Exit::Unavailable | Exit::TimeOut | Exit::Failed);
        let (unknown, certain) = (said("unknown whether"), said("not accepted"));
        match accepted {
            Some(Accepted::Unknown) if certain => self.notes.push(UNKNOWN_OF_ANOTHER.to_owned()),
            Some(Accepted::Unknown) if !unknown => self.notes.push(UNKNOWN.to_owned()),
            Some(Accepted::No) if !certain && doubted => self.notes.push(NOT_ACCEPTED.to_owned()),
            Some(Accepted::Unknown | Accepted::No) | None => {}
        }
    }

    /// Names what makes a repeat harmless, where it is open whether the first try was accepted.
    #[must_use]
    pub(super) fn repeating(self, flag: &str, value: &str) -> Self {
        if self.open {
            return self.helping(&repeat(flag, value));
        }
        self
    }

    /// Where the help is to look at a kind: at this one, which the command named.
    #[must_use]
    pub(super) fn of_kind(mut self, kind: &str) -> Self {
        if self.help == Some(Help::kind(help::USUAL_KIND)) {
            self.help = Some(Help::kind(kind));
        }
        self
    }

    /// Of this, more of which was tried than of what met the error.
    #[must_use]
    pub(super) fn trying(mut self, tried: String) -> Self {
        self.tried = tried;
        self
    }

    /// With this exit code.
    #[must_use]
    pub(super) fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// With this command as help.
    #[must_use]
    pub(super) fn helping(self, command: &str) -> Self {
        self.helped(Help::Command(command.to_owned()))
    }

    /// With these words as help.
    #[must_use]
    pub(super) fn advising(self, words: &str) -> Self {
        self.helped(Help::Words(words.to_owned()))
    }

    /// With this help.
    #[must_use]
    pub(super) fn helped(mut self, help: Help) -> Self {
        self.help = Some(help);
        self
    }

    /// With these notes, too.
    #[must_use]
    pub(super) fn noting(mut self, notes: impl Iterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// As it is printed.
    pub(super) fn text(&self) -> String {
        let mut text = format!("error: cannot {}: {}\n", self.tried, self.wrong);
        for note in &self.notes {
            text.push_str(&format!("  {note}\n"));
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("  {}\n", help.line()));
        }
        words::harmless(&text)
    }

    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether asking again later may come to another end.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.exit, Exit::Unavailable | Exit::TimeOut)
    }

    /// What is wrong, in a few words.
    pub(super) fn wrong(&self) -> &str {
        &self.wrong
    }

    /// What is said beside it.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What helps.
    pub(super) fn help(&self) -> Option<&Help> {
        self.help.as_ref()
    }

    /// Says it on stderr.
    pub(super) fn report(&self) -> ExitCode {
        // With stderr gone there is nobody left to tell; the exit code says it still.
        drop(io::stderr().lock().write_all(self.text().as_bytes()));
        ExitCode::from(self.exit as u8)
    }
}

/// What came of the tries: each thing once, with all the nodes of which it is true, and how often.
fn told<'a>(tries: impl IntoIterator<Item = &'a Try>) -> Vec<String> {
    let mut told: Vec<(&str, Vec<&str>, usize)> = Vec::new();
    for one in tries {
        match told.iter_mut().find(|(why, ..)| *why == one.why) {
            Some((_, nodes, times)) => {
                *times += 1;
                if !nodes.contains(&one.address.as_str()) {
                    nodes.push(&one.address);
                }
            }
            None => told.push((&one.why, vec![&one.address], 1)),
        }
    }
    let lines = told.into_iter().map(|(why, nodes, times)| {
        let often = if times > nodes.len() {
            format!(" ({times} tries)")
        } else {
            String::new()
        };
        format!("{}: {why}{often}", nodes.join(", "))
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

#[cfg(test)]
mod tests;
