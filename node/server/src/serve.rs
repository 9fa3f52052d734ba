//! A whole node: wires the parts, runs them, and takes them down in order. `pushrail serve` runs one; tests run
//! several in one process.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pushrail_adapters::net::{Names, Net, NetConfig, NetError};
use pushrail_raft::clock::{Clock, SystemClock};
use pushrail_raft::config::{OpenFilter, PeerFilter, ReplicaConfig, ScrubPolicy, Timings};
use pushrail_raft::error::{Cause, Failure, StartError};
use pushrail_raft::replica::Replica;
use pushrail_raft::types::NodeAddresses;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::config::egress::EgressError;
use crate::config::load::{self, Flags};
use crate::delivery::Delivery;
use crate::delivery::links::Links;
use crate::door::trial::Trials;
use crate::door::{Door, DoorLimits};
use crate::http::Health;
use crate::keyring::{Keyring, KeyringError};
use crate::readiness::Readiness;
use crate::serve::listener::{Listener, listen, serve_callers, serve_operators};
use crate::shards::balancer;
use crate::telemetry::{self, chain};
use crate::{housekeeping, metrics, services, upkeep};

mod ending;
pub(crate) mod exit;
pub(crate) mod files;
mod listener;

/// For the replica to say what ended another part of the node.
const SAME_MOMENT: Duration = Duration::from_millis(500);

/// A node could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address could not be listened on.
    #[error("listen on {address} ({key})")]
    Listen {
        /// The key that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The replica.
    #[error("start the replica")]
    Replica(#[from] StartError),
    /// The way out.
    #[error("set up the way out")]
    Net(#[from] NetError),
    /// A file that the way out needs.
    #[error("set up the way out")]
    Egress(#[from] EgressError),
    /// The keys.
    #[error("read the keys by which credentials are sealed")]
    Keyring(#[from] KeyringError),
    /// The delivery loop.
    #[error("start the delivery loop")]
    Delivery(#[source] io::Error),
}

/// What is around a node: the machine's own things, or a test's.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Which peers may be spoken to.
    pub peers: Arc<dyn PeerFilter>,
    /// Where host names are looked up.
    pub names: Names,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            peers: Arc::new(OpenFilter),
            names: Names::System,
        }
    }
}

/// A running node.
pub struct Running {
    config: Config,
    replica: Replica,
    delivery: Delivery,
    readiness: Readiness,
    services: services::health::Health,
    following: JoinHandle<()>,
    balancer: JoinHandle<String>,
    upkeep: JoinHandle<String>,
    housekeeping: JoinHandle<()>,
    dead_letters: JoinHandle<String>,
    callers: Listener,
    operators: Listener,
}

/// Starts a node, with everything that is checked about it; returns once it answers.
pub async fn start(config: Config, around: Surroundings) -> Result<Running, ServeError> {
    let figures = metrics::start();
    // Order: addresses first, so that a node that could not be reached does not open its store.
    let callers = listen("listen", config.listen).await?;
    let operators = listen("http_listen", config.http_listen).await?;
    let keyring = Arc::new(Keyring::load(&config.credentials)?);
    if !keyring.seals() {
        warn!(
            "no key is configured (credentials.keys_file): credentials of destinations lie on disk as they were given; rotate \
             them once there is one, since the log keeps what was written before"
        );
    }
    let net = Net::new(NetConfig {
        allowed_networks: config.delivery.allowed_networks.clone(),
        connect_timeout: config.delivery.connect_timeout,
        total_timeout: config.delivery.attempt_timeout,
        names: around.names,
        proxy: config.egress.open()?,
        extra_roots: config.egress.roots()?,
    })?;
    let replica = Replica::start(replica_config(&config, around.peers), Arc::clone(&around.clock)).await?;
    let delivery = Delivery::start(
        config.node_id,
        replica.clone(),
        Arc::clone(&around.clock),
        Links::new(net.clone(), Arc::clone(&keyring)),
        &config.delivery,
    )
    .map_err(ServeError::Delivery)?;
    let readiness = Readiness::of(replica.clone());
    let balancer = tokio::spawn(balancer::run(replica.clone(), Arc::clone(&around.clock)));
    let housekeeping = tokio::spawn(housekeeping::run(replica.clone(), Arc::clone(&keyring), figures));
    let upkeep = tokio::spawn(upkeep::run(replica.clone(), Arc::clone(&keyring)));
    let dead_letters = tokio::spawn(upkeep::dead_letters::run(replica.clone()));
    let limits = DoorLimits {
        payload_bytes_max: config.publish.payload_bytes_max,
    };
    let trials = Trials::new(Arc::clone(&around.clock), config.delivery.attempt_timeout);
    let door = Door::new(replica.clone(), net, keyring, limits, trials);
    let (routes, services) = services::router(&door).await;
    let callers = serve_callers(callers, routes);
    let following = tokio::spawn(services.clone().follow(readiness.clone()));
    let health = Health {
        readiness: readiness.clone(),
        figures,
    };
    let operators = serve_operators(operators, health);
    info!(
        node = %config.node_id,
        listen = %callers.address,
        peer_listen = %config.peer_listen,
        http_listen = %operators.address,
        "node serves"
    );
    Ok(Running {
        config,
        replica,
        delivery,
        readiness,
        services,
        following,
        balancer,
        upkeep,
        housekeeping,
        dead_letters,
        callers,
        operators,
    })
}

fn replica_config(config: &Config, peers: Arc<dyn PeerFilter>) -> ReplicaConfig {
    let advertise = NodeAddresses {
        peer: config.advertise.peer.clone(),
        client: config.advertise.client.clone(),
        http: config.advertise.http.clone(),
    };
    let data_dir = config.data_dir.clone();
    ReplicaConfig {
        timings: Timings {
            heartbeat: config.raft.heartbeat,
            election_min: config.raft.election_min,
            election_max: config.raft.election_max,
        },
        clock_bound: config.raft.clock_bound,
        scrub: match config.state.scrub_bytes_per_second {
            0 => ScrubPolicy::Never,
            bytes => ScrubPolicy::Paced {
                bytes_per_second: bytes as u64,
            },
        },
        filter: peers,
        ..ReplicaConfig::new(config.node_id, data_dir, config.peer_listen, advertise)
    }
}

impl Running {
    /// Where callers' gRPC is taken.
    pub fn client_address(&self) -> SocketAddr {
        self.callers.address
    }

    /// Where health and metrics are asked.
    pub fn http_address(&self) -> SocketAddr {
        self.operators.address
    }

    /// This node's part of the cluster.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Resolves when the node cannot go on, with the reason: it must be dropped, and its process end non-zero.
    pub async fn failed(&mut self) -> Failure {
        let replica = self.replica.failed();
        let failure = tokio::select! {
            // Where several end at once, the replica knows why.
            biased;
            failure = replica => return failure,
            why = self.delivery.failed() => format!("delivery failed: {why}"),
            ended = &mut self.balancer => match ended {
                Ok(why) => format!("balancing failed: {why}"),
                Err(error) => format!("balancing failed inside: {error}"),
            },
            ended = &mut self.upkeep => match ended {
                Ok(why) => format!("upkeep failed: {why}"),
                Err(error) => format!("upkeep failed inside: {error}"),
            },
            ended = &mut self.dead_letters => match ended {
                Ok(why) => format!("jobs over dead letters failed: {why}"),
                Err(error) => format!("jobs over dead letters failed inside: {error}"),
            },
        };
        // What ended them may be the store, of which the replica hears in the same moment.
        timeout(SAME_MOMENT, self.replica.failed())
            .await
            .unwrap_or_else(|_| Failure::other(failure))
    }
}

/// What `pushrail serve` does: a node until SIGTERM or Ctrl-C, or until it fails.
pub fn main(flags: &Flags) -> ExitCode {
    let config = match load::load(flags, std::env::vars_os()) {
        Ok(config) => config,
        Err(error) => {
            // There is no process log yet, and nobody else to tell where stderr is closed.
            writeln!(io::stderr(), "error: {}", chain(&error)).ok();
            return ExitCode::from(exit::MISCONFIGURED);
        }
    };
    telemetry::start(&config.log);
    files::raise_limit();
    if config.insecure_listen {
        warn!(
            "insecure_listen = true: there is no authentication, whoever reaches these ports rules the cluster"
        );
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "no threads to run on");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(config));
    // What was abandoned is not waited for.
    runtime.shutdown_background();
    exit::end(code)
}

async fn run(config: Config) -> u8 {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        error!("signals cannot be listened for");
        return exit::FAILED;
    };
    let mut asked = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let started = tokio::select! {
        started = start(config, Surroundings::default()) => started,
        () = asked() => return exit::STOPPED,
    };
    let mut running = match started {
        Ok(running) => running,
        Err(error) => {
            let code = match &error {
                ServeError::Replica(error) => exit::code(error.cause()),
                ServeError::Egress(_) | ServeError::Net(_) | ServeError::Keyring(_) => exit::MISCONFIGURED,
                ServeError::Listen { .. } | ServeError::Delivery(_) => exit::FAILED,
            };
            error!(error = %chain(&error), help = %remedy::remedy(&error), "node cannot start");
            return code;
        }
    };
    tokio::select! {
        failure = running.failed() => {
            error!(why = %failure, "{}", exit::words(failure.cause));
            return exit::code(failure.cause);
        }
        () = asked() => {}
    }
    let failed = running.replica().failed();
    // A core that ends because it was told to is no failure; a disk that refuses the last writes is one.
    let broken = async {
        let failure = failed.await;
        if failure.cause == Cause::Other {
            std::future::pending::<()>().await;
        }
        failure
    };
    tokio::select! {
        () = running.stop() => exit::STOPPED,
        failure = broken => {
            error!(why = %failure, "{}", exit::words(failure.cause));
            exit::code(failure.cause)
        }
        () = asked() => {
            warn!("asked to stop again, ending at once");
            exit::FAILED
        }
    }
}

mod remedy;
#[cfg(test)]
mod tests;
