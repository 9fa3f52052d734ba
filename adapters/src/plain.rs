//! The caller's bytes out of a payload as it is kept.

use bytes::Bytes;
use pushrail_model::limits;
use pushrail_model::payload::{Encoding, Payload};

use crate::adapter::Fault;

/// The bytes as the caller sent them. A payload that does not yield what it promises is never sent.
pub(crate) fn payload(payload: &Payload) -> Result<Bytes, Fault> {
    let promised = usize::try_from(payload.plain_bytes).map_err(|_| Fault::Unsendable)?;
    let plain = match payload.encoding {
        Encoding::Identity => payload.bytes.clone(),
        Encoding::Lz4 => {
            // The promise bounds what is allocated, so it is bounded first.
            if promised > limits::PAYLOAD_BYTES_HARD_MAX {
                return Err(Fault::Unsendable);
            }
            let plain = lz4_flex::block::decompress(&payload.bytes, promised);
            Bytes::from(plain.map_err(|_| Fault::Unsendable)?)
        }
    };
    if plain.len() == promised {
        Ok(plain)
    } else {
        Err(Fault::Unsendable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(encoding: Encoding, bytes: &[u8], plain_bytes: u32) -> Payload {
        Payload {
            encoding,
            bytes: Bytes::copy_from_slice(bytes),
            plain_bytes,
        }
    }

    #[test]
    fn what_the_door_compressed_comes_back_byte_for_byte() {
        let plain = b"{\"a\":1}".repeat(100);
        let packed = lz4_flex::block::compress(&plain);

        let back = payload(&kept(Encoding::Lz4, &packed, 700));

        assert_eq!(back.as_deref(), Ok(plain.as_slice()));
    }

    #[test]
    fn a_payload_of_another_length_than_promised_is_not_sent() {
        let packed = lz4_flex::block::compress(&[7; 100]);

        for wrong in [
            kept(Encoding::Identity, b"abc", 2),
            kept(Encoding::Lz4, &packed, 99),
            kept(Encoding::Lz4, &packed, 101),
            kept(Encoding::Lz4, &packed, u32::MAX),
            kept(Encoding::Lz4, b"\xff\xff\xff", 100),
        ] {
            assert_eq!(payload(&wrong), Err(Fault::Unsendable), "{wrong:?}");
        }
    }
}
