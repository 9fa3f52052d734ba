//! Who of the other nodes answers this one: said once when it changes, however often the core asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use pushrail_model::ids::NodeId;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Status};

/// The key under which a refusal names the cluster of whoever refused.
const CLUSTER: &str = "pushrail-cluster";

/// How the last message to a node went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Answered,
    Lost,
    /// A node of this cluster answered in its place.
    Foreign(u128),
}

/// What is known of the other nodes.
#[derive(Debug, Default)]
pub(crate) struct Reachability {
    last: Mutex<BTreeMap<NodeId, Last>>,
}

impl Reachability {
    /// A message to this node was answered.
    pub(crate) fn answered(&self, node: NodeId) {
        if let Some(Last::Lost | Last::Foreign(_)) = self.note(node, Last::Answered) {
            tracing::info!(%node, "a node answers again");
        }
    }

    /// A message to this node was not, or was refused.
    pub(crate) fn failed(&self, node: NodeId, status: &Status) {
        let last = match (cluster_of(status), status.code()) {
            (Some(cluster), _) => Last::Foreign(cluster),
            (None, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown) => {
                Last::Lost
            }
            // It said no, which is an answer.
            (None, _) => return self.answered(node),
        };
        let before = self.note(node, last);
        match last {
            Last::Foreign(cluster) if before != Some(last) => {
                let cluster = format!("{cluster:032x}");
                tracing::error!(%node, cluster, "at its address answers a node of another cluster");
            }
            Last::Lost if matches!(before, None | Some(Last::Answered)) => {
                tracing::warn!(%node, error = status.message(), "a node does not answer");
            }
            Last::Lost | Last::Foreign(_) | Last::Answered => {}
        }
    }

    /// The cluster that answers in place of each of these nodes, where one and the same does for all of them: then they
    /// are not the stranger, this node is. Of a single other node that cannot be told.
    pub(crate) fn stranger_to(&self, others: &[NodeId]) -> Option<u128> {
        if others.len() < 2 {
            return None;
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut clusters = others.iter().map(|node| match last.get(node) {
            Some(Last::Foreign(cluster)) => Some(*cluster),
            Some(Last::Answered | Last::Lost) | None => None,
        });
        let first = clusters.next()??;
        clusters.all(|cluster| cluster == Some(first)).then_some(first)
    }

    fn note(&self, node: NodeId, last: Last) -> Option<Last> {
        let mut all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(node, last)
    }
}

/// A refusal of somebody else's message by a node of this cluster.
pub(crate) fn refusal(ours: u128, theirs: u128) -> Status {
    let mut status = Status::failed_precondition(format!(
        "this node belongs to cluster {ours:032x}, the caller to {theirs:032x}"
    ));
    let ours: Result<MetadataValue<Ascii>, _> = format!("{ours:032x}").parse();
    if let Ok(ours) = ours {
        status.metadata_mut().insert(CLUSTER, ours);
    }
    status
}

fn cluster_of(status: &Status) -> Option<u128> {
    let text = status.metadata().get(CLUSTER)?.to_str().ok()?;
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

    #[test]
    fn a_node_is_the_stranger_where_all_others_are_of_one_other_cluster() {
        let seen = Reachability::default();
        assert_eq!(seen.stranger_to(&OTHERS), None);
        seen.failed(NodeId(2), &refusal(7, 8));
        assert_eq!(seen.stranger_to(&OTHERS), None);
        seen.failed(NodeId(3), &refusal(9, 8));
        assert_eq!(seen.stranger_to(&OTHERS), None);

        seen.failed(NodeId(3), &refusal(7, 8));

        assert_eq!(seen.stranger_to(&OTHERS), Some(7));
        assert_eq!(seen.stranger_to(&OTHERS[..1]), None);
        seen.failed(
            NodeId(3),
            &Status::failed_precondition("no vote before it has caught up"),
        );
        assert_eq!(seen.stranger_to(&OTHERS), None);
        seen.failed(NodeId(3), &refusal(7, 8));
        seen.failed(NodeId(3), &Status::unavailable("gone"));
        assert_eq!(seen.stranger_to(&OTHERS), None);
    }
}
