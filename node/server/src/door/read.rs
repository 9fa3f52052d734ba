//! Asking the state: how fresh, of which tenant, and what an error of the store means to whoever asked.

use pushrail_machine::query::config;
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::ids::TenantId;
use pushrail_model::tenant::Tenant;
use pushrail_raft::error::ReadError;
use pushrail_raft::view::{Answered, Freshness};

use crate::door::Door;
use crate::door::refusal::{Refusal, Sort};

impl Door {
    /// Runs a query over a view as fresh as asked.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        freshness: Freshness,
        query: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Answered<T>, Refusal> {
        let answered = Box::pin(self.replica().read(freshness, |view| query(view))).await;
        let answered = answered.map_err(|error| match error {
            // Nobody leads what has not been formed: that is worth saying.
            ReadError::NoLeader { .. } if !self.replica().status().initialised => Refusal::NotFormed,
            ReadError::NoLeader { .. }
            | ReadError::Behind { .. }
            | ReadError::Fence { .. }
            | ReadError::ForeignToken
            | ReadError::State(_)
            | ReadError::Stopped => error.into(),
        })?;
        Ok(Answered {
            value: answered.value?,
            token: answered.token,
            age: answered.age,
        })
    }

    /// Runs a query about one tenant. One that this node does not know may only be news to it: then the leader is
    /// asked, once, before anybody is told that there is none.
    pub(crate) async fn ask_of<T: Send + 'static>(
        &self,
        freshness: Freshness,
        id: &TenantId,
        query: impl Fn(&dyn Read, &Tenant) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Result<Answered<T>, Refusal> {
        let find = {
            let id = id.clone();
            move |view: &dyn Read| match config::tenant(view, &id)? {
                Some(tenant) => query(view, &tenant).map(Some),
                None => Ok(None),
            }
        };
        let mut answered = self.ask(freshness, find.clone()).await?;
        if answered.value.is_none() && freshness == Freshness::Local {
            answered = self.ask(Freshness::Linearizable, find).await?;
        }
        let Some(value) = answered.value else {
            return Err(Refusal::NotFound {
                sort: Sort::Tenant,
                id: id.to_string(),
            });
        };
        Ok(Answered {
            value,
            token: answered.token,
            age: answered.age,
        })
    }
}
