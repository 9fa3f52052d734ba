//! What is sealed opens for its destination alone, under any key of the node.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::KEY_BYTES;
use super::*;

fn encoded(byte: u8) -> String {
    STANDARD.encode([byte; KEY_BYTES])
}

fn keyring(text: &str) -> Keyring {
    Keyring::parse(text, "credentials.keys").unwrap()
}

fn names() -> (TenantId, DestinationId) {
    ("acme".parse().unwrap(), "hook".parse().unwrap())
}

#[test]
fn what_is_sealed_opens_for_its_own_destination_alone() {
    let keyring = keyring(&format!("2026-a:{}", encoded(7)));
    let (acme, hook) = names();

    let sealed = keyring.seal(&acme, &hook, b"{\"secret\":\"whsec_x\"}").unwrap();

    assert!(!sealed.windows(6).any(|part| part == b"secret"));
    assert_eq!(key_of(&sealed), Some("2026-a"));
    assert_eq!(
        keyring.open(&acme, &hook, &sealed),
        Ok(Bytes::from_static(b"{\"secret\":\"whsec_x\"}"))
    );
    let refused = Err(Locked::Refused {
        key: "2026-a".to_owned(),
    });
    assert_eq!(keyring.open(&"globex".parse().unwrap(), &hook, &sealed), refused);
    assert_eq!(keyring.open(&acme, &"bill".parse().unwrap(), &sealed), refused);
    assert_ne!(
        keyring.seal(&acme, &hook, b"{}").unwrap(),
        keyring.seal(&acme, &hook, b"{}").unwrap(),
        "no nonce is used twice"
    );
}

#[test]
fn any_change_of_a_sealed_credential_is_met() {
    let keyring = keyring(&format!("a:{}", encoded(7)));
    let (acme, hook) = names();
    let sealed = keyring.seal(&acme, &hook, b"{\"secret\":\"whsec_x\"}").unwrap();

    for place in 1..sealed.len() {
        let mut flipped = sealed.to_vec();
        flipped[place] ^= 1;
        assert!(
            keyring.open(&acme, &hook, &flipped.into()).is_err(),
            "byte {place}"
        );
    }
    for length in 1..sealed.len() {
        let cut = sealed.slice(..length);
        assert!(keyring.open(&acme, &hook, &cut).is_err(), "cut at {length}");
    }
}

#[test]
fn the_first_key_seals_all_open_and_one_that_is_missing_is_named() {
    let (acme, hook) = names();
    let old = keyring(&format!("old:{}", encoded(1)));
    let both = keyring(&format!(
        "# rotated today\nnew:{}\nold:{}\n",
        encoded(2),
        encoded(1)
    ));
    let new = keyring(&format!("new:{}", encoded(2)));
    let sealed = old.seal(&acme, &hook, b"{}").unwrap();

    assert_eq!(both.open(&acme, &hook, &sealed), Ok(Bytes::from_static(b"{}")));
    assert!(both.would_seal_anew(&sealed));
    let anew = both.seal(&acme, &hook, b"{}").unwrap();
    assert!(!both.would_seal_anew(&anew));
    assert_eq!(new.open(&acme, &hook, &anew), Ok(Bytes::from_static(b"{}")));
    let missing = new.open(&acme, &hook, &sealed).unwrap_err();
    assert_eq!(
        missing,
        Locked::KeyMissing {
            key: "old".to_owned()
        }
    );
}

#[test]
fn another_key_under_the_same_id_is_told_apart_and_seals_nothing_beside_the_first() {
    let (acme, hook) = names();
    let one = keyring(&format!("k:{}", encoded(1)));
    let other = keyring(&format!("k:{}", encoded(3)));
    let sealed = one.seal(&acme, &hook, b"{}").unwrap();
    let another = Err(Locked::Another { key: "k".to_owned() });

    assert_eq!(key_of(&sealed), Some("k"));
    assert_eq!(other.standing(&sealed), Standing::Locked);
    assert_eq!(other.open(&acme, &hook, &sealed), another);
    assert!(other.contests(&sealed) && !one.contests(&sealed));
    other.contest(true);
    assert_eq!(other.seal(&acme, &hook, b"{}"), another);
}

#[test]
fn without_a_key_credentials_stay_as_they_are_and_are_sealed_once_there_is_one() {
    let (acme, hook) = names();
    let none = Keyring::default();

    let stored = none.seal(&acme, &hook, b"{\"secret\":\"x\"}").unwrap();

    assert_eq!(stored, Bytes::from_static(b"{\"secret\":\"x\"}"));
    assert!(!none.would_seal_anew(&stored) && !none.seals());
    let some = keyring(&format!("a:{}", encoded(1)));
    assert!(some.would_seal_anew(&stored));
    assert_eq!(some.open(&acme, &hook, &stored), Ok(stored));
}

#[test]
fn an_entry_that_is_no_key_is_refused_without_repeating_it() {
    let long = "x".repeat(33);
    for wrong in [
        "a".to_owned(),
        format!("A:{}", encoded(1)),
        format!(":{}", encoded(1)),
        format!("{long}:{}", encoded(1)),
        "a:c2VjcmV0".to_owned(),
        format!("a:{}", "?".repeat(44)),
    ] {
        let error = Keyring::parse(&wrong, "credentials.keys").unwrap_err();
        let words = error.to_string();
        assert!(words.starts_with("key 1 of credentials.keys"), "{words}");
        assert!(!words.contains("c2VjcmV0") && !words.contains("AQEB"), "{words}");
    }
    let twice = format!("a:{},a:{}", encoded(1), encoded(2));
    assert!(matches!(
        Keyring::parse(&twice, "credentials.keys"),
        Err(KeyringError::Twice { .. })
    ));
    assert_eq!(format!("{:?}", keyring(&format!("a:{}", encoded(1)))), "[\"a\"]");
}
