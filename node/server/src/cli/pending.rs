//! What went out before a verb ended early, by Ctrl-C or for want of a place to write to: whoever is left without an
//! answer is told how to repeat the command harmlessly, or how to look again.

use crate::cli::error::CliError;

/// What may go on, or have happened, though the verb did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// A write. With this flag the same command does nothing twice.
    Write {
        /// Which flag.
        flag: &'static str,
        /// Its value, which may have been drawn: until now nobody has heard of it.
        value: String,
    },
    /// A job, which goes on by itself.
    Job {
        /// Whose.
        tenant: String,
        /// Which.
        job: String,
    },
}

impl Pending {
    /// Adds it to the error with which the verb ends.
    pub(super) fn tell(&self, error: CliError) -> CliError {
        match self {
            Self::Write { flag, value } => error
                .noting(["what was sent may have been accepted all the same".to_owned()].into_iter())
                .helping(&repeat(flag, value)),
            Self::Job { tenant, job } => error
                .noting([format!("job {job} goes on by itself")].into_iter())
                .helping(&format!("pushrail dlq jobs get {job} --tenant {tenant}")),
        }
    }
}

/// The command that does again only what was not done.
pub(super) fn repeat(flag: &str, value: &str) -> String {
    format!("the same command with {flag} {value}: what was accepted already is not done twice")
}
