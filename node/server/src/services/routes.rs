//! `pushrail.v1.Routes`.

use pushrail_api::v1::routes_server;
use pushrail_api::v1::{
    CreateRouteRequest, CreateRouteResponse, DeleteRouteRequest, DeleteRouteResponse, GetRouteRequest,
    GetRouteResponse, ListRoutesRequest, ListRoutesResponse, Route, UpdateRouteRequest, UpdateRouteResponse,
};
use pushrail_machine::query::config;
use pushrail_model::ids::{RouteId, TenantId};
use pushrail_model::route;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort};
use crate::door::settings::routes::{RoutePatch, RouteWish};
use crate::door::settings::{Removal, call_deadline};
use crate::services::page::{Wanted, cut};
use crate::services::{caller, convert, service, status};

service!(
    /// Makes, finds, changes and removes routes.
    Routes
);

#[tonic::async_trait]
impl routes_server::Routes for Routes {
    async fn create(
        &self,
        request: Request<CreateRouteRequest>,
    ) -> Result<Response<CreateRouteResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let tenant = request.tenant.clone();
        let wish = RouteWish {
            tenant: request.tenant,
            route: request.route,
            pattern: request.pattern,
            destination: request.destination,
            request_id: request.request_id,
            actor,
        };
        let (made, token) = self
            .door
            .create_route(wish, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(CreateRouteResponse {
            route: Some(message(&tenant, &made)),
            token: token.to_string(),
        }))
    }

    async fn get(&self, request: Request<GetRouteRequest>) -> Result<Response<GetRouteResponse>, Status> {
        self.found(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn list(
        &self,
        request: Request<ListRoutesRequest>,
    ) -> Result<Response<ListRoutesResponse>, Status> {
        self.listed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn update(
        &self,
        request: Request<UpdateRouteRequest>,
    ) -> Result<Response<UpdateRouteResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let tenant = request.tenant.clone();
        let content_hash = convert::content_hash(&UpdateRouteRequest {
            version: 0,
            request_id: String::new(),
            ..request.clone()
        });
        let patch = RoutePatch {
            tenant: request.tenant,
            route: request.route,
            version: request.version,
            pattern: request.pattern,
            destination: request.destination,
            request_id: request.request_id,
            content_hash,
            actor,
        };
        let (stands, token) = self
            .door
            .update_route(patch, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(UpdateRouteResponse {
            route: Some(message(&tenant, &stands)),
            token: token.to_string(),
        }))
    }

    async fn delete(
        &self,
        request: Request<DeleteRouteRequest>,
    ) -> Result<Response<DeleteRouteResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let removal = Removal {
            tenant: request.tenant,
            object: request.route,
            version: request.version,
            request_id: request.request_id,
            actor,
        };
        let token = self
            .door
            .delete_route(removal, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(DeleteRouteResponse {
            token: token.to_string(),
        }))
    }
}

impl Routes {
    async fn found(&self, request: GetRouteRequest) -> Result<GetRouteResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let id: RouteId = convert::id("route", &request.route)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let answered = self
            .door
            .ask_of(freshness, &tenant, move |view, tenant| {
                config::route(view, tenant, &id)
            })
            .await?;
        let route = answered.value.ok_or(Refusal::NotFound {
            sort: Sort::Route,
            id: request.route,
        })?;
        Ok(GetRouteResponse {
            route: Some(message(&request.tenant, &route)),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }

    async fn listed(&self, request: ListRoutesRequest) -> Result<ListRoutesResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let wanted = Wanted::read(
            request.page_size,
            &request.page_token,
            &["routes", &request.tenant],
        )?;
        let answered = self.door.ask_of(freshness, &tenant, config::routes).await?;
        // A tenant's routes are few enough to be read whole.
        let after = wanted.after_text()?.unwrap_or_default();
        let rest: Vec<route::Route> = answered
            .value
            .into_iter()
            .filter(|route| route.id.as_str() > after)
            .collect();
        let (routes, more) = cut(rest, wanted.rows, |_| 1024);
        let last = routes
            .last()
            .filter(|_| more)
            .map(|route| route.id.as_str().as_bytes());
        Ok(ListRoutesResponse {
            next_page_token: wanted.next(last),
            routes: routes
                .iter()
                .map(|route| message(&request.tenant, route))
                .collect(),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }
}

fn message(tenant: &str, route: &route::Route) -> Route {
    Route {
        tenant: tenant.to_owned(),
        route: route.id.to_string(),
        pattern: route.pattern.to_string(),
        destination: route.destination_id.to_string(),
        version: route.version,
        created: convert::moment(route.created),
    }
}
