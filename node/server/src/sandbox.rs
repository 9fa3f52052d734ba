//! `pushrail sandbox`: three whole nodes in one process, on loopback, and a receiver that shows what arrives. For
//! trying things out; it is no deployment, and says so. The nodes are those of `serve`, down to disk and wire.

mod inbox;
mod place;
mod receiver;
mod setup;
mod words;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use futures::future::{join_all, select_all};
use pushrail_model::ids::NodeId;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::problem::ConfigError;
use crate::config::units;
use crate::config::{Advertise, Config, LogConfig, LogFormat};
use crate::sandbox::place::{NODES, NodePorts, Place, loopback};
use crate::sandbox::receiver::Receiver;
use crate::serve::{self, Running, ServeError, Surroundings, exit, files};
use crate::telemetry::{self, chain};

/// What is still under way when all has stopped is given this long before its files are removed.
const THREADS_LIMIT: Duration = Duration::from_secs(5);

/// What may be said of a sandbox.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// Keep all data in this directory, and go on with what an earlier sandbox left there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// How to print where everything is
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// What the nodes say of themselves on stderr: a level, or parts such as info,openraft=error
    #[arg(long, value_name = "LEVEL", default_value = "error", value_parser = log_level)]
    log_level: String,
}

/// How places are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For eyes, with what to do next.
    #[default]
    Table,
    /// One JSON object on one line.
    Json,
}

fn log_level(text: &str) -> Result<String, String> {
    let rule = units::log_level();
    (rule.parse)(text).ok_or_else(|| format!("allowed is {}", rule.allowed))
}

/// A sandbox could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A directory could not be used.
    #[error("use directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is something else in it.
    #[error("{path} holds something else: name an empty or new directory, or one that a sandbox left")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// All ports are taken.
    #[error("no port of 127.0.0.1 between 10000 and 18000 is free: end what listens there")]
    NoPort,
    /// Threads or signals.
    #[error("begin")]
    Begin(#[source] io::Error),
    /// The receiver.
    #[error("start the receiver (another sandbox may run on this directory, end it first)")]
    Receiver(#[source] io::Error),
    /// A node's configuration.
    #[error("configure a node")]
    Config(#[from] ConfigError),
    /// A node.
    #[error("start a node")]
    Node(#[from] ServeError),
    /// What is made at the beginning: cluster, tenant, destination, route.
    #[error("{tried}")]
    Setup {
        /// What was to be made.
        tried: &'static str,
        /// Why it was not.
        #[source]
        source: Box<pushrail_api::ClientError>,
    },
    /// A node ended by itself.
    #[error("a node failed: {0}")]
    Failed(String),
}

/// Runs one until Ctrl-C, and ends the process.
pub fn main(flags: &Flags) -> ! {
    telemetry::start(&LogConfig {
        format: LogFormat::Auto,
        level: flags.log_level.clone(),
    });
    files::raise_limit();
    match sandbox(flags) {
        Ok(()) => exit::end(exit::STOPPED),
        Err(error) => {
            say(&format!("error: the sandbox: {}\n", chain(&error)));
            exit::end(exit::FAILED)
        }
    }
}

fn sandbox(flags: &Flags) -> Result<(), SandboxError> {
    let place = match &flags.keep {
        Some(path) => Place::kept(path)?,
        None => Place::temporary()?,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(SandboxError::Begin)?;
    let outcome = runtime.block_on(run(&place, flags.output));
    // Order: nobody writes any more when the files go.
    runtime.shutdown_timeout(THREADS_LIMIT);
    let (path, kept) = (place.path.clone(), place.is_kept());
    place.leave()?;
    outcome?;
    say(&words::end(&path, kept));
    Ok(())
}

async fn run(place: &Place, output: Format) -> Result<(), SandboxError> {
    let mut ended = signals()?;
    let started = tokio::select! {
        started = World::start(place) => started?,
        _ = ended.recv() => return Ok(()),
    };
    let mut world = started;
    let text = match output {
        Format::Table => words::begin(place, &world.receiver),
        Format::Json => format!("{}\n", words::as_json(place, &world.receiver)),
    };
    // Whoever read the first line may have gone.
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    drop(out);
    let failed = tokio::select! {
        why = world.failed() => Some(why),
        _ = ended.recv() => None,
    };
    say("stopping\n");
    tokio::select! {
        () = world.stop() => {}
        _ = ended.recv() => {}
    }
    failed.map_or(Ok(()), |why| Err(SandboxError::Failed(why)))
}

/// Whatever asks a process of a terminal to end.
fn signals() -> Result<tokio::sync::mpsc::Receiver<()>, SandboxError> {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let mut listening = signal(kind).map_err(SandboxError::Begin)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while listening.recv().await.is_some() {
                // Whoever listened has ended, or has been told often enough.
                sender.try_send(()).ok();
            }
        });
    }
    Ok(receiver)
}

fn say(text: &str) {
    // With stderr gone there is nobody left to tell.
    io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// All that runs.
struct World {
    receiver: Receiver,
    nodes: Vec<Running>,
}

impl World {
    async fn start(place: &Place) -> Result<Self, SandboxError> {
        let receiver = Receiver::start(loopback(place.ports.page))
            .await
            .map_err(SandboxError::Receiver)?;
        let mut nodes = Vec::new();
        for (at, ports) in place.ports.nodes.iter().enumerate() {
            let config = config(place, at + 1, ports)?;
            nodes.push(Box::pin(serve::start(config, Surroundings::default())).await?);
        }
        setup::all(&place.ports.nodes, &receiver.hooks()).await?;
        Ok(Self { receiver, nodes })
    }

    /// Resolves when a node cannot go on.
    async fn failed(&mut self) -> String {
        let watched = self.nodes.iter_mut().map(|node| Box::pin(node.failed()));
        select_all(watched).await.0.why
    }

    async fn stop(self) {
        // First the receiver: who is answered slowly would hold the nodes up.
        self.receiver.stop().await;
        join_all(self.nodes.into_iter().map(Running::stop)).await;
    }
}

fn config(place: &Place, number: usize, ports: &NodePorts) -> Result<Config, SandboxError> {
    debug_assert!((1..=NODES).contains(&number));
    let node = NodeId(number as u64);
    let mut config = Config::new(node, &place.data_dir(number))?;
    config.listen = loopback(ports.client);
    config.peer_listen = loopback(ports.peer);
    config.http_listen = loopback(ports.http);
    config.advertise = Advertise {
        client: config.listen.to_string(),
        peer: config.peer_listen.to_string(),
        http: config.http_listen.to_string(),
    };
    // The receiver is on this machine.
    config.delivery.allowed_networks = vec![ipnet::Ipv4Net::new_assert([127, 0, 0, 0].into(), 8).into()];
    config.shutdown.limit = Duration::from_secs(5);
    Ok(config)
}
