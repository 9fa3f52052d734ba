//! The keys by which credentials are sealed at rest: in the log, in the state, in snapshots. A door seals, an owner
//! opens, the leader's upkeep seals anew what lies under another key than the first.
//! Invariant: no key and no credential is ever shown or logged.

use std::fmt;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::ids::{DestinationId, TenantId};
use pushrail_model::time::Timestamp;

use crate::config::CredentialsConfig;

/// What a sealed credential begins with: no JSON object does.
const SEALED: u8 = 1;
/// Bytes of a key's id: it stands in front of every sealed credential.
const ID_BYTES_MAX: usize = 32;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a nonce: enough to draw them at random for as long as a key lives.
const NONCE_BYTES: usize = 24;
/// What is sealed here, and how: part of what is authenticated.
const DOMAIN: &[u8] = b"pushrail credential 1";

/// The keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no reading the file.
    #[error("read the keys in {path} (credentials.keys_file)")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An entry is none.
    #[error(
        "key {place} of {origin}: allowed is ID:KEY with an id of 1 to 32 characters of a-z, 0-9, - and _, and a key \
         of 32 bytes as standard base64, such as `openssl rand -base64 32` makes"
    )]
    Entry {
        /// From where.
        origin: &'static str,
        /// Which one, from 1; what it holds is not shown.
        place: usize,
    },
    /// Two keys of one id.
    #[error("{origin} has two keys of the id `{id}`: give the new one an id of its own")]
    Twice {
        /// From where.
        origin: &'static str,
        /// The id.
        id: String,
    },
}

/// A credential cannot be opened here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// The node has not got the key.
    #[error(
        "it is sealed by key `{key}`, which this node has not got; give it that key (credentials.keys_file)"
    )]
    KeyMissing {
        /// Its id.
        key: String,
    },
    /// The key does not fit, or the bytes are not what was sealed for this destination.
    #[error("key `{key}` of this node does not open it: another key under the same id, or damaged bytes")]
    Refused {
        /// Its id.
        key: String,
    },
}

/// Under what a credential lies, from the point of view of one node: the later, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// The first key.
    Sealed,
    /// Another key that this node has.
    Retiring,
    /// None.
    Unsealed,
    /// A key that this node has not got.
    Locked,
}

impl Standing {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Sealed, Self::Retiring, Self::Unsealed, Self::Locked];

    /// In a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Retiring => "retiring",
            Self::Unsealed => "unsealed",
            Self::Locked => "locked",
        }
    }
}

struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// The keys of a node. The first one seals; all of them open.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<Key>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}

impl Keyring {
    /// The keys that the configuration names; none where it names none.
    pub fn load(config: &CredentialsConfig) -> Result<Self, KeyringError> {
        match &config.keys_file {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| KeyringError::Read {
                    path: path.clone(),
                    source,
                })?;
                Self::parse(&text, "credentials.keys_file")
            }
            None => Self::parse(config.keys.expose(), "credentials.keys"),
        }
    }

    /// Keys as `id:base64`, with commas or lines between; a line that begins with `#` says nothing.
    fn parse(text: &str, origin: &'static str) -> Result<Self, KeyringError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let entries = lines
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let mut keys: Vec<Key> = Vec::new();
        for (place, entry) in (1..).zip(entries) {
            let key = read(entry).ok_or(KeyringError::Entry { origin, place })?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyringError::Twice { origin, id: key.id });
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// Whether there is a key to seal by.
    pub fn seals(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Seals a credential for its destination; without a key it stays as it is.
    pub(crate) fn seal(&self, tenant: &TenantId, destination: &DestinationId, plain: &[u8]) -> Bytes {
        let Some(key) = self.keys.first() else {
            return Bytes::copy_from_slice(plain);
        };
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: &bound_to(tenant, destination, &key.id),
        };
        let sealed = key
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a credential is far smaller than the cipher's limit");
        let length = u8::try_from(key.id.len()).expect("ids are checked when they are read");
        let mut out = Vec::with_capacity(2 + key.id.len() + NONCE_BYTES + sealed.len());
        out.extend_from_slice(&[SEALED, length]);
        out.extend_from_slice(key.id.as_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out.into()
    }

    /// A destination's credential as its caller gave it.
    pub(crate) fn open(
        &self,
        tenant: &TenantId,
        destination: &DestinationId,
        stored: &Bytes,
    ) -> Result<Bytes, Locked> {
        if !is_sealed(stored) {
            return Ok(stored.clone());
        }
        let Some((id, nonce, sealed)) = parts(stored) else {
            return Err(Locked::Refused { key: String::new() });
        };
        let Some(key) = self.keys.iter().find(|key| key.id == id) else {
            return Err(Locked::KeyMissing { key: id.to_owned() });
        };
        let payload = Payload {
            msg: sealed,
            aad: &bound_to(tenant, destination, id),
        };
        match key.cipher.decrypt(&XNonce::from(nonce), payload) {
            Ok(plain) => Ok(plain.into()),
            Err(_) => Err(Locked::Refused { key: id.to_owned() }),
        }
    }

    /// A destination with its credentials as their callers gave them: the present one, and those before it that still
    /// count at `now`, newest first.
    pub(crate) fn unlock(
        &self,
        tenant: &TenantId,
        destination: &Destination,
        now: Timestamp,
    ) -> Result<(DestinationSpec, Vec<Bytes>), Locked> {
        let open = |stored: &Bytes| self.open(tenant, &destination.id, stored);
        let spec = DestinationSpec {
            credential: open(&destination.spec.credential)?,
            ..destination.spec.clone()
        };
        let living = destination
            .previous
            .iter()
            .filter(|previous| previous.until > now);
        let previous = living
            .map(|previous| open(&previous.credential))
            .collect::<Result<_, _>>()?;
        Ok((spec, previous))
    }

    /// Under what it lies, by the ids alone.
    pub(crate) fn standing(&self, stored: &Bytes) -> Standing {
        let Some(id) = key_of(stored) else {
            return Standing::Unsealed;
        };
        match self.keys.iter().position(|key| key.id == id) {
            Some(0) => Standing::Sealed,
            Some(_) => Standing::Retiring,
            None => Standing::Locked,
        }
    }

    /// Whether the leader should seal it anew: it lies under another key than the first, or under none.
    pub(crate) fn would_seal_anew(&self, stored: &Bytes) -> bool {
        let Some(first) = self.keys.first() else {
            return false;
        };
        !stored.is_empty() && key_of(stored) != Some(first.id.as_str())
    }
}

/// The id of the key by which a credential is sealed; `None` where it lies there unsealed.
pub(crate) fn key_of(stored: &Bytes) -> Option<&str> {
    parts(stored).map(|(id, _, _)| id)
}

fn is_sealed(stored: &Bytes) -> bool {
    stored.first() == Some(&SEALED)
}

fn parts(stored: &Bytes) -> Option<(&str, [u8; NONCE_BYTES], &[u8])> {
    let (&[SEALED, length], rest) = stored.split_first_chunk::<2>()? else {
        return None;
    };
    let (id, rest) = rest.split_at_checked(usize::from(length))?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
    Some((std::str::from_utf8(id).ok()?, *nonce, sealed))
}

/// What a sealed credential is bound to: moved to another destination, it opens no more. Names hold no zero byte.
fn bound_to(tenant: &TenantId, destination: &DestinationId, key: &str) -> Vec<u8> {
    let parts = [
        DOMAIN,
        tenant.as_str().as_bytes(),
        destination.as_str().as_bytes(),
        key.as_bytes(),
    ];
    parts.join(&0)
}

fn read(entry: &str) -> Option<Key> {
    let (id, encoded) = entry.split_once(':')?;
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(known) {
        return None;
    }
    let key: [u8; KEY_BYTES] = STANDARD.decode(encoded.trim()).ok()?.try_into().ok()?;
    Some(Key {
        id: id.to_owned(),
        cipher: XChaCha20Poly1305::new(&key.into()),
    })
}

#[cfg(test)]
mod tests {
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

        let sealed = keyring.seal(&acme, &hook, b"{\"secret\":\"whsec_x\"}");

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
            keyring.seal(&acme, &hook, b"{}"),
            keyring.seal(&acme, &hook, b"{}"),
            "no nonce is used twice"
        );
    }

    #[test]
    fn any_change_of_a_sealed_credential_is_met() {
        let keyring = keyring(&format!("a:{}", encoded(7)));
        let (acme, hook) = names();
        let sealed = keyring.seal(&acme, &hook, b"{\"secret\":\"whsec_x\"}");

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
        let sealed = old.seal(&acme, &hook, b"{}");

        assert_eq!(both.open(&acme, &hook, &sealed), Ok(Bytes::from_static(b"{}")));
        assert!(both.would_seal_anew(&sealed));
        let anew = both.seal(&acme, &hook, b"{}");
        assert!(!both.would_seal_anew(&anew));
        assert_eq!(new.open(&acme, &hook, &anew), Ok(Bytes::from_static(b"{}")));
        let missing = new.open(&acme, &hook, &sealed).unwrap_err();
        assert_eq!(
            missing,
            Locked::KeyMissing {
                key: "old".to_owned()
            }
        );
        let other = keyring(&format!("old:{}", encoded(3)));
        assert_eq!(
            other.open(&acme, &hook, &sealed),
            Err(Locked::Refused {
                key: "old".to_owned()
            })
        );
    }

    #[test]
    fn without_a_key_credentials_stay_as_they_are_and_are_sealed_once_there_is_one() {
        let (acme, hook) = names();
        let none = Keyring::default();

        let stored = none.seal(&acme, &hook, b"{\"secret\":\"x\"}");

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
}
