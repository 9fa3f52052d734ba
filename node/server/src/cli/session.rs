//! One run of a client verb: the client, and the two ways out. Data on stdout, all else on stderr.

use std::cell::RefCell;
use std::io::{self, Write as _};

use pushrail_api::{Client, ClientError, ClientOptions, Patience};
use pushrail_model::token::Token;
use serde_json::Value;

use crate::cli::error::CliError;
use crate::cli::pending::Pending;
use crate::cli::reach::{Format, Reach};
use crate::cli::thing::Reflected;
use crate::cli::times::{self, Times};
use crate::cli::words;

/// What a verb has to show, in each form.
pub(super) struct Shown {
    /// For eyes.
    pub(super) text: String,
    /// For programs.
    pub(super) json: Value,
    /// Ids only.
    pub(super) names: Vec<String>,
}

/// One run.
pub(super) struct Session {
    /// Whom to ask.
    pub(super) client: Client,
    /// How to print.
    pub(super) format: Format,
    /// How to print times.
    pub(super) times: Times,
    // What the error says that ends the verb early.
    pending: RefCell<Option<Pending>>,
}

impl Session {
    /// Makes the client; connects when first asked.
    pub(super) fn open(reach: &Reach) -> Result<Self, CliError> {
        let mut options = ClientOptions::default();
        if let Some(timeout) = reach.timeout {
            options.deadline = timeout;
            options.patience = Patience::Whole;
        }
        let client = Client::with_options(&reach.server, options)
            .map_err(|error| CliError::of("find the cluster", &error))?
            .named(&reach.actor());
        Ok(Self {
            client,
            format: reach.output,
            times: Times::new(reach.utc),
            pending: RefCell::default(),
        })
    }

    /// From now on this may have happened or goes on, however the verb ends.
    pub(super) fn leaves(&self, pending: Option<Pending>) {
        self.pending.replace(pending);
    }

    /// A write goes out, and with this flag a repeat of the command does nothing twice.
    pub(super) fn sends(&self, flag: &'static str, value: &str) {
        let value = value.to_owned();
        self.leaves(Some(Pending::Write { flag, value }));
    }

    /// The error of a verb that ends early, with what it leaves behind.
    pub(super) fn cut_short(&self, error: CliError) -> CliError {
        match &*self.pending.borrow() {
            Some(pending) => pending.tell(error),
            None => error,
        }
    }

    /// Prints data.
    pub(super) fn show(&self, shown: &Shown) -> Result<(), CliError> {
        match self.format {
            // What customers wrote stands in there, too.
            Format::Table => self.write(words::harmless(&shown.text).as_bytes()),
            Format::Json => {
                let text = serde_json::to_string_pretty(&shown.json)
                    .map_err(|error| CliError::failed("print JSON", error.to_string()))?;
                self.write(format!("{text}\n").as_bytes())
            }
            Format::Name => {
                let lines: String = shown.names.iter().map(|name| format!("{name}\n")).collect();
                self.write(lines.as_bytes())
            }
        }
    }

    /// Writes bytes to stdout as they are.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), CliError> {
        write(bytes).map_err(|error| self.cut_short(error))
    }

    /// Says something beside the data; only where eyes read.
    pub(super) fn note(&self, text: &str) {
        if self.format == Format::Table {
            self.warn(text);
        }
    }

    /// Says something beside the data, always.
    pub(super) fn warn(&self, text: &str) {
        // With stderr gone there is nobody left to tell.
        drop(writeln!(io::stderr().lock(), "{}", words::harmless(text)));
    }

    /// Says that a list goes on.
    pub(super) fn more(&self, page_token: &str) {
        if !page_token.is_empty() {
            self.note("there are more: --limit NUMBER or --all");
        }
    }

    /// Says which state an answer reflects.
    pub(super) fn reflects(&self, reflected: &Reflected) {
        self.note(&reflects(reflected));
    }
}

/// Writes bytes to stdout as they are, also for verbs that ask no node.
pub(super) fn write(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever read us has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CliError::failed("write to stdout", error.to_string())),
        Ok(()) => Ok(()),
    }
}

/// What was tried beside what came of it.
pub(super) trait Trying<T> {
    /// Adds what was tried to the error.
    fn trying(self, tried: impl FnOnce() -> String) -> Result<T, CliError>;
}

impl<T> Trying<T> for Result<T, ClientError> {
    fn trying(self, tried: impl FnOnce() -> String) -> Result<T, CliError> {
        self.map_err(|error| CliError::of(tried(), &error))
    }
}

fn reflects(reflected: &Reflected) -> String {
    let applied = &reflected.applied;
    let index = applied
        .parse::<Token>()
        .map_or_else(|_| applied.clone(), |token| format!("index {}", token.index));
    match times::length_of(reflected.age) {
        Some(age) => format!("as of {index}, at most {} old ({applied})", times::length(age)),
        None => format!("as of {index}, of unknown age ({applied})"),
    }
}

#[cfg(test)]
mod tests {
    use pushrail_model::ids::LogIndex;

    use super::*;

    #[test]
    fn an_answer_says_which_state_it_reflects() {
        let token = Token {
            group: 0,
            term: 3,
            index: LogIndex(1234),
        };
        let age = prost_types::Duration {
            seconds: 0,
            nanos: 200_000_000,
        };

        let text = reflects(&Reflected::new(&token.to_string(), Some(age)));

        assert_eq!(text, format!("as of index 1234, at most 0.2 s old ({token})"));
    }
}
