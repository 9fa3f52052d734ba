//! `pushrail.v1.Publisher`.

use std::time::Instant;

use pushrail_api::failure;
use pushrail_api::v1::publisher_server;
use pushrail_api::v1::{
    NewEvent, PublishBatchRequest, PublishBatchResponse, PublishRequest, PublishResponse, PublishResult,
    Receipt, publish_result,
};
use pushrail_model::limits;
use tonic::{Request, Response, Status};

use crate::door::publish::{Accepted, Incoming};
use crate::door::refusal::{Refusal, Wrong};
use crate::metrics::{PUBLISH_ACK_DURATION_SECONDS, PUBLISH_ACKNOWLEDGED_TOTAL, PUBLISH_REJECTED_TOTAL};
use crate::services::{service, status};

service!(
    /// Takes events.
    Publisher
);

#[tonic::async_trait]
impl publisher_server::Publisher for Publisher {
    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let event = request.into_inner().event;
        let event = event.ok_or_else(|| status::write(Refusal::invalid("event", "required")))?;
        let mut results = self.taken(vec![incoming(event)]).await;
        let result = results.pop().unwrap_or(Err(Refusal::RoutingUnsettled));
        match result {
            Ok(accepted) => Ok(Response::new(PublishResponse {
                receipt: Some(receipt(accepted)),
            })),
            Err(refusal) => Err(status::write(within("event", refusal))),
        }
    }

    async fn publish_batch(
        &self,
        request: Request<PublishBatchRequest>,
    ) -> Result<Response<PublishBatchResponse>, Status> {
        let events = request.into_inner().events;
        bounds(&events).map_err(status::write)?;
        let results = self.taken(events.into_iter().map(incoming).collect()).await;
        let results = results
            .into_iter()
            .enumerate()
            .map(|(at, result)| {
                let result = match result {
                    Ok(accepted) => publish_result::Result::Accepted(receipt(accepted)),
                    Err(refusal) => {
                        let status = status::write(within(&format!("events[{at}]"), refusal));
                        publish_result::Result::Error(failure::to_message(&status))
                    }
                };
                PublishResult { result: Some(result) }
            })
            .collect();
        Ok(Response::new(PublishBatchResponse { results }))
    }
}

impl Publisher {
    /// Publishes, and counts what came of it.
    async fn taken(&self, events: Vec<Incoming>) -> Vec<Result<Accepted, Refusal>> {
        let begun = Instant::now();
        let results = self.door.publish(events).await;
        for result in &results {
            match result {
                Ok(accepted) => {
                    let outcome = if accepted.duplicate {
                        "duplicate"
                    } else {
                        "accepted"
                    };
                    metrics::counter!(PUBLISH_ACKNOWLEDGED_TOTAL, "outcome" => outcome).increment(1);
                    metrics::histogram!(PUBLISH_ACK_DURATION_SECONDS).record(begun.elapsed());
                }
                Err(refusal) => {
                    let reason = status::reason(refusal).name;
                    metrics::counter!(PUBLISH_REJECTED_TOTAL, "reason" => reason).increment(1);
                }
            }
        }
        results
    }
}

/// What a batch may be as a whole; each event is looked at later.
fn bounds(events: &[NewEvent]) -> Result<(), Refusal> {
    let max = limits::PUBLISH_BATCH_EVENTS_MAX;
    if events.is_empty() || events.len() > max {
        return Err(Refusal::invalid(
            "events",
            format!("{} events; 1 to {max}", events.len()),
        ));
    }
    let bytes: usize = events.iter().map(prost::Message::encoded_len).sum();
    let max = limits::PUBLISH_BATCH_BYTES_MAX;
    if bytes > max {
        return Err(Refusal::invalid(
            "events",
            format!("{bytes} bytes together; at most {max}"),
        ));
    }
    Ok(())
}

fn incoming(event: NewEvent) -> Incoming {
    Incoming {
        tenant: event.tenant,
        event_type: event.event_type,
        content_type: event.content_type,
        payload: event.payload,
        idempotency_key: event.idempotency_key,
    }
}

fn receipt(accepted: Accepted) -> Receipt {
    Receipt {
        event: accepted.event.to_string(),
        duplicate: accepted.duplicate,
        deliveries: accepted.deliveries,
        token: accepted.token.to_string(),
    }
}

/// Fields are named as they stand in the request.
fn within(path: &str, refusal: Refusal) -> Refusal {
    let Refusal::Invalid(wrong) = refusal else {
        return refusal;
    };
    let wrong = wrong.into_iter().map(|one| Wrong {
        field: format!("{path}.{}", one.field),
        why: one.why,
    });
    Refusal::Invalid(wrong.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> NewEvent {
        NewEvent {
            payload: vec![0; bytes].into(),
            ..NewEvent::default()
        }
    }

    #[test]
    fn a_batch_has_bounds_as_a_whole() {
        assert_eq!(bounds(&[event(1)]), Ok(()));
        assert!(bounds(&[]).is_err());
        assert!(bounds(&vec![event(1); 501]).is_err());
        assert!(
            bounds(&vec![event(1024 * 1024); 4]).is_err(),
            "envelopes count too"
        );
        assert_eq!(bounds(&vec![event(1024 * 1024 - 1024); 4]), Ok(()));
    }

    #[test]
    fn a_wrong_field_is_named_by_its_place_in_the_batch() {
        let refusal = within("events[3]", Refusal::invalid("payload", "too large"));

        assert_eq!(refusal, Refusal::invalid("events[3].payload", "too large"));
    }
}
