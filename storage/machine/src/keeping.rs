//! When rows are over. One place for `apply`, which drops nothing that is not, and for the leader's questions, which
//! find what is. All of it follows from the state's time and the tenant's retention as it stands now: whoever makes
//! it longer keeps what has not gone yet, whoever makes it shorter lets go at the next look.

use pushrail_model::command::Bucketed;
use pushrail_model::delivery::DeliveryState;
use pushrail_model::limits;
use pushrail_model::retention::Retention;
use pushrail_model::time::{Span, Timestamp};

/// Whether every row of a tenant in a bucket is over: its youngest could stand at the bucket's very end.
pub(crate) fn bucket_over(rows: Bucketed, bucket: u32, retention: &Retention, now: Timestamp) -> bool {
    bucket_ends(rows, bucket).plus(kept(rows, retention)) <= now
}

/// The first moment that falls behind the bucket, by the time of what it holds.
fn bucket_ends(rows: Bucketed, bucket: u32) -> Timestamp {
    let after = u64::from(bucket) + 1;
    match rows {
        Bucketed::Attempts => Timestamp(after.saturating_mul(Span::DAY.0)),
        // Expiry rows stand in the hour in which the default window ends.
        Bucketed::IdempotencyKeys => {
            Timestamp(after.saturating_mul(Span::HOUR.0)).minus(limits::IDEMPOTENCY_WINDOW)
        }
        Bucketed::Requests => Timestamp(after.saturating_mul(Span::HOUR.0)).minus(limits::REQUEST_WINDOW),
    }
}

/// The last bucket that can be over at `now` with the shortest retention there may be.
pub(crate) fn last_bucket(rows: Bucketed, shortest: Span, now: Timestamp) -> Option<u32> {
    let (length, shift) = match rows {
        Bucketed::Attempts => (Span::DAY, Span::ZERO),
        Bucketed::IdempotencyKeys => (Span::HOUR, limits::IDEMPOTENCY_WINDOW),
        Bucketed::Requests => (Span::HOUR, limits::REQUEST_WINDOW),
    };
    let ended = now.plus(shift).minus(shortest).0 / length.0;
    u32::try_from(ended.checked_sub(1)?).ok()
}

/// How long rows of this sort are kept.
pub(crate) fn kept(rows: Bucketed, retention: &Retention) -> Span {
    match rows {
        Bucketed::Attempts => retention.attempts(),
        Bucketed::IdempotencyKeys => retention.idempotency_keys(),
        // No tenant says otherwise: what is promised to callers is the same for all.
        Bucketed::Requests => limits::REQUEST_WINDOW,
    }
}

/// Whether a dead letter has waited long enough.
pub(crate) fn letter_over(died: Timestamp, retention: &Retention, now: Timestamp) -> bool {
    died.plus(retention.dead_letters()) <= now
}

/// Whether an event is over, unless something still needs it.
pub(crate) fn event_over(accepted: Timestamp, retention: &Retention, now: Timestamp) -> bool {
    accepted.plus(retention.events()) <= now
}

/// Whether an attempt's record may be gone by now, whatever its tenant's retention was: it needs not be found.
pub(crate) fn attempt_may_be_gone(start: Timestamp, now: Timestamp) -> bool {
    let day_ends = bucket_ends(Bucketed::Attempts, start.day());
    day_ends.plus(limits::RETENTION_MIN) <= now
}

/// Whether nobody repeats a request any more of which this was left.
pub(crate) fn request_over(at: Timestamp, now: Timestamp) -> bool {
    at.plus(limits::REQUESTS_KEPT) <= now
}

/// What deliveries still need of an event that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nothing: it goes, and its deliveries with it.
    #[default]
    Nothing,
    /// That it happened: a delivery expired, was discarded or cancelled, and stays on record for as long as attempts do. The
    /// payload goes.
    Record,
    /// All of it: a delivery is owed, or may be replayed.
    All,
}

impl Need {
    /// What one delivery needs.
    pub(crate) fn of(state: DeliveryState, retention: &Retention, now: Timestamp) -> Self {
        match state {
            DeliveryState::Scheduled { .. } | DeliveryState::Dead { .. } => Self::All,
            DeliveryState::Expired { at, .. }
            | DeliveryState::Discarded { at }
            | DeliveryState::Cancelled { at }
                if at.plus(retention.attempts()) > now =>
            {
                Self::Record
            }
            DeliveryState::Expired { .. }
            | DeliveryState::Discarded { .. }
            | DeliveryState::Cancelled { .. }
            | DeliveryState::Delivered { .. } => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT_TWO: Retention = Retention {
        attempts: Some(Span(2 * Span::DAY.0)),
        events: None,
        dead_letters: None,
        idempotency_keys: Some(Span(2 * Span::HOUR.0)),
    };

    #[test]
    fn a_bucket_is_over_when_its_youngest_row_could_be() {
        let (day, hour) = (Span::DAY.0, Span::HOUR.0);
        let over = |rows, bucket, now| bucket_over(rows, bucket, &KEPT_TWO, Timestamp(now));

        assert!(!over(Bucketed::Attempts, 10, 13 * day - 1));
        assert!(over(Bucketed::Attempts, 10, 13 * day));
        // A key of hour 100 has its row in hour 124, and is over when hour 102 is.
        assert!(!over(Bucketed::IdempotencyKeys, 124, 103 * hour - 1));
        assert!(over(Bucketed::IdempotencyKeys, 124, 103 * hour));
    }

    #[test]
    fn the_last_bucket_is_over_and_the_next_one_is_not() {
        for rows in [Bucketed::Attempts, Bucketed::IdempotencyKeys, Bucketed::Requests] {
            for now in [100 * Span::DAY.0 - 1, 100 * Span::DAY.0, 100 * Span::DAY.0 + 77] {
                let last = last_bucket(rows, kept(rows, &KEPT_TWO), Timestamp(now)).unwrap();

                assert!(bucket_over(rows, last, &KEPT_TWO, Timestamp(now)));
                assert!(!bucket_over(rows, last + 1, &KEPT_TWO, Timestamp(now)));
            }
        }
        assert_eq!(last_bucket(Bucketed::Attempts, Span::DAY, Timestamp(0)), None);
    }
}
