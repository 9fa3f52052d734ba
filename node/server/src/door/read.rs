//! Asking the state: how fresh, of which tenant, and what an error of the store means to whoever asked.

use std::time::Duration;

use pushrail_machine::query::{cluster, config};
use pushrail_machine::store::{Read, StoreError};
use pushrail_model::ids::TenantId;
use pushrail_model::tenant::Tenant;
use pushrail_raft::error::ReadError;
use pushrail_raft::view::{Answered, Freshness};
use tokio::time::Instant;

use crate::door::Door;
use crate::door::refusal::{Refusal, Sort};

/// How long a read may wait for the leader and for this node's state.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

impl Door {
    /// Runs a query over a view as fresh as asked, of a cluster that has been formed: what knows nothing yet must not
    /// be taken for what holds nothing.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        freshness: Freshness,
        query: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Answered<T>, Refusal> {
        self.ask_by(freshness, Instant::now() + ANSWER_WITHIN, query)
            .await
    }

    /// As [`Door::ask`], waiting no longer than until `deadline`.
    pub(crate) async fn ask_by<T: Send + 'static>(
        &self,
        freshness: Freshness,
        deadline: Instant,
        query: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Answered<T>, Refusal> {
        let known = move |view: &dyn Read| match cluster(view)? {
            Some(_) => query(view).map(Some),
            None => Ok(None),
        };
        let answered = self.ask_whatever_is_known(freshness, deadline, known).await?;
        let value = answered.value.ok_or_else(|| self.unknown())?;
        Ok(Answered {
            value,
            token: answered.token,
            age: answered.age,
        })
    }

    fn unknown(&self) -> Refusal {
        if self.replica().status().initialised {
            return Refusal::Behind {
                why: "this node has heard nothing from its cluster yet".to_owned(),
            };
        }
        Refusal::NotFormed
    }

    /// Runs a query over a view as fresh as asked, even where there is no cluster yet.
    pub(crate) async fn ask_whatever_is_known<T: Send + 'static>(
        &self,
        freshness: Freshness,
        deadline: Instant,
        query: impl FnOnce(&dyn Read) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Answered<T>, Refusal> {
        let reading = self.replica().read_by(freshness, deadline, |view| query(view));
        let answered = Box::pin(reading).await;
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
        let deadline = Instant::now() + ANSWER_WITHIN;
        self.ask_of_by(freshness, deadline, id, query).await
    }

    /// As [`Door::ask_of`], waiting no longer than until `deadline`.
    pub(crate) async fn ask_of_by<T: Send + 'static>(
        &self,
        freshness: Freshness,
        deadline: Instant,
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
        let mut answered = self.ask_by(freshness, deadline, find.clone()).await?;
        if answered.value.is_none() && freshness == Freshness::Local {
            answered = self.ask_by(Freshness::Linearizable, deadline, find).await?;
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
