//! An event as it comes in, checked field by field and made ready to be kept: its payload compressed where that helps,
//! its key and content hashed with the cluster's key.

use bytes::Bytes;
use pushrail_model::event::{EventType, IdempotencyKey};
use pushrail_model::ids::TenantId;
use pushrail_model::limits;
use pushrail_model::payload::{Encoding, Payload};
use xxhash_rust::xxh3::{Xxh3Builder, xxh3_128_with_seed};

use crate::door::publish::Incoming;
use crate::door::refusal::Wrong;
use crate::door::settings::checks::too_long;

/// What a payload without a content type is.
const CONTENT_TYPE_DEFAULT: &str = "application/json";
/// Smaller payloads are kept as they are: there is nothing to gain.
const COMPRESS_BYTES_MIN: usize = 256;
/// Of a content type that is none, this much is shown.
const SHOWN_MAX: usize = 64;

/// An event whose every field is what it must be.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) tenant: TenantId,
    pub(crate) event_type: EventType,
    pub(crate) content_type: String,
    pub(crate) payload: Payload,
    pub(crate) idempotency: Option<IdempotencyKey>,
}

/// Checks everything and says all that is wrong at once; field names as in the contract's `NewEvent`.
pub(crate) fn prepare(
    incoming: Incoming,
    payload_bytes_max: usize,
    hash_key: u64,
) -> Result<Prepared, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let tenant: Option<TenantId> = match incoming.tenant.parse() {
        Ok(tenant) => Some(tenant),
        Err(invalid) => {
            wrong.push(Wrong::id("tenant", &invalid));
            None
        }
    };
    let event_type: Option<EventType> = match incoming.event_type.parse() {
        Ok(event_type) => Some(event_type),
        Err(invalid) => {
            wrong.push(Wrong::id("event_type", &invalid));
            None
        }
    };
    let content_type = if incoming.content_type.is_empty() {
        CONTENT_TYPE_DEFAULT.to_owned()
    } else {
        incoming.content_type
    };
    // It becomes an HTTP header: a line break in it would forge others.
    let visible = |byte: u8| (b' '..=b'~').contains(&byte);
    // A blank at either end is malformed to a receiver of HTTP/2 (RFC 9113 section 8.2.1).
    let bare = content_type.trim_matches(' ') == content_type;
    if content_type.len() > limits::CONTENT_TYPE_BYTES_MAX || !content_type.bytes().all(visible) || !bare {
        wrong.push(Wrong::new(
            "content_type",
            format!(
                "{} bytes, `{}`; at most {} bytes of visible ASCII and spaces, none of these at an end",
                content_type.len(),
                content_type
                    .chars()
                    .take(SHOWN_MAX)
                    .collect::<String>()
                    .escape_default(),
                limits::CONTENT_TYPE_BYTES_MAX
            ),
        ));
    }
    let bytes = incoming.payload.len();
    if bytes > payload_bytes_max {
        wrong.push(Wrong::new(
            "payload",
            format!("{bytes} bytes; this node takes {payload_bytes_max} at most"),
        ));
    }
    if incoming.idempotency_key.len() > limits::IDEMPOTENCY_KEY_BYTES_MAX {
        wrong.push(Wrong::new(
            "idempotency_key",
            too_long(&incoming.idempotency_key, limits::IDEMPOTENCY_KEY_BYTES_MAX),
        ));
    }
    let (Some(tenant), Some(event_type), true) = (tenant, event_type, wrong.is_empty()) else {
        return Err(wrong);
    };

    let idempotency = (!incoming.idempotency_key.is_empty()).then(|| IdempotencyKey {
        key_hash: xxh3_128_with_seed(incoming.idempotency_key.as_bytes(), hash_key),
        content_hash: content_hash(&event_type, &content_type, &incoming.payload, hash_key),
        key: incoming.idempotency_key,
    });
    Ok(Prepared {
        tenant,
        event_type,
        content_type,
        payload: compress(incoming.payload),
        idempotency,
    })
}

/// Hash of what *same content* means. Every part is preceded by its length, so that no two contents read alike.
fn content_hash(event_type: &EventType, content_type: &str, payload: &[u8], hash_key: u64) -> u128 {
    let mut hasher = Xxh3Builder::new().with_seed(hash_key).build();
    for part in [event_type.as_str().as_bytes(), content_type.as_bytes(), payload] {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    hasher.digest128()
}

/// Keeps the smaller of both, where the gain is worth the reader's work: an eighth at least.
fn compress(plain: Bytes) -> Payload {
    let plain_bytes = u32::try_from(plain.len()).unwrap_or(u32::MAX);
    let kept = |encoding, bytes| Payload {
        encoding,
        bytes,
        plain_bytes,
    };
    if plain.len() < COMPRESS_BYTES_MIN {
        return kept(Encoding::Identity, plain);
    }
    let compressed = lz4_flex::block::compress(&plain);
    if compressed.len() < plain.len() - plain.len() / 8 {
        kept(Encoding::Lz4, compressed.into())
    } else {
        kept(Encoding::Identity, plain)
    }
}

/// The caller's bytes again; `None` where what is kept cannot be read.
pub(crate) fn plain(payload: &Payload) -> Option<Bytes> {
    match payload.encoding {
        Encoding::Identity => Some(payload.bytes.clone()),
        Encoding::Lz4 => {
            let bytes = usize::try_from(payload.plain_bytes).ok()?;
            if bytes > limits::PAYLOAD_BYTES_HARD_MAX {
                return None;
            }
            let plain = lz4_flex::block::decompress(&payload.bytes, bytes).ok()?;
            (plain.len() == bytes).then(|| plain.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(payload: &[u8]) -> Incoming {
        Incoming {
            tenant: "acme".to_owned(),
            event_type: "order.paid".to_owned(),
            content_type: String::new(),
            payload: Bytes::copy_from_slice(payload),
            idempotency_key: "key".to_owned(),
        }
    }

    fn fields(incoming: Incoming) -> Vec<String> {
        let wrong = prepare(incoming, 1000, 1).unwrap_err();
        wrong.into_iter().map(|wrong| wrong.field).collect()
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = Incoming {
            tenant: "Acme".to_owned(),
            event_type: "a..b".to_owned(),
            content_type: "text/plain\r\nx-evil: 1".to_owned(),
            payload: vec![0; 1001].into(),
            idempotency_key: "k".repeat(257),
        };

        assert_eq!(
            fields(wrong),
            [
                "tenant",
                "event_type",
                "content_type",
                "payload",
                "idempotency_key"
            ]
        );
    }

    #[test]
    fn a_payload_is_kept_the_smaller_way_and_comes_back() {
        let text = vec![b'a'; 900];
        // No pattern in it, so nothing to gain.
        let noise: Vec<u8> = (0u32..900)
            .map(|n| u8::try_from(xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()) & 255).unwrap())
            .collect();

        for (bytes, encoding) in [
            (&text, Encoding::Lz4),
            (&noise, Encoding::Identity),
            (&vec![b'a'; 9], Encoding::Identity),
        ] {
            let payload = prepare(incoming(bytes), 1000, 1).unwrap().payload;
            assert_eq!(payload.encoding, encoding);
            assert_eq!(plain(&payload).unwrap(), bytes);
        }
    }

    #[test]
    fn a_content_type_has_no_blank_at_an_end() {
        for content_type in [" ", " text/plain", "text/plain "] {
            let blank = Incoming {
                content_type: content_type.to_owned(),
                ..incoming(b"x")
            };
            assert_eq!(fields(blank), ["content_type"], "{content_type:?}");
        }
    }

    #[test]
    fn same_content_is_type_content_type_and_payload() {
        let hash = |incoming: Incoming, hash_key| {
            let prepared = prepare(incoming, 1000, hash_key).unwrap();
            prepared.idempotency.unwrap().content_hash
        };
        let first = hash(incoming(b"x"), 1);

        assert_eq!(hash(incoming(b"x"), 1), first);
        assert_ne!(hash(incoming(b"y"), 1), first);
        assert_ne!(hash(incoming(b"x"), 2), first);
        let other_type = Incoming {
            event_type: "order.pai".to_owned(),
            ..incoming(b"x")
        };
        assert_ne!(hash(other_type, 1), first);
        let other_content_type = Incoming {
            content_type: "text/plain".to_owned(),
            ..incoming(b"x")
        };
        assert_ne!(hash(other_content_type, 1), first);
    }

    #[test]
    fn without_a_key_nothing_is_remembered() {
        let unkeyed = Incoming {
            idempotency_key: String::new(),
            ..incoming(b"x")
        };

        let prepared = prepare(unkeyed, 1000, 1).unwrap();

        assert_eq!(prepared.idempotency, None);
        assert_eq!(prepared.content_type, CONTENT_TYPE_DEFAULT);
    }

    #[test]
    fn a_payload_that_lies_about_its_length_is_not_read() {
        let mut payload = prepare(incoming(&[b'a'; 900]), 1000, 1).unwrap().payload;
        payload.plain_bytes = 899;
        assert_eq!(plain(&payload), None);
        payload.plain_bytes = u32::MAX;
        assert_eq!(plain(&payload), None);
    }
}
