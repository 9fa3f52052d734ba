//! Commands on what people set up: updates, removals, rotations. Each bears its request id, so that a repeat is
//! harmless, and who asked for it.

use bytes::Bytes;

use crate::change::Actor;
use crate::destination::{DestinationSpec, PreviousCredential};
use crate::ids::{DestinationId, DestinationNo, RouteId, TenantId, TenantNo};
use crate::retention::Retention;
use crate::route::Pattern;
use crate::shard::Partition;
use crate::time::Span;

/// Changes a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateTenant {
    /// Which.
    pub id: TenantId,
    /// For people.
    pub description: String,
    /// How long its rows are kept.
    pub retention: Retention,
    /// The version that this was made for.
    pub version: u64,
    /// A repeat is harmless.
    pub request_id: String,
    /// Of what the caller said, hashed at the door before it filled in what stands.
    pub content_hash: u128,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// Changes a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateDestination {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: DestinationId,
    /// What it is to be; kind and credential stay as they are, whatever stands here.
    pub spec: DestinationSpec,
    /// The version that this was made for.
    pub version: u64,
    /// A repeat is harmless.
    pub request_id: String,
    /// Of what the caller said, hashed at the door before it filled in what stands.
    pub content_hash: u128,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// Changes a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRoute {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: RouteId,
    /// Which event types.
    pub pattern: Pattern,
    /// To which destination.
    pub destination: DestinationId,
    /// The version that this was made for.
    pub version: u64,
    /// A repeat is harmless.
    pub request_id: String,
    /// Of what the caller said, hashed at the door before it filled in what stands.
    pub content_hash: u128,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// Removes a tenant that has neither destinations nor routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveTenant {
    /// Which.
    pub id: TenantId,
    /// The version that is meant; 0: whichever it has.
    pub version: u64,
    /// A repeat is harmless.
    pub request_id: String,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// Removes a destination and its routes; its open deliveries end in [`CancelDeliveries`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveDestination {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: DestinationId,
    /// The version that is meant; 0: whichever it has.
    pub version: u64,
    /// A repeat is harmless.
    pub request_id: String,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// Removes a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveRoute {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: RouteId,
    /// The version that is meant; 0: whichever it has.
    pub version: u64,
    /// A repeat is harmless.
    pub request_id: String,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// Gives a destination another credential; the one before counts too for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateCredential {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: DestinationId,
    /// The new one, sealed by the door.
    pub credential: Bytes,
    /// For how long the one before counts; zero: neither it nor any earlier one from now on.
    pub overlap: Span,
    /// The version that is meant; 0: whichever it has.
    pub version: u64,
    /// A repeat is harmless: the credential stays that of the first.
    pub request_id: String,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// The same credentials of one destination, sealed by another key, and without those whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrap {
    /// The tenant's partition.
    pub partition: Partition,
    /// Whose.
    pub tenant: TenantNo,
    /// Which.
    pub destination: DestinationNo,
    /// The credential revision that this starts from: another one, and nothing happens.
    pub revision: u64,
    /// The present one.
    pub credential: Bytes,
    /// Those before it that still count.
    pub previous: Vec<PreviousCredential>,
}

/// Seals credentials by another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrapCredentials {
    /// At most [`crate::limits::COMMAND_REWRAPS_MAX`].
    pub credentials: Vec<Rewrap>,
}

/// Ends some of a removed destination's open deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelDeliveries {
    /// The tenant's partition.
    pub partition: Partition,
    /// Whose.
    pub tenant: TenantNo,
    /// Which.
    pub destination: DestinationNo,
}
