//! `pushrail.v1.Attempts`.

use std::collections::HashMap;

use pushrail_api::v1::attempts_server;
use pushrail_api::v1::{Attempt, ListAttemptsRequest, ListAttemptsResponse, Order};
use pushrail_machine::query::{attempts, config, delivery};
use pushrail_machine::store::{Direction, Read, StoreError};
use pushrail_model::attempt::AttemptRecord;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{DeliveryId, DestinationId, DestinationNo, EventId, TenantId};
use pushrail_model::limits;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::Timestamp;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort};
use crate::services::page::{PAGE_BYTES_WANTED, Wanted, cut};
use crate::services::{convert, service, status};

/// Rows read at once: a page ends at its bytes long before a thousand full responses.
const CHUNK_ROWS: usize = 64;

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
#[derive(Clone)]
struct Filter {
    event: Option<EventId>,
    destination: Option<DestinationId>,
    since: Timestamp,
    until: Timestamp,
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
        let (since, until) = (filter.since.0.to_string(), filter.until.0.to_string());
        let direction = format!("{:?}", filter.direction);
        let parts: [&str; 7] = [
            "attempts",
            &request.tenant,
            &request.event,
            &request.destination,
            &since,
            &until,
            &direction,
        ];
        let wanted = Wanted::read(request.page_size, &request.page_token, &parts)?;
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

impl Filter {
    fn read(request: &ListAttemptsRequest) -> Result<Self, Refusal> {
        let event = match request.event.as_str() {
            "" => None,
            text => Some(convert::id("event", text)?),
        };
        let destination = match request.destination.as_str() {
            "" => None,
            text => Some(convert::id("destination", text)?),
        };
        if event.is_none() && destination.is_none() {
            return Err(Refusal::invalid(
                "event",
                "one of event and destination is required",
            ));
        }
        let until = request.until.as_ref().map_or(Timestamp::MAX, convert::moment_of);
        let direction = match request.order() {
            Order::Unspecified | Order::NewestFirst => Direction::Descending,
            Order::OldestFirst => Direction::Ascending,
        };
        Ok(Self {
            event,
            destination,
            since: request.since.as_ref().map_or(Timestamp::ZERO, convert::moment_of),
            until,
            direction,
        })
    }

    fn find(
        &self,
        view: &dyn Read,
        tenant: &Tenant,
        rows: usize,
        after: Option<&[u8]>,
    ) -> Result<Found, StoreError> {
        let destination = match &self.destination {
            Some(id) => match config::destination(view, tenant, id)? {
                Some(destination) => Some(destination.number),
                None => return Ok(Found::NoDestination),
            },
            None => None,
        };
        match (self.event, destination) {
            (Some(event), destination) => self.of_event(view, tenant, event, destination, rows, after),
            (None, Some(destination)) => self.of_destination(view, tenant, destination, rows, after),
            (None, None) => Ok(Found::NoEvent),
        }
    }

    /// An event's attempts are bounded, so they are read whole and cut here.
    fn of_event(
        &self,
        view: &dyn Read,
        tenant: &Tenant,
        event: EventId,
        destination: Option<DestinationNo>,
        rows: usize,
        after: Option<&[u8]>,
    ) -> Result<Found, StoreError> {
        let partition = Partition::of(&tenant.id);
        let found = match event.partition == partition {
            true => attempts::of_event(view, tenant.number, event)?,
            false => None,
        };
        let Some(mut records) = found else {
            return Ok(Found::NoEvent);
        };
        records.retain(|record| {
            let attempt = &record.attempt;
            (self.since..self.until).contains(&attempt.start)
                && destination.is_none_or(|number| attempt.delivery.destination == number)
        });
        records.sort_by_key(cursor);
        if self.direction == Direction::Descending {
            records.reverse();
        }
        if let Some(after) = after {
            records.retain(|record| match self.direction {
                Direction::Ascending => cursor(record).as_slice() > after,
                Direction::Descending => cursor(record).as_slice() < after,
            });
        }
        let (records, more) = cut(records, rows, size);
        let next = records.last().filter(|_| more).map(cursor);
        Ok(Found::Page {
            attempts: messages(view, &records)?,
            next,
        })
    }

    fn of_destination(
        &self,
        view: &dyn Read,
        tenant: &Tenant,
        destination: DestinationNo,
        rows: usize,
        after: Option<&[u8]>,
    ) -> Result<Found, StoreError> {
        let mut records: Vec<AttemptRecord> = Vec::new();
        let mut next = after.map(<[u8]>::to_vec);
        let mut bytes = 0;
        loop {
            let page = attempts::of_destination(
                view,
                Partition::of(&tenant.id),
                tenant.number,
                destination,
                self.since,
                self.until,
                next.as_deref(),
                CHUNK_ROWS.min(rows - records.len()),
                self.direction,
            )?;
            bytes += page.rows.iter().map(size).sum::<usize>();
            records.extend(page.rows);
            next = page.next;
            if next.is_none() || records.len() >= rows || bytes >= PAGE_BYTES_WANTED {
                break;
            }
        }
        Ok(Found::Page {
            attempts: messages(view, &records)?,
            next,
        })
    }
}

/// Where a record stands among those of its event: by start, then by what tells two apart.
fn cursor(record: &AttemptRecord) -> Vec<u8> {
    let attempt = &record.attempt;
    let mut cursor = Vec::with_capacity(28);
    cursor.extend_from_slice(&attempt.start.0.to_be_bytes());
    cursor.extend_from_slice(&attempt.delivery.destination.0.to_be_bytes());
    cursor.extend_from_slice(&attempt.run.0.to_be_bytes());
    cursor.extend_from_slice(&attempt.number.0.to_be_bytes());
    cursor.extend_from_slice(&attempt.epoch.0.to_be_bytes());
    cursor
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
    use super::*;

    #[test]
    fn one_of_event_and_destination_is_needed() {
        let refused = Filter::read(&ListAttemptsRequest::default());

        assert!(matches!(refused, Err(Refusal::Invalid(wrong)) if wrong[0].field == "event"));
    }

    #[test]
    fn newest_first_unless_asked() {
        let mut request = ListAttemptsRequest {
            destination: "hook".to_owned(),
            ..ListAttemptsRequest::default()
        };
        let Ok(newest) = Filter::read(&request) else {
            panic!("refused");
        };
        request.order = i32::from(Order::OldestFirst);
        let Ok(oldest) = Filter::read(&request) else {
            panic!("refused");
        };

        assert_eq!(newest.direction, Direction::Descending);
        assert_eq!(oldest.direction, Direction::Ascending);
        assert_eq!((newest.since, newest.until), (Timestamp::ZERO, Timestamp::MAX));
    }
}
