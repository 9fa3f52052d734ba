//! `pushrail.v1.Changes`: what people changed, as it differs before and after. Values of secrets are nowhere in it.

use prost::Message as _;
use pushrail_api::v1::changes_server;
use pushrail_api::v1::{self, ChangeFact, FieldChange, ListChangesRequest, ListChangesResponse};
use pushrail_machine::query::changes;
use pushrail_machine::store::Direction;
use pushrail_model::change::{Change, Fact, Image};
use pushrail_model::destination::DestinationState;
use pushrail_model::ids::{ChangeId, EventSeq, TenantId};
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::time::{Span, Timestamp};
use tonic::{Request, Response, Status};

use crate::door::refusal::Refusal;
use crate::services::page::{PAGE_BYTES_WANTED, Wanted};
use crate::services::{convert, service, status};

service!(
    /// Finds changes.
    Changes
);

#[tonic::async_trait]
impl changes_server::Changes for Changes {
    async fn list(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        self.listed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }
}

impl Changes {
    async fn listed(&self, request: ListChangesRequest) -> Result<ListChangesResponse, Refusal> {
        let tenant: Option<TenantId> = match request.tenant.as_str() {
            "" => None,
            text => Some(convert::id("tenant", text)?),
        };
        if !request.destination.is_empty() && !request.route.is_empty() {
            return Err(Refusal::invalid("route", "not together with a destination"));
        }
        let direction = match request.order() {
            v1::Order::Unspecified | v1::Order::NewestFirst => Direction::Descending,
            v1::Order::OldestFirst => Direction::Ascending,
        };
        let moment = |moment: Option<prost_types::Timestamp>| moment.as_ref().map(convert::moment_of);
        let sought = changes::Wanted {
            tenant,
            since: moment(request.since).unwrap_or(Timestamp::ZERO),
            until: moment(request.until).unwrap_or(Timestamp::MAX),
            direction,
        };
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let filter = [
            "changes",
            &request.tenant,
            &request.destination,
            &request.route,
            &request.actor,
            &sought.since.0.to_string(),
            &sought.until.0.to_string(),
            &format!("{direction:?}"),
        ];
        let wanted = Wanted::read(request.page_size, &request.page_token, &filter)?;
        let (rows, after) = (wanted.rows, wanted.after.clone());
        let query = move |view: &dyn pushrail_machine::store::Read| {
            let keep = |change: &Change| keeps(&request, change);
            let (mut count, mut bytes) = (0, 0);
            let full = |change: &Change| {
                count += 1;
                bytes += message(ChangeId(EventSeq::ZERO), change).encoded_len();
                count >= rows || bytes >= PAGE_BYTES_WANTED
            };
            changes::list(view, &sought, after.as_deref(), keep, full)
        };
        let answered = self.door.ask(freshness, query).await?;
        let page = answered.value;
        Ok(ListChangesResponse {
            next_page_token: wanted.next(page.next.as_deref()),
            changes: page
                .rows
                .iter()
                .map(|(id, change)| message(*id, change))
                .collect(),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }
}

fn keeps(request: &ListChangesRequest, change: &Change) -> bool {
    let (destination, route) = objects(change);
    (request.actor.is_empty() || request.actor == change.actor.name)
        && (request.destination.is_empty() || request.destination == destination)
        && (request.route.is_empty() || request.route == route)
}

/// The destination and the route that it was done to, one of them empty at least.
fn objects(change: &Change) -> (&str, &str) {
    let object = change.deed.object.as_str();
    match change.deed.fact {
        Fact::TenantCreated | Fact::TenantUpdated | Fact::TenantRemoved => ("", ""),
        Fact::DestinationCreated
        | Fact::DestinationUpdated
        | Fact::DestinationPaused
        | Fact::DestinationResumed
        | Fact::DestinationRemoved
        | Fact::DeliveriesCancelled
        | Fact::CredentialRotated
        | Fact::DeadLettersReplayed => (object, ""),
        Fact::RouteCreated | Fact::RouteUpdated | Fact::RouteRemoved => ("", object),
    }
}

fn fact(fact: Fact) -> ChangeFact {
    match fact {
        Fact::TenantCreated => ChangeFact::TenantCreated,
        Fact::TenantUpdated => ChangeFact::TenantUpdated,
        Fact::TenantRemoved => ChangeFact::TenantRemoved,
        Fact::DestinationCreated => ChangeFact::DestinationCreated,
        Fact::DestinationUpdated => ChangeFact::DestinationUpdated,
        Fact::DestinationPaused => ChangeFact::DestinationPaused,
        Fact::DestinationResumed => ChangeFact::DestinationResumed,
        Fact::DestinationRemoved => ChangeFact::DestinationRemoved,
        Fact::DeliveriesCancelled => ChangeFact::DeliveriesCancelled,
        Fact::CredentialRotated => ChangeFact::CredentialRotated,
        Fact::RouteCreated => ChangeFact::RouteCreated,
        Fact::RouteUpdated => ChangeFact::RouteUpdated,
        Fact::RouteRemoved => ChangeFact::RouteRemoved,
        Fact::DeadLettersReplayed => ChangeFact::DeadLettersReplayed,
    }
}

fn message(id: ChangeId, change: &Change) -> v1::Change {
    let (destination, route) = objects(change);
    let deed = &change.deed;
    v1::Change {
        change: id.to_string(),
        at: convert::moment(change.at),
        actor: Some(v1::Actor {
            name: change.actor.name.clone(),
            address: change.actor.address.clone(),
            door_node: change.actor.door.0,
        }),
        fact: i32::from(fact(deed.fact)),
        tenant: deed.tenant.to_string(),
        destination: destination.to_owned(),
        route: route.to_owned(),
        version: deed.version,
        fields: differences(change),
        deliveries_touched: deed.count,
        deliveries: deed.deliveries.iter().map(ToString::to_string).collect(),
        request_id: change.request_id.clone(),
    }
}

/// Every field that differs, in the order of the object's own message.
fn differences(change: &Change) -> Vec<FieldChange> {
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
            differ.push(FieldChange {
                field: "credential_overlap_until".to_owned(),
                before: None,
                after: deed.overlap_until.map(rfc3339),
                secret: false,
            });
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
        | Fact::DeadLettersReplayed => {}
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
    }
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
    fn a_policy_is_told_in_a_line() {
        assert_eq!(
            retry(&RetryPolicy::default()),
            "first 5s, factor 4, cap 6h, 10 retries; window 1d, floor 1m"
        );
    }
}
