//! The model's words in the contract's, and the few that come the other way. Each choice is matched whole, so that a
//! new one in the model must be given a word here.

use prost::Message;
use prost_types::{Duration, Timestamp};
use pushrail_api::v1;
use pushrail_machine::query::counts::DestinationCounts;
use pushrail_model::attempt::AttemptRecord;
use pushrail_model::delivery::{Delivery, DeliveryState};
use pushrail_model::destination::{Destination, DestinationState};
use pushrail_model::event::Event;
use pushrail_model::ids::{AttemptId, DeliveryId, NodeId, TenantId};
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::retention::Retention;
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::time::{self, Span};
use pushrail_model::verdict::{DeathReason, Verdict};
use pushrail_raft::view::Freshness;
use xxhash_rust::xxh3::xxh3_128;

use crate::door::refusal::{Refusal, Wrong};
use crate::keyring;

/// How fresh a read must be.
pub(super) fn freshness(consistency: Option<&v1::Consistency>) -> Result<Freshness, Refusal> {
    match consistency.and_then(|consistency| consistency.level.as_ref()) {
        None | Some(v1::consistency::Level::Local(_)) => Ok(Freshness::Local),
        Some(v1::consistency::Level::Linearizable(_)) => Ok(Freshness::Linearizable),
        Some(v1::consistency::Level::AtLeast(token)) => match token.parse() {
            Ok(token) => Ok(Freshness::AtLeast(token)),
            Err(invalid) => Err(Refusal::Invalid(vec![Wrong::id(
                "consistency.at_least",
                &invalid,
            )])),
        },
    }
}

/// What a caller said, in a number: of a request without what a repeat of it may say otherwise. Invariant: no credential
/// is in it, since the number is kept.
pub(super) fn content_hash(request: &impl Message) -> u128 {
    xxh3_128(&request.encode_to_vec())
}

/// A caller's id, or which field is wrong.
pub(super) fn id<T>(field: &str, text: &str) -> Result<T, Refusal>
where
    T: std::str::FromStr<Err = pushrail_model::ids::InvalidId>,
{
    text.parse()
        .map_err(|invalid| Refusal::Invalid(vec![Wrong::id(field, &invalid)]))
}

/// A moment of the state.
pub(super) fn moment(moment: time::Timestamp) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: i64::try_from(moment.0 / 1_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(moment.0 % 1_000_000).unwrap_or_default() * 1000,
    })
}

/// A moment of a caller's: before 1970 is the beginning.
pub(super) fn moment_of(moment: &Timestamp) -> time::Timestamp {
    let seconds = u64::try_from(moment.seconds).unwrap_or_default();
    let nanos = u64::try_from(moment.nanos).unwrap_or_default();
    time::Timestamp(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000))
}

/// A length of time of the state.
pub(super) fn span(span: Span) -> Option<Duration> {
    length(span.as_duration())
}

/// A length of time.
pub(super) fn length(length: std::time::Duration) -> Option<Duration> {
    Duration::try_from(length).ok()
}

/// How far something is ahead, in microseconds; below zero: behind.
pub(super) fn ahead(micros: i64) -> Duration {
    Duration {
        seconds: micros / 1_000_000,
        nanos: i32::try_from(micros % 1_000_000 * 1000).unwrap_or_default(),
    }
}

/// A caller's length of time; `None` where it is below zero.
pub(super) fn span_of(length: &Duration) -> Option<Span> {
    std::time::Duration::try_from(*length)
        .ok()
        .map(Span::from_duration)
}

/// How long a tenant's rows are kept, the defaults filled in.
pub(super) fn retention(retention: &Retention) -> v1::Retention {
    v1::Retention {
        attempts: span(retention.attempts()),
        events: span(retention.events()),
        dead_letters: span(retention.dead_letters()),
        idempotency_keys: span(retention.idempotency_keys()),
    }
}

/// How long a caller wants a tenant's rows to be kept; below zero is zero, which no bound allows.
pub(super) fn retention_of(retention: Option<&v1::Retention>) -> Retention {
    let said = retention.copied().unwrap_or_default();
    let span = |length: Option<Duration>| length.map(|length| span_of(&length).unwrap_or(Span::ZERO));
    Retention {
        attempts: span(said.attempts),
        events: span(said.events),
        dead_letters: span(said.dead_letters),
        idempotency_keys: span(said.idempotency_keys),
    }
}

/// A destination, without its credential.
pub(super) fn destination(
    tenant: &TenantId,
    destination: &Destination,
    counts: DestinationCounts,
    owner: Option<NodeId>,
) -> v1::Destination {
    let (state, disabled_why) = match &destination.state {
        DestinationState::Active => (v1::DestinationState::Active, String::new()),
        DestinationState::Paused => (v1::DestinationState::Paused, String::new()),
        DestinationState::Disabled { why } => (v1::DestinationState::Disabled, why.clone()),
        DestinationState::Removed { .. } => (v1::DestinationState::Removed, String::new()),
    };
    v1::Destination {
        tenant: tenant.to_string(),
        destination: destination.id.to_string(),
        kind: destination.spec.kind.clone(),
        settings: String::from_utf8_lossy(&destination.spec.settings).into_owned(),
        retry: Some(retry(&destination.spec.retry)),
        concurrency: destination.spec.concurrency,
        description: destination.spec.description.clone(),
        state: i32::from(state),
        disabled_why,
        held_since: destination.held_since.and_then(moment),
        version: destination.version,
        created: moment(destination.created),
        counts: Some(v1::DestinationCounts {
            scheduled: counts.scheduled,
            dead: counts.dead,
            delivered: counts.delivered,
            expired: counts.expired,
            discarded: counts.discarded,
        }),
        shard: u32::from(destination.shard.number()),
        owner_node: owner.map_or(0, |owner| owner.0),
        credential_key: keyring::key_of(&destination.spec.credential)
            .unwrap_or_default()
            .to_owned(),
        credential_overlap_until: destination
            .previous
            .iter()
            .map(|previous| previous.until)
            .max()
            .and_then(moment),
        removed_by: match &destination.state {
            DestinationState::Removed { by, .. } => by.clone(),
            DestinationState::Active | DestinationState::Paused | DestinationState::Disabled { .. } => {
                String::new()
            }
        },
    }
}

fn retry(policy: &RetryPolicy) -> v1::RetryPolicy {
    let waits = match &policy.waits {
        Waits::Exponential {
            first,
            factor,
            cap,
            retries,
        } => v1::retry_policy::Waits::Exponential(v1::ExponentialWaits {
            first: span(*first),
            factor: *factor,
            cap: span(*cap),
            retries: Some(*retries),
        }),
        Waits::Explicit(waits) => v1::retry_policy::Waits::Explicit(v1::ExplicitWaits {
            waits: waits.iter().filter_map(|wait| span(*wait)).collect(),
        }),
    };
    v1::RetryPolicy {
        waits: Some(waits),
        window: span(policy.window),
        floor: span(policy.floor),
    }
}

/// An event, with this payload.
pub(super) fn event(tenant: &TenantId, event: &Event, payload: bytes::Bytes) -> v1::Event {
    let key = event.new.idempotency.as_ref();
    v1::Event {
        tenant: tenant.to_string(),
        event: event.id.to_string(),
        event_type: event.new.event_type.to_string(),
        content_type: event.new.content_type.clone(),
        payload,
        idempotency_key: key.map(|key| key.key.clone()).unwrap_or_default(),
        accepted: moment(event.accepted),
        door_node: event.new.door.0,
        payload_dropped: event.stripped.and_then(moment),
    }
}

/// A delivery to the destination of this id.
pub(super) fn delivery(id: DeliveryId, destination: &str, delivery: &Delivery) -> v1::Delivery {
    let (state, due, ended, reason) = match delivery.state {
        DeliveryState::Scheduled { due } => (v1::DeliveryState::Scheduled, Some(due), None, None),
        DeliveryState::Delivered { at } => (v1::DeliveryState::Delivered, None, Some(at), None),
        DeliveryState::Dead { at, reason } => (v1::DeliveryState::Dead, None, Some(at), Some(reason)),
        DeliveryState::Expired { at, reason, .. } => {
            (v1::DeliveryState::Expired, None, Some(at), Some(reason))
        }
        DeliveryState::Discarded { at } => (v1::DeliveryState::Discarded, None, Some(at), None),
        DeliveryState::Cancelled { at } => (v1::DeliveryState::Cancelled, None, Some(at), None),
    };
    v1::Delivery {
        delivery: id.to_string(),
        event: id.event.to_string(),
        destination: destination.to_owned(),
        state: i32::from(state),
        due: due.and_then(moment),
        ended: ended.and_then(moment),
        death_reason: i32::from(reason.map_or(v1::DeathReason::Unspecified, death)),
        run: delivery.run.0,
        attempts_made: delivery.attempts_made,
        retries_max: delivery.retries_max,
        event_type: String::new(),
        accepted: None,
        discarded_by: delivery.discarded_by.clone(),
    }
}

/// Why a delivery died.
pub(super) fn death(reason: DeathReason) -> v1::DeathReason {
    match reason {
        DeathReason::Permanent => v1::DeathReason::Permanent,
        DeathReason::AttemptsExhausted => v1::DeathReason::AttemptsExhausted,
        DeathReason::WindowExhausted => v1::DeathReason::WindowExhausted,
    }
}

/// Of what sort a failure is.
pub(super) fn cause(cause: Cause) -> v1::Cause {
    match cause {
        Cause::Duplicate => v1::Cause::Duplicate,
        Cause::Network => v1::Cause::Network,
        Cause::Timeout => v1::Cause::Timeout,
        Cause::Throttle => v1::Cause::Throttle,
        Cause::Server => v1::Cause::Server,
        Cause::Auth => v1::Cause::Auth,
        Cause::Missing => v1::Cause::Missing,
        Cause::Rejected => v1::Cause::Rejected,
        Cause::TooLarge => v1::Cause::TooLarge,
        Cause::Bystander => v1::Cause::Bystander,
        Cause::Unknown => v1::Cause::Unknown,
    }
}

/// A record of the attempt log; `excerpt_bytes_max` of the response are shown.
pub(super) fn attempt(
    record: &AttemptRecord,
    id: DeliveryId,
    destination: &str,
    excerpt_bytes_max: usize,
) -> v1::Attempt {
    let attempt = &record.attempt;
    let observed = &attempt.observed;
    let excerpt = observed
        .excerpt
        .slice(..observed.excerpt.len().min(excerpt_bytes_max));
    let attempt_id = AttemptId {
        delivery: id,
        run: attempt.run,
        number: attempt.number,
        epoch: attempt.epoch,
    };
    v1::Attempt {
        attempt: attempt_id.to_string(),
        delivery: id.to_string(),
        event: id.event.to_string(),
        destination: destination.to_owned(),
        run: attempt.run.0,
        number: attempt.number.0,
        epoch: attempt.epoch.0,
        node: attempt.node.0,
        started: moment(attempt.start),
        took: span(attempt.took),
        failure: failure(&attempt.outcome),
        status: observed.status.map(u32::from),
        detail: observed.detail.clone(),
        excerpt_cut: observed.excerpt_cut || excerpt.len() < observed.excerpt.len(),
        excerpt,
        retry_after: observed.retry_after.and_then(span),
        remote: observed.remote.clone(),
        verdict: Some(verdict(attempt.verdict)),
        recorded: moment(record.recorded),
        effective: record.effective,
        next_due: record.next_due.and_then(moment),
    }
}

/// Why it failed; `None`: delivered.
pub(super) fn failure(outcome: &Outcome) -> Option<v1::Failure> {
    let Outcome::Failed(failure) = outcome else {
        return None;
    };
    let class = match failure.class {
        FailureClass::Transient => v1::FailureClass::Transient,
        FailureClass::Permanent => v1::FailureClass::Permanent,
    };
    Some(v1::Failure {
        class: i32::from(class),
        cause: i32::from(cause(failure.cause)),
        why: failure.why.clone(),
        disables_destination: failure.disables,
    })
}

fn verdict(verdict: Verdict) -> v1::Verdict {
    let verdict = match verdict {
        Verdict::Settle => v1::verdict::Verdict::Settle(v1::verdict::Settle {}),
        Verdict::Retry {
            after, retries_max, ..
        } => v1::verdict::Verdict::Retry(v1::verdict::Retry {
            after: span(after),
            retries_max,
        }),
        Verdict::Bury(reason) => v1::verdict::Verdict::Bury(v1::verdict::Bury {
            reason: i32::from(death(reason)),
        }),
    };
    v1::Verdict {
        verdict: Some(verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_spans_come_back() {
        let at = time::Timestamp(1_764_000_000_123_456);

        assert_eq!(moment_of(&moment(at).unwrap()), at);
        assert_eq!(span_of(&span(Span(1_500_000)).unwrap()), Some(Span(1_500_000)));
        let negative = Duration {
            seconds: -1,
            nanos: 0,
        };
        assert_eq!(span_of(&negative), None);
    }

    #[test]
    fn a_token_that_is_none_is_a_wrong_field() {
        let consistency = v1::Consistency {
            level: Some(v1::consistency::Level::AtLeast("x".to_owned())),
        };

        let refused = freshness(Some(&consistency));

        assert!(matches!(refused, Err(Refusal::Invalid(wrong)) if wrong[0].field == "consistency.at_least"));
        assert_eq!(freshness(None), Ok(Freshness::Local));
    }
}
