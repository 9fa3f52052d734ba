//! What supervisors and balancers ask a node, over HTTP and by gRPC's own health and reflection.

use std::net::SocketAddr;

use futures::StreamExt as _;
use harness::door::Door;
use harness::eventually::eventually;
use harness::http::get;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::world::{SOON, World};

/// What cannot be done without a quorum, and the node as a whole.
const TOGETHER: [&str; 3] = ["", "pushrail.v1.Publisher", "pushrail.v1.Destinations"];
/// What a node can do alone.
const ALONE: [&str; 3] = [
    "pushrail.v1.Events",
    "pushrail.v1.Attempts",
    "pushrail.v1.Cluster",
];

async fn says(door: &Door, service: &str) -> Result<ServingStatus, String> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(door.channel()).check(request).await;
    answer
        .map(|answer| answer.into_inner().status())
        .map_err(|status| format!("{service}: {status}"))
}

async fn all_say(door: &Door, services: &[&str], expected: ServingStatus) -> Result<(), String> {
    for service in services {
        let said = says(door, service).await?;
        if said != expected {
            return Err(format!("{service}: {said:?}"));
        }
    }
    Ok(())
}

async fn readyz(address: SocketAddr, expected: u16) -> Result<String, String> {
    let (status, body) = get(address, "/readyz").await?;
    (status == expected)
        .then(|| body.clone())
        .ok_or(format!("{status} {body}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_quorum_is_alive_and_not_ready() {
    let mut world = World::three().await;
    let alone = world.cluster.follower().await;
    let address = world.cluster.node(alone).http_address();
    let door = world.cluster.door(alone);
    assert_eq!(get(address, "/healthz").await.unwrap().0, 200);
    let ready = eventually("it is ready", SOON, || readyz(address, 200)).await;
    assert_eq!(ready, "ready\n");
    eventually("everything serves", SOON, || {
        all_say(&door, &TOGETHER, ServingStatus::Serving)
    })
    .await;

    let ids = world.cluster.ids();
    let others: Vec<u64> = ids.into_iter().filter(|id| *id != alone).collect();
    for other in &others {
        world.cluster.kill(*other);
    }

    let why = eventually("it is not ready", SOON, || readyz(address, 503)).await;
    assert!(why.starts_with("not ready: ") && why.contains("leader"), "{why}");
    eventually("what needs a quorum does not serve", SOON, || {
        all_say(&door, &TOGETHER, ServingStatus::NotServing)
    })
    .await;
    all_say(&door, &ALONE, ServingStatus::Serving).await.unwrap();
    assert_eq!(get(address, "/healthz").await.unwrap().0, 200);

    for other in others {
        world.cluster.restart(other);
    }
    eventually("it is ready again", SOON, || readyz(address, 200)).await;
    eventually("everything serves again", SOON, || {
        all_say(&door, &TOGETHER, ServingStatus::Serving)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_that_reflection_shows_is_known_to_health() {
    let world = World::three().await;
    let door = world.door();
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };

    let asked = futures::stream::iter([request]);
    let mut answers = ServerReflectionClient::new(door.channel())
        .server_reflection_info(asked)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.next().await.unwrap().unwrap().message_response;

    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("no list of services: {answer:?}");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    let ours: Vec<&str> = names
        .into_iter()
        .filter(|name| name.starts_with("pushrail.v1."))
        .collect();
    assert!(ours.contains(&"pushrail.v1.Publisher"), "{ours:?}");
    eventually("all of them serve", SOON, || {
        all_say(&door, &ours, ServingStatus::Serving)
    })
    .await;
}
