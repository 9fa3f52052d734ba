//! Between the model and its bytes: batches and entries as the log carries them, answers as doors get them, rows
//! as tables keep them. Everything is protobuf but the small fixed header of an entry.

mod answers;
mod attempt;
mod change;
mod command;
mod delivery;
mod destination;
mod entry;
mod error;
mod event;
mod job;
mod proto;
mod record;
mod settings;
mod tenant;
mod upkeep;
mod wire;

pub(crate) use crate::codec::attempt::encode_attempt_record;
pub use crate::codec::entry::{HEADER_BYTES, decode_batch, decode_entry, encode_batch, encode_entry_payload};
pub use crate::codec::error::DecodeError;
pub(crate) use crate::codec::record::{decode_event, encode_event};
pub(crate) use crate::codec::wire::{Wire, decode, encode};

use bytes::Bytes;

use crate::answers::Answers;

/// What came of a batch, as its row keeps it and its door gets it.
pub fn encode_answers(answers: &Answers) -> Bytes {
    encode(answers)
}

/// Reads what [`encode_answers`] wrote.
pub fn decode_answers(bytes: Bytes) -> Result<Answers, DecodeError> {
    decode(bytes)
}
