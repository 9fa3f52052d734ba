//! A door's ways to leaders, as the door sees them: copies of batches go in, outcomes come back, and an end is told.

use bytes::Bytes;
use pushrail_model::ids::{BatchNumber, NodeId};
use tokio::sync::mpsc;

use crate::proposer::ReplyTo;

/// Who leads, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaderSeen {
    /// Who.
    pub node: NodeId,
    /// Where it is reached by its peers.
    pub peer: String,
    /// In which term.
    pub term: u64,
}

/// A way for batches to one leader. Copies that it took are answered through its [`ReplyTo`], until it ends.
pub(crate) trait Way: Send + 'static {
    /// Takes a copy of a batch, which is so much work; `false`: it was not taken.
    fn send(&mut self, number: BatchNumber, batch: Bytes, weight: usize, pinned: Option<u64>) -> bool;
}

/// Opens ways to leaders: straight to the proposer for this node itself, over one open call to another.
pub(crate) trait Ways: Send + 'static {
    /// A way to `leader`. Its end is told through `lost`, with the numbers that may have left this node.
    fn open(&self, leader: &LeaderSeen, reply: ReplyTo, lost: LostTo) -> Box<dyn Way>;

    /// A batch that is still open was not applied, since the cluster knows a later start of this node.
    fn outrun(&self);
}

/// Where the end of a way is told.
#[derive(Clone, Debug)]
pub(crate) struct LostTo {
    /// Which conversation.
    pub session: u64,
    /// Who wants to know.
    pub sender: mpsc::UnboundedSender<Lost>,
}

/// A way has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Which conversation.
    pub session: u64,
    /// Copies that may have arrived; all others have certainly not.
    pub left: Vec<BatchNumber>,
    /// Why.
    pub why: String,
}
