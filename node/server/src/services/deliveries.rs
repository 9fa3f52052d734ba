//! `pushrail.v1.Deliveries`.

use std::collections::HashMap;

use pushrail_api::v1;
use pushrail_api::v1::deliveries_server;
use pushrail_api::v1::{ListDeliveriesRequest, ListDeliveriesResponse};
use pushrail_machine::query::config;
use pushrail_machine::query::deliveries::{self, Found, Standing};
use pushrail_machine::query::page::Page;
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::ids::{DeliveryId, DestinationId, DestinationNo, EventId, TenantId};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort};
use crate::services::page::{Wanted, gather};
use crate::services::{convert, filter, service, status};

/// Bytes of a delivery in an answer, roughly.
const ROW_BYTES: usize = 512;

service!(
    /// Finds deliveries.
    Deliveries
);

#[tonic::async_trait]
impl deliveries_server::Deliveries for Deliveries {
    async fn list(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        self.listed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }
}

impl Deliveries {
    async fn listed(&self, request: ListDeliveriesRequest) -> Result<ListDeliveriesResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let destination: Option<DestinationId> = filter::named("destination", &request.destination)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let direction = filter::direction(request.order)?;
        let (since, until) = filter::span(request.since.as_ref(), request.until.as_ref());
        let narrowed = deliveries::Filter {
            destination: None,
            state: standing(request.state)?,
            event_type: filter::event_type(&request.event_type)?,
            since,
            until,
        };
        let wanted = wanted(&request)?;
        let (rows, after) = (wanted.rows, wanted.after.clone());
        let query = move |view: &dyn Read, tenant: &Tenant| {
            let mut narrowed = narrowed.clone();
            if let Some(id) = &destination {
                let Some(destination) = config::destination(view, tenant, id)? else {
                    return Ok(None);
                };
                narrowed.destination = Some(destination.number);
            }
            let of = (Partition::of(&tenant.id), tenant.number);
            let page = gather(
                rows,
                after.as_deref(),
                |_| ROW_BYTES,
                |from, budget| deliveries::list(view, of, &narrowed, direction, from, budget),
            )?;
            messages(view, page).map(Some)
        };
        let answered = self.door.ask_of(freshness, &tenant, query).await?;
        let (deliveries, next) = answered.value.ok_or(Refusal::NotFound {
            sort: Sort::Destination,
            id: request.destination,
        })?;
        Ok(ListDeliveriesResponse {
            deliveries,
            next_page_token: wanted.next(next.as_deref()),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }
}

fn wanted(request: &ListDeliveriesRequest) -> Result<Wanted, Refusal> {
    let filter = ListDeliveriesRequest {
        page_size: 0,
        page_token: String::new(),
        order: filter::order(request.order),
        consistency: None,
        ..request.clone()
    };
    Wanted::of(request.page_size, &request.page_token, "deliveries", &filter)
}

fn standing(number: i32) -> Result<Option<Standing>, Refusal> {
    let Ok(state) = v1::DeliveryState::try_from(number) else {
        return Err(Refusal::invalid("state", format!("{number} is no state")));
    };
    Ok(match state {
        v1::DeliveryState::Unspecified => None,
        v1::DeliveryState::Scheduled => Some(Standing::Scheduled),
        v1::DeliveryState::Delivered => Some(Standing::Delivered),
        v1::DeliveryState::Dead => Some(Standing::Dead),
        v1::DeliveryState::Expired => Some(Standing::Expired),
        v1::DeliveryState::Discarded => Some(Standing::Discarded),
        v1::DeliveryState::Cancelled => Some(Standing::Cancelled),
    })
}

type Messages = (Vec<v1::Delivery>, Option<Vec<u8>>);

/// Deliveries with their public ids; each destination's name is looked up once.
fn messages(view: &dyn Read, page: Page<Found>) -> Result<Messages, StoreError> {
    let mut names: HashMap<DestinationNo, String> = HashMap::new();
    let mut messages = Vec::with_capacity(page.rows.len());
    for found in page.rows {
        let key = found.key;
        if let std::collections::hash_map::Entry::Vacant(vacant) = names.entry(key.destination) {
            let named = config::destination_by_number(view, key.partition, key.tenant, key.destination)?;
            vacant.insert(named.map(|named| named.id.to_string()).unwrap_or_default());
        }
        let id = DeliveryId {
            event: EventId {
                partition: key.partition,
                seq: key.seq,
            },
            place: found.delivery.place,
        };
        let name = names
            .get(&key.destination)
            .map(String::as_str)
            .unwrap_or_default();
        let mut message = convert::delivery(id, name, &found.delivery);
        if let Some((event_type, accepted)) = found.event {
            message.event_type = event_type.to_string();
            message.accepted = convert::moment(accepted);
        }
        messages.push(message);
    }
    Ok((messages, page.next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_filter_is_refused_and_of_another_size_is_not() {
        let mut request = ListDeliveriesRequest {
            tenant: "acme".to_owned(),
            event_type: "order.paid".to_owned(),
            ..ListDeliveriesRequest::default()
        };
        request.page_token = wanted(&request).unwrap().next(Some(b"here"));
        let same = wanted(&ListDeliveriesRequest {
            page_size: 7,
            consistency: Some(v1::Consistency::default()),
            ..request.clone()
        });
        let mut others = vec![request.clone(); 4];
        others[0].tenant = "globex".to_owned();
        others[1].event_type = String::new();
        others[2].state = v1::DeliveryState::Dead.into();
        others[3].order = v1::Order::OldestFirst.into();

        assert_eq!(same.unwrap().after.as_deref(), Some(&b"here"[..]));
        for other in others {
            assert_eq!(wanted(&other), Err(Refusal::PageToken));
        }
    }
}
