//! Where each shard should be: the fewest moves to an even spread over the live members. Pure; the balancer asks it.
//!
//! Each partition's slots are spread first, so that one big tenant does not land on one node, and all shards
//! together second. Both spreads differ by at most one from node to node.

use std::collections::{BTreeMap, BTreeSet};

use pushrail_model::ids::NodeId;
use pushrail_model::shard::{Partition, ShardId};

use crate::shards::spread::spread_extras;

/// The shards that should move, and to whom. `at` names the node where each shard is, or is going already; a shard
/// that is missing in it, or is with a node that is not live, counts as nowhere.
pub fn plan(live: &BTreeSet<NodeId>, at: &BTreeMap<ShardId, NodeId>) -> BTreeMap<ShardId, NodeId> {
    let nodes: Vec<NodeId> = live.iter().copied().collect();
    if nodes.is_empty() {
        return BTreeMap::new();
    }
    let mut partitions: BTreeMap<Partition, Held> = BTreeMap::new();
    for shard in ShardId::all() {
        let held = partitions
            .entry(shard.partition())
            .or_insert_with(|| Held::of(nodes.len()));
        let place = at.get(&shard).and_then(|node| nodes.binary_search(node).ok());
        match place.and_then(|place| held.by_node.get_mut(place)) {
            Some(shards) => shards.push(shard),
            None => held.nowhere.push(shard),
        }
    }

    // Every node gets `base` slots of a partition, and some of the nodes one more. A node that holds more than
    // `base` anyway keeps one of them if the extra is given to it: that is the move saved.
    let keeps: Vec<Vec<bool>> = partitions
        .values()
        .map(|held| {
            let base = held.slots() / nodes.len();
            held.by_node.iter().map(|shards| shards.len() > base).collect()
        })
        .collect();
    let extras: Vec<usize> = partitions
        .values()
        .map(|held| held.slots() % nodes.len())
        .collect();
    let spread = spread_extras(&keeps, &extras, nodes.len());

    partitions
        .values()
        .zip(&spread)
        .flat_map(|(held, extra)| held.moves(&nodes, extra))
        .collect()
}

/// A partition's shards by the place of their node among the live ones.
struct Held {
    by_node: Vec<Vec<ShardId>>,
    nowhere: Vec<ShardId>,
}

impl Held {
    fn of(nodes: usize) -> Self {
        Self {
            by_node: vec![Vec::new(); nodes],
            nowhere: Vec::new(),
        }
    }

    fn slots(&self) -> usize {
        self.nowhere.len() + self.by_node.iter().map(Vec::len).sum::<usize>()
    }

    /// What lies too much with some, and nowhere, goes to those who have too little.
    fn moves(&self, nodes: &[NodeId], extra: &[bool]) -> Vec<(ShardId, NodeId)> {
        let base = self.slots() / nodes.len();
        let target = |place: usize| base + usize::from(extra.get(place).copied().unwrap_or(false));
        let mut loose = self.nowhere.clone();
        for (place, shards) in self.by_node.iter().enumerate() {
            loose.extend(shards.iter().skip(target(place)));
        }
        let mut moves = Vec::with_capacity(loose.len());
        for (place, (shards, node)) in self.by_node.iter().zip(nodes).enumerate() {
            let lacking = target(place).saturating_sub(shards.len());
            let at = loose.len().saturating_sub(lacking);
            moves.extend(loose.split_off(at).into_iter().map(|shard| (shard, *node)));
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use pushrail_model::shard::SHARDS;

    use super::*;

    fn nodes(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<NodeId> {
        numbers.into_iter().map(NodeId).collect()
    }

    fn apply(at: &mut BTreeMap<ShardId, NodeId>, moves: &BTreeMap<ShardId, NodeId>) {
        at.extend(moves);
    }

    fn count<'a>(nodes: impl Iterator<Item = &'a NodeId>, live: &BTreeSet<NodeId>) -> Vec<usize> {
        let mut counts: BTreeMap<NodeId, usize> = live.iter().map(|node| (*node, 0)).collect();
        for node in nodes {
            *counts.get_mut(node).expect("only live members hold shards") += 1;
        }
        counts.into_values().collect()
    }

    fn is_even(counts: &[usize]) -> bool {
        counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1
    }

    fn assert_even(at: &BTreeMap<ShardId, NodeId>, live: &BTreeSet<NodeId>) {
        assert_eq!(at.len(), usize::from(SHARDS));
        assert!(is_even(&count(at.values(), live)), "all shards");
        for partition in ShardId::all().map(ShardId::partition) {
            let of = at
                .iter()
                .filter(|(shard, _)| shard.partition() == partition)
                .map(|(_, node)| node);
            assert!(is_even(&count(of, live)), "partition {partition}");
        }
    }

    #[test]
    fn the_first_plan_spreads_everything() {
        for size in 1..=7 {
            let live = nodes(1..=size);
            let mut at = BTreeMap::new();

            let moves = plan(&live, &at);
            apply(&mut at, &moves);

            assert_eq!(moves.len(), usize::from(SHARDS));
            assert_even(&at, &live);
            assert!(plan(&live, &at).is_empty(), "and then there is nothing to do");
        }
    }

    #[test]
    fn a_lost_node_moves_its_own_shards_and_no_others_and_gets_a_fair_share_back() {
        let all = nodes(1..=3);
        let mut at = plan(&all, &BTreeMap::new());
        let lost = at.values().filter(|node| **node == NodeId(2)).count();
        let left = nodes([1, 3]);

        let away = plan(&left, &at);
        apply(&mut at, &away);

        assert_eq!(away.len(), lost);
        assert_even(&at, &left);

        let back = plan(&all, &at);
        apply(&mut at, &back);

        // One in three, as few as make it even.
        assert!(back.values().all(|node| *node == NodeId(2)));
        assert!((341..=342).contains(&back.len()), "{}", back.len());
        assert_even(&at, &all);
    }

    #[test]
    fn nobody_live_means_no_moves() {
        assert!(plan(&BTreeSet::new(), &BTreeMap::new()).is_empty());
    }

    /// The least that evenness within each partition alone would take: no plan can do with less.
    fn least(at: &BTreeMap<ShardId, NodeId>, live: &BTreeSet<NodeId>) -> usize {
        let mut total = 0;
        for number in 0..pushrail_model::shard::PARTITIONS {
            let mut counts: BTreeMap<NodeId, usize> = live.iter().map(|node| (*node, 0)).collect();
            let mut nowhere = 0;
            for shard in ShardId::all().filter(|shard| shard.partition().number() == number) {
                match at.get(&shard).and_then(|node| counts.get_mut(node)) {
                    Some(count) => *count += 1,
                    None => nowhere += 1,
                }
            }
            let base = 16 / live.len();
            let above = counts.values().filter(|count| **count > base).count();
            let surplus: usize = counts.values().map(|count| count.saturating_sub(base)).sum();
            total += nowhere + surplus - above.min(16 % live.len());
        }
        total
    }

    proptest::proptest! {
        #[test]
        fn from_anywhere_a_plan_is_even_live_and_close_to_the_least(
            size in 1_u64..6,
            owners in proptest::collection::vec(0_u64..8, usize::from(SHARDS)),
        ) {
            let live = nodes(1..=size);
            let mut at: BTreeMap<ShardId, NodeId> = ShardId::all()
                .zip(owners)
                .filter(|(_, owner)| *owner > 0)
                .map(|(shard, owner)| (shard, NodeId(owner)))
                .collect();
            let least = least(&at, &live);

            let moves = plan(&live, &at);
            let needless = moves.iter().filter(|(shard, node)| at.get(shard) == Some(node)).count();
            apply(&mut at, &moves);

            assert_even(&at, &live);
            assert_eq!(needless, 0);
            assert!(moves.len() >= least);
            // Evenness over all partitions together can cost one move more in a partition, never two.
            assert!(moves.len() <= least + 64, "{} of at least {least}", moves.len());
            assert!(plan(&live, &at).is_empty());
        }
    }
}
