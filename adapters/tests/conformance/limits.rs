//! Receivers that are slow, endless or silent hold neither an attempt beyond its time nor memory.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pushrail_adapters::adapter::Fault;
use pushrail_model::outcome::{Cause, FailureClass, Outcome};
use pushrail_model::time::Span;

use crate::support::{Answer, Receiver, net, net_with, response, send, webhook};
use crate::webhook::{class, failure, outcome};

#[tokio::test]
async fn a_failures_excerpt_is_longer_than_a_successs() {
    let net = net();
    for (status, length, kept) in [
        (200, 1024, 1024),
        (200, 1025, 1024),
        (500, 16 * 1024, 16 * 1024),
        (500, 16 * 1024 + 1, 16 * 1024),
        (400, 10, 10),
    ] {
        let receiver =
            Receiver::start(move |_| Answer::Whole(response(status, "", &vec![b'x'; length]))).await;
        let reply = send(&*webhook(&receiver.url(), &net)).await;
        assert_eq!(reply.observed.excerpt.len(), kept);
        assert_eq!(reply.observed.excerpt_cut, kept < length);
    }
}

#[tokio::test]
async fn an_endless_body_is_dropped_after_a_little() {
    let net = net();
    for (head, delivered) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 500 No\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", true),
    ] {
        let receiver = Receiver::start(move |_| Answer::Flood(head)).await;
        let began = Instant::now();

        let reply = send(&*webhook(&receiver.url(), &net)).await;

        assert_eq!(outcome(&reply) == Outcome::Delivered, delivered);
        assert!(reply.observed.excerpt_cut);
        assert!(reply.observed.excerpt.len() <= 16 * 1024);
        assert!(began.elapsed() < Duration::from_secs(4));
        // What was written is what we read and what the two sockets hold.
        assert!(receiver.flooded.load(Ordering::Relaxed) < 32 * 1024 * 1024);
    }
}

#[tokio::test]
async fn a_slow_endless_body_holds_no_attempt_beyond_its_time_and_its_status_counts() {
    let net = net_with(|config| config.total_timeout = Duration::from_millis(300));
    for (head, delivered) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 500 No\r\n\r\n", false),
    ] {
        let receiver = Receiver::start(move |_| Answer::Trickle(head, "y")).await;

        let reply = send(&*webhook(&receiver.url(), &net)).await;

        assert_eq!(outcome(&reply) == Outcome::Delivered, delivered);
        assert!(reply.observed.excerpt_cut);
        assert!(reply.took >= Span::from_millis(300) && reply.took < Span::from_secs(5));
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_or_never_ends_its_headers_times_out() {
    let net = net_with(|config| config.total_timeout = Duration::from_millis(300));
    for answer in [
        Answer::Silent,
        Answer::Trickle("HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        Answer::Trickle("HTTP/1.1 200 OK\r\n", "x"),
        Answer::Trickle("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        let receiver = Receiver::start(move |_| answer.clone()).await;

        let reply = send(&*webhook(&receiver.url(), &net)).await;

        // A client that stops at its bound of headers before the time is over is as good.
        if reply.fault != Some(Fault::Broken) {
            assert_eq!(reply.fault, Some(Fault::Timeout));
            assert_eq!(class(&reply), (FailureClass::Transient, Cause::Timeout));
            assert!(failure(&reply).floors);
        }
        assert!(reply.took < Span::from_secs(5));
    }
}

#[tokio::test]
async fn a_flood_of_headers_is_refused_before_it_fills_memory() {
    let receiver = Receiver::start(|_| Answer::Flood("HTTP/1.1 200 OK\r\nx: ")).await;

    let reply = send(&*webhook(&receiver.url(), &net())).await;

    assert_eq!(reply.fault, Some(Fault::Broken));
    assert!(receiver.flooded.load(Ordering::Relaxed) < 32 * 1024 * 1024);
}
