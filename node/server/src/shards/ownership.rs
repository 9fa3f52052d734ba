//! What this node has gained and lost, as its own state shows it. Pure; the delivery owner feeds it rows of the
//! assignment and acts on what it says.

use std::collections::BTreeMap;

use pushrail_model::ids::{Epoch, NodeId};
use pushrail_model::shard::{Ownership, ShardId};

/// What a row of the assignment means to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It delivers from now on: for the first time, or under a new epoch.
    Gained,
    /// It is asked to let go: starts nothing more, finishes, releases.
    Leaving,
    /// Somebody else delivers.
    Lost,
    /// As before.
    Same,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    epoch: Epoch,
    leaving: bool,
}

/// The shards of one node.
#[derive(Debug)]
pub(crate) struct Holdings {
    node: NodeId,
    held: BTreeMap<ShardId, Held>,
}

impl Holdings {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            held: BTreeMap::new(),
        }
    }

    /// Takes note of who owns a shard now.
    pub(crate) fn observe(&mut self, shard: ShardId, ownership: Option<Ownership>) -> Turn {
        let Some(ownership) = ownership.filter(|ownership| ownership.owner == self.node) else {
            return match self.held.remove(&shard) {
                Some(_) => Turn::Lost,
                None => Turn::Same,
            };
        };
        let now = Held {
            epoch: ownership.epoch,
            leaving: ownership.moving_to.is_some(),
        };
        match self.held.insert(shard, now) {
            Some(before) if before == now => Turn::Same,
            _ if now.leaving => Turn::Leaving,
            _ => Turn::Gained,
        }
    }

    /// As if nothing had been known of it: the next look decides anew.
    pub(crate) fn forget(&mut self, shard: ShardId) {
        self.held.remove(&shard);
    }

    /// All that it delivers for, or is about to let go.
    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.held.keys().copied()
    }

    /// Whether it delivers for this one.
    pub(crate) fn delivers(&self, shard: ShardId) -> bool {
        self.held.get(&shard).is_some_and(|held| !held.leaving)
    }

    /// What it is to let go, with the epochs.
    pub(crate) fn leaving(&self) -> impl Iterator<Item = (ShardId, Epoch)> + '_ {
        self.held
            .iter()
            .filter(|(_, held)| held.leaving)
            .map(|(shard, held)| (*shard, held.epoch))
    }

    /// Whether it is to let this one go.
    pub(crate) fn is_leaving(&self, shard: ShardId) -> bool {
        self.held.get(&shard).is_some_and(|held| held.leaving)
    }

    /// Whether it holds nothing, and has nothing to let go.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many it delivers for.
    pub(crate) fn count(&self) -> usize {
        self.held.values().filter(|held| !held.leaving).count()
    }

    /// The first one that it delivers for above `shard`, round and round.
    pub(crate) fn following(&self, shard: Option<ShardId>) -> Option<ShardId> {
        let delivers = |(shard, held): (&ShardId, &Held)| (!held.leaving).then_some(*shard);
        let above = self
            .held
            .range(shard.unwrap_or_default()..)
            .filter(|(other, _)| Some(**other) != shard)
            .find_map(delivers);
        above.or_else(|| self.held.iter().find_map(delivers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId(1);

    fn shard(number: u16) -> ShardId {
        ShardId::new(number).unwrap()
    }

    fn owned(owner: u64, epoch: u64, moving_to: Option<u64>) -> Option<Ownership> {
        Some(Ownership {
            owner: NodeId(owner),
            epoch: Epoch(epoch),
            moving_to: moving_to.map(NodeId),
        })
    }

    #[test]
    fn a_shard_is_gained_asked_for_and_lost() {
        let mut holdings = Holdings::new(ME);
        let steps = [
            (None, Turn::Same),
            (owned(2, 1, None), Turn::Same),
            (owned(1, 2, None), Turn::Gained),
            (owned(1, 2, None), Turn::Same),
            (owned(1, 2, Some(2)), Turn::Leaving),
            (owned(1, 2, Some(3)), Turn::Same),
            (owned(3, 3, None), Turn::Lost),
            (owned(1, 4, None), Turn::Gained),
            // Given away and back while it was not looking.
            (owned(1, 6, None), Turn::Gained),
        ];
        for (row, (ownership, expected)) in steps.into_iter().enumerate() {
            assert_eq!(holdings.observe(shard(7), ownership), expected, "row {row}");
        }
        assert!(holdings.delivers(shard(7)));
    }

    #[test]
    fn what_is_leaving_is_not_delivered_for() {
        let mut holdings = Holdings::new(ME);
        holdings.observe(shard(1), owned(1, 5, Some(2)));
        holdings.observe(shard(2), owned(1, 6, None));

        assert_eq!(holdings.leaving().collect::<Vec<_>>(), [(shard(1), Epoch(5))]);
        assert!(!holdings.delivers(shard(1)));
        assert_eq!(holdings.count(), 1);
    }

    #[test]
    fn a_round_over_all_comes_back_to_the_first() {
        let mut holdings = Holdings::new(ME);
        for number in [0, 3, 9] {
            holdings.observe(shard(number), owned(1, 1, None));
        }

        let mut at = None;
        let mut met = Vec::new();
        for _ in 0..4 {
            at = holdings.following(at);
            met.extend(at);
        }

        assert_eq!(met, [shard(0), shard(3), shard(9), shard(0)]);
    }
}
