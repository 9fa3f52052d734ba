//! `pushrail.v1.Destinations.Test`: a person's test of a destination, as the contract shows it.

use pushrail_adapters::shown::ShownRequest;
use pushrail_api::v1::{
    TestAnswer, TestDestinationRequest, TestDestinationResponse, TestHeader, TestRequest,
};
use pushrail_model::ids::NodeId;
use pushrail_raft::view::Freshness;

use crate::door::Door;
use crate::door::refusal::Refusal;
use crate::door::trial::Tried;
use crate::services::convert;

/// Sends the test event and shows all that came of it.
pub(super) async fn test(
    door: &Door,
    request: TestDestinationRequest,
) -> Result<TestDestinationResponse, Refusal> {
    let tenant = convert::id("tenant", &request.tenant)?;
    let destination = convert::id("destination", &request.destination)?;
    let freshness = match request.consistency {
        Some(_) => convert::freshness(request.consistency.as_ref())?,
        // A test of settings from before the change that it is to prove would be worse than none.
        None => Freshness::Linearizable,
    };
    let tried = door.test(freshness, tenant, destination).await?;
    Ok(message(door.replica().node(), tried))
}

fn message(node: NodeId, tried: Tried) -> TestDestinationResponse {
    let observed = tried.reply.observed;
    let head = tried.reply.head;
    let answer = observed.status.map(|status| TestAnswer {
        protocol: head.as_ref().map(|head| head.protocol()).unwrap_or_default(),
        status: u32::from(status),
        headers: headers(head.map(|head| head.headers()).unwrap_or_default()),
        excerpt: observed.excerpt,
        excerpt_cut: observed.excerpt_cut,
    });
    TestDestinationResponse {
        node: node.0,
        event: tried.event_id,
        request: tried.request.map(request),
        answer,
        failure: convert::failure(&tried.outcome),
        detail: observed.detail,
        took: convert::span(tried.took),
        retry_after: observed.retry_after.and_then(convert::span),
        remote: observed.remote,
        applied: tried.token.to_string(),
    }
}

fn request(shown: ShownRequest) -> TestRequest {
    TestRequest {
        method: shown.method,
        url: shown.url,
        headers: headers(shown.headers),
        body: shown.body,
    }
}

fn headers(headers: Vec<(String, String)>) -> Vec<TestHeader> {
    let headers = headers.into_iter();
    headers.map(|(name, value)| TestHeader { name, value }).collect()
}
