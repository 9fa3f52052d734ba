//! Which start of each node is listened to, so that a copied or set-back data directory never speaks beside the node
//! that it was taken from.
//!
//! A directory counts its starts, and each start draws a number of its own. Invariant: of one node only the latest
//! start that was heard is heard again; another process in the same start, or in an earlier one, is a copy.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use pushrail_model::ids::{BootId, NodeId};

/// One start of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Its number: larger than those of all earlier starts of the directory.
    pub(crate) boot: BootId,
    /// Drawn at random: no other process has it, not one on a copy of the directory either.
    pub(crate) run: u128,
}

/// The starts that were heard.
#[derive(Debug)]
pub(crate) struct Rivals {
    me: NodeId,
    mine: Start,
    heard: Mutex<BTreeMap<NodeId, Heard>>,
}

#[derive(Debug)]
struct Heard {
    latest: Start,
    // Refused last: told to the log once, not with every message.
    refused: Option<Start>,
}

impl Rivals {
    pub(crate) fn new(me: NodeId, mine: Start) -> Self {
        Self {
            me,
            mine,
            heard: Mutex::default(),
        }
    }

    /// Whether `node` may speak in this start; else why not, in words for its log.
    pub(crate) fn admit(&self, node: NodeId, start: Start) -> Result<(), String> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let first = if node == self.me { self.mine } else { start };
        let known = heard.entry(node).or_insert(Heard {
            latest: first,
            refused: None,
        });
        if known.latest.run == start.run {
            return Ok(());
        }
        if node != self.me && start.boot > known.latest.boot {
            known.latest = start;
            return Ok(());
        }
        let why = format!(
            "another process speaks as node {node}, in start {} of its data directory, and this is start {}: a copy \
             of a data directory must not run, nor one that was set back; stop one of them",
            known.latest.boot, start.boot
        );
        if known.refused.replace(start) != Some(start) {
            tracing::error!(%node, why, "a second process under a node's id was refused");
        }
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId(1);

    fn start(boot: u64, run: u128) -> Start {
        Start {
            boot: BootId(boot),
            run,
        }
    }

    #[test]
    fn a_node_that_starts_anew_is_heard_and_its_earlier_start_no_more() {
        let rivals = Rivals::new(ME, start(1, 1));

        for (said, admitted) in [
            (start(5, 50), true),
            (start(5, 50), true),
            (start(6, 60), true),
            (start(5, 50), false),
            (start(6, 60), true),
        ] {
            assert_eq!(rivals.admit(NodeId(2), said).is_ok(), admitted, "{said:?}");
        }
    }

    #[test]
    fn a_copy_in_the_same_start_is_refused_and_the_first_goes_on() {
        let rivals = Rivals::new(ME, start(1, 1));
        rivals.admit(NodeId(2), start(5, 50)).unwrap();

        let refused = rivals.admit(NodeId(2), start(5, 51)).unwrap_err();

        assert!(refused.contains("another process speaks as node 2"), "{refused}");
        assert!(rivals.admit(NodeId(2), start(5, 50)).is_ok());
    }

    #[test]
    fn nobody_else_speaks_as_this_node_in_whatever_start() {
        let rivals = Rivals::new(ME, start(3, 30));

        assert!(rivals.admit(ME, start(4, 40)).is_err());
        assert!(rivals.admit(ME, start(3, 30)).is_ok());
    }
}
