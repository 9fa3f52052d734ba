//! What verbs that change or remove have in common: which version is meant, the word that it is meant, and what is shown
//! when the thing is gone.

use clap::Args;
use pushrail_api::v1::{Consistency, consistency};
use serde_json::json;

use crate::cli::error::CliError;
use crate::cli::session::{Session, Shown};
use crate::cli::thing::index;

/// The version that is meant.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Version {
    /// Only if it is at this version still; left out, at the one that it has now
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) version: Option<u64>,
}

/// The word that it is meant.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Sure {
    /// Yes: this cannot be undone
    #[arg(long)]
    yes: bool,
}

impl Sure {
    /// Refuses where the word is missing.
    pub(super) fn check(self, tried: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        Err(CliError::usage(tried, "it cannot be undone").helping("the same command with --yes"))
    }
}

/// All that was acknowledged before: what is decided upon must not be old.
pub(super) fn linearizable() -> Option<Consistency> {
    let level = consistency::Level::Linearizable(consistency::Linearizable {});
    Some(Consistency { level: Some(level) })
}

/// Shows that a thing is gone.
pub(super) fn removed(session: &Session, what: &str, id: &str, token: &str) -> Result<(), CliError> {
    session.show(&Shown {
        text: format!("{what} {id} is removed\n"),
        json: json!({ "removed": id, "token": token, "token_index": index(token) }),
        names: vec![id.to_owned()],
    })
}
