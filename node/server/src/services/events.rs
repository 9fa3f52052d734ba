//! `pushrail.v1.Events`: an event, and its whole story.

pub(super) mod story;

use pushrail_api::v1::events_server;
use pushrail_api::v1::{ExplainEventRequest, ExplainEventResponse, GetEventRequest, GetEventResponse};
use pushrail_machine::query::{self, assignment, config, counts, event};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::destination::Destination;
use pushrail_model::ids::{EventId, TenantId};
use pushrail_model::route::Route;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Timestamp;
use tonic::{Request, Response, Status};

use crate::door::prepare;
use crate::door::refusal::{Refusal, Sort};
use crate::services::events::story::{Material, Place};
use crate::services::{convert, service, status};

service!(
    /// Finds events.
    Events
);

#[tonic::async_trait]
impl events_server::Events for Events {
    async fn get(&self, request: Request<GetEventRequest>) -> Result<Response<GetEventResponse>, Status> {
        self.found(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn explain(
        &self,
        request: Request<ExplainEventRequest>,
    ) -> Result<Response<ExplainEventResponse>, Status> {
        self.explained(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }
}

impl Events {
    async fn found(&self, request: GetEventRequest) -> Result<GetEventResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let id: EventId = convert::id("event", &request.event)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let query = move |view: &dyn Read, tenant: &Tenant| match of_tenant(tenant, id) {
            true => event::event(view, tenant.number, id),
            false => Ok(None),
        };
        let answered = self.door.ask_of(freshness, &tenant, query).await?;
        let found = answered.value.ok_or_else(|| not_found(id))?;
        let payload = prepare::plain(&found.new.payload).ok_or_else(|| Refusal::Unreadable {
            why: format!("the payload of {id} cannot be unpacked"),
        })?;
        Ok(GetEventResponse {
            event: Some(convert::event(&tenant, &found, payload)),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }

    async fn explained(&self, request: ExplainEventRequest) -> Result<ExplainEventResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let id: EventId = convert::id("event", &request.event)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        // The clock in the state stands still while nothing happens; the lease's goes on.
        let state_now = self.door.replica().lease().state_now();
        let query = move |view: &dyn Read, tenant: &Tenant| material(view, tenant, id, state_now);
        let answered = self.door.ask_of(freshness, &tenant, query).await?;
        let material = answered.value.ok_or_else(|| not_found(id))?;
        let mut story = story::tell(&tenant, &material);
        story.applied = answered.token.to_string();
        story.age = answered.age.and_then(convert::length);
        Ok(story)
    }
}

/// An event's id names its partition; one of another partition is never this tenant's.
fn of_tenant(tenant: &Tenant, id: EventId) -> bool {
    Partition::of(&tenant.id) == id.partition
}

fn not_found(id: EventId) -> Refusal {
    Refusal::NotFound {
        sort: Sort::Event,
        id: id.to_string(),
    }
}

/// The routes that decided about an event, as they were then.
fn routes(
    view: &dyn Read,
    tenant: &Tenant,
    event: &pushrail_model::event::Event,
) -> Result<Vec<Route>, StoreError> {
    let mut routes = config::routes(view, tenant)?;
    for decision in &event.new.decisions {
        if !routes.iter().any(|route| route.number == decision.route) {
            routes.extend(config::former_route(view, tenant, decision.route)?);
        }
    }
    Ok(routes)
}

/// All that a story is told from, read from one view.
fn material(
    view: &dyn Read,
    tenant: &Tenant,
    id: EventId,
    state_now: Timestamp,
) -> Result<Option<Material>, StoreError> {
    if !of_tenant(tenant, id) {
        return Ok(None);
    }
    let Some(explained) = event::explain(view, tenant.number, id, story::ATTEMPTS_MAX)? else {
        return Ok(None);
    };
    let places = explained
        .deliveries
        .iter()
        .map(|one| place(view, tenant, &one.destination))
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Some(Material {
        routes: routes(view, tenant, &explained.event)?,
        now: query::clock(view)?.max(state_now),
        explained,
        places,
    }))
}

/// What a story says of a destination.
pub(super) fn place(
    view: &dyn Read,
    tenant: &Tenant,
    destination: &Destination,
) -> Result<Place, StoreError> {
    let partition = Partition::of(&tenant.id);
    Ok(Place {
        counts: counts::destination(view, partition, tenant.number, destination.number)?,
        ownership: assignment::of(view, destination.shard)?,
        retention: tenant.retention,
    })
}
