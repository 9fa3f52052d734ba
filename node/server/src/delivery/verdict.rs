//! What follows from an outcome: settle, retry after a wait, or bury. Pure: time and chance come as arguments, and
//! the verdict travels in the command, so no replica evaluates a policy.

use pushrail_model::delivery::Delivery;
use pushrail_model::destination::Destination;
use pushrail_model::ids::AttemptNumber;
use pushrail_model::outcome::{Failure, FailureClass, Outcome};
use pushrail_model::retry::{Jitter, RetryPolicy};
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::{DeathReason, Verdict};

/// All that decides beside the outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// The destination's policy.
    pub(crate) policy: &'a RetryPolicy,
    /// Which attempt of the run this was.
    pub(crate) number: AttemptNumber,
    /// How much of the policy's window is used up.
    pub(crate) window_used: Span,
    /// How long the receiver asked to wait.
    pub(crate) retry_after: Option<Span>,
    /// Chance.
    pub(crate) jitter: Jitter,
}

/// What follows from `outcome`.
pub(crate) fn decide(outcome: &Outcome, circumstances: &Circumstances<'_>) -> Verdict {
    match outcome {
        Outcome::Delivered => Verdict::Settle,
        Outcome::Failed(failure) => match failure.class {
            FailureClass::Permanent => Verdict::Bury(DeathReason::Permanent),
            FailureClass::Transient => retry(failure, circumstances),
        },
    }
}

fn retry(failure: &Failure, circumstances: &Circumstances<'_>) -> Verdict {
    let policy = circumstances.policy;
    let Some(delay) = policy.delay(circumstances.number, circumstances.jitter) else {
        return Verdict::Bury(DeathReason::AttemptsExhausted);
    };
    // A wait that the receiver named is kept in full, but it cannot hurry us either. Where it named none, what
    // says "too much" or "too slow" gets the floor.
    let least = match circumstances.retry_after {
        Some(asked) => asked,
        None if failure.floors => policy.floor,
        None => Span::ZERO,
    };
    let after = delay.max(least);
    if circumstances.window_used.plus(after) > policy.window {
        return Verdict::Bury(DeathReason::WindowExhausted);
    }
    Verdict::Retry {
        after,
        window: policy.window,
        retries_max: policy.retries_max(),
    }
}

/// How much of its run's window a delivery has used at `now`: time for which its destination was held stands still.
pub(crate) fn window_used(delivery: &Delivery, destination: &Destination, now: Timestamp) -> Span {
    let held = destination
        .held_until(now)
        .0
        .saturating_sub(delivery.held_before.0);
    Span(now.since(delivery.first_due).0.saturating_sub(held))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pushrail_model::delivery::DeliveryState;
    use pushrail_model::destination::{DestinationSpec, DestinationState};
    use pushrail_model::ids::{DestinationNo, Run};
    use pushrail_model::outcome::Cause;
    use pushrail_model::retry::Waits;
    use pushrail_model::shard::ShardId;

    use super::*;

    fn transient(floors: bool) -> Outcome {
        Outcome::Failed(Failure {
            class: FailureClass::Transient,
            cause: Cause::Server,
            disables: false,
            floors,
            why: String::new(),
        })
    }

    fn permanent() -> Outcome {
        Outcome::Failed(Failure {
            class: FailureClass::Permanent,
            cause: Cause::Auth,
            disables: false,
            floors: false,
            why: String::new(),
        })
    }

    fn secs(secs: u64) -> Span {
        Span::from_secs(secs)
    }

    #[test]
    fn every_outcome_has_its_verdict() {
        let standard = RetryPolicy::default();
        let explicit = RetryPolicy {
            waits: Waits::Explicit(vec![secs(7), secs(90_000)]),
            ..RetryPolicy::default()
        };
        let retry = |after, policy: &RetryPolicy| Verdict::Retry {
            after,
            window: policy.window,
            retries_max: policy.retries_max(),
        };
        let bury = Verdict::Bury;
        let day = Span::DAY;
        // outcome, policy, attempt, window used, Retry-After → verdict
        let table = [
            (Outcome::Delivered, &standard, 1, secs(0), None, Verdict::Settle),
            (
                Outcome::Delivered,
                &standard,
                99,
                secs(99_999),
                None,
                Verdict::Settle,
            ),
            (
                permanent(),
                &standard,
                1,
                secs(0),
                None,
                bury(DeathReason::Permanent),
            ),
            (
                permanent(),
                &standard,
                1,
                secs(0),
                Some(secs(5)),
                bury(DeathReason::Permanent),
            ),
            (
                transient(false),
                &standard,
                1,
                secs(0),
                None,
                retry(secs(5), &standard),
            ),
            (
                transient(false),
                &standard,
                2,
                secs(9),
                None,
                retry(secs(20), &standard),
            ),
            (
                transient(true),
                &standard,
                1,
                secs(0),
                None,
                retry(secs(60), &standard),
            ),
            (
                transient(true),
                &standard,
                4,
                secs(0),
                None,
                retry(secs(320), &standard),
            ),
            // A wait that was named replaces the floor, and never shortens the policy's own.
            (
                transient(true),
                &standard,
                1,
                secs(0),
                Some(secs(0)),
                retry(secs(5), &standard),
            ),
            (
                transient(true),
                &standard,
                1,
                secs(0),
                Some(secs(30)),
                retry(secs(30), &standard),
            ),
            (
                transient(false),
                &standard,
                1,
                secs(0),
                Some(secs(3)),
                retry(secs(5), &standard),
            ),
            // In full, past the cap of six hours, up to the window and no further.
            (
                transient(true),
                &standard,
                1,
                secs(0),
                Some(day),
                retry(day, &standard),
            ),
            (
                transient(true),
                &standard,
                1,
                secs(1),
                Some(day),
                bury(DeathReason::WindowExhausted),
            ),
            (
                transient(false),
                &standard,
                1,
                secs(0),
                Some(Span(u64::MAX)),
                bury(DeathReason::WindowExhausted),
            ),
            (
                transient(false),
                &standard,
                10,
                secs(64_800),
                None,
                retry(secs(21_600), &standard),
            ),
            (
                transient(false),
                &standard,
                10,
                secs(64_801),
                None,
                bury(DeathReason::WindowExhausted),
            ),
            (
                transient(false),
                &standard,
                11,
                secs(0),
                None,
                bury(DeathReason::AttemptsExhausted),
            ),
            (
                transient(false),
                &standard,
                11,
                secs(0),
                Some(secs(1)),
                bury(DeathReason::AttemptsExhausted),
            ),
            // An explicit list, to the letter.
            (
                transient(false),
                &explicit,
                1,
                secs(0),
                None,
                retry(secs(7), &explicit),
            ),
            (
                transient(false),
                &explicit,
                1,
                secs(0),
                Some(secs(9)),
                retry(secs(9), &explicit),
            ),
            (
                transient(false),
                &explicit,
                2,
                secs(0),
                None,
                bury(DeathReason::WindowExhausted),
            ),
            (
                transient(false),
                &explicit,
                3,
                secs(0),
                None,
                bury(DeathReason::AttemptsExhausted),
            ),
        ];
        for (row, (outcome, policy, number, window_used, retry_after, expected)) in
            table.into_iter().enumerate()
        {
            let verdict = decide(
                &outcome,
                &Circumstances {
                    policy,
                    number: AttemptNumber(number),
                    window_used,
                    retry_after,
                    jitter: Jitter::FULL,
                },
            );

            assert_eq!(verdict, expected, "row {row}");
        }
    }

    #[test]
    fn jitter_shortens_the_policys_wait_and_never_the_receivers() {
        let policy = RetryPolicy::default();
        let shortest = Circumstances {
            policy: &policy,
            number: AttemptNumber(1),
            window_used: Span::ZERO,
            retry_after: None,
            jitter: Jitter::from_random(0),
        };
        let after = |verdict| match verdict {
            Verdict::Retry { after, .. } => Some(after),
            Verdict::Settle | Verdict::Bury(_) => None,
        };

        let own = after(decide(&transient(false), &shortest));
        let asked = after(decide(
            &transient(false),
            &Circumstances {
                retry_after: Some(secs(4)),
                ..shortest
            },
        ));

        assert_eq!(own, Some(Span::from_millis(2500)));
        assert_eq!(asked, Some(secs(4)));
    }

    #[test]
    fn the_window_stands_still_while_the_destination_is_held() {
        let delivery = Delivery {
            place: 0,
            state: DeliveryState::Scheduled { due: Timestamp(0) },
            run: Run(1),
            attempts_made: 0,
            first_due: Timestamp::ZERO.plus(secs(100)),
            held_before: secs(5),
            retries_max: 0,
            marks: Vec::new(),
            discarded_by: String::new(),
        };
        let mut destination = Destination {
            id: "hooks".parse().unwrap(),
            number: DestinationNo(1),
            shard: ShardId::default(),
            spec: DestinationSpec {
                kind: "webhook".to_owned(),
                settings: Bytes::new(),
                credential: Bytes::new(),
                retry: RetryPolicy::default(),
                concurrency: 1,
                description: String::new(),
            },
            state: DestinationState::Active,
            held: secs(35),
            held_since: None,
            version: 1,
            created: Timestamp::ZERO,
            credential_version: 1,
            credential_revision: 0,
            previous: Vec::new(),
        };
        let now = Timestamp::ZERO.plus(secs(200));

        assert_eq!(window_used(&delivery, &destination, now), secs(70));
        destination.held_since = Some(Timestamp::ZERO.plus(secs(190)));
        assert_eq!(window_used(&delivery, &destination, now), secs(60));
    }
}
