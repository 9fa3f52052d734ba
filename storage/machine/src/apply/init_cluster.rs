//! `InitCluster`: names the cluster and draws its key, once.

use pushrail_model::command::InitCluster;
use pushrail_model::response::{Rejection, Response};

use crate::context::Context;
use crate::keys::ClusterKey;
use crate::store::StoreError;
use crate::tables;
use crate::tables::cluster::ClusterRow;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &InitCluster) -> Result<Response, StoreError> {
    let asked = ClusterRow {
        cluster: command.cluster,
        hash_key: command.hash_key,
        created: context.now,
    };
    match tables::get(context.txn, &ClusterKey {})? {
        None => {
            tables::put(context.txn, &ClusterKey {}, &asked);
            Ok(Response::Done)
        }
        Some(row) if (row.cluster, row.hash_key) == (asked.cluster, asked.hash_key) => Ok(Response::Done),
        Some(_) => Ok(Response::Rejected(Rejection::AlreadyInitialised)),
    }
}
