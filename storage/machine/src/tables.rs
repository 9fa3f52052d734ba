//! Typed tables: what each key leads to. Only these know keys and values; who may *write* a table is said by the
//! module that has the monopoly (`lifecycle`, `attempts`, or the one handler).

pub(crate) mod carried;
pub(crate) mod cluster;
pub(crate) mod counts;
pub(crate) mod doors;
pub(crate) mod events;
pub(crate) mod idempotency;
pub(crate) mod names;
pub(crate) mod removed;
pub(crate) mod requests;

use std::fmt::Write;
use std::ops::ControlFlow;

use bytes::Bytes;
use prost::Message;

use pushrail_model::attempt::AttemptRecord;
use pushrail_model::change::Change;
use pushrail_model::dead_letter::DeadLetter;
use pushrail_model::delivery::{Delivery, DeliveryKey};
use pushrail_model::destination::Destination;
use pushrail_model::job::Job;
use pushrail_model::replay::Replay;
use pushrail_model::route::Route;
use pushrail_model::shard::Ownership;
use pushrail_model::tenant::Tenant;

use crate::codec::{DecodeError, Wire, decode, encode};
use crate::keys::{
    AssignmentKey, AttemptByTenantKey, AttemptKey, ChangeByTimeKey, ChangeKey, DeadLetterExpiryKey,
    DeadLetterKey, DestinationKey, DueKey, FormerRouteKey, JobKey, KeptKeyExpiryKey, Key, ReplayKey,
    RequestExpiryKey, RouteKey, RunningJobKey, TenantKey,
};
use crate::store::{KeyRange, Read, StoreError, Table};
use crate::txn::Txn;

/// A key that leads to a value.
pub(crate) trait Row: Key {
    /// What stands there.
    type Value: Wire<Message: Message + Default>;
}

/// A key that says all by standing there.
pub(crate) trait Mark: Key {}

macro_rules! rows {
    ($($key:ty => $value:ty),+ $(,)?) => {
        $(impl Row for $key { type Value = $value; })+
    };
}

rows! {
    TenantKey => Tenant,
    DestinationKey => Destination,
    RouteKey => Route,
    AssignmentKey => Ownership,
    ReplayKey => Replay,
    DeliveryKey => Delivery,
    DeadLetterKey => DeadLetter,
    AttemptKey => AttemptRecord,
    JobKey => Job,
    FormerRouteKey => Route,
    ChangeKey => Change,
}

impl Mark for KeptKeyExpiryKey {}
impl Mark for RequestExpiryKey {}
impl Mark for DueKey {}
impl Mark for DeadLetterExpiryKey {}
impl Mark for AttemptByTenantKey {}
impl Mark for RunningJobKey {}
impl Mark for ChangeByTimeKey {}

/// The value at `key`.
pub(crate) fn get<K: Row>(read: &dyn Read, key: &K) -> Result<Option<K::Value>, StoreError> {
    let key = key.encode();
    match read.get(K::TABLE, &key)? {
        Some(value) => value_of::<K>(&key, value).map(Some),
        None => Ok(None),
    }
}

/// Whether there is a row at `key`.
pub(crate) fn stands<K: Key>(read: &dyn Read, key: &K) -> Result<bool, StoreError> {
    Ok(read.get(K::TABLE, &key.encode())?.is_some())
}

/// Sets the value at `key`.
pub(crate) fn put<K: Row>(txn: &mut Txn<'_>, key: &K, value: &K::Value) {
    txn.put(K::TABLE, key.encode(), encode(value));
}

/// Sets a row that has no value.
pub(crate) fn mark<K: Mark>(txn: &mut Txn<'_>, key: &K) {
    txn.put(K::TABLE, key.encode(), Bytes::new());
}

/// Removes the row at `key`.
pub(crate) fn delete<K: Key>(txn: &mut Txn<'_>, key: &K) {
    txn.delete(K::TABLE, key.encode());
}

/// Shows every row of `range`, until told to stop.
pub(crate) fn scan<K: Row>(
    read: &dyn Read,
    range: KeyRange,
    mut visit: impl FnMut(K, K::Value) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    if range.is_empty() {
        return Ok(());
    }
    read.scan(K::TABLE, range, &mut |key, value| {
        let value = value_of::<K>(key, Bytes::copy_from_slice(value))?;
        visit(key_of(key)?, value)
    })
}

/// Shows every key of `range`, until told to stop.
pub(crate) fn scan_keys<K: Key>(
    read: &dyn Read,
    range: KeyRange,
    mut visit: impl FnMut(K) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    if range.is_empty() {
        return Ok(());
    }
    read.scan(K::TABLE, range, &mut |key, _| visit(key_of(key)?))
}

/// The first `limit` rows of `range`.
pub(crate) fn rows<K: Row>(
    read: &dyn Read,
    range: KeyRange,
    limit: usize,
) -> Result<Vec<(K, K::Value)>, StoreError> {
    let mut rows = Vec::new();
    if limit > 0 {
        scan(read, range, |key, value| {
            rows.push((key, value));
            Ok(more(rows.len() < limit))
        })?;
    }
    Ok(rows)
}

/// Whether a scan goes on.
pub(crate) fn more(wanted: bool) -> ControlFlow<()> {
    if wanted {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// A stored key, read back.
pub(crate) fn key_of<K: Key>(key: &[u8]) -> Result<K, StoreError> {
    K::decode(key).ok_or_else(|| damaged(K::TABLE, key, "not a key of this table"))
}

fn value_of<K: Row>(key: &[u8], value: Bytes) -> Result<K::Value, StoreError> {
    decode(value).map_err(|error| unreadable(K::TABLE, key, &error))
}

/// A row whose value cannot be read.
pub(crate) fn unreadable(table: Table, key: &[u8], error: &DecodeError) -> StoreError {
    let (key, what) = (hex(key), error.in_full());
    if error.is_of_later_version() {
        StoreError::UnknownRow { table, key, what }
    } else {
        StoreError::Damaged { table, key, what }
    }
}

/// A row that must not be as it is, or must not be missing.
pub(crate) fn damaged(table: Table, key: &[u8], what: &str) -> StoreError {
    StoreError::Damaged {
        table,
        key: hex(key),
        what: what.to_owned(),
    }
}

fn hex(key: &[u8]) -> String {
    let mut hex = String::with_capacity(key.len() * 2);
    for byte in key {
        write!(hex, "{byte:02x}").expect("a string takes all that is written to it");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_later_version_is_not_called_damaged() {
        // Field 99 of a delivery, empty: a state of tomorrow. And a place that no delivery can have.
        let tomorrow = decode::<pushrail_model::delivery::Delivery>(Bytes::from_static(&[0x9a, 0x06, 0]));
        let damaged =
            decode::<pushrail_model::delivery::Delivery>(Bytes::from_static(&[0x08, 0xff, 0xff, 0xff, 0x7f]));

        let error = unreadable(Table::Deliveries, &[1], &tomorrow.unwrap_err());
        assert!(matches!(error, StoreError::UnknownRow { .. }), "{error}");
        let error = unreadable(Table::Deliveries, &[1], &damaged.unwrap_err());
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}
