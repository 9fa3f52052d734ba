//! A destination as it is shown: where it points, how it stands, when it retries.

use pushrail_api::v1::{Destination, DestinationState, RetryPolicy, retry_policy};
use serde_json::Value;

use crate::cli::thing::{Detailed, Thing};
use crate::cli::times::{self, Times};
use crate::cli::{json as to_json, words};

impl Thing for Destination {
    const ONE: &'static str = "destination";
    const MANY: &'static str = "destinations";
    const HEADS: &'static [&'static str] = &[
        "destination",
        "kind",
        "state",
        "scheduled",
        "dead",
        "delivered",
        "target",
    ];

    fn id(&self) -> String {
        self.destination.clone()
    }

    fn row(&self, _: &Times) -> Vec<String> {
        let counts = self.counts.unwrap_or_default();
        vec![
            self.destination.clone(),
            self.kind.clone(),
            words::destination_state(self.state),
            counts.scheduled.to_string(),
            counts.dead.to_string(),
            counts.delivered.to_string(),
            target(self),
        ]
    }

    fn json(&self) -> Value {
        to_json::destination(self)
    }
}

impl Detailed for Destination {
    fn details(&self, times: &Times) -> Vec<(&'static str, String)> {
        let counts = self.counts.unwrap_or_default();
        let state = words::destination_state(self.state);
        let state = match self.state() {
            DestinationState::Paused => {
                format!("{state}, {}", times.with_distance(self.held_since))
            }
            DestinationState::Disabled => format!(
                "{state}, {}: {}",
                times.with_distance(self.held_since),
                self.disabled_why
            ),
            DestinationState::Active | DestinationState::Removed | DestinationState::Unspecified => state,
        };
        let owner = match self.owner_node {
            0 => "nobody".to_owned(),
            node => format!("node {node}"),
        };
        vec![
            ("destination", self.destination.clone()),
            ("tenant", self.tenant.clone()),
            ("description", self.description.clone()),
            ("kind", self.kind.clone()),
            ("settings", self.settings.clone()),
            ("state", state),
            (
                "queue",
                format!(
                    "{} scheduled, {} dead, {} delivered",
                    counts.scheduled, counts.dead, counts.delivered
                ),
            ),
            ("retries", retries(self.retry.as_ref())),
            ("concurrency", self.concurrency.to_string()),
            ("credential", sealed(self, times)),
            ("delivered by", format!("{owner}, shard {}", self.shard)),
            ("created", times.with_distance(self.created)),
            ("version", self.version.to_string()),
        ]
    }
}

/// How its credential lies, and whether one before it still counts.
fn sealed(destination: &Destination, times: &Times) -> String {
    let lies = match destination.credential_key.as_str() {
        "" => "not sealed: the nodes have no key (credentials.keys_file)".to_owned(),
        key => format!("sealed by key {key}"),
    };
    match destination.credential_overlap_until {
        None => lies,
        until => format!(
            "{lies}; the one before counts until {}",
            times.with_distance(until)
        ),
    }
}

/// Where a destination points, in one glance: its URL, or its settings.
pub(in crate::cli) fn target(destination: &Destination) -> String {
    let settings: Value = serde_json::from_str(&destination.settings).unwrap_or_default();
    match settings.get("url").and_then(Value::as_str) {
        Some(url) => url.to_owned(),
        None => destination.settings.clone(),
    }
}

/// A retry policy in a sentence.
fn retries(policy: Option<&RetryPolicy>) -> String {
    let Some(policy) = policy else {
        return String::new();
    };
    let length = |length| times::length_of(length).map(times::length).unwrap_or_default();
    let waits = match &policy.waits {
        Some(retry_policy::Waits::Exponential(waits)) => format!(
            "{} after {} × {}ⁿ (jitter 50–100 %), each at most {}",
            words::count(
                usize::try_from(waits.retries()).unwrap_or_default(),
                "retry",
                "retries"
            ),
            length(waits.first),
            waits.factor,
            length(waits.cap)
        ),
        Some(retry_policy::Waits::Explicit(waits)) if waits.waits.is_empty() => "none".to_owned(),
        Some(retry_policy::Waits::Explicit(waits)) => {
            let waits: Vec<String> = waits.waits.iter().map(|wait| length(Some(*wait))).collect();
            format!("after {}", waits.join(", "))
        }
        None => String::new(),
    };
    format!(
        "{waits}; within {}; floor {}",
        length(policy.window),
        length(policy.floor)
    )
}

#[cfg(test)]
mod tests {
    use pushrail_api::v1::ExponentialWaits;

    use super::*;

    #[test]
    fn a_policy_reads_as_a_sentence() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let policy = RetryPolicy {
            waits: Some(retry_policy::Waits::Exponential(ExponentialWaits {
                first: seconds(5),
                factor: 4,
                cap: seconds(21_600),
                retries: Some(10),
            })),
            window: seconds(86_400),
            floor: seconds(60),
        };

        assert_eq!(
            retries(Some(&policy)),
            "10 retries after 5.0 s × 4ⁿ (jitter 50–100 %), each at most 6 h; within 1 d; floor 1 m"
        );
    }
}
