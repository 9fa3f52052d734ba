//! `ReleaseShards`: an owner has finished what was in flight, and lets shards go where they were asked to go.

use pushrail_model::command::ReleaseShards;
use pushrail_model::ids::Epoch;
use pushrail_model::response::Response;
use pushrail_model::shard::Ownership;

use crate::context::Context;
use crate::keys::AssignmentKey;
use crate::store::StoreError;
use crate::tables;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &ReleaseShards) -> Result<Response, StoreError> {
    let mut changed = 0;
    for &(shard, epoch) in &command.shards {
        let Some(present) = tables::get(context.txn, &AssignmentKey { shard })? else {
            continue;
        };
        let Some(to) = present.moving_to else {
            continue;
        };
        if present.owner == command.node && present.epoch == epoch {
            let next = Ownership {
                owner: to,
                epoch: Epoch(epoch.0 + 1),
                moving_to: None,
            };
            context.put_ownership(shard, &next);
            changed += 1;
        }
    }
    Ok(Response::Shards(changed))
}
