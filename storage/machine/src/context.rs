//! What the handlers of one entry share: the pending writes, the entry's place and time, the hints it gives, and what
//! they have read already. A tenant's or destination's row is read once for an entry, however many events name it.
//! Invariant: whoever writes a tenant, destination or ownership does it here, so that nothing remembered is stale.

use std::collections::{BTreeMap, BTreeSet};

use pushrail_model::command::{Hint, QueueKey};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::Destination;
use pushrail_model::ids::{DestinationNo, Epoch, EventSeq, LogIndex, TenantNo};
use pushrail_model::retention::Retention;
use pushrail_model::shard::{Ownership, Partition, ShardId};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};

use crate::keys::{AssignmentKey, CauseCountingKey, ClockKey, DestinationKey, Key, TenantKey};
use crate::store::StoreError;
use crate::tables::cluster::Clock;
use crate::tables::counts::CauseCounting;
use crate::tables::{self, damaged};
use crate::tally::Tally;
use crate::txn::Txn;

/// What a delivery needs to know of its destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    /// Where it is queued.
    pub(crate) queue: QueueKey,
    /// How long the destination has been held up to now.
    pub(crate) held: Span,
    /// Whether the destination has been removed: what is open is being ended, and nothing begins.
    pub(crate) removed: bool,
}

/// What events need to know of their tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Under which routes were chosen, or must be.
    pub(crate) routing_revision: LogIndex,
    /// How long its rows are kept.
    pub(crate) retention: Retention,
    /// Whether it has been removed: nothing more is accepted, what there is is kept as it said.
    pub(crate) removed: bool,
}

impl Terms {
    fn of(tenant: &Tenant) -> Self {
        Self {
            routing_revision: tenant.routing_revision,
            retention: tenant.retention,
            removed: tenant.removed.is_some(),
        }
    }
}

/// What the handlers of one entry share.
pub(crate) struct Context<'t, 'b> {
    /// The pending writes.
    pub(crate) txn: &'t mut Txn<'b>,
    /// The entry's place in the log.
    pub(crate) index: LogIndex,
    /// The state's time.
    pub(crate) now: Timestamp,
    /// What the entry adds to the counters; written by `lifecycle` alone.
    pub(crate) tally: Tally,
    events: u32,
    counting: Option<CauseCounting>,
    terms: BTreeMap<(Partition, TenantNo), Option<Terms>>,
    changes: u32,
    lanes: BTreeMap<(Partition, TenantNo, DestinationNo), Option<Lane>>,
    epochs: BTreeMap<ShardId, Epoch>,
    due: BTreeMap<QueueKey, Timestamp>,
    changed: BTreeSet<QueueKey>,
    moved: BTreeSet<ShardId>,
}

impl<'t, 'b> Context<'t, 'b> {
    /// For the entry at `index`, at the state's time `now`.
    pub(crate) fn new(txn: &'t mut Txn<'b>, index: LogIndex, now: Timestamp) -> Self {
        Self {
            txn,
            index,
            now,
            tally: Tally::default(),
            events: 0,
            counting: None,
            terms: BTreeMap::new(),
            changes: 0,
            lanes: BTreeMap::new(),
            epochs: BTreeMap::new(),
            due: BTreeMap::new(),
            changed: BTreeSet::new(),
            moved: BTreeSet::new(),
        }
    }

    /// Lets the state's clock move on by its smallest step: what happens from now on happened later than all before.
    pub(crate) fn tick(&mut self) {
        self.now = self.now.plus(Span(1));
        tables::put(self.txn, &ClockKey {}, &Clock(self.now));
    }

    /// How far the dead letters have been counted by their causes.
    pub(crate) fn counting(&mut self) -> Result<&CauseCounting, StoreError> {
        let known = match self.counting.take() {
            Some(known) => known,
            None => tables::get(self.txn, &CauseCountingKey {})?.unwrap_or_default(),
        };
        Ok(self.counting.insert(known))
    }

    /// Writes how far the dead letters have been counted.
    pub(crate) fn put_counting(&mut self, counting: CauseCounting) {
        tables::put(self.txn, &CauseCountingKey {}, &counting);
        self.counting = Some(counting);
    }

    /// The place of the next event of this entry.
    pub(crate) fn next_seq(&mut self) -> EventSeq {
        let seq = EventSeq {
            index: self.index.0,
            position: self.events,
        };
        self.events += 1;
        seq
    }

    /// The place of the next change of this entry.
    pub(crate) fn next_change(&mut self) -> EventSeq {
        let seq = EventSeq {
            index: self.index.0,
            position: self.changes,
        };
        self.changes += 1;
        seq
    }

    /// What events need to know of their tenant; `None` where there is no such tenant.
    pub(crate) fn terms(
        &mut self,
        partition: Partition,
        tenant: TenantNo,
    ) -> Result<Option<Terms>, StoreError> {
        if let Some(known) = self.terms.get(&(partition, tenant)) {
            return Ok(*known);
        }
        let row = tables::get(self.txn, &TenantKey { partition, tenant })?;
        let terms = row.as_ref().map(Terms::of);
        self.terms.insert((partition, tenant), terms);
        Ok(terms)
    }

    /// How long a tenant's rows are kept; as by default where there is no such tenant any more.
    pub(crate) fn retention(
        &mut self,
        partition: Partition,
        tenant: TenantNo,
    ) -> Result<Retention, StoreError> {
        let terms = self.terms(partition, tenant)?;
        Ok(terms.map(|terms| terms.retention).unwrap_or_default())
    }

    /// What deliveries need to know of a destination; `None` where there is no such destination.
    pub(crate) fn lane(
        &mut self,
        partition: Partition,
        tenant: TenantNo,
        destination: DestinationNo,
    ) -> Result<Option<Lane>, StoreError> {
        if let Some(known) = self.lanes.get(&(partition, tenant, destination)) {
            return Ok(*known);
        }
        let key = DestinationKey {
            partition,
            tenant,
            destination,
        };
        let row = tables::get(self.txn, &key)?;
        let lane = row.map(|destination| self.lane_of(tenant, &destination));
        self.lanes.insert((partition, tenant, destination), lane);
        Ok(lane)
    }

    /// The lane of a delivery that stands: its destination must be there.
    pub(crate) fn lane_of_delivery(&mut self, key: &DeliveryKey) -> Result<Lane, StoreError> {
        let lane = self.lane(key.partition, key.tenant, key.destination)?;
        lane.ok_or_else(|| {
            let place = DestinationKey {
                partition: key.partition,
                tenant: key.tenant,
                destination: key.destination,
            };
            let what = "a delivery stands without its destination";
            damaged(DestinationKey::TABLE, &place.encode(), what)
        })
    }

    /// The present epoch of a shard; 0 where it never had an owner.
    pub(crate) fn epoch(&mut self, shard: ShardId) -> Result<Epoch, StoreError> {
        if let Some(known) = self.epochs.get(&shard) {
            return Ok(*known);
        }
        let row = tables::get(self.txn, &AssignmentKey { shard })?;
        let epoch = row.map_or(Epoch(0), |ownership| ownership.epoch);
        self.epochs.insert(shard, epoch);
        Ok(epoch)
    }

    /// Writes a tenant.
    pub(crate) fn put_tenant(&mut self, partition: Partition, tenant: &Tenant) {
        let key = TenantKey {
            partition,
            tenant: tenant.number,
        };
        tables::put(self.txn, &key, tenant);
        self.terms
            .insert((partition, tenant.number), Some(Terms::of(tenant)));
    }

    /// Writes a destination, and tells those who deliver to it.
    pub(crate) fn put_destination(
        &mut self,
        partition: Partition,
        tenant: TenantNo,
        destination: &Destination,
    ) {
        let key = DestinationKey {
            partition,
            tenant,
            destination: destination.number,
        };
        tables::put(self.txn, &key, destination);
        let lane = self.lane_of(tenant, destination);
        self.lanes
            .insert((partition, tenant, destination.number), Some(lane));
        self.changed.insert(lane.queue);
    }

    /// Writes who owns a shard, and tells the nodes.
    pub(crate) fn put_ownership(&mut self, shard: ShardId, ownership: &Ownership) {
        tables::put(self.txn, &AssignmentKey { shard }, ownership);
        self.epochs.insert(shard, ownership.epoch);
        self.moved.insert(shard);
    }

    /// Tells the owner that something of `queue` is due at `due`.
    pub(crate) fn hint_due(&mut self, queue: QueueKey, due: Timestamp) {
        let earliest = self.due.entry(queue).or_insert(due);
        *earliest = due.min(*earliest);
    }

    /// Writes the counters and gives the hints: one for each queue, with its earliest due time.
    pub(crate) fn finish(self) -> Result<Vec<Hint>, StoreError> {
        self.tally.write(self.txn)?;
        let changed = self.changed.into_iter().map(|queue| Hint::Destination { queue });
        let moved = self.moved.into_iter().map(Hint::Shard);
        let due = self.due.into_iter().map(|(queue, due)| Hint::Due { queue, due });
        Ok(moved.chain(changed).chain(due).collect())
    }

    fn lane_of(&self, tenant: TenantNo, destination: &Destination) -> Lane {
        Lane {
            queue: QueueKey {
                shard: destination.shard,
                tenant,
                destination: destination.number,
            },
            held: destination.held_until(self.now),
            removed: destination.is_removed(),
        }
    }
}
