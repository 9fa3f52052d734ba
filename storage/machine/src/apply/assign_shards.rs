//! `AssignShards`: the leader gives shards out, or asks their owners to let them go. Each move names the epoch that
//! it starts from, so a second copy of the command finds nothing to do.

use pushrail_model::command::{AssignShards, MoveKind, ShardMove};
use pushrail_model::ids::Epoch;
use pushrail_model::response::Response;
use pushrail_model::shard::Ownership;

use crate::context::Context;
use crate::keys::AssignmentKey;
use crate::store::StoreError;
use crate::tables;

pub(super) fn handle(context: &mut Context<'_, '_>, command: &AssignShards) -> Result<Response, StoreError> {
    let mut changed = 0;
    for wish in &command.moves {
        let present = tables::get(context.txn, &AssignmentKey { shard: wish.shard })?;
        if let Some(next) = moved(present, *wish) {
            context.put_ownership(wish.shard, &next);
            changed += 1;
        }
    }
    Ok(Response::Shards(changed))
}

/// The ownership after the move, where it changes anything.
fn moved(present: Option<Ownership>, wish: ShardMove) -> Option<Ownership> {
    let epoch = present.map_or(Epoch(0), |ownership| ownership.epoch);
    if epoch != wish.from_epoch {
        return None;
    }
    match wish.how {
        MoveKind::Give => Some(Ownership {
            owner: wish.to,
            epoch: Epoch(epoch.0 + 1),
            moving_to: None,
        }),
        MoveKind::Ask => present
            .filter(|ownership| ownership.owner != wish.to && ownership.moving_to != Some(wish.to))
            .map(|ownership| Ownership {
                moving_to: Some(wish.to),
                ..ownership
            }),
    }
}
