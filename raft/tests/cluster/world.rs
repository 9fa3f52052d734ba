//! A cluster to try things on, and the only way to wait.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use pushrail_model::command::{Command, PutTenant};
use pushrail_model::ids::{NodeId, TenantId};
use pushrail_model::response::Response;
use pushrail_model::time::Timestamp;
use pushrail_raft::clock::{Clock, TestClock};
use pushrail_raft::config::{CutFilter, PeerFilter, ReplicaConfig};
use pushrail_raft::replica::{Proposed, Replica};
use pushrail_raft::status::Role;
use pushrail_raft::types::NodeAddresses;
use tempfile::TempDir;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Some nodes of one cluster.
pub(crate) struct World {
    dir: TempDir,
    members: BTreeMap<NodeId, NodeAddresses>,
    running: BTreeMap<NodeId, Replica>,
    pub(crate) filter: Arc<CutFilter>,
    pub(crate) clock: Arc<TestClock>,
    clocks: BTreeMap<NodeId, Arc<NodeClock>>,
}

/// One node's clocks: the world's, with a wall clock that may be wrong.
struct NodeClock {
    world: Arc<TestClock>,
    // In microseconds; below zero: behind.
    wrong: AtomicI64,
}

impl Clock for NodeClock {
    fn wall(&self) -> Timestamp {
        let right = self.world.wall().0;
        Timestamp(right.saturating_add_signed(self.wrong.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Instant {
        self.world.monotonic()
    }
}

impl World {
    /// Three nodes that form a cluster.
    pub(crate) async fn three() -> Self {
        let mut world = Self::unformed(3).await;
        let first = world.replica(1);
        first.init(world.members.clone()).await.unwrap();
        world.all_follow().await;
        world
    }

    /// Nodes that run and belong to no cluster yet.
    pub(crate) async fn unformed(nodes: u64) -> Self {
        let members = (1..=nodes).map(|node| (NodeId(node), addresses())).collect();
        let clock = Arc::new(TestClock::new());
        let own = |node| {
            let clock = NodeClock {
                world: Arc::clone(&clock),
                wrong: AtomicI64::new(0),
            };
            (NodeId(node), Arc::new(clock))
        };
        let clocks = (1..=nodes).map(own).collect();
        let mut world = Self {
            dir: tempfile::tempdir().unwrap(),
            members,
            running: BTreeMap::new(),
            filter: Arc::default(),
            clock,
            clocks,
        };
        for node in 1..=nodes {
            world.start(node).await;
        }
        world
    }

    pub(crate) fn members(&self) -> BTreeMap<NodeId, NodeAddresses> {
        self.members.clone()
    }

    pub(crate) fn config(&self, node: u64) -> ReplicaConfig {
        let addresses = self.members[&NodeId(node)].clone();
        let listen: SocketAddr = addresses.peer.parse().unwrap();
        let path = self.dir.path().join(format!("node-{node}"));
        let mut config = ReplicaConfig::new(NodeId(node), path, listen, addresses);
        config.filter = Arc::<CutFilter>::clone(&self.filter) as Arc<dyn PeerFilter>;
        config
    }

    pub(crate) async fn start(&mut self, node: u64) {
        let clock = Arc::<NodeClock>::clone(&self.clocks[&NodeId(node)]) as Arc<dyn Clock>;
        let replica = Replica::start(self.config(node), clock).await.unwrap();
        self.running.insert(NodeId(node), replica);
    }

    /// Sets one node's wall clock wrong by so many microseconds, or right by none.
    pub(crate) fn set_wall(&self, node: u64, wrong: i64) {
        self.clocks[&NodeId(node)].wrong.store(wrong, Ordering::Relaxed);
    }

    pub(crate) async fn stop(&mut self, node: u64) {
        self.running.remove(&NodeId(node)).unwrap().stop().await;
    }

    pub(crate) fn replica(&self, node: u64) -> Replica {
        self.running[&NodeId(node)].clone()
    }

    pub(crate) fn running(&self) -> Vec<u64> {
        self.running.keys().map(|node| node.0).collect()
    }

    /// The node that leads, once all that run and are not `cut` agree on one.
    pub(crate) async fn leader_without(&self, cut: Option<u64>) -> u64 {
        let mut found = None;
        eventually("one leader", || {
            let seen: Vec<_> = self
                .running
                .iter()
                .filter(|(node, _)| Some(node.0) != cut)
                .map(|(_, replica)| replica.status())
                .collect();
            let leader = seen.first().and_then(|status| status.leader);
            let agreed = seen.iter().all(|status| status.leader == leader);
            let leads = seen
                .iter()
                .any(|status| status.role == Role::Leader && Some(status.node) == leader);
            found = leader.filter(|_| agreed && leads);
            found.is_some()
        })
        .await;
        found.unwrap().0
    }

    pub(crate) async fn leader(&self) -> u64 {
        self.leader_without(None).await
    }

    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        self.running().into_iter().find(|node| *node != leader).unwrap()
    }

    /// Every node knows the leader and the cluster's name.
    pub(crate) async fn all_follow(&mut self) {
        self.leader().await;
        eventually("all know the cluster", || {
            self.running
                .values()
                .all(|replica| replica.status().cluster.is_some())
        })
        .await;
    }
}

/// What still runs is stopped in order: the databases must not close while the process already ends.
impl Drop for World {
    fn drop(&mut self) {
        let running = std::mem::take(&mut self.running);
        let stopping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(futures::future::join_all(
                running.into_values().map(Replica::stop),
            ));
        });
        stopping.join().unwrap();
    }
}

/// Makes a tenant.
pub(crate) fn tenant(id: &str) -> Command {
    Command::PutTenant(PutTenant {
        id: id.parse().unwrap(),
        description: String::new(),
        request_id: format!("make-{id}"),
        retention: Default::default(),
        actor: None,
    })
}

/// Makes a tenant through `replica`.
pub(crate) async fn make_tenant(replica: &Replica, id: &str) -> Proposed {
    let proposed = replica.propose(tenant(id)).await.unwrap();
    assert!(
        matches!(proposed.response, Response::Tenant { .. }),
        "{proposed:?}"
    );
    proposed
}

/// Whether a view knows the tenant.
pub(crate) fn knows(view: &pushrail_raft::view::View, id: &str) -> bool {
    let id: TenantId = id.parse().unwrap();
    pushrail_machine::query::config::tenant(view, &id)
        .unwrap()
        .is_some()
}

pub(crate) fn addresses() -> NodeAddresses {
    let address = || format!("127.0.0.1:{}", free_port());
    NodeAddresses {
        peer: address(),
        client: address(),
        http: address(),
    }
}

/// A port that nobody listens on, below those that the system gives out by itself; another for each call, and for
/// each test process.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    let own = u16::try_from(std::process::id() % 400).unwrap() * 30;
    for _ in 0..PORTS {
        let port = FIRST + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
