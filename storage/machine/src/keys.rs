//! The key of every table: fixed big-endian parts, so that keys sort as their parts do. A name at the end is the
//! rest of the key. Keys of tenant data begin with partition or shard and tenant (the attempt and expiry tables:
//! after the day or hour), so that no query can cross tenants by mistake.

mod part;

use pushrail_model::attempt::Attempt;
use pushrail_model::command::QueueKey;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{
    AttemptNumber, BatchNumber, BootId, DestinationId, DestinationNo, Epoch, EventId, EventSeq, JobNo,
    NodeId, RouteId, RouteNo, Run, TenantId, TenantNo,
};
use pushrail_model::limits;
use pushrail_model::outcome::Cause;
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::time::Timestamp;

use crate::store::Table;

use crate::keys::part::Part;
pub(crate) use crate::keys::part::{Ended, prefix};

/// A key of one table.
pub(crate) trait Key: Sized {
    /// The table.
    const TABLE: Table;

    /// As bytes.
    fn encode(&self) -> Vec<u8>;

    /// From bytes; `None` where they are no such key.
    fn decode(key: &[u8]) -> Option<Self>;
}

/// Makes a struct of parts the key of a table, in the order of its parts; a tag is a first byte of its own.
macro_rules! key_of {
    ($table:ident, $key:ident { $($part:ident),* } $(tag $tag:literal)?) => {
        impl Key for $key {
            const TABLE: Table = Table::$table;

            fn encode(&self) -> Vec<u8> {
                let mut key = Vec::with_capacity(64);
                $(key.push($tag);)?
                $(self.$part.write(&mut key);)*
                key
            }

            fn decode(mut rest: &[u8]) -> Option<Self> {
                let parts = &mut rest;
                $((u8::read(parts)? == $tag).then_some(())?;)?
                let key = Self { $($part: Part::read(parts)?),* };
                parts.is_empty().then_some(key)
            }
        }
    };
}

macro_rules! key {
    ($(#[$doc:meta])* $table:ident, $key:ident { $($part:ident: $type:ty),* $(,)? } $(tag $tag:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) struct $key {
            $(pub(crate) $part: $type,)*
        }

        key_of!($table, $key { $($part),* } $(tag $tag)?);
    };
}

key!(
    /// The state's clock.
    Meta, ClockKey {} tag 1
);
key!(
    /// The cluster's identity.
    Meta, ClusterKey {} tag 2
);
key!(
    /// The number that a partition's next tenant gets.
    Meta, NextTenantKey { partition: Partition } tag 3
);
key!(
    /// A tenant.
    Tenants, TenantKey { partition: Partition, tenant: TenantNo }
);
key!(
    /// A tenant's name.
    TenantNames, TenantNameKey { id: TenantId }
);
key!(
    /// A destination.
    Destinations, DestinationKey { partition: Partition, tenant: TenantNo, destination: DestinationNo }
);
key!(
    /// A destination's name.
    DestinationNames, DestinationNameKey { partition: Partition, tenant: TenantNo, id: DestinationId }
);
key!(
    /// A route.
    Routes, RouteKey { partition: Partition, tenant: TenantNo, id: RouteId }
);
key!(
    /// Who owns a shard.
    Assignment, AssignmentKey { shard: ShardId }
);
key!(
    /// A replay.
    Replays, ReplayKey { partition: Partition, tenant: TenantNo, request_id: String }
);
key!(
    /// A door's present boot.
    DoorHeads, DoorHeadKey { node: NodeId }
);
key!(
    /// A batch that was answered.
    Doors, DoorKey { node: NodeId, boot: BootId, number: BatchNumber }
);
key!(
    /// An idempotency key that is taken, by its hash.
    Idempotency, KeptKeyKey { partition: Partition, tenant: TenantNo, hash: u128 }
);
key!(
    /// The hour after which an idempotency key may go.
    IdempotencyExpiry, KeptKeyExpiryKey { hour: u32, partition: Partition, tenant: TenantNo, hash: u128 }
);
key!(
    /// An event.
    Events, EventKey { partition: Partition, tenant: TenantNo, seq: EventSeq }
);
key_of!(
    Deliveries,
    DeliveryKey {
        partition,
        tenant,
        destination,
        seq
    }
);
key!(
    /// When a delivery is next to be tried.
    Due, DueKey {
        shard: ShardId,
        tenant: TenantNo,
        destination: DestinationNo,
        due: Timestamp,
        seq: EventSeq,
    }
);
key!(
    /// A dead letter.
    DeadLetters, DeadLetterKey {
        partition: Partition,
        tenant: TenantNo,
        destination: DestinationNo,
        died: Timestamp,
        seq: EventSeq,
    }
);
key!(
    /// The day after which a dead letter may go.
    DeadLetterExpiry, DeadLetterExpiryKey {
        day: u32,
        partition: Partition,
        tenant: TenantNo,
        destination: DestinationNo,
        died: Timestamp,
        seq: EventSeq,
    }
);
key!(
    /// Up to where a tenant's events are gone.
    EventCursors, EventCursorKey { partition: Partition, tenant: TenantNo }
);
key!(
    /// An event that outlives its retention.
    CarriedEvents, CarriedKey { partition: Partition, tenant: TenantNo, seq: EventSeq }
);
key!(
    /// A destination's counters.
    DestinationCounts, DestinationCountsKey {
        partition: Partition,
        tenant: TenantNo,
        destination: DestinationNo,
    }
);
key!(
    /// A shard's counter.
    ShardCounts, ShardCountKey { shard: ShardId }
);
key!(
    /// An attempt's identity: what the attempt log finds it and its repeats by.
    Attempts, AttemptKey {
        day: u32,
        partition: Partition,
        tenant: TenantNo,
        destination: DestinationNo,
        start: Timestamp,
        seq: EventSeq,
        run: Run,
        number: AttemptNumber,
        epoch: Epoch,
    }
);
key!(
    /// The same attempt among all of its tenant.
    AttemptsByTenant, AttemptByTenantKey {
        day: u32,
        partition: Partition,
        tenant: TenantNo,
        start: Timestamp,
        destination: DestinationNo,
        seq: EventSeq,
        run: Run,
        number: AttemptNumber,
        epoch: Epoch,
    }
);

key!(
    /// How far the dead letters have been counted by their causes.
    Meta, CauseCountingKey {} tag 20
);
key!(
    /// How many dead letters of a destination failed of a cause.
    CauseCounts, CauseCountKey {
        partition: Partition,
        tenant: TenantNo,
        destination: DestinationNo,
        cause: Cause,
    }
);
key!(
    /// A job over dead letters.
    Jobs, JobKey { partition: Partition, tenant: TenantNo, job: JobNo }
);
key!(
    /// The same job, while it runs.
        RunningJobs, RunningJobKey { partition: Partition, tenant: TenantNo, job: JobNo }
);
key!(
    /// A route as it was before it was changed or removed.
    FormerRoutes, FormerRouteKey { partition: Partition, tenant: TenantNo, route: RouteNo }
);
key!(
    /// A request on settings: what it asked of which object, by names, so that it is found after these have gone.
    Requests, RequestKey {
        partition: Partition,
        tenant: Ended<TenantId>,
        sort: u8,
        object: Ended<String>,
        act: u8,
        id: String,
    }
);
key!(
    /// The hour after which a request may be forgotten.
    RequestExpiry, RequestExpiryKey {
        hour: u32,
        partition: Partition,
        tenant: Ended<TenantId>,
        sort: u8,
        object: Ended<String>,
        act: u8,
        id: String,
    }
);
key!(
    /// A removed destination that still has open deliveries.
    Removals, RemovalKey { partition: Partition, tenant: TenantNo, destination: DestinationNo }
);
key!(
    /// A change: by the tenant's name, so that what was done to one that is gone is still found.
    Changes, ChangeKey { partition: Partition, tenant: Ended<TenantId>, at: Timestamp, seq: EventSeq }
);
key!(
    /// The same change among all.
    ChangesByTime, ChangeByTimeKey { at: Timestamp, seq: EventSeq, partition: Partition, tenant: TenantId }
);

impl ChangeKey {
    /// The same change among all.
    pub(crate) fn by_time(&self) -> ChangeByTimeKey {
        ChangeByTimeKey {
            at: self.at,
            seq: self.seq,
            partition: self.partition,
            tenant: self.tenant.0.clone(),
        }
    }
}

impl ChangeByTimeKey {
    /// Where the change itself stands.
    pub(crate) fn place(&self) -> ChangeKey {
        ChangeKey {
            partition: self.partition,
            tenant: Ended(self.tenant.clone()),
            at: self.at,
            seq: self.seq,
        }
    }
}

impl RequestKey {
    /// The row by which it is found when its time is over.
    pub(crate) fn expiry(&self, at: Timestamp) -> RequestExpiryKey {
        RequestExpiryKey {
            hour: at.plus(limits::REQUEST_WINDOW).hour(),
            partition: self.partition,
            tenant: self.tenant.clone(),
            sort: self.sort,
            object: self.object.clone(),
            act: self.act,
            id: self.id.clone(),
        }
    }
}

impl RequestExpiryKey {
    /// The row that goes with it.
    pub(crate) fn request(&self) -> RequestKey {
        RequestKey {
            partition: self.partition,
            tenant: self.tenant.clone(),
            sort: self.sort,
            object: self.object.clone(),
            act: self.act,
            id: self.id.clone(),
        }
    }
}

impl KeptKeyKey {
    /// The row by which it is found when its time is over.
    pub(crate) fn expiry(&self, accepted: Timestamp) -> KeptKeyExpiryKey {
        KeptKeyExpiryKey {
            hour: accepted.plus(limits::IDEMPOTENCY_WINDOW).hour(),
            partition: self.partition,
            tenant: self.tenant,
            hash: self.hash,
        }
    }
}

impl EventKey {
    /// An event by its public id.
    pub(crate) fn of(tenant: TenantNo, id: EventId) -> Self {
        Self {
            partition: id.partition,
            tenant,
            seq: id.seq,
        }
    }
}

impl DueKey {
    /// The due row of a delivery of `queue`.
    pub(crate) fn of(queue: QueueKey, due: Timestamp, seq: EventSeq) -> Self {
        Self {
            shard: queue.shard,
            tenant: queue.tenant,
            destination: queue.destination,
            due,
            seq,
        }
    }

    /// Whose queue it stands in.
    pub(crate) fn queue(&self) -> QueueKey {
        QueueKey {
            shard: self.shard,
            tenant: self.tenant,
            destination: self.destination,
        }
    }
}

impl DeadLetterKey {
    /// The dead letter of a delivery that died at `died`.
    pub(crate) fn of(delivery: &DeliveryKey, died: Timestamp) -> Self {
        Self {
            partition: delivery.partition,
            tenant: delivery.tenant,
            destination: delivery.destination,
            died,
            seq: delivery.seq,
        }
    }

    /// The row by which it is found when its retention is over.
    pub(crate) fn expiry(&self) -> DeadLetterExpiryKey {
        DeadLetterExpiryKey {
            day: self.died.plus(limits::DEAD_LETTER_RETENTION).day(),
            partition: self.partition,
            tenant: self.tenant,
            destination: self.destination,
            died: self.died,
            seq: self.seq,
        }
    }
}

impl CauseCountKey {
    /// The counter of a destination's dead letters of one cause.
    pub(crate) fn of(letter: &DeadLetterKey, cause: Cause) -> Self {
        Self {
            partition: letter.partition,
            tenant: letter.tenant,
            destination: letter.destination,
            cause,
        }
    }
}

impl JobKey {
    /// The mark that stands while it runs.
    pub(crate) fn running(&self) -> RunningJobKey {
        RunningJobKey {
            partition: self.partition,
            tenant: self.tenant,
            job: self.job,
        }
    }
}

impl AttemptKey {
    /// The identity of an attempt. Its day and start are those it reports itself, so that a repeat finds it.
    pub(crate) fn of(attempt: &Attempt) -> Self {
        Self {
            day: attempt.start.day(),
            partition: attempt.delivery.partition,
            tenant: attempt.delivery.tenant,
            destination: attempt.delivery.destination,
            start: attempt.start,
            seq: attempt.delivery.seq,
            run: attempt.run,
            number: attempt.number,
            epoch: attempt.epoch,
        }
    }

    /// The same attempt among all of its tenant.
    pub(crate) fn by_tenant(&self) -> AttemptByTenantKey {
        AttemptByTenantKey {
            day: self.day,
            partition: self.partition,
            tenant: self.tenant,
            start: self.start,
            destination: self.destination,
            seq: self.seq,
            run: self.run,
            number: self.number,
            epoch: self.epoch,
        }
    }
}

impl AttemptByTenantKey {
    /// The row that it leads to.
    pub(crate) fn attempt(&self) -> AttemptKey {
        AttemptKey {
            day: self.day,
            partition: self.partition,
            tenant: self.tenant,
            destination: self.destination,
            start: self.start,
            seq: self.seq,
            run: self.run,
            number: self.number,
            epoch: self.epoch,
        }
    }
}

#[cfg(test)]
mod tests;
