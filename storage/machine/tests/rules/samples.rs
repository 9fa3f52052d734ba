//! The parts that commands of tests are made of.

use bytes::Bytes;

use pushrail_machine::query;
use pushrail_machine::store::Read;
use pushrail_model::attempt::Attempt;
use pushrail_model::change::Actor;
use pushrail_model::command::{
    AcceptEvents, AssignShards, Command, MoveKind, PutDestination, PutRoute, PutTenant, RecordAttempts,
    ShardMove, WantedState,
};
use pushrail_model::delivery::DeliveryKey;
use pushrail_model::destination::DestinationSpec;
use pushrail_model::event::{EventType, IdempotencyKey, NewEvent};
use pushrail_model::ids::{AttemptNumber, Epoch, NodeId, Run};
use pushrail_model::outcome::{Cause, Failure, FailureClass, Observed, Outcome};
use pushrail_model::payload::{Encoding, Payload};
use pushrail_model::retention::Retention;
use pushrail_model::retry::RetryPolicy;
use pushrail_model::route::{DecisionReason, RoutingDecision};
use pushrail_model::shard::{Partition, ShardId};
use pushrail_model::tenant::Tenant;
use pushrail_model::time::{Span, Timestamp};
use pushrail_model::verdict::Verdict;
use xxhash_rust::xxh3::xxh3_128;

/// The same command, asked for by somebody of this name.
pub(crate) fn by(mut command: Command, name: &str) -> Command {
    let actor = match &mut command {
        Command::PutTenant(command) => &mut command.actor,
        Command::PutDestination(command) => &mut command.actor,
        Command::SetDestinationState(command) => &mut command.actor,
        Command::PutRoute(command) => &mut command.actor,
        Command::StartReplay(command) => &mut command.actor,
        Command::DiscardDeadLetters(command) => &mut command.actor,
        Command::StartJob(command) => &mut command.actor,
        Command::CancelJob(command) => &mut command.actor,
        Command::ExpireDeadLetters(command) => &mut command.actor,
        Command::UpdateTenant(command) => &mut command.actor,
        Command::UpdateDestination(command) => &mut command.actor,
        Command::UpdateRoute(command) => &mut command.actor,
        Command::RemoveTenant(command) => &mut command.actor,
        Command::RemoveDestination(command) => &mut command.actor,
        Command::RemoveRoute(command) => &mut command.actor,
        Command::RotateCredential(command) => &mut command.actor,
        Command::InitCluster(_)
        | Command::AcceptEvents(_)
        | Command::RecordAttempts(_)
        | Command::AssignShards(_)
        | Command::ReleaseShards(_)
        | Command::RewrapCredentials(_)
        | Command::CancelDeliveries(_)
        | Command::DropBuckets(_)
        | Command::DropEvents(_)
        | Command::DropCarried(_)
        | Command::DropRequests(_)
        | Command::AdvanceJob(_)
        | Command::CountCauses(_) => return command,
    };
    *actor = Some(Actor {
        name: name.to_owned(),
        address: "192.0.2.7:40000".to_owned(),
        door: NodeId(1),
    });
    command
}

/// What makes a request for a change of settings the one it is: what it does to which object, and its id.
pub(crate) fn request(command: &Command) -> Option<String> {
    let none = String::new;
    let (act, tenant, object, id) = match command {
        Command::PutTenant(put) => ("create", &put.id, none(), &put.request_id),
        Command::PutDestination(put) => ("create", &put.tenant, format!("/{}", put.id), &put.request_id),
        Command::PutRoute(put) => ("create", &put.tenant, format!(" {}", put.id), &put.request_id),
        Command::SetDestinationState(set) => {
            let act = match set.wanted {
                WantedState::Active => "resume",
                WantedState::Paused => "pause",
            };
            let object = format!("/{}", set.destination);
            (act, &set.tenant, object, &set.request_id)
        }
        Command::UpdateTenant(update) => ("update", &update.id, none(), &update.request_id),
        Command::UpdateDestination(update) => {
            let object = format!("/{}", update.id);
            ("update", &update.tenant, object, &update.request_id)
        }
        Command::UpdateRoute(update) => {
            let object = format!(" {}", update.id);
            ("update", &update.tenant, object, &update.request_id)
        }
        Command::RemoveTenant(remove) => ("remove", &remove.id, none(), &remove.request_id),
        Command::RemoveDestination(remove) => {
            let object = format!("/{}", remove.id);
            ("remove", &remove.tenant, object, &remove.request_id)
        }
        Command::RemoveRoute(remove) => {
            let object = format!(" {}", remove.id);
            ("remove", &remove.tenant, object, &remove.request_id)
        }
        Command::RotateCredential(rotate) => {
            let object = format!("/{}", rotate.id);
            ("rotate", &rotate.tenant, object, &rotate.request_id)
        }
        Command::InitCluster(_)
        | Command::AcceptEvents(_)
        | Command::RecordAttempts(_)
        | Command::StartReplay(_)
        | Command::AssignShards(_)
        | Command::ReleaseShards(_)
        | Command::RewrapCredentials(_)
        | Command::CancelDeliveries(_)
        | Command::DropBuckets(_)
        | Command::ExpireDeadLetters(_)
        | Command::DropEvents(_)
        | Command::DropCarried(_)
        | Command::DropRequests(_)
        | Command::DiscardDeadLetters(_)
        | Command::StartJob(_)
        | Command::AdvanceJob(_)
        | Command::CancelJob(_)
        | Command::CountCauses(_) => return None,
    };
    (!id.is_empty()).then(|| format!("{act} {tenant}{object} {id}"))
}

/// What a door makes of what a caller said, so that a repeat is known by it.
pub(crate) fn said(parts: &[&str]) -> u128 {
    xxh3_128(parts.join("\0").as_bytes())
}

pub(crate) fn tenant(id: &str, request_id: &str) -> Command {
    tenant_keeping(id, request_id, Retention::default())
}

pub(crate) fn tenant_keeping(id: &str, request_id: &str, retention: Retention) -> Command {
    Command::PutTenant(PutTenant {
        id: id.parse().unwrap(),
        description: format!("all of {id}"),
        request_id: request_id.to_owned(),
        retention,
        actor: None,
    })
}

pub(crate) fn destination(tenant: &str, id: &str, request_id: &str) -> Command {
    Command::PutDestination(PutDestination {
        tenant: tenant.parse().unwrap(),
        id: id.parse().unwrap(),
        spec: DestinationSpec {
            kind: "webhook".to_owned(),
            settings: Bytes::from_static(br#"{"url":"http://127.0.0.1:9/"}"#),
            credential: Bytes::from_static(br#"{"secret":"whsec_c2VjcmV0"}"#),
            retry: RetryPolicy::default(),
            concurrency: 16,
            description: String::new(),
        },
        request_id: request_id.to_owned(),
        actor: None,
    })
}

pub(crate) fn route(tenant: &str, id: &str, pattern: &str, destination: &str, request_id: &str) -> Command {
    Command::PutRoute(PutRoute {
        tenant: tenant.parse().unwrap(),
        id: id.parse().unwrap(),
        pattern: pattern.parse().unwrap(),
        destination: destination.parse().unwrap(),
        request_id: request_id.to_owned(),
        actor: None,
    })
}

/// An event as a door would make it: routed under the state that the door has applied.
pub(crate) fn event(
    read: &dyn Read,
    tenant: &Tenant,
    event_type: &EventType,
    body: &str,
    key: Option<&str>,
) -> NewEvent {
    let mut decisions = Vec::new();
    let mut destinations = Vec::new();
    for route in query::config::routes(read, tenant).unwrap() {
        let reason = if !route.pattern.matches(event_type) {
            DecisionReason::TypeDiffers
        } else if destinations.contains(&route.destination) {
            DecisionReason::AlreadyChosen
        } else {
            destinations.push(route.destination);
            DecisionReason::Matched
        };
        decisions.push(RoutingDecision {
            route: route.number,
            destination: route.destination,
            reason,
        });
    }
    NewEvent {
        tenant: tenant.number,
        event_type: event_type.clone(),
        content_type: "text/plain".to_owned(),
        payload: Payload {
            encoding: Encoding::Identity,
            bytes: Bytes::copy_from_slice(body.as_bytes()),
            plain_bytes: u32::try_from(body.len()).unwrap(),
        },
        idempotency: key.map(|key| IdempotencyKey {
            key: key.to_owned(),
            key_hash: xxh3_128(key.as_bytes()),
            content_hash: xxh3_128(format!("{event_type}\0{body}").as_bytes()),
        }),
        routing_revision: tenant.routing_revision,
        decisions,
        destinations,
        door: NodeId(1),
    }
}

pub(crate) fn accept(tenant: &Tenant, events: Vec<NewEvent>) -> Command {
    Command::AcceptEvents(AcceptEvents {
        partition: Partition::of(&tenant.id),
        events,
    })
}

/// The next attempt that the present owner would make of a delivery; its outcome and verdict are the caller's.
pub(crate) fn attempt(
    read: &dyn Read,
    key: DeliveryKey,
    now: Timestamp,
    outcome: Outcome,
    verdict: Verdict,
) -> Attempt {
    let destination =
        query::config::destination_by_number(read, key.partition, key.tenant, key.destination).unwrap();
    let ownership =
        destination.and_then(|destination| query::assignment::of(read, destination.shard).unwrap());
    let delivery = query::delivery::delivery(read, &key).unwrap();
    Attempt {
        delivery: key,
        place: None,
        run: delivery.as_ref().map_or(Run(1), |delivery| delivery.run),
        number: AttemptNumber(delivery.map_or(1, |delivery| delivery.attempts_made + 1)),
        epoch: ownership.map_or(Epoch(0), |ownership| ownership.epoch),
        node: ownership.map_or(NodeId(1), |ownership| ownership.owner),
        start: now,
        took: Span::from_millis(20),
        observed: Observed::default(),
        outcome,
        verdict,
    }
}

pub(crate) fn record(attempts: Vec<Attempt>) -> Command {
    Command::RecordAttempts(RecordAttempts {
        partition: attempts[0].delivery.partition,
        attempts,
    })
}

pub(crate) fn failed(class: FailureClass, cause: Cause) -> Outcome {
    Outcome::Failed(Failure {
        class,
        cause,
        disables: false,
        floors: false,
        why: "the receiver said no".to_owned(),
    })
}

pub(crate) fn shard_move(shard: ShardId, from_epoch: u64, to: u64, how: MoveKind) -> Command {
    Command::AssignShards(AssignShards {
        moves: vec![ShardMove {
            shard,
            from_epoch: Epoch(from_epoch),
            to: NodeId(to),
            how,
        }],
    })
}
