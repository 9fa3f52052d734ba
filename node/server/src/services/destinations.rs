//! `pushrail.v1.Destinations`. A credential leaves the node once: in the answer to the request that made it.

mod policy;

use pushrail_api::v1::destinations_server;
use pushrail_api::v1::{
    CreateDestinationRequest, CreateDestinationResponse, DeleteDestinationRequest, DeleteDestinationResponse,
    Destination, GetDestinationRequest, GetDestinationResponse, ListDestinationsRequest,
    ListDestinationsResponse, PauseDestinationRequest, PauseDestinationResponse, ResumeDestinationRequest,
    ResumeDestinationResponse, RotateCredentialRequest, RotateCredentialResponse, TestDestinationRequest,
    TestDestinationResponse, UpdateDestinationRequest, UpdateDestinationResponse,
};
use pushrail_machine::query::{assignment, config, counts};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::change::Actor;
use pushrail_model::command::WantedState;
use pushrail_model::destination;
use pushrail_model::ids::{DestinationId, TenantId};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::token::Token;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort, Wrong, done_but};
use crate::door::settings::destinations::{DestinationPatch, DestinationWish, RotationWish};
use crate::door::settings::{Removal, call_deadline};
use crate::services::destinations::policy::policy;
use crate::services::page::{Wanted, cut};
use crate::services::{caller, convert, destination_test, service, status};

service!(
    /// Makes, finds, changes, pauses, resumes and removes destinations, and rotates their credentials.
    Destinations
);

#[tonic::async_trait]
impl destinations_server::Destinations for Destinations {
    async fn create(
        &self,
        request: Request<CreateDestinationRequest>,
    ) -> Result<Response<CreateDestinationResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let tenant = request.tenant.clone();
        let made = self.door.create_destination(wish(request, actor), deadline).await;
        let made = made.map_err(status::write)?;
        let destination = self
            .as_it_stands(&tenant, made.destination, made.token, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(CreateDestinationResponse {
            destination: Some(destination),
            credential: String::from_utf8_lossy(&made.credential).into_owned(),
            token: made.token.to_string(),
        }))
    }

    async fn get(
        &self,
        request: Request<GetDestinationRequest>,
    ) -> Result<Response<GetDestinationResponse>, Status> {
        self.found(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn list(
        &self,
        request: Request<ListDestinationsRequest>,
    ) -> Result<Response<ListDestinationsResponse>, Status> {
        self.listed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn pause(
        &self,
        request: Request<PauseDestinationRequest>,
    ) -> Result<Response<PauseDestinationResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let paused = self.door.set_state(
            &request.tenant,
            &request.destination,
            WantedState::Paused,
            request.request_id,
            actor,
            deadline,
        );
        let (stands, token) = paused.await.map_err(status::write)?;
        let destination = self
            .as_it_stands(&request.tenant, stands, token, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(PauseDestinationResponse {
            destination: Some(destination),
            token: token.to_string(),
        }))
    }

    async fn resume(
        &self,
        request: Request<ResumeDestinationRequest>,
    ) -> Result<Response<ResumeDestinationResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let resumed = self.door.set_state(
            &request.tenant,
            &request.destination,
            WantedState::Active,
            request.request_id,
            actor,
            deadline,
        );
        let (stands, token) = resumed.await.map_err(status::write)?;
        let destination = self
            .as_it_stands(&request.tenant, stands, token, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(ResumeDestinationResponse {
            destination: Some(destination),
            token: token.to_string(),
        }))
    }

    async fn test(
        &self,
        request: Request<TestDestinationRequest>,
    ) -> Result<Response<TestDestinationResponse>, Status> {
        destination_test::test(&self.door, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::write)
    }

    async fn update(
        &self,
        request: Request<UpdateDestinationRequest>,
    ) -> Result<Response<UpdateDestinationResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let tenant = request.tenant.clone();
        let content_hash = convert::content_hash(&UpdateDestinationRequest {
            version: 0,
            request_id: String::new(),
            ..request.clone()
        });
        let mut wrong = Vec::new();
        let retry = request.retry.as_ref();
        let patch = DestinationPatch {
            tenant: request.tenant,
            destination: request.destination,
            version: request.version,
            settings: request.settings,
            retry: retry.map(|asked| policy(Some(asked), &mut wrong)),
            concurrency: request.concurrency,
            description: request.description,
            request_id: request.request_id,
            content_hash,
            actor,
            wrong,
        };
        let updated = self.door.update_destination(patch, deadline).await;
        let (stands, token) = updated.map_err(status::write)?;
        let destination = self
            .as_it_stands(&tenant, stands, token, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(UpdateDestinationResponse {
            destination: Some(destination),
            token: token.to_string(),
        }))
    }

    async fn delete(
        &self,
        request: Request<DeleteDestinationRequest>,
    ) -> Result<Response<DeleteDestinationResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let removal = Removal {
            tenant: request.tenant,
            object: request.destination,
            version: request.version,
            request_id: request.request_id,
            actor,
        };
        let token = self
            .door
            .delete_destination(removal, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(DeleteDestinationResponse {
            token: token.to_string(),
        }))
    }

    async fn rotate_credential(
        &self,
        request: Request<RotateCredentialRequest>,
    ) -> Result<Response<RotateCredentialResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        let request = request.into_inner();
        let tenant = request.tenant.clone();
        let mut wrong = Vec::new();
        let overlap = request.overlap.as_ref().and_then(|overlap| {
            let span = convert::span_of(overlap);
            if span.is_none() {
                wrong.push(Wrong::new("overlap", "below zero"));
            }
            span
        });
        let wish = RotationWish {
            tenant: request.tenant,
            destination: request.destination,
            credential: request.credential,
            overlap,
            version: request.version,
            request_id: request.request_id,
            actor,
            wrong,
        };
        let rotated = self
            .door
            .rotate_credential(wish, deadline)
            .await
            .map_err(status::write)?;
        let destination = self
            .as_it_stands(&tenant, rotated.destination, rotated.token, deadline)
            .await
            .map_err(status::write)?;
        Ok(Response::new(RotateCredentialResponse {
            destination: Some(destination),
            credential: String::from_utf8_lossy(&rotated.credential).into_owned(),
            token: rotated.token.to_string(),
        }))
    }
}

impl Destinations {
    async fn found(&self, request: GetDestinationRequest) -> Result<GetDestinationResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let id: DestinationId = convert::id("destination", &request.destination)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let query = move |view: &dyn Read, tenant: &Tenant| match config::destination(view, tenant, &id)? {
            Some(destination) => message(view, tenant, &destination).map(Some),
            None => Ok(None),
        };
        let answered = self.door.ask_of(freshness, &tenant, query).await?;
        let destination = answered.value.ok_or(Refusal::NotFound {
            sort: Sort::Destination,
            id: request.destination,
        })?;
        Ok(GetDestinationResponse {
            destination: Some(destination),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }

    async fn listed(&self, request: ListDestinationsRequest) -> Result<ListDestinationsResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let filter = ["destinations", &request.tenant];
        let wanted = Wanted::read(request.page_size, &request.page_token, &filter)?;
        let after: Option<DestinationId> = match wanted.after_text()? {
            Some(text) => Some(text.parse().map_err(|_| Refusal::PageToken)?),
            None => None,
        };
        let rows = wanted.rows;
        let query = move |view: &dyn Read, tenant: &Tenant| {
            let found = config::destinations(view, tenant, after.as_ref(), rows + 1)?;
            let messages = found.iter().map(|destination| message(view, tenant, destination));
            messages.collect::<Result<Vec<_>, StoreError>>()
        };
        let answered = self.door.ask_of(freshness, &tenant, query).await?;
        let (destinations, more) = cut(answered.value, rows, prost::Message::encoded_len);
        let last = destinations
            .last()
            .filter(|_| more)
            .map(|one| one.destination.as_bytes());
        Ok(ListDestinationsResponse {
            next_page_token: wanted.next(last),
            destinations,
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }

    /// With its counters and its owner, as they stand after the write.
    async fn as_it_stands(
        &self,
        tenant: &str,
        destination: destination::Destination,
        token: Token,
        deadline: Instant,
    ) -> Result<Destination, Refusal> {
        let tenant: TenantId = convert::id("tenant", tenant).map_err(done_but)?;
        let query = move |view: &dyn Read, tenant: &Tenant| message(view, tenant, &destination);
        let freshness = Freshness::AtLeast(token);
        let read = self.door.ask_of_by(freshness, deadline, &tenant, query);
        Ok(read.await.map_err(done_but)?.value)
    }
}

fn message(
    view: &dyn Read,
    tenant: &Tenant,
    destination: &destination::Destination,
) -> Result<Destination, StoreError> {
    let partition = Partition::of(&tenant.id);
    let counts = counts::destination(view, partition, tenant.number, destination.number)?;
    let owner = assignment::of(view, destination.shard)?.map(|ownership| ownership.owner);
    Ok(convert::destination(&tenant.id, destination, counts, owner))
}

fn wish(request: CreateDestinationRequest, actor: Actor) -> DestinationWish {
    let mut wrong = Vec::new();
    let retry = policy(request.retry.as_ref(), &mut wrong);
    DestinationWish {
        tenant: request.tenant,
        destination: request.destination,
        kind: request.kind,
        settings: request.settings,
        credential: request.credential,
        retry,
        concurrency: request.concurrency,
        description: request.description,
        request_id: request.request_id,
        actor,
        wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_never_in_a_destination() {
        let destination = destination::Destination {
            id: "hook".parse().unwrap(),
            number: pushrail_model::ids::DestinationNo(1),
            shard: pushrail_model::shard::ShardId::default(),
            spec: destination::DestinationSpec {
                kind: "webhook".to_owned(),
                settings: "{}".into(),
                credential: r#"{"secret":"whsec_hidden"}"#.into(),
                retry: pushrail_model::retry::RetryPolicy::default(),
                concurrency: 1,
                description: String::new(),
            },
            state: destination::DestinationState::Active,
            held: pushrail_model::time::Span::ZERO,
            held_since: None,
            version: 1,
            created: pushrail_model::time::Timestamp::ZERO,
            credential_version: 1,
            credential_revision: 0,
            previous: Vec::new(),
        };

        let shown = convert::destination(&"acme".parse().unwrap(), &destination, Default::default(), None);

        assert!(!format!("{shown:?}").contains("whsec_hidden"));
    }
}
