//! `pushrail.v1.Destinations`. A credential leaves the node once: in the answer to the request that made it.

use pushrail_api::v1::destinations_server;
use pushrail_api::v1::{
    self, CreateDestinationRequest, CreateDestinationResponse, Destination, GetDestinationRequest,
    GetDestinationResponse, ListDestinationsRequest, ListDestinationsResponse, PauseDestinationRequest,
    PauseDestinationResponse, ResumeDestinationRequest, ResumeDestinationResponse, TestDestinationRequest,
    TestDestinationResponse, retry_policy,
};
use pushrail_machine::query::{assignment, config, counts};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::command::WantedState;
use pushrail_model::destination;
use pushrail_model::ids::{DestinationId, TenantId};
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Span;
use pushrail_model::token::Token;
use pushrail_raft::view::Freshness;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort, Wrong, done_but};
use crate::door::settings::DestinationWish;
use crate::services::page::{Wanted, cut};
use crate::services::{convert, destination_test, service, status};

service!(
    /// Makes, finds, pauses and resumes destinations.
    Destinations
);

#[tonic::async_trait]
impl destinations_server::Destinations for Destinations {
    async fn create(
        &self,
        request: Request<CreateDestinationRequest>,
    ) -> Result<Response<CreateDestinationResponse>, Status> {
        let request = request.into_inner();
        let tenant = request.tenant.clone();
        let (made, token) = self
            .door
            .create_destination(wish(request))
            .await
            .map_err(status::write)?;
        let credential = String::from_utf8_lossy(&made.spec.credential).into_owned();
        let destination = self
            .as_it_stands(&tenant, made, token)
            .await
            .map_err(status::write)?;
        Ok(Response::new(CreateDestinationResponse {
            destination: Some(destination),
            credential,
            token: token.to_string(),
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
        let request = request.into_inner();
        let paused = self.door.set_state(
            &request.tenant,
            &request.destination,
            WantedState::Paused,
            request.request_id,
        );
        let (stands, token) = paused.await.map_err(status::write)?;
        let destination = self
            .as_it_stands(&request.tenant, stands, token)
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
        let request = request.into_inner();
        let resumed = self.door.set_state(
            &request.tenant,
            &request.destination,
            WantedState::Active,
            request.request_id,
        );
        let (stands, token) = resumed.await.map_err(status::write)?;
        let destination = self
            .as_it_stands(&request.tenant, stands, token)
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
    ) -> Result<Destination, Refusal> {
        let tenant: TenantId = convert::id("tenant", tenant).map_err(done_but)?;
        let query = move |view: &dyn Read, tenant: &Tenant| message(view, tenant, &destination);
        let read = self.door.ask_of(Freshness::AtLeast(token), &tenant, query);
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

fn wish(request: CreateDestinationRequest) -> DestinationWish {
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
        wrong,
    }
}

/// The policy asked for; what is absent takes its default.
fn policy(asked: Option<&v1::RetryPolicy>, wrong: &mut Vec<Wrong>) -> RetryPolicy {
    let RetryPolicy {
        waits: default_waits,
        window,
        floor,
    } = RetryPolicy::default();
    let Some(asked) = asked else {
        return RetryPolicy::default();
    };
    let mut span = |field: &str, asked: Option<&prost_types::Duration>, default: Span| {
        let Some(asked) = asked else { return default };
        convert::span_of(asked).unwrap_or_else(|| {
            wrong.push(Wrong::new(field, "below zero"));
            default
        })
    };
    let waits = match (&asked.waits, default_waits) {
        (Some(retry_policy::Waits::Explicit(explicit)), _) => {
            let waits = explicit.waits.iter();
            Waits::Explicit(
                waits
                    .map(|wait| span("retry.explicit.waits", Some(wait), Span::ZERO))
                    .collect(),
            )
        }
        (
            Some(retry_policy::Waits::Exponential(asked)),
            Waits::Exponential {
                first,
                factor,
                cap,
                retries,
            },
        ) => Waits::Exponential {
            first: span("retry.exponential.first", asked.first.as_ref(), first),
            factor: if asked.factor == 0 { factor } else { asked.factor },
            cap: span("retry.exponential.cap", asked.cap.as_ref(), cap),
            retries: asked.retries.unwrap_or(retries),
        },
        (_, default) => default,
    };
    RetryPolicy {
        waits,
        window: span("retry.window", asked.window.as_ref(), window),
        floor: span("retry.floor", asked.floor.as_ref(), floor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos: 0 }
    }

    #[test]
    fn what_a_policy_leaves_out_takes_its_default() {
        let mut wrong = Vec::new();
        let asked = v1::RetryPolicy {
            waits: Some(retry_policy::Waits::Exponential(v1::ExponentialWaits {
                first: Some(seconds(2)),
                retries: Some(0),
                ..v1::ExponentialWaits::default()
            })),
            window: None,
            floor: Some(seconds(0)),
        };

        let policy = policy(Some(&asked), &mut wrong);

        assert_eq!(
            policy,
            RetryPolicy {
                waits: Waits::Exponential {
                    first: Span::from_secs(2),
                    factor: 4,
                    cap: Span(6 * Span::HOUR.0),
                    retries: 0
                },
                window: Span::DAY,
                floor: Span::ZERO,
            }
        );
        assert_eq!(wrong, []);
        assert_eq!(super::policy(None, &mut wrong), RetryPolicy::default());
    }

    #[test]
    fn an_explicit_list_is_taken_as_it_is_and_no_wait_is_below_zero() {
        let mut wrong = Vec::new();
        let asked = v1::RetryPolicy {
            waits: Some(retry_policy::Waits::Explicit(v1::ExplicitWaits {
                waits: vec![seconds(1), seconds(-1)],
            })),
            ..v1::RetryPolicy::default()
        };

        let policy = policy(Some(&asked), &mut wrong);

        assert_eq!(
            policy.waits,
            Waits::Explicit(vec![Span::from_secs(1), Span::ZERO])
        );
        assert_eq!(wrong, [Wrong::new("retry.explicit.waits", "below zero")]);
    }

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
                retry: RetryPolicy::default(),
                concurrency: 1,
                description: String::new(),
            },
            state: destination::DestinationState::Active,
            held: Span::ZERO,
            held_since: None,
            version: 1,
            created: pushrail_model::time::Timestamp::ZERO,
            request_id: String::new(),
            state_request_id: String::new(),
        };

        let shown = convert::destination(&"acme".parse().unwrap(), &destination, Default::default(), None);

        assert!(!format!("{shown:?}").contains("whsec_hidden"));
    }
}
