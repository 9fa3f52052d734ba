//! What a node is told at its start: one checked `Config`, of which each part of the process gets its own section.
//!
//! Called by `serve`. Whatever two nodes could differ in without their states parting may stand here; all else is
//! a command of the log.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use pushrail_model::ids::NodeId;
use pushrail_model::limits;

use crate::config::egress::EgressConfig;
use crate::config::keys::Keys;
use crate::config::problem::ConfigError;

pub mod egress;
pub mod keys;
pub mod load;
pub mod problem;
pub mod units;

mod file;

/// Everything a node is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node; never reused.
    pub node_id: NodeId,
    /// Where log and state lie.
    pub data_dir: PathBuf,
    /// Where callers' gRPC is taken.
    pub listen: SocketAddr,
    /// Where the other nodes' gRPC is taken.
    pub peer_listen: SocketAddr,
    /// Where health and metrics are asked.
    pub http_listen: SocketAddr,
    /// Under which addresses others reach the three.
    pub advertise: Advertise,
    /// Whether addresses beyond loopback are allowed while there is no authentication.
    pub insecure_listen: bool,
    /// What the process says of itself.
    pub log: LogConfig,
    /// What is taken in.
    pub publish: PublishConfig,
    /// What goes out.
    pub delivery: DeliveryConfig,
    /// Through what it goes out.
    pub egress: EgressConfig,
    /// How credentials lie.
    pub credentials: CredentialsConfig,
    /// How nodes agree.
    pub raft: RaftConfig,
    /// How the state is kept.
    pub state: StateConfig,
    /// How the process ends.
    pub shutdown: ShutdownConfig,
}

/// Addresses as others dial them: `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// For callers.
    pub client: String,
    /// For the other nodes.
    pub peer: String,
    /// For health and metrics.
    pub http: String,
}

/// What the process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How.
    pub format: LogFormat,
    /// How much: a level, or `target=level` parts with commas between.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For eyes.
    Human,
}

/// What is taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishConfig {
    /// Bytes of one payload at most.
    pub payload_bytes_max: usize,
}

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryConfig {
    /// Attempts of this node at a time.
    pub concurrency: usize,
    /// Deliveries started whose attempt is not on record yet: beyond it nothing starts.
    pub unrecorded_max: usize,
    /// Networks that may be dialled besides public addresses.
    pub allowed_networks: Vec<IpNet>,
    /// To connect, TLS included.
    pub connect_timeout: Duration,
    /// For a whole attempt.
    pub attempt_timeout: Duration,
}

/// By which keys credentials are sealed: those of the file, or else those given here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialsConfig {
    /// One `id:base64` a line; the first one seals, all open.
    pub keys_file: Option<PathBuf>,
    /// The same, with commas between: meant for the environment.
    pub keys: Hidden,
}

/// A text that shows itself to nobody who does not ask for it by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "nothing" } else { "…" })
    }
}

/// How nodes agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftConfig {
    /// Between two heartbeats of the leader.
    pub heartbeat: Duration,
    /// Silence after which a node may stand for election, at least.
    pub election_min: Duration,
    /// The same, at most.
    pub election_max: Duration,
    /// How far the nodes' wall clocks may differ.
    pub clock_bound: Duration,
}

/// How the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// How fast it is read through in the background, to find damage that nobody met; 0: not at all.
    pub scrub_bytes_per_second: usize,
}

/// How the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// For attempts in flight and for what they brought back to be recorded.
    pub limit: Duration,
}

impl Config {
    /// The defaults, for a node of this number with its data in this directory.
    pub fn new(node: NodeId, data_dir: &Path) -> Result<Self, ConfigError> {
        let mut keys = Keys::default();
        keys.give("node_id", &node.to_string(), keys::Source::Program);
        keys.give("data_dir", &data_dir.display().to_string(), keys::Source::Program);
        Self::read(&mut keys)
    }

    /// Reads every key there is, in the order of `deploy/config/node.toml`.
    pub(crate) fn read(keys: &mut Keys) -> Result<Self, ConfigError> {
        let node_id = NodeId(keys.required("node_id", units::whole(1, u64::MAX)));
        let data_dir = PathBuf::from(keys.required("data_dir", units::text()));
        let listen = keys.take("listen", "127.0.0.1:7400", units::address()).0;
        let peer_listen = keys.take("peer_listen", "127.0.0.1:7401", units::address()).0;
        let http_listen = keys.take("http_listen", "127.0.0.1:7402", units::address()).0;
        let advertise = Advertise {
            client: keys.take("advertise", "", units::host_port_or_empty()),
            peer: keys.take("peer_advertise", "", units::host_port_or_empty()),
            http: keys.take("http_advertise", "", units::host_port_or_empty()),
        };
        let insecure_listen = keys.take("insecure_listen", "false", units::yes_or_no());
        let log = LogConfig {
            format: keys.take(
                "log.format",
                "auto",
                units::choice(&[
                    ("auto", LogFormat::Auto),
                    ("json", LogFormat::Json),
                    ("human", LogFormat::Human),
                ]),
            ),
            level: keys.take("log.level", "info,openraft=off", units::log_level()),
        };
        let publish = PublishConfig {
            payload_bytes_max: keys.take(
                "publish.payload_bytes_max",
                "256KiB",
                units::size(1, limits::PAYLOAD_BYTES_HARD_MAX),
            ),
        };
        let delivery = DeliveryConfig {
            concurrency: keys.take("delivery.concurrency", "512", units::count(1, 65_536)),
            unrecorded_max: keys.take("delivery.unrecorded_max", "4096", units::count(1, 1_048_576)),
            allowed_networks: keys.take("delivery.allowed_networks", "", units::networks()),
            connect_timeout: keys.take("delivery.connect_timeout", "5s", units::duration("10ms", "60s")),
            attempt_timeout: keys.take("delivery.attempt_timeout", "20s", units::duration("10ms", "5m")),
        };
        let egress = EgressConfig {
            proxy: keys.take("egress.proxy", "", units::proxy()),
            proxy_credentials_file: keys.take("egress.proxy_credentials_file", "", units::path_or_empty()),
            ca_file: keys.take("egress.ca_file", "", units::path_or_empty()),
        };
        let credentials = CredentialsConfig {
            keys_file: keys.take("credentials.keys_file", "", units::path_or_empty()),
            keys: Hidden(keys.take("credentials.keys", "", units::any_text())),
        };
        let raft = RaftConfig {
            heartbeat: keys.take("raft.heartbeat", "100ms", units::duration("10ms", "10s")),
            election_min: keys.take("raft.election_min", "500ms", units::duration("30ms", "60s")),
            election_max: keys.take("raft.election_max", "900ms", units::duration("30ms", "60s")),
            clock_bound: keys.take("raft.clock_bound", "10s", units::duration("1s", "1h")),
        };
        let state = StateConfig {
            scrub_bytes_per_second: keys.take(
                "state.scrub_bytes_per_second",
                "1MiB",
                units::size(0, 1 << 30),
            ),
        };
        let shutdown = ShutdownConfig {
            limit: keys.take("shutdown.limit", "25s", units::duration("0s", "10m")),
        };
        let config = Self {
            node_id,
            data_dir,
            listen,
            peer_listen,
            http_listen,
            advertise: Advertise {
                client: or_listen(advertise.client, listen),
                peer: or_listen(advertise.peer, peer_listen),
                http: or_listen(advertise.http, http_listen),
            },
            insecure_listen,
            log,
            publish,
            delivery,
            egress,
            credentials,
            raft,
            state,
            shutdown,
        };
        keys.refuse_unknown();
        config.check_together(keys);
        keys.done().map(|()| config)
    }

    /// What only several keys together can get wrong.
    fn check_together(&self, keys: &mut Keys) {
        let listens = [
            ("listen", self.listen),
            ("peer_listen", self.peer_listen),
            ("http_listen", self.http_listen),
        ];
        for (key, address) in listens {
            if !address.ip().is_loopback() && !self.insecure_listen {
                keys.refuse(
                    key,
                    "a loopback address (127.0.0.0/8 or ::1), because there is no authentication yet and whoever \
                     reaches this port rules the cluster; where the network itself keeps others out, set \
                     insecure_listen = true",
                );
            }
        }
        for (at, (key, address)) in listens.iter().enumerate() {
            let same = listens.iter().take(at).find(|(_, other)| other == address);
            if let Some((other, _)) = same.filter(|_| address.port() != 0) {
                keys.refuse(key, &format!("another address than that of {other}"));
            }
        }
        if self.raft.election_min < 2 * self.raft.heartbeat {
            keys.refuse("raft.election_min", "at least twice raft.heartbeat");
        }
        if self.raft.election_max <= self.raft.election_min {
            keys.refuse("raft.election_max", "more than raft.election_min");
        }
        if self.credentials.keys_file.is_some() && !self.credentials.keys.expose().is_empty() {
            keys.refuse(
                "credentials.keys",
                "nothing, where credentials.keys_file names a file",
            );
        }
        if self.egress.proxy_credentials_file.is_some() && self.egress.proxy.is_none() {
            keys.refuse(
                "egress.proxy_credentials_file",
                "nothing where egress.proxy names no proxy",
            );
        }
        // Where the other one is none, a default that nobody meant stands for it.
        if self.delivery.connect_timeout > self.delivery.attempt_timeout
            && !keys.refused("delivery.attempt_timeout")
        {
            keys.refuse("delivery.connect_timeout", "at most delivery.attempt_timeout");
        }
    }
}

fn or_listen(advertised: String, listen: SocketAddr) -> String {
    if advertised.is_empty() {
        listen.to_string()
    } else {
        advertised
    }
}
