//! `RotateCredential`: gives a destination another credential. The one before counts too until its overlap is over;
//! without an overlap it is out at once, and so is every earlier one.

use pushrail_model::change::{Deed, Fact};
use pushrail_model::destination::PreviousCredential;
use pushrail_model::limits;
use pushrail_model::response::Response;
use pushrail_model::settings::RotateCredential;
use pushrail_model::shard::Partition;
use pushrail_model::time::Span;

use crate::changes;
use crate::context::Context;
use crate::reject;
use crate::requests::{self, Act, Asked, Object};
use crate::store::StoreError;
use crate::tables::names;
use crate::tables::requests::Led;

pub(super) fn handle(
    context: &mut Context<'_, '_>,
    command: &RotateCredential,
) -> Result<Response, StoreError> {
    let asked = Asked {
        tenant: &command.tenant,
        object: Object::Destination(&command.id),
        act: Act::Rotate,
        id: &command.request_id,
    };
    // The credential is no part of it: a door may have made each. What a repeat brings is thrown away, so that no
    // secret that was followed by another comes back.
    let content_hash = u128::from(command.overlap.0);
    if let Some(answer) = requests::answer(context.txn, &asked, content_hash)? {
        return Ok(answer);
    }
    let Some(tenant) = names::tenant(context.txn, &command.tenant)? else {
        return Ok(reject::not_found("tenant", &command.tenant));
    };
    let partition = Partition::of(&tenant.id);
    let named = names::destination(context.txn, partition, tenant.number, &command.id)?;
    let Some(mut destination) = named else {
        return Ok(reject::not_found("destination", &command.id));
    };
    if command.version != 0 && command.version != destination.version {
        return Ok(reject::version_moved(destination.version));
    }
    destination
        .previous
        .retain(|previous| command.overlap > Span::ZERO && previous.until > context.now);
    if destination.previous.len() >= limits::PREVIOUS_CREDENTIALS_MAX {
        let limit = u64::try_from(limits::PREVIOUS_CREDENTIALS_MAX).unwrap_or(u64::MAX);
        return Ok(reject::limit_reached(
            "earlier credentials of a destination that still count",
            limit,
        ));
    }

    let before = std::mem::replace(&mut destination.spec.credential, command.credential.clone());
    let mut overlap_until = None;
    if command.overlap > Span::ZERO {
        let until = context.now.plus(command.overlap);
        overlap_until = Some(until);
        destination.previous.insert(
            0,
            PreviousCredential {
                credential: before,
                until,
            },
        );
    }
    destination.version += 1;
    destination.credential_version = destination.version;
    destination.credential_revision += 1;
    context.put_destination(partition, tenant.number, &destination);
    let deed = Deed {
        version: destination.version,
        overlap_until,
        ..Deed::new(&tenant.id, destination.id.as_str(), Fact::CredentialRotated)
    };
    changes::record(context, command.actor.as_ref(), &command.request_id, deed);
    let led = Led {
        tenant: tenant.number,
        object: destination.number.0,
        version: destination.version,
    };
    Ok(requests::carried_out(context, &asked, content_hash, led))
}
