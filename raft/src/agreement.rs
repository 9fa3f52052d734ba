//! Whether the wall clocks of the members agree, and what they say together. Pure: clocks come as numbers.
//!
//! A clock is told by its *lead*: how far it is ahead of the leader's counting clock, in microseconds. A lead stays
//! what it is until somebody sets that clock, so one that was heard a while ago is as good as a new one.
//! Invariant: a minority of clocks, however wrong, moves no median out of what the majority says.

use std::collections::{BTreeMap, BTreeSet};

use pushrail_model::ids::NodeId;

/// How far a wall clock is ahead of the leader's counting clock, in microseconds.
pub(crate) type Lead = i64;

/// The clocks that a leader knows of, its own among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub(crate) leader: NodeId,
    pub(crate) voters: BTreeSet<NodeId>,
    pub(crate) leads: BTreeMap<NodeId, Lead>,
    /// How far two clocks may differ and still agree, in microseconds.
    pub(crate) bound: u64,
}

/// What the clocks say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// Not yet known: the clocks of less than a majority have been heard.
    Unheard { heard: usize, needed: usize },
    /// The leader's own clock and those of a majority agree.
    Agreed { median: Lead },
    /// They do not: nothing may be proposed here. `heirs` are those whose clock does agree with a majority's.
    Apart { median: Lead, heirs: BTreeSet<NodeId> },
}

impl Agreement {
    /// The lower middle of the clocks of a majority, where one was heard.
    pub(crate) fn median(&self) -> Option<Lead> {
        match self {
            Self::Unheard { .. } => None,
            Self::Agreed { median } | Self::Apart { median, .. } => Some(*median),
        }
    }
}

impl Clocks {
    /// What they say.
    pub(crate) fn agreement(&self) -> Agreement {
        let known = self.known();
        let needed = self.voters.len() / 2 + 1;
        let (Some(median), true) = (median(known.values().copied()), known.len() >= needed) else {
            return Agreement::Unheard {
                heard: known.len(),
                needed,
            };
        };
        let trusted: BTreeSet<NodeId> = known
            .iter()
            .filter(|(_, lead)| {
                let agreeing = known.values().filter(|other| self.agree(**lead, **other));
                agreeing.count() >= needed
            })
            .map(|(node, _)| *node)
            .collect();
        if trusted.contains(&self.leader) {
            Agreement::Agreed { median }
        } else {
            Agreement::Apart {
                median,
                heirs: trusted,
            }
        }
    }

    /// Members whose clock is off: further from the median than the bound. By how much each, in microseconds.
    pub(crate) fn off(&self) -> BTreeMap<NodeId, i64> {
        let Some(median) = self.agreement().median() else {
            return BTreeMap::new();
        };
        self.known()
            .into_iter()
            .map(|(node, lead)| (node, lead.saturating_sub(median)))
            .filter(|(_, off)| off.unsigned_abs() > self.bound)
            .collect()
    }

    /// Clocks of voters; of others nobody asks the time.
    fn known(&self) -> BTreeMap<NodeId, Lead> {
        let voting = |node: &NodeId| self.voters.contains(node);
        let known = self.leads.iter().filter(|(node, _)| voting(node));
        known.map(|(node, lead)| (*node, *lead)).collect()
    }

    fn agree(&self, one: Lead, other: Lead) -> bool {
        one.abs_diff(other) <= self.bound
    }
}

/// The lower middle.
fn median(leads: impl Iterator<Item = Lead>) -> Option<Lead> {
    let mut sorted: Vec<Lead> = leads.collect();
    sorted.sort_unstable();
    let middle = sorted.len().checked_sub(1)? / 2;
    sorted.get(middle).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;
    const HOUR: i64 = 3600 * SECOND;
    const YEAR: i64 = 365 * 24 * HOUR;
    const BOUND: u64 = 10_000_000;

    /// Node 1 leads; `None`: not heard of.
    fn clocks(leads: &[Option<Lead>]) -> Clocks {
        let nodes = (1..).map(NodeId);
        Clocks {
            leader: NodeId(1),
            voters: nodes.clone().take(leads.len()).collect(),
            leads: nodes
                .zip(leads)
                .filter_map(|(node, lead)| Some((node, (*lead)?)))
                .collect(),
            bound: BOUND,
        }
    }

    fn heirs(nodes: &[u64]) -> BTreeSet<NodeId> {
        nodes.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn one_wrong_clock_of_three_changes_nothing() {
        for wrong in [HOUR, -HOUR, YEAR, -YEAR] {
            let told = clocks(&[Some(0), Some(wrong), Some(SECOND)]);

            let Agreement::Agreed { median } = told.agreement() else {
                panic!("{told:?}");
            };
            assert!((0..=SECOND).contains(&median), "{median}");
            let off = told.off();
            assert_eq!(off.keys().collect::<Vec<_>>(), [&NodeId(2)]);
        }
    }

    #[test]
    fn a_leader_with_a_wrong_clock_proposes_nothing_and_knows_its_heirs() {
        for wrong in [HOUR, -HOUR, YEAR, -YEAR] {
            let told = clocks(&[Some(wrong), Some(0), Some(SECOND)]);

            let Agreement::Apart { median, heirs: found } = told.agreement() else {
                panic!("{told:?}");
            };
            assert!((0..=SECOND).contains(&median), "{median}");
            assert_eq!(found, heirs(&[2, 3]));
            assert_eq!(told.off().keys().collect::<Vec<_>>(), [&NodeId(1)]);
        }
    }

    #[test]
    fn where_no_two_clocks_agree_nobody_may_lead() {
        let told = clocks(&[Some(0), Some(HOUR), Some(YEAR)]);

        assert_eq!(
            told.agreement(),
            Agreement::Apart {
                median: HOUR,
                heirs: heirs(&[])
            }
        );
    }

    #[test]
    fn two_of_three_that_agree_are_a_majority() {
        assert_eq!(
            clocks(&[Some(0), Some(HOUR), Some(HOUR)]).agreement(),
            Agreement::Apart {
                median: HOUR,
                heirs: heirs(&[2, 3])
            }
        );
        assert_eq!(
            clocks(&[Some(HOUR), Some(0), Some(HOUR)]).agreement(),
            Agreement::Agreed { median: HOUR }
        );
    }

    #[test]
    fn a_majority_is_heard_before_anything_is_said() {
        assert_eq!(
            clocks(&[Some(0), None, None]).agreement(),
            Agreement::Unheard { heard: 1, needed: 2 }
        );
        assert_eq!(
            clocks(&[Some(SECOND), Some(0), None]).agreement(),
            Agreement::Agreed { median: 0 },
            "the lower middle of an even number"
        );
        assert_eq!(clocks(&[Some(7)]).agreement(), Agreement::Agreed { median: 7 });
    }

    #[test]
    fn who_does_not_vote_is_not_asked() {
        let mut told = clocks(&[Some(0), Some(SECOND), None]);
        told.leads.insert(NodeId(9), YEAR);

        assert_eq!(told.agreement(), Agreement::Agreed { median: 0 });
        assert!(told.off().is_empty());
    }

    fn any_lead() -> impl Strategy<Value = Lead> {
        prop_oneof![
            -20 * SECOND..20 * SECOND,
            -2 * HOUR..2 * HOUR,
            -2 * YEAR..2 * YEAR,
            Just(i64::MIN),
            Just(i64::MAX)
        ]
    }

    proptest! {
        /// Whatever a minority says: the median is what somebody of the majority says, or between two of them.
        #[test]
        fn no_minority_moves_the_median_out_of_the_majoritys_range(
            good in prop::collection::vec(0..BOUND as i64, 2..5),
            wrong in prop::collection::vec(any_lead(), 0..4),
            leader in 0_usize..5,
        ) {
            prop_assume!(wrong.len() < good.len());
            let leader = leader % good.len();
            let mut all = good.clone();
            all.swap(0, leader);
            all.extend(&wrong);
            let told = clocks(&all.iter().copied().map(Some).collect::<Vec<_>>());

            let (low, high) = (good.iter().min().unwrap(), good.iter().max().unwrap());
            match told.agreement() {
                Agreement::Agreed { median } => prop_assert!((low..=high).contains(&&median)),
                Agreement::Unheard { .. } | Agreement::Apart { .. } => prop_assert!(false, "{:?}", told),
            }
        }

        /// A leader that may propose is never further from the median than the bound; one that may not has heirs
        /// wherever anybody could do better.
        #[test]
        fn who_agrees_is_near_the_median_and_who_does_not_gives_way(
            leads in prop::collection::vec(prop::option::of(any_lead()), 1..8),
        ) {
            let mut leads = leads;
            leads[0] = leads[0].or(Some(0));
            let told = clocks(&leads);
            match told.agreement() {
                Agreement::Unheard { heard, needed } => prop_assert!(heard < needed),
                Agreement::Agreed { median } => {
                    prop_assert!(told.leads[&NodeId(1)].abs_diff(median) <= BOUND);
                    prop_assert!(!told.off().contains_key(&NodeId(1)));
                }
                Agreement::Apart { heirs, .. } => {
                    prop_assert!(!heirs.contains(&NodeId(1)));
                    for heir in heirs {
                        let there = Clocks { leader: heir, ..told.clone() };
                        let agreed = matches!(there.agreement(), Agreement::Agreed { .. });
                        prop_assert!(agreed, "an heir may propose");
                    }
                }
            }
        }
    }
}
