//! The keys by which credentials are sealed at rest: in the log, in the state, in snapshots. A door seals, an owner
//! opens, the leader's upkeep seals anew what lies under another key than the first.
//! Invariant: no key and no credential is ever shown or logged.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead as _, Payload};
use pushrail_model::destination::{Destination, DestinationSpec};
use pushrail_model::ids::{DestinationId, TenantId};
use pushrail_model::time::Timestamp;

use crate::config::CredentialsConfig;
use crate::keyring::key::{Key, id_of, read};

mod key;

/// What a sealed credential begins with: no JSON object does.
const SEALED: u8 = 1;
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
    /// A file was named, and no key is in it.
    #[error("{path} (credentials.keys_file) holds no key: write one ID:KEY a line, or name no file")]
    Empty {
        /// Which.
        path: PathBuf,
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
    /// The node has another key of that id.
    #[error(
        "it is sealed by a key `{key}` that is not this node's key `{key}`: all nodes need the same keys \
         (credentials.keys_file), and a key that differs an id of its own"
    )]
    Another {
        /// Its id.
        key: String,
    },
    /// The bytes are not what was sealed for this destination.
    #[error("key `{key}` of this node does not open it: damaged bytes, or another destination's")]
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

/// The keys of a node. The first one seals; all of them open.
#[derive(Default)]
pub struct Keyring {
    keys: Vec<Key>,
    // Credentials lie under another key of the first one's id: what this node sealed, others could not open.
    contested: AtomicBool,
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
                warn_of_readers(path);
                let keyring = Self::parse(&text, "credentials.keys_file")?;
                if !keyring.seals() {
                    return Err(KeyringError::Empty { path: path.clone() });
                }
                Ok(keyring)
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
        Ok(Self {
            keys,
            contested: AtomicBool::new(false),
        })
    }

    /// Whether there is a key to seal by.
    pub fn seals(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether it lies under another key of the first one's id.
    pub(crate) fn contests(&self, stored: &Bytes) -> bool {
        let (Some(first), Some(name)) = (self.keys.first(), name_of(stored)) else {
            return false;
        };
        id_of(name) == first.id && name != first.name
    }

    /// Takes note of whether any credential does: then nothing is sealed here.
    pub(crate) fn contest(&self, contested: bool) {
        self.contested.store(contested, Ordering::Release);
    }

    /// Seals a credential for its destination; without a key it stays as it is. An error where others seal by another
    /// key of the same id.
    pub(crate) fn seal(
        &self,
        tenant: &TenantId,
        destination: &DestinationId,
        plain: &[u8],
    ) -> Result<Bytes, Locked> {
        let Some(key) = self.keys.first() else {
            return Ok(Bytes::copy_from_slice(plain));
        };
        if self.contested.load(Ordering::Acquire) {
            return Err(Locked::Another { key: key.id.clone() });
        }
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: plain,
            aad: &bound_to(tenant, destination, &key.name),
        };
        let sealed = key
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a credential is far smaller than the cipher's limit");
        let length = u8::try_from(key.name.len()).expect("ids are checked when they are read");
        let mut out = Vec::with_capacity(2 + key.name.len() + NONCE_BYTES + sealed.len());
        out.extend_from_slice(&[SEALED, length]);
        out.extend_from_slice(key.name.as_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out.into())
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
        let Some((name, nonce, sealed)) = parts(stored) else {
            return Err(Locked::Refused { key: String::new() });
        };
        let id = id_of(name).to_owned();
        let Some(key) = self.keys.iter().find(|key| key.name == name) else {
            return Err(match self.keys.iter().any(|key| key.id == id) {
                true => Locked::Another { key: id },
                false => Locked::KeyMissing { key: id },
            });
        };
        let payload = Payload {
            msg: sealed,
            aad: &bound_to(tenant, destination, name),
        };
        match key.cipher.decrypt(&XNonce::from(nonce), payload) {
            Ok(plain) => Ok(plain.into()),
            Err(_) => Err(Locked::Refused { key: id }),
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

    /// Under what it lies, by the names of the keys alone.
    pub(crate) fn standing(&self, stored: &Bytes) -> Standing {
        let Some(name) = name_of(stored) else {
            return Standing::Unsealed;
        };
        match self.keys.iter().position(|key| key.name == name) {
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
        !stored.is_empty() && name_of(stored) != Some(first.name.as_str())
    }
}

/// The id of the key by which a credential is sealed; `None` where it lies there unsealed.
pub(crate) fn key_of(stored: &Bytes) -> Option<&str> {
    name_of(stored).map(id_of)
}

fn name_of(stored: &Bytes) -> Option<&str> {
    parts(stored).map(|(name, _, _)| name)
}

fn is_sealed(stored: &Bytes) -> bool {
    stored.first() == Some(&SEALED)
}

fn parts(stored: &Bytes) -> Option<(&str, [u8; NONCE_BYTES], &[u8])> {
    let (&[SEALED, length], rest) = stored.split_first_chunk::<2>()? else {
        return None;
    };
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
    Some((std::str::from_utf8(name).ok()?, *nonce, sealed))
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

/// Whoever may read the file opens every credential.
fn warn_of_readers(path: &Path) {
    let mode = std::fs::metadata(path).map(|found| found.permissions().mode());
    if let Ok(mode) = mode
        && mode & 0o077 != 0
    {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{:03o}", mode & 0o777),
            "others than its owner may read or write the keys by which credentials are sealed: chmod 600"
        );
    }
}

#[cfg(test)]
mod tests;
