//! A person's test of a destination: one signed request from the node that was asked, shown whole but for the secret,
//! and no trace of it anywhere else.

use harness::behaviour::{Answer, Behaviour};
use harness::cluster::Shape;
use harness::receiver::Signature;
use pushrail_api::v1;

use crate::world::World;

async fn tested(world: &World, node: u64, destination: &str) -> v1::TestDestinationResponse {
    let request = v1::TestDestinationRequest {
        tenant: "acme".to_owned(),
        destination: destination.to_owned(),
        consistency: None,
    };
    let response = world.cluster.door(node).destinations().test(request).await;
    response.unwrap().into_inner()
}

fn header<'a>(headers: &'a [v1::TestHeader], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    headers
        .find(|header| header.name == name)
        .map(|header| header.value.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_shows_request_answer_time_and_class_through_any_node_and_leaves_no_trace() {
    let mut world = World::three().await;
    world.receiver.name_senders();
    let answers = Behaviour::of(|seen| Answer::Status {
        status: if seen.of_path == 2 { 503 } else { 202 },
        headers: vec![("x-seen", "yes".to_owned()), ("retry-after", "7".to_owned())],
        body: "thank you".to_owned(),
    });
    let hook = world
        .webhook_with("acme", "orders", answers, |hook| {
            hook.headers = r#"{"x-tenant":"acme"}"#.to_owned();
            hook.hidden_headers = r#"{"authorization":"Bearer hunter2"}"#.to_owned();
        })
        .await;
    // It works where nothing else is sent.
    world.door().pause("acme", "orders").await.unwrap();

    let mut shown = Vec::new();
    for node in 1..=3 {
        shown.push(tested(&world, node, "orders").await);
    }

    let requests = world.receiver.requests_to(&hook.path);
    assert_eq!(requests.len(), 3);
    for (node, (shown, seen)) in (1..).zip(shown.iter().zip(&requests)) {
        assert_eq!(seen.signature, Signature::Valid);
        let pid = world.cluster.node(node).process().pid();
        assert_eq!((shown.node, seen.sender), (node, Some(pid)));
        assert_eq!(shown.event, seen.webhook_id);
        assert!(shown.event.starts_with("test_"), "{}", shown.event);
        let request = shown.request.as_ref().unwrap();
        assert_eq!(
            (request.method.as_str(), &request.url),
            ("POST", &world.receiver.url(&hook.path))
        );
        assert_eq!(request.body, seen.body);
        for name in [
            "host",
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
            "x-tenant",
            "content-length",
        ] {
            let sent = seen.headers.get(name).unwrap().to_str().unwrap();
            assert_eq!(header(&request.headers, name), Some(sent), "{name}");
        }
        assert_eq!(seen.headers.get("authorization").unwrap(), "Bearer hunter2");
        assert_eq!(header(&request.headers, "authorization"), Some("(hidden)"));
        assert!(!format!("{shown:?}").contains("hunter2") && !format!("{shown:?}").contains("whsec_"));
        let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body["type"], "pushrail.test");
        assert_eq!(
            (body["tenant"].as_str(), body["destination"].as_str()),
            (Some("acme"), Some("orders"))
        );

        let answer = shown.answer.as_ref().unwrap();
        assert_eq!(answer.protocol, "HTTP/1.1");
        assert_eq!(header(&answer.headers, "x-seen"), Some("yes"));
        assert_eq!(answer.excerpt, "thank you");
        assert_eq!(shown.remote, world.receiver.address().to_string());
        assert!(shown.took.is_some());
    }
    assert_eq!((shown[0].failure.clone(), shown[1].failure.clone()), (None, None));
    let failure = shown[2].failure.as_ref().unwrap();
    assert_eq!(
        (failure.class(), failure.cause()),
        (v1::FailureClass::Transient, v1::Cause::Server)
    );
    assert_eq!(shown[2].answer.as_ref().unwrap().status, 503);
    assert_eq!(shown[2].retry_after.unwrap().seconds, 7);

    let destination = world.door().destination("acme", "orders").await.unwrap();
    assert_eq!(destination.counts.unwrap(), v1::DestinationCounts::default());
    assert_eq!(destination.state(), v1::DestinationState::Paused);
    let listed = v1::ListAttemptsRequest {
        tenant: "acme".to_owned(),
        destination: "orders".to_owned(),
        ..Default::default()
    };
    let attempts = world
        .door()
        .attempts()
        .list(listed)
        .await
        .unwrap()
        .into_inner()
        .attempts;
    assert_eq!(attempts, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_honours_the_guard_and_says_what_is_not_there() {
    let mut world = World::of(Shape::three().set("delivery.allowed_networks=")).await;
    let hook = world.webhook("acme", "inside", Behaviour::default()).await;

    let shown = tested(&world, 2, "inside").await;
    let unknown = v1::TestDestinationRequest {
        tenant: "acme".to_owned(),
        destination: "nothing".to_owned(),
        consistency: None,
    };
    let refused = world
        .cluster
        .door(3)
        .destinations()
        .test(unknown)
        .await
        .unwrap_err();

    let failure = shown.failure.unwrap();
    assert_eq!(
        (failure.class(), failure.cause()),
        (v1::FailureClass::Permanent, v1::Cause::Missing)
    );
    assert!(shown.detail.contains("not a public address"), "{}", shown.detail);
    assert_eq!(shown.answer, None);
    assert!(
        shown.request.is_some(),
        "what would have gone out is shown all the same"
    );
    assert_eq!(world.receiver.count(&hook.path), 0);
    assert_eq!(refused.code(), tonic::Code::NotFound);
}
