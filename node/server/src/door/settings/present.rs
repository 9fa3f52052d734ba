//! How an object stands before it is asked to change: what a caller leaves out is filled in from there. A repeat whose
//! object has gone is known here already, and never told that there was none.

use pushrail_machine::query::config;
use pushrail_machine::query::requests::{self, Act, Asked, Object};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::ids::{DestinationId, RouteId, TenantId};
use pushrail_model::tenant::Tenant;
use pushrail_raft::view::Freshness;
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::{Refusal, Sort};

/// What is to change, within its tenant.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Tenant,
    Destination(DestinationId),
    Route(RouteId),
}

/// Which request asks for the change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) tenant: TenantId,
    pub(super) object: Named,
    pub(super) act: Act,
    pub(super) request_id: String,
}

impl Change {
    fn asked(&self) -> Asked<'_> {
        Asked {
            tenant: &self.tenant,
            object: match &self.object {
                Named::Tenant => Object::Tenant,
                Named::Destination(id) => Object::Destination(id),
                Named::Route(id) => Object::Route(id),
            },
            act: self.act,
            id: &self.request_id,
        }
    }

    fn sort(&self) -> Sort {
        match self.object {
            Named::Tenant => Sort::Tenant,
            Named::Destination(_) => Sort::Destination,
            Named::Route(_) => Sort::Route,
        }
    }

    fn missing(&self, sort: Sort) -> Refusal {
        let id = match (&self.object, sort) {
            (Named::Destination(id), Sort::Destination) => id.to_string(),
            (Named::Route(id), Sort::Route) => id.to_string(),
            (Named::Tenant | Named::Destination(_) | Named::Route(_), _) => self.tenant.to_string(),
        };
        Refusal::NotFound { sort, id }
    }
}

/// What there is.
enum Sight<T> {
    Stands(T),
    /// What this very request changed has been removed.
    Removed,
    /// There is none of this sort.
    Missing(Sort),
}

impl Door {
    /// The object as it stands now.
    pub(super) async fn present<T: Send + 'static>(
        &self,
        change: &Change,
        deadline: Instant,
        query: impl Fn(&dyn Read, &Tenant) -> Result<Option<T>, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let find = {
            let change = change.clone();
            move |view: &dyn Read| {
                if requests::stands(view, &change.asked())? == Some(false) {
                    return Ok(Sight::Removed);
                }
                let Some(tenant) = config::tenant(view, &change.tenant)? else {
                    return Ok(Sight::Missing(Sort::Tenant));
                };
                let found = query(view, &tenant)?;
                Ok(found.map_or(Sight::Missing(change.sort()), Sight::Stands))
            }
        };
        match self.ask_by(Freshness::Linearizable, deadline, find).await?.value {
            Sight::Stands(object) => Ok(object),
            Sight::Removed => Err(Refusal::Removed {
                what: change.sort().word(),
            }),
            Sight::Missing(sort) => Err(change.missing(sort)),
        }
    }
}
