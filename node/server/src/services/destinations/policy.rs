//! A retry policy as a caller gives it.

use pushrail_api::v1::{self, retry_policy};
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::time::Span;

use crate::door::refusal::Wrong;
use crate::services::convert;

/// The policy asked for; what is absent takes its default.
pub(super) fn policy(asked: Option<&v1::RetryPolicy>, wrong: &mut Vec<Wrong>) -> RetryPolicy {
    let RetryPolicy {
        waits: default_waits,
        window,
        floor,
    } = RetryPolicy::default();
    let Some(asked) = asked else {
        return RetryPolicy::default();
    };
    let mut span = |field: &str, asked: Option<&prost_types::Duration>, default: Span| {
        let Some(asked) = asked else { return default };
        convert::span_of(asked).unwrap_or_else(|| {
            wrong.push(Wrong::new(field, "below zero"));
            default
        })
    };
    let waits = match (&asked.waits, default_waits) {
        (Some(retry_policy::Waits::Explicit(explicit)), _) => {
            let waits = explicit.waits.iter();
            Waits::Explicit(
                waits
                    .map(|wait| span("retry.explicit.waits", Some(wait), Span::ZERO))
                    .collect(),
            )
        }
        (
            Some(retry_policy::Waits::Exponential(asked)),
            Waits::Exponential {
                first,
                factor,
                cap,
                retries,
            },
        ) => Waits::Exponential {
            first: span("retry.exponential.first", asked.first.as_ref(), first),
            factor: if asked.factor == 0 { factor } else { asked.factor },
            cap: span("retry.exponential.cap", asked.cap.as_ref(), cap),
            retries: asked.retries.unwrap_or(retries),
        },
        (_, default) => default,
    };
    RetryPolicy {
        waits,
        window: span("retry.window", asked.window.as_ref(), window),
        floor: span("retry.floor", asked.floor.as_ref(), floor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos: 0 }
    }

    #[test]
    fn what_a_policy_leaves_out_takes_its_default() {
        let mut wrong = Vec::new();
        let asked = v1::RetryPolicy {
            waits: Some(retry_policy::Waits::Exponential(v1::ExponentialWaits {
                first: Some(seconds(2)),
                retries: Some(0),
                ..v1::ExponentialWaits::default()
            })),
            window: None,
            floor: Some(seconds(0)),
        };

        let policy = policy(Some(&asked), &mut wrong);

        assert_eq!(
            policy,
            RetryPolicy {
                waits: Waits::Exponential {
                    first: Span::from_secs(2),
                    factor: 4,
                    cap: Span(6 * Span::HOUR.0),
                    retries: 0
                },
                window: Span::DAY,
                floor: Span::ZERO,
            }
        );
        assert_eq!(wrong, []);
        assert_eq!(super::policy(None, &mut wrong), RetryPolicy::default());
    }

    #[test]
    fn an_explicit_list_is_taken_as_it_is_and_no_wait_is_below_zero() {
        let mut wrong = Vec::new();
        let asked = v1::RetryPolicy {
            waits: Some(retry_policy::Waits::Explicit(v1::ExplicitWaits {
                waits: vec![seconds(1), seconds(-1)],
            })),
            ..v1::RetryPolicy::default()
        };

        let policy = policy(Some(&asked), &mut wrong);

        assert_eq!(
            policy.waits,
            Waits::Explicit(vec![Span::from_secs(1), Span::ZERO])
        );
        assert_eq!(wrong, [Wrong::new("retry.explicit.waits", "below zero")]);
    }
}
