//! What became of a batch: each error once, with the lines of the file that met it.

use pushrail_api::{Accepted, failure};
use tonic::Status;

use crate::cli::error::{CliError, Exit, Help};
use crate::cli::pending::repeat;
use crate::cli::words;

/// Errors that are printed at most: whoever has more reads the JSON.
const ERRORS_SHOWN_MAX: usize = 10;

/// Why one event was not accepted, in words that hold for any line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What is wrong.
    pub(super) wrong: String,
    /// The stable reason.
    pub(super) reason: Option<String>,
    /// Whether it may have been accepted.
    pub(super) accepted: Option<Accepted>,
    /// What helps.
    help: Option<Help>,
    /// How a command ends that meets nothing else.
    exit: Exit,
}

impl Refused {
    /// The error of the event at this place of its call, whose fields the node names as they stand in the call.
    pub(super) fn of(status: &Status, at: usize) -> Self {
        let path = format!("events[{at}].");
        let mut wrong = status.message().replace(&path, "");
        let violations = failure::violations(status);
        if violations.len() > 1 {
            let fields: Vec<String> = violations
                .iter()
                .map(|one| format!("{}: {}", one.field.replace(&path, ""), one.description))
                .collect();
            wrong = fields.join("; ");
        }
        let error = CliError::of_status("publish", status);
        Self {
            wrong,
            reason: failure::reason(status),
            accepted: failure::accepted(status),
            help: error.help().cloned(),
            exit: error.exit(),
        }
    }

    /// Whether it says something of the cluster, not of the event.
    pub(super) fn is_of_the_cluster(&self) -> bool {
        self.exit == Exit::Unavailable
    }

    /// The error of a call that failed as a whole, for each of its events.
    pub(super) fn by(error: &CliError, accepted: Option<Accepted>) -> Self {
        Self {
            wrong: error.wrong().to_owned(),
            reason: None,
            accepted,
            help: error.help().cloned(),
            exit: error.exit(),
        }
    }
}

/// What became of a batch so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Events that were accepted.
    pub(super) accepted: usize,
    groups: Vec<(Refused, Vec<usize>)>,
    unsent: Vec<usize>,
    notes: Vec<String>,
}

impl Tally {
    /// An event of this line was refused.
    pub(super) fn refuse(&mut self, line: usize, why: Refused) {
        match self.groups.iter_mut().find(|(known, _)| *known == why) {
            Some((_, lines)) => lines.push(line),
            None => self.groups.push((why, vec![line])),
        }
    }

    /// A call failed as a whole: what it says beside that holds for the batch.
    pub(super) fn stop(&mut self, whole: &CliError) {
        let notes = whole.notes().iter().filter(|note| !note.contains("accepted"));
        self.notes.extend(notes.cloned());
    }

    /// Events of these lines were not sent at all.
    pub(super) fn leave(&mut self, lines: impl Iterator<Item = usize>) {
        self.unsent.extend(lines);
    }

    /// How the command ends.
    pub(super) fn end(&self, key: &str) -> Result<(), CliError> {
        let refused: usize = self.groups.iter().map(|(_, lines)| lines.len()).sum();
        let missing = refused + self.unsent.len();
        if missing == 0 {
            return Ok(());
        }
        let total = missing + self.accepted;
        let tried = format!("publish {missing} of {}", words::count(total, "event", "events"));
        let mut shown = self
            .groups
            .iter()
            .take(ERRORS_SHOWN_MAX)
            .map(|(why, lines)| told(why, lines));
        let wrong = match self.groups.as_slice() {
            [_] => shown.next().unwrap_or_default(),
            _ => words::count(self.groups.len(), "error", "different errors"),
        };
        let mut error = CliError::failed(tried, wrong).exiting(self.exit()).noting(shown);
        if self.groups.len() > ERRORS_SHOWN_MAX {
            let more = self.groups.len() - ERRORS_SHOWN_MAX;
            error = error.noting([format!("and {more} more; -o json prints each event's")].into_iter());
        }
        if !self.unsent.is_empty() {
            error = error.noting([format!("{}: not sent", ranges(&self.unsent))].into_iter());
        }
        error = error.noting(self.notes.iter().cloned());
        let help = self.groups.iter().find_map(|(why, _)| why.help.as_ref());
        if let Some(help) = help {
            error = error.helped(help.clone());
        }
        let perhaps = |(why, _): &(Refused, _)| why.accepted == Some(Accepted::Unknown);
        if self.groups.iter().any(perhaps) || (help.is_none() && !self.unsent.is_empty()) {
            error = error.helping(&repeat("--idempotency-key", key));
        }
        Err(error)
    }

    fn exit(&self) -> Exit {
        let first = self.groups.first().map_or(Exit::Failed, |(why, _)| why.exit);
        if self.accepted > 0 {
            Exit::Partly
        } else if self.groups.iter().all(|(why, _)| why.exit == first) {
            first
        } else {
            Exit::Failed
        }
    }
}

fn told(why: &Refused, lines: &[usize]) -> String {
    let accepted = match why.accepted {
        Some(Accepted::Unknown) if !why.wrong.contains("accepted") => "; it is unknown whether accepted",
        Some(Accepted::Unknown | Accepted::No) | None => "",
    };
    format!("{}: {}{accepted}", ranges(lines), why.wrong)
}

/// "line 3", "lines 1-500, 503".
fn ranges(lines: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &line in lines {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => runs.push((line, line)),
        }
    }
    let shown: Vec<String> = runs
        .iter()
        .take(20)
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    let more = if runs.len() > shown.len() { ", …" } else { "" };
    let noun = if lines.len() == 1 { "line" } else { "lines" };
    format!("{noun} {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    fn wrong_type(at: usize) -> Status {
        let field = format!("events[{at}].event_type");
        let mut details = ErrorDetails::with_bad_request_violation(&field, "an empty segment");
        let metadata = HashMap::from([(failure::ACCEPTED.to_owned(), "no".to_owned())]);
        details.set_error_info("FIELD_INVALID", failure::DOMAIN, metadata);
        let message = format!("{field}: an empty segment");
        Status::with_error_details(Code::InvalidArgument, message, details)
    }

    #[test]
    fn an_error_of_many_events_is_said_once_with_their_lines() {
        let mut tally = Tally::default();
        for (at, line) in [(0, 2), (1, 3), (2, 4), (7, 11)] {
            tally.refuse(line, Refused::of(&wrong_type(at), at));
        }
        tally.accepted = 3;

        let error = tally.end("cli-1").unwrap_err();

        assert_eq!(
            error.text(),
            "error: cannot publish 4 of 7 events: lines 2-4, 11: event_type: an empty segment\n"
        );
        assert_eq!(error.exit(), Exit::Partly);
    }

    #[test]
    fn where_nothing_was_accepted_the_errors_own_exit_code_stands_and_the_key_is_named() {
        let mut tally = Tally::default();
        let silent = CliError::failed("publish", "no answer came").exiting(Exit::Unavailable);
        tally.refuse(1, Refused::by(&silent, Some(Accepted::Unknown)));
        tally.leave(2..=9);

        let error = tally.end("cli-1").unwrap_err();

        assert_eq!(
            error.text(),
            "error: cannot publish 9 of 9 events: line 1: no answer came; it is unknown whether accepted\n\
             \x20 lines 2-9: not sent\n\
             \x20 try: the same command with --idempotency-key cli-1: what was accepted already is not done twice\n"
        );
        assert_eq!(error.exit(), Exit::Unavailable);
    }
}
