//! Connections that were kept alive and are at their end when the next request goes out: the request is made once
//! more, on a fresh connection, and nothing else ever is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushrail_adapters::adapter::Fault;
use pushrail_model::outcome::Outcome;

use crate::support::{Answer, Receiver, net, net_with, response, send, webhook};
use crate::tls::{self, CERTIFICATE, End, http2_receiver_that};
use crate::webhook::outcome;

/// Answers the first request of each connection well, and any other like this.
async fn answering_later_ones(later: Answer) -> Receiver {
    let requests: Mutex<HashMap<usize, usize>> = Mutex::default();
    Receiver::start(move |seen| {
        let mut requests = requests.lock().unwrap();
        let number = requests.entry(seen.connection).or_default();
        *number += 1;
        match *number {
            1 => Answer::Whole(response(200, "", b"")),
            _ => later.clone(),
        }
    })
    .await
}

#[tokio::test]
async fn what_a_stale_connection_swallowed_is_sent_again_at_once_and_alike() {
    for end in [Answer::Close, Answer::Reset] {
        let receiver = answering_later_ones(end).await;
        let link = webhook(&receiver.url(), &net());

        for _ in 0..6 {
            assert_eq!(outcome(&send(&*link).await), Outcome::Delivered);
        }

        // One that was answered, one that was swallowed, the same again; three times.
        let seen = receiver.seen();
        assert_eq!(seen.len(), 6 + 3, "{seen:?}");
        for swallowed in [1, 4, 7] {
            let (lost, again) = (&seen[swallowed], &seen[swallowed + 1]);
            assert_ne!(lost.connection, again.connection);
            assert_eq!((&lost.headers, &lost.body), (&again.headers, &again.body));
        }
    }
}

#[tokio::test]
async fn the_second_time_goes_out_on_a_fresh_connection_though_more_stale_ones_wait() {
    let receiver = answering_later_ones(Answer::Close).await;
    let link = webhook(&receiver.url(), &net());
    let first = futures::future::join_all((0..5).map(|_| send(&*link))).await;
    assert!(first.iter().all(|reply| outcome(reply) == Outcome::Delivered));
    let before = receiver.seen();
    let connections = before.iter().map(|seen| seen.connection).max().unwrap() + 1;
    assert!(connections > 1);

    let reply = send(&*link).await;

    assert_eq!(outcome(&reply), Outcome::Delivered);
    let after = receiver.seen();
    assert_eq!(after.len(), before.len() + 2);
    assert!(after[after.len() - 2].connection < connections);
    assert_eq!(after[after.len() - 1].connection, connections);
}

#[tokio::test]
async fn a_fresh_connection_that_fails_is_the_receivers_answer() {
    for end in [Answer::Close, Answer::Reset] {
        let receiver = Receiver::start(move |_| end.clone()).await;

        let reply = send(&*webhook(&receiver.url(), &net())).await;

        assert_eq!(reply.fault, Some(Fault::Broken), "{reply:?}");
        assert_eq!(receiver.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_is_asked_twice_and_no_more() {
    let answered = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| match answered.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::Whole(response(200, "", b"")),
        _ => Answer::Close,
    })
    .await;
    let link = webhook(&receiver.url(), &net());
    assert_eq!(outcome(&send(&*link).await), Outcome::Delivered);

    let reply = send(&*link).await;

    assert_eq!(reply.fault, Some(Fault::Broken), "{reply:?}");
    assert_eq!(receiver.seen().len(), 3);
}

#[tokio::test]
async fn an_answer_that_began_or_is_awaited_in_vain_is_not_asked_for_again() {
    for (later, fault) in [
        (Answer::Cut("HTTP/1.1 2"), Fault::Broken),
        (Answer::Silent, Fault::Timeout),
    ] {
        let receiver = answering_later_ones(later).await;
        let net = net_with(|config| config.total_timeout = Duration::from_millis(500));
        let link = webhook(&receiver.url(), &net);
        assert_eq!(outcome(&send(&*link).await), Outcome::Delivered);

        let reply = send(&*link).await;

        assert_eq!(reply.fault, Some(fault), "{reply:?}");
        assert_eq!(receiver.seen().len(), 2);
    }
}

#[tokio::test]
async fn over_http2_too_a_request_outlives_its_connection() {
    for end in [End::Closed, End::GoneAway, End::Reset(h2::Reason::REFUSED_STREAM)] {
        let (connections, bodies) = (Arc::<AtomicUsize>::default(), Arc::default());
        let address = http2_receiver_that(end, Arc::clone(&connections), bodies).await;
        let url = format!("https://hooks.example:{}/", address.port());
        let link = webhook(&url, &tls::net(&[CERTIFICATE], "hooks.example"));
        assert_eq!(outcome(&send(&*link).await), Outcome::Delivered);

        let reply = send(&*link).await;

        assert_eq!(outcome(&reply), Outcome::Delivered, "{reply:?}");
        assert_eq!(connections.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_request_that_was_reset_on_its_own_was_looked_at() {
    let (connections, bodies) = (Arc::<AtomicUsize>::default(), Arc::default());
    let end = End::Reset(h2::Reason::INTERNAL_ERROR);
    let address = http2_receiver_that(end, Arc::clone(&connections), bodies).await;
    let url = format!("https://hooks.example:{}/", address.port());
    let link = webhook(&url, &tls::net(&[CERTIFICATE], "hooks.example"));
    assert_eq!(outcome(&send(&*link).await), Outcome::Delivered);

    let reply = send(&*link).await;

    assert_eq!(reply.fault, Some(Fault::Broken), "{reply:?}");
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}
