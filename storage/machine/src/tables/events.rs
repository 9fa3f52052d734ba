//! Events. The key holds the event's place, so the value does not repeat it.

use bytes::Bytes;

use pushrail_model::event::{Event, NewEvent};
use pushrail_model::ids::{EventId, TenantNo};
use pushrail_model::payload::Encoding;
use pushrail_model::time::Timestamp;

use crate::codec::{decode_event, encode_event};
use crate::keys::{EventKey, Key};
use crate::store::{Read, StoreError};
use crate::tables::unreadable;
use crate::txn::Txn;

/// Keeps an event.
pub(crate) fn put(txn: &mut Txn<'_>, id: EventId, new: &NewEvent, accepted: Timestamp) {
    let key = EventKey::of(new.tenant, id);
    txn.put(EventKey::TABLE, key.encode(), encode_event(new, accepted, None));
}

/// A tenant's event.
pub(crate) fn get(read: &dyn Read, tenant: TenantNo, id: EventId) -> Result<Option<Event>, StoreError> {
    let key = EventKey::of(tenant, id).encode();
    let Some(value) = read.get(EventKey::TABLE, &key)? else {
        return Ok(None);
    };
    decode_event(id, value)
        .map(Some)
        .map_err(|error| unreadable(EventKey::TABLE, &key, &error))
}

/// Takes an event's payload away, and says when; the rest stays on record.
pub(crate) fn strip(
    txn: &mut Txn<'_>,
    tenant: TenantNo,
    id: EventId,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let Some(mut event) = get(txn, tenant, id)? {
        event.new.payload.bytes = Bytes::new();
        event.new.payload.encoding = Encoding::Identity;
        let key = EventKey::of(tenant, id);
        let row = encode_event(&event.new, event.accepted, event.stripped.or(Some(now)));
        txn.put(EventKey::TABLE, key.encode(), row);
    }
    Ok(())
}

/// An event by its row.
pub(crate) fn of_row(key: &EventKey, value: &[u8]) -> Result<Event, StoreError> {
    let id = EventId {
        partition: key.partition,
        seq: key.seq,
    };
    decode_event(id, Bytes::copy_from_slice(value))
        .map_err(|error| unreadable(EventKey::TABLE, &key.encode(), &error))
}
