//! Flags that narrow lists, and how their words are read.

use clap::Args;
use pushrail_api::v1::{AttemptOutcome, Cause, DeliveryState, Order};

use crate::cli::error::CliError;
use crate::cli::reach::text;
use crate::cli::session::Session;

/// From when, until when, of which type, and which end first.
#[derive(Clone, Debug, Args)]
pub(super) struct Narrow {
    /// Of events of this type alone
    #[arg(long = "type", value_name = "TYPE", value_parser = text)]
    pub(super) event_type: Option<String>,
    /// At or after this: a time (2026-11-24T10:00:00Z, or 08:26 of today), or how long ago (2h)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Oldest first
    #[arg(long)]
    oldest_first: bool,
}

type Moment = Option<prost_types::Timestamp>;

impl Narrow {
    /// From when, and until when.
    pub(super) fn span(&self, session: &Session) -> Result<(Moment, Moment), CliError> {
        let read = |text: &Option<String>, flag: &str| match text {
            Some(text) => session.times.read(text).map(Some).map_err(|wrong| {
                CliError::usage(format!("read {flag} {text}"), format!("it must be {wrong}"))
            }),
            None => Ok(None),
        };
        Ok((read(&self.since, "--since")?, read(&self.until, "--until")?))
    }

    /// Which end first, as the contract numbers it.
    pub(super) fn order(&self) -> i32 {
        i32::from(if self.oldest_first {
            Order::OldestFirst
        } else {
            Order::NewestFirst
        })
    }
}

macro_rules! choices {
    ($($name:ident, $choice:ty, $prefix:literal, $count:literal;)*) => {
        $(
            /// Reads one of the contract's choices by its word, as tables and JSON show it.
            pub(super) fn $name(text: &str) -> Result<$choice, String> {
                let name = format!("{}{}", $prefix, text.to_uppercase().replace(['-', ' '], "_"));
                let unspecified = <$choice>::default();
                let found = <$choice>::from_str_name(&name).filter(|found| *found != unspecified);
                found.ok_or_else(|| {
                    let words = (1..$count).filter_map(|number| <$choice>::try_from(number).ok());
                    let words: Vec<String> = words
                        .map(|word| word.as_str_name().trim_start_matches($prefix).to_lowercase().replace('_', "-"))
                        .collect();
                    format!("one of {} is needed", words.join(", "))
                })
            }
        )*
    };
}

choices! {
    cause, Cause, "CAUSE_", 32;
    outcome, AttemptOutcome, "ATTEMPT_OUTCOME_", 8;
    state, DeliveryState, "DELIVERY_STATE_", 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_shown_and_a_wrong_one_is_met_with_all() {
        assert_eq!(cause("too-large"), Ok(Cause::TooLarge));
        assert_eq!(cause("too_large"), Ok(Cause::TooLarge));
        assert_eq!(outcome("failed"), Ok(AttemptOutcome::Failed));
        assert_eq!(state("dead"), Ok(DeliveryState::Dead));
        for wrong in ["", "unspecified", "401"] {
            let why = cause(wrong).unwrap_err();
            assert!(why.contains("auth") && why.contains("too-large"), "{why}");
        }
    }
}
