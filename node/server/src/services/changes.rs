//! `pushrail.v1.Changes`: what people changed, as it differs before and after. Values of secrets are nowhere in it.

mod fields;

use prost::Message as _;
use pushrail_api::v1::changes_server;
use pushrail_api::v1::{self, ChangeFact, ListChangesRequest, ListChangesResponse};
use pushrail_machine::query::changes;
use pushrail_machine::store::Direction;
use pushrail_model::change::{Change, Fact};
use pushrail_model::ids::{ChangeId, EventSeq, JobId, TenantId};
use pushrail_model::time::Timestamp;
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
        | Fact::DeadLettersReplayed
        | Fact::DeadLettersDiscarded
        | Fact::DeadLettersExpired
        | Fact::JobStarted
        | Fact::JobDone
        | Fact::JobCancelled
        | Fact::DestinationDisabled => (object, ""),
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
        Fact::DeadLettersDiscarded => ChangeFact::DeadLettersDiscarded,
        Fact::DeadLettersExpired => ChangeFact::DeadLettersExpired,
        Fact::JobStarted => ChangeFact::JobStarted,
        Fact::JobDone => ChangeFact::JobDone,
        Fact::JobCancelled => ChangeFact::JobCancelled,
        Fact::DestinationDisabled => ChangeFact::DestinationDisabled,
    }
}

/// Whoever repeats a request that brought a credential is shown it again: its id is for its caller alone.
fn shown_request(change: &Change) -> String {
    let brought = matches!(
        change.deed.fact,
        Fact::DestinationCreated | Fact::CredentialRotated
    );
    if brought {
        String::new()
    } else {
        change.request_id.clone()
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
        fields: fields::differences(change),
        deliveries_touched: deed.count,
        deliveries: deed.deliveries.iter().map(ToString::to_string).collect(),
        job: deed.job.map_or_else(String::new, |job| JobId(job).to_string()),
        request_id: shown_request(change),
    }
}
