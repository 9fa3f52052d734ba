//! `pushrail.v1.DeadLetters`: the calls, the list, and what is done with chosen ones. How they are told one by one and
//! counted is in `story`, jobs are in `jobs`.

mod jobs;
mod story;

use pushrail_api::v1::dead_letters_server;
use pushrail_api::v1::replay_result::Outcome;
use pushrail_api::v1::{
    CancelDeadLetterJobRequest, CancelDeadLetterJobResponse, DiscardDeadLettersRequest,
    DiscardDeadLettersResponse, DiscardResult, GetDeadLetterJobRequest, GetDeadLetterJobResponse,
    GetDeadLetterRequest, GetDeadLetterResponse, ListDeadLetterCausesRequest, ListDeadLetterCausesResponse,
    ListDeadLetterJobsRequest, ListDeadLetterJobsResponse, ListDeadLettersRequest, ListDeadLettersResponse,
    ReplayDeadLettersRequest, ReplayDeadLettersResponse, ReplayResult, StartDeadLetterJobRequest,
    StartDeadLetterJobResponse, discard_result,
};
use pushrail_machine::query::{config, dead_letters, delivery};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::change::Actor;
use pushrail_model::command::StartReplay;
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::ids::{DeliveryId, DestinationId, DestinationNo, TenantId};
use pushrail_model::limits;
use pushrail_model::replay::{DiscardAnswer, ReplayAnswer};
use pushrail_model::shard::Partition;
use pushrail_model::tenant::Tenant;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::door::refusal::{Refusal, Sort, Wrong};
use crate::door::settings::call_deadline;
use crate::door::settings::checks::Checks;
use crate::services::page::{Wanted, gather};
use crate::services::{caller, convert, filter, service, status};

/// Bytes of a dead letter in an answer, roughly: its detail may be as long.
const ROW_BYTES: usize = 1536;

service!(
    /// Finds dead letters, runs them again, or gives them up.
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
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        self.replayed(request.into_inner(), actor, deadline)
            .await
            .map(Response::new)
            .map_err(status::write)
    }

    async fn list_causes(
        &self,
        request: Request<ListDeadLetterCausesRequest>,
    ) -> Result<Response<ListDeadLetterCausesResponse>, Status> {
        story::causes(&self.door, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn get(
        &self,
        request: Request<GetDeadLetterRequest>,
    ) -> Result<Response<GetDeadLetterResponse>, Status> {
        story::tell(&self.door, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn discard(
        &self,
        request: Request<DiscardDeadLettersRequest>,
    ) -> Result<Response<DiscardDeadLettersResponse>, Status> {
        let deadline = call_deadline();
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        self.discarded(request.into_inner(), actor, deadline)
            .await
            .map(Response::new)
            .map_err(status::write)
    }

    async fn start_job(
        &self,
        request: Request<StartDeadLetterJobRequest>,
    ) -> Result<Response<StartDeadLetterJobResponse>, Status> {
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        jobs::start(&self.door, request.into_inner(), actor)
            .await
            .map(Response::new)
            .map_err(status::write)
    }

    async fn get_job(
        &self,
        request: Request<GetDeadLetterJobRequest>,
    ) -> Result<Response<GetDeadLetterJobResponse>, Status> {
        jobs::get(&self.door, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn list_jobs(
        &self,
        request: Request<ListDeadLetterJobsRequest>,
    ) -> Result<Response<ListDeadLetterJobsResponse>, Status> {
        jobs::list(&self.door, request.into_inner())
            .await
            .map(Response::new)
            .map_err(status::read)
    }

    async fn cancel_job(
        &self,
        request: Request<CancelDeadLetterJobRequest>,
    ) -> Result<Response<CancelDeadLetterJobResponse>, Status> {
        let actor = caller::actor(&self.door, &request).map_err(status::write)?;
        jobs::cancel(&self.door, request.into_inner(), actor)
            .await
            .map(Response::new)
            .map_err(status::write)
    }
}

impl DeadLetters {
    async fn listed(&self, request: ListDeadLettersRequest) -> Result<ListDeadLettersResponse, Refusal> {
        let tenant: TenantId = convert::id("tenant", &request.tenant)?;
        let destination: Option<DestinationId> = filter::named("destination", &request.destination)?;
        let freshness = convert::freshness(request.consistency.as_ref())?;
        let direction = filter::direction(request.order)?;
        let (since, until) = filter::span(request.since.as_ref(), request.until.as_ref());
        let narrowed = dead_letters::Filter {
            destination: None,
            cause: filter::cause(request.cause)?,
            status: filter::status(request.status)?,
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
                |from, budget| dead_letters::list(view, of, &narrowed, direction, from, budget),
            )?;
            let messages = page.rows.iter().map(|letter| story::letter(view, letter));
            Ok(Some((
                messages.collect::<Result<Vec<_>, StoreError>>()?,
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
        actor: Actor,
        deadline: Instant,
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
        let deliveries = self.keys(&tenant, ids, deadline).await?;

        let content_hash = convert::content_hash(&ReplayDeadLettersRequest {
            deliveries: request.deliveries.clone(),
            ..ReplayDeadLettersRequest::default()
        });
        let replay = StartReplay {
            tenant,
            request_id,
            deliveries,
            content_hash,
            actor: Some(actor),
            by_destination: true,
        };
        let (answers, token) = self.door.start_replay(replay, deadline).await?;
        let results = request
            .deliveries
            .into_iter()
            .zip(answers)
            .map(|(delivery, answer)| {
                let outcome = match answer {
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

    async fn discarded(
        &self,
        request: DiscardDeadLettersRequest,
        actor: Actor,
        deadline: Instant,
    ) -> Result<DiscardDeadLettersResponse, Refusal> {
        let mut checks = Checks::default();
        let tenant: Option<TenantId> = checks.id("tenant", &request.tenant);
        let request_id = checks.request_id(request.request_id);
        let ids = deliveries(&request.deliveries).map_err(|wrong| {
            wrong
                .into_iter()
                .for_each(|one| checks.complain(&one.field, one.why));
        });
        let (tenant, ids) = checks.finish(tenant.zip(ids.ok()))?;
        let keys = self.keys(&tenant, ids, deadline).await?;

        let discarded = self.door.discard(tenant, keys, request_id, actor, deadline);
        let (answers, token) = discarded.await?;
        let results = request.deliveries.into_iter().zip(answers);
        let results = results.map(|(delivery, answer)| {
            let outcome = match answer {
                DiscardAnswer::Discarded => discard_result::Outcome::Discarded,
                DiscardAnswer::NotDead => discard_result::Outcome::NotDead,
                DiscardAnswer::Unknown => discard_result::Outcome::Unknown,
            };
            DiscardResult {
                delivery,
                outcome: i32::from(outcome),
            }
        });
        Ok(DiscardDeadLettersResponse {
            results: results.collect(),
            token: token.to_string(),
        })
    }

    /// Where the deliveries stand; events never move, so this node's own state knows them, or the leader's does. Each that
    /// was named is there, in order, so that each has an answer, and in that to a repeat the same one: what is not there
    /// any more, or never was, stands at the destination 0, which there never is.
    async fn keys(
        &self,
        tenant: &TenantId,
        ids: Vec<DeliveryId>,
        deadline: Instant,
    ) -> Result<Vec<DeliveryKey>, Refusal> {
        let query = move |view: &dyn Read, tenant: &Tenant| {
            let keys = ids.iter().map(|id| {
                let nowhere = DeliveryKey {
                    partition: id.event.partition,
                    tenant: tenant.number,
                    destination: DestinationNo(0),
                    seq: id.event.seq,
                };
                match id.event.partition == Partition::of(&tenant.id) {
                    true => Ok(delivery::key(view, tenant.number, *id)?.unwrap_or(nowhere)),
                    false => Ok(nowhere),
                }
            });
            keys.collect::<Result<Vec<_>, StoreError>>()
        };
        let known = |keys: &[DeliveryKey]| keys.iter().all(|key| key.destination != DestinationNo(0));
        let local = self
            .door
            .ask_of_by(Freshness::Local, deadline, tenant, query.clone());
        let local = local.await?.value;
        if known(&local) {
            return Ok(local);
        }
        let linearizable = self
            .door
            .ask_of_by(Freshness::Linearizable, deadline, tenant, query);
        Ok(linearizable.await?.value)
    }
}

fn wanted(request: &ListDeadLettersRequest) -> Result<Wanted, Refusal> {
    let filter = ListDeadLettersRequest {
        page_size: 0,
        page_token: String::new(),
        order: filter::order(request.order),
        consistency: None,
        ..request.clone()
    };
    Wanted::of(request.page_size, &request.page_token, "dead letters", &filter)
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
