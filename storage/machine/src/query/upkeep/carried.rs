//! Events that were carried forward, and of which less is needed by now.

use pushrail_model::command::DropCarried;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::EventSeq;
use pushrail_model::limits;
use pushrail_model::time::Timestamp;

use crate::keeping::Need;
use crate::keys::{CarriedKey, prefix};
use crate::query::page::behind;
use crate::query::upkeep::Keeper;
use crate::store::{KeyRange, Read, StoreError};
use crate::tables;
use crate::tables::carried::Carried;

/// A look at some of a tenant's carried events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// What can be done.
    pub command: Option<DropCarried>,
    /// The last one looked at; `None`: that was all.
    pub next: Option<EventSeq>,
}

/// Looks at up to `limit` carried events of a tenant, those behind `after`. Reads the event's deliveries, one row
/// each, and no payload.
pub fn look(
    read: &dyn Read,
    keeper: &Keeper,
    after: Option<EventSeq>,
    limit: usize,
    now: Timestamp,
) -> Result<Looked, StoreError> {
    let of_tenant = KeyRange::prefix(&prefix(&[&keeper.partition, &keeper.tenant]));
    let after = after.map(|seq| prefix(&[&keeper.partition, &keeper.tenant, &seq]));
    let rows = tables::rows::<CarriedKey>(read, behind(of_tenant, after.as_deref()), limit)?;
    let next = rows
        .last()
        .filter(|_| rows.len() >= limit)
        .map(|(key, _)| key.seq);
    let mut events = Vec::new();
    for (key, carried) in rows {
        if events.len() >= limits::UPKEEP_CARRIED_MAX {
            // The rest is found again from the last one that was taken.
            let next = events.last().copied();
            return Ok(Looked {
                command: command(keeper, events),
                next,
            });
        }
        let goes_further = match need(read, keeper, &key, &carried, now)? {
            Need::All => false,
            Need::Record => !carried.stripped,
            Need::Nothing => true,
        };
        if goes_further {
            events.push(key.seq);
        }
    }
    Ok(Looked {
        command: command(keeper, events),
        next,
    })
}

/// How many events of a tenant are carried: reads a row for each.
pub fn count(read: &dyn Read, keeper: &Keeper) -> Result<usize, StoreError> {
    let of_tenant = KeyRange::prefix(&prefix(&[&keeper.partition, &keeper.tenant]));
    Ok(tables::rows::<CarriedKey>(read, of_tenant, usize::MAX)?.len())
}

fn command(keeper: &Keeper, events: Vec<EventSeq>) -> Option<DropCarried> {
    (!events.is_empty()).then_some(DropCarried {
        partition: keeper.partition,
        tenant: keeper.tenant,
        events,
    })
}

fn need(
    read: &dyn Read,
    keeper: &Keeper,
    key: &CarriedKey,
    carried: &Carried,
    now: Timestamp,
) -> Result<Need, StoreError> {
    let mut most = Need::Nothing;
    for &destination in &carried.destinations {
        let delivery = DeliveryKey {
            partition: key.partition,
            tenant: key.tenant,
            destination,
            seq: key.seq,
        };
        if let Some(delivery) = tables::get(read, &delivery)? {
            most = most.max(Need::of(delivery.state, &keeper.retention, now));
        }
    }
    Ok(most)
}
