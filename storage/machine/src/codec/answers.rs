//! Responses and rejections.

use pushrail_model::ids::{DestinationNo, JobNo, LogIndex, RouteNo, TenantNo};
use pushrail_model::job::JobState;
use pushrail_model::replay::{DiscardAnswer, ReplayAnswer};
use pushrail_model::response::{AttemptAnswer, EventAnswer, Rejection, Response};

use crate::answers::Answers;
use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::wire::{Wire, all_from_wire, all_to_wire, chosen, required, shard, wire_enum};

wire_enum!(AttemptAnswer, AttemptAnswer, "attempt answer", { Effective, Late, Repeated, Unknown });
wire_enum!(ReplayAnswer, ReplayAnswer, "replay answer", { Started, NotDead, Unknown });
wire_enum!(DiscardAnswer, DiscardAnswer, "discard answer", { Discarded, NotDead, Unknown });

impl Wire for Answers {
    type Message = proto::Answers;

    fn to_wire(&self) -> proto::Answers {
        proto::Answers {
            index: self.index.0,
            responses: all_to_wire(&self.responses),
        }
    }

    fn from_wire(message: proto::Answers) -> Result<Self, DecodeError> {
        Ok(Self {
            index: LogIndex(message.index),
            responses: all_from_wire(message.responses)?,
        })
    }
}

impl Wire for Response {
    type Message = proto::Response;

    fn to_wire(&self) -> proto::Response {
        use proto::response::Response as Kind;
        proto::Response {
            response: Some(match self {
                Self::Done => Kind::Done(proto::Done {}),
                Self::Events(answers) => Kind::Events(proto::EventAnswers {
                    answers: all_to_wire(answers),
                }),
                Self::Attempts(answers) => Kind::Attempts(proto::AttemptAnswers {
                    answers: all_to_wire(answers),
                }),
                Self::Tenant { number, version } => Kind::Tenant(proto::TenantStands {
                    number: number.0,
                    version: *version,
                }),
                Self::Destination {
                    number,
                    version,
                    shard,
                } => Kind::Destination(proto::DestinationStands {
                    number: number.0,
                    version: *version,
                    shard: shard.number().into(),
                }),
                Self::Route { number, version } => Kind::Route(proto::RouteStands {
                    version: *version,
                    number: number.0,
                }),
                Self::Replay(answers) => Kind::Replay(proto::ReplayAnswers {
                    answers: all_to_wire(answers),
                }),
                Self::Discards(answers) => Kind::Discards(proto::DiscardAnswers {
                    answers: all_to_wire(answers),
                }),
                Self::Job { number, state } => Kind::Job(proto::JobStands {
                    number: number.0,
                    state: state.to_wire(),
                }),
                Self::Shards(count) => Kind::Shards(*count),
                Self::Swept {
                    dropped,
                    carried,
                    more,
                } => Kind::Swept(proto::Swept {
                    dropped: *dropped,
                    carried: *carried,
                    more: *more,
                }),
                Self::Advanced { rows, done } => Kind::Advanced(proto::Advanced {
                    rows: *rows,
                    done: *done,
                }),
                Self::Rejected(rejection) => Kind::Rejected(rejection.to_wire()),
            }),
        }
    }

    fn from_wire(message: proto::Response) -> Result<Self, DecodeError> {
        use proto::response::Response as Kind;
        Ok(match chosen(message.response, "response")? {
            Kind::Done(proto::Done {}) => Self::Done,
            Kind::Events(events) => Self::Events(all_from_wire(events.answers)?),
            Kind::Attempts(attempts) => Self::Attempts(all_from_wire(attempts.answers)?),
            Kind::Tenant(tenant) => Self::Tenant {
                number: TenantNo(tenant.number),
                version: tenant.version,
            },
            Kind::Destination(destination) => Self::Destination {
                number: DestinationNo(destination.number),
                version: destination.version,
                shard: shard(destination.shard)?,
            },
            Kind::Route(route) => Self::Route {
                number: RouteNo(route.number),
                version: route.version,
            },
            Kind::Replay(replay) => Self::Replay(all_from_wire(replay.answers)?),
            Kind::Discards(discards) => Self::Discards(all_from_wire(discards.answers)?),
            Kind::Job(job) => Self::Job {
                number: JobNo(job.number),
                state: JobState::from_wire(job.state)?,
            },
            Kind::Shards(count) => Self::Shards(count),
            Kind::Swept(swept) => Self::Swept {
                dropped: swept.dropped,
                carried: swept.carried,
                more: swept.more,
            },
            Kind::Advanced(proto::Advanced { rows, done }) => Self::Advanced { rows, done },
            Kind::Rejected(rejection) => Self::Rejected(Rejection::from_wire(rejection)?),
        })
    }
}

impl Wire for EventAnswer {
    type Message = proto::EventAnswer;

    fn to_wire(&self) -> proto::EventAnswer {
        use proto::event_answer::Answer;
        proto::EventAnswer {
            answer: Some(match self {
                Self::Accepted {
                    event,
                    deliveries,
                    duplicate,
                } => Answer::Accepted(proto::Accepted {
                    event: Some(event.to_wire()),
                    deliveries: *deliveries,
                    duplicate: *duplicate,
                }),
                Self::KeyConflict { event } => Answer::KeyConflict(event.to_wire()),
                Self::RoutingMoved(index) => Answer::RoutingMoved(index.0),
                Self::UnknownTenant => Answer::UnknownTenant(proto::UnknownTenant {}),
            }),
        }
    }

    fn from_wire(message: proto::EventAnswer) -> Result<Self, DecodeError> {
        use proto::event_answer::Answer;
        Ok(match chosen(message.answer, "event answer")? {
            Answer::Accepted(accepted) => Self::Accepted {
                event: required(accepted.event, "event")?,
                deliveries: accepted.deliveries,
                duplicate: accepted.duplicate,
            },
            Answer::KeyConflict(event) => Self::KeyConflict {
                event: Wire::from_wire(event)?,
            },
            Answer::RoutingMoved(index) => Self::RoutingMoved(LogIndex(index)),
            Answer::UnknownTenant(proto::UnknownTenant {}) => Self::UnknownTenant,
        })
    }
}

impl Wire for Rejection {
    type Message = proto::Rejection;

    fn to_wire(&self) -> proto::Rejection {
        use proto::rejection::Rejection as Kind;
        let named = |kind: &String, id: &String| proto::NamedObject {
            kind: kind.clone(),
            id: id.clone(),
        };
        proto::Rejection {
            rejection: Some(match self {
                Self::AlreadyInitialised => Kind::AlreadyInitialised(proto::AlreadyInitialised {}),
                Self::AlreadyExists { kind, id } => Kind::AlreadyExists(named(kind, id)),
                Self::NotFound { kind, id } => Kind::NotFound(named(kind, id)),
                Self::RemovedSince { kind, id } => Kind::RemovedSince(named(kind, id)),
                Self::LimitReached { what, limit } => Kind::LimitReached(proto::LimitReached {
                    what: what.clone(),
                    limit: *limit,
                }),
                Self::VersionMoved { present } => Kind::VersionMoved(*present),
                Self::NotEmpty { kind, id, holds } => Kind::NotEmpty(proto::NotEmpty {
                    kind: kind.clone(),
                    id: id.clone(),
                    holds: holds.clone(),
                }),
            }),
        }
    }

    fn from_wire(message: proto::Rejection) -> Result<Self, DecodeError> {
        use proto::rejection::Rejection as Kind;
        Ok(match chosen(message.rejection, "rejection")? {
            Kind::AlreadyInitialised(proto::AlreadyInitialised {}) => Self::AlreadyInitialised,
            Kind::AlreadyExists(proto::NamedObject { kind, id }) => Self::AlreadyExists { kind, id },
            Kind::NotFound(proto::NamedObject { kind, id }) => Self::NotFound { kind, id },
            Kind::RemovedSince(proto::NamedObject { kind, id }) => Self::RemovedSince { kind, id },
            Kind::LimitReached(proto::LimitReached { what, limit }) => Self::LimitReached { what, limit },
            Kind::VersionMoved(present) => Self::VersionMoved { present },
            Kind::NotEmpty(proto::NotEmpty { kind, id, holds }) => Self::NotEmpty { kind, id, holds },
        })
    }
}
