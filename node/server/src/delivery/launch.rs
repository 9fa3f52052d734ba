//! How an attempt is set off: as a task of its own, with a ticket that holds the fence until it begins, and with a
//! word to the owner when it is over, whichever way it went.

use std::sync::Arc;

use pushrail_adapters::registry;
use pushrail_model::command::QueueKey;
use pushrail_model::ids::{EventSeq, LogIndex};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::delivery::attempt::{self, Job, Outfit};
use crate::delivery::event::Event;
use crate::delivery::gate::Gate;
use crate::delivery::recorder::{Inbox, Made};

/// Where attempts run, and whom they tell.
pub(crate) struct Launcher {
    pub(crate) outfit: Arc<Outfit>,
    pub(crate) attempts: Handle,
    pub(crate) cancel: CancellationToken,
    pub(crate) inbox: Inbox,
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) gate: Gate,
}

impl Launcher {
    /// Sets off one attempt, decided on a view of this index.
    pub(crate) fn launch(&self, job: Job, seq: EventSeq, decided_on: LogIndex) {
        let ticket = self.gate.ticket(decided_on);
        let queue = job.queue;
        let mut ending = Ending {
            events: self.events.clone(),
            queue,
            seq,
            sent: true,
        };
        let kind = registry::adapter(&job.due.destination.spec.kind)
            .map_or("unknown", |adapter| adapter.spec().kind);
        let outfit = Arc::clone(&self.outfit);
        let inbox = self.inbox.clone();
        let cancel = self.cancel.clone();
        self.attempts.spawn(async move {
            tokio::select! {
                made = attempt::make(&outfit, job, ticket) => {
                    ending.sent = made.is_some();
                    // Order: the owner hears that it ended before it can hear that it is recorded.
                    drop(ending);
                    if let Some(attempt) = made {
                        inbox.hand_in(Made { queue, kind, attempt });
                    }
                }
                // Abandoned: whoever owns the shard next makes it again.
                () = cancel.cancelled() => {}
            }
        });
    }
}

/// Tells the owner that an attempt is over, whichever way it went.
struct Ending {
    events: UnboundedSender<Event>,
    queue: QueueKey,
    seq: EventSeq,
    // A panic leaves this true: then the delivery stays open here, and is not tried over and over.
    sent: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let event = Event::Ended {
            queue: self.queue,
            seq: self.seq,
            sent: self.sent,
        };
        // An error says that the loop has ended.
        self.events.send(event).ok();
    }
}
