//! Puts a replica together and takes it down, in order.
//!
//! The core, its timers, the peers' service and the lease run on a runtime of their own: a busy door must not look
//! like a dead node. The door and the proposer run on the caller's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use pushrail_machine::query;
use pushrail_model::ids::{BootId, NodeId};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::Questions;
use crate::clock::Clock;
use crate::clockwatch::ClockWatch;
use crate::config::{self, ReplicaConfig};
use crate::desk::Desk;
use crate::error::{Failure, StartError};
use crate::forward::LeaderWays;
use crate::founding::Founder;
use crate::grants::Grants;
use crate::hints::HintSender;
use crate::lease::{self, LeaseKeeper};
use crate::local::DataDir;
use crate::log_store::LogStore;
use crate::membership;
use crate::observe;
use crate::own_state::OwnState;
use crate::peer::Network;
use crate::peers::Peers;
use crate::propose::{self, DoorHandle};
use crate::proposer;
use crate::service::{self, Service};
use crate::stores::{self, Stores};
use crate::timekeeper::Timekeeper;
use crate::types::Raft;

/// The core's threads.
const CORE_THREADS: usize = 2;
/// How long another node may take to become the leader in our place.
const HAND_OVER: Duration = Duration::from_secs(1);
/// How long peers' open calls may take to end.
const LET_GO: Duration = Duration::from_secs(2);

/// Everything that a replica consists of.
pub(crate) struct Parts {
    pub(crate) node: NodeId,
    pub(crate) boot: BootId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: OwnState,
    pub(crate) peers: Arc<Peers>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) lease: Arc<LeaseKeeper>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) founder: Arc<Founder>,
    pub(crate) door: DoorHandle,
    pub(crate) hints: HintSender,
    pub(crate) failed: watch::Sender<Option<Failure>>,
    dir: Arc<Mutex<Option<DataDir>>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    // Taken when it is shut down: a runtime may not be dropped where tasks run.
    runtime: Mutex<Option<Runtime>>,
}

impl Parts {
    pub(crate) async fn start(config: ReplicaConfig, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(CORE_THREADS)
            .thread_name("raft")
            .enable_all()
            .build()
            .map_err(|error| StartError::Core(error.to_string()))?;
        let core = runtime.handle().clone();
        // Held from here on, so that it is shut down rightly where the start fails.
        let runtime = Guarded(Some(runtime));
        let caller = Handle::current();
        let starting = Self::assemble(config, clock, core.clone(), caller);
        let mut parts = core
            .spawn(starting)
            .await
            .map_err(|error| StartError::Core(error.to_string()))??;
        parts.runtime = Mutex::new(runtime.release());
        Ok(parts)
    }

    async fn assemble(
        config: ReplicaConfig,
        clock: Arc<dyn Clock>,
        core: Handle,
        caller: Handle,
    ) -> Result<Self, StartError> {
        let core_config = Arc::new(config::core_config(&config.timings)?);
        let listener = TcpListener::bind(config.peer_listen)
            .await
            .map_err(|source| StartError::Listen {
                address: config.peer_listen,
                source,
            })?;
        let hints = HintSender::default();
        let opened = {
            let (config, hints) = (config.clone(), hints.clone());
            core.spawn_blocking(move || Stores::open(&config.data_dir, config.node, config.scrub, hints))
                .await
                .map_err(|error| StartError::Core(error.to_string()))??
        };
        let boot = opened.dir.boot();
        let peers = Arc::new(Peers::new(config.node, boot, Arc::clone(&config.filter)));
        if let Some(cluster) = opened.dir.cluster() {
            peers.name_cluster(cluster);
        }
        if opened.dir.votes() {
            peers.enfranchise();
        }
        let log = opened.log.clone();
        let raft = Raft::build(
            config.node.0,
            core_config,
            Network::new(Arc::clone(&peers)),
            opened.log,
            opened.machine,
        )
        .await
        .map_err(|error| {
            // What the core could not read as it started, log and state know better.
            let known = log.failure().borrow().clone();
            let known = known.or_else(|| opened.state.failure().borrow().clone());
            match known {
                Some(failure) => stores::not_started(&config.data_dir, failure),
                None => StartError::Core(error.to_string()),
            }
        })?;
        let state = OwnState::new(raft.clone(), opened.state);

        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let time = Arc::new(Timekeeper::new(
            config.node,
            Arc::clone(&clock),
            config.clock_bound,
        ));
        let grants = Arc::new(Grants::new());
        let lease = Arc::new(LeaseKeeper::new(Arc::clone(&clock)));
        let failed = watch::Sender::new(None);
        let dir = Arc::new(Mutex::new(Some(opened.dir)));
        let (leader, leader_seen) = watch::channel(None);

        let (proposer, proposing) = proposer::spawn(raft.clone(), Arc::clone(&time));
        tasks.spawn_on(proposing, &caller);
        let desk = Arc::new(Desk::new(
            state.clone(),
            Arc::clone(&grants),
            Arc::clone(&time),
            Arc::clone(&lease),
            Arc::clone(&clock),
        ));
        let questions = Arc::new(Questions::new(
            Arc::clone(&desk),
            Arc::clone(&peers),
            leader_seen.clone(),
        ));
        let ways = LeaderWays::new(Arc::clone(&peers), proposer.clone());
        let (door, opening) = propose::spawn(
            config.node,
            boot,
            leader_seen.clone(),
            Box::new(ways),
            stop.clone(),
        );
        tasks.spawn_on(opening, &caller);

        let founder = Arc::new(Founder::new(Arc::clone(&peers), raft.clone(), Arc::clone(&dir)));

        // Order: whoever answers peers is ready before the core can campaign.
        let service = Service {
            peers: Arc::clone(&peers),
            raft: raft.clone(),
            proposer,
            desk,
            founder: Arc::clone(&founder),
            stop: stop.clone(),
        };
        tasks.spawn_on(
            async move {
                if let Err(error) = service::serve(service, listener).await {
                    tracing::error!(%error, "the listener for peers has failed");
                }
            },
            &core,
        );
        // Order: nothing is said as this node while another process may be it.
        if let Err(error) = alone(&founder, log.clone(), &config).await {
            stop.cancel();
            return Err(error);
        }
        raft.run();
        let watcher = observe::Watcher {
            state: state.clone(),
            log,
            grants: Arc::clone(&grants),
            time: Arc::clone(&time),
            clock: Arc::clone(&clock),
            peers: Arc::clone(&peers),
            lease: Arc::clone(&lease),
            dir: Arc::clone(&dir),
            failed: failed.clone(),
            stop: stop.clone(),
        };
        tasks.spawn_on(watcher.clone().leadership(leader), &core);
        tasks.spawn_on(watcher.pulse(), &core);
        let clocks = ClockWatch::new(config.node, raft.clone(), time, stop.clone());
        tasks.spawn_on(clocks.run(), &core);
        tasks.spawn_on(
            lease::keep_asking(
                Arc::clone(&questions),
                Arc::clone(&lease),
                state.clone(),
                boot,
                Arc::clone(&clock),
                leader_seen,
                stop.clone(),
            ),
            &core,
        );
        tracing::info!(node = %config.node, %boot, applied = %state.applied(), "the replica has started");
        Ok(Self {
            node: config.node,
            boot,
            clock,
            state,
            peers,
            grants,
            lease,
            questions,
            founder,
            door,
            hints,
            failed,
            dir,
            stop,
            tasks,
            runtime: Mutex::new(None),
        })
    }

    /// The cluster's name, once this node's state knows it. Strangers are refused from then on, not from the next
    /// look of whoever brings the name to disk.
    pub(crate) fn cluster(&self) -> Option<u128> {
        self.peers.cluster().or_else(|| {
            let row = query::cluster(&self.state.view()).ok()??;
            self.peers.name_cluster(row.cluster);
            Some(row.cluster)
        })
    }

    /// Order: the door first, so that nobody is promised anything more; the core before the state is flushed.
    pub(crate) async fn stop(&self) {
        self.hand_over().await;
        self.stop.cancel();
        if let Err(error) = self.state.raft().shutdown().await {
            tracing::warn!(%error, "the consensus core did not end in order");
        }
        self.tasks.close();
        if timeout(LET_GO, self.tasks.wait()).await.is_err() {
            tracing::warn!("some calls between peers did not end in time");
        }
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        let state = self.state.clone();
        let closing = tokio::task::spawn_blocking(move || {
            if let Err(error) = state.flush() {
                // Harmless: what is lost is applied again from the log.
                tracing::warn!(%error, "the state was not flushed");
            }
            drop(state);
            if let Some(runtime) = runtime {
                runtime.shutdown_timeout(LET_GO);
            }
        });
        if closing.await.is_err() {
            tracing::warn!("closing the state panicked");
        }
        // The data directory may be used by another process now.
        self.dir.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Parts {
    /// A leader gives way to the follower that has come furthest, so that nobody has to find out that it is gone.
    async fn hand_over(&self) {
        let raft = self.state.raft();
        let core = raft.metrics().borrow_watched().clone();
        // Whoever is about to stop, too, is no heir; where all are, nobody leads any more.
        let known = self.grants.members();
        let leaves = |node: u64| known.get(&NodeId(node)).is_some_and(|known| known.report.leaving);
        let furthest = core
            .replication
            .unwrap_or_default()
            .into_iter()
            .filter(|(node, _)| *node != self.node.0 && !leaves(*node))
            .max_by_key(|(_, matched)| *matched);
        let Some((heir, _)) = furthest else { return };
        if raft.trigger().transfer_leader(heir).await.is_err() {
            return;
        }
        let mut server = raft.server_metrics();
        let given = async {
            while server.borrow_watched().current_leader == Some(self.node.0) {
                if server.changed().await.is_err() {
                    return;
                }
            }
        };
        if timeout(HAND_OVER, given).await.is_err() {
            tracing::info!(node = heir, "the leadership was not taken over in time");
        }
    }
}

impl Drop for Parts {
    /// A replica that was not stopped ends as by a crash: whatever was not flushed is applied again. It waits for the
    /// core's threads all the same, since the database must not close while the process already ends.
    fn drop(&mut self) {
        self.stop.cancel();
        let runtime = self
            .runtime
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            // From a thread of its own: where tasks run, a runtime may not be waited for.
            let ending = std::thread::spawn(move || runtime.shutdown_timeout(LET_GO));
            ending.join().ok();
        }
    }
}

/// Refuses to start where another process lives at the address that the cluster knows for this node.
async fn alone(founder: &Founder, log: LogStore, config: &ReplicaConfig) -> Result<(), StartError> {
    let members = membership::first_members(log).await.map_err(StartError::Log)?;
    let Some(mine) = members.as_ref().and_then(|members| members.get(&config.node.0)) else {
        return Ok(());
    };
    founder
        .alone_at(&mine.peer)
        .await
        .map_err(|why| StartError::Refused {
            path: config.data_dir.clone(),
            why,
        })
}

/// A runtime that is shut down without waiting where its owner is dropped.
struct Guarded(Option<Runtime>);

impl Guarded {
    fn release(mut self) -> Option<Runtime> {
        self.0.take()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
