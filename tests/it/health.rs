//! What supervisors, balancers and monitoring ask a node over HTTP.

use std::net::SocketAddr;

use harness::behaviour::Behaviour;
use harness::door::event;
use harness::eventually::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{SOON, World};

/// Status and body.
async fn get(address: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<String, std::io::Error>(answer)
    };
    let answer = ask.await.map_err(|error| error.to_string())?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    status.zip(body).ok_or(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_quorum_is_alive_and_not_ready() {
    let mut world = World::three().await;
    let alone = world.cluster.follower().await;
    let address = world.cluster.node(alone).http_address();
    assert_eq!(get(address, "/healthz").await.unwrap().0, 200);
    assert_eq!(get(address, "/readyz").await.unwrap().0, 200);

    let others: Vec<u64> = world
        .cluster
        .ids()
        .into_iter()
        .filter(|id| *id != alone)
        .collect();
    for other in &others {
        world.cluster.kill(*other);
    }
    eventually("it is not ready", SOON, || async {
        let ready = get(address, "/readyz").await?;
        (ready.0 == 503).then_some(()).ok_or(format!("{ready:?}"))
    })
    .await;
    assert_eq!(get(address, "/healthz").await.unwrap().0, 200);
    for other in others {
        world.cluster.restart(other);
    }

    eventually("it is ready again", SOON, || async {
        let ready = get(address, "/readyz").await?;
        (ready.0 == 200).then_some(()).ok_or(format!("{ready:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_count_what_was_done() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::first(1, 500)).await;
    for _ in 0..10 {
        world
            .door()
            .publish(event("acme", "orders.paid", "{}"))
            .await
            .unwrap();
    }
    world.arrived(&hook, 10).await;

    let mut texts = Vec::new();
    for id in world.cluster.ids() {
        let address = world.cluster.node(id).http_address();
        let (status, text) = get(address, "/metrics").await.unwrap();
        assert_eq!(status, 200);
        texts.push(text);
    }

    let all = texts.join("\n");
    for name in [
        "pushrail_deliveries_total",
        "pushrail_attempts_total",
        "pushrail_attempt_duration_seconds",
        "pushrail_publish_ack_duration_seconds",
        "pushrail_pending",
        "pushrail_oldest_pending_age_seconds",
        "pushrail_dead_letters",
        "pushrail_shards_owned",
        "pushrail_lease_remaining_seconds",
        "pushrail_raft_is_leader",
        "pushrail_raft_term",
        "pushrail_raft_applied_lag_entries",
        "pushrail_raft_fsync_duration_seconds",
        "pushrail_apply_duration_seconds",
        "pushrail_build_info",
    ] {
        assert!(all.contains(name), "{name} is missing");
    }
    // Labels come from closed sets: neither tenant nor destination may be one.
    assert!(
        !all.contains("acme") && !all.contains("orders"),
        "a tenant or a destination is in the metrics"
    );
    let leaders = texts.iter().filter(|text| {
        text.lines()
            .any(|line| line.starts_with("pushrail_raft_is_leader") && line.ends_with(" 1"))
    });
    assert_eq!(leaders.count(), 1);
    assert_eq!(sum(&texts, "pushrail_attempts_total"), 20);
}

/// The sum of a counter over all its labels and nodes.
fn sum(texts: &[String], name: &str) -> u64 {
    let lines = texts.iter().flat_map(|text| text.lines());
    let values = lines
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}
