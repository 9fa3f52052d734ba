//! A node's connections have a bound in all: an idle one gives up its place to whoever needs it, a busy one never.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pushrail_adapters::adapter::Fault;
use pushrail_adapters::net::Net;
use pushrail_model::outcome::Outcome;

use crate::support::{Answer, Receiver, net_with, send, webhook};
use crate::tls::{CERTIFICATE, http2_receiver};
use crate::webhook::outcome;

fn net(connections_max: usize) -> Net {
    net_with(|config| {
        config.connections_max = connections_max;
        config.connect_timeout = Duration::from_secs(2);
        config.extra_roots = vec![CERTIFICATE.to_vec()];
        let here = vec![std::net::Ipv4Addr::LOCALHOST.into()];
        config.names = pushrail_adapters::net::Names::Only([("hooks.example".to_owned(), here)].into());
    })
}

#[tokio::test]
async fn the_connection_that_was_idle_longest_gives_up_its_place() {
    let net = net(3);
    let mut receivers = Vec::new();
    for _ in 0..8 {
        receivers.push(Receiver::answering(200, "").await);
    }

    for receiver in &receivers {
        assert_eq!(
            outcome(&send(&*webhook(&receiver.url(), &net)).await),
            Outcome::Delivered
        );
    }

    // A receiver sees the end of its connection a moment after we gave it up.
    let open = || {
        receivers
            .iter()
            .map(|receiver| receiver.open.load(Ordering::Relaxed))
    };
    while open().sum::<usize>() > 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(open().collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1, 1, 1]);
    let last = &receivers[7];
    assert_eq!(
        outcome(&send(&*webhook(&last.url(), &net)).await),
        Outcome::Delivered
    );
    assert_eq!(last.seen()[1].connection, 0, "it is used again");
}

#[tokio::test]
async fn an_http2_connection_gives_up_its_place_too() {
    let net = net(1);
    let connections = Arc::<AtomicUsize>::default();
    let address = http2_receiver(Arc::clone(&connections), Arc::default()).await;
    let over_http2 = webhook(&format!("https://hooks.example:{}/", address.port()), &net);
    let receiver = Receiver::answering(200, "").await;
    let plain = webhook(&receiver.url(), &net);

    for _ in 0..3 {
        assert_eq!(outcome(&send(&*over_http2).await), Outcome::Delivered);
        assert_eq!(outcome(&send(&*plain).await), Outcome::Delivered);
    }

    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn more_exchanges_than_places_take_turns() {
    let net = net(2);
    let mut receivers = Vec::new();
    for _ in 0..20 {
        receivers.push(Receiver::answering(200, "").await);
    }
    let links: Vec<_> = receivers
        .iter()
        .map(|receiver| webhook(&receiver.url(), &net))
        .collect();

    let replies = futures::future::join_all(links.iter().map(|link| send(&**link))).await;

    for reply in replies {
        assert_eq!(outcome(&reply), Outcome::Delivered, "{reply:?}");
    }
}

#[tokio::test]
async fn a_busy_connection_keeps_its_place_and_whoever_finds_none_waits_no_longer_than_for_a_connection() {
    let net = net_with(|config| {
        config.connections_max = 1;
        config.connect_timeout = Duration::from_millis(200);
        config.total_timeout = Duration::from_secs(1);
    });
    let silent = Receiver::start(|_| Answer::Silent).await;
    let other = Receiver::answering(200, "").await;
    let (busy, wanting) = (webhook(&silent.url(), &net), webhook(&other.url(), &net));

    let (busy, wanting) = futures::join!(send(&*busy), send(&*wanting));

    assert_eq!(busy.fault, Some(Fault::Timeout), "{busy:?}");
    assert_eq!(wanting.fault, Some(Fault::ConnectTimeout), "{wanting:?}");
    assert_eq!(
        outcome(&send(&*webhook(&other.url(), &net)).await),
        Outcome::Delivered
    );
}
