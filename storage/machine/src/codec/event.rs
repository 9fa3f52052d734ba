//! Events: on their way in, and as they are kept.

use pushrail_model::event::{IdempotencyKey, NewEvent};
use pushrail_model::ids::{DestinationNo, LogIndex, NodeId, RouteNo, TenantNo};
use pushrail_model::payload::{Encoding, Payload};
use pushrail_model::route::{DecisionReason, RoutingDecision};

use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, all_from_wire, all_to_wire, halves, parsed, whole, wire_enum};

wire_enum!(Encoding, Encoding, "payload encoding", { Identity, Lz4 });
wire_enum!(DecisionReason, DecisionReason, "decision reason", { Matched, AlreadyChosen, TypeDiffers });

impl Wire for NewEvent {
    type Message = proto::NewEvent;

    fn to_wire(&self) -> proto::NewEvent {
        proto::NewEvent {
            tenant: self.tenant.0,
            event_type: self.event_type.as_str().to_owned(),
            content_type: self.content_type.clone(),
            payload_encoding: self.payload.encoding.to_wire(),
            payload: self.payload.bytes.clone(),
            payload_plain_bytes: self.payload.plain_bytes,
            idempotency: self.idempotency.as_ref().map(Wire::to_wire),
            routing_revision: self.routing_revision.0,
            decisions: all_to_wire(&self.decisions),
            destinations: self.destinations.iter().map(|number| number.0).collect(),
            door: self.door.0,
        }
    }

    fn from_wire(message: proto::NewEvent) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: TenantNo(message.tenant),
            event_type: parsed(&message.event_type, "event type")?,
            content_type: message.content_type,
            payload: Payload {
                encoding: Encoding::from_wire(message.payload_encoding)?,
                bytes: message.payload,
                plain_bytes: message.payload_plain_bytes,
            },
            idempotency: message.idempotency.map(Wire::from_wire).transpose()?,
            routing_revision: LogIndex(message.routing_revision),
            decisions: all_from_wire(message.decisions)?,
            destinations: message.destinations.into_iter().map(DestinationNo).collect(),
            door: NodeId(message.door),
        })
    }
}

impl Wire for RoutingDecision {
    type Message = proto::RoutingDecision;

    fn to_wire(&self) -> proto::RoutingDecision {
        proto::RoutingDecision {
            route: self.route.0,
            destination: self.destination.0,
            reason: self.reason.to_wire(),
        }
    }

    fn from_wire(message: proto::RoutingDecision) -> Result<Self, DecodeError> {
        Ok(Self {
            route: RouteNo(message.route),
            destination: DestinationNo(message.destination),
            reason: DecisionReason::from_wire(message.reason)?,
        })
    }
}

impl Wire for IdempotencyKey {
    type Message = proto::IdempotencyKey;

    fn to_wire(&self) -> proto::IdempotencyKey {
        let (key_hash_high, key_hash_low) = halves(self.key_hash);
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::IdempotencyKey {
            key: self.key.clone(),
            key_hash_high,
            key_hash_low,
            content_hash_high,
            content_hash_low,
        }
    }

    fn from_wire(message: proto::IdempotencyKey) -> Result<Self, DecodeError> {
        Ok(Self {
            key: message.key,
            key_hash: whole(message.key_hash_high, message.key_hash_low),
            content_hash: whole(message.content_hash_high, message.content_hash_low),
        })
    }
}
