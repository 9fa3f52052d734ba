//! Calls against listeners that are absent, mute or hang up.

use tokio::net::TcpListener;

use super::*;
use crate::client::ClientOptions;
use crate::v1::{GetTenantRequest, NewEvent, PublishRequest};

fn client(addresses: &[String], millis: u64, patience: Patience) -> Client {
    let options = ClientOptions {
        deadline: Duration::from_millis(millis),
        patience,
        ..ClientOptions::default()
    };
    Client::with_options(addresses, options).unwrap()
}

/// Takes connections and never says a word.
async fn mute() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (address, task)
}

/// Takes connections, waits for the caller's first bytes, and hangs up.
async fn hanging_up() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if stream.readable().await.is_err() {
                return;
            }
        }
    });
    (address, task)
}

fn publish(key: &str) -> PublishRequest {
    PublishRequest {
        event: Some(NewEvent {
            idempotency_key: key.to_owned(),
            ..NewEvent::default()
        }),
    }
}

#[tokio::test]
async fn addresses_that_nobody_listens_on_are_named_and_nothing_was_sent() {
    let client = Client::new(["127.0.0.1:1", "127.0.0.1:2"]).unwrap();

    let error = client.cluster_status(Default::default()).await.unwrap_err();

    assert!(error.certainly_not_accepted());
    let ClientError::Unreachable { tried } = error else {
        panic!("{error}");
    };
    let addresses: Vec<&str> = tried.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(addresses, ["127.0.0.1:1", "127.0.0.1:2"]);
    assert!(tried[0].why.contains("refused"), "{}", tried[0].why);
}

#[tokio::test]
async fn whoever_has_patience_asks_refused_connections_again_until_the_deadline() {
    let client = client(&["127.0.0.1:1".to_owned()], 400, Patience::Whole);
    let begun = Instant::now();

    let error = client.cluster_status(Default::default()).await.unwrap_err();

    let ClientError::Unreachable { tried } = error else {
        panic!("{error}");
    };
    assert!(tried.len() > 1, "{tried:?}");
    assert!(begun.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_mute_node_leaves_it_open_whether_a_write_happened_and_the_deadline_holds() {
    let (address, node) = mute().await;
    let client = client(std::slice::from_ref(&address), 300, Patience::Brief);
    let begun = Instant::now();

    let error = client.publish(publish("key")).await.unwrap_err();

    let ClientError::Unanswered {
        lost,
        accepted,
        tried,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((lost, accepted), (Lost::Time, Some(Accepted::Unknown)));
    assert_eq!(
        tried[0].to_string(),
        format!("{address}: it did not answer in time")
    );
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    node.abort();
}

#[tokio::test]
async fn a_lost_connection_is_no_answer_and_only_harmless_calls_go_on() {
    let (address, node) = hanging_up().await;
    let addresses = [address, "127.0.0.1:1".to_owned()];

    let harmful = client(&addresses, 1000, Patience::Brief)
        .publish(publish(""))
        .await;
    let harmless = client(&addresses, 1000, Patience::Brief)
        .publish(publish("key"))
        .await;
    let read = client(&addresses, 1000, Patience::Brief)
        .get_tenant(GetTenantRequest::default())
        .await;

    let told = |outcome: ClientError| {
        let ClientError::Unanswered {
            lost,
            accepted,
            tried,
        } = outcome
        else {
            panic!("{outcome}");
        };
        (lost, accepted, tried.len())
    };
    assert_eq!(
        told(harmful.unwrap_err()),
        (Lost::Connection, Some(Accepted::Unknown), 1)
    );
    let (lost, accepted, tries) = told(harmless.unwrap_err());
    assert_eq!((lost, accepted), (Lost::Connection, Some(Accepted::Unknown)));
    assert!(tries > 1, "{tries}");
    assert_eq!(told(read.unwrap_err()).1, None);
    node.abort();
}

#[tokio::test]
async fn a_request_that_no_node_takes_is_not_sent() {
    let client = client(&["127.0.0.1:1".to_owned()], 1000, Patience::Brief);
    let mut request = publish("key");
    request.event.as_mut().unwrap().payload = vec![0; 20 * 1024 * 1024].into();

    let error = client.publish(request).await.unwrap_err();

    assert!(error.certainly_not_accepted());
    assert!(
        matches!(
            error,
            ClientError::TooLarge {
                bytes_max: 5_242_880,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn whoever_waited_long_is_not_asked_again_unless_patience_was_asked_for() {
    let brief = client(&["127.0.0.1:1".to_owned()], 10_000, Patience::Brief);
    let whole = client(&["127.0.0.1:1".to_owned()], 10_000, Patience::Whole);
    let (soon, long) = (Duration::from_millis(200), Duration::from_millis(4_800));

    assert!(brief.goes_on(1, true, soon));
    assert!(!brief.goes_on(1, true, long));
    assert!(!brief.goes_on(1, false, soon));
    assert!(whole.goes_on(9, false, long));
}

#[test]
fn a_silent_node_leaves_time_for_the_others() {
    let seconds = Duration::from_secs;

    assert_eq!(share(seconds(10), 2), seconds(6));
    assert_eq!(share(seconds(10), 0), seconds(10));
}
