//! The conformance suite: one column a check, one row a kind.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::BoxFuture;
use pushrail_adapters::adapter::{Adapter, Fault, Reply};
use pushrail_adapters::net::NetConfig;
use pushrail_adapters::registry;
use pushrail_adapters::rules::{self, On};
use pushrail_adapters::settings::Invalid;
use pushrail_adapters::spec::{Field, Presence};
use pushrail_model::outcome::{FailureClass, Outcome};

use crate::support::{Receiver, destination, net, net_with, send, webhook};

type Check = fn(&'static dyn Adapter) -> BoxFuture<'static, ()>;

const CHECKS: &[(&str, Check)] = &[
    ("described", |adapter| described(adapter).boxed()),
    ("table in order", |adapter| table(adapter).boxed()),
    ("examples open", |adapter| examples(adapter).boxed()),
    ("fields refused by name", |adapter| refusals(adapter).boxed()),
    ("secrets made", |adapter| secrets(adapter).boxed()),
    ("classes on the wire", |adapter| classes(adapter).boxed()),
    ("one request a send", |adapter| one_request(adapter).boxed()),
    ("guarded by default", |adapter| guarded(adapter).boxed()),
];

#[tokio::test]
async fn every_kind_passes_every_check() {
    let mut matrix = String::new();
    let mut failed = 0;
    for adapter in registry::all() {
        write!(matrix, "{:<12}", adapter.spec().kind).unwrap();
        for (name, check) in CHECKS {
            let passed = AssertUnwindSafe(check(*adapter)).catch_unwind().await.is_ok();
            failed += u32::from(!passed);
            write!(matrix, "  {name}: {}", if passed { "ok" } else { "FAILED" }).unwrap();
        }
        matrix.push('\n');
    }

    assert_eq!(failed, 0, "\n{matrix}");
}

#[test]
fn kinds_are_known_by_name_and_an_unknown_one_is_told_which_there_are() {
    let kinds: BTreeMap<&str, _> = registry::all()
        .iter()
        .map(|adapter| (adapter.spec().kind, adapter))
        .collect();
    assert_eq!(kinds.len(), registry::all().len());
    assert!(registry::adapter("webhook").is_some());

    let invalid = registry::open(&destination("webhok", "{}", "{}"), &net())
        .err()
        .unwrap();

    assert_eq!(invalid[0].field, "kind");
    assert!(invalid[0].why.contains("webhook"));
}

async fn described(adapter: &dyn Adapter) {
    let spec = adapter.spec();
    let folder = |path: String| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(folder(format!("pages/{}.md", spec.kind)).is_file());
    assert!(folder(format!("golden/{}/replies.txt", spec.kind)).is_file());
    assert!(folder(format!("golden/{}/requests.txt", spec.kind)).is_file());
    assert!(spec.summary.ends_with('.') && !spec.repeat.is_empty());
    assert!(spec.batch.events_max >= 1 && spec.batch.bytes_max > 0);
    for field in fields(adapter) {
        assert!(field.docs.ends_with('.') && !field.form.is_empty() && !field.example.is_empty());
    }
}

async fn table(adapter: &dyn Adapter) {
    let rules: Vec<_> = adapter.spec().rules().collect();
    // Codes beat statuses, so they stand before them; nothing stands behind the row that fits everything.
    let codes = rules.iter().rposition(|rule| matches!(rule.on, On::Code(_)));
    let others = rules.iter().position(|rule| !matches!(rule.on, On::Code(_)));
    assert!(codes < others);
    let last = rules.iter().position(|rule| rule.on == On::Else);
    assert_eq!(last, Some(rules.len() - 1));
    for (place, rule) in rules.iter().enumerate() {
        assert!(
            rules.iter().take(place).all(|before| before.on != rule.on),
            "{} twice",
            rule.on
        );
        assert!(!rule.why.is_empty() && !rule.why.contains('|'));
    }
}

async fn examples(adapter: &dyn Adapter) {
    registry::open(&example(adapter), &net()).map(|_| ()).unwrap();
}

async fn refusals(adapter: &dyn Adapter) {
    let spec = adapter.spec();
    let refused = |settings: &str, credential: &str| -> Vec<Invalid> {
        registry::open(&destination(spec.kind, settings, credential), &net())
            .err()
            .unwrap()
    };
    let names = |invalid: &[Invalid], name: &str| invalid.iter().any(|one| one.field == name);

    let missing = refused("{}", "{}");
    let wrong = refused(&object(spec.settings, "[7]"), &object(spec.credential, "[7]"));
    for (section, fields) in [("settings", spec.settings), ("credential", spec.credential)] {
        for field in fields {
            let name = format!("{section}.{}", field.name);
            let optional = matches!(field.presence, Presence::Default(_));
            assert_eq!(names(&missing, &name), !optional, "{name}");
            assert!(names(&wrong, &name), "{name}");
        }
    }
    let unknown = refused(r#"{"colour":"red"}"#, r#"{"pass":"hidden-secret"}"#);
    assert!(names(&unknown, "settings.colour") && names(&unknown, "credential.pass"));
    for broken in [r#"{"pass":"hidden-secret"#, r#"["hidden-secret"]"#, "\u{1}"] {
        let invalid = refused(broken, broken);
        assert!(names(&invalid, "settings") && names(&invalid, "credential"));
        assert!(!format!("{invalid:?}{unknown:?}").contains("hidden-secret"));
    }
}

async fn secrets(adapter: &dyn Adapter) {
    let spec = adapter.spec();
    let given = object(spec.credential, "");
    let kept = registry::fill_credential(spec.kind, given.as_bytes()).unwrap();
    let json = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    assert_eq!(json(&kept), json(given.as_bytes()), "what the caller gave stays");
    let made: Vec<&Field> = spec
        .credential
        .iter()
        .filter(|field| field.presence == Presence::Made)
        .collect();
    let filled = registry::fill_credential(spec.kind, b"").unwrap();
    let again = registry::fill_credential(spec.kind, b"").unwrap();
    let text = String::from_utf8(filled.to_vec()).unwrap();
    assert!(made.iter().all(|field| text.contains(field.name)));
    assert!(
        made.is_empty() || filled != again,
        "a made secret is new each time"
    );
    assert!(!format!("{:?}", pushrail_adapters::settings::Credential::parse(&filled)).contains("whsec"));
}

async fn classes(adapter: &dyn Adapter) {
    let classify = |reply: &Reply| match rules::classify(adapter.spec(), reply) {
        Outcome::Delivered => None,
        Outcome::Failed(failure) => Some(failure.class),
    };
    for (status, class) in [
        (200, None),
        (400, Some(FailureClass::Permanent)),
        (401, Some(FailureClass::Permanent)),
        (403, Some(FailureClass::Permanent)),
        (404, Some(FailureClass::Permanent)),
        (408, Some(FailureClass::Transient)),
        (429, Some(FailureClass::Transient)),
        (500, Some(FailureClass::Transient)),
        (503, Some(FailureClass::Transient)),
    ] {
        let receiver = Receiver::answering(status, "").await;
        let reply = send(&*configured(adapter, &receiver, net())).await;
        assert_eq!(classify(&reply), class, "{status}");
    }
    assert_eq!(classify(&Reply::panicked()), Some(FailureClass::Transient));
    assert_eq!(classify(&Reply::unopened(&[])), Some(FailureClass::Transient));
}

async fn one_request(adapter: &dyn Adapter) {
    for status in [200, 301, 401, 408, 429, 500, 503] {
        let receiver = Receiver::answering(status, "retry-after: 0\r\nlocation: /again\r\n").await;
        send(&*configured(adapter, &receiver, net())).await;
        assert_eq!(receiver.seen().len(), 1, "{status}");
    }
}

async fn guarded(adapter: &dyn Adapter) {
    let receiver = Receiver::answering(200, "").await;
    let closed = net_with(|config| config.allowed_networks = NetConfig::default().allowed_networks);
    let reply = send(&*configured(adapter, &receiver, closed)).await;
    assert_eq!(reply.fault, Some(Fault::AddressRefused));
    assert!(reply.observed.detail.contains("127.0.0.1"));
    assert_eq!(receiver.seen().len(), 0);
}

/// The kind, pointed at a receiver of ours.
fn configured(
    adapter: &dyn Adapter,
    receiver: &Receiver,
    net: pushrail_adapters::net::Net,
) -> std::sync::Arc<dyn pushrail_adapters::adapter::Link> {
    match adapter.spec().kind {
        "webhook" => webhook(&receiver.url(), &net),
        kind => panic!("say here how {kind} is pointed at a receiver"),
    }
}

fn fields(adapter: &dyn Adapter) -> impl Iterator<Item = &'static Field> {
    let spec = adapter.spec();
    spec.settings.iter().chain(spec.credential)
}

fn example(adapter: &dyn Adapter) -> pushrail_model::destination::DestinationSpec {
    let spec = adapter.spec();
    destination(
        spec.kind,
        &object(spec.settings, ""),
        &object(spec.credential, ""),
    )
}

/// All fields with their examples, or with one value for all.
fn object(fields: &[Field], value: &str) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|field| match value {
            "" if field.example.starts_with('{') => format!(r#""{}":{}"#, field.name, field.example),
            "" => format!(r#""{}":"{}""#, field.name, field.example),
            _ => format!(r#""{}":{value}"#, field.name),
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}
