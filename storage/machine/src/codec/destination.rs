//! Destinations: as callers describe them and as they are kept.

use pushrail_model::destination::{Destination, DestinationSpec, DestinationState};
use pushrail_model::ids::DestinationNo;
use pushrail_model::retry::{RetryPolicy, Waits};
use pushrail_model::time::{Span, Timestamp};

use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, all_from_wire, all_to_wire, chosen, parsed, required, shard};

impl Wire for DestinationSpec {
    type Message = proto::DestinationSpec;

    fn to_wire(&self) -> proto::DestinationSpec {
        proto::DestinationSpec {
            kind: self.kind.clone(),
            settings: self.settings.clone(),
            credential: self.credential.clone(),
            retry: Some(self.retry.to_wire()),
            concurrency: self.concurrency,
            description: self.description.clone(),
        }
    }

    fn from_wire(message: proto::DestinationSpec) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: message.kind,
            settings: message.settings,
            credential: message.credential,
            retry: required(message.retry, "retry policy")?,
            concurrency: message.concurrency,
            description: message.description,
        })
    }
}

impl Wire for RetryPolicy {
    type Message = proto::RetryPolicy;

    fn to_wire(&self) -> proto::RetryPolicy {
        use proto::retry_policy::Waits as Kind;
        proto::RetryPolicy {
            waits: Some(match &self.waits {
                Waits::Exponential {
                    first,
                    factor,
                    cap,
                    retries,
                } => Kind::Exponential(proto::ExponentialWaits {
                    first: first.0,
                    factor: *factor,
                    cap: cap.0,
                    retries: *retries,
                }),
                Waits::Explicit(waits) => Kind::Explicit(proto::ExplicitWaits {
                    waits: waits.iter().map(|wait| wait.0).collect(),
                }),
            }),
            window: self.window.0,
            floor: self.floor.0,
        }
    }

    fn from_wire(message: proto::RetryPolicy) -> Result<Self, DecodeError> {
        use proto::retry_policy::Waits as Kind;
        Ok(Self {
            waits: match chosen(message.waits, "waits")? {
                Kind::Exponential(waits) => Waits::Exponential {
                    first: Span(waits.first),
                    factor: waits.factor,
                    cap: Span(waits.cap),
                    retries: waits.retries,
                },
                Kind::Explicit(explicit) => Waits::Explicit(explicit.waits.into_iter().map(Span).collect()),
            },
            window: Span(message.window),
            floor: Span(message.floor),
        })
    }
}

impl Wire for Destination {
    type Message = proto::Destination;

    fn to_wire(&self) -> proto::Destination {
        use proto::destination::State;
        proto::Destination {
            id: self.id.to_string(),
            number: self.number.0,
            shard: self.shard.number().into(),
            spec: Some(self.spec.to_wire()),
            state: Some(match &self.state {
                DestinationState::Active => State::Active(proto::DestinationActive {}),
                DestinationState::Paused => State::Paused(proto::DestinationPaused {}),
                DestinationState::Disabled { why } => {
                    State::Disabled(proto::DestinationDisabled { why: why.clone() })
                }
                DestinationState::Removed { at, by } => State::Removed(proto::DestinationRemoved {
                    at: at.0,
                    by: by.clone(),
                }),
            }),
            held: self.held.0,
            held_since: self.held_since.map(|since| since.0),
            version: self.version,
            created: self.created.0,
            credential_revision: self.credential_revision,
            previous: all_to_wire(&self.previous),
            credential_version: self.credential_version,
        }
    }

    fn from_wire(message: proto::Destination) -> Result<Self, DecodeError> {
        use proto::destination::State;
        Ok(Self {
            id: parsed(&message.id, "destination id")?,
            number: DestinationNo(message.number),
            shard: shard(message.shard)?,
            spec: required(message.spec, "destination spec")?,
            state: match chosen(message.state, "destination state")? {
                State::Active(proto::DestinationActive {}) => DestinationState::Active,
                State::Paused(proto::DestinationPaused {}) => DestinationState::Paused,
                State::Disabled(proto::DestinationDisabled { why }) => DestinationState::Disabled { why },
                State::Removed(proto::DestinationRemoved { at, by }) => DestinationState::Removed {
                    at: Timestamp(at),
                    by,
                },
            },
            held: Span(message.held),
            held_since: message.held_since.map(Timestamp),
            version: message.version,
            created: Timestamp(message.created),
            credential_version: message.credential_version,
            credential_revision: message.credential_revision,
            previous: all_from_wire(message.previous)?,
        })
    }
}
