//! How tenants and destinations are spread: partitions, slots and shards, fixed for good.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{DestinationId, Epoch, NodeId, TenantId};

/// Partitions of the tenants.
pub const PARTITIONS: u16 = 64;
/// Slots of the destinations within a partition.
pub const SLOTS: u8 = 16;
/// All shards.
pub const SHARDS: u16 = PARTITIONS * SLOTS as u16;

/// A fixed hash of the tenant, below [`PARTITIONS`]: the first part of every key of tenant data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u16);

impl Partition {
    /// The partition of a tenant: XXH3 of its id.
    pub fn of(tenant: &TenantId) -> Self {
        Self(u16::try_from(xxh3_64(tenant.as_str().as_bytes()) % u64::from(PARTITIONS)).unwrap_or(0))
    }

    /// `None` where there is no such partition.
    pub fn new(number: u16) -> Option<Self> {
        (number < PARTITIONS).then_some(Self(number))
    }

    /// Its number, below [`PARTITIONS`].
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The unit in which work is assigned to nodes: a partition and a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(u16);

impl ShardId {
    /// The shard of a destination: its tenant's partition, and XXH3 of its own id for the slot.
    pub fn of(partition: Partition, destination: &DestinationId) -> Self {
        let slot = u16::try_from(xxh3_64(destination.as_str().as_bytes()) % u64::from(SLOTS)).unwrap_or(0);
        Self(partition.0 * u16::from(SLOTS) + slot)
    }

    /// `None` where there is no such shard.
    pub fn new(number: u16) -> Option<Self> {
        (number < SHARDS).then_some(Self(number))
    }

    /// Its number, below [`SHARDS`].
    pub fn number(self) -> u16 {
        self.0
    }

    /// The partition it belongs to.
    pub fn partition(self) -> Partition {
        Partition(self.0 / u16::from(SLOTS))
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who delivers for a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The node that may start attempts.
    pub owner: NodeId,
    /// The number of this ownership.
    pub epoch: Epoch,
    /// Where the shard is to go: while set, the owner starts nothing more, finishes, and releases.
    pub moving_to: Option<NodeId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_slots_never_change() {
        // Golden: a change here would strand every stored key.
        let acme: TenantId = "acme".parse().unwrap();
        let globex: TenantId = "globex".parse().unwrap();
        let hooks: DestinationId = "orders-hook".parse().unwrap();

        assert_eq!(
            Partition::of(&acme).number(),
            u16::try_from(xxh3_64(b"acme") % 64).unwrap()
        );
        assert_eq!(
            ShardId::of(Partition::of(&acme), &hooks).partition(),
            Partition::of(&acme)
        );
        assert_eq!(
            [Partition::of(&acme).number(), Partition::of(&globex).number()],
            GOLDEN_PARTITIONS
        );
        assert_eq!(
            ShardId::of(Partition::of(&acme), &hooks).number() % 16,
            GOLDEN_SLOT
        );
    }

    const GOLDEN_PARTITIONS: [u16; 2] = [33, 47];
    const GOLDEN_SLOT: u16 = 4;
}
