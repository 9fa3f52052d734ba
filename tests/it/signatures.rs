//! Our signatures, bodies and headers on the wire, checked by a verifier of Standard Webhooks that is not our code.

use std::time::{Duration, UNIX_EPOCH};

use harness::audit::settled;
use harness::behaviour::Behaviour;
use harness::door::event;
use harness::receiver::Signature;
use pushrail_api::v1;

use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_signed_for_its_own_time_under_one_id() {
    let mut world = World::three().await;
    let hook = world
        .webhook_with("acme", "orders", Behaviour::first(2, 500), |hook| {
            hook.waits = vec![Duration::from_millis(1100); 3]
        })
        .await;

    let receipt = world
        .door()
        .publish(event("acme", "orders.paid", r#"{"total":"12,50 €"}"#))
        .await
        .unwrap();
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();

    let requests = world.receiver.requests_to(&hook.path);
    assert_eq!(requests.len(), 3);
    let mut stamps = Vec::new();
    for request in &requests {
        assert_eq!(request.signature, Signature::Valid);
        assert_eq!(request.webhook_id, receipt.event);
        assert_eq!(request.method, "POST");
        let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert!(header("webhook-signature").starts_with("v1,"));
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(
            header("user-agent"),
            format!("Pushrail/{}", env!("CARGO_PKG_VERSION"))
        );
        let stamp: u64 = header("webhook-timestamp").parse().unwrap();
        let now = request.wall.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(stamp) <= 2, "signed for {stamp}, arrived at {now}");
        stamps.push(stamp);
    }
    // The waits are longer than a second, so each attempt has a time of its own.
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stamps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_arrives_byte_for_byte_with_its_content_type() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let bodies: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "application/json"),
        (
            b"  { \"spaced\" : 1.0e0 ,\r\n}\n".to_vec(),
            "application/vnd.acme+json; charset=utf-8",
        ),
        (
            (0..=255).cycle().take(100_000).collect(),
            "application/octet-stream",
        ),
        ("ab".repeat(131_072).into_bytes(), "text/plain"),
    ];

    let mut published = Vec::new();
    for (body, content_type) in bodies {
        let event = v1::NewEvent {
            content_type: content_type.to_owned(),
            ..event("acme", "orders.paid", body.clone())
        };
        published.push((world.door().publish(event).await.unwrap(), body, content_type));
    }
    world.arrived(&hook, published.len()).await;

    let requests = world.receiver.requests_to(&hook.path);
    for (receipt, body, content_type) in published {
        let request = requests
            .iter()
            .find(|request| request.webhook_id == receipt.event)
            .unwrap();
        assert_eq!(request.body, body, "{content_type}");
        assert_eq!(request.headers["content-type"], content_type);
        // The reference verifier reads text only; for bytes it has no answer.
        let text = std::str::from_utf8(&body).is_ok();
        assert_eq!(
            request.signature == Signature::Valid,
            text,
            "{content_type}: {:?}",
            request.signature
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verifier_refuses_what_another_secret_signed() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    world
        .receiver
        .check(&hook.path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

    world
        .door()
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();
    world.arrived(&hook, 1).await;

    let request = world.receiver.requests_to(&hook.path).remove(0);
    assert!(
        matches!(request.signature, Signature::Invalid(_)),
        "{:?}",
        request.signature
    );
}
