//! An event, and its whole story.

use pushrail_model::attempt::AttemptRecord;
use pushrail_model::delivery::{Delivery, DeliveryKey};
use pushrail_model::destination::Destination;
use pushrail_model::event::Event;
use pushrail_model::ids::{EventId, TenantNo};

use crate::keys::{DestinationKey, Key};
use crate::query::attempts;
use crate::store::{Read, StoreError};
use crate::tables::{self, damaged, events};

/// An event with all that came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The event, with its routing decisions.
    pub event: Event,
    /// Its deliveries, by their places.
    pub deliveries: Vec<ExplainedDelivery>,
}

/// A delivery with all that came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedDelivery {
    /// Where it stands.
    pub key: DeliveryKey,
    /// Where it goes.
    pub destination: Destination,
    /// What has become of it.
    pub delivery: Delivery,
    /// Its newest attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

/// A tenant's event.
pub fn event(read: &dyn Read, tenant: TenantNo, id: EventId) -> Result<Option<Event>, StoreError> {
    events::get(read, tenant, id)
}

/// A tenant's event with all that came of it. Of all its attempts the newest of each delivery are read, some
/// `attempts_max` in all, and one of each delivery at least.
pub fn explain(
    read: &dyn Read,
    tenant: TenantNo,
    id: EventId,
    attempts_max: usize,
) -> Result<Option<Explained>, StoreError> {
    let Some(event) = events::get(read, tenant, id)? else {
        return Ok(None);
    };
    let each = attempts_max.checked_div(event.new.destinations.len());
    let each = each.unwrap_or_default().max(1);
    let mut deliveries = Vec::with_capacity(event.new.destinations.len());
    for key in delivery_keys(&event) {
        let place = DestinationKey {
            partition: key.partition,
            tenant: key.tenant,
            destination: key.destination,
        };
        let (Some(delivery), Some(destination)) = (tables::get(read, &key)?, tables::get(read, &place)?)
        else {
            return Err(damaged(
                DeliveryKey::TABLE,
                &key.encode(),
                "its event stands without it",
            ));
        };
        deliveries.push(ExplainedDelivery {
            key,
            destination,
            attempts: attempts::of_delivery(read, &key, &delivery, each)?,
            delivery,
        });
    }
    Ok(Some(Explained { event, deliveries }))
}

/// Where an event's deliveries stand, by their places.
pub(crate) fn delivery_keys(event: &Event) -> impl Iterator<Item = DeliveryKey> + '_ {
    event.new.destinations.iter().map(|&destination| DeliveryKey {
        partition: event.id.partition,
        tenant: event.new.tenant,
        destination,
        seq: event.id.seq,
    })
}
