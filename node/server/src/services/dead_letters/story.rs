//! One dead letter with its whole story, and how many there are of which cause.

use std::collections::HashMap;

use pushrail_api::v1::{
    DeadLetter, DeadLetterCause, GetDeadLetterRequest, GetDeadLetterResponse, ListDeadLetterCausesRequest,
    ListDeadLetterCausesResponse,
};
use pushrail_machine::query::event::ExplainedDelivery;
use pushrail_machine::query::{attempts, config, dead_letters, delivery, event};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::dead_letter;
use pushrail_model::ids::{DeliveryId, DestinationId, DestinationNo, EventId, TenantId, TenantNo};
use pushrail_model::limits;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;

use crate::door::Door;
use crate::door::refusal::{Refusal, Sort};
use crate::services::events::{place, story};
use crate::services::page::Wanted;
use crate::services::{convert, filter};

/// Attempts of one story: all that a delivery remembers.
const ATTEMPTS_MAX: usize = limits::ATTEMPT_MARKS_MAX;

/// Tells one.
pub(in crate::services) async fn tell(
    door: &Door,
    request: GetDeadLetterRequest,
) -> Result<GetDeadLetterResponse, Refusal> {
    let tenant: TenantId = convert::id("tenant", &request.tenant)?;
    let id: DeliveryId = convert::id("delivery", &request.delivery)?;
    let freshness = convert::freshness(request.consistency.as_ref())?;
    let query = move |view: &dyn Read, tenant: &Tenant| told(view, tenant, id);
    let answered = door.ask_of(freshness, &tenant, query).await?;
    let mut told = answered.value.ok_or(Refusal::NotFound {
        sort: Sort::DeadLetter,
        id: request.delivery,
    })?;
    told.applied = answered.token.to_string();
    told.age = answered.age.and_then(convert::length);
    Ok(told)
}

/// Says how many there are of which cause.
pub(in crate::services) async fn causes(
    door: &Door,
    request: ListDeadLetterCausesRequest,
) -> Result<ListDeadLetterCausesResponse, Refusal> {
    let tenant: TenantId = convert::id("tenant", &request.tenant)?;
    let destination: Option<DestinationId> = filter::named("destination", &request.destination)?;
    let freshness = convert::freshness(request.consistency.as_ref())?;
    let parts = ["causes", &request.tenant, &request.destination];
    let wanted = Wanted::read(request.page_size, &request.page_token, &parts)?;
    let (rows, after) = (wanted.rows, wanted.after.clone());
    let query = move |view: &dyn Read, tenant: &Tenant| {
        let number = match &destination {
            Some(id) => match config::destination(view, tenant, id)? {
                Some(destination) => Some(destination.number),
                None => return Ok(None),
            },
            None => None,
        };
        let of = (Partition::of(&tenant.id), tenant.number);
        let page = dead_letters::causes(view, of, number, after.as_deref(), rows)?;
        let counting = dead_letters::counted_to(view)?.is_some();
        Ok(Some((named(view, of, &page.rows)?, page.next, counting)))
    };
    let answered = door.ask_of(freshness, &tenant, query).await?;
    let (causes, next, counting) = answered.value.ok_or(Refusal::NotFound {
        sort: Sort::Destination,
        id: request.destination,
    })?;
    Ok(ListDeadLetterCausesResponse {
        causes,
        counting,
        next_page_token: wanted.next(next.as_deref()),
        applied: answered.token.to_string(),
        age: answered.age.and_then(convert::length),
    })
}

fn told(
    view: &dyn Read,
    tenant: &Tenant,
    id: DeliveryId,
) -> Result<Option<GetDeadLetterResponse>, StoreError> {
    if id.event.partition != Partition::of(&tenant.id) {
        return Ok(None);
    }
    let Some(key) = delivery::key(view, tenant.number, id)? else {
        return Ok(None);
    };
    let parts = (
        dead_letters::letter(view, &key)?,
        delivery::delivery(view, &key)?,
        event::event(view, tenant.number, id.event)?,
        config::destination_by_number(view, key.partition, key.tenant, key.destination)?,
    );
    let (Some(letter), Some(delivery), Some(event), Some(destination)) = parts else {
        return Ok(None);
    };
    let place = place(view, tenant, &destination)?;
    let explained = ExplainedDelivery {
        key,
        attempts: attempts::of_delivery(view, &key, &delivery, ATTEMPTS_MAX)?,
        destination,
        delivery,
    };
    Ok(Some(GetDeadLetterResponse {
        dead_letter: Some(self::letter(view, &letter)?),
        event: Some(convert::event(&tenant.id, &event, bytes::Bytes::new())),
        payload_bytes: event.new.payload.plain_bytes,
        story: Some(story::delivery(
            &tenant.id,
            id.event,
            &explained,
            &place,
            explained.attempts.len(),
        )),
        kept_until: convert::moment(letter.died.plus(tenant.retention.dead_letters())),
        applied: String::new(),
        age: None,
    }))
}

fn named(
    view: &dyn Read,
    (partition, tenant): (Partition, TenantNo),
    groups: &[dead_letters::OfCause],
) -> Result<Vec<DeadLetterCause>, StoreError> {
    let mut names: HashMap<DestinationNo, String> = HashMap::new();
    let mut causes = Vec::with_capacity(groups.len());
    for group in groups {
        if let std::collections::hash_map::Entry::Vacant(vacant) = names.entry(group.destination) {
            let named = config::destination_by_number(view, partition, tenant, group.destination)?;
            vacant.insert(named.map(|named| named.id.to_string()).unwrap_or_default());
        }
        causes.push(DeadLetterCause {
            destination: names.get(&group.destination).cloned().unwrap_or_default(),
            cause: i32::from(convert::cause(group.cause)),
            dead: group.dead,
        });
    }
    Ok(causes)
}

/// A dead letter with its public ids and names.
pub(in crate::services) fn letter(
    view: &dyn Read,
    letter: &dead_letter::DeadLetter,
) -> Result<DeadLetter, StoreError> {
    let key = letter.delivery;
    let event_id = EventId {
        partition: key.partition,
        seq: key.seq,
    };
    let id = DeliveryId {
        event: event_id,
        place: letter.place,
    };
    let event = event::event(view, key.tenant, event_id)?;
    let destination = config::destination_by_number(view, key.partition, key.tenant, key.destination)?;
    Ok(DeadLetter {
        delivery: id.to_string(),
        event: event_id.to_string(),
        event_type: event
            .map(|event| event.new.event_type.to_string())
            .unwrap_or_default(),
        destination: destination
            .map(|destination| destination.id.to_string())
            .unwrap_or_default(),
        died: convert::moment(letter.died),
        run: letter.run.0,
        reason: i32::from(convert::death(letter.reason)),
        cause: i32::from(convert::cause(letter.cause)),
        status: letter.status.map(u32::from),
        detail: letter.detail.clone(),
        attempts_made: letter.attempts_made,
    })
}
