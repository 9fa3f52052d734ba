//! Who calls: the name that a call gives of itself and the address that it comes from. Until callers prove who they
//! are, the change log says what they say.

use pushrail_api::ACTOR;
use pushrail_model::change::Actor;
use pushrail_model::limits;
use tonic::Request;

use crate::door::Door;
use crate::door::refusal::Refusal;
use crate::door::settings::checks::too_long;

/// Who asks for a change.
pub(super) fn actor<T>(door: &Door, request: &Request<T>) -> Result<Actor, Refusal> {
    let name = match request.metadata().get(ACTOR) {
        None => "",
        Some(value) => value
            .to_str()
            .map_err(|_| Refusal::invalid(ACTOR, "visible ASCII characters"))?,
    };
    if name.len() > limits::ACTOR_BYTES_MAX {
        return Err(Refusal::invalid(ACTOR, too_long(name, limits::ACTOR_BYTES_MAX)));
    }
    Ok(Actor {
        name: name.to_owned(),
        address: request
            .remote_addr()
            .map_or_else(String::new, |address| address.to_string()),
        door: door.replica().node(),
    })
}
