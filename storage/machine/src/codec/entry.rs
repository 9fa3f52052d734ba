//! Entries as the log carries them: sixteen bytes of header, then each batch behind its length. A follower keeps
//! and forwards these bytes as they came.
//!
//! Header: `PR`, format, 0, count of batches (u32), time (u64); the numbers little-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use pushrail_model::command::{Batch, Entry};
use pushrail_model::ids::LogIndex;
use pushrail_model::time::Timestamp;

use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::Wire;
use crate::store::StoreError;

/// Length of an entry's header.
pub const HEADER_BYTES: usize = 16;

const MAGIC: [u8; 2] = *b"PR";
const FORMAT: u8 = 1;

/// The bytes of one batch, as its door makes them.
pub fn encode_batch(batch: &Batch) -> Bytes {
    batch.to_wire().encode_to_vec().into()
}

/// Reads what [`encode_batch`] wrote; payloads are slices of `bytes`.
pub fn decode_batch(bytes: Bytes) -> Result<Batch, DecodeError> {
    Batch::from_wire(proto::Batch::decode(bytes)?)
}

/// The bytes of an entry: the leader's stamp, and its doors' batches as they came.
pub fn encode_entry_payload(time: Timestamp, batches: &[Bytes]) -> Bytes {
    let length = batches.iter().map(|batch| 4 + batch.len()).sum::<usize>();
    let mut payload = BytesMut::with_capacity(HEADER_BYTES + length);
    payload.put_slice(&MAGIC);
    payload.put_u8(FORMAT);
    payload.put_u8(0);
    payload.put_u32_le(length_of(batches.len()));
    payload.put_u64_le(time.0);
    for batch in batches {
        payload.put_u32_le(length_of(batch.len()));
        payload.put_slice(batch);
    }
    payload.freeze()
}

fn length_of(length: usize) -> u32 {
    u32::try_from(length).expect("an entry is bounded by limits::ENTRY_BYTES_MAX")
}

/// The entry at `index`. A [`StoreError`] tells the node to stop: it may not skip what it does not know.
pub fn decode_entry(index: LogIndex, payload: &Bytes) -> Result<Entry, StoreError> {
    read_entry(index, payload.clone()).map_err(|error| {
        let (index, what) = (index.0, error.in_full());
        if error.is_of_later_version() {
            StoreError::UnknownCommand { index, what }
        } else {
            StoreError::DamagedEntry { index, what }
        }
    })
}

fn read_entry(index: LogIndex, mut rest: Bytes) -> Result<Entry, DecodeError> {
    let header = read_header(&mut rest)?;
    let mut batches = Vec::new();
    for _ in 0..header.batches {
        let length = rest
            .try_get_u32_le()
            .map_err(|_| cut("the length of a batch is cut off"))?;
        let length = usize::try_from(length).map_err(|_| cut("a batch is cut off"))?;
        if rest.len() < length {
            return Err(cut("a batch is cut off"));
        }
        batches.push(decode_batch(rest.split_to(length))?);
    }
    if !rest.is_empty() {
        return Err(DecodeError::Entry {
            what: "bytes follow its last batch",
        });
    }
    Ok(Entry {
        index,
        time: header.time,
        batches,
    })
}

struct Header {
    batches: u32,
    time: Timestamp,
}

fn read_header(rest: &mut Bytes) -> Result<Header, DecodeError> {
    if rest.len() < HEADER_BYTES {
        return Err(cut("its header is cut off"));
    }
    let magic = [rest.get_u8(), rest.get_u8()];
    if magic != MAGIC {
        return Err(DecodeError::Entry {
            what: "it does not begin as one",
        });
    }
    let format = rest.get_u8();
    if format != FORMAT {
        return Err(DecodeError::UnknownFormat { format });
    }
    rest.advance(1);
    Ok(Header {
        batches: rest.get_u32_le(),
        time: Timestamp(rest.get_u64_le()),
    })
}

fn cut(what: &'static str) -> DecodeError {
    DecodeError::Entry { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry with one batch, which holds one attempt that failed of `cause`.
    fn with_attempt(cause: i32, verdict: Option<proto::Verdict>) -> Bytes {
        let attempt = proto::Attempt {
            delivery: Some(proto::DeliveryKey::default()),
            failure: Some(proto::Failure {
                class: proto::FailureClass::Transient.into(),
                cause,
                ..proto::Failure::default()
            }),
            observed: Some(proto::Observed::default()),
            verdict,
            ..proto::Attempt::default()
        };
        let record = proto::RecordAttempts {
            partition: 0,
            attempts: vec![attempt],
        };
        let batch = proto::Batch {
            commands: vec![proto::Command {
                command: Some(proto::command::Command::RecordAttempts(record)),
            }],
            ..proto::Batch::default()
        };
        encode_entry_payload(Timestamp(0), &[batch.encode_to_vec().into()])
    }

    #[test]
    fn what_a_later_version_may_add_is_unknown_and_what_it_may_not_is_damage() {
        let network = proto::Cause::Network.into();
        let settles = || {
            Some(proto::Verdict {
                verdict: Some(proto::verdict::Verdict::Settle(proto::Settle {})),
            })
        };
        let read = |entry: Bytes| decode_entry(LogIndex(7), &entry);
        assert!(read(with_attempt(network, settles())).is_ok());

        for of_tomorrow in [
            with_attempt(99, settles()),
            with_attempt(network, Some(proto::Verdict { verdict: None })),
        ] {
            let error = read(of_tomorrow).unwrap_err();
            assert!(
                matches!(error, StoreError::UnknownCommand { index: 7, .. }),
                "{error}"
            );
        }
        for damaged in [with_attempt(0, settles()), with_attempt(network, None)] {
            let error = read(damaged).unwrap_err();
            assert!(
                matches!(error, StoreError::DamagedEntry { index: 7, .. }),
                "{error}"
            );
        }
    }
}
