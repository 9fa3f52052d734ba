//! `pushrail.v1.Tenants`.

use pushrail_api::v1::tenants_server;
use pushrail_api::v1::{
    CreateTenantRequest, CreateTenantResponse, DeleteTenantRequest, DeleteTenantResponse, GetTenantRequest,
    GetTenantResponse, ListTenantsRequest, ListTenantsResponse, Tenant, UpdateTenantRequest,
    UpdateTenantResponse,
};
use pushrail_machine::query::config;
use pushrail_model::ids::TenantId;
use pushrail_model::tenant;
use tonic::{Request, Response, Status};

use crate::door::refusal::Refusal;
use crate::door::settings::tenants::{TenantPatch, TenantWish};
use crate::door::settings::{Removal, call_deadline};
use crate::services::page::{Wanted, cut};
use crate::services::{caller, convert, service, status};

service!(
    /// Makes, finds, changes and removes tenants.
    Tenants
);

#[tonic::async_trait]
impl tenants_server::Tenants for Tenants {
    async fn create(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let wish = TenantWish {
            tenant: request.tenant,
            description: request.description,
            retention: convert::retention_of(request.retention.as_ref()),
            request_id: request.request_id,
            actor,
        };
        let (made, token) = self
            .door
            .create_tenant(wish, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(CreateTenantResponse {
            tenant: Some(message(&made)),
            token: token.to_string(),
        }))
    }

    async fn get(&self, request: Request<GetTenantRequest>) -> Result<Response<GetTenantResponse>, Status> {
        self.found(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn list(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        self.listed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn update(
        &self,
        request: Request<UpdateTenantRequest>,
    ) -> Result<Response<UpdateTenantResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let content_hash = convert::content_hash(&UpdateTenantRequest {
            version: 0,
            request_id: String::new(),
            ..request.clone()
        });
        let patch = TenantPatch {
            tenant: request.tenant,
            version: request.version,
            description: request.description,
            retention: convert::retention_of(request.retention.as_ref()),
            retention_reset: request.retention_reset,
            request_id: request.request_id,
            content_hash,
            actor,
        };
        let (stands, token) = self
            .door
            .update_tenant(patch, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(UpdateTenantResponse {
            tenant: Some(message(&stands)),
            token: token.to_string(),
        }))
    }

    async fn delete(
        &self,
        request: Request<DeleteTenantRequest>,
    ) -> Result<Response<DeleteTenantResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let removal = Removal {
            tenant: request.tenant,
            object: String::new(),
            version: request.version,
            request_id: request.request_id,
            actor,
        };
        let token = self
            .door
            .delete_tenant(removal, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(DeleteTenantResponse {
            token: token.to_string(),
        }))
    }
}

impl Tenants {
    async fn found(&self, request: GetTenantRequest) -> Result<GetTenantResponse, Refusal> {
        let id: TenantId = convert::id("tenant", &request.tenant)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let answered = self
            .door
            .ask_of(freshness, &id, |_, tenant| Ok(message(tenant)))
            .await?;
        Ok(GetTenantResponse {
            tenant: Some(answered.value),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }

    async fn listed(&self, request: ListTenantsRequest) -> Result<ListTenantsResponse, Refusal> {
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let wanted = Wanted::read(request.page_size, &request.page_token, &["tenants"])?;
        let after: Option<TenantId> = match wanted.after_text()? {
            Some(text) => Some(text.parse().map_err(|_| Refusal::PageToken)?),
            None => None,
        };
        let rows = wanted.rows;
        let answered = self
            .door
            .ask(freshness, move |view| {
                config::tenants(view, after.as_ref(), rows + 1)
            })
            .await?;
        let (tenants, more) = cut(answered.value, rows, |tenant| tenant.description.len() + 128);
        let last = tenants
            .last()
            .filter(|_| more)
            .map(|tenant| tenant.id.as_str().as_bytes());
        Ok(ListTenantsResponse {
            next_page_token: wanted.next(last),
            tenants: tenants.iter().map(message).collect(),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }
}

fn message(tenant: &tenant::Tenant) -> Tenant {
    Tenant {
        tenant: tenant.id.to_string(),
        description: tenant.description.clone(),
        version: tenant.version,
        created: convert::moment(tenant.created),
        destinations: tenant.destinations,
        routes: tenant.routes,
        retention: Some(convert::retention(&tenant.retention)),
    }
}
