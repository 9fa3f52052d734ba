//! Three to five real nodes that form one cluster, and what may befall them. When a test fails, the end of each
//! node's log is printed.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pushrail_api::v1;
use tempfile::TempDir;

use crate::door::Door;
use crate::eventually::eventually;
use crate::node::Node;
use crate::process::{Outlives, Signal};
use crate::proxy::Network;

/// How long a cluster may take to form, or to come back: loaded machines are slow.
pub const READY_WITHIN: Duration = Duration::from_secs(30);
/// Once a majority stands, it has a leader within this.
pub const LEADER_WITHIN: Duration = Duration::from_secs(15);

/// What cluster to start.
#[derive(Clone, Debug)]
pub struct Shape {
    nodes: u64,
    cuttable: bool,
    settable_walls: bool,
    settings: Vec<String>,
    outlives: Outlives,
}

impl Shape {
    /// Three nodes that may deliver to loopback.
    pub fn three() -> Self {
        Self {
            nodes: 3,
            cuttable: false,
            settable_walls: false,
            settings: vec![String::from("delivery.allowed_networks=127.0.0.0/8")],
            outlives: Outlives::Nothing,
        }
    }

    /// Another number of nodes.
    pub fn nodes(mut self, nodes: u64) -> Self {
        self.nodes = nodes;
        self
    }

    /// With links that can be cut.
    pub fn cuttable(mut self) -> Self {
        self.cuttable = true;
        self
    }

    /// With wall clocks that can be set wrong.
    pub fn settable_walls(mut self) -> Self {
        self.settable_walls = true;
        self
    }

    /// With processes that can be let be.
    pub fn outliving(mut self) -> Self {
        self.outlives = Outlives::Harness;
        self
    }

    /// With `key=value` in every node's configuration.
    pub fn set(mut self, setting: &str) -> Self {
        let key = setting.split('=').next().unwrap_or_default();
        self.settings.retain(|other| other.split('=').next() != Some(key));
        self.settings.push(setting.to_owned());
        self
    }
}

/// A cluster.
pub struct Cluster {
    nodes: Vec<Node>,
    network: Option<Network>,
    // Last, so that the nodes are dead before their files go.
    directory: TempDir,
}

impl Cluster {
    /// Three nodes, formed and ready.
    pub async fn three() -> Self {
        Self::start(Shape::three()).await
    }

    /// A cluster of this shape, formed and ready.
    pub async fn start(shape: Shape) -> Self {
        let mut cluster = Self::unformed(shape).await;
        for id in cluster.ids() {
            cluster.restart(id);
        }
        cluster.form().await;
        cluster.ready().await;
        cluster
    }

    /// Its nodes, none of them started.
    pub async fn unformed(shape: Shape) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("pushrail-")
            .tempdir()
            .expect("a temporary directory");
        let mut nodes: Vec<Node> = (1..=shape.nodes)
            .map(|id| Node::new(id, directory.path(), &shape.settings))
            .collect();
        for node in &mut nodes {
            node.outlives(shape.outlives);
            if shape.settable_walls {
                node.settable_wall();
            }
        }
        let mut network = None;
        if shape.cuttable {
            let behind: Vec<_> = nodes
                .iter()
                .map(|node| (node.id(), node.peer_address()))
                .collect();
            let links = Network::before(&behind).await;
            for node in &mut nodes {
                node.set(format!("peer_advertise={}", links.address(node.id())));
            }
            network = Some(links);
        }
        Self {
            nodes,
            network,
            directory,
        }
    }

    /// Makes one cluster of the nodes that run.
    pub async fn form(&self) {
        let request = self.members();
        let door = self.door(1);
        eventually("the cluster forms", READY_WITHIN, || async {
            let formed = door.cluster().init(request.clone()).await;
            formed.map(drop).map_err(|status| status.to_string())
        })
        .await;
    }

    /// What forms it.
    pub fn members(&self) -> v1::InitClusterRequest {
        v1::InitClusterRequest {
            members: self.nodes.iter().map(|node| self.member(node)).collect(),
        }
    }

    fn member(&self, node: &Node) -> v1::MemberAddresses {
        let peer = match &self.network {
            Some(network) => network.address(node.id()),
            None => node.peer_address(),
        };
        v1::MemberAddresses {
            node: node.id(),
            peer: peer.to_string(),
            client: node.client_address().to_string(),
            http: node.http_address().to_string(),
        }
    }

    /// Waits until every running node serves, one leads, and every shard has an owner that runs.
    pub async fn ready(&mut self) {
        let running: Vec<u64> = self.running();
        let doors: Vec<Door> = running.iter().map(|id| self.door(*id)).collect();
        for node in &mut self.nodes {
            if let Err(why) = node.check() {
                panic!("{why}");
            }
        }
        eventually("every running node is ready", READY_WITHIN, || async {
            for door in &doors {
                let status = door
                    .status()
                    .await
                    .map_err(|status| format!("node {}: {status}", door.node()))?;
                let owned: u32 = status
                    .members
                    .iter()
                    .filter(|member| running.contains(&node_of(member)))
                    .map(|member| member.shards_owned)
                    .sum();
                let behind = status.members.iter().any(|member| {
                    running.contains(&node_of(member))
                        && (member.lease_remaining.is_none() || member.lag_entries > 100)
                });
                if status.leader_node == 0 || owned != 1024 || behind {
                    return Err(format!("node {} says {}", door.node(), brief(&status)));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Waits until a node owns about as many shards as the others: one that is back is given them after it is ready.
    pub async fn has_its_share(&self, id: u64) {
        let doors = self.doors();
        let share = 1024 / (u32::try_from(doors.len()).expect("a few nodes") + 1);
        eventually("the node has its share of the shards", READY_WITHIN, || async {
            let status = doors[0].status().await.map_err(|status| status.to_string())?;
            let member = status.members.iter().find(|member| node_of(member) == id);
            match member.is_some_and(|member| member.shards_owned >= share) {
                true => Ok(()),
                false => Err(brief(&status)),
            }
        })
        .await;
    }

    /// All numbers.
    pub fn ids(&self) -> Vec<u64> {
        self.nodes.iter().map(Node::id).collect()
    }

    /// Those that have a process.
    pub fn running(&self) -> Vec<u64> {
        self.nodes
            .iter()
            .filter(|node| node.runs())
            .map(Node::id)
            .collect()
    }

    /// A node.
    pub fn node(&mut self, id: u64) -> &mut Node {
        self.nodes
            .iter_mut()
            .find(|node| node.id() == id)
            .expect("a node of this cluster")
    }

    /// A node as callers see it.
    pub fn door(&self, id: u64) -> Door {
        self.nodes
            .iter()
            .find(|node| node.id() == id)
            .expect("a node of this cluster")
            .door()
    }

    /// All nodes as callers see them.
    pub fn doors(&self) -> Vec<Door> {
        self.nodes.iter().map(Node::door).collect()
    }

    /// Where health and metrics of the running nodes are asked.
    pub fn http_addresses(&self) -> Vec<SocketAddr> {
        let running = self.nodes.iter().filter(|node| node.runs());
        running.map(Node::http_address).collect()
    }

    /// The links, of a cuttable cluster.
    pub fn network(&self) -> &Network {
        self.network
            .as_ref()
            .expect("a cluster with links that can be cut")
    }

    /// Where all files lie.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// Lets every process go on by itself, and keeps the files: where they lie, and the processes' ids.
    pub fn let_be(mut self) -> (PathBuf, Vec<u32>) {
        let pids = self.nodes.iter_mut().filter_map(Node::let_be).collect();
        self.directory.disable_cleanup(true);
        (self.directory(), pids)
    }

    /// Starts a node that is not running.
    pub fn restart(&mut self, id: u64) {
        let pid = self.node(id).start();
        if let Some(network) = &self.network {
            network.is(id, pid);
        }
    }

    /// SIGKILL for one node.
    pub fn kill(&mut self, id: u64) {
        self.node(id).kill();
    }

    /// SIGKILL for every node, as close together as can be.
    pub fn kill_all(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
    }

    /// Stops a node's process where it stands.
    pub fn freeze(&mut self, id: u64) {
        self.node(id).process().signal(Signal::Stop);
    }

    /// Lets it go on.
    pub fn thaw(&mut self, id: u64) {
        self.node(id).process().signal(Signal::Cont);
    }

    /// The leader that the running nodes agree on.
    pub async fn leader(&self) -> u64 {
        self.leader_among(&self.running()).await
    }

    /// The leader that these nodes agree on, one of themselves.
    pub async fn leader_among(&self, ids: &[u64]) -> u64 {
        eventually("a leader", LEADER_WITHIN, || async {
            let mut found = Vec::new();
            for id in ids {
                let status = self
                    .door(*id)
                    .status()
                    .await
                    .map_err(|status| format!("node {id}: {status}"))?;
                found.push((status.term, status.leader_node));
            }
            match found.split_first() {
                Some((first, rest)) if ids.contains(&first.1) && rest.iter().all(|other| other == first) => {
                    Ok(first.1)
                }
                _ => Err(format!("(term, leader) as each sees it: {found:?}")),
            }
        })
        .await
    }

    /// A running node that does not lead.
    pub async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        self.running()
            .into_iter()
            .find(|id| *id != leader)
            .expect("a cluster of more than one")
    }

    /// Waits until the running nodes have applied all that is committed, and answers that index.
    pub async fn level(&self) -> u64 {
        let running = self.running();
        eventually("all nodes have applied the same", READY_WITHIN, || async {
            let leader = self.leader_among(&running).await;
            let status = self
                .door(leader)
                .status()
                .await
                .map_err(|status| status.to_string())?;
            let level = status
                .members
                .iter()
                .filter(|member| running.contains(&node_of(member)))
                .all(|member| member.applied_index >= status.committed_index);
            level
                .then_some(status.committed_index)
                .ok_or_else(|| brief(&status))
        })
        .await
    }

    /// Panics if a node ended by itself.
    pub fn check(&mut self) {
        for node in &mut self.nodes {
            if let Err(why) = node.check() {
                panic!("{why}");
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs: Vec<String> = self.nodes.iter().map(Node::tail).collect();
            // Nothing better can be done where even stderr is gone.
            drop(writeln!(std::io::stderr(), "{}", logs.join("\n")));
        }
    }
}

/// The number of a member.
pub fn node_of(member: &v1::Member) -> u64 {
    member.addresses.as_ref().map_or(0, |addresses| addresses.node)
}

/// A status in one line, for messages.
pub fn brief(status: &v1::ClusterStatusResponse) -> String {
    let members: Vec<String> = status
        .members
        .iter()
        .map(|member| {
            format!(
                "{}: live {:?}, applied {}, lag {}, lease {:?}, shards {}",
                node_of(member),
                member.live,
                member.applied_index,
                member.lag_entries,
                member.lease_remaining,
                member.shards_owned
            )
        })
        .collect();
    format!(
        "leader {} in term {}; {}",
        status.leader_node,
        status.term,
        members.join("; ")
    )
}
