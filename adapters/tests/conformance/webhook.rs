//! The webhook on the wire: against receivers that answer well, badly and not at all.

use std::collections::BTreeMap;
use std::time::Duration;

use pushrail_adapters::adapter::{Fault, Reply};
use pushrail_adapters::net::Names;
use pushrail_adapters::{registry, rules};
use pushrail_model::outcome::{Cause, Failure, FailureClass, Outcome};
use pushrail_model::time::Span;

use crate::support::{Answer, Receiver, SECRET, dispatch, net, net_with, response, send, webhook};

pub(crate) fn outcome(reply: &Reply) -> Outcome {
    rules::classify(registry::adapter("webhook").unwrap().spec(), reply)
}

pub(crate) fn failure(reply: &Reply) -> Failure {
    match outcome(reply) {
        Outcome::Failed(failure) => failure,
        Outcome::Delivered => panic!("delivered: {reply:?}"),
    }
}

pub(crate) fn class(reply: &Reply) -> (FailureClass, Cause) {
    let failure = failure(reply);
    (failure.class, failure.cause)
}

#[tokio::test]
async fn a_receiver_gets_the_payload_byte_for_byte_and_signed() {
    let receiver = Receiver::answering(200, "").await;
    let body: &[u8] = b"{ \"a\":\t1.0,\r\n\"b\": \"\xc3\xa4\"}\n";
    let dispatch = dispatch(body);

    let reply = webhook(&receiver.url(), &net())
        .send(std::slice::from_ref(&dispatch))
        .await;

    assert_eq!(outcome(&reply), Outcome::Delivered);
    assert_eq!(reply.observed.remote, receiver.address.to_string());
    assert_eq!(&reply.observed.excerpt[..], b"as you like");
    let seen = receiver.seen().remove(0);
    assert_eq!(seen.line, "POST /hooks HTTP/1.1");
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("host"), Some(receiver.address.to_string().as_str()));
    assert_eq!(seen.header("webhook-id"), Some(dispatch.event_id.as_str()));
    let agent = format!("Pushrail/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen.header("user-agent"), Some(agent.as_str()));
    let mut names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "webhook-id",
            "webhook-signature",
            "webhook-timestamp"
        ]
    );
    // The verifier is not ours.
    let mut headers = http::HeaderMap::new();
    for (name, value) in &seen.headers {
        headers.insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    standardwebhooks::Webhook::new(SECRET)
        .unwrap()
        .verify(&seen.body, &headers)
        .unwrap();
    let forged = standardwebhooks::Webhook::new(SECRET)
        .unwrap()
        .verify(b"{}", &headers);
    assert!(forged.is_err());
}

#[tokio::test]
async fn each_status_means_what_the_table_says() {
    use Cause::{Auth, Missing, Rejected, Server, Throttle, Timeout, TooLarge};
    use FailureClass::{Permanent, Transient};
    let net = net();
    for status in [200, 201, 202, 204, 299] {
        let receiver = Receiver::start(move |_| Answer::Whole(no_content(status))).await;
        let reply = send(&*webhook(&receiver.url(), &net)).await;
        assert_eq!(outcome(&reply), Outcome::Delivered, "{status}");
        assert_eq!(reply.observed.status, Some(status));
        assert_eq!(reply.observed.detail, "");
    }
    for (status, expected) in [
        (300, (Permanent, Rejected)),
        (301, (Permanent, Rejected)),
        (302, (Permanent, Rejected)),
        (304, (Permanent, Rejected)),
        (307, (Permanent, Rejected)),
        (308, (Permanent, Rejected)),
        (400, (Permanent, Rejected)),
        (401, (Permanent, Auth)),
        (403, (Permanent, Auth)),
        (404, (Permanent, Missing)),
        (405, (Permanent, Rejected)),
        (408, (Transient, Timeout)),
        (409, (Permanent, Rejected)),
        (410, (Permanent, Missing)),
        (413, (Permanent, TooLarge)),
        (422, (Permanent, Rejected)),
        (425, (Permanent, Rejected)),
        (429, (Transient, Throttle)),
        (451, (Permanent, Rejected)),
        (500, (Transient, Server)),
        (501, (Transient, Server)),
        (502, (Transient, Server)),
        (503, (Transient, Server)),
        (504, (Transient, Server)),
        (599, (Transient, Server)),
        (600, (Permanent, Rejected)),
    ] {
        let receiver = Receiver::start(move |_| Answer::Whole(no_content(status))).await;
        let reply = send(&*webhook(&receiver.url(), &net)).await;
        let failure = failure(&reply);
        assert_eq!((failure.class, failure.cause), expected, "{status}");
        assert_eq!(reply.observed.status, Some(status));
        assert_eq!(failure.disables, status == 410, "{status}");
        assert_eq!(failure.floors, status == 429 || status == 503, "{status}");
        assert!(reply.observed.detail.contains(&status.to_string()), "{reply:?}");
    }
}

/// Some of these may not have a body, and some clients would wait for one all the same.
fn no_content(status: u16) -> Vec<u8> {
    match status {
        204 | 304 => format!("HTTP/1.1 {status} Whatever\r\n\r\n").into_bytes(),
        _ => response(status, "", b""),
    }
}

#[tokio::test]
async fn a_success_is_delivered_whatever_its_body_says() {
    let receiver = Receiver::start(|_| Answer::Whole(response(200, "", br#"{"error":"no, never"}"#))).await;

    let reply = send(&*webhook(&receiver.url(), &net())).await;

    assert_eq!(outcome(&reply), Outcome::Delivered);
    assert_eq!(&reply.observed.excerpt[..], br#"{"error":"no, never"}"#);
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let receiver = Receiver::start(|_| Answer::Whole(response(307, "location: /elsewhere\r\n", b""))).await;

    let reply = send(&*webhook(&receiver.url(), &net())).await;

    assert_eq!(class(&reply), (FailureClass::Permanent, Cause::Rejected));
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_connection_is_used_again_also_after_a_failure() {
    let receiver = Receiver::start(|seen| {
        let status = if seen.header("webhook-id").is_some() {
            500
        } else {
            404
        };
        Answer::Whole(response(status, "", &[b'x'; 40 * 1024]))
    })
    .await;
    let link = webhook(&receiver.url(), &net());

    for _ in 0..5 {
        assert_eq!(send(&*link).await.observed.status, Some(500));
    }
    assert_eq!(link.probe().await.observed.status, Some(404));

    let connections: Vec<usize> = receiver.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn retry_after_is_read_from_failures_only() {
    let net = net();
    for (status, asked) in [
        (429, Some(Span::from_secs(7))),
        (500, Some(Span::from_secs(7))),
        (301, Some(Span::from_secs(7))),
        (200, None),
    ] {
        let receiver = Receiver::answering(status, "retry-after: 7\r\n").await;
        let reply = send(&*webhook(&receiver.url(), &net)).await;
        assert_eq!(reply.observed.retry_after, asked, "{status}");
    }
    let date = "retry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let receiver = Receiver::answering(503, date).await;
    let reply = send(&*webhook(&receiver.url(), &net)).await;
    assert_eq!(reply.observed.retry_after, Some(Span::from_secs(60)));
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let receiver = Receiver::start(|_| {
        let mut bytes = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec();
        bytes.extend(response(202, "", b""));
        Answer::Whole(bytes)
    })
    .await;

    let reply = send(&*webhook(&receiver.url(), &net())).await;

    assert_eq!(reply.observed.status, Some(202));
}

#[tokio::test]
async fn broken_connections_and_strange_protocols_are_transient() {
    let net = net();
    for answer in [
        Answer::Close,
        Answer::Whole(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        Answer::Whole(b"HTTP/9.9 200 OK\r\n\r\n".to_vec()),
    ] {
        let receiver = Receiver::start(move |_| answer.clone()).await;

        let reply = send(&*webhook(&receiver.url(), &net)).await;

        assert_eq!(reply.fault, Some(Fault::Broken), "{reply:?}");
        assert_eq!(class(&reply), (FailureClass::Transient, Cause::Network));
        assert!(!failure(&reply).floors);
        assert_eq!(receiver.seen().len(), 1, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_refused_connection_is_transient_and_names_host_and_port() {
    let listener = crate::support::listen().await;
    let address = listener.local_addr().unwrap();
    drop(listener);

    let reply = send(&*webhook(&format!("http://{address}/secret-path"), &net())).await;

    assert_eq!(reply.fault, Some(Fault::Connect));
    assert_eq!(class(&reply), (FailureClass::Transient, Cause::Network));
    assert!(reply.observed.detail.contains(&address.to_string()), "{reply:?}");
    assert!(reply.observed.detail.contains("refused"), "{reply:?}");
    assert!(!reply.observed.detail.contains("secret-path"), "{reply:?}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_transient() {
    let net = net_with(|config| config.names = Names::Only(BTreeMap::new()));

    let reply = send(&*webhook("http://hooks.example/x", &net)).await;

    assert_eq!(reply.fault, Some(Fault::Dns));
    assert_eq!(class(&reply), (FailureClass::Transient, Cause::Network));
    assert_eq!(reply.observed.detail, "hooks.example:80: no such name");
}

#[tokio::test]
async fn tls_that_never_answers_is_a_connection_that_timed_out() {
    let listener = crate::support::listen().await;
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let net = net_with(|config| config.connect_timeout = Duration::from_millis(200));

    let reply = send(&*webhook(&url, &net)).await;

    assert_eq!(reply.fault, Some(Fault::ConnectTimeout), "{reply:?}");
    assert_eq!(class(&reply), (FailureClass::Transient, Cause::Timeout));
    assert!(failure(&reply).floors);
}

#[tokio::test]
async fn what_cannot_be_a_request_is_permanent_and_not_sent() {
    let receiver = Receiver::answering(200, "").await;
    let mut odd = dispatch(b"x");
    odd.content_type = "text/plain\r\nx-evil: 1";

    let reply = webhook(&receiver.url(), &net()).send(&[odd]).await;

    assert_eq!(reply.fault, Some(Fault::Unsendable));
    assert_eq!(class(&reply), (FailureClass::Permanent, Cause::Rejected));
    assert_eq!(receiver.seen().len(), 0);
}

#[tokio::test]
async fn a_detail_shows_neither_payload_nor_credential_nor_headers() {
    let net = net_with(|config| config.total_timeout = Duration::from_millis(300));
    for answer in [
        Answer::Close,
        Answer::Silent,
        Answer::Whole(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n".to_vec()),
        Answer::Whole(response(500, "x-seen: header-value\r\n", b"")),
    ] {
        let receiver = Receiver::start(move |_| answer.clone()).await;
        let url = format!("{}/path-token?key=query-token", receiver.url());

        let reply = send(&*webhook(&url, &net)).await;

        assert_ne!(reply.observed.detail, "");
        for hidden in [
            "never shown",
            "whsec_",
            "MfKQ",
            "v1,",
            "header-value",
            "path-token",
            "query-token",
        ] {
            assert!(!reply.observed.detail.contains(hidden), "{reply:?}");
        }
    }
}
