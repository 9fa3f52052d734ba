//! One node as a caller sees it: its gRPC services, and short names for what tests say most often.

use std::net::SocketAddr;
use std::time::Duration;

use pushrail_api::v1;
use pushrail_api::v1::attempts_client::AttemptsClient;
use pushrail_api::v1::changes_client::ChangesClient;
use pushrail_api::v1::cluster_client::ClusterClient;
use pushrail_api::v1::dead_letters_client::DeadLettersClient;
use pushrail_api::v1::deliveries_client::DeliveriesClient;
use pushrail_api::v1::destinations_client::DestinationsClient;
use pushrail_api::v1::events_client::EventsClient;
use pushrail_api::v1::publisher_client::PublisherClient;
use pushrail_api::v1::routes_client::RoutesClient;
use pushrail_api::v1::tenants_client::TenantsClient;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// One node.
#[derive(Clone, Debug)]
pub struct Door {
    node: u64,
    channel: Channel,
}

/// A webhook to make; what tests wait for is short.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Whose.
    pub tenant: String,
    /// Its id.
    pub destination: String,
    /// Where to.
    pub url: String,
    /// The waits before the retries.
    pub waits: Vec<Duration>,
    /// The least wait after a 429, a 503 or a time-out.
    pub floor: Duration,
    /// How long retries go on.
    pub window: Duration,
    /// Attempts at a time; 0: the default.
    pub concurrency: u32,
    /// JSON object of headers that everybody may see.
    pub headers: String,
    /// JSON object of headers that nobody is shown; empty: none.
    pub hidden_headers: String,
}

impl Webhook {
    /// With forty retries, a quarter of a second apart.
    pub fn new(tenant: &str, destination: &str, url: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            destination: destination.to_owned(),
            url: url.to_owned(),
            waits: vec![Duration::from_millis(250); 40],
            floor: Duration::from_millis(250),
            window: Duration::from_secs(3600),
            concurrency: 0,
            headers: String::from("{}"),
            hidden_headers: String::new(),
        }
    }
}

impl Door {
    /// The node at this address; connected when first needed.
    pub fn at(node: u64, address: SocketAddr) -> Self {
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).expect("a socket address makes a URI");
        let channel = endpoint
            .connect_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(20))
            .tcp_nodelay(true)
            .connect_lazy();
        Self { node, channel }
    }

    /// Which node.
    pub fn node(&self) -> u64 {
        self.node
    }

    /// The connection itself, for services that are not ours.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Its `Publisher`.
    pub fn publisher(&self) -> PublisherClient<Channel> {
        PublisherClient::new(self.channel.clone())
    }

    /// Its `Tenants`.
    pub fn tenants(&self) -> TenantsClient<Channel> {
        TenantsClient::new(self.channel.clone())
    }

    /// Its `Destinations`.
    pub fn destinations(&self) -> DestinationsClient<Channel> {
        DestinationsClient::new(self.channel.clone())
    }

    /// Its `Routes`.
    pub fn routes(&self) -> RoutesClient<Channel> {
        RoutesClient::new(self.channel.clone())
    }

    /// Its `Events`.
    pub fn events(&self) -> EventsClient<Channel> {
        EventsClient::new(self.channel.clone())
    }

    /// Its `Attempts`.
    pub fn attempts(&self) -> AttemptsClient<Channel> {
        AttemptsClient::new(self.channel.clone())
    }

    /// Its `Deliveries`.
    pub fn deliveries(&self) -> DeliveriesClient<Channel> {
        DeliveriesClient::new(self.channel.clone())
    }

    /// Its `DeadLetters`.
    pub fn dead_letters(&self) -> DeadLettersClient<Channel> {
        DeadLettersClient::new(self.channel.clone())
    }

    /// Its `Changes`.
    pub fn changes(&self) -> ChangesClient<Channel> {
        ChangesClient::new(self.channel.clone())
    }

    /// Its `Cluster`.
    pub fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    /// Makes a tenant.
    pub async fn create_tenant(&self, tenant: &str) -> Result<(), Status> {
        let request = v1::CreateTenantRequest {
            tenant: tenant.to_owned(),
            request_id: format!("tenant-{tenant}"),
            ..Default::default()
        };
        self.tenants().create(request).await?;
        Ok(())
    }

    /// Makes a webhook, and answers its secret.
    pub async fn create_webhook(&self, webhook: &Webhook) -> Result<String, Status> {
        let request = v1::CreateDestinationRequest {
            tenant: webhook.tenant.clone(),
            destination: webhook.destination.clone(),
            kind: String::from("webhook"),
            settings: format!(
                r#"{{"url":{},"headers":{}}}"#,
                serde_json::json!(webhook.url),
                webhook.headers
            ),
            credential: match webhook.hidden_headers.as_str() {
                "" => String::new(),
                headers => format!(r#"{{"headers":{headers}}}"#),
            },
            retry: Some(v1::RetryPolicy {
                waits: Some(v1::retry_policy::Waits::Explicit(v1::ExplicitWaits {
                    waits: webhook.waits.iter().copied().map(proto_duration).collect(),
                })),
                window: Some(proto_duration(webhook.window)),
                floor: Some(proto_duration(webhook.floor)),
            }),
            concurrency: webhook.concurrency,
            request_id: format!("destination-{}-{}", webhook.tenant, webhook.destination),
            ..Default::default()
        };
        let created = self.destinations().create(request).await?.into_inner();
        let credential: serde_json::Value =
            serde_json::from_str(&created.credential).map_err(|error| Status::internal(error.to_string()))?;
        let secret = credential.get("secret").and_then(serde_json::Value::as_str);
        secret
            .map(str::to_owned)
            .ok_or_else(|| Status::internal("the credential has no secret"))
    }

    /// Makes a route.
    pub async fn create_route(&self, tenant: &str, pattern: &str, destination: &str) -> Result<(), Status> {
        let request = v1::CreateRouteRequest {
            tenant: tenant.to_owned(),
            pattern: pattern.to_owned(),
            destination: destination.to_owned(),
            request_id: format!("route-{tenant}-{pattern}-{destination}"),
            ..Default::default()
        };
        self.routes().create(request).await?;
        Ok(())
    }

    /// Publishes one event.
    pub async fn publish(&self, event: v1::NewEvent) -> Result<v1::Receipt, Status> {
        let response = self
            .publisher()
            .publish(v1::PublishRequest { event: Some(event) })
            .await?;
        response
            .into_inner()
            .receipt
            .ok_or_else(|| Status::internal("an acknowledgement without a receipt"))
    }

    /// An event's whole story.
    pub async fn explain(
        &self,
        tenant: &str,
        event: &str,
        consistency: v1::Consistency,
    ) -> Result<v1::ExplainEventResponse, Status> {
        let request = v1::ExplainEventRequest {
            tenant: tenant.to_owned(),
            event: event.to_owned(),
            consistency: Some(consistency),
        };
        Ok(self.events().explain(request).await?.into_inner())
    }

    /// A destination, as all that was acknowledged before leaves it.
    pub async fn destination(&self, tenant: &str, destination: &str) -> Result<v1::Destination, Status> {
        let request = v1::GetDestinationRequest {
            tenant: tenant.to_owned(),
            destination: destination.to_owned(),
            consistency: Some(linearizable()),
        };
        let response = self.destinations().get(request).await?.into_inner();
        response
            .destination
            .ok_or_else(|| Status::internal("an answer without a destination"))
    }

    /// Pauses a destination.
    pub async fn pause(&self, tenant: &str, destination: &str) -> Result<v1::Destination, Status> {
        let request = v1::PauseDestinationRequest {
            tenant: tenant.to_owned(),
            destination: destination.to_owned(),
            request_id: String::new(),
        };
        let response = self.destinations().pause(request).await?.into_inner();
        response
            .destination
            .ok_or_else(|| Status::internal("an answer without a destination"))
    }

    /// Resumes a destination.
    pub async fn resume(&self, tenant: &str, destination: &str) -> Result<v1::Destination, Status> {
        let request = v1::ResumeDestinationRequest {
            tenant: tenant.to_owned(),
            destination: destination.to_owned(),
            request_id: String::new(),
        };
        let response = self.destinations().resume(request).await?.into_inner();
        response
            .destination
            .ok_or_else(|| Status::internal("an answer without a destination"))
    }

    /// How the cluster stands, as this node tells it.
    pub async fn status(&self) -> Result<v1::ClusterStatusResponse, Status> {
        Ok(self
            .cluster()
            .status(v1::ClusterStatusRequest {})
            .await?
            .into_inner())
    }

    /// A job over dead letters, as all that was acknowledged before leaves it.
    pub async fn job(&self, tenant: &str, job: &str) -> Result<v1::DeadLetterJob, Status> {
        let request = v1::GetDeadLetterJobRequest {
            tenant: tenant.to_owned(),
            job: job.to_owned(),
            consistency: Some(linearizable()),
        };
        let found = self.dead_letters().get_job(request).await?.into_inner().job;
        found.ok_or_else(|| Status::internal("an answer without a job"))
    }

    /// Begins a job over all that is dead at a destination; a repeat of it under the same id is harmless.
    pub async fn start_job(
        &self,
        tenant: &str,
        destination: &str,
        kind: v1::DeadLetterJobKind,
        request_id: &str,
    ) -> Result<v1::DeadLetterJob, Status> {
        let request = v1::StartDeadLetterJobRequest {
            tenant: tenant.to_owned(),
            kind: i32::from(kind),
            destination: destination.to_owned(),
            cause: i32::from(v1::Cause::Unspecified),
            request_id: request_id.to_owned(),
        };
        let started = self.dead_letters().start_job(request).await?.into_inner().job;
        started.ok_or_else(|| Status::internal("an answer without a job"))
    }

    /// A page of dead letters of one destination.
    pub async fn dead_letters_of(
        &self,
        tenant: &str,
        destination: &str,
    ) -> Result<Vec<v1::DeadLetter>, Status> {
        let request = v1::ListDeadLettersRequest {
            tenant: tenant.to_owned(),
            destination: destination.to_owned(),
            page_size: 1000,
            consistency: Some(linearizable()),
            ..Default::default()
        };
        Ok(self.dead_letters().list(request).await?.into_inner().dead_letters)
    }
}

/// So many bytes that no compression makes smaller, the same for the same seed.
pub fn incompressible(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed + 1;
    let mut next = || {
        // Knuth's MMIX generator; its high bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

/// A small JSON event.
pub fn event(tenant: &str, event_type: &str, payload: impl Into<Vec<u8>>) -> v1::NewEvent {
    v1::NewEvent {
        tenant: tenant.to_owned(),
        event_type: event_type.to_owned(),
        content_type: String::from("application/json"),
        payload: payload.into().into(),
        idempotency_key: String::new(),
    }
}

/// Whatever the node has applied.
pub fn local() -> v1::Consistency {
    v1::Consistency {
        level: Some(v1::consistency::Level::Local(v1::consistency::Local {})),
    }
}

/// At least a token's state.
pub fn at_least(token: &str) -> v1::Consistency {
    v1::Consistency {
        level: Some(v1::consistency::Level::AtLeast(token.to_owned())),
    }
}

/// All that was acknowledged before.
pub fn linearizable() -> v1::Consistency {
    v1::Consistency {
        level: Some(v1::consistency::Level::Linearizable(
            v1::consistency::Linearizable {},
        )),
    }
}

fn proto_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).expect("a duration of a test is short")
}
