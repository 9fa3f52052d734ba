//! How every conversion is spelled, and the small ones that all share.

use bytes::Bytes;
use prost::Message;

use pushrail_model::ids::{EventId, EventSeq, InvalidId};
use pushrail_model::shard::{Partition, ShardId};

use crate::codec::error::DecodeError;
use crate::codec::proto;

/// A model type that has a protobuf message.
pub(crate) trait Wire: Sized {
    /// Its message.
    type Message;

    /// As a message.
    fn to_wire(&self) -> Self::Message;

    /// From a message; refuses what the model does not know.
    fn from_wire(message: Self::Message) -> Result<Self, DecodeError>;
}

/// The bytes of `value`.
pub(crate) fn encode<T: Wire<Message: Message>>(value: &T) -> Bytes {
    value.to_wire().encode_to_vec().into()
}

/// Reads what [`encode`] wrote; byte fields are slices of `bytes`.
pub(crate) fn decode<T: Wire<Message: Message + Default>>(bytes: Bytes) -> Result<T, DecodeError> {
    T::from_wire(T::Message::decode(bytes)?)
}

/// All of `values` as messages.
pub(super) fn all_to_wire<T: Wire>(values: &[T]) -> Vec<T::Message> {
    values.iter().map(T::to_wire).collect()
}

/// All of `messages` back.
pub(super) fn all_from_wire<T: Wire>(messages: Vec<T::Message>) -> Result<Vec<T>, DecodeError> {
    messages.into_iter().map(T::from_wire).collect()
}

/// The field, which always stands there.
pub(super) fn present<T>(value: Option<T>, field: &'static str) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Missing { field })
}

/// The choice that was made. One always is, and is left out by prost where a later version added it.
pub(super) fn chosen<T>(choice: Option<T>, field: &'static str) -> Result<T, DecodeError> {
    choice.ok_or(DecodeError::Unknown { field })
}

/// A message that always stands there, converted.
pub(super) fn required<T: Wire>(message: Option<T::Message>, field: &'static str) -> Result<T, DecodeError> {
    T::from_wire(present(message, field)?)
}

/// A field that may not hold `found`.
pub(super) fn invalid(field: &'static str, found: impl ToString) -> DecodeError {
    DecodeError::Invalid {
        field,
        found: found.to_string(),
    }
}

/// A name or pattern, checked as it was at the door.
pub(super) fn parsed<T: std::str::FromStr<Err = InvalidId>>(
    text: &str,
    field: &'static str,
) -> Result<T, DecodeError> {
    text.parse().map_err(|error| invalid(field, error))
}

/// A number that fits a smaller type.
pub(super) fn narrowed<T: TryFrom<u32>>(number: u32, field: &'static str) -> Result<T, DecodeError> {
    T::try_from(number).map_err(|_| invalid(field, number))
}

/// A partition by its number.
pub(super) fn partition(number: u32) -> Result<Partition, DecodeError> {
    Partition::new(narrowed(number, "partition")?).ok_or_else(|| invalid("partition", number))
}

/// A shard by its number.
pub(super) fn shard(number: u32) -> Result<ShardId, DecodeError> {
    ShardId::new(narrowed(number, "shard")?).ok_or_else(|| invalid("shard", number))
}

/// The upper and the lower half.
pub(super) fn halves(whole: u128) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = whole.to_be_bytes();
    (
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from_be_bytes([i, j, k, l, m, n, o, p]),
    )
}

/// Of the upper and the lower half.
pub(super) fn whole(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

impl Wire for EventId {
    type Message = proto::EventId;

    fn to_wire(&self) -> proto::EventId {
        proto::EventId {
            partition: self.partition.number().into(),
            index: self.seq.index,
            position: self.seq.position,
        }
    }

    fn from_wire(message: proto::EventId) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            seq: EventSeq {
                index: message.index,
                position: message.position,
            },
        })
    }
}

/// Converts an enum of the model to and from its protobuf twin, variant by variant; *unspecified* is refused, and so is
/// a number that this version does not know, as such: a later one added it.
macro_rules! wire_enum {
    ($model:ty, $proto:ident, $field:literal, { $($variant:ident),+ $(,)? }) => {
        impl $crate::codec::wire::Wire for $model {
            type Message = i32;

            fn to_wire(&self) -> i32 {
                match self {
                    $(Self::$variant => $crate::codec::proto::$proto::$variant.into(),)+
                }
            }

            fn from_wire(message: i32) -> Result<Self, $crate::codec::error::DecodeError> {
                match $crate::codec::proto::$proto::try_from(message) {
                    $(Ok($crate::codec::proto::$proto::$variant) => Ok(Self::$variant),)+
                    Ok($crate::codec::proto::$proto::Unspecified) => {
                        Err($crate::codec::wire::invalid($field, message))
                    }
                    Err(_) => Err($crate::codec::error::DecodeError::Unknown { field: $field }),
                }
            }
        }
    };
}

pub(super) use wire_enum;
