//! What makes a request on settings harmless that arrives twice: what it led to is remembered under its id, and a
//! repeat is answered from there, whatever has happened since, and never carried out again. The only writer of
//! `requests`.
//! Invariant: a row stands as long as its expiry does; both go in `DropBuckets`, at least
//! [`limits::REQUEST_WINDOW`](pushrail_model::limits::REQUEST_WINDOW) after the request was carried out.

use prost::Message;
use xxhash_rust::xxh3::xxh3_128;

use pushrail_model::ids::{DestinationId, DestinationNo, RouteId, RouteNo, TenantId};
use pushrail_model::response::{Rejection, Response};
use pushrail_model::shard::{Partition, ShardId};

use crate::codec::{Wire, encode};
use crate::context::Context;
use crate::keys::{Ended, RequestKey, RouteKey};
use crate::reject;
use crate::store::{Read, StoreError};
use crate::tables::requests::{KnownRequest, Led};
use crate::tables::{self, names};

/// What a request does to its object; the numbers stand in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Makes it.
    Create = 1,
    /// Changes what a caller says about it.
    Update = 2,
    /// Removes it.
    Remove = 3,
    /// Pauses a destination.
    Pause = 4,
    /// Resumes a destination.
    Resume = 5,
    /// Gives a destination another credential.
    Rotate = 6,
}

/// What a request is about, within its tenant.
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    /// The tenant itself.
    Tenant,
    /// A destination.
    Destination(&'a DestinationId),
    /// A route.
    Route(&'a RouteId),
}

/// What makes a request the one it is: the same id on another object, or for another act, is another request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whose.
    pub tenant: &'a TenantId,
    /// Of which object.
    pub object: Object<'a>,
    /// What.
    pub act: Act,
    /// Under which id; empty: it can be repeated by nobody.
    pub id: &'a str,
}

/// The content of a request that is all said by its act and its object: a repeat of a removal may name another version,
/// or none.
pub(crate) const NOTHING_MORE: u128 = 0;

/// The answer to a request that is known, and to one that is not it; `None`: it is new, and to be carried out.
pub(crate) fn answer(
    read: &dyn Read,
    asked: &Asked<'_>,
    content_hash: u128,
) -> Result<Option<Response>, StoreError> {
    let Some(known) = known(read, asked)? else {
        return Ok(None);
    };
    if known.content_hash != content_hash {
        return Ok(Some(reject::already_exists("request", asked.id)));
    }
    // A removal is done with for good; all else is done with once its object has gone.
    if asked.act != Act::Remove && !stands(read, asked, &known.led)? {
        let (kind, id) = asked.object.words(asked.tenant);
        return Ok(Some(Response::Rejected(Rejection::RemovedSince {
            kind: kind.to_owned(),
            id: id.to_owned(),
        })));
    }
    Ok(Some(response(asked, &known.led)))
}

/// Remembers what a request led to; gives the answer to it, which is that to its repeats too.
pub(crate) fn carried_out(
    context: &mut Context<'_, '_>,
    asked: &Asked<'_>,
    content_hash: u128,
    led: Led,
) -> Response {
    if !asked.id.is_empty() {
        let key = key_of(asked);
        let known = KnownRequest {
            content_hash,
            led,
            at: context.now,
        };
        tables::mark(context.txn, &key.expiry(context.now));
        tables::put(context.txn, &key, &known);
    }
    response(asked, &led)
}

/// The hash of what a command asks for, once its request id, its actor and its credential are taken out of it.
pub(crate) fn content_hash<T: Wire<Message: Message>>(bare: &T) -> u128 {
    xxh3_128(&encode(bare))
}

/// What a request led to, if it is known.
pub(crate) fn known(read: &dyn Read, asked: &Asked<'_>) -> Result<Option<KnownRequest>, StoreError> {
    match asked.id {
        "" => Ok(None),
        _ => tables::get(read, &key_of(asked)),
    }
}

/// Whether the very object that a request led to is still there: its name may be borne by another.
pub(crate) fn stands(read: &dyn Read, asked: &Asked<'_>, led: &Led) -> Result<bool, StoreError> {
    let tenant = names::tenant(read, asked.tenant)?;
    let Some(tenant) = tenant.filter(|tenant| tenant.number == led.tenant) else {
        return Ok(false);
    };
    let partition = Partition::of(&tenant.id);
    Ok(match asked.object {
        Object::Tenant => true,
        Object::Destination(id) => names::destination(read, partition, tenant.number, id)?
            .is_some_and(|destination| destination.number == DestinationNo(led.object)),
        Object::Route(id) => {
            let key = RouteKey {
                partition,
                tenant: tenant.number,
                id: id.clone(),
            };
            tables::get(read, &key)?.is_some_and(|route| route.first == RouteNo(led.object))
        }
    })
}

fn response(asked: &Asked<'_>, led: &Led) -> Response {
    let version = led.version;
    match asked.object {
        Object::Tenant => Response::Tenant {
            number: led.tenant,
            version,
        },
        Object::Destination(id) => Response::Destination {
            number: DestinationNo(led.object),
            version,
            shard: ShardId::of(Partition::of(asked.tenant), id),
        },
        Object::Route(_) => Response::Route {
            number: RouteNo(led.object),
            version,
        },
    }
}

fn key_of(asked: &Asked<'_>) -> RequestKey {
    let (sort, object) = match asked.object {
        Object::Tenant => (1, String::new()),
        Object::Destination(id) => (2, id.to_string()),
        Object::Route(id) => (3, id.to_string()),
    };
    RequestKey {
        partition: Partition::of(asked.tenant),
        tenant: Ended(asked.tenant.clone()),
        sort,
        object: Ended(object),
        act: asked.act as u8,
        id: asked.id.to_owned(),
    }
}

impl<'a> Object<'a> {
    fn words(&self, tenant: &'a TenantId) -> (&'static str, &'a str) {
        match self {
            Self::Tenant => ("tenant", tenant.as_str()),
            Self::Destination(id) => ("destination", id.as_str()),
            Self::Route(id) => ("route", id.as_str()),
        }
    }
}
