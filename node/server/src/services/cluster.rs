//! `pushrail.v1.Cluster`: forms the cluster, and shows how it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use pushrail_api::v1::cluster_server;
use pushrail_api::v1::{
    ClusterStatusRequest, ClusterStatusResponse, InitClusterRequest, InitClusterResponse, Member,
    MemberAddresses,
};
use pushrail_machine::query::{self, assignment};
use pushrail_model::ids::NodeId;
use pushrail_model::shard::SHARDS;
use pushrail_raft::config::LEASE;
use pushrail_raft::error::InitError;
use pushrail_raft::status::{MemberStatus, Status as Replication};
use pushrail_raft::types::NodeAddresses;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Wrong, done_but};
use crate::services::{convert, members as places, service, status};

/// Members of a cluster to form.
const MEMBERS_MAX: usize = 7;

service!(
    /// Forms the cluster and shows how it stands.
    Cluster
);

#[tonic::async_trait]
impl cluster_server::Cluster for Cluster {
    async fn init(
        &self,
        request: Request<InitClusterRequest>,
    ) -> Result<Response<InitClusterResponse>, Status> {
        self.formed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::write)
    }

    async fn status(
        &self,
        _: Request<ClusterStatusRequest>,
    ) -> Result<Response<ClusterStatusResponse>, Status> {
        self.stands().await.map(Response::new).map_err(status::read)
    }
}

impl Cluster {
    async fn formed(&self, request: InitClusterRequest) -> Result<InitClusterResponse, Refusal> {
        let replica = self.door.replica();
        let members = members(&request.members, replica.node())?;
        if !replica.status().initialised {
            let misplaced = places::misplaced(&members).await;
            if !misplaced.is_empty() {
                return Err(Refusal::MembersUnfit(misplaced));
            }
        }
        replica.init(members).await.map_err(not_formed)?;
        // It stands: whatever fails from here on must not be said to be a no.
        let view = replica.view();
        let row = query::cluster(&view).map_err(|error| done_but(error.into()))?;
        let row = row.ok_or(Refusal::Unknown {
            why: "the cluster has no name yet".to_owned(),
        })?;
        Ok(InitClusterResponse {
            cluster: name(row.cluster),
            token: view.token().to_string(),
        })
    }

    async fn stands(&self) -> Result<ClusterStatusResponse, Refusal> {
        let replica = self.door.replica();
        let here = replica.status();
        let state_now = replica.lease().state_now();
        let answered = self
            .door
            .ask_whatever_is_known(Freshness::Local, Instant::now(), |view| {
                Ok((query::cluster(view)?, query::clock(view)?, assignment::all(view)?))
            })
            .await?;
        let (row, clock, owned) = answered.value;
        let mut shards: BTreeMap<NodeId, u32> = BTreeMap::new();
        for (_, ownership) in &owned {
            *shards.entry(ownership.owner).or_default() += 1;
        }
        let mut response = ClusterStatusResponse {
            cluster: row.map(|row| name(row.cluster)).unwrap_or_default(),
            // Whoever led last is no leader while it does not answer for a majority.
            leader_node: 0,
            term: here.term,
            committed_index: here.committed.0,
            answering_node: here.node.0,
            members: Vec::new(),
            now: convert::moment(clock.max(state_now)),
            shards_unowned: u32::from(SHARDS).saturating_sub(shards.values().sum()),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
            clocks_apart: String::new(),
            time_ahead: None,
        };
        let seen = if here.initialised {
            replica.cluster_status().await.ok()
        } else {
            None
        };
        match seen {
            Some(seen) => {
                response.leader_node = seen.leader.0;
                response.term = seen.term;
                response.committed_index = seen.committed.0;
                response.time_ahead = seen.time_ahead.map(convert::ahead);
                response.clocks_apart = seen.clocks_apart.clone().unwrap_or_default();
                let lag = |applied: u64| seen.committed.0.saturating_sub(applied);
                response.members = seen
                    .members
                    .iter()
                    .map(|member| reported(member, seen.leader, &shards, &lag))
                    .collect();
            }
            // Without a leader, what this node knows by itself is all there is to say.
            None => response.members = alone(&here, &shards),
        }
        Ok(response)
    }
}

fn not_formed(error: InitError) -> Refusal {
    match error {
        InitError::AlreadyInitialised => Refusal::ClusterExists,
        InitError::Members(why) => Refusal::invalid("members", why),
        InitError::Unfit(unfit) => Refusal::MembersUnfit(unfit),
        InitError::Unfinished(why) | InitError::Stopped(why) => Refusal::Unknown { why },
    }
}

/// Checks the members of a cluster to form; `node` is asked and must be one of them.
fn members(asked: &[MemberAddresses], node: NodeId) -> Result<BTreeMap<NodeId, NodeAddresses>, Refusal> {
    let mut wrong = Vec::new();
    if asked.is_empty() || asked.len() > MEMBERS_MAX {
        wrong.push(Wrong::new(
            "members",
            format!("{} members; 1 to {MEMBERS_MAX}", asked.len()),
        ));
    }
    let mut seen = BTreeSet::new();
    let mut members = BTreeMap::new();
    for (at, member) in asked.iter().enumerate() {
        let field = |name: &str| format!("members[{at}].{name}");
        if member.node == 0 {
            wrong.push(Wrong::new(&field("node"), "more than 0"));
        }
        for (name, address) in [
            ("peer", &member.peer),
            ("client", &member.client),
            ("http", &member.http),
        ] {
            if !is_address(address) {
                let why = format!("`{address}`; host:port, such as 10.0.0.1:7400");
                wrong.push(Wrong::new(&field(name), why));
            } else if !seen.insert(address) {
                wrong.push(Wrong::new(&field(name), format!("{address} stands there twice")));
            }
        }
        let addresses = NodeAddresses {
            peer: member.peer.clone(),
            client: member.client.clone(),
            http: member.http.clone(),
        };
        if members.insert(NodeId(member.node), addresses).is_some() {
            wrong.push(Wrong::new(
                &field("node"),
                format!("{} stands there twice", member.node),
            ));
        }
    }
    if !members.contains_key(&node) {
        wrong.push(Wrong::new(
            "members",
            format!("node {node}, which was asked, is not among them"),
        ));
    }
    if wrong.is_empty() {
        Ok(members)
    } else {
        Err(Refusal::Invalid(wrong))
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A name or an address, an IPv6 one in brackets; no scheme, no path.
fn is_host(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
            !text.is_empty() && text.chars().all(known)
        }
    }
}

fn name(cluster: u128) -> String {
    format!("{cluster:032x}")
}

/// A member as the leader sees it.
fn reported(
    member: &MemberStatus,
    leader: NodeId,
    shards: &BTreeMap<NodeId, u32>,
    lag: &impl Fn(u64) -> u64,
) -> Member {
    let mut shown = Member {
        addresses: Some(addresses(member.node, &member.addresses)),
        leader: member.node == leader,
        // A new leader has not heard of everybody yet; who stays silent is known once its lease must be over.
        live: member.lease_over.then_some(false),
        lag_entries: lag(0),
        shards_owned: shards.get(&member.node).copied().unwrap_or_default(),
        clock_ahead: member.clock_ahead.map(convert::ahead),
        ..Member::default()
    };
    if let Some((report, ago)) = &member.report {
        // Heard from, that is: while the clocks are apart nobody gets a lease, and yet all are there.
        shown.live = Some(*ago < LEASE);
        shown.last_seen = convert::length(*ago);
        shown.applied_index = report.applied.0;
        shown.lag_entries = lag(report.applied.0);
        shown.queue_depth = report.work.depth;
        let age = report.work.oldest_due_age;
        shown.oldest_due_age = convert::length(age).filter(|_| !age.is_zero());
        // Counted from the last question: the leader gave no longer one than this.
        let lease = LEASE.saturating_sub(*ago);
        shown.lease_remaining = convert::length(lease).filter(|_| !member.lease_over && !lease.is_zero());
    }
    shown
}

/// The members as a node knows them that sees no leader.
fn alone(here: &Replication, shards: &BTreeMap<NodeId, u32>) -> Vec<Member> {
    here.members
        .iter()
        .map(|(node, known)| {
            let this = *node == here.node;
            Member {
                addresses: Some(addresses(*node, known)),
                applied_index: if this { here.applied.0 } else { 0 },
                lag_entries: if this {
                    here.committed.0.saturating_sub(here.applied.0)
                } else {
                    0
                },
                shards_owned: shards.get(node).copied().unwrap_or_default(),
                ..Member::default()
            }
        })
        .collect()
}

fn addresses(node: NodeId, addresses: &NodeAddresses) -> MemberAddresses {
    MemberAddresses {
        node: node.0,
        peer: addresses.peer.clone(),
        client: addresses.client.clone(),
        http: addresses.http.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(node: u64, port: u16) -> MemberAddresses {
        let at = |port| format!("127.0.0.1:{port}");
        MemberAddresses {
            node,
            peer: at(port),
            client: at(port + 1),
            http: at(port + 2),
        }
    }

    fn fields(asked: &[MemberAddresses]) -> Vec<String> {
        match members(asked, NodeId(1)) {
            Err(Refusal::Invalid(wrong)) => wrong.into_iter().map(|one| one.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_core_that_stopped_meanwhile_is_not_said_to_have_formed_nothing() {
        let refusal = not_formed(InitError::Stopped("the disk is full".to_owned()));

        assert!(matches!(refusal, Refusal::Unknown { .. }), "{refusal:?}");
    }

    #[test]
    fn members_are_distinct_and_reachable_and_hold_the_node_that_is_asked() {
        assert_eq!(
            members(&[member(1, 10), member(2, 20)], NodeId(1)).unwrap().len(),
            2
        );
        assert_eq!(fields(&[]), ["members", "members"]);
        assert_eq!(fields(&[member(2, 20)]), ["members"]);
        assert_eq!(fields(&[member(1, 10), member(1, 20)]), ["members[1].node"]);
        assert_eq!(fields(&[member(1, 10), member(2, 12)]), ["members[1].peer"]);
        for wrong in [
            "localhost",
            "http://a:1",
            "a b:1",
            "::1:7400",
            ":7400",
            "a:0",
            "[a]:1",
        ] {
            let nowhere = MemberAddresses {
                client: wrong.to_owned(),
                ..member(1, 10)
            };
            assert_eq!(fields(&[nowhere]), ["members[0].client"], "{wrong}");
        }
        let six = MemberAddresses {
            client: "[::1]:7400".to_owned(),
            ..member(1, 10)
        };
        assert!(members(&[six], NodeId(1)).is_ok());
    }
}
