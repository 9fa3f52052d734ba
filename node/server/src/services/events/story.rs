//! An event's story from what the state holds: pure, so that what comes next can be checked case by case.

use pushrail_api::v1::next_step::{self, Step};
use pushrail_api::v1::{
    self, DecisionReason as Reason, ExplainEventResponse, ExplainedDelivery, NextStep, Owner, RoutingDecision,
};
use pushrail_machine::query::counts::DestinationCounts;
use pushrail_machine::query::event::{self, Explained};
use pushrail_model::delivery::{Delivery, DeliveryState};
use pushrail_model::destination::{Destination, DestinationState};
use pushrail_model::ids::{DeliveryId, EventId, TenantId};
use pushrail_model::limits;
use pushrail_model::retention::Retention;
use pushrail_model::route::{DecisionReason, Route};
use pushrail_model::shard::Ownership;
use pushrail_model::time::Timestamp;

use crate::services::convert;

/// Attempts of one story in all: it stays below what gRPC clients take.
pub(in crate::services) const ATTEMPTS_MAX: usize = 1000;
/// Bytes of responses in one story, roughly: few attempts show all that is kept of each.
const EXCERPTS_BYTES_WANTED: usize = 2 * 1024 * 1024;
/// Of each response at least so many bytes are shown, where so many are kept.
const EXCERPT_BYTES_MIN: usize = 1024;

/// All that a story is told from.
pub(super) struct Material {
    pub(super) explained: Explained,
    /// The routes that decided, as they were then.
    pub(super) routes: Vec<Route>,
    /// Of each delivery's destination, in order.
    pub(super) places: Vec<Place>,
    /// The state's time.
    pub(super) now: Timestamp,
}

/// What a destination's queue holds, and who delivers.
pub(in crate::services) struct Place {
    pub(in crate::services) counts: DestinationCounts,
    pub(in crate::services) ownership: Option<Ownership>,
    /// How long its tenant's rows are kept.
    pub(in crate::services) retention: Retention,
}

/// Tells it, but for the state that it reflects.
pub(super) fn tell(tenant: &TenantId, material: &Material) -> ExplainEventResponse {
    let event = &material.explained.event;
    let deliveries = &material.explained.deliveries;
    let attempts = deliveries.iter().map(|one| one.attempts.len()).sum();
    ExplainEventResponse {
        event: Some(convert::event(tenant, event, bytes::Bytes::new())),
        payload_bytes: event.new.payload.plain_bytes,
        decisions: decisions(material),
        deliveries: deliveries
            .iter()
            .zip(&material.places)
            .map(|(one, place)| delivery(tenant, event.id, one, place, attempts))
            .collect(),
        now: convert::moment(material.now),
        applied: String::new(),
        age: None,
    }
}

fn decisions(material: &Material) -> Vec<RoutingDecision> {
    let decisions = material.explained.event.new.decisions.iter();
    decisions
        .map(|decision| {
            let route = material
                .routes
                .iter()
                .find(|route| route.number == decision.route);
            let reason = match decision.reason {
                DecisionReason::Matched => Reason::Matched,
                DecisionReason::AlreadyChosen => Reason::AlreadyChosen,
                DecisionReason::TypeDiffers => Reason::TypeDiffers,
            };
            RoutingDecision {
                route: route.map(|route| route.id.to_string()).unwrap_or_default(),
                pattern: route.map(|route| route.pattern.to_string()).unwrap_or_default(),
                destination: route
                    .map(|route| route.destination_id.to_string())
                    .unwrap_or_default(),
                reason: i32::from(reason),
            }
        })
        .collect()
}

/// One delivery of an event, with the attempts that were read; the story has so many in all.
pub(in crate::services) fn delivery(
    tenant: &TenantId,
    event: EventId,
    one: &event::ExplainedDelivery,
    place: &Place,
    attempts: usize,
) -> ExplainedDelivery {
    let id = DeliveryId {
        event,
        place: one.delivery.place,
    };
    let destination = one.destination.id.as_str();
    let share = EXCERPTS_BYTES_WANTED / attempts.max(1);
    let excerpt_bytes = share.clamp(EXCERPT_BYTES_MIN, limits::EXCERPT_FAILED_BYTES_MAX);
    let owner = place.ownership;
    ExplainedDelivery {
        delivery: Some(convert::delivery(id, destination, &one.delivery)),
        destination: Some(convert::destination(
            tenant,
            &one.destination,
            place.counts,
            owner.map(|ownership| ownership.owner),
        )),
        attempts: one
            .attempts
            .iter()
            .map(|record| convert::attempt(record, id, destination, excerpt_bytes))
            .collect(),
        next: Some(NextStep {
            step: Some(next(&one.delivery, &one.destination, &place.retention)),
        }),
        owner: Some(Owner {
            shard: u32::from(one.destination.shard.number()),
            node: owner.map_or(0, |ownership| ownership.owner.0),
            epoch: owner.map_or(0, |ownership| ownership.epoch.0),
            moving_to: owner
                .and_then(|ownership| ownership.moving_to)
                .map_or(0, |node| node.0),
        }),
    }
}

/// What happens next: follows from where the delivery stands and whether its destination is served.
fn next(delivery: &Delivery, destination: &Destination, retention: &Retention) -> Step {
    let due = match delivery.state {
        DeliveryState::Scheduled { due } => due,
        DeliveryState::Delivered { at } => {
            return Step::Delivered(next_step::Delivered {
                at: convert::moment(at),
            });
        }
        DeliveryState::Discarded { at } => {
            return Step::Discarded(next_step::Discarded {
                at: convert::moment(at),
                by: delivery.discarded_by.clone(),
            });
        }
        DeliveryState::Dead { at, reason } => {
            return Step::Dead(next_step::Dead {
                at: convert::moment(at),
                reason: i32::from(convert::death(reason)),
                kept_until: convert::moment(at.plus(retention.dead_letters())),
            });
        }
        DeliveryState::Expired { at, died, reason } => {
            return Step::Expired(next_step::Expired {
                at: convert::moment(at),
                died: convert::moment(died),
                reason: i32::from(convert::death(reason)),
            });
        }
        DeliveryState::Cancelled { at } => {
            return match &destination.state {
                DestinationState::Removed { at: removed, by } => cancelled(Some(at), *removed, by),
                DestinationState::Active | DestinationState::Paused | DestinationState::Disabled { .. } => {
                    cancelled(Some(at), at, "")
                }
            };
        }
    };
    if let DestinationState::Removed { at, by } = &destination.state {
        return cancelled(None, *at, by);
    }
    let attempt = next_step::Attempt {
        due: convert::moment(due),
        // The first attempt is no retry: after one attempt comes retry 1.
        retry: delivery.attempts_made,
        retries_max: destination.spec.retry.retries_max(),
    };
    let (state, why) = match &destination.state {
        DestinationState::Active => return Step::Attempt(attempt),
        DestinationState::Paused => (v1::DestinationState::Paused, String::new()),
        DestinationState::Disabled { why } => (v1::DestinationState::Disabled, why.clone()),
        DestinationState::Removed { .. } => (v1::DestinationState::Removed, String::new()),
    };
    Step::Held(next_step::Held {
        state: i32::from(state),
        why,
        since: destination.held_since.and_then(convert::moment),
        then: Some(attempt),
    })
}

fn cancelled(at: Option<Timestamp>, removed: Timestamp, by: &str) -> Step {
    Step::Cancelled(next_step::Cancelled {
        at: at.and_then(convert::moment),
        removed: convert::moment(removed),
        by: by.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use pushrail_model::destination::DestinationSpec;
    use pushrail_model::ids::{DestinationNo, Run};
    use pushrail_model::retry::RetryPolicy;
    use pushrail_model::shard::ShardId;
    use pushrail_model::time::Span;
    use pushrail_model::verdict::DeathReason;

    use super::*;

    const DUE: Timestamp = Timestamp(5_000_000);

    fn scheduled(attempts_made: u32) -> Delivery {
        Delivery {
            place: 0,
            state: DeliveryState::Scheduled { due: DUE },
            run: Run(1),
            attempts_made,
            first_due: Timestamp::ZERO,
            held_before: Span::ZERO,
            retries_max: 0,
            marks: Vec::new(),
            discarded_by: String::new(),
        }
    }

    fn destination(state: DestinationState) -> Destination {
        Destination {
            id: "hook".parse().unwrap(),
            number: DestinationNo(1),
            shard: ShardId::default(),
            spec: DestinationSpec {
                kind: "webhook".to_owned(),
                settings: bytes::Bytes::new(),
                credential: bytes::Bytes::new(),
                retry: RetryPolicy::default(),
                concurrency: 1,
                description: String::new(),
            },
            held_since: state.holds().then_some(Timestamp(1_000_000)),
            state,
            held: Span::ZERO,
            version: 1,
            created: Timestamp::ZERO,
            credential_version: 1,
            credential_revision: 0,
            previous: Vec::new(),
        }
    }

    #[test]
    fn two_attempts_are_followed_by_the_second_retry() {
        let step = next(
            &scheduled(2),
            &destination(DestinationState::Active),
            &Retention::default(),
        );

        assert_eq!(
            step,
            Step::Attempt(next_step::Attempt {
                due: convert::moment(DUE),
                retry: 2,
                retries_max: 10
            })
        );
    }

    #[test]
    fn while_a_destination_is_held_nothing_comes_next() {
        let disabled = DestinationState::Disabled {
            why: "gone".to_owned(),
        };

        let step = next(&scheduled(0), &destination(disabled), &Retention::default());

        let Step::Held(held) = step else {
            panic!("{step:?}");
        };
        assert_eq!(held.state(), v1::DestinationState::Disabled);
        assert_eq!(held.why, "gone");
        assert_eq!(held.since, convert::moment(Timestamp(1_000_000)));
        assert_eq!(held.then.unwrap().retry, 0);
    }

    #[test]
    fn a_dead_letter_stays_for_its_tenants_retention() {
        let mut delivery = scheduled(1);
        delivery.state = DeliveryState::Dead {
            at: DUE,
            reason: DeathReason::Permanent,
        };

        let kept = Span(3 * Span::DAY.0);
        let retention = Retention {
            dead_letters: Some(kept),
            ..Retention::default()
        };

        let step = next(&delivery, &destination(DestinationState::Active), &retention);

        let Step::Dead(dead) = step else {
            panic!("{step:?}");
        };
        assert_eq!(dead.reason(), v1::DeathReason::Permanent);
        assert_eq!(dead.kept_until, convert::moment(DUE.plus(kept)));
    }

    #[test]
    fn an_expired_dead_letter_says_when_it_died_and_why() {
        let mut delivery = scheduled(1);
        let at = DUE.plus(Span::DAY);
        delivery.state = DeliveryState::Expired {
            at,
            died: DUE,
            reason: DeathReason::WindowExhausted,
        };

        let step = next(
            &delivery,
            &destination(DestinationState::Active),
            &Retention::default(),
        );

        let Step::Expired(expired) = step else {
            panic!("{step:?}");
        };
        assert_eq!(
            (expired.at, expired.died),
            (convert::moment(at), convert::moment(DUE))
        );
        assert_eq!(expired.reason(), v1::DeathReason::WindowExhausted);
    }
}
