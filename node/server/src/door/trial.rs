//! A test of a destination: one signed event that stands for none, sent from this node at a person's word, and all
//! that went out and came back. It goes through the very adapter, guard and time limits that deliveries go through.
//!
//! Invariant: nothing of it is recorded, counted as a delivery or retried, and no word of the credential is in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pushrail_adapters::adapter::{Dispatch, Reply};
use pushrail_adapters::shown::ShownRequest;
use pushrail_adapters::{registry, rules};
use pushrail_machine::query::config;
use pushrail_machine::store::Read;
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::ids::{AttemptNumber, DeliveryId, DestinationId, EventId, EventSeq, TenantId};
use pushrail_model::outcome::Outcome;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::token::Token;
use pushrail_raft::clock::Clock;
use pushrail_raft::view::Freshness;
use tokio::sync::Semaphore;

use crate::door::Door;
use crate::door::refusal::{Refusal, Sort};
use crate::send::{GRACE, send};

/// Tests under way on one node: each holds a connection for as long as a receiver likes to be silent.
const TRIALS_MAX: usize = 16;
/// What a test event's id begins with: no event's does.
const ID_PREFIX: &str = "test_";
/// Its type.
const EVENT_TYPE: &str = "pushrail.test";

/// What tests need of the node.
pub struct Trials {
    clock: Arc<dyn Clock>,
    attempt_timeout: Duration,
    places: Semaphore,
}

impl Trials {
    /// With the node's clock, by which signatures are dated, and its limit for an attempt.
    pub fn new(clock: Arc<dyn Clock>, attempt_timeout: Duration) -> Self {
        Self {
            clock,
            attempt_timeout,
            places: Semaphore::new(TRIALS_MAX),
        }
    }
}

/// What came of a test.
pub(crate) struct Tried {
    /// The test event's id, as the receiver was told.
    pub(crate) event_id: String,
    /// What went out; `None`: the kind has nothing to show, or its settings could not be opened.
    pub(crate) request: Option<ShownRequest>,
    /// What came back.
    pub(crate) reply: Reply,
    /// What an attempt would have made of it.
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) took: Span,
    /// The state that the destination was read in.
    pub(crate) token: Token,
}

impl Door {
    /// Tests a destination, whether it is held or not.
    pub(crate) async fn test(
        &self,
        freshness: Freshness,
        tenant: TenantId,
        id: DestinationId,
    ) -> Result<Tried, Refusal> {
        let Ok(_place) = self.trials().places.try_acquire() else {
            return Err(Refusal::LimitReached {
                what: "tests under way on this node".to_owned(),
                limit: TRIALS_MAX as u64,
            });
        };
        let wanted = id.clone();
        let query = move |view: &dyn Read, tenant: &Tenant| config::destination(view, tenant, &wanted);
        let answered = self.ask_of(freshness, &tenant, query).await?;
        let destination = answered.value.ok_or_else(|| Refusal::NotFound {
            sort: Sort::Destination,
            id: id.to_string(),
        })?;
        let now = self.trials().clock.wall();
        let event_id = format!("{ID_PREFIX}{:032x}", rand::random::<u128>());
        let body = body(&tenant, &destination, now);
        let plain = self.unlock(&tenant, &destination)?;
        let (request, reply, took) = self.sent(plain, &event_id, body, now).await;
        let outcome = match registry::adapter(&destination.spec.kind) {
            Some(adapter) => rules::classify(adapter.spec(), &reply),
            None => Outcome::Failed(rules::unknown_kind()),
        };
        Ok(Tried {
            event_id,
            request,
            reply,
            outcome,
            took,
            token: answered.token,
        })
    }

    async fn sent(
        &self,
        (spec, previous): (DestinationSpec, Vec<Bytes>),
        event_id: &str,
        body: Bytes,
        now: Timestamp,
    ) -> (Option<ShownRequest>, Reply, Span) {
        let link = match registry::open_with(&spec, &previous, self.net()) {
            Ok(link) => link,
            Err(invalid) => return (None, Reply::unopened(&invalid), Span::ZERO),
        };
        let dispatch = Dispatch {
            event_id: event_id.to_owned(),
            // Nobody's: no kind shows it to a receiver.
            delivery: DeliveryId {
                event: EventId {
                    partition: Partition::default(),
                    seq: EventSeq::ZERO,
                },
                place: 0,
            },
            number: AttemptNumber(1),
            event_type: EVENT_TYPE,
            content_type: "application/json",
            body,
            created: now,
            now,
        };
        let request = link.show(std::slice::from_ref(&dispatch));
        let began = Instant::now();
        let within: Duration = self.trials().attempt_timeout + GRACE;
        let reply = send(link.as_ref(), dispatch, within).await;
        (request, reply, Span::from_duration(began.elapsed()))
    }
}

/// What a receiver reads: that it is a test, of which destination, and when.
fn body(tenant: &TenantId, destination: &Destination, now: Timestamp) -> Bytes {
    let sent = i64::try_from(now.0)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    let body = serde_json::json!({
        "type": EVENT_TYPE,
        "tenant": tenant.to_string(),
        "destination": destination.id.to_string(),
        "sent": sent.map(|sent| sent.to_string()),
    });
    body.to_string().into()
}
