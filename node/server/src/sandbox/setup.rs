//! What a sandbox begins with: one cluster of its nodes, a tenant, a destination and a route, made through the public
//! API as anybody would. A kept sandbox has them already, which is as good; what somebody has removed from it is made
//! anew and said to be, since a page on which nothing can arrive is no sandbox.

use std::time::Duration;

use pushrail_api::v1::{
    Consistency, CreateDestinationRequest, CreateRouteRequest, CreateTenantRequest, ExplicitWaits,
    InitClusterRequest, ListRoutesRequest, MemberAddresses, RetryPolicy, consistency, retry_policy,
};
use pushrail_api::{Client, ClientError, ClientOptions, Patience, drawn_id, failure};
use serde_json::json;
use tonic::Code;

use crate::sandbox::place::{NODES, NodePorts, loopback};
use crate::sandbox::{SandboxError, say};
use crate::services::reasons::REMOVED_SINCE;

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
    let tenant = |request_id| {
        client.create_tenant(CreateTenantRequest {
            tenant: TENANT.to_owned(),
            description: "The sandbox's own".to_owned(),
            request_id,
            retention: None,
        })
    };
    make("the tenant demo", tenant)
        .await
        .map_err(|error| failed("make the tenant demo", error))?;
    let receiver = |request_id| {
        client.create_destination(CreateDestinationRequest {
            request_id,
            ..destination(hooks)
        })
    };
    make("the destination receiver", receiver)
        .await
        .map_err(|error| failed("make the destination", error))?;
    // A route has no name that could be taken already: where one leads to the receiver, another would be one too many.
    let routed = is_routed(&client).await;
    if routed.map_err(|error| failed("look at the routes", error))? {
        return Ok(());
    }
    let route = |request_id| {
        client.create_route(CreateRouteRequest {
            tenant: TENANT.to_owned(),
            pattern: PATTERN.to_owned(),
            destination: DESTINATION.to_owned(),
            request_id,
            ..CreateRouteRequest::default()
        })
    };
    make("the route to it", route)
        .await
        .map_err(|error| failed("make the route", error))
}

/// Whether any route leads to the receiver, be it the sandbox's own or the user's.
async fn is_routed(client: &Client) -> Result<bool, ClientError> {
    let level = consistency::Level::Linearizable(consistency::Linearizable {});
    let mut request = ListRoutesRequest {
        tenant: TENANT.to_owned(),
        consistency: Some(Consistency { level: Some(level) }),
        ..ListRoutesRequest::default()
    };
    loop {
        let page = client.list_routes(request.clone()).await?;
        if page.routes.iter().any(|route| route.destination == DESTINATION) {
            return Ok(true);
        }
        if page.next_page_token.is_empty() {
            return Ok(false);
        }
        request.page_token = page.next_page_token;
    }
}

/// Makes a thing; one that is there already is as good. For a day, the request of the first start is known as one that
/// was carried out, also where its thing has been removed since: then another request makes it anew.
async fn make<T, F>(what: &str, ask: impl Fn(String) -> F) -> Result<(), ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let first = ask("sandbox".to_owned()).await.map(drop);
    if !first.as_ref().is_err_and(is_removed) {
        return there(first);
    }
    let anew = ask(drawn_id("sandbox")).await.map(drop);
    if anew.is_ok() {
        say(&format!("{what} had been removed, and is made anew\n"));
    }
    there(anew)
}

fn is_removed(error: &ClientError) -> bool {
    let reason = error.status().and_then(failure::reason);
    reason.as_deref() == Some(REMOVED_SINCE.name)
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use tonic::Status;
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;
    use crate::services::reasons::{ALREADY_EXISTS, Reason, TENANT_NOT_FOUND};

    /// Asks with these answers, one after the other; whether it went well, and under which request ids.
    async fn made(answers: &[Result<(), Reason>]) -> (bool, Vec<String>) {
        let asked = RefCell::new(Vec::new());
        let ask = |request_id| {
            let answer = answers[asked.borrow().len()];
            asked.borrow_mut().push(request_id);
            async move {
                answer.map_err(|reason| {
                    let details = ErrorDetails::with_error_info(reason.name, failure::DOMAIN, HashMap::new());
                    ClientError::Refused {
                        address: "a:1".to_owned(),
                        status: Box::new(Status::with_error_details(reason.code, "no", details)),
                        accepted: None,
                        tried: Vec::new(),
                    }
                })
            }
        };
        let made = make("it", ask).await;
        (made.is_ok(), asked.into_inner())
    }

    #[tokio::test]
    async fn what_was_removed_is_made_anew_by_another_request() {
        let (removed, ids) = made(&[Err(REMOVED_SINCE), Ok(())]).await;
        let (by_the_user, _) = made(&[Err(REMOVED_SINCE), Err(ALREADY_EXISTS)]).await;
        let (there, once) = made(&[Err(ALREADY_EXISTS)]).await;
        let (refused, _) = made(&[Err(TENANT_NOT_FOUND)]).await;

        assert!(removed && by_the_user && there && !refused);
        assert!(ids[0] == "sandbox" && ids[1].starts_with("sandbox-"), "{ids:?}");
        assert_eq!(once, ["sandbox"]);
    }
}
