//! Connections to the other nodes, and what every message between nodes bears.
//!
//! Heartbeats, log entries and a door's batches have connections of their own: none waits behind another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pushrail_model::ids::NodeId;
use pushrail_model::limits;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::config::PeerFilter;
use crate::wire::proto::peer_client::PeerClient;

const CLUSTER: &str = "pushrail-cluster";
const SOURCE: &str = "pushrail-source";
const TARGET: &str = "pushrail-target";

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
    cluster: OnceLock<u128>,
    filter: Arc<dyn PeerFilter>,
    channels: Mutex<HashMap<(NodeId, Lane), (String, Channel)>>,
}

impl Peers {
    pub(crate) fn new(me: NodeId, filter: Arc<dyn PeerFilter>) -> Self {
        Self {
            me,
            cluster: OnceLock::new(),
            filter,
            channels: Mutex::default(),
        }
    }

    pub(crate) fn me(&self) -> NodeId {
        self.me
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
        let metadata = request.metadata_mut();
        insert(metadata, SOURCE, &self.me.to_string());
        insert(metadata, TARGET, &to.to_string());
        if let Some(cluster) = self.cluster() {
            insert(metadata, CLUSTER, &format!("{cluster:032x}"));
        }
        request
    }

    /// Who sent this; refused if it was not meant for this node, or comes from another cluster.
    pub(crate) fn admit(&self, metadata: &MetadataMap) -> Result<NodeId, Status> {
        let source = NodeId(number(metadata, SOURCE)?);
        let target = NodeId(number(metadata, TARGET)?);
        if target != self.me {
            return Err(Status::failed_precondition(format!(
                "this is node {}, node {target} was meant",
                self.me
            )));
        }
        let theirs = metadata
            .get(CLUSTER)
            .map(|value| {
                let text = value.to_str().unwrap_or_default();
                u128::from_str_radix(text, 16)
                    .map_err(|_| Status::invalid_argument(format!("`{CLUSTER}` is not a cluster's id")))
            })
            .transpose()?;
        if let (Some(ours), Some(theirs)) = (self.cluster(), theirs)
            && ours != theirs
        {
            tracing::warn!(node = %source, cluster = %format!("{theirs:032x}"), "a node of another cluster was refused");
            return Err(Status::failed_precondition(format!(
                "this node belongs to cluster {ours:032x}, the caller to {theirs:032x}"
            )));
        }
        if !self.reaches(source) {
            return Err(Status::unavailable("cut off"));
        }
        Ok(source)
    }

    /// Who asks for this node's vote. A node that knows no cluster gives none to a candidate of one: its directory
    /// may be new under an old id, and what it had once promised to keep is gone with the old one. It votes again
    /// when it has been told the cluster's name by the log, and among nodes that form a cluster from the start.
    pub(crate) fn admit_candidate(&self, metadata: &MetadataMap) -> Result<NodeId, Status> {
        let source = self.admit(metadata)?;
        if self.cluster().is_none() && metadata.contains_key(CLUSTER) {
            return Err(Status::failed_precondition(format!(
                "node {} knows no cluster yet and gives no vote to one",
                self.me
            )));
        }
        Ok(source)
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

fn insert(metadata: &mut MetadataMap, name: &'static str, value: &str) {
    let value = AsciiMetadataValue::try_from(value).expect("digits and hex digits are ASCII");
    metadata.insert(name, value);
}

fn number(metadata: &MetadataMap, name: &'static str) -> Result<u64, Status> {
    metadata
        .get(name)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .ok_or_else(|| Status::invalid_argument(format!("`{name}` is missing or not a node's id")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CutFilter, OpenFilter};

    fn peers(me: u64, cluster: Option<u128>) -> Peers {
        let peers = Peers::new(NodeId(me), Arc::new(OpenFilter));
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
            ours.admit(fresh.request(NodeId(1), ()).metadata()).unwrap(),
            NodeId(2)
        );
        assert_eq!(
            fresh.admit(ours.request(NodeId(2), ()).metadata()).unwrap(),
            NodeId(1)
        );
    }

    #[test]
    fn a_node_with_a_new_directory_gives_no_vote_to_a_cluster() {
        let ours = peers(1, Some(7));
        let (wiped, founding) = (peers(2, None), peers(3, None));

        let refused = wiped.admit_candidate(ours.request(NodeId(2), ()).metadata());
        assert_eq!(refused.unwrap_err().code(), tonic::Code::FailedPrecondition);

        let among_founders = founding.admit_candidate(wiped.request(NodeId(3), ()).metadata());
        assert_eq!(among_founders.unwrap(), NodeId(2));
        let back = ours.admit_candidate(wiped.request(NodeId(1), ()).metadata());
        assert_eq!(back.unwrap(), NodeId(2));
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
        let peers = Peers::new(NodeId(1), shared);
        assert!(peers.client(NodeId(2), "127.0.0.1:1", Lane::Door).is_ok());

        filter.cut(NodeId(2));

        assert!(peers.client(NodeId(2), "127.0.0.1:1", Lane::Door).is_err());
        assert!(peers.client(NodeId(3), "127.0.0.1:1", Lane::Door).is_ok());
    }
}
