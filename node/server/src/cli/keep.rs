//! How long a tenant's rows are kept, as flags and as people read it.

use std::time::Duration;

use clap::Args;
use pushrail_api::v1::Retention;
use serde_json::{Value, json};

use crate::cli::{json, times};

/// Flags of whoever makes or changes a tenant.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Keep {
    /// How long attempts are kept: 1d to 365d [default: 90d]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    keep_attempts: Option<Duration>,
    /// How long events and their payloads are kept, unless a delivery still needs them: 1d to 365d [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    keep_events: Option<Duration>,
    /// How long dead letters are kept until they expire: 1d to 90d [default: 14d]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    keep_dead_letters: Option<Duration>,
    /// How long idempotency keys are remembered: 1h to 7d [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    keep_idempotency_keys: Option<Duration>,
}

impl Keep {
    /// As the API wants it; what is not given is the default of a tenant to make, and stays as it is at one that stands.
    pub(super) fn wish(&self) -> Retention {
        let length = |length: Option<Duration>| length.map(times::duration);
        Retention {
            attempts: length(self.keep_attempts),
            events: length(self.keep_events),
            dead_letters: length(self.keep_dead_letters),
            idempotency_keys: length(self.keep_idempotency_keys),
        }
    }
}

/// "attempts 90 d, events 30 d, dead letters 14 d, idempotency keys 1 d".
pub(super) fn in_words(retention: &Retention) -> String {
    let parts = [
        ("attempts", retention.attempts),
        ("events", retention.events),
        ("dead letters", retention.dead_letters),
        ("idempotency keys", retention.idempotency_keys),
    ];
    let known = parts.into_iter().filter_map(|(what, length)| {
        let length = times::length_of(length)?;
        Some(format!("{what} {}", times::length(length)))
    });
    known.collect::<Vec<_>>().join(", ")
}

/// For scripts.
pub(super) fn in_json(retention: &Retention) -> Value {
    json!({
        "attempts": json::length(retention.attempts),
        "events": json::length(retention.events),
        "dead_letters": json::length(retention.dead_letters),
        "idempotency_keys": json::length(retention.idempotency_keys),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_asked_and_of_the_rest_nothing_is_said() {
        let keep = Keep {
            keep_events: Some(Duration::from_secs(3 * 86_400)),
            ..Keep::default()
        };

        let wish = keep.wish();

        assert_eq!(in_words(&wish), "events 3 d");
        assert_eq!(wish.attempts, None);
        assert_eq!(in_json(&wish)["attempts"], Value::Null);
    }
}
