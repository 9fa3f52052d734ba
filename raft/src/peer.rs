//! openraft's way to the other nodes: heartbeats, entries, votes, each with a deadline of its own.
//!
//! Invariant: responses come back in the order of their requests; an error says *unreachable*, so that the core
//! waits a moment before it tries again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption, RPCTypes,
    RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use pushrail_model::ids::NodeId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::calls;
use crate::peers::{Lane, Peers};
use crate::types::{NodeAddresses, Snapshot, SnapshotData, TypeConfig, Vote};
use crate::wire::proto::peer_client::PeerClient;
use crate::wire::{WireError, proto};

/// How long a call for entries may take to open.
const OPEN: Duration = Duration::from_secs(1);
/// How long until a call that did not open is tried again: soon, since a node that comes back is wanted in the majority.
const REOPEN: Duration = Duration::from_millis(200);
/// How long the first of the requests under way may go without a response: a disk may stall, a peer may not be dead.
const RESPONSE: Duration = Duration::from_secs(4);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long handing the leadership over may take.
const TRANSFER: Duration = Duration::from_secs(1);
/// Heartbeats that may wait to be sent.
const HEARTBEATS: usize = 4;

/// Makes the core's connections.
pub(crate) struct Network {
    peers: Arc<Peers>,
}

impl Network {
    pub(crate) fn new(peers: Arc<Peers>) -> Self {
        Self { peers }
    }

    fn peer(&self, target: u64, node: &NodeAddresses, lane: Lane) -> Peer {
        Peer {
            peers: Arc::clone(&self.peers),
            target: NodeId(target),
            address: node.peer.clone(),
            lane,
            heartbeats: None,
        }
    }
}

fn unreachable(status: &Status) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::from_string(format!(
        "{:?}: {}",
        status.code(),
        status.message()
    )))
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &NodeAddresses) -> Peer {
        self.peer(target, node, Lane::Append)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &NodeAddresses) -> Peer {
        self.peer(target, node, Lane::Heartbeat)
    }
}

/// One of the core's connections to one node.
pub(crate) struct Peer {
    peers: Arc<Peers>,
    target: NodeId,
    address: String,
    lane: Lane,
    heartbeats: Option<Heartbeats>,
}

type Appended = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

impl Peer {
    fn timed_out(&self, action: RPCTypes, after: Duration) -> RPCError<TypeConfig> {
        RPCError::Timeout(Timeout {
            action,
            id: self.peers.me().0,
            target: self.target.0,
            timeout: after,
        })
    }

    /// A client over the connection for `lane`.
    fn client(&self, lane: Lane) -> Result<PeerClient<Channel>, RPCError<TypeConfig>> {
        self.peers
            .client(self.target, &self.address, lane)
            .map_err(|status| self.unreachable(status))
    }

    /// A peer that cannot be reached, refuses us, or has stopped: the core waits before it tries again.
    fn unreachable(&self, status: Status) -> RPCError<TypeConfig> {
        self.peers.failed(self.target, &status);
        unreachable(&status)
    }

    /// One question beside the entries, with one answer within `time`.
    async fn ask<Q, A, F>(
        &self,
        action: RPCTypes,
        time: Duration,
        question: Q,
        call: impl FnOnce(PeerClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, RPCError<TypeConfig>>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let client = self.client(Lane::Heartbeat)?;
        let asking = call(client, self.peers.request(self.target, question));
        timeout(time, asking)
            .await
            .map_err(|_| self.timed_out(action, time))?
            .map(|answer| {
                self.peers.answered(self.target);
                answer.into_inner()
            })
            .map_err(|status| self.unreachable(status))
    }

    /// A node whose directory may be new under an old id asks for no vote of its cluster, as it gives none: its own
    /// counts for a majority, and what it once promised is not in its log.
    fn may_campaign(&self) -> Result<(), RPCError<TypeConfig>> {
        if self.peers.may_campaign() {
            return Ok(());
        }
        let why = "this node's data directory is new: it asks for no vote before it has caught up";
        Err(unreachable(&Status::failed_precondition(why)))
    }

    /// Entries, pipelined, over a call that lasts as long as the core has some.
    async fn append<'s, S>(&'s self, input: S) -> Result<BoxStream<'s, Appended>, RPCError<TypeConfig>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let mut client = self.client(self.lane)?;
        let sent = Arc::new(AtomicU64::new(0));
        let outbound = {
            let (sent, peers, target) = (Arc::clone(&sent), Arc::clone(&self.peers), self.target);
            input
                .take_while(move |_| std::future::ready(peers.reaches(target)))
                .map(move |request| {
                    sent.fetch_add(1, Ordering::AcqRel);
                    calls::append_to(&request, 0)
                })
        };
        let opening = client.append(self.peers.request(self.target, outbound));
        let responses = timeout(OPEN, opening)
            .await
            .map_err(|_| self.timed_out(RPCTypes::AppendEntries, OPEN))?
            .map_err(|status| self.unreachable(status))?
            .into_inner();
        let reading = Reading {
            peer: self,
            responses,
            sent,
            received: 0,
            progressed: Instant::now(),
        };
        Ok(Box::pin(stream::unfold(Some(reading), Reading::next)))
    }

    /// Heartbeats, over a call that is kept open.
    async fn beat(&mut self, request: &AppendEntriesRequest<TypeConfig>) -> Appended {
        if !self.peers.reaches(self.target) {
            self.heartbeats = None;
            return Err(self.unreachable(Status::unavailable("cut off")));
        }
        let mut heartbeats = match self.heartbeats.take() {
            Some(open) => open,
            None => self.open_heartbeats().await?,
        };
        let sequence = heartbeats.next_sequence;
        heartbeats.next_sequence += 1;
        if heartbeats
            .requests
            .try_send(calls::append_to(request, sequence))
            .is_err()
        {
            return Err(self.unreachable(Status::unavailable("heartbeats are stuck")));
        }
        // Kept before the wait: the core may give up on this heartbeat, the next one uses the call again.
        let heartbeats = self.heartbeats.insert(heartbeats);
        let received = loop {
            match heartbeats.responses.message().await {
                Ok(Some(response)) if response.sequence < sequence => {}
                Ok(Some(response)) => break Ok(response),
                Ok(None) => break Err(Status::unavailable("the peer ended the heartbeats")),
                Err(status) => break Err(status),
            }
        };
        if received.is_err() || !self.peers.reaches(self.target) {
            self.heartbeats = None;
        }
        let response = received.map_err(|status| self.unreachable(status))?;
        self.peers.answered(self.target);
        calls::appended_from(response).map_err(malformed)
    }

    async fn open_heartbeats(&self) -> Result<Heartbeats, RPCError<TypeConfig>> {
        let mut client = self.client(self.lane)?;
        let (requests, outbound) = mpsc::channel(HEARTBEATS);
        let request = self.peers.request(self.target, ReceiverStream::new(outbound));
        let responses = client.heartbeat(request).await;
        let responses = responses.map_err(|status| self.unreachable(status))?.into_inner();
        Ok(Heartbeats {
            requests,
            responses,
            next_sequence: 1,
        })
    }
}

/// The one long call for heartbeats.
struct Heartbeats {
    requests: mpsc::Sender<proto::AppendRequest>,
    responses: Streaming<proto::AppendResponse>,
    next_sequence: u64,
}

/// The responses to a call for entries.
struct Reading<'s> {
    peer: &'s Peer,
    responses: Streaming<proto::AppendResponse>,
    sent: Arc<AtomicU64>,
    received: u64,
    progressed: Instant,
}

impl<'s> Reading<'s> {
    async fn next(reading: Option<Self>) -> Option<(Appended, Option<Self>)> {
        let mut reading = reading?;
        let received = loop {
            match timeout(LOOK, reading.responses.message()).await {
                Ok(Ok(response)) => break Ok(response?),
                Ok(Err(status)) => break Err(reading.peer.unreachable(status)),
                Err(_) => {}
            }
            if !reading.peer.peers.reaches(reading.peer.target) {
                break Err(reading.peer.unreachable(Status::unavailable("cut off")));
            }
            if reading.sent.load(Ordering::Acquire) == reading.received {
                // Nothing is owed: the time runs from the next request.
                reading.progressed = Instant::now();
            } else if reading.progressed.elapsed() > RESPONSE {
                break Err(reading.peer.timed_out(RPCTypes::AppendEntries, RESPONSE));
            }
        };
        let appended = received.and_then(|response| calls::appended_from(response).map_err(malformed));
        reading.received += 1;
        reading.progressed = Instant::now();
        let go_on = matches!(appended, Ok(Ok(_)));
        Some((appended, go_on.then_some(reading)))
    }
}

impl NetStreamAppend<TypeConfig> for Peer {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Appended>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        if self.lane == Lane::Heartbeat {
            return Box::pin(async move {
                let beats = stream::unfold((self, input, true), |(peer, mut input, go_on)| async move {
                    if !go_on {
                        return None;
                    }
                    let request = input.next().await?;
                    let appended = peer.beat(&request).await;
                    let go_on = matches!(appended, Ok(Ok(_)));
                    Some((appended, (peer, input, go_on)))
                });
                Ok(Box::pin(beats) as BoxStream<'s, Appended>)
            });
        }
        Box::pin(async move {
            match self.append(input).await {
                Ok(responses) => Ok(responses),
                Err(error) => {
                    // The core waits where it takes the next request out of its stream. A call that never opened
                    // took none, and without a wait of our own would be tried again at once, for as long as the
                    // peer is away.
                    sleep(REOPEN).await;
                    Err(error)
                }
            }
        })
    }
}

impl NetVote<TypeConfig> for Peer {
    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.may_campaign()?;
        let (time, question) = (option.soft_ttl(), calls::vote_request_to(&rpc));
        let call = |mut client: PeerClient<Channel>, request| async move { client.vote(request).await };
        let answer = self.ask(RPCTypes::Vote, time, question, call).await?;
        calls::vote_response_from(answer).map_err(malformed)
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.may_campaign()?;
        let (time, question) = (option.soft_ttl(), calls::vote_request_to(&rpc));
        let call = |mut client: PeerClient<Channel>, request| async move { client.pre_vote(request).await };
        let answer = self.ask(RPCTypes::Vote, time, question, call).await?;
        calls::vote_response_from(answer).map_err(malformed)
    }
}

impl NetTransferLeader<TypeConfig> for Peer {
    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let question = calls::transfer_to(&req);
        let call =
            |mut client: PeerClient<Channel>, request| async move { client.transfer_leader(request).await };
        let answer = self
            .ask(RPCTypes::TransferLeader, TRANSFER, question, call)
            .await?;
        calls::transferred_from(answer).map_err(malformed)
    }
}

impl NetSnapshot<TypeConfig> for Peer {
    type SnapshotData = SnapshotData;

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        // The log is never purged, so that no follower can need one.
        Err(StreamingError::Unreachable(Unreachable::from_string(
            "sending snapshots is not supported yet; the log is never purged",
        )))
    }
}

impl NetBackoff<TypeConfig> for Peer {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

fn malformed(error: WireError) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&error))
}
