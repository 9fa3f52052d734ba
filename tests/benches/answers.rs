//! How fast a follower of a real cluster answers lists and stories through the public API, while others publish and
//! webhooks are delivered: with few attempts stored, and with `ATTEMPTS` (100,000 unless it says otherwise).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures and tells"
)]

use std::time::{Duration, Instant};

use harness::behaviour::{Answer, Behaviour};
use harness::cluster::{Cluster, Shape};
use harness::door::{Door, Webhook, local};
use harness::eventually::eventually;
use harness::load::{Load, Plan};
use harness::receiver::Receiver;
use pushrail_api::v1;
use tonic::Status;

/// Questions of each sort.
const QUESTIONS: usize = 200;
const FEW: usize = 10_000;
const LONG: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        // A test runner asks every program for its tests: here are none.
        return;
    }
    let many = std::env::var("ATTEMPTS").map_or(100_000, |number| number.parse().unwrap());
    let cluster = Cluster::start(Shape::three()).await;
    let receiver = Receiver::start().await;
    let follower = cluster.door(cluster.follower().await);
    set_up(&follower, &receiver).await;
    let mut events = fill(&cluster, "few", FEW).await;
    let few = measure(&cluster, &follower, &events, "few").await;
    events.extend(fill(&cluster, "many", many - FEW).await);
    let with_many = measure(&cluster, &follower, &events, "many").await;
    println!(
        "{:<36} {FEW:>12} {many:>12} {:>12}",
        "median of a call to a follower", "99 % below"
    );
    for ((what, (median, _)), (_, (with_many, high))) in few.iter().zip(&with_many) {
        println!(
            "{what:<36} {:>12} {:>12} {:>12}",
            format!("{median:.1?}"),
            format!("{with_many:.1?}"),
            format!("{high:.1?}")
        );
    }
}

async fn set_up(door: &Door, receiver: &Receiver) {
    // One in fifty is refused for good.
    receiver.script(
        "/acme",
        Behaviour::of(|seen| Answer::status(if seen.of_path % 50 == 7 { 401 } else { 200 })),
    );
    let mut webhook = Webhook::new("acme", "orders", &receiver.url("/acme"));
    webhook.concurrency = 128;
    door.create_tenant("acme").await.unwrap();
    door.create_webhook(&webhook).await.unwrap();
    door.create_route("acme", "orders.*", "orders").await.unwrap();
}

fn plan(name: &str, events: usize) -> Plan {
    Plan {
        tenants: vec![String::from("acme")],
        event_types: vec![String::from("orders.made"), String::from("orders.paid")],
        events,
        batch: 100,
        callers: 6,
        payload_bytes: 200,
        name: name.to_owned(),
    }
}

/// Publishes, and waits until all is delivered or dead; some of the events.
async fn fill(cluster: &Cluster, name: &str, events: usize) -> Vec<String> {
    let begun = Instant::now();
    let acknowledged = Load::start(cluster.doors(), plan(name, events))
        .finish(LONG)
        .await
        .unwrap();
    let door = cluster.door(1);
    eventually("nothing is scheduled any more", LONG, || async {
        let counts = door.destination("acme", "orders").await.unwrap().counts.unwrap();
        (counts.scheduled == 0).then_some(()).ok_or(format!("{counts:?}"))
    })
    .await;
    println!("{events} published and delivered in {:.1?}", begun.elapsed());
    let step = acknowledged.len() / QUESTIONS + 1;
    acknowledged
        .into_iter()
        .step_by(step)
        .map(|one| one.event)
        .collect()
}

type Took = Vec<(&'static str, (Duration, Duration))>;

/// Asks the follower, one question at a time, while a load of a calm product goes on.
async fn measure(cluster: &Cluster, door: &Door, events: &[String], name: &str) -> Took {
    let calm = Plan {
        batch: 10,
        callers: 1,
        ..plan(&format!("{name}-meanwhile"), usize::MAX)
    };
    let load = Load::start(cluster.doors(), calm);
    load.reaches(50, LONG).await;
    let questions: [&'static str; 9] = [
        "events explain",
        "attempts list",
        "attempts list, failed",
        "attempts list, nothing matches",
        "deliveries list",
        "deliveries list, dead",
        "deliveries list, nothing matches",
        "dlq list",
        "dlq list, by cause",
    ];
    let mut took = Took::new();
    for question in questions {
        let mut times = Vec::with_capacity(QUESTIONS);
        for number in 0..QUESTIONS {
            let begun = Instant::now();
            ask(door, question, &events[number % events.len()]).await.unwrap();
            times.push(begun.elapsed());
        }
        times.sort();
        took.push((question, (times[QUESTIONS / 2], times[QUESTIONS * 99 / 100])));
    }
    load.stop(LONG).await;
    took
}

async fn ask(door: &Door, question: &str, event: &str) -> Result<(), Status> {
    let (tenant, consistency) = (String::from("acme"), Some(local()));
    let attempts = v1::ListAttemptsRequest {
        tenant: tenant.clone(),
        consistency: consistency.clone(),
        ..Default::default()
    };
    let deliveries = v1::ListDeliveriesRequest {
        tenant: tenant.clone(),
        consistency: consistency.clone(),
        ..Default::default()
    };
    let narrowed = |change: fn(&mut v1::ListAttemptsRequest)| {
        let mut request = attempts.clone();
        change(&mut request);
        request
    };
    let owed = |state: v1::DeliveryState| v1::ListDeliveriesRequest {
        state: i32::from(state),
        ..deliveries.clone()
    };
    match question {
        "events explain" => drop(door.explain("acme", event, local()).await?),
        "attempts list" => drop(door.attempts().list(attempts).await?),
        "attempts list, failed" => {
            let request = narrowed(|request| request.outcome = v1::AttemptOutcome::Failed.into());
            drop(door.attempts().list(request).await?);
        }
        "attempts list, nothing matches" => {
            let request = narrowed(|request| request.cause = v1::Cause::Throttle.into());
            drop(door.attempts().list(request).await?);
        }
        "deliveries list" => drop(door.deliveries().list(deliveries).await?),
        "deliveries list, dead" => drop(door.deliveries().list(owed(v1::DeliveryState::Dead)).await?),
        "deliveries list, nothing matches" => {
            drop(door.deliveries().list(owed(v1::DeliveryState::Discarded)).await?);
        }
        "dlq list" => {
            let request = v1::ListDeadLettersRequest {
                tenant,
                consistency,
                ..Default::default()
            };
            drop(door.dead_letters().list(request).await?);
        }
        "dlq list, by cause" => {
            let request = v1::ListDeadLetterCausesRequest {
                tenant,
                consistency,
                ..Default::default()
            };
            drop(door.dead_letters().list_causes(request).await?);
        }
        other => panic!("no such question: {other}"),
    }
    Ok(())
}
