//! Where an event goes: decided at the door, under the routing revision that this node has applied, every decision
//! kept with the event. Pure, but for a cache of each tenant's routes, which its revision keeps honest.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use pushrail_machine::query::config;
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::event::EventType;
use pushrail_model::ids::{DestinationNo, LogIndex, TenantId, TenantNo};
use pushrail_model::route::{DecisionReason, Route, RoutingDecision};

/// Tenants whose routes are remembered; beyond them the cache begins anew.
const TENANTS_MAX: usize = 4096;

/// What was decided about one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routed {
    /// One for each route, in the routes' order, those against it too.
    pub(crate) decisions: Vec<RoutingDecision>,
    /// The destinations chosen, each once, in the order in which they were chosen.
    pub(crate) destinations: Vec<DestinationNo>,
}

/// A tenant's routes, under one revision.
#[derive(Debug)]
pub(crate) struct Routing {
    pub(crate) tenant: TenantNo,
    pub(crate) revision: LogIndex,
    routes: Vec<Route>,
}

impl Routing {
    /// Decides about an event of this type.
    pub(crate) fn decide(&self, event_type: &EventType) -> Routed {
        decide(&self.routes, event_type)
    }
}

/// A route whose pattern matches chooses its destination; the first to choose one delivers, the others say so.
pub(crate) fn decide(routes: &[Route], event_type: &EventType) -> Routed {
    let mut routed = Routed::default();
    let mut chosen = BTreeSet::new();
    for route in routes {
        let reason = if !route.pattern.matches(event_type) {
            DecisionReason::TypeDiffers
        } else if chosen.insert(route.destination) {
            routed.destinations.push(route.destination);
            DecisionReason::Matched
        } else {
            DecisionReason::AlreadyChosen
        };
        routed.decisions.push(RoutingDecision {
            route: route.number,
            destination: route.destination,
            reason,
        });
    }
    routed
}

/// The routes of the tenants that publish here. The tenant's row is read each time, its routes only when they moved.
#[derive(Default)]
pub(crate) struct RoutingTables {
    tenants: Mutex<HashMap<TenantId, Arc<Routing>>>,
}

impl RoutingTables {
    /// The tenant's routes as `view` shows them; `None` where it shows no such tenant.
    pub(crate) fn of(&self, view: &dyn Read, id: &TenantId) -> Result<Option<Arc<Routing>>, StoreError> {
        let Some(tenant) = config::tenant(view, id)? else {
            return Ok(None);
        };
        let known = self.lock().get(id).map(Arc::clone);
        if let Some(known) = known
            && known.tenant == tenant.number
            && known.revision == tenant.routing_revision
        {
            return Ok(Some(known));
        }
        let routing = Arc::new(Routing {
            tenant: tenant.number,
            revision: tenant.routing_revision,
            routes: config::routes(view, &tenant)?,
        });
        let mut tenants = self.lock();
        if tenants.len() >= TENANTS_MAX && !tenants.contains_key(id) {
            tenants.clear();
        }
        tenants.insert(id.clone(), Arc::clone(&routing));
        Ok(Some(routing))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<Routing>>> {
        // Entries are whole or absent: what a panicking holder left is still true.
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pushrail_model::ids::RouteNo;
    use pushrail_model::time::Timestamp;

    use super::*;

    fn route(number: u32, pattern: &str, destination: u32) -> Route {
        Route {
            id: format!("route-{number}").parse().unwrap(),
            number: RouteNo(number),
            pattern: pattern.parse().unwrap(),
            destination: DestinationNo(destination),
            destination_id: format!("destination-{destination}").parse().unwrap(),
            version: 1,
            created: Timestamp::ZERO,
            first: RouteNo(number),
        }
    }

    #[test]
    fn every_route_decides_and_each_destination_is_chosen_once() {
        let routes = [
            route(1, "order.*", 7),
            route(2, "**", 7),
            route(3, "invoice.*", 8),
            route(4, "order.paid", 9),
        ];

        let routed = decide(&routes, &"order.paid".parse().unwrap());

        let reasons: Vec<DecisionReason> = routed.decisions.iter().map(|decision| decision.reason).collect();
        assert_eq!(
            reasons,
            [
                DecisionReason::Matched,
                DecisionReason::AlreadyChosen,
                DecisionReason::TypeDiffers,
                DecisionReason::Matched,
            ]
        );
        assert_eq!(routed.destinations, [DestinationNo(7), DestinationNo(9)]);
    }

    #[test]
    fn an_event_that_no_route_wants_goes_nowhere() {
        let routed = decide(&[route(1, "order.*", 7)], &"invoice.sent".parse().unwrap());

        assert_eq!(routed.destinations, []);
        assert_eq!(routed.decisions.len(), 1);
    }
}
