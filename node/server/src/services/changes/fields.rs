//! What differs between an object before and after a change, field by field. A secret's values are nowhere in it.

use pushrail_api::v1::FieldChange;
use pushrail_model::change::{Change, Fact, Image};
use pushrail_model::destination::DestinationState;
use pushrail_model::job::{JobKind, JobState};
use pushrail_model::outcome::Cause;
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::time::{Span, Timestamp};

use crate::services::convert;

/// Every field that differs, in the order of the object's own message.
pub(super) fn differences(change: &Change) -> Vec<FieldChange> {
    let deed = &change.deed;
    let before = deed.before.as_ref().map(fields).unwrap_or_default();
    let after = deed.after.as_ref().map(fields).unwrap_or_default();
    let longer = if after.is_empty() { &before } else { &after };
    let mut differ: Vec<FieldChange> = (0..longer.len())
        .map(|place| FieldChange {
            field: longer[place].0.to_owned(),
            before: before.get(place).map(|(_, value)| value.clone()),
            after: after.get(place).map(|(_, value)| value.clone()),
            secret: false,
        })
        .filter(|field| field.before != field.after)
        .collect();
    match deed.fact {
        Fact::DestinationCreated | Fact::DestinationRemoved => differ.push(secret("credential")),
        Fact::CredentialRotated => {
            differ.push(secret("credential"));
            // Without an overlap there was none before, and is none after.
            if let Some(until) = deed.overlap_until {
                differ.push(FieldChange {
                    field: "credential_overlap_until".to_owned(),
                    before: None,
                    after: Some(rfc3339(until)),
                    secret: false,
                });
            }
        }
        Fact::TenantCreated
        | Fact::TenantUpdated
        | Fact::TenantRemoved
        | Fact::DestinationUpdated
        | Fact::DestinationPaused
        | Fact::DestinationResumed
        | Fact::DeliveriesCancelled
        | Fact::RouteCreated
        | Fact::RouteUpdated
        | Fact::RouteRemoved
        | Fact::DeadLettersReplayed
        | Fact::DeadLettersDiscarded
        | Fact::DeadLettersExpired
        | Fact::JobStarted
        | Fact::JobDone
        | Fact::JobCancelled
        | Fact::DestinationDisabled => {}
    }
    differ
}

fn secret(field: &str) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: None,
        after: None,
        secret: true,
    }
}

/// The fields of an object, always the same ones in the same order.
fn fields(image: &Image) -> Vec<(&'static str, String)> {
    match image {
        Image::Tenant {
            description,
            retention,
        } => vec![
            ("description", description.clone()),
            ("retention.attempts", span(retention.attempts())),
            ("retention.events", span(retention.events())),
            ("retention.dead_letters", span(retention.dead_letters())),
            ("retention.idempotency_keys", span(retention.idempotency_keys())),
        ],
        Image::Destination { spec, state } => vec![
            ("kind", spec.kind.clone()),
            ("settings", String::from_utf8_lossy(&spec.settings).into_owned()),
            ("retry", retry(&spec.retry)),
            ("concurrency", spec.concurrency.to_string()),
            ("description", spec.description.clone()),
            (
                "state",
                match state {
                    DestinationState::Active => "active".to_owned(),
                    DestinationState::Paused => "paused".to_owned(),
                    DestinationState::Disabled { why } => format!("disabled: {why}"),
                    DestinationState::Removed { .. } => "removed".to_owned(),
                },
            ),
        ],
        Image::Route { pattern, destination } => vec![
            ("pattern", pattern.to_string()),
            ("destination", destination.to_string()),
        ],
        Image::Job {
            kind,
            cause,
            state,
            total,
            taken,
            passed,
        } => job(*kind, *cause, *state, *total)
            .into_iter()
            .chain([("taken", taken.to_string()), ("passed", passed.to_string())])
            .collect(),
    }
}

fn job(
    kind: JobKind,
    cause: Option<Cause>,
    state: JobState,
    total: Option<u64>,
) -> [(&'static str, String); 4] {
    let kind = match kind {
        JobKind::Replay => "replay",
        JobKind::Discard => "discard",
    };
    let state = match state {
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Cancelled => "cancelled",
    };
    // As the contract names it, and scripts read it elsewhere.
    let cause_name = |cause| {
        let name = convert::cause(cause).as_str_name();
        name.trim_start_matches("CAUSE_").to_lowercase()
    };
    let cause = cause.map_or_else(|| "any".to_owned(), cause_name);
    [
        ("kind", kind.to_owned()),
        ("cause", cause),
        ("state", state.to_owned()),
        (
            "total",
            total.map_or_else(|| "unknown".to_owned(), |total| total.to_string()),
        ),
    ]
}

/// A retry policy in a line.
fn retry(policy: &RetryPolicy) -> String {
    let waits = match &policy.waits {
        Waits::Exponential {
            first,
            factor,
            cap,
            retries,
        } => format!(
            "first {}, factor {factor}, cap {}, {retries} retries",
            span(*first),
            span(*cap)
        ),
        Waits::Explicit(waits) => {
            let waits: Vec<String> = waits.iter().map(|wait| span(*wait)).collect();
            format!("waits {}", waits.join(","))
        }
    };
    format!(
        "{waits}; window {}, floor {}",
        span(policy.window),
        span(policy.floor)
    )
}

/// In the largest unit that leaves no rest.
fn span(span: Span) -> String {
    let units = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1000, "ms"),
        (1, "us"),
    ];
    let fits = units
        .iter()
        .find(|(length, _)| span.0 > 0 && span.0.is_multiple_of(*length));
    match fits {
        Some((length, unit)) => format!("{}{unit}", span.0 / length),
        None => "0s".to_owned(),
    }
}

fn rfc3339(at: Timestamp) -> String {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use pushrail_model::change::{Actor, Deed};
    use pushrail_model::destination::DestinationSpec;

    use super::*;

    fn spec(concurrency: u32) -> Option<Image> {
        Some(Image::Destination {
            spec: Box::new(DestinationSpec {
                kind: "webhook".to_owned(),
                settings: "{}".into(),
                credential: bytes::Bytes::new(),
                retry: RetryPolicy::default(),
                concurrency,
                description: String::new(),
            }),
            state: DestinationState::Active,
        })
    }

    fn change(deed: Deed) -> Change {
        Change {
            at: Timestamp(1),
            actor: Actor::default(),
            request_id: String::new(),
            deed,
        }
    }

    #[test]
    fn only_what_differs_is_listed_with_what_it_was_and_what_it_is() {
        let deed = Deed {
            before: spec(1),
            after: spec(2),
            ..Deed::new(&"acme".parse().unwrap(), "hook", Fact::DestinationUpdated)
        };

        let fields = differences(&change(deed));

        assert_eq!(
            fields,
            [FieldChange {
                field: "concurrency".to_owned(),
                before: Some("1".to_owned()),
                after: Some("2".to_owned()),
                secret: false,
            }]
        );
    }

    #[test]
    fn a_secret_is_listed_and_never_shown() {
        let created = Deed {
            after: spec(1),
            ..Deed::new(&"acme".parse().unwrap(), "hook", Fact::DestinationCreated)
        };
        let rotated = Deed {
            overlap_until: Some(Timestamp(1_790_000_000_000_000)),
            ..Deed::new(&"acme".parse().unwrap(), "hook", Fact::CredentialRotated)
        };

        let created = differences(&change(created));
        let rotated = differences(&change(rotated));

        assert_eq!(created.last(), Some(&secret("credential")));
        assert!(created.iter().all(|field| field.before.is_none()));
        assert_eq!(rotated.first(), Some(&secret("credential")));
        assert_eq!(
            rotated.last().unwrap().after.as_deref(),
            Some("2026-09-21T14:13:20Z")
        );
    }

    #[test]
    fn a_job_tells_at_its_end_what_it_has_done() {
        let job = |state, taken| {
            Some(Image::Job {
                kind: JobKind::Discard,
                cause: Some(Cause::TooLarge),
                state,
                total: Some(9),
                taken,
                passed: 0,
            })
        };
        let ended = Deed {
            before: job(JobState::Running, 0),
            after: job(JobState::Done, 9),
            ..Deed::new(&"acme".parse().unwrap(), "hook", Fact::JobDone)
        };
        let begun = Deed {
            after: job(JobState::Running, 0),
            ..Deed::new(&"acme".parse().unwrap(), "hook", Fact::JobStarted)
        };

        let told = |deed| -> Vec<(String, String)> {
            let fields = differences(&change(deed)).into_iter();
            fields
                .map(|field| (field.field, field.after.unwrap_or_default()))
                .collect()
        };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(field, after)| ((*field).to_owned(), (*after).to_owned()))
                .collect()
        };

        assert_eq!(told(ended), pairs(&[("state", "done"), ("taken", "9")]));
        assert_eq!(
            told(begun),
            pairs(&[
                ("kind", "discard"),
                ("cause", "too_large"),
                ("state", "running"),
                ("total", "9"),
                ("taken", "0"),
                ("passed", "0"),
            ])
        );
    }

    #[test]
    fn a_policy_is_told_in_a_line() {
        assert_eq!(
            retry(&RetryPolicy::default()),
            "first 5s, factor 4, cap 6h, 10 retries; window 1d, floor 1m"
        );
    }
}
