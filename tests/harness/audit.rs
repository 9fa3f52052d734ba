//! Holds what was acknowledged against what became of it: the story that a node tells of each event, and what the
//! receiver really got. Whatever does not fit is named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use pushrail_api::v1;

use crate::door::{Door, linearizable};
use crate::eventually::poll;
use crate::load::Acknowledged;
use crate::receiver::{Receiver, Signature};

const ASKED_AT_ONCE: usize = 32;

/// A destination, and where its requests arrive.
#[derive(Clone)]
pub struct Endpoint {
    /// Whose.
    pub tenant: String,
    /// Its id.
    pub destination: String,
    /// Who receives.
    pub receiver: Arc<Receiver>,
    /// On which path.
    pub path: String,
}

/// What became of all that was acknowledged.
#[derive(Debug, Default)]
pub struct Audit {
    /// Deliveries that arrived.
    pub delivered: usize,
    /// Deliveries that needed more than one attempt, whatever came of them.
    pub retried: usize,
    /// Dead letters by reason, such as `permanent, auth (401)`.
    pub dead: BTreeMap<String, usize>,
    /// Requests that a receiver took although it had that event already.
    pub duplicates: usize,
    /// What does not fit; each a sentence.
    pub faults: Vec<String>,
}

impl Audit {
    /// Dead letters in all.
    pub fn dead_letters(&self) -> usize {
        self.dead.values().sum()
    }

    /// Panics if anything acknowledged is unaccounted for.
    pub fn assert_clean(&self) {
        let shown = &self.faults[..self.faults.len().min(10)];
        assert!(
            self.faults.is_empty(),
            "{} faults, such as {shown:#?}",
            self.faults.len()
        );
    }
}

/// Waits until nothing is scheduled at any of these destinations.
pub async fn settled(door: &Door, endpoints: &[Endpoint], within: Duration) -> Result<(), String> {
    poll(within, || async {
        let mut waiting = Vec::new();
        for endpoint in endpoints {
            let destination = door.destination(&endpoint.tenant, &endpoint.destination).await;
            let destination = destination.map_err(|status| status.to_string())?;
            let scheduled = destination.counts.map_or(0, |counts| counts.scheduled);
            if scheduled > 0 {
                waiting.push(format!(
                    "{} at {}/{}",
                    scheduled, endpoint.tenant, endpoint.destination
                ));
            }
        }
        if waiting.is_empty() {
            Ok(())
        } else {
            Err(format!("scheduled: {}", waiting.join(", ")))
        }
    })
    .await
}

/// Asks one node about every event.
pub async fn audit(door: &Door, acknowledged: &[Acknowledged], endpoints: &[Endpoint]) -> Audit {
    let mut audit = Audit::default();
    let taken: BTreeMap<(&str, &str), BTreeMap<String, usize>> = endpoints
        .iter()
        .map(|endpoint| {
            let of = (endpoint.tenant.as_str(), endpoint.destination.as_str());
            (of, endpoint.receiver.taken(&endpoint.path))
        })
        .collect();
    audit.duplicates = taken
        .values()
        .flat_map(BTreeMap::values)
        .map(|times| times - 1)
        .sum();

    for endpoint in endpoints {
        for request in endpoint.receiver.requests_to(&endpoint.path) {
            if let Signature::Invalid(why) = request.signature {
                audit.faults.push(format!(
                    "a request for {} is signed wrongly: {why}",
                    request.webhook_id
                ));
            }
        }
    }

    let mut ids = BTreeSet::new();
    for one in acknowledged {
        if !ids.insert(&one.event) {
            audit
                .faults
                .push(format!("two acknowledgements share the id {}", one.event));
        }
    }

    let mut stories = futures::stream::iter(acknowledged)
        .map(|one| async move { (one, door.explain(&one.tenant, &one.event, linearizable()).await) })
        .buffer_unordered(ASKED_AT_ONCE);
    while let Some((one, story)) = stories.next().await {
        match story {
            Err(status) => audit
                .faults
                .push(format!("{} is acknowledged and unknown: {status}", one.event)),
            Ok(story) => audit.judge(one, &story, &taken),
        }
    }
    audit
}

impl Audit {
    fn judge(
        &mut self,
        one: &Acknowledged,
        story: &v1::ExplainEventResponse,
        taken: &BTreeMap<(&str, &str), BTreeMap<String, usize>>,
    ) {
        if story.deliveries.len() != usize::try_from(one.deliveries).unwrap_or(usize::MAX) {
            let found = story.deliveries.len();
            self.faults.push(format!(
                "{} was acknowledged with {} deliveries and has {found}",
                one.event, one.deliveries
            ));
        }
        if usize::try_from(story.payload_bytes) != Ok(one.payload.len()) {
            self.faults.push(format!(
                "{} has a payload of {} bytes",
                one.event, story.payload_bytes
            ));
        }
        for explained in &story.deliveries {
            let Some(delivery) = &explained.delivery else {
                self.faults
                    .push(format!("{}: a delivery without itself", one.event));
                continue;
            };
            self.retried += usize::from(explained.attempts.len() > 1);
            let of = (one.tenant.as_str(), delivery.destination.as_str());
            let times = taken
                .get(&of)
                .and_then(|of| of.get(&one.event))
                .copied()
                .unwrap_or(0);
            match delivery.state() {
                v1::DeliveryState::Delivered => {
                    self.delivered += 1;
                    if times == 0 {
                        self.faults.push(format!(
                            "{} is delivered to {of:?}, which never took it",
                            one.event
                        ));
                    }
                }
                v1::DeliveryState::Dead => self.count_dead(&one.event, delivery, explained),
                v1::DeliveryState::Scheduled
                | v1::DeliveryState::Expired
                | v1::DeliveryState::Discarded
                | v1::DeliveryState::Cancelled
                | v1::DeliveryState::Unspecified => {
                    self.faults
                        .push(format!("{} to {of:?} is {:?}", one.event, delivery.state()));
                }
            }
        }
    }

    fn count_dead(&mut self, event: &str, delivery: &v1::Delivery, explained: &v1::ExplainedDelivery) {
        let last = explained
            .attempts
            .last()
            .and_then(|attempt| Some((attempt.failure.as_ref()?, attempt.status)));
        let Some((failure, status)) = last else {
            self.faults
                .push(format!("{event} is dead without a failed attempt"));
            return;
        };
        if delivery.death_reason() == v1::DeathReason::Unspecified {
            self.faults.push(format!("{event} is dead without a reason"));
        }
        let word =
            |name: &str, prefix: &str| name.trim_start_matches(prefix).to_lowercase().replace('_', " ");
        let reason = word(delivery.death_reason().as_str_name(), "DEATH_REASON_");
        let cause = word(failure.cause().as_str_name(), "CAUSE_");
        let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
        *self.dead.entry(format!("{reason}, {cause}{status}")).or_default() += 1;
    }
}
