//! Tenants, routes, replays and ownerships, as they are kept.

use pushrail_model::ids::{DestinationNo, Epoch, LogIndex, NodeId, RouteNo, TenantNo};
use pushrail_model::replay::Replay;
use pushrail_model::retention::Retention;
use pushrail_model::route::Route;
use pushrail_model::shard::Ownership;
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};

use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, all_from_wire, all_to_wire, halves, parsed, whole};

impl Wire for Tenant {
    type Message = proto::Tenant;

    fn to_wire(&self) -> proto::Tenant {
        proto::Tenant {
            id: self.id.to_string(),
            number: self.number.0,
            description: self.description.clone(),
            routing_revision: self.routing_revision.0,
            version: self.version,
            created: self.created.0,
            destinations: self.destinations,
            routes: self.routes,
            next_destination: self.next_destination,
            next_route: self.next_route,
            retention: said(&self.retention),
            removed: self.removed.map(|at| at.0),
            spent_version: self.spent_version,
        }
    }

    fn from_wire(message: proto::Tenant) -> Result<Self, DecodeError> {
        Ok(Self {
            id: parsed(&message.id, "tenant id")?,
            number: TenantNo(message.number),
            description: message.description,
            routing_revision: LogIndex(message.routing_revision),
            version: message.version,
            created: Timestamp(message.created),
            destinations: message.destinations,
            routes: message.routes,
            next_destination: message.next_destination,
            next_route: message.next_route,
            retention: heard(message.retention),
            spent_version: message.spent_version,
            removed: message.removed.map(Timestamp),
        })
    }
}

/// What a tenant says about keeping; nothing where it says nothing.
pub(super) fn said(retention: &Retention) -> Option<proto::Retention> {
    let span = |span: Option<Span>| span.map(|span| span.0);
    (*retention != Retention::default()).then(|| proto::Retention {
        attempts: span(retention.attempts),
        events: span(retention.events),
        dead_letters: span(retention.dead_letters),
        idempotency_keys: span(retention.idempotency_keys),
    })
}

/// Reads what [`said`] wrote.
pub(super) fn heard(message: Option<proto::Retention>) -> Retention {
    let message = message.unwrap_or_default();
    Retention {
        attempts: message.attempts.map(Span),
        events: message.events.map(Span),
        dead_letters: message.dead_letters.map(Span),
        idempotency_keys: message.idempotency_keys.map(Span),
    }
}

impl Wire for Route {
    type Message = proto::Route;

    fn to_wire(&self) -> proto::Route {
        proto::Route {
            id: self.id.to_string(),
            number: self.number.0,
            pattern: self.pattern.to_string(),
            destination: self.destination.0,
            destination_id: self.destination_id.to_string(),
            version: self.version,
            created: self.created.0,
            first: self.first.0,
        }
    }

    fn from_wire(message: proto::Route) -> Result<Self, DecodeError> {
        Ok(Self {
            id: parsed(&message.id, "route id")?,
            number: RouteNo(message.number),
            pattern: parsed(&message.pattern, "pattern")?,
            destination: DestinationNo(message.destination),
            destination_id: parsed(&message.destination_id, "destination id")?,
            version: message.version,
            created: Timestamp(message.created),
            first: RouteNo(message.first),
        })
    }
}

impl Wire for Replay {
    type Message = proto::Replay;

    fn to_wire(&self) -> proto::Replay {
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::Replay {
            request_id: self.request_id.clone(),
            started: self.started.0,
            answers: all_to_wire(&self.answers),
            content_hash_high,
            content_hash_low,
        }
    }

    fn from_wire(message: proto::Replay) -> Result<Self, DecodeError> {
        Ok(Self {
            request_id: message.request_id,
            started: Timestamp(message.started),
            content_hash: whole(message.content_hash_high, message.content_hash_low),
            answers: all_from_wire(message.answers)?,
        })
    }
}

impl Wire for Ownership {
    type Message = proto::Ownership;

    fn to_wire(&self) -> proto::Ownership {
        proto::Ownership {
            owner: self.owner.0,
            epoch: self.epoch.0,
            moving_to: self.moving_to.map(|node| node.0),
        }
    }

    fn from_wire(message: proto::Ownership) -> Result<Self, DecodeError> {
        Ok(Self {
            owner: NodeId(message.owner),
            epoch: Epoch(message.epoch),
            moving_to: message.moving_to.map(NodeId),
        })
    }
}
