//! Connections to the other nodes, and what every message between nodes bears.
//!
//! Heartbeats, log entries and a door's batches have connections of their own: none waits behind another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pushrail_model::ids::{BootId, NodeId};
use pushrail_model::limits;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::config::PeerFilter;
use crate::marks::Marks;
use crate::reachability::{self, Reachability};
use crate::rivals::{Rivals, Start};
use crate::wire::proto::peer_client::PeerClient;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_millis(500);
/// A peer that answers no ping for so long is gone, whatever TCP believes.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_WITHIN: Duration = Duration::from_secs(3);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Heartbeats and votes.
    Heartbeat,
    /// Log entries.
    Append,
    /// Batches, leases and questions.
    Door,
}

/// The other nodes, as this one reaches them.
pub(crate) struct Peers {
    me: NodeId,
    start: Start,
    rivals: Rivals,
    cluster: OnceLock<u128>,
    votes: AtomicBool,
    outrun: OnceLock<String>,
    reachability: Reachability,
    filter: Arc<dyn PeerFilter>,
    channels: Mutex<HashMap<(NodeId, Lane), (String, Channel)>>,
}

impl Peers {
    /// For this start of `me`.
    pub(crate) fn new(me: NodeId, boot: BootId, filter: Arc<dyn PeerFilter>) -> Self {
        let start = Start {
            boot,
            run: rand::random(),
        };
        Self {
            me,
            start,
            rivals: Rivals::new(me, start),
            cluster: OnceLock::new(),
            votes: AtomicBool::new(false),
            outrun: OnceLock::new(),
            reachability: Reachability::default(),
            filter,
            channels: Mutex::default(),
        }
    }

    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    /// This process among all that ever spoke as this node.
    pub(crate) fn start(&self) -> Start {
        self.start
    }

    /// Whether this node takes part in elections of a cluster: it founded it, or has once been level with its leader.
    pub(crate) fn votes(&self) -> bool {
        self.votes.load(Ordering::Acquire)
    }

    /// From now on it does. The data directory knows it first.
    pub(crate) fn enfranchise(&self) {
        self.votes.store(true, Ordering::Release);
    }

    /// Whether it may ask for votes: as long as nobody has a name, those who found a cluster do.
    pub(crate) fn may_campaign(&self) -> bool {
        self.votes() || self.cluster().is_none()
    }

    /// Takes note of an answer of this node.
    pub(crate) fn answered(&self, node: NodeId) {
        self.reachability.answered(node);
    }

    /// The cluster that answers in place of each of these nodes.
    pub(crate) fn stranger_to(&self, others: &[NodeId]) -> Option<u128> {
        self.reachability.stranger_to(others)
    }

    /// Takes note of an error of a message to this node.
    pub(crate) fn failed(&self, node: NodeId, status: &Status) {
        self.reachability.failed(node, status);
        self.heard(status);
    }

    /// Takes note of an error that another node answered: one says that this process must not go on.
    pub(crate) fn heard(&self, status: &Status) {
        if status.code() == Code::AlreadyExists {
            self.be_outrun(status.message().to_owned());
        }
    }

    /// This process must not go on.
    pub(crate) fn be_outrun(&self, why: String) {
        self.outrun.get_or_init(|| why);
    }

    /// Why this process must not go on: another one speaks as this node.
    pub(crate) fn outrun(&self) -> Option<&str> {
        self.outrun.get().map(String::as_str)
    }

    /// The cluster has a name now; from now on others are refused.
    pub(crate) fn name_cluster(&self, cluster: u128) {
        let known = *self.cluster.get_or_init(|| cluster);
        debug_assert_eq!(known, cluster, "a cluster is named once");
    }

    pub(crate) fn cluster(&self) -> Option<u128> {
        self.cluster.get().copied()
    }

    /// Whether a message from this node reaches `to`, and an answer comes back.
    pub(crate) fn reaches(&self, to: NodeId) -> bool {
        self.filter.allows(self.me, to) && self.filter.allows(to, self.me)
    }

    /// A client over the connection for `lane`, which is made when it is first used and made again when it breaks.
    pub(crate) fn client(
        &self,
        to: NodeId,
        address: &str,
        lane: Lane,
    ) -> Result<PeerClient<Channel>, Status> {
        if !self.reaches(to) {
            return Err(Status::unavailable(format!("node {to} is cut off")));
        }
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = match channels.get(&(to, lane)) {
            Some((known, channel)) if known == address => channel.clone(),
            Some(_) | None => {
                let channel = connect(address)?;
                channels.insert((to, lane), (address.to_owned(), channel.clone()));
                channel
            }
        };
        drop(channels);
        Ok(PeerClient::new(channel)
            .max_decoding_message_size(limits::PEER_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(limits::PEER_MESSAGE_BYTES_MAX))
    }

    /// A message to `to` with what every message bears.
    pub(crate) fn request<T>(&self, to: NodeId, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let marks = Marks {
            source: self.me,
            target: to,
            cluster: self.cluster(),
            start: self.start,
        };
        marks.write(request.metadata_mut());
        request
    }

    /// Who sent this; refused if it was not meant for this node, comes from another cluster, or from a process that
    /// is not the one that is known to be that node.
    pub(crate) fn admit(&self, metadata: &MetadataMap) -> Result<Marks, Status> {
        let marks = Marks::read(metadata)?;
        let (source, target) = (marks.source, marks.target);
        if target != self.me {
            return Err(Status::failed_precondition(format!(
                "this is node {}, node {target} was meant",
                self.me
            )));
        }
        if let (Some(ours), Some(theirs)) = (self.cluster(), marks.cluster)
            && ours != theirs
        {
            // Whoever is refused says so, once: it is at the wrong place, and asks again and again.
            tracing::debug!(node = %source, cluster = %format!("{theirs:032x}"), "a node of another cluster was refused");
            return Err(reachability::refusal(ours, theirs));
        }
        self.admit_further(&marks)?;
        Ok(marks)
    }

    /// Whether a call that was admitted may go on: its next message may come much later.
    pub(crate) fn admit_further(&self, marks: &Marks) -> Result<(), Status> {
        if !self.reaches(marks.source) {
            return Err(Status::unavailable("cut off"));
        }
        self.rivals
            .admit(marks.source, marks.start)
            .map_err(Status::already_exists)
    }

    /// Who asks for this node's vote. A node whose directory may be new under an old id gives none to a cluster:
    /// what it had once promised to keep is gone with the old one. It votes again when it has applied what was
    /// committed when the leader first let it in, and among nodes that form a cluster from the start.
    pub(crate) fn admit_candidate(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let marks = self.admit(metadata)?;
        if !self.votes() && marks.cluster.is_some() {
            return Err(Status::failed_precondition(format!(
                "node {} has a new data directory and gives no vote before it has caught up",
                self.me
            )));
        }
        Ok(())
    }
}

fn connect(address: &str) -> Result<Channel, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| Status::invalid_argument(format!("`{address}` is not an address")))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    Ok(endpoint.connect_lazy())
}

/// Bytes under way before the receiver has taken them: several of the largest messages.
pub(crate) const WINDOW: u32 = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CutFilter, OpenFilter};

    fn peers(me: u64, cluster: Option<u128>) -> Peers {
        let peers = Peers::new(NodeId(me), BootId(1), Arc::new(OpenFilter));
        if let Some(cluster) = cluster {
            peers.name_cluster(cluster);
        }
        peers
    }

    #[test]
    fn a_node_of_another_cluster_is_refused() {
        let ours = peers(1, Some(7));
        let theirs = peers(2, Some(8));

        let refused = ours.admit(theirs.request(NodeId(1), ()).metadata());

        assert_eq!(refused.unwrap_err().code(), tonic::Code::FailedPrecondition);
    }

    #[test]
    fn a_node_that_knows_no_cluster_yet_is_admitted() {
        let ours = peers(1, Some(7));
        let fresh = peers(2, None);

        assert_eq!(
            ours.admit(fresh.request(NodeId(1), ()).metadata())
                .unwrap()
                .source,
            NodeId(2)
        );
        assert_eq!(
            fresh
                .admit(ours.request(NodeId(2), ()).metadata())
                .unwrap()
                .source,
            NodeId(1)
        );
    }

    #[test]
    fn a_node_with_a_new_directory_takes_no_part_in_a_clusters_elections_before_it_has_caught_up() {
        let ours = peers(1, Some(7));
        let (wiped, founding) = (peers(2, None), peers(3, None));
        let asks = |wiped: &Peers| wiped.admit_candidate(ours.request(NodeId(2), ()).metadata());
        assert_eq!(asks(&wiped).unwrap_err().code(), Code::FailedPrecondition);
        let among_founders = founding.admit_candidate(wiped.request(NodeId(3), ()).metadata());
        assert!(among_founders.is_ok());

        // The log tells it the name long before it has told everything.
        wiped.name_cluster(7);
        assert_eq!(asks(&wiped).unwrap_err().code(), Code::FailedPrecondition);
        assert!(!wiped.may_campaign());

        wiped.enfranchise();
        assert!(asks(&wiped).is_ok());
        assert!(wiped.may_campaign());
    }

    #[test]
    fn a_second_process_under_a_nodes_id_is_refused_and_learns_why() {
        let ours = peers(1, Some(7));
        let (first, copy) = (peers(2, Some(7)), peers(2, Some(7)));
        let speaks = |who: &Peers| ours.admit(who.request(NodeId(1), ()).metadata());
        assert!(speaks(&first).is_ok());

        let refused = speaks(&copy).unwrap_err();
        copy.heard(&refused);

        assert_eq!(refused.code(), Code::AlreadyExists);
        assert!(copy.outrun().is_some());
        assert!(speaks(&first).is_ok(), "the first one goes on");
    }

    #[test]
    fn a_message_that_was_meant_for_another_node_is_refused() {
        let ours = peers(1, None);
        let theirs = peers(2, None);

        let refused = ours.admit(theirs.request(NodeId(3), ()).metadata());

        assert_eq!(refused.unwrap_err().code(), tonic::Code::FailedPrecondition);
    }

    #[test]
    fn a_message_without_its_marks_is_refused() {
        let refused = peers(1, None).admit(&MetadataMap::new());

        assert_eq!(refused.unwrap_err().code(), tonic::Code::InvalidArgument);
    }

    #[tokio::test]
    async fn a_node_that_is_cut_off_is_not_reached() {
        let filter = Arc::new(CutFilter::default());
        let shared: Arc<dyn PeerFilter> = Arc::<CutFilter>::clone(&filter);
        let peers = Peers::new(NodeId(1), BootId(1), shared);
        assert!(peers.client(NodeId(2), "127.0.0.1:1", Lane::Door).is_ok());

        filter.cut(NodeId(2));

        assert!(peers.client(NodeId(2), "127.0.0.1:1", Lane::Door).is_err());
        assert!(peers.client(NodeId(3), "127.0.0.1:1", Lane::Door).is_ok());
    }
}
