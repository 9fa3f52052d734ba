//! Who gets the slots that do not divide evenly: each partition has some extras, each node takes at most one of a
//! partition, and over all partitions the nodes get equally many (give or take one). Pure.
//!
//! It is a flow of least cost from partitions to nodes. The numbers are small (64 partitions, a handful of nodes),
//! so it is found the plain way: one cheapest path after another (Bellman and Ford's).

/// For each partition and node, whether it gets an extra. `keeps[p][n]`: giving partition p's extra to node n saves
/// a move. `extras[p]`: how many extras p has, fewer than there are nodes.
pub(crate) fn spread_extras(keeps: &[Vec<bool>], extras: &[usize], nodes: usize) -> Vec<Vec<bool>> {
    let total: usize = extras.iter().sum();
    let fair = total / nodes.max(1);
    let mut flow = Flow {
        keeps,
        given: vec![vec![false; nodes]; keeps.len()],
        taken: vec![0; nodes],
        fair,
    };
    for (partition, count) in extras.iter().enumerate() {
        for _ in 0..*count {
            flow.give_one(partition);
        }
    }
    flow.given
}

struct Flow<'a> {
    keeps: &'a [Vec<bool>],
    given: Vec<Vec<bool>>,
    taken: Vec<usize>,
    fair: usize,
}

/// How a node was reached on the cheapest path: through which partition, and from which node before it (`None`: the
/// partition that gives).
#[derive(Clone, Copy)]
struct Step {
    cost: i64,
    partition: usize,
    from: Option<usize>,
}

impl Flow<'_> {
    /// More than all moves together could save: evenness over all comes first.
    const UNEVEN: i64 = 1 << 20;

    fn gain(&self, partition: usize, node: usize) -> i64 {
        let keeps = self.keeps.get(partition).and_then(|row| row.get(node));
        -i64::from(keeps.copied().unwrap_or(false))
    }

    fn has(&self, partition: usize, node: usize) -> bool {
        self.given
            .get(partition)
            .and_then(|row| row.get(node))
            .copied()
            .unwrap_or(true)
    }

    fn set(&mut self, partition: usize, node: usize, given: bool) {
        if let Some(cell) = self.given.get_mut(partition).and_then(|row| row.get_mut(node)) {
            *cell = given;
        }
    }

    /// What one extra more costs a node: nothing up to its fair share, much beyond.
    fn load(&self, node: usize) -> i64 {
        let taken = self.taken.get(node).copied().unwrap_or(0);
        match taken {
            _ if taken < self.fair => 0,
            _ if taken == self.fair => Self::UNEVEN,
            _ => Self::UNEVEN * Self::UNEVEN,
        }
    }

    /// Gives one extra of `partition` where it is cheapest, passing earlier ones on where that pays.
    fn give_one(&mut self, partition: usize) {
        let steps = self.cheapest_steps(partition);
        let end = (0..self.taken.len())
            .filter_map(|node| {
                let step = steps.get(node).copied().flatten()?;
                Some((step.cost + self.load(node), node))
            })
            .min()
            .map(|(_, node)| node);
        let Some(end) = end else {
            return;
        };
        if let Some(taken) = self.taken.get_mut(end) {
            *taken += 1;
        }
        let mut node = Some(end);
        while let Some(here) = node {
            let Some(step) = steps.get(here).copied().flatten() else {
                break;
            };
            self.set(step.partition, here, true);
            if let Some(from) = step.from {
                self.set(step.partition, from, false);
            }
            node = step.from;
        }
    }

    fn cheapest_steps(&self, giver: usize) -> Vec<Option<Step>> {
        let nodes = self.taken.len();
        let mut steps: Vec<Option<Step>> = (0..nodes)
            .map(|node| {
                (!self.has(giver, node)).then(|| Step {
                    cost: self.gain(giver, node),
                    partition: giver,
                    from: None,
                })
            })
            .collect();
        // A path visits each node once, so that many rounds are enough.
        for _ in 0..nodes {
            let mut better = false;
            for from in 0..nodes {
                let Some(reached) = steps.get(from).copied().flatten() else {
                    continue;
                };
                for partition in (0..self.given.len()).filter(|p| self.has(*p, from)) {
                    for to in (0..nodes).filter(|to| !self.has(partition, *to)) {
                        let cost = reached.cost - self.gain(partition, from) + self.gain(partition, to);
                        let slot = steps.get_mut(to);
                        if let Some(slot) = slot.filter(|slot| slot.is_none_or(|step| cost < step.cost)) {
                            *slot = Some(Step {
                                cost,
                                partition,
                                from: Some(from),
                            });
                            better = true;
                        }
                    }
                }
            }
            if !better {
                break;
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most moves that any even spread saves, by trying every one.
    fn best(keeps: &[Vec<bool>], extras: &[usize], nodes: usize, taken: &mut Vec<usize>) -> Option<usize> {
        let Some((row, rest)) = keeps.split_first() else {
            let even = taken.iter().max()? - taken.iter().min()? <= 1;
            return even.then_some(0);
        };
        (0_u32..1 << nodes)
            .filter(|choice| choice.count_ones() as usize == extras[0])
            .filter_map(|choice| {
                let chosen: Vec<usize> = (0..nodes).filter(|node| choice >> node & 1 == 1).collect();
                for node in &chosen {
                    taken[*node] += 1;
                }
                let saved = best(rest, &extras[1..], nodes, taken);
                for node in &chosen {
                    taken[*node] -= 1;
                }
                Some(saved? + chosen.iter().filter(|node| row[**node]).count())
            })
            .max()
    }

    proptest::proptest! {
        #[test]
        fn no_even_spread_saves_more_moves(
            nodes in 2_usize..5,
            seed in proptest::collection::vec((proptest::collection::vec(proptest::bool::ANY, 4), 0_usize..4), 1..6),
        ) {
            let keeps: Vec<Vec<bool>> = seed.iter().map(|(row, _)| row[..nodes].to_vec()).collect();
            let extras: Vec<usize> = seed.iter().map(|(_, extra)| extra % nodes).collect();

            let spread = spread_extras(&keeps, &extras, nodes);

            let saved: usize = spread
                .iter()
                .zip(&keeps)
                .map(|(given, keeps)| given.iter().zip(keeps).filter(|(given, keeps)| **given && **keeps).count())
                .sum();
            for (given, extra) in spread.iter().zip(&extras) {
                assert_eq!(given.iter().filter(|given| **given).count(), *extra);
            }
            let taken: Vec<usize> = (0..nodes)
                .map(|node| spread.iter().filter(|given| given[node]).count())
                .collect();
            assert!(taken.iter().max().unwrap() - taken.iter().min().unwrap() <= 1, "{taken:?}");
            assert_eq!(Some(saved), best(&keeps, &extras, nodes, &mut vec![0; nodes]));
        }
    }
}
