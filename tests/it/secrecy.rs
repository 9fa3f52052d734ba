//! Nothing of a payload, a credential, a header or a URL's query is in any node's log or metrics, at level debug,
//! whatever happens: delivered, failed, retried, dead, replayed, refused, killed.

use std::fs;
use std::time::Duration;

use harness::behaviour::{Answer, Behaviour};
use harness::cluster::Shape;
use harness::door::event;
use harness::eventually::eventually;
use harness::http::get;
use pushrail_api::v1;

use crate::world::{SOON, World};

/// What must not be found. The secret is also looked for as the bytes that it stands for.
const PAYLOAD: &str = "marker-payload-7f3a";
const REPLY: &str = "marker-reply-7f3a";
const REPLY_HEADER: &str = "marker-header-7f3a";
const QUERY: &str = "marker-query-7f3a";
const STATIC: &str = "marker-static-7f3a";
const BEARER: &str = "marker-bearer-7f3a";
const USER: &str = "marker-user-7f3a";
const KEY: &str = "marker-idempotency-7f3a";
/// Base64 of `marker-secret-7f3a-marker-secret`.
const SECRET: &str = "bWFya2VyLXNlY3JldC03ZjNhLW1hcmtlci1zZWNyZXQ=";
const SECRET_BYTES: &str = "marker-secret-7f3a";

#[tokio::test(flavor = "multi_thread")]
async fn no_log_and_no_metric_holds_anything_of_a_customers() {
    let mut world = World::of(Shape::three().set("log.level=debug").set("log.format=json")).await;
    let base = world.receiver.url("");
    for (name, behaviour) in [
        ("well", Behaviour::first(2, 503)),
        ("ill", telling(401)),
        ("late", Behaviour::hold()),
        ("broken", Behaviour::hangs_up(usize::MAX)),
    ] {
        world.receiver.script(&format!("/{name}"), behaviour);
        destination(&world, name, &base).await;
    }
    // Nobody listens there: the way out itself fails, and its errors know the URL.
    destination(&world, "gone", "http://127.0.0.1:1").await;

    work(&mut world).await;

    // What is looked for did go out.
    let request = world.receiver.requests_to("/well").remove(0);
    assert!(String::from_utf8_lossy(&request.body).contains(PAYLOAD));
    assert_eq!(request.headers["x-static"], STATIC);
    assert_eq!(request.headers["authorization"], BEARER);
    let mut searched = 0;
    for id in world.cluster.ids() {
        let log = fs::read_to_string(world.cluster.node(id).log()).unwrap();
        assert!(
            log.contains("\"level\":\"DEBUG\""),
            "node {id} logs at level debug"
        );
        clean(&format!("node {id}'s log"), &log);
        searched += 1;
    }
    for address in world.cluster.http_addresses() {
        let (_, text) = get(address, "/metrics").await.unwrap();
        clean(&format!("/metrics of {address}"), &text);
        searched += 1;
    }
    assert_eq!(searched, 6);
}

/// No line holds a marker; the line itself is what a failure shows.
fn clean(place: &str, text: &str) {
    for marker in [
        PAYLOAD,
        REPLY,
        REPLY_HEADER,
        QUERY,
        STATIC,
        BEARER,
        USER,
        KEY,
        SECRET,
        SECRET_BYTES,
    ] {
        let found = text.lines().find(|line| line.contains(marker));
        assert_eq!(found, None, "{marker} is in {place}");
    }
}

/// Answers so, with a body and a header of its own.
fn telling(status: u16) -> Behaviour {
    Behaviour::of(move |_| Answer::Status {
        status,
        headers: vec![("x-marker", REPLY_HEADER.to_owned())],
        body: REPLY.to_owned(),
    })
}

async fn destination(world: &World, name: &str, base: &str) {
    let door = world.door();
    door.create_tenant("acme").await.unwrap();
    let url = format!("{base}/{name}?token={QUERY}");
    let request = v1::CreateDestinationRequest {
        tenant: "acme".to_owned(),
        destination: name.to_owned(),
        kind: "webhook".to_owned(),
        settings: serde_json::json!({ "url": url, "headers": { "x-static": STATIC } }).to_string(),
        credential: serde_json::json!({
            "secret": format!("whsec_{SECRET}"),
            "headers": { "authorization": BEARER },
        })
        .to_string(),
        retry: Some(v1::RetryPolicy {
            waits: Some(v1::retry_policy::Waits::Explicit(v1::ExplicitWaits {
                waits: vec![millis(50), millis(50)],
            })),
            floor: Some(millis(10)),
            ..Default::default()
        }),
        ..Default::default()
    };
    door.destinations().create(request.clone()).await.unwrap();
    // Refused, and the refusal must not be logged with what was refused.
    let with_user = url.replace("http://", &format!("http://{USER}:{USER}@"));
    let refused = v1::CreateDestinationRequest {
        destination: "refused".to_owned(),
        settings: serde_json::json!({ "url": with_user, "headers": { "authorization": REPLY_HEADER } })
            .to_string(),
        ..request
    };
    door.destinations().create(refused).await.unwrap_err();
    door.create_route("acme", &format!("{name}.*"), name)
        .await
        .unwrap();
}

fn millis(millis: i32) -> prost_types::Duration {
    prost_types::Duration {
        seconds: 0,
        nanos: millis * 1_000_000,
    }
}

/// Publishes through every node, lets attempts fail, buries and replays, and kills the leader in the middle.
async fn work(world: &mut World) {
    let payload = format!("{{\"note\":\"{PAYLOAD}\"}}");
    for door in world.cluster.doors() {
        for name in ["well", "ill", "late", "broken", "gone"] {
            let mut event = event("acme", &format!("{name}.made"), payload.clone());
            event.idempotency_key = format!("{KEY}-{name}-{}", door.node());
            door.publish(event.clone()).await.unwrap();
            event.payload = b"another".to_vec().into();
            // The same key with another payload.
            door.publish(event).await.unwrap_err();
        }
        // An event that cannot be, a tenant that is not.
        door.publish(event("acme", "bad..type", payload.clone()))
            .await
            .unwrap_err();
        door.publish(event("nobody", "well.made", payload.clone()))
            .await
            .unwrap_err();
    }
    let leader = world.cluster.leader().await;
    world.cluster.kill(leader);
    eventually("all that can be is delivered", SOON, || async {
        let taken = world.receiver.taken("/well").len();
        (taken == 3).then_some(()).ok_or(format!("{taken} of 3"))
    })
    .await;
    for name in ["broken", "gone"] {
        dead(world, name).await;
    }
    let letters = dead(world, "ill").await;
    let before = world.receiver.count("/ill");
    let request = v1::ReplayDeadLettersRequest {
        tenant: "acme".to_owned(),
        deliveries: letters.into_iter().map(|letter| letter.delivery).collect(),
        request_id: "replay".to_owned(),
    };
    world.door().dead_letters().replay(request).await.unwrap();
    eventually("they are tried again", SOON, || async {
        let count = world.receiver.count("/ill");
        (count >= before + 3).then_some(()).ok_or(format!("{count}"))
    })
    .await;
    world.cluster.restart(leader);
    world.cluster.ready().await;
    // What is held is cut off by its sender's end.
    world.receiver.release();
    for id in world.cluster.ids() {
        world.cluster.node(id).terminate(Duration::from_secs(60)).await;
        world.cluster.restart(id);
    }
    world.cluster.ready().await;
}

/// Waits until all three events are dead letters of a destination.
async fn dead(world: &World, name: &str) -> Vec<v1::DeadLetter> {
    eventually("three are dead letters", SOON, || async {
        let letters = world.door().dead_letters_of("acme", name).await;
        let letters = letters.map_err(|status| status.to_string())?;
        (letters.len() == 3)
            .then_some(letters.clone())
            .ok_or(format!("{} of {name} are", letters.len()))
    })
    .await
}
