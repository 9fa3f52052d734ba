//! Precedence, refusals, and the file that shows every key.

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn flags(config: Option<PathBuf>, set: &[&str]) -> Flags {
    Flags {
        config,
        node_id: Some("1".to_owned()),
        data_dir: Some("/tmp/one".to_owned()),
        set: set.iter().map(|text| (*text).to_owned()).collect(),
        ..Flags::default()
    }
}

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<(String, String)> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    pairs.into_iter()
}

fn refusal(result: Result<Config, ConfigError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_is_not_text_is_refused_of_ours_and_passed_over_of_others() {
    let not_text = || OsString::from_vec(vec![0xff]);
    let others = [
        (not_text(), not_text()),
        (OsString::from("LS_COLORS"), not_text()),
    ];
    let ours = [(OsString::from("PUSHRAIL_DATA_DIR"), not_text())];

    let passed = load(&flags(None, &[]), others.into_iter());
    let refused = refusal(load(&flags(None, &[]), ours.into_iter()));

    assert!(passed.is_ok(), "{passed:?}");
    assert!(refused.contains("PUSHRAIL_DATA_DIR is not text"), "{refused}");
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_dir, path) = file(
        "[delivery]\nconcurrency = 10\nunrecorded_max = 20\nconnect_timeout = \"1s\"\nallowed_networks = [\"10.0.0.0/8\", \"fd00::/8\"]\n",
    );
    let environment = env(&[
        ("PUSHRAIL_DELIVERY__CONCURRENCY", "11"),
        ("PUSHRAIL_DELIVERY__UNRECORDED_MAX", "21"),
        ("PUSHRAIL_SERVER", "ignored: the client's"),
        ("HOME", "/root"),
    ]);

    let config = load(&flags(Some(path), &["delivery.concurrency=12"]), environment).unwrap();

    assert_eq!(config.delivery.concurrency, 12);
    assert_eq!(config.delivery.unrecorded_max, 21);
    assert_eq!(config.delivery.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.delivery.attempt_timeout, Duration::from_secs(20));
    assert_eq!(config.delivery.allowed_networks.len(), 2);
    assert_eq!(config.advertise.client, "127.0.0.1:7400");
}

#[test]
fn an_unknown_key_is_refused_with_its_value_its_source_and_what_there_is() {
    let (_dir, path) = file("[delivery]\nconcurency = 10\n");

    let text = refusal(load(
        &flags(Some(path.clone()), &[]),
        env(&[("PUSHRAIL_LISEN", "x")]),
    ));

    assert!(text.contains("delivery.concurency = `10`"), "{text}");
    assert!(text.contains("lisen = `x` (PUSHRAIL_LISEN)"), "{text}");
    assert!(text.contains("did you mean delivery.concurrency?"), "{text}");
    assert!(text.contains("did you mean listen?"), "{text}");
    assert!(text.contains(&format!("{}:2", path.display())), "{text}");
}

#[test]
fn a_bad_value_is_refused_with_what_is_allowed() {
    let cases = [
        (
            "delivery.attempt_timeout=20",
            "a number with its unit (us, ms, s, m, h, d), from 10ms to 5m",
        ),
        ("publish.payload_bytes_max=2MiB", "from 1B to 1MiB"),
        ("delivery.concurrency=0", "a whole number from 1 to 65536"),
        ("log.format=xml", "one of auto, json, human"),
        ("log.level=", "error, warn, info, debug or trace"),
        ("listen=localhost", "an address and a port"),
        ("advertise=nowhere", "a host and a port"),
        ("delivery.allowed_networks=10.0.0.0/99", "networks such as"),
        ("insecure_listen=yes", "true or false"),
        ("raft.election_min=150ms", "at least twice raft.heartbeat"),
        ("raft.election_max=400ms", "more than raft.election_min"),
        ("delivery.connect_timeout=30s", "at most delivery.attempt_timeout"),
        ("egress.proxy=proxy.internal:3128", "http://host:port"),
        ("egress.proxy=https://proxy.internal:3128", "http://host:port"),
        ("egress.proxy_credentials_file=/x", "nothing where egress.proxy"),
        ("delivery=5", "unknown key"),
        (
            "peer_listen=127.0.0.1:7400",
            "another address than that of listen",
        ),
    ];
    for (set, allowed) in cases {
        let (key, value) = set.split_once('=').unwrap();

        let text = refusal(load(&flags(None, &[set]), env(&[])));

        assert!(text.contains(&format!("{key} = `{value}` (--set)")), "{text}");
        assert!(text.contains(allowed), "{set}: {text}");
        assert!(text.contains("pushrail config check"), "{text}");
    }
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    let set = ["egress.proxy=http://node:hunter2@proxy.internal:3128"];

    let text = refusal(load(&flags(None, &set), env(&[])));

    assert!(
        text.contains("egress.proxy = `http://…@proxy.internal:3128`"),
        "{text}"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let (_dir, path) = file("colour = = 1\n[log]\nformat = \"xml\"\n");
    let flags = Flags {
        node_id: None,
        ..flags(Some(path.clone()), &["nothing", "raft.heartbeat=1"])
    };

    let text = refusal(load(&flags, env(&[("PUSHRAIL_LISTEN", "here")])));

    for part in [
        format!("{}:1: not TOML", path.display()),
        format!("log.format = `xml` ({}:3)", path.display()),
        "node_id is not given".to_owned(),
        "listen = `here` (PUSHRAIL_LISTEN)".to_owned(),
        "--set number 1 has no `=`".to_owned(),
        "raft.heartbeat = `1` (--set)".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
}

#[test]
fn what_may_be_a_secret_is_not_repeated() {
    let text = refusal(load(
        &flags(None, &["hidden-1"]),
        env(&[("PUSHRAIL_DB__PASSWORD", "hidden-2")]),
    ));

    assert!(
        text.contains("db.password = `***` (PUSHRAIL_DB__PASSWORD)"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
}

#[test]
fn every_key_is_explained_by_whoever_gave_it() {
    let (_dir, path) = file("# mine\n[delivery]\nconcurrency = 10\n");
    let environment = env(&[("PUSHRAIL_LOG__LEVEL", "debug")]);

    let (_, values) = explained(&flags(Some(path.clone()), &["raft.heartbeat=50ms"]), environment).unwrap();

    let of = |key: &str| {
        let found = values.iter().find(|value| value.key == key).unwrap();
        (found.value.clone(), found.source.to_string())
    };
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(
        of("delivery.concurrency"),
        pair("10", &format!("{}:3", path.display()))
    );
    assert_eq!(of("log.level"), pair("debug", "PUSHRAIL_LOG__LEVEL"));
    assert_eq!(of("raft.heartbeat"), pair("50ms", "--set"));
    assert_eq!(of("node_id"), pair("1", "--node-id"));
    assert_eq!(of("log.format"), pair("auto", "the default"));
}

#[test]
fn a_node_listens_beyond_loopback_only_when_told_that_this_is_insecure() {
    let open = ["http_listen=0.0.0.0:7402"];

    let refused = refusal(load(&flags(None, &open), env(&[])));
    let allowed = load(
        &Flags {
            insecure_listen: true,
            ..flags(None, &open)
        },
        env(&[]),
    );

    assert!(refused.contains("http_listen = `0.0.0.0:7402`"), "{refused}");
    assert!(refused.contains("insecure_listen = true"), "{refused}");
    assert!(allowed.is_ok());
}

#[test]
fn node_id_and_data_dir_have_to_be_given() {
    let text = refusal(load(&Flags::default(), env(&[])));

    assert!(text.contains("node_id is not given"), "{text}");
    assert!(text.contains("--data-dir, PUSHRAIL_DATA_DIR"), "{text}");
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_refused_by_name() {
    let (dir, path) = file("node_id = = 1");
    let missing = dir.path().join("none.toml");

    let syntax = refusal(load(&flags(Some(path.clone()), &[]), env(&[])));
    let absent = refusal(load(&flags(Some(missing.clone()), &[]), env(&[])));

    assert!(syntax.contains(&path.display().to_string()));
    assert!(absent.contains(&missing.display().to_string()));
}

#[test]
fn the_example_file_shows_every_key_with_its_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config/node.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let (shown, faults) = file::read(&text);
    assert_eq!(faults, []);
    let shown: Vec<(String, String)> = shown.into_iter().map(|one| (one.key, one.value)).collect();
    let mut keys = Keys::default();
    keys.give("node_id", "1", Source::Program);
    keys.give("data_dir", "x", Source::Program);

    Config::read(&mut keys).unwrap();

    let known: Vec<(String, String)> = keys
        .known()
        .iter()
        .map(|known| {
            let value = |default: &str| (known.key.to_owned(), default.to_owned());
            let example = shown.iter().find(|(key, _)| key == known.key).cloned();
            known.default.map_or_else(|| example.unwrap_or_default(), value)
        })
        .collect();
    let mut shown = shown;
    let mut expected = known;
    shown.sort();
    expected.sort();
    assert_eq!(shown, expected);
}
