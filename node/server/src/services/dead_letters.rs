//! `pushrail.v1.DeadLetters`.

use pushrail_api::v1::dead_letters_server;
use pushrail_api::v1::replay_result::Outcome;
use pushrail_api::v1::{
    DeadLetter, ListDeadLettersRequest, ListDeadLettersResponse, ReplayDeadLettersRequest,
    ReplayDeadLettersResponse, ReplayResult,
};
use pushrail_machine::query::{config, dead_letters, delivery, event};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::dead_letter;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{DeliveryId, DestinationId, EventId, TenantId};
use pushrail_model::limits;
use pushrail_model::replay::ReplayAnswer;
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_raft::view::Freshness;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort, Wrong};
use crate::door::settings::checks::Checks;
use crate::services::page::Wanted;
use crate::services::{convert, service, status};

service!(
    /// Finds dead letters and runs them again.
    DeadLetters
);

#[tonic::async_trait]
impl dead_letters_server::DeadLetters for DeadLetters {
    async fn list(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        self.listed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn replay(
        &self,
        request: Request<ReplayDeadLettersRequest>,
    ) -> Result<Response<ReplayDeadLettersResponse>, Status> {
        self.replayed(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::write)
    }
}

impl DeadLetters {
    async fn listed(&self, request: ListDeadLettersRequest) -> Result<ListDeadLettersResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let destination: Option<DestinationId> = match request.destination.as_str() {
            "" => None,
            text => Some(convert::id("destination", text)?),
        };
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let filter = ["dead letters", &request.tenant, &request.destination];
        let wanted = Wanted::read(request.page_size, &request.page_token, &filter)?;
        let (rows, after) = (wanted.rows, wanted.after.clone());
        let query = move |view: &dyn Read, tenant: &Tenant| {
            let number = match &destination {
                Some(id) => match config::destination(view, tenant, id)? {
                    Some(destination) => Some(destination.number),
                    None => return Ok(None),
                },
                None => None,
            };
            let partition = Partition::of(&tenant.id);
            let page = dead_letters::list(view, partition, tenant.number, number, after.as_deref(), rows)?;
            let letters = page.rows.iter().map(|letter| message(view, letter));
            Ok(Some((
                letters.collect::<Result<Vec<_>, StoreError>>()?,
                page.next,
            )))
        };
        let answered = self.door.ask_of(freshness, &tenant, query).await?;
        let (dead_letters, next) = answered.value.ok_or(Refusal::NotFound {
            sort: Sort::Destination,
            id: request.destination,
        })?;
        Ok(ListDeadLettersResponse {
            dead_letters,
            next_page_token: wanted.next(next.as_deref()),
            applied: answered.token.to_string(),
            age: answered.age.and_then(convert::length),
        })
    }

    async fn replayed(
        &self,
        request: ReplayDeadLettersRequest,
    ) -> Result<ReplayDeadLettersResponse, Refusal> {
        let mut checks = Checks::default();
        let tenant: Option<TenantId> = checks.id("tenant", &request.tenant);
        let request_id = checks.request_id(request.request_id);
        let ids = deliveries(&request.deliveries).map_err(|wrong| {
            wrong
                .into_iter()
                .for_each(|one| checks.complain(&one.field, one.why));
        });
        let (tenant, ids) = checks.finish(tenant.zip(ids.ok()))?;
        let keys = self.keys(&tenant, ids.clone()).await?;

        // What this tenant never had is answered here; the state is asked about the rest.
        let known: Vec<DeliveryKey> = keys.iter().flatten().copied().collect();
        let (answers, token) = self.door.start_replay(tenant, known, request_id).await?;
        let mut answers = answers.into_iter();
        let results = request
            .deliveries
            .into_iter()
            .zip(keys)
            .map(|(delivery, key)| {
                let answer = key.and_then(|_| answers.next());
                let outcome = match answer.unwrap_or(ReplayAnswer::Unknown) {
                    ReplayAnswer::Started => Outcome::Started,
                    ReplayAnswer::NotDead => Outcome::NotDead,
                    ReplayAnswer::Unknown => Outcome::Unknown,
                };
                ReplayResult {
                    delivery,
                    outcome: i32::from(outcome),
                }
            })
            .collect();
        Ok(ReplayDeadLettersResponse {
            results,
            token: token.to_string(),
        })
    }

    /// Where the deliveries stand; events never move, so this node's own state knows them, or the leader's does.
    async fn keys(
        &self,
        tenant: &TenantId,
        ids: Vec<DeliveryId>,
    ) -> Result<Vec<Option<DeliveryKey>>, Refusal> {
        let query = move |view: &dyn Read, tenant: &Tenant| {
            let partition = Partition::of(&tenant.id);
            let keys = ids.iter().map(|id| match id.event.partition == partition {
                true => delivery::key(view, tenant.number, *id),
                false => Ok(None),
            });
            keys.collect::<Result<Vec<_>, StoreError>>()
        };
        let local = self.door.ask_of(Freshness::Local, tenant, query.clone()).await?;
        if local.value.iter().all(Option::is_some) {
            return Ok(local.value);
        }
        Ok(self
            .door
            .ask_of(Freshness::Linearizable, tenant, query)
            .await?
            .value)
    }
}

fn deliveries(texts: &[String]) -> Result<Vec<DeliveryId>, Vec<Wrong>> {
    let max = limits::COMMAND_REPLAYS_MAX;
    if texts.is_empty() || texts.len() > max {
        return Err(vec![Wrong::new(
            "deliveries",
            format!("{} deliveries; 1 to {max}", texts.len()),
        )]);
    }
    let mut ids = Vec::with_capacity(texts.len());
    let mut wrong = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(id) => ids.push(id),
            Err(invalid) => wrong.push(Wrong::id(&format!("deliveries[{at}]"), &invalid)),
        }
    }
    if wrong.is_empty() { Ok(ids) } else { Err(wrong) }
}

fn message(view: &dyn Read, letter: &dead_letter::DeadLetter) -> Result<DeadLetter, StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_delivery_is_named_by_its_place() {
        let wrong = deliveries(&["x".to_owned(), "dlv_1".to_owned()]).unwrap_err();

        let fields: Vec<&str> = wrong.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["deliveries[0]", "deliveries[1]"]);
        assert_eq!(deliveries(&[]).unwrap_err()[0].field, "deliveries");
        assert_eq!(
            deliveries(&vec!["x".to_owned(); 257]).unwrap_err()[0].field,
            "deliveries"
        );
    }
}
