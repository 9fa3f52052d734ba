//! From what callers publish to what the state accepted: prepare, route, pack, propose; and again for events whose
//! tenant's routes have moved in the meantime, under the state that has the move.
//!
//! Invariant: a refusal says *not accepted* only where that is certain.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use pushrail_machine::query;
use pushrail_model::command::{AcceptEvents, Command};
use pushrail_model::event::NewEvent;
use pushrail_model::ids::{EventId, LogIndex, NodeId, TenantId};
use pushrail_model::response::{EventAnswer, Response};
use pushrail_model::shard::Partition;
use pushrail_model::token::Token;
use tokio::time::{Instant, timeout_at};

use crate::door::DoorLimits;
use crate::door::log::Log;
use crate::door::pack::{Packed, pack};
use crate::door::prepare::{Prepared, prepare};
use crate::door::refusal::{Refusal, Sort};
use crate::door::routing::{Routing, RoutingTables};

/// How often an event is routed before the door gives up.
const ROUNDS: usize = 3;
/// All rounds together: callers are promised an answer within 5 s.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_900);

/// An event as a caller gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) tenant: String,
    pub(crate) event_type: String,
    pub(crate) content_type: String,
    pub(crate) payload: Bytes,
    pub(crate) idempotency_key: String,
}

/// What an accepted event is acknowledged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) event: EventId,
    pub(crate) deliveries: u32,
    pub(crate) duplicate: bool,
    pub(crate) token: Token,
}

/// KiB of events that one node may be asked to accept at a time: what is beyond is refused, and not gathered up.
pub(super) const PUBLISHING_KIB_MAX: usize = 256 * 1024;

/// KiB that events take while they are on their way: their payloads, and something for each.
pub(super) fn kib(events: &[Incoming]) -> u32 {
    let kib: usize = events.iter().map(|event| event.payload.len() / 1024 + 1).sum();
    u32::try_from(kib).unwrap_or(u32::MAX)
}

/// What publishing works with.
pub(crate) struct Publisher<'a, L> {
    pub(crate) log: &'a L,
    pub(crate) node: NodeId,
    pub(crate) limits: DoorLimits,
    pub(crate) routing: &'a RoutingTables,
    pub(crate) hash_key: &'a OnceLock<u64>,
}

/// What each event has come to, by its place; `None` while it is under way.
type Results = Vec<Option<Result<Accepted, Refusal>>>;

impl<L: Log> Publisher<'_, L> {
    /// Publishes events; one result for each, in order.
    pub(crate) async fn publish(&self, events: Vec<Incoming>) -> Vec<Result<Accepted, Refusal>> {
        let until = Instant::now() + ANSWER_WITHIN;
        let hash_key = match self.hash_key() {
            Ok(hash_key) => hash_key,
            Err(refusal) => return events.iter().map(|_| Err(refusal.clone())).collect(),
        };
        let mut results: Results = Vec::new();
        let mut waiting: Vec<(usize, Prepared)> = Vec::new();
        for (place, incoming) in events.into_iter().enumerate() {
            match prepare(incoming, self.limits.payload_bytes_max, hash_key) {
                Ok(prepared) => {
                    results.push(None);
                    waiting.push((place, prepared));
                }
                Err(wrong) => results.push(Some(Err(Refusal::Invalid(wrong)))),
            }
        }
        for round in 1..=ROUNDS {
            let Some(moved) = self.round(&waiting, &mut results, until).await else {
                break;
            };
            waiting.retain(|(place, _)| results.get(*place).is_some_and(Option::is_none));
            if round == ROUNDS {
                break;
            }
            let left = until.saturating_duration_since(Instant::now());
            if let Err(error) = self.log.await_applied(moved, left).await {
                tracing::debug!(%error, "routes moved, and the state did not follow in time");
                break;
            }
        }
        // Certain: the state itself refused these for their routes.
        let unsettled = || Err(Refusal::RoutingUnsettled);
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(unsettled))
            .collect()
    }

    /// Routes and proposes what waits. Answers with the index of the last move of routes, where one came in between.
    async fn round(
        &self,
        waiting: &[(usize, Prepared)],
        results: &mut Results,
        until: Instant,
    ) -> Option<LogIndex> {
        let tenants = self.tenants(waiting, until).await;
        let mut events = Vec::with_capacity(waiting.len());
        for (place, prepared) in waiting {
            match tenants.get(&prepared.tenant) {
                Some(Ok(routing)) => {
                    let partition = Partition::of(&prepared.tenant);
                    events.push((*place, partition, self.route(prepared, routing)));
                }
                Some(Err(refusal)) => set(results, *place, Err(refusal.clone())),
                None => set(results, *place, Err(unknown_tenant(&prepared.tenant))),
            }
        }
        let packed = pack(events);
        let proposals = packed.into_iter().map(|packed| self.propose(packed, until));
        let mut moved = None;
        for (places, outcome) in join_all(proposals).await {
            moved = moved.max(settle(&places, outcome, waiting, results));
        }
        moved
    }

    /// The routes of every tenant in `waiting`. One that this node does not know may only be news to it: the leader is
    /// asked once how far the state has come.
    async fn tenants(
        &self,
        waiting: &[(usize, Prepared)],
        until: Instant,
    ) -> HashMap<TenantId, Result<Arc<Routing>, Refusal>> {
        let mut tenants = self.look_up(waiting.iter().map(|(_, prepared)| &prepared.tenant));
        let missing =
            |refusal: &Result<Arc<Routing>, Refusal>| matches!(refusal, Err(Refusal::NotFound { .. }));
        let unknown: Vec<TenantId> = tenants
            .iter()
            .filter(|(_, routing)| missing(routing))
            .map(|(id, _)| id.clone())
            .collect();
        if unknown.is_empty() {
            return tenants;
        }
        let caught_up = timeout_at(until, self.log.catch_up()).await;
        let again: HashMap<_, _> = match caught_up {
            Ok(Ok(())) => self.look_up(unknown.iter()),
            Ok(Err(error)) => {
                let why = error.to_string();
                let refusal = || Err(Refusal::NotAccepted { why: why.clone() });
                unknown.into_iter().map(|id| (id, refusal())).collect()
            }
            Err(_) => {
                let why = "no leader said in time whether there is such a tenant";
                let refusal = || Err(Refusal::NotAccepted { why: why.to_owned() });
                unknown.into_iter().map(|id| (id, refusal())).collect()
            }
        };
        tenants.extend(again);
        tenants
    }

    /// Point reads of rows that are read with every event: memory, in all likelihood, so no thread is changed for it.
    fn look_up<'t>(
        &self,
        tenants: impl Iterator<Item = &'t TenantId>,
    ) -> HashMap<TenantId, Result<Arc<Routing>, Refusal>> {
        let view = self.log.view();
        let mut found = HashMap::new();
        for id in tenants {
            if !found.contains_key(id) {
                let routing = match self.routing.of(&view, id) {
                    Ok(Some(routing)) => Ok(routing),
                    Ok(None) => Err(unknown_tenant(id)),
                    Err(error) => Err(error.into()),
                };
                found.insert(id.clone(), routing);
            }
        }
        found
    }

    fn route(&self, prepared: &Prepared, routing: &Routing) -> NewEvent {
        let routed = routing.decide(&prepared.event_type);
        NewEvent {
            tenant: routing.tenant,
            event_type: prepared.event_type.clone(),
            content_type: prepared.content_type.clone(),
            payload: prepared.payload.clone(),
            idempotency: prepared.idempotency.clone(),
            routing_revision: routing.revision,
            decisions: routed.decisions,
            destinations: routed.destinations,
            door: self.node,
        }
    }

    async fn propose(
        &self,
        packed: Packed,
        until: Instant,
    ) -> (Vec<usize>, Result<(Response, Token), Refusal>) {
        let AcceptEvents { partition, events } = packed.command;
        let command = Command::AcceptEvents(AcceptEvents { partition, events });
        let outcome = match timeout_at(until, self.log.propose(command)).await {
            Ok(Ok(proposed)) => Ok((proposed.response, proposed.token)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Refusal::Unknown {
                why: "no answer in time".to_owned(),
            }),
        };
        (packed.places, outcome)
    }

    fn hash_key(&self) -> Result<u64, Refusal> {
        if let Some(hash_key) = self.hash_key.get() {
            return Ok(*hash_key);
        }
        let row = query::cluster(&self.log.view())?.ok_or(Refusal::NotFormed)?;
        Ok(*self.hash_key.get_or_init(|| row.hash_key))
    }
}

/// Hands the answer to one command to its events; those whose routes have moved stay under way.
fn settle(
    places: &[usize],
    outcome: Result<(Response, Token), Refusal>,
    waiting: &[(usize, Prepared)],
    results: &mut Results,
) -> Option<LogIndex> {
    let (answers, token) = match outcome {
        Ok((Response::Events(answers), token)) if answers.len() == places.len() => (answers, token),
        Ok((response, _)) => {
            let refusal = Refusal::unexpected(&response);
            places
                .iter()
                .for_each(|place| set(results, *place, Err(refusal.clone())));
            return None;
        }
        Err(refusal) => {
            places
                .iter()
                .for_each(|place| set(results, *place, Err(refusal.clone())));
            return None;
        }
    };
    let mut moved = None;
    for (place, answer) in places.iter().zip(answers) {
        let result = match answer {
            EventAnswer::Accepted {
                event,
                deliveries,
                duplicate,
            } => Ok(Accepted {
                event,
                deliveries,
                duplicate,
                token,
            }),
            EventAnswer::KeyConflict { event } => Err(Refusal::KeyConflict { event }),
            EventAnswer::RoutingMoved(index) => {
                moved = moved.max(Some(index));
                continue;
            }
            EventAnswer::UnknownTenant => {
                let prepared = waiting.iter().find(|(at, _)| at == place);
                Err(prepared.map_or(Refusal::RoutingUnsettled, |(_, prepared)| {
                    unknown_tenant(&prepared.tenant)
                }))
            }
        };
        set(results, *place, result);
    }
    moved
}

fn set(results: &mut Results, place: usize, result: Result<Accepted, Refusal>) {
    if let Some(at) = results.get_mut(place) {
        *at = Some(result);
    }
}

fn unknown_tenant(id: &TenantId) -> Refusal {
    Refusal::NotFound {
        sort: Sort::Tenant,
        id: id.to_string(),
    }
}

#[cfg(test)]
mod tests;
