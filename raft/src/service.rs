//! What a node answers its peers: the core's messages, other doors' batches, and questions to the leader.
//!
//! It runs beside the core, on the same runtime: a busy door must not look like a dead node.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use pushrail_model::ids::{BatchNumber, LogIndex, NodeId};
use pushrail_model::limits;
use pushrail_model::shard::ShardId;
use pushrail_model::time::Span;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::ask;
use crate::calls;
use crate::desk::{Desk, DeskError, Fenced};
use crate::error::ReadError;
use crate::forward;
use crate::founding::Founder;
use crate::marks::Marks;
use crate::peers::{Peers, WINDOW};
use crate::proposer::{Arrival, Outcome, ProposerHandle, Reply, ReplyTo};
use crate::types::Raft;
use crate::wire::proto::peer_server::{Peer, PeerServer};
use crate::wire::{self, WireError, proto};

/// A fence is never waited for longer than this in one call.
const FENCE_MAX: Duration = Duration::from_secs(30);

/// The peers' service of one node.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) peers: Arc<Peers>,
    pub(crate) raft: Raft,
    pub(crate) proposer: ProposerHandle,
    pub(crate) desk: Arc<Desk>,
    pub(crate) founder: Arc<Founder>,
    pub(crate) stop: CancellationToken,
}

/// Serves until `stop` is called; calls that are open then are ended.
pub(crate) async fn serve(service: Service, listener: TcpListener) -> Result<(), tonic::transport::Error> {
    let stop = service.stop.clone();
    let server = PeerServer::new(service)
        .max_decoding_message_size(limits::PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(limits::PEER_MESSAGE_BYTES_MAX);
    // Here, since the server's own setting does not reach connections that it did not accept itself.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(server)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
}

type Sending<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

impl Service {
    /// Messages of a call as they come, while the caller may speak to this node and the node runs.
    fn inbound<T: Send + 'static>(
        &self,
        marks: Marks,
        messages: Streaming<T>,
    ) -> impl Stream<Item = Result<T, Status>> + Send + Unpin + 'static {
        let peers = Arc::clone(&self.peers);
        let messages = messages.map(move |message| peers.admit_further(&marks).and(message));
        messages.take_until(Box::pin(self.stop.clone().cancelled_owned()))
    }
}

#[tonic::async_trait]
impl Peer for Service {
    type AppendStream = Sending<proto::AppendResponse>;
    type HeartbeatStream = Sending<proto::AppendResponse>;
    type ForwardStream = Sending<proto::ForwardAnswer>;

    async fn introduce(
        &self,
        _: Request<proto::IntroduceRequest>,
    ) -> Result<Response<proto::Introduction>, Status> {
        Ok(Response::new(self.founder.introduction()))
    }

    async fn found(
        &self,
        request: Request<proto::FoundRequest>,
    ) -> Result<Response<proto::FoundResponse>, Status> {
        self.peers.admit(request.metadata())?;
        let members = request.into_inner().members.into_iter().map(wire::member_from);
        let members = members.map(|(node, addresses)| (NodeId(node), addresses));
        self.founder
            .agree(&members.collect())
            .map_err(Status::failed_precondition)?;
        Ok(Response::new(proto::FoundResponse {}))
    }

    async fn append(
        &self,
        request: Request<Streaming<proto::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let marks = self.peers.admit(request.metadata())?;
        // A message that cannot be read ends the call: the leader begins anew where it knows us to be.
        let requests = self
            .inbound(marks, request.into_inner())
            .map(|message| calls::append_from(message.ok()?).ok())
            .take_while(|request| std::future::ready(request.is_some()))
            .filter_map(std::future::ready);
        let responses = self.raft.stream_append(requests).map(|result| match result {
            Ok(appended) => Ok(calls::appended_to(&appended, 0)),
            Err(fatal) => Err(Status::unavailable(fatal.to_string())),
        });
        Ok(Response::new(Box::pin(responses)))
    }

    async fn heartbeat(
        &self,
        request: Request<Streaming<proto::AppendRequest>>,
    ) -> Result<Response<Self::HeartbeatStream>, Status> {
        let marks = self.peers.admit(request.metadata())?;
        let requests = self.inbound(marks, request.into_inner());
        let responses = stream::unfold((requests, self.raft.clone()), |(mut requests, raft)| async move {
            let response = beat(&raft, requests.next().await?).await;
            Some((response, (requests, raft)))
        });
        Ok(Response::new(Box::pin(responses)))
    }

    async fn vote(
        &self,
        request: Request<proto::VoteRequest>,
    ) -> Result<Response<proto::VoteResponse>, Status> {
        self.peers.admit_candidate(request.metadata())?;
        let request = calls::vote_request_from(request.into_inner()).map_err(malformed)?;
        let response = self.raft.vote(request).await.map_err(stopped)?;
        Ok(Response::new(calls::vote_response_to(&response)))
    }

    async fn pre_vote(
        &self,
        request: Request<proto::VoteRequest>,
    ) -> Result<Response<proto::VoteResponse>, Status> {
        self.peers.admit_candidate(request.metadata())?;
        let request = calls::vote_request_from(request.into_inner()).map_err(malformed)?;
        let response = self.raft.pre_vote(request).await.map_err(stopped)?;
        Ok(Response::new(calls::vote_response_to(&response)))
    }

    async fn transfer_leader(
        &self,
        request: Request<proto::TransferLeaderRequest>,
    ) -> Result<Response<proto::TransferLeaderResponse>, Status> {
        self.peers.admit(request.metadata())?;
        let request = calls::transfer_from(request.into_inner()).map_err(malformed)?;
        let response = self.raft.handle_transfer_leader(request).await.map_err(stopped)?;
        Ok(Response::new(calls::transferred_to(&response)))
    }

    async fn forward(
        &self,
        request: Request<Streaming<proto::ForwardBatch>>,
    ) -> Result<Response<Self::ForwardStream>, Status> {
        let marks = self.peers.admit(request.metadata())?;
        let mut batches = self.inbound(marks, request.into_inner());
        let (sender, mut replies) = mpsc::unbounded_channel();
        let proposer = self.proposer.clone();
        let peers = Arc::clone(&self.peers);
        // The call lives while the door sends or answers are owed: whoever holds `sender` keeps it open.
        tokio::spawn(async move {
            while let Some(Ok(batch)) = batches.next().await {
                let number = BatchNumber(batch.number);
                let reply = ReplyTo {
                    session: 0,
                    sender: sender.clone(),
                };
                // Here and not in the proposer, through which all must pass one by one.
                let weight = match forward::weigh(marks.source, &batch) {
                    Ok(weight) => weight,
                    Err(why) => {
                        tracing::warn!(node = %marks.source, batch = %number, why, "a batch was refused");
                        reply.send(number, Outcome::Refused { leader: None, why });
                        continue;
                    }
                };
                let arrival = Arrival {
                    number,
                    batch: batch.batch,
                    weight,
                    pinned: None,
                    reply,
                    at: Instant::now(),
                };
                proposer.send(arrival).await;
            }
        });
        let answers = stream::poll_fn(move |context| replies.poll_recv(context))
            .take_while(move |_| std::future::ready(peers.reaches(marks.source)))
            .map(|Reply { number, outcome, .. }| {
                Ok(proto::ForwardAnswer {
                    number: number.0,
                    outcome: Some(forward::outcome_to(outcome)),
                })
            });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn lease(
        &self,
        request: Request<proto::LeaseQuestion>,
    ) -> Result<Response<proto::LeaseAnswer>, Status> {
        let source = self.peers.admit(request.metadata())?.source;
        let question = request.into_inner();
        if question.node != source.0 {
            return Err(Status::invalid_argument("a node asks for its own lease"));
        }
        let grant = self
            .desk
            .lease(source, ask::question_from(&question))
            .await
            .map_err(unanswered)?;
        Ok(Response::new(proto::LeaseAnswer {
            term: grant.term,
            state_time: grant.state_time.0,
            commit: grant.commit.0,
            length: Span::from_duration(grant.length).0,
        }))
    }

    async fn read_index(
        &self,
        request: Request<proto::ReadIndexRequest>,
    ) -> Result<Response<proto::ReadIndexResponse>, Status> {
        self.peers.admit(request.metadata())?;
        let (term, index) = self.desk.confirm().await.map_err(unanswered)?;
        Ok(Response::new(proto::ReadIndexResponse { term, index: index.0 }))
    }

    async fn await_fence(
        &self,
        request: Request<proto::AwaitFenceRequest>,
    ) -> Result<Response<proto::AwaitFenceResponse>, Status> {
        self.peers.admit(request.metadata())?;
        let asked = request.into_inner();
        let shard = u16::try_from(asked.shard)
            .ok()
            .and_then(ShardId::new)
            .ok_or_else(|| Status::invalid_argument(format!("there is no shard {}", asked.shard)))?;
        let within = Span(asked.within).as_duration().min(FENCE_MAX);
        let fenced = self
            .desk
            .await_fence(shard, LogIndex(asked.index), within)
            .await
            .map_err(unanswered)?;
        Ok(Response::new(proto::AwaitFenceResponse {
            silent_owner: match fenced {
                Fenced::Yes => None,
                Fenced::SilentOwner(owner) => Some(owner.0),
            },
        }))
    }

    async fn cluster_status(
        &self,
        request: Request<proto::ClusterStatusRequest>,
    ) -> Result<Response<proto::ClusterStatusResponse>, Status> {
        self.peers.admit(request.metadata())?;
        let status = self.desk.cluster_status().await.map_err(unanswered)?;
        Ok(Response::new(ask::status_to(status)))
    }
}

async fn beat(
    raft: &Raft,
    request: Result<proto::AppendRequest, Status>,
) -> Result<proto::AppendResponse, Status> {
    let request = request?;
    let sequence = request.sequence;
    let request = calls::append_from(request).map_err(malformed)?;
    let previous = request.prev_log_id;
    let response = raft.append_entries(request).await.map_err(stopped)?;
    Ok(calls::appended_to(
        &response.into_stream_result(previous, previous),
        sequence,
    ))
}

fn malformed(error: WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}

fn unanswered(error: DeskError) -> Status {
    match error {
        DeskError::NotLeading { why } => Status::unavailable(why),
        DeskError::Failed(error @ ReadError::State(_)) => Status::internal(error.to_string()),
        DeskError::Failed(error) => Status::unavailable(error.to_string()),
    }
}
