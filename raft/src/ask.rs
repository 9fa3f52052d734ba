//! A node's questions to whoever leads: at its own desk, or over the wire. Where the leader changes or cannot be
//! reached, a question with time left is asked again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pushrail_model::ids::{BootId, LogIndex, NodeId};
use pushrail_model::shard::ShardId;
use pushrail_model::time::{Span, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Code, Status};

use crate::desk::{Desk, Fenced};
use crate::error::ReadError;
use crate::lease::Grant;
use crate::peers::{Lane, Peers};
use crate::status::{ClusterStatus, MemberReport, MemberStatus, Work};
use crate::way::LeaderSeen;
use crate::wire::{self, proto};

/// How long one attempt to get an answer may take, beside what the question itself waits for.
const ANSWER: Duration = Duration::from_millis(1_500);
/// How long an answer of the leader is under way at most, as a rule.
const ROUND_TRIP: Duration = Duration::from_millis(150);
/// A moment for an election, or for a leader to find its majority.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks whoever leads.
pub(crate) struct Questions {
    me: NodeId,
    desk: Arc<Desk>,
    peers: Arc<Peers>,
    leader: watch::Receiver<Option<LeaderSeen>>,
}

impl Questions {
    pub(crate) fn new(
        desk: Arc<Desk>,
        peers: Arc<Peers>,
        leader: watch::Receiver<Option<LeaderSeen>>,
    ) -> Self {
        Self {
            me: peers.me(),
            desk,
            peers,
            leader,
        }
    }

    /// One attempt to get a lease; the next one follows soon anyway.
    pub(crate) async fn lease(&self, report: MemberReport) -> Result<Grant, ReadError> {
        let leader = self.present()?;
        if leader.node == self.me {
            return self
                .desk
                .lease(self.me, report)
                .await
                .map_err(|error| error.into_read_error());
        }
        let mut client = self.client(&leader)?;
        let question = self.peers.request(leader.node, question_to(self.me, &report));
        let asking = async {
            let answer = client.lease(question).await;
            // Of all questions this one is asked without end: it learns that this process must not go on.
            answer.inspect_err(|status| self.peers.heard(status))
        };
        let answer = within(ANSWER, asking).await?;
        Ok(Grant {
            term: answer.term,
            state_time: Timestamp(answer.state_time),
            commit: LogIndex(answer.commit),
            length: Span(answer.length).as_duration(),
        })
    }

    /// The term and the index that a linearizable read must have applied.
    pub(crate) async fn read_index(&self, deadline: Instant) -> Result<(u64, LogIndex), ReadError> {
        self.until(deadline, |leader| async move {
            if leader.node == self.me {
                return self.desk.confirm().await.map_err(|error| error.into_read_error());
            }
            let mut client = self.client(&leader)?;
            let request = self.peers.request(leader.node, proto::ReadIndexRequest {});
            let answer = within(ANSWER, client.read_index(request)).await?;
            Ok((answer.term, LogIndex(answer.index)))
        })
        .await
    }

    /// Waits until the owner of `shard` starts nothing on terms older than `index`.
    pub(crate) async fn await_fence(
        &self,
        shard: ShardId,
        index: LogIndex,
        deadline: Instant,
    ) -> Result<(), ReadError> {
        let fenced = self
            .until(deadline, |leader| async move {
                let left = deadline.saturating_duration_since(Instant::now());
                if leader.node == self.me {
                    let fenced = self.desk.await_fence(shard, index, left).await;
                    return fenced.map_err(|error| error.into_read_error());
                }
                let mut client = self.client(&leader)?;
                // The leader knows which owner is silent: its answer must be here before this node's own time is over.
                let waits = left.saturating_sub(ROUND_TRIP);
                let request = proto::AwaitFenceRequest {
                    shard: u32::from(shard.number()),
                    index: index.0,
                    within: Span::from_duration(waits).0,
                };
                let request = self.peers.request(leader.node, request);
                let answer = within(left + ANSWER, client.await_fence(request)).await?;
                Ok(answer
                    .silent_owner
                    .map_or(Fenced::Yes, |owner| Fenced::SilentOwner(NodeId(owner))))
            })
            .await?;
        match fenced {
            Fenced::Yes => Ok(()),
            Fenced::SilentOwner(owner) => Err(ReadError::Fence { owner, wanted: index }),
        }
    }

    /// The leader's view of all members.
    pub(crate) async fn cluster_status(&self, deadline: Instant) -> Result<ClusterStatus, ReadError> {
        self.until(deadline, |leader| async move {
            if leader.node == self.me {
                return self
                    .desk
                    .cluster_status()
                    .await
                    .map_err(|error| error.into_read_error());
            }
            let mut client = self.client(&leader)?;
            let request = self.peers.request(leader.node, proto::ClusterStatusRequest {});
            Ok(status_from(within(ANSWER, client.cluster_status(request)).await?))
        })
        .await
    }

    /// Asks again, whoever leads by then, while nobody could answer and time is left.
    async fn until<T, F>(&self, deadline: Instant, ask: impl Fn(LeaderSeen) -> F) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, ReadError>>,
    {
        let mut leader = self.leader.clone();
        loop {
            let seen = leader.borrow_and_update().clone();
            let result = match seen {
                Some(seen) => timeout_at(deadline, ask(seen)).await.unwrap_or_else(|_| {
                    Err(ReadError::NoLeader {
                        why: "the leader did not answer in time".to_owned(),
                    })
                }),
                None => Err(no_leader()),
            };
            match result {
                Err(ReadError::NoLeader { .. }) if Instant::now() + PAUSE < deadline => {
                    // Whichever comes first; an end of the channel shows in the next round.
                    timeout(PAUSE, leader.changed()).await.ok();
                }
                other => return other,
            }
        }
    }

    fn present(&self) -> Result<LeaderSeen, ReadError> {
        self.leader.borrow().clone().ok_or_else(no_leader)
    }

    fn client(
        &self,
        leader: &LeaderSeen,
    ) -> Result<proto::peer_client::PeerClient<tonic::transport::Channel>, ReadError> {
        self.peers
            .client(leader.node, &leader.peer, Lane::Door)
            .map_err(|status| unanswered(&status))
    }
}

fn no_leader() -> ReadError {
    ReadError::NoLeader {
        why: "no leader is known".to_owned(),
    }
}

async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, ReadError> {
    match timeout(time, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(unanswered(&status)),
        Err(_) => Err(ReadError::NoLeader {
            why: "the leader did not answer in time".to_owned(),
        }),
    }
}

fn unanswered(status: &Status) -> ReadError {
    if status.code() == Code::Internal {
        return ReadError::State(status.message().to_owned());
    }
    ReadError::NoLeader {
        why: status.message().to_owned(),
    }
}

fn question_to(node: NodeId, report: &MemberReport) -> proto::LeaseQuestion {
    proto::LeaseQuestion {
        node: node.0,
        boot: report.boot.0,
        applied: report.applied.0,
        fence: report.fence.0,
        clock: report.clock.0,
        format: report.format,
        depth: report.work.depth,
        oldest_due_age: Span::from_duration(report.work.oldest_due_age).0,
        shards: report.work.shards,
        leaving: report.leaving,
        recorded: report.recorded,
    }
}

/// What a member reports, from its question.
pub(crate) fn question_from(question: &proto::LeaseQuestion) -> MemberReport {
    MemberReport {
        boot: BootId(question.boot),
        applied: LogIndex(question.applied),
        fence: LogIndex(question.fence),
        clock: Timestamp(question.clock),
        format: question.format,
        work: Work {
            depth: question.depth,
            oldest_due_age: Span(question.oldest_due_age).as_duration(),
            shards: question.shards,
        },
        leaving: question.leaving,
        recorded: question.recorded,
    }
}

/// The leader's view of all members, as a message.
pub(crate) fn status_to(status: ClusterStatus) -> proto::ClusterStatusResponse {
    let members = status.members.into_iter().map(|member| {
        let (report, ago) = match member.report {
            Some((report, ago)) => (report, Some(Span::from_duration(ago).0)),
            None => (MemberReport::default(), None),
        };
        proto::MemberStatus {
            member: Some(wire::member_to(member.node.0, &member.addresses)),
            voter: member.voter,
            reported_ago: ago,
            applied: report.applied.0,
            fence: report.fence.0,
            clock: report.clock.0,
            clock_ahead: member.clock_ahead,
            format: report.format,
            depth: report.work.depth,
            oldest_due_age: Span::from_duration(report.work.oldest_due_age).0,
            shards: report.work.shards,
            lease_over: member.lease_over,
            matched: member.matched.map(|index| index.0),
            boot: report.boot.0,
            leaving: report.leaving,
            recorded: report.recorded,
        }
    });
    proto::ClusterStatusResponse {
        leader: status.leader.0,
        term: status.term,
        applied: status.applied.0,
        committed: status.committed.0,
        last_log: status.last_log.0,
        members: members.collect(),
        time_ahead: status.time_ahead,
        clocks_apart: status.clocks_apart,
    }
}

fn status_from(status: proto::ClusterStatusResponse) -> ClusterStatus {
    let members = status.members.into_iter().map(|member| {
        let (node, addresses) = wire::member_from(member.member.unwrap_or_default());
        let report = MemberReport {
            boot: BootId(member.boot),
            applied: LogIndex(member.applied),
            fence: LogIndex(member.fence),
            clock: Timestamp(member.clock),
            format: member.format,
            work: Work {
                depth: member.depth,
                oldest_due_age: Span(member.oldest_due_age).as_duration(),
                shards: member.shards,
            },
            leaving: member.leaving,
            recorded: member.recorded,
        };
        MemberStatus {
            node: NodeId(node),
            addresses,
            voter: member.voter,
            report: member.reported_ago.map(|ago| (report, Span(ago).as_duration())),
            lease_over: member.lease_over,
            matched: member.matched.map(LogIndex),
            clock_ahead: member.clock_ahead,
        }
    });
    ClusterStatus {
        leader: NodeId(status.leader),
        term: status.term,
        applied: LogIndex(status.applied),
        committed: LogIndex(status.committed),
        last_log: LogIndex(status.last_log),
        members: members.collect(),
        time_ahead: status.time_ahead,
        clocks_apart: status.clocks_apart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeAddresses;

    #[test]
    fn the_leaders_view_comes_back_as_it_went() {
        let report = MemberReport {
            boot: BootId(3),
            applied: LogIndex(9),
            fence: LogIndex(8),
            clock: Timestamp(77),
            format: 1,
            work: Work {
                depth: 4,
                oldest_due_age: Duration::from_secs(2),
                shards: 341,
            },
            leaving: true,
            recorded: true,
        };
        let member = |node, report| MemberStatus {
            node: NodeId(node),
            addresses: NodeAddresses {
                peer: "a:1".to_owned(),
                client: "a:2".to_owned(),
                http: "a:3".to_owned(),
            },
            voter: true,
            report,
            lease_over: false,
            matched: Some(LogIndex(9)),
            clock_ahead: Some(-5),
        };
        let status = ClusterStatus {
            leader: NodeId(1),
            term: 5,
            applied: LogIndex(9),
            committed: LogIndex(10),
            last_log: LogIndex(11),
            members: vec![
                member(1, Some((report, Duration::from_millis(20)))),
                member(2, None),
            ],
            time_ahead: Some(-7),
            clocks_apart: Some("node 2".to_owned()),
        };

        assert_eq!(status_from(status_to(status.clone())), status);
    }

    #[test]
    fn a_question_comes_back_as_it_went() {
        let report = MemberReport {
            boot: BootId(3),
            applied: LogIndex(9),
            fence: LogIndex(8),
            clock: Timestamp(77),
            format: 1,
            leaving: true,
            ..MemberReport::default()
        };

        assert_eq!(question_from(&question_to(NodeId(1), &report)), report);
    }
}
