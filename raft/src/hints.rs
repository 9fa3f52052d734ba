//! Hints from applied entries to those who deliver: bounded, and dropped under pressure rather than waited for.
//!
//! Invariant: whoever missed one is told so, and looks for itself.

use pushrail_model::command::Hint;
use tokio::sync::broadcast;

/// Hints kept for a listener that is slow.
const KEPT: usize = 8192;

/// Where the applier puts hints.
#[derive(Clone, Debug)]
pub struct HintSender {
    channel: broadcast::Sender<Hint>,
}

impl Default for HintSender {
    fn default() -> Self {
        Self {
            channel: broadcast::channel(KEPT).0,
        }
    }
}

impl HintSender {
    /// Tells every listener; never waits.
    pub fn send(&self, hints: impl IntoIterator<Item = Hint>) {
        if self.channel.receiver_count() == 0 {
            return;
        }
        for hint in hints {
            // An error only says that the last listener left in between.
            self.channel.send(hint).ok();
        }
    }

    /// Listens from now on.
    pub fn listen(&self) -> HintStream {
        HintStream {
            channel: self.channel.subscribe(),
        }
    }
}

/// What a listener learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something may deserve attention here.
    Hint(Hint),
    /// Hints were dropped: look everywhere.
    Missed,
}

/// Hints as they come.
#[derive(Debug)]
pub struct HintStream {
    channel: broadcast::Receiver<Hint>,
}

impl HintStream {
    /// The next one; `None` once the replica has stopped. Safe to cancel.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.channel.recv().await {
            Ok(hint) => Some(Notice::Hint(hint)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notice::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next one, if it is here already.
    pub fn try_next(&mut self) -> Option<Notice> {
        match self.channel.try_recv() {
            Ok(hint) => Some(Notice::Hint(hint)),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(Notice::Missed),
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use pushrail_model::shard::ShardId;

    use super::*;

    fn hint(shard: u16) -> Hint {
        Hint::Shard(ShardId::new(shard).unwrap())
    }

    #[tokio::test]
    async fn a_listener_hears_what_was_sent_since_it_listens() {
        let sender = HintSender::default();
        sender.send([hint(1)]);
        let mut stream = sender.listen();

        sender.send([hint(2), hint(3)]);

        assert_eq!(stream.next().await, Some(Notice::Hint(hint(2))));
        assert_eq!(stream.next().await, Some(Notice::Hint(hint(3))));
        assert_eq!(stream.try_next(), None);
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_that_it_missed_some() {
        let sender = HintSender::default();
        let mut stream = sender.listen();

        sender.send((0..=KEPT).map(|_| hint(1)));

        assert_eq!(stream.next().await, Some(Notice::Missed));
        assert_eq!(stream.next().await, Some(Notice::Hint(hint(1))));
    }
}
