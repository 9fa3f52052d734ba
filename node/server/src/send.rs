//! One request through an adapter, held to its time, with a panic caught. Attempts of deliveries and a person's tests
//! of a destination both go out here.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use pushrail_adapters::adapter::{Dispatch, Fault, Link, Reply};
use tracing::error;

/// What an adapter gets beyond its own time limits before the request is cut off: it is a defect if it needs it.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// Sends one event. A panic of the adapter is this request's alone.
pub(crate) async fn send(link: &dyn Link, dispatch: Dispatch<'_>, within: Duration) -> Reply {
    let event = dispatch.event_id.clone();
    let batch = [dispatch];
    let sent = AssertUnwindSafe(link.send(&batch)).catch_unwind();
    match tokio::time::timeout(within, sent).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => {
            error!(%event, "adapter panicked");
            Reply::panicked()
        }
        Err(_) => {
            error!(%event, ?within, "adapter overran its time limits");
            Reply::failed(Fault::Timeout, "the attempt took longer than it may")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use async_trait::async_trait;
    use bytes::Bytes;
    use pushrail_adapters::{registry, rules};
    use pushrail_model::ids::{AttemptNumber, DeliveryId, EventId, EventSeq};
    use pushrail_model::outcome::{Cause, FailureClass, Outcome};
    use pushrail_model::shard::Partition;
    use pushrail_model::time::Timestamp;

    use super::*;

    /// A link that does as it is told.
    enum Bad {
        Panics,
        Hangs,
    }

    #[async_trait]
    impl Link for Bad {
        async fn send(&self, _batch: &[Dispatch<'_>]) -> Reply {
            match self {
                Self::Panics => panic!("on purpose"),
                Self::Hangs => pending().await,
            }
        }

        async fn probe(&self) -> Reply {
            Reply::default()
        }
    }

    fn dispatch() -> Dispatch<'static> {
        let event = EventId {
            partition: Partition::default(),
            seq: EventSeq::ZERO,
        };
        Dispatch {
            event_id: event.to_string(),
            delivery: DeliveryId { event, place: 0 },
            number: AttemptNumber(1),
            event_type: "order.paid",
            content_type: "application/json",
            body: Bytes::from_static(b"{}"),
            created: Timestamp(1),
            now: Timestamp(2),
        }
    }

    async fn outcome(link: &dyn Link) -> Outcome {
        let reply = send(link, dispatch(), Duration::from_millis(20)).await;
        rules::classify(registry::adapter("webhook").unwrap().spec(), &reply)
    }

    fn transient(outcome: &Outcome) -> Option<Cause> {
        match outcome {
            Outcome::Failed(failure) if failure.class == FailureClass::Transient => Some(failure.cause),
            Outcome::Failed(_) | Outcome::Delivered => None,
        }
    }

    #[tokio::test]
    async fn a_panic_of_an_adapter_is_that_requests_alone_and_transient() {
        assert_eq!(transient(&outcome(&Bad::Panics).await), Some(Cause::Unknown));
    }

    #[tokio::test]
    async fn an_adapter_that_never_answers_is_cut_off() {
        assert_eq!(transient(&outcome(&Bad::Hangs).await), Some(Cause::Timeout));
    }
}
