//! What goes out: which deliveries start and when, one attempt each, what follows from it, and its way into the log.
//! `serve` starts it and takes it down; it speaks to the replica and to the adapters, and to nobody else.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pushrail_model::ids::NodeId;
use pushrail_raft::clock::Clock;
use pushrail_raft::replica::Replica;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::DeliveryConfig;
use crate::delivery::attempt::Outfit;
use crate::delivery::event::{Ending, Event};
use crate::delivery::gate::Gate;
use crate::delivery::launch::Launcher;
use crate::delivery::links::Links;
use crate::delivery::owner::Owner;
use crate::delivery::queue::{Bounds, Queue};
use crate::telemetry::chain;

mod attempt;
mod event;
mod gate;
mod launch;
mod line;
pub(crate) mod links;
mod look;
mod open;
mod owned;
mod owner;
mod places;
mod queue;
mod recorder;
mod turns;
mod verdict;

/// What is kept, at the end, of the time for ending: to record what came back.
const RECORDING_SHARE: u32 = 5;
/// How long other nodes may take to take this one's shards over, before these rest until it is gone: some rounds of the
/// balancer and of the log. A quarter of the time for ending at most.
const TAKEN_OVER: Duration = Duration::from_secs(2);
const TAKEN_OVER_SHARE: u32 = 4;
/// For how long before attempts are abandoned nothing begins any more, beside one that hangs either: most attempts take
/// less. A quarter of their time at most.
const QUIET: Duration = Duration::from_secs(2);
const QUIET_SHARE: u32 = 4;

/// Whether anybody may take this node's shards over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Its cluster has other members.
    Some,
    /// It is alone.
    None,
}

/// The delivery loop, its attempts and its recorder.
pub(crate) struct Delivery {
    events: UnboundedSender<Event>,
    cancel: CancellationToken,
    recorder: JoinHandle<()>,
    ended: oneshot::Receiver<Result<(), String>>,
}

impl Delivery {
    /// Starts to deliver whatever this node owns. Must be called within the runtime that is to make the attempts.
    pub(crate) fn start(
        node: NodeId,
        replica: Replica,
        clock: Arc<dyn Clock>,
        links: Links,
        config: &DeliveryConfig,
    ) -> io::Result<Self> {
        let (events, inbound) = unbounded_channel();
        let tell = events.clone();
        let (inbox, recorder) = recorder::start(replica.clone(), move |recorded| {
            // An error says that the loop has ended.
            tell.send(Event::Recorded(recorded)).ok();
        });
        let outfit = Outfit {
            node,
            replica,
            clock,
            attempt_timeout: config.attempt_timeout,
        };
        let bounds = Bounds {
            running: config.concurrency,
            open: config.unrecorded_max,
        };
        let cancel = CancellationToken::new();
        let launcher = Launcher {
            outfit: Arc::new(outfit),
            attempts: Handle::current(),
            cancel: cancel.clone(),
            inbox,
            events: events.clone(),
            gate: Gate::default(),
        };
        let owner = Owner::new(launcher, links, inbound, Queue::new(bounds));
        let (tell_ended, ended) = oneshot::channel();
        // A runtime of its own: reading the store may block, and nobody else must wait for that.
        let runtime = Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new()
            .name(format!("deliver-{node}"))
            .spawn(move || {
                let outcome = runtime.block_on(owner.run());
                // An error says that nobody waits for the end.
                tell_ended.send(outcome.map_err(|error| chain(&error))).ok();
            })?;
        Ok(Self {
            events,
            cancel,
            recorder,
            ended,
        })
    }

    /// Resolves when the loop could not go on, with the reason: the node must stop.
    pub(crate) async fn failed(&mut self) -> String {
        match (&mut self.ended).await {
            Ok(Err(why)) => why,
            Err(_) => "the delivery loop failed inside".to_owned(),
            // It was told to, or the replica stopped, which speaks for itself.
            Ok(Ok(())) => std::future::pending().await,
        }
    }

    /// Delivers on until other nodes have taken over, then starts nothing more, lets attempts in flight end and what
    /// they brought back be recorded, all within `limit`. Where there are no `others`, it starts nothing from now on.
    /// Once it is `apart` from the majority for good, nothing more is recorded.
    pub(crate) async fn stop(mut self, limit: Duration, others: Others, apart: impl Future<Output = ()>) {
        let now = Instant::now();
        let until = now + limit;
        let rest_at = match others {
            Others::Some => now + TAKEN_OVER.min(limit / TAKEN_OVER_SHARE),
            Others::None => now,
        };
        let for_attempts = limit - limit / RECORDING_SHARE;
        let quiet_at = now + for_attempts - QUIET.min(for_attempts / QUIET_SHARE);
        // An error says that the loop has ended by itself.
        self.events.send(Event::Stop(Ending { rest_at, quiet_at })).ok();
        match timeout(for_attempts, &mut self.ended).await {
            Ok(Ok(Err(why))) => error!(error = %why, "delivery failed"),
            Ok(Ok(Ok(())) | Err(_)) => {}
            Err(_) => {
                warn!(limit = ?for_attempts, "attempts in flight are abandoned, they will be made again")
            }
        }
        self.cancel.cancel();
        drop(self.events);
        let left = until.saturating_duration_since(Instant::now());
        let recorded = tokio::select! {
            ended = timeout(left, &mut self.recorder) => ended.is_ok(),
            () = apart => false,
        };
        match recorded {
            true => info!("every attempt that came back is on record"),
            false => {
                warn!("attempts that came back could not be recorded, they will be made again");
                self.recorder.abort();
            }
        }
    }
}
