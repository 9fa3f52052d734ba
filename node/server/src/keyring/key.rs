//! One key: its id, a name that no other key has, and the cipher.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};

use super::NONCE_BYTES;

/// Bytes of a key's id: it stands in front of every sealed credential.
const ID_BYTES_MAX: usize = 32;
/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Of what a key's fingerprint is made.
const FINGERPRINT: &[u8] = b"pushrail key fingerprint 1";
const FINGERPRINT_BYTES: usize = 4;
/// Between a key's id and its fingerprint; no id holds one.
const MARK: char = '.';

/// A key of a node.
pub(super) struct Key {
    /// As the operator calls it.
    pub(super) id: String,
    /// The id with some hex digits that follow from the key, as it stands in front of what it sealed: two keys that are
    /// given one id on two nodes, which happens, are told apart.
    pub(super) name: String,
    pub(super) cipher: XChaCha20Poly1305,
}

/// An entry `id:base64`; `None` where it is none.
pub(super) fn read(entry: &str) -> Option<Key> {
    let (id, encoded) = entry.split_once(':')?;
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(known) {
        return None;
    }
    let key: [u8; KEY_BYTES] = STANDARD.decode(encoded.trim()).ok()?.try_into().ok()?;
    let cipher = XChaCha20Poly1305::new(&key.into());
    Some(Key {
        id: id.to_owned(),
        name: format!("{id}{MARK}{}", fingerprint(&cipher)?),
        cipher,
    })
}

/// Digits that tell two keys apart and tell nothing else: of the tag over nothing, under a nonce that no credential has.
fn fingerprint(cipher: &XChaCha20Poly1305) -> Option<String> {
    let nothing = Payload {
        msg: &[],
        aad: FINGERPRINT,
    };
    let tag = cipher.encrypt(&XNonce::from([0; NONCE_BYTES]), nothing).ok()?;
    let digits = tag
        .iter()
        .take(FINGERPRINT_BYTES)
        .map(|byte| format!("{byte:02x}"));
    Some(digits.collect())
}

/// The id in a name.
pub(super) fn id_of(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(id, _)| id)
}
