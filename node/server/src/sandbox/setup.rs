//! What a sandbox begins with: one cluster of its nodes, a tenant, a destination and a route, made through the public
//! API as anybody would. A kept sandbox has them already, which is as good.

use std::time::Duration;

use pushrail_api::v1::{
    CreateDestinationRequest, CreateRouteRequest, CreateTenantRequest, ExplicitWaits, InitClusterRequest,
    MemberAddresses, RetryPolicy, retry_policy,
};
use pushrail_api::{Client, ClientError, ClientOptions, Patience};
use serde_json::json;
use tonic::Code;

use crate::sandbox::SandboxError;
use crate::sandbox::place::{NODES, NodePorts, loopback};

/// Who owns everything.
pub(super) const TENANT: &str = "demo";
/// The receiver, as a destination.
pub(super) const DESTINATION: &str = "receiver";
/// Every type of event.
pub(super) const PATTERN: &str = "**";
/// Before each retry, in seconds: as long as somebody watches.
pub(super) const WAITS: [i64; 6] = [1, 2, 5, 10, 30, 60];
/// For each step: a machine may be slow.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// Makes what is not there yet.
pub(super) async fn all(nodes: &[NodePorts; NODES], hooks: &str) -> Result<(), SandboxError> {
    let client = client(nodes).map_err(|error| failed("find the nodes", error))?;
    let members = nodes.iter().zip(1..).map(|(ports, node)| MemberAddresses {
        node,
        peer: loopback(ports.peer).to_string(),
        client: loopback(ports.client).to_string(),
        http: loopback(ports.http).to_string(),
    });
    let request = InitClusterRequest {
        members: members.collect(),
    };
    there(client.init_cluster(request).await.map(drop)).map_err(|error| failed("form the cluster", error))?;
    let request = CreateTenantRequest {
        tenant: TENANT.to_owned(),
        description: "The sandbox's own".to_owned(),
        request_id: "sandbox".to_owned(),
        retention: None,
    };
    there(client.create_tenant(request).await.map(drop))
        .map_err(|error| failed("make the tenant demo", error))?;
    there(client.create_destination(destination(hooks)).await.map(drop))
        .map_err(|error| failed("make the destination", error))?;
    let request = CreateRouteRequest {
        tenant: TENANT.to_owned(),
        pattern: PATTERN.to_owned(),
        destination: DESTINATION.to_owned(),
        request_id: "sandbox".to_owned(),
        ..CreateRouteRequest::default()
    };
    there(client.create_route(request).await.map(drop)).map_err(|error| failed("make the route", error))
}

fn client(nodes: &[NodePorts; NODES]) -> Result<Client, ClientError> {
    let options = ClientOptions {
        deadline: STEP_LIMIT,
        patience: Patience::Whole,
        ..ClientOptions::default()
    };
    Client::with_options(
        nodes.iter().map(|node| loopback(node.client).to_string()),
        options,
    )
}

fn destination(hooks: &str) -> CreateDestinationRequest {
    let waits = WAITS.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    CreateDestinationRequest {
        tenant: TENANT.to_owned(),
        destination: DESTINATION.to_owned(),
        kind: "webhook".to_owned(),
        settings: json!({ "url": hooks }).to_string(),
        retry: Some(RetryPolicy {
            waits: Some(retry_policy::Waits::Explicit(ExplicitWaits {
                waits: waits.to_vec(),
            })),
            ..RetryPolicy::default()
        }),
        description: "The page that shows what arrives".to_owned(),
        request_id: "sandbox".to_owned(),
        ..CreateDestinationRequest::default()
    }
}

/// What an earlier sandbox made is as good.
fn there(made: Result<(), ClientError>) -> Result<(), ClientError> {
    match made {
        Err(error)
            if error
                .status()
                .is_some_and(|status| status.code() == Code::AlreadyExists) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn failed(tried: &'static str, source: ClientError) -> SandboxError {
    SandboxError::Setup {
        tried,
        source: Box::new(source),
    }
}
