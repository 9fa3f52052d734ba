//! The golden requests: settings, credential and event above, the exact request below. `UPDATE=1` rewrites them.

use std::fmt::Write;

use bytes::Bytes;
use pushrail_model::ids::{AttemptNumber, DeliveryId, EventId};
use pushrail_model::time::Timestamp;

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/webhook/requests.txt");

#[test]
fn requests_are_those_of_the_golden_file() {
    let kept = std::fs::read_to_string(FILE).unwrap();
    let mut made = String::new();
    for case in kept.split_inclusive("\n=====\n") {
        let (given, _) = case.split_once("\n-----\n").unwrap();
        let end = if case.ends_with("\n=====\n") {
            "\n=====\n"
        } else {
            ""
        };
        write!(made, "{given}\n-----\n{}{end}", request_of(given)).unwrap();
    }

    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &made).unwrap();
    }
    let kept = std::fs::read_to_string(FILE).unwrap();
    assert_eq!(kept, made, "look at the difference, then UPDATE=1");
}

/// The caller's own: `headers` in the settings, `hidden` in the credential.
fn given_headers(given: &str) -> HeaderMap {
    let mut all = HeaderMap::new();
    for (name, shown) in [("headers ", Shown::ToReaders), ("hidden ", Shown::ToNobody)] {
        if let Some(json) = given.lines().find_map(|line| line.strip_prefix(name)) {
            let members = serde_json::from_str(json).unwrap();
            all.extend(headers::read(&members, shown).unwrap());
        }
    }
    all
}

fn request_of(given: &str) -> String {
    let line = |name: &str| {
        given
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim_start()
    };
    let event: EventId = line("event").parse().unwrap();
    let configured = Configured {
        url: url(line("url")).unwrap(),
        secrets: line("secret")
            .split(' ')
            .map(|secret| Secret::parse(secret).unwrap())
            .collect(),
        headers: given_headers(given),
    };
    let (_, body) = given.split_once("\nbody\n").unwrap();
    let dispatch = Dispatch {
        event_id: event.to_string(),
        delivery: DeliveryId { event, place: 0 },
        number: AttemptNumber(1),
        event_type: line("type"),
        content_type: line("content-type"),
        body: Bytes::from(body.to_owned()),
        created: Timestamp::ZERO,
        now: Timestamp(line("now").parse().unwrap()),
    };

    let request = configured.request(&[dispatch]).unwrap();

    let mut out = format!("{} {}\n", request.method, request.url);
    for (name, value) in &request.headers {
        let value = value
            .to_str()
            .unwrap()
            .replace(env!("CARGO_PKG_VERSION"), "<version>");
        writeln!(out, "{name}: {value}").unwrap();
    }
    write!(out, "\n{}", std::str::from_utf8(&request.body).unwrap()).unwrap();
    out
}

#[test]
fn a_url_is_http_bare_and_short() {
    for good in [
        "http://example.com",
        "https://example.com:8443/a/b?c=d",
        "https://[2606:4700::1111]/",
        "https://xn--bcher-kva.example/",
        "https://bücher.example/",
    ] {
        assert!(url(good).is_ok(), "{good}");
    }
    for (wrong, why) in [
        ("", "not a URL"),
        ("example.com/x", "not a URL"),
        ("https://", "not a URL"),
        ("https://exa mple.com", "not a URL"),
        ("https://1.2.3.4.5/", "not a URL"),
        ("ftp://example.com", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("https://user@example.com", "user name"),
        ("https://user:hunter2@example.com", "user name"),
        ("https://:hunter2@example.com", "user name"),
        ("https://example.com/#x", "fragment"),
        ("https://example.com:0/", "port 0"),
        (&format!("https://example.com/{}", "x".repeat(2048)), "2048"),
    ] {
        let said = url(wrong).unwrap_err();
        assert!(said.contains(why), "{wrong}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_webhook_takes_one_event_at_a_time() {
    let configured = Configured {
        url: url("https://example.com").unwrap(),
        secrets: vec![Secret::generate()],
        headers: HeaderMap::new(),
    };

    assert_eq!(configured.request(&[]), Err(Fault::Unsendable));
}
