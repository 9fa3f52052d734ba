//! A receiver that answers each class of failure: what each means, how often it is tried, and where it ends.

use std::time::Duration;

use harness::audit::settled;
use harness::behaviour::{Answer, Behaviour};
use harness::cluster::Shape;
use harness::door::{Door, Webhook, event, linearizable};
use harness::eventually::eventually;
use harness::receiver::Receiver;
use pushrail_api::v1;
use pushrail_api::v1::{Cause, DeathReason};

use crate::world::{SOON, World};

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// What should come of an event: the causes of its failed attempts, then how it ends.
struct Case {
    name: &'static str,
    behaviour: Behaviour,
    waits: Vec<Duration>,
    failed_of: Vec<Cause>,
    ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    Delivered,
    Dead(DeathReason),
}

fn retried(name: &'static str, behaviour: Behaviour, failed_of: &[Cause]) -> Case {
    Case {
        name,
        behaviour,
        waits: vec![Duration::from_millis(100); 10],
        failed_of: failed_of.to_vec(),
        ends: Ends::Delivered,
    }
}

fn permanent(name: &'static str, status: u16, cause: Cause) -> Case {
    Case {
        name,
        behaviour: Behaviour::always(status),
        waits: vec![Duration::from_millis(100); 10],
        failed_of: vec![cause],
        ends: Ends::Dead(DeathReason::Permanent),
    }
}

fn exhausted(name: &'static str, behaviour: Behaviour, waits: usize, cause: Cause) -> Case {
    Case {
        name,
        behaviour,
        waits: vec![Duration::from_millis(100); waits],
        failed_of: vec![cause; waits + 1],
        ends: Ends::Dead(DeathReason::AttemptsExhausted),
    }
}

const HANGS_UP: &str = "hangs-up";

fn cases() -> Vec<Case> {
    let says_error = Behaviour::of(|_| Answer::Status {
        status: 200,
        headers: Vec::new(),
        body: String::from(r#"{"error":"we did not want it"}"#),
    });
    vec![
        retried("takes", Behaviour::always(200), &[]),
        retried("takes-204", Behaviour::always(204), &[]),
        retried("takes-and-complains", says_error, &[]),
        retried("fails-twice", Behaviour::first(2, 500), &[Cause::Server; 2]),
        retried("bad-gateway", Behaviour::first(1, 502), &[Cause::Server]),
        retried("unavailable", Behaviour::first(1, 503), &[Cause::Server]),
        retried("gave-up-waiting", Behaviour::first(1, 408), &[Cause::Timeout]),
        retried("slow-down", Behaviour::first(1, 429), &[Cause::Throttle]),
        retried("endless-200", Behaviour::endless(200, Duration::ZERO), &[]),
        permanent("bad-request", 400, Cause::Rejected),
        permanent("unauthorized", 401, Cause::Auth),
        permanent("forbidden", 403, Cause::Auth),
        permanent("not-found", 404, Cause::Missing),
        permanent("gone", 410, Cause::Missing),
        permanent("too-large", 413, Cause::TooLarge),
        permanent("not-modified", 304, Cause::Rejected),
        permanent("teapot", 418, Cause::Rejected),
        exhausted("always-fails", Behaviour::always(500), 3, Cause::Server),
        exhausted("no-retry", Behaviour::always(500), 0, Cause::Server),
        exhausted(
            "endless-500",
            Behaviour::endless(500, Duration::ZERO),
            1,
            Cause::Server,
        ),
        exhausted("hangs", Behaviour::hold(), 1, Cause::Timeout),
        exhausted(HANGS_UP, Behaviour::hangs_up(usize::MAX), 1, Cause::Network),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_of_answer_means_what_the_table_says() {
    let mut world = World::of(
        Shape::three()
            .set("delivery.attempt_timeout=2s")
            .set("delivery.connect_timeout=1s"),
    )
    .await;
    let door = world.door();
    let mut published = Vec::new();
    for case in cases() {
        let waits = case.waits.clone();
        let hook = world
            .webhook_with("acme", case.name, case.behaviour.clone(), |hook| {
                hook.waits = waits
            })
            .await;
        let receipt = door
            .publish(event("acme", &format!("{}.made", case.name), "{}"))
            .await
            .unwrap();
        published.push((case, hook, receipt));
    }

    settled(&door, &world.endpoints, SOON).await.unwrap();

    for (case, hook, receipt) in published {
        let name = case.name;
        let story = door
            .explain("acme", &receipt.event, linearizable())
            .await
            .unwrap();
        let explained = &story.deliveries[0];
        let delivery = explained.delivery.as_ref().unwrap();
        let ends = if delivery.state() == v1::DeliveryState::Delivered {
            Ends::Delivered
        } else {
            Ends::Dead(delivery.death_reason())
        };
        let failed_of: Vec<Cause> = explained
            .attempts
            .iter()
            .filter_map(|attempt| Some(attempt.failure.as_ref()?.cause()))
            .collect();
        let tries = case.failed_of.len() + usize::from(case.ends == Ends::Delivered);

        assert_eq!(ends, case.ends, "{name}: {explained:?}");
        assert_eq!(failed_of, case.failed_of, "{name}: {explained:?}");
        assert_eq!(explained.attempts.len(), tries, "{name}");
        let asked = world.receiver.count(&hook.path);
        // On a connection that was used before it is asked once more in the same attempt, on a fresh one.
        let most = if name == HANGS_UP { 2 * tries } else { tries };
        assert!((tries..=most).contains(&asked), "{name}: {asked} for {tries}");
        for attempt in attempts_of(&door, &receipt.event).await {
            let took = Duration::try_from(attempt.took.unwrap()).unwrap();
            assert!(
                took < ATTEMPT_TIMEOUT + Duration::from_secs(1),
                "{name} took {took:?}"
            );
            let limit = if attempt.failure.is_some() {
                16 * 1024
            } else {
                1024
            };
            let kept = attempt.excerpt.len();
            assert!(kept <= limit, "{name} kept {kept} bytes");
            if name.starts_with("endless") {
                assert!(attempt.excerpt_cut && kept == limit, "{name} kept {kept} bytes");
            }
        }
        let letters = door.dead_letters_of("acme", name).await.unwrap();
        assert_eq!(
            letters.len(),
            usize::from(case.ends != Ends::Delivered),
            "{name}: {letters:?}"
        );
        let destination = door.destination("acme", name).await.unwrap();
        let disabled = destination.state() == v1::DestinationState::Disabled;
        assert_eq!(disabled, name == "gone", "{name}: {destination:?}");
        assert_eq!(
            destination.disabled_why.is_empty(),
            !disabled,
            "{name}: {destination:?}"
        );
    }
}

/// From the attempt log, where excerpts are whole.
async fn attempts_of(door: &Door, event: &str) -> Vec<v1::Attempt> {
    let request = v1::ListAttemptsRequest {
        tenant: String::from("acme"),
        event: event.to_owned(),
        consistency: Some(linearizable()),
        ..Default::default()
    };
    door.attempts().list(request).await.unwrap().into_inner().attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_never_followed() {
    let mut world = World::three().await;
    let elsewhere = world.receiver.url("/elsewhere");
    let redirect = Behaviour::of(move |_| Answer::Status {
        status: 307,
        headers: vec![("location", elsewhere.clone())],
        body: String::new(),
    });
    let hook = world.webhook("acme", "orders", redirect).await;

    let receipt = world
        .door()
        .publish(event("acme", "orders.paid", "{}"))
        .await
        .unwrap();
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();

    let letters = world.door().dead_letters_of("acme", "orders").await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].event.as_str(), letters[0].status),
        (receipt.event.as_str(), Some(307))
    );
    assert_eq!(
        (
            world.receiver.count(&hook.path),
            world.receiver.count("/elsewhere")
        ),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_gets_everything_when_it_is_up() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::default()).await;
    world.receiver.down().await;

    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(
            world
                .door()
                .publish(event("acme", "orders.paid", "{}"))
                .await
                .unwrap()
                .event,
        );
    }
    eventually("attempts fail", SOON, || async {
        let story = world
            .door()
            .explain("acme", &ids[19], linearizable())
            .await
            .map_err(|s| s.to_string())?;
        let attempts = story.deliveries[0].attempts.len();
        (attempts >= 2)
            .then_some(())
            .ok_or(format!("{attempts} attempts"))
    })
    .await;
    world.receiver.up().await;

    let taken = world.arrived(&hook, 20).await;
    assert!(ids.iter().all(|id| taken.get(id) == Some(&1)), "{taken:?}");
    let story = world
        .door()
        .explain("acme", &ids[0], linearizable())
        .await
        .unwrap();
    let first = story.deliveries[0].attempts[0].failure.as_ref().unwrap();
    assert_eq!(
        (first.cause(), first.class()),
        (Cause::Network, v1::FailureClass::Transient)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_s_wish_to_wait_is_honoured_in_full() {
    let mut world = World::three().await;
    let quick = |hook: &mut Webhook| {
        hook.waits = vec![Duration::from_millis(50); 5];
        hook.floor = Duration::from_millis(50);
    };
    let in_seconds = |seconds: u64| {
        let at = std::time::SystemTime::now() + Duration::from_secs(seconds);
        http_date(at)
    };
    let date = Behaviour::of(move |seen| match seen.of_event {
        0 => Answer::Status {
            status: 503,
            headers: vec![("retry-after", in_seconds(3))],
            body: String::new(),
        },
        _ => Answer::status(200),
    });
    let seconds = world
        .webhook_with("acme", "seconds", Behaviour::asks_to_wait(1, 429, "2"), quick)
        .await;
    let date = world.webhook_with("acme", "date", date, quick).await;
    let floor = world
        .webhook_with("acme", "floor", Behaviour::first(1, 503), |hook| {
            quick(hook);
            hook.floor = Duration::from_millis(1500);
        })
        .await;
    let beyond = world
        .webhook_with("acme", "beyond", Behaviour::asks_to_wait(1, 503, "7200"), quick)
        .await;

    for name in ["seconds", "date", "floor", "beyond"] {
        world
            .door()
            .publish(event("acme", &format!("{name}.made"), "{}"))
            .await
            .unwrap();
    }
    settled(&world.door(), &world.endpoints, SOON).await.unwrap();

    let gap = |path: &str| {
        let requests = world.receiver.requests_to(path);
        assert_eq!(requests.len(), 2, "{path}");
        requests[1].at - requests[0].at
    };
    // A date has whole seconds, so up to one of the three may be lost in writing it.
    for (path, least) in [(&seconds.path, 2000), (&date.path, 2000), (&floor.path, 1500)] {
        let gap = gap(path);
        assert!(gap >= Duration::from_millis(least), "{path}: {gap:?}");
        assert!(gap < Duration::from_millis(least + 3500), "{path}: {gap:?}");
    }
    assert_eq!(world.receiver.count(&beyond.path), 1);
    let letters = world.door().dead_letters_of("acme", "beyond").await.unwrap();
    assert_eq!(letters[0].reason(), DeathReason::WindowExhausted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_public_is_never_dialled() {
    // This cluster is not allowed to use loopback, where the receiver is.
    let receiver = Receiver::start().await;
    let mut world = World::of(Shape::three().set("delivery.allowed_networks=192.0.2.0/24")).await;
    world.cluster.check();
    let door = world.door();
    door.create_tenant("acme").await.unwrap();
    let port = receiver.address().port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ];
    let mut refused = 0;
    for (number, host) in hosts.iter().enumerate() {
        let name = format!("hook-{number}");
        let webhook = Webhook::new("acme", &name, &format!("http://{host}:{port}/hook"));
        // A door may refuse an address that stands in the URL itself; a name it must look up each time.
        if door.create_webhook(&webhook).await.is_err() {
            refused += 1;
            continue;
        }
        door.create_route("acme", &format!("{name}.*"), &name)
            .await
            .unwrap();
        let receipt = door
            .publish(event("acme", &format!("{name}.made"), "{}"))
            .await
            .unwrap();
        let explained = eventually("the delivery dies", SOON, || async {
            let story = door
                .explain("acme", &receipt.event, linearizable())
                .await
                .map_err(|s| s.to_string())?;
            let explained = story.deliveries[0].clone();
            let dead = explained.delivery.as_ref().unwrap().state() == v1::DeliveryState::Dead;
            if dead {
                Ok(explained)
            } else {
                Err(format!("{explained:?}"))
            }
        })
        .await;
        assert_eq!(
            explained.delivery.unwrap().death_reason(),
            DeathReason::Permanent,
            "{host}"
        );
        assert_eq!(explained.attempts.len(), 1, "{host}");
        refused += 1;
    }

    assert_eq!(refused, hosts.len());
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_destination_rests_until_it_is_resumed() {
    let mut world = World::three().await;
    let hook = world.webhook("acme", "orders", Behaviour::first(1, 410)).await;
    let door = world.door();
    let dead = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    eventually("the destination is disabled", SOON, || async {
        let destination = door
            .destination("acme", "orders")
            .await
            .map_err(|status| status.to_string())?;
        (destination.state() == v1::DestinationState::Disabled)
            .then_some(())
            .ok_or(format!("{destination:?}"))
    })
    .await;

    world.receiver.script(&hook.path, Behaviour::default());
    let waiting = door.publish(event("acme", "orders.paid", "{}")).await.unwrap();
    let marker = world.webhook("acme", "marker", Behaviour::default()).await;
    door.publish(event("acme", "marker.made", "{}")).await.unwrap();
    world.arrived(&marker, 1).await;
    let held = door
        .explain("acme", &waiting.event, linearizable())
        .await
        .unwrap();
    let before = world.receiver.count(&hook.path);
    door.resume("acme", "orders").await.unwrap();
    let taken = world.arrived(&hook, 1).await;

    assert_eq!(before, 1);
    assert!(
        matches!(
            held.deliveries[0].next.as_ref().unwrap().step,
            Some(v1::next_step::Step::Held(_))
        ),
        "{held:?}"
    );
    assert_eq!(taken.keys().collect::<Vec<_>>(), [&waiting.event]);
    let letters = door.dead_letters_of("acme", "orders").await.unwrap();
    assert_eq!(
        letters.iter().map(|letter| &letter.event).collect::<Vec<_>>(),
        [&dead.event]
    );
}

/// A date as HTTP writes it.
fn http_date(at: std::time::SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
