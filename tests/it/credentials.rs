//! Credentials: rotated without a request that only the old one signs, sealed on disk, sealed anew when a key is
//! retired, and waited for where a node has not got the key.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness::behaviour::Behaviour;
use harness::cluster::Shape;
use harness::door::{Door, event, linearizable};
use harness::eventually::eventually;
use harness::http::get;
use harness::load::{Load, Plan};
use harness::receiver::Signature;
use pushrail_api::v1;

use crate::world::{SOON, World};

/// Two keys: 32 bytes of one and of two.
const FIRST: &str = "first:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const SECOND: &str = "second:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

async fn rotate(
    door: &Door,
    tenant: &str,
    destination: &str,
    overlap: Option<u64>,
    request_id: &str,
) -> v1::RotateCredentialResponse {
    let request = v1::RotateCredentialRequest {
        tenant: tenant.to_owned(),
        destination: destination.to_owned(),
        overlap: overlap.map(|seconds| prost_types::Duration {
            seconds: i64::try_from(seconds).unwrap(),
            nanos: 0,
        }),
        request_id: request_id.to_owned(),
        ..v1::RotateCredentialRequest::default()
    };
    door.destinations()
        .rotate_credential(request)
        .await
        .unwrap()
        .into_inner()
}

pub(crate) fn secret_of(credential: &str) -> String {
    let credential: serde_json::Value = serde_json::from_str(credential).unwrap();
    credential["secret"].as_str().unwrap().to_owned()
}

/// Publishes one event, and gives its request's signatures and what the verifier says of them.
async fn signed(world: &World, path: &str, secret: &str) -> (usize, Signature) {
    world.receiver.check(path, secret);
    let receipt = world
        .door()
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();
    eventually("it arrives", SOON, || async {
        let requests = world.receiver.requests_to(path);
        let request = requests
            .iter()
            .find(|request| request.webhook_id == receipt.event)
            .ok_or("not there")?;
        let header = request.headers["webhook-signature"].to_str().unwrap();
        Ok::<_, String>((header.split(' ').count(), request.signature.clone()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_until_the_overlap_is_over() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let door = world.door();
    let old = rotate(&door, "acme", "orders", Some(0), "c1").await;
    let old = secret_of(&old.credential);
    assert_eq!(signed(&world, &hook.path, &old).await, (1, Signature::Valid));

    let new = rotate(&door, "acme", "orders", Some(3), "c2").await;
    let again = rotate(&door, "acme", "orders", Some(3), "c2").await;

    assert_eq!(
        new.credential, again.credential,
        "a repeat is answered with the first one's"
    );
    let new = secret_of(&new.credential);
    assert_eq!(signed(&world, &hook.path, &new).await, (2, Signature::Valid));
    assert_eq!(signed(&world, &hook.path, &old).await, (2, Signature::Valid));
    eventually("the old one signs no more", SOON, || async {
        let (count, _) = signed(&world, &hook.path, &new).await;
        (count == 1).then_some(()).ok_or(format!("{count} signatures"))
    })
    .await;
    assert_eq!(signed(&world, &hook.path, &new).await, (1, Signature::Valid));
    let (_, refused) = signed(&world, &hook.path, &old).await;
    assert!(matches!(refused, Signature::Invalid(_)), "{refused:?}");
    let shown = door.destination("acme", "orders").await.unwrap();
    assert!(!format!("{shown:?}").contains("whsec_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_repeat_of_a_rotation_brings_no_secret_back() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let leaked = rotate(&world.cluster.door(1), "acme", "orders", None, "c1").await;
    let safe = rotate(&world.cluster.door(2), "acme", "orders", Some(0), "c2").await;

    let late = rotate(&world.cluster.door(3), "acme", "orders", None, "c1").await;

    assert_eq!(late.credential, "", "what is in use is its own caller's");
    assert_eq!(
        late.destination.unwrap().version,
        safe.destination.unwrap().version
    );
    let (leaked, safe) = (secret_of(&leaked.credential), secret_of(&safe.credential));
    assert_eq!(signed(&world, &hook.path, &safe).await, (1, Signature::Valid));
    let (_, refused) = signed(&world, &hook.path, &leaked).await;
    assert!(matches!(refused, Signature::Invalid(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_rotation_is_acknowledged_every_attempt_that_starts_is_signed_by_both() {
    let mut world = World::three().await;
    let owner = world.cluster.follower().await;
    // One attempt at a time, so that after an acknowledgement one request at most may still be on its way.
    let hook = world
        .webhook_owned_by(owner, "acme", Behaviour::default(), |hook| hook.concurrency = 1)
        .await;
    let plan = Plan {
        callers: 1,
        batch: 4,
        ..World::plan("rotated", std::slice::from_ref(&hook), usize::MAX)
    };
    let load = Load::start(world.cluster.doors(), plan);
    let doors: Vec<Door> = world
        .cluster
        .doors()
        .into_iter()
        .filter(|door| door.node() != owner)
        .collect();

    for round in 0..3_usize {
        let door = &doors[round % doors.len()];
        let request_id = format!("round-{round}");
        rotate(door, &hook.tenant, &hook.destination, None, &request_id).await;
        let acknowledged = Instant::now();
        let since = |receiver: &harness::receiver::Receiver| {
            let requests = receiver.requests_to(&hook.path);
            let since = requests.into_iter().filter(|request| request.at > acknowledged);
            since
                .map(|request| {
                    let header = request.headers["webhook-signature"].to_str().unwrap();
                    header.split(' ').count()
                })
                .collect::<Vec<_>>()
        };
        let counts = eventually("some are delivered", SOON, || async {
            let counts = since(&world.receiver);
            (counts.len() > 20).then_some(counts).ok_or("too few".to_owned())
        })
        .await;

        let late = counts.iter().filter(|count| **count < round + 2).count();
        assert!(late <= 1, "round {round}: {counts:?}");
    }
    let acknowledged = load.stop(SOON).await;
    let audit = world.audit(&world.door(), &acknowledged).await;
    audit.assert_clean();
}

/// Whether any file below `folder` holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let held = fs::read(&path).unwrap_or_default();
        held.windows(bytes.len()).any(|part| part == bytes)
    })
}

async fn restart_all_with(world: &mut World, keys: &str) {
    for id in world.cluster.ids() {
        world.cluster.node(id).terminate(Duration::from_secs(60)).await;
    }
    for id in world.cluster.ids() {
        world.cluster.node(id).set(format!("credentials.keys={keys}"));
        world.cluster.restart(id);
    }
    world.cluster.ready().await;
}

async fn key_of(world: &World) -> String {
    let found = world.door().destination("acme", "orders").await.unwrap();
    found.credential_key
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_credential_is_on_no_disk_and_is_sealed_anew_when_its_key_is_retired() {
    let mut world = World::of(Shape::three().set(&format!("credentials.keys={FIRST}"))).await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    let new = rotate(&world.door(), "acme", "orders", None, "c1").await;
    let secret = secret_of(&new.credential);
    assert_eq!(signed(&world, &hook.path, &secret).await, (2, Signature::Valid));
    assert_eq!(key_of(&world).await, "first");
    let encoded = secret.strip_prefix("whsec_").unwrap();
    assert!(
        !holds(&world.cluster.directory(), encoded.as_bytes()),
        "the secret is on a disk"
    );

    restart_all_with(&mut world, &format!("{SECOND},{FIRST}")).await;
    eventually("it is sealed by the second key", SOON, || async {
        let key = key_of(&world).await;
        (key == "second").then_some(()).ok_or(key)
    })
    .await;
    let version = world.door().destination("acme", "orders").await.unwrap().version;
    restart_all_with(&mut world, SECOND).await;

    assert_eq!(version, 2, "to seal anew is no change of the destination");
    assert_eq!(signed(&world, &hook.path, &secret).await, (2, Signature::Valid));
    assert!(!holds(&world.cluster.directory(), encoded.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lay_unsealed_is_sealed_once_there_is_a_key() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    assert_eq!(key_of(&world).await, "");

    restart_all_with(&mut world, FIRST).await;

    eventually("it is sealed", SOON, || async {
        let key = key_of(&world).await;
        (key == "first").then_some(()).ok_or(key)
    })
    .await;
    world
        .door()
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();
    world.arrived(&hook, 1).await;
    assert_eq!(
        world.receiver.requests_to(&hook.path)[0].signature,
        Signature::Valid
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_deliveries_wait_in_sight_and_nothing_is_lost() {
    let mut world = World::of(Shape::three().set(&format!("credentials.keys={FIRST}"))).await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    restart_all_with(&mut world, SECOND).await;

    let receipt = world
        .door()
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();
    let ids = world.cluster.ids();
    for id in ids {
        let address = world.cluster.node(id).http_address();
        eventually("the metrics say so", SOON, || async {
            let (_, text) = get(address, "/metrics").await?;
            text.contains("pushrail_credentials{state=\"locked\"} 1")
                .then_some(())
                .ok_or(text)
        })
        .await;
    }
    let logs: Vec<_> = world
        .cluster
        .ids()
        .into_iter()
        .map(|id| world.cluster.node(id).log())
        .collect();
    eventually("the owner's log says so", SOON, || async {
        let said = logs.iter().any(|log| {
            let text = fs::read_to_string(log).unwrap();
            text.contains("credential cannot be read here, its deliveries wait")
                && text.contains("key `first`")
        });
        said.then_some(()).ok_or("not said".to_owned())
    })
    .await;
    let refused = world
        .door()
        .destinations()
        .update(v1::UpdateDestinationRequest {
            tenant: "acme".to_owned(),
            destination: "orders".to_owned(),
            version: 1,
            settings: Some(r#"{"url":"https://example.com/"}"#.to_owned()),
            ..v1::UpdateDestinationRequest::default()
        })
        .await
        .unwrap_err();
    let waiting = world
        .door()
        .explain("acme", &receipt.event, linearizable())
        .await
        .unwrap();
    restart_all_with(&mut world, FIRST).await;

    assert_eq!(
        pushrail_api::failure::reason(&refused).as_deref(),
        Some("CREDENTIAL_LOCKED")
    );
    assert_eq!(waiting.deliveries[0].attempts.len(), 0, "no attempt is used up");
    let taken = world.arrived(&hook, 1).await;
    assert!(taken.contains_key(&receipt.event));
    assert_eq!(
        world.receiver.requests_to(&hook.path)[0].signature,
        Signature::Valid
    );
}
