//! Disks that refuse: a write that does not fit, and an fsync that fails. The node stops at once and says so, and nothing
//! that was acknowledged is lost.

use std::process::{Command, Stdio};
use std::time::Instant;

use harness::cluster::{Cluster, Shape};
use harness::door::{Door, event, incompressible, linearizable};
use harness::eventually::eventually;
use harness::process::{Outlives, Process, pushrail, tail};
use pushrail_api::v1;

use crate::world::SOON;

/// The disk refused to write, to sync or to read.
const DISK: Option<i32> = Some(74);

/// Publishes until it is refused, and answers what was acknowledged.
async fn publish_until_refused(door: &Door, events: u64, bytes: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..events {
        let payload = incompressible(number, bytes);
        match door.publish(event("acme", "orders.paid", payload)).await {
            Ok(published) => acknowledged.push(published.event),
            Err(_) => return acknowledged,
        }
    }
    panic!("{events} events were accepted");
}

async fn are_there(door: &Door, acknowledged: &[String]) {
    for id in acknowledged {
        let request = v1::GetEventRequest {
            tenant: String::from("acme"),
            event: id.clone(),
            consistency: Some(linearizable()),
        };
        door.events().get(request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_a_write_stops_the_node_at_once_and_loses_nothing_acknowledged() {
    let mut cluster = Cluster::start(Shape::three().nodes(1)).await;
    cluster.node(1).terminate(SOON).await;
    let log = cluster.directory().join("limited.log");
    // No file may grow beyond 3 MB; the signal that would come with it is ignored, so that the write fails.
    let args = ["--ignore-signal=XFSZ", "prlimit", "--fsize=3000000"].map(String::from);
    let program = [pushrail().display().to_string()];
    let args: Vec<String> = args
        .into_iter()
        .chain(program)
        .chain(cluster.node(1).args())
        .collect();
    let mut process = Process::spawn("env".as_ref(), &args, Outlives::Nothing, &log).unwrap();
    let door = cluster.door(1);
    eventually("a tenant is made", SOON, || async {
        let made = door.create_tenant("acme").await;
        made.map(drop).map_err(|status| status.to_string())
    })
    .await;

    let acknowledged = publish_until_refused(&door, 40, 200_000).await;
    let ended = process.end(SOON).await.unwrap();

    let said = tail(&log, 40);
    assert_eq!(ended.code(), DISK, "{said}");
    assert!(said.contains("the disk failed"), "{said}");
    assert!(said.contains("File too large"), "{said}");
    assert!(acknowledged.len() > 5, "{}", acknowledged.len());
    drop(process);
    cluster.restart(1);
    cluster.ready().await;
    are_there(&cluster.door(1), &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_an_fsync_stops_the_node_at_once_and_the_others_go_on() {
    let mut cluster = Cluster::three().await;
    cluster.door(1).create_tenant("acme").await.unwrap();
    let leader = cluster.leader().await;
    let other = cluster.follower().await;
    let pid = cluster.node(leader).process().pid();
    // From outside: the kernel's answer is replaced while the process is traced.
    let mut tracer = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"])
        .args(["-e", "inject=fsync,fdatasync:error=EIO", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .expect("start strace; `tests/run` installs it");

    let door = cluster.door(other);
    let mut acknowledged = Vec::new();
    let deadline = Instant::now() + SOON;
    let ended = loop {
        if let Some(ended) = cluster.node(leader).process().ended() {
            break ended;
        }
        assert!(Instant::now() < deadline, "{}", cluster.node(leader).tail());
        // Refusals meanwhile are the truth; what is acknowledged lies on two other disks.
        if let Ok(published) = door.publish(event("acme", "orders.paid", "{}")).await {
            acknowledged.push(published.event);
        }
    };

    tracer.kill().ok();
    tracer.wait().unwrap();
    let said = cluster.node(leader).tail();
    assert_eq!(ended.code(), DISK, "{said}");
    assert!(said.contains("the disk failed"), "{said}");
    assert!(said.contains("Input/output error"), "{said}");
    cluster.kill(leader);
    cluster.ready().await;
    for _ in 0..10 {
        let published = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
        acknowledged.push(published.event);
    }
    cluster.restart(leader);
    cluster.ready().await;
    are_there(&cluster.door(leader), &acknowledged).await;
}
