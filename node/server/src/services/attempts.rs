//! `pushrail.v1.Attempts`.

use std::collections::HashMap;

use pushrail_api::v1::attempts_server;
use pushrail_api::v1::{Attempt, AttemptOutcome, ListAttemptsRequest, ListAttemptsResponse};
use pushrail_machine::query::attempts::{self, Came};
use pushrail_machine::query::{config, delivery, event};
use pushrail_machine::store::{Direction, Read, StoreError};
use pushrail_model::attempt::AttemptRecord;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{DeliveryId, DestinationId, DestinationNo, EventId, TenantId};
use pushrail_model::limits;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort};
use crate::services::page::{Wanted, gather};
use crate::services::{convert, filter, service, status};

service!(
    /// Finds attempts.
    Attempts
);

#[tonic::async_trait]
impl attempts_server::Attempts for Attempts {
    async fn list(
        &self,
        request: Request<ListAttemptsRequest>,
    ) -> Result<Response<ListAttemptsResponse>, Status> {
        self.listed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }
}

/// Which attempts, read and checked.
#[derive(Clone, Debug)]
struct Filter {
    event: Option<EventId>,
    destination: Option<DestinationId>,
    narrowed: attempts::Filter,
    direction: Direction,
}

/// What was found of whom.
enum Found {
    Page {
        attempts: Vec<Attempt>,
        next: Option<Vec<u8>>,
    },
    NoDestination,
    NoEvent,
}

impl Attempts {
    async fn listed(&self, request: ListAttemptsRequest) -> Result<ListAttemptsResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let filter = Filter::read(&request)?;
        let wanted = wanted(&request)?;
        let (rows, after) = (wanted.rows, wanted.after.clone());
        let query = move |view: &dyn Read, tenant: &Tenant| filter.find(view, tenant, rows, after.as_deref());
        let answered = self.door.ask_of(freshness, &tenant, query).await?;
        match answered.value {
            Found::Page { attempts, next } => Ok(ListAttemptsResponse {
                attempts,
                next_page_token: wanted.next(next.as_deref()),
                applied: answered.token.to_string(),
                age: answered.age.and_then(convert::length),
            }),
            Found::NoDestination => Err(Refusal::NotFound {
                sort: Sort::Destination,
                id: request.destination,
            }),
            Found::NoEvent => Err(Refusal::NotFound {
                sort: Sort::Event,
                id: request.event,
            }),
        }
    }
}

fn wanted(request: &ListAttemptsRequest) -> Result<Wanted, Refusal> {
    let filter = ListAttemptsRequest {
        page_size: 0,
        page_token: String::new(),
        order: filter::order(request.order),
        consistency: None,
        ..request.clone()
    };
    Wanted::of(request.page_size, &request.page_token, "attempts", &filter)
}

fn came(number: i32) -> Result<Option<Came>, Refusal> {
    match AttemptOutcome::try_from(number) {
        Ok(AttemptOutcome::Unspecified) => Ok(None),
        Ok(AttemptOutcome::Delivered) => Ok(Some(Came::Delivered)),
        Ok(AttemptOutcome::Failed) => Ok(Some(Came::Failed)),
        Err(_) => Err(Refusal::invalid("outcome", format!("{number} is no outcome"))),
    }
}

impl Filter {
    fn read(request: &ListAttemptsRequest) -> Result<Self, Refusal> {
        let (since, until) = filter::span(request.since.as_ref(), request.until.as_ref());
        Ok(Self {
            event: filter::named("event", &request.event)?,
            destination: filter::named("destination", &request.destination)?,
            narrowed: attempts::Filter {
                destination: None,
                outcome: came(request.outcome)?,
                cause: filter::cause(request.cause)?,
                status: filter::status(request.status)?,
                event_type: filter::event_type(&request.event_type)?,
                since,
                until,
            },
            direction: filter::direction(request.order)?,
        })
    }

    fn find(
        &self,
        view: &dyn Read,
        tenant: &Tenant,
        rows: usize,
        after: Option<&[u8]>,
    ) -> Result<Found, StoreError> {
        let mut narrowed = self.narrowed.clone();
        if let Some(id) = &self.destination {
            let Some(destination) = config::destination(view, tenant, id)? else {
                return Ok(Found::NoDestination);
            };
            narrowed.destination = Some(destination.number);
        }
        match self.event {
            Some(event) => self.of_event(view, tenant, event, &narrowed, rows, after),
            None => self.of_tenant(view, tenant, &narrowed, rows, after),
        }
    }

    fn of_event(
        &self,
        view: &dyn Read,
        tenant: &Tenant,
        id: EventId,
        narrowed: &attempts::Filter,
        rows: usize,
        after: Option<&[u8]>,
    ) -> Result<Found, StoreError> {
        let found = match id.partition == Partition::of(&tenant.id) {
            true => event::event(view, tenant.number, id)?,
            false => None,
        };
        let Some(event) = found else {
            return Ok(Found::NoEvent);
        };
        let page = gather(rows, after, size, |from, budget| {
            attempts::of_event(view, &event, narrowed, self.direction, from, budget)
        })?;
        Ok(Found::Page {
            attempts: messages(view, &page.rows)?,
            next: page.next,
        })
    }

    fn of_tenant(
        &self,
        view: &dyn Read,
        tenant: &Tenant,
        narrowed: &attempts::Filter,
        rows: usize,
        after: Option<&[u8]>,
    ) -> Result<Found, StoreError> {
        let of = (Partition::of(&tenant.id), tenant.number);
        let page = gather(rows, after, size, |from, budget| {
            attempts::list(view, of, narrowed, self.direction, from, budget)
        })?;
        Ok(Found::Page {
            attempts: messages(view, &page.rows)?,
            next: page.next,
        })
    }
}

fn size(record: &AttemptRecord) -> usize {
    record.attempt.observed.excerpt.len() + record.attempt.observed.detail.len() + 512
}

/// Records with their public ids: places and names are looked up once each.
fn messages(view: &dyn Read, records: &[AttemptRecord]) -> Result<Vec<Attempt>, StoreError> {
    let mut places: HashMap<DeliveryKey, u16> = HashMap::new();
    let mut names: HashMap<DestinationNo, String> = HashMap::new();
    let mut messages = Vec::with_capacity(records.len());
    for record in records {
        let key = record.attempt.delivery;
        if let std::collections::hash_map::Entry::Vacant(vacant) = places.entry(key) {
            // An attempt outlives its delivery; only what was recorded before it told its place must look there.
            let place = match record.attempt.place {
                Some(place) => place,
                None => delivery::delivery(view, &key)?.map_or(0, |delivery| delivery.place),
            };
            vacant.insert(place);
        }
        if let std::collections::hash_map::Entry::Vacant(vacant) = names.entry(key.destination) {
            let found = config::destination_by_number(view, key.partition, key.tenant, key.destination)?;
            vacant.insert(
                found
                    .map(|destination| destination.id.to_string())
                    .unwrap_or_default(),
            );
        }
        let id = DeliveryId {
            event: EventId {
                partition: key.partition,
                seq: key.seq,
            },
            place: places.get(&key).copied().unwrap_or_default(),
        };
        let name = names
            .get(&key.destination)
            .map(String::as_str)
            .unwrap_or_default();
        messages.push(convert::attempt(
            record,
            id,
            name,
            limits::EXCERPT_FAILED_BYTES_MAX,
        ));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use pushrail_api::v1::{Cause, Order};

    use super::*;

    #[test]
    fn newest_first_unless_asked() {
        let mut request = ListAttemptsRequest::default();
        let newest = Filter::read(&request).unwrap();
        request.order = Order::OldestFirst.into();
        let oldest = Filter::read(&request).unwrap();

        assert_eq!(
            (newest.direction, oldest.direction),
            (Direction::Descending, Direction::Ascending)
        );
    }

    #[test]
    fn a_token_is_bound_to_every_filter() {
        let mut request = ListAttemptsRequest {
            tenant: "acme".to_owned(),
            ..ListAttemptsRequest::default()
        };
        request.page_token = wanted(&request).unwrap().next(Some(b"here"));
        let mut others = vec![request.clone(); 4];
        others[0].outcome = AttemptOutcome::Failed.into();
        others[1].cause = Cause::Auth.into();
        others[2].status = 503;
        others[3].destination = "hook".to_owned();

        assert!(wanted(&request).is_ok());
        for other in others {
            assert_eq!(wanted(&other), Err(Refusal::PageToken));
        }
    }
}
