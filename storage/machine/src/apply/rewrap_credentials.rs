//! `RewrapCredentials`: the leader has sealed credentials by another key, and left out those whose time is over. What
//! they say is the same, so no version moves; where the credential has changed meanwhile, nothing happens.

use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::settings::{Rewrap, RewrapCredentials};

use crate::context::Context;
use crate::keys::DestinationKey;
use crate::reject;
use crate::store::StoreError;
use crate::tables;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &RewrapCredentials,
) -> Result<Response, StoreError> {
    if command.credentials.len() > limits::COMMAND_REWRAPS_MAX {
        let limit = u64::try_from(limits::COMMAND_REWRAPS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached("credentials in a command", limit));
    }
    let mut rows = 0;
    for rewrap in &command.credentials {
        rows += u32::from(replace(context, rewrap)?);
    }
    Ok(Response::Advanced { rows, done: true })
}

fn replace(context: &mut Context<'_, '_>, rewrap: &Rewrap) -> Result<bool, StoreError> {
    let key = DestinationKey {
        partition: rewrap.partition,
        tenant: rewrap.tenant,
        destination: rewrap.destination,
    };
    let Some(mut destination) = tables::get(context.txn, &key)? else {
        return Ok(false);
    };
    if destination.is_removed() || destination.credential_revision != rewrap.revision {
        return Ok(false);
    }
    destination.spec.credential = rewrap.credential.clone();
    destination.previous.clone_from(&rewrap.previous);
    destination.previous.truncate(limits::PREVIOUS_CREDENTIALS_MAX);
    destination.credential_revision += 1;
    context.put_destination(rewrap.partition, rewrap.tenant, &destination);
    Ok(true)
}
