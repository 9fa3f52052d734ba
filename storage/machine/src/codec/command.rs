//! Batches and their commands.

use pushrail_model::command::{
    AcceptEvents, AssignShards, Batch, Command, InitCluster, MoveKind, PutDestination, PutRoute, PutTenant,
    RecordAttempts, ReleaseShards, SetDestinationState, ShardMove, StartReplay, WantedState,
};
use pushrail_model::ids::{BatchNumber, BootId, Epoch, NodeId};
use pushrail_model::shard::ShardId;

use crate::codec::change::{actor, actor_to_wire};
use crate::codec::error::DecodeError;
use crate::codec::proto;
use crate::codec::tenant::{heard, said};
use crate::codec::wire::{
    Wire, all_from_wire, all_to_wire, halves, parsed, partition, required, shard, whole, wire_enum,
};

wire_enum!(WantedState, WantedState, "wanted state", { Active, Paused });
wire_enum!(MoveKind, MoveKind, "kind of move", { Give, Ask });

impl Wire for Batch {
    type Message = proto::Batch;

    fn to_wire(&self) -> proto::Batch {
        proto::Batch {
            node: self.node.0,
            boot: self.boot.0,
            number: self.number.0,
            lowest_open: self.lowest_open.0,
            commands: all_to_wire(&self.commands),
        }
    }

    fn from_wire(message: proto::Batch) -> Result<Self, DecodeError> {
        let commands = message.commands.into_iter().enumerate();
        Ok(Self {
            node: NodeId(message.node),
            boot: BootId(message.boot),
            number: BatchNumber(message.number),
            lowest_open: BatchNumber(message.lowest_open),
            commands: commands
                .map(|(place, command)| match command.command {
                    Some(kind) => command_from_wire(kind),
                    // prost leaves out a choice that it does not know.
                    None => Err(DecodeError::UnknownCommand { place }),
                })
                .collect::<Result<_, _>>()?,
        })
    }
}

fn command_from_wire(kind: proto::command::Command) -> Result<Command, DecodeError> {
    use proto::command::Command as Kind;
    Ok(match kind {
        Kind::InitCluster(message) => Command::InitCluster(Wire::from_wire(message)?),
        Kind::AcceptEvents(message) => Command::AcceptEvents(Wire::from_wire(message)?),
        Kind::RecordAttempts(message) => Command::RecordAttempts(Wire::from_wire(message)?),
        Kind::PutTenant(message) => Command::PutTenant(Wire::from_wire(message)?),
        Kind::PutDestination(message) => Command::PutDestination(Wire::from_wire(message)?),
        Kind::SetDestinationState(message) => Command::SetDestinationState(Wire::from_wire(message)?),
        Kind::PutRoute(message) => Command::PutRoute(Wire::from_wire(message)?),
        Kind::StartReplay(message) => Command::StartReplay(Wire::from_wire(message)?),
        Kind::AssignShards(message) => Command::AssignShards(Wire::from_wire(message)?),
        Kind::ReleaseShards(message) => Command::ReleaseShards(Wire::from_wire(message)?),
        Kind::DiscardDeadLetters(message) => Command::DiscardDeadLetters(Wire::from_wire(message)?),
        Kind::StartJob(message) => Command::StartJob(Wire::from_wire(message)?),
        Kind::AdvanceJob(message) => Command::AdvanceJob(Wire::from_wire(message)?),
        Kind::CancelJob(message) => Command::CancelJob(Wire::from_wire(message)?),
        Kind::CountCauses(message) => Command::CountCauses(Wire::from_wire(message)?),
        Kind::DropBuckets(message) => Command::DropBuckets(Wire::from_wire(message)?),
        Kind::ExpireDeadLetters(message) => Command::ExpireDeadLetters(Wire::from_wire(message)?),
        Kind::DropEvents(message) => Command::DropEvents(Wire::from_wire(message)?),
        Kind::DropCarried(message) => Command::DropCarried(Wire::from_wire(message)?),
        Kind::DropRequests(message) => Command::DropRequests(Wire::from_wire(message)?),
        Kind::UpdateTenant(message) => Command::UpdateTenant(Wire::from_wire(message)?),
        Kind::UpdateDestination(message) => Command::UpdateDestination(Wire::from_wire(message)?),
        Kind::UpdateRoute(message) => Command::UpdateRoute(Wire::from_wire(message)?),
        Kind::RemoveTenant(message) => Command::RemoveTenant(Wire::from_wire(message)?),
        Kind::RemoveDestination(message) => Command::RemoveDestination(Wire::from_wire(message)?),
        Kind::RemoveRoute(message) => Command::RemoveRoute(Wire::from_wire(message)?),
        Kind::RotateCredential(message) => Command::RotateCredential(Wire::from_wire(message)?),
        Kind::RewrapCredentials(message) => Command::RewrapCredentials(Wire::from_wire(message)?),
        Kind::CancelDeliveries(message) => Command::CancelDeliveries(Wire::from_wire(message)?),
    })
}

impl Wire for Command {
    type Message = proto::Command;

    fn to_wire(&self) -> proto::Command {
        use proto::command::Command as Kind;
        proto::Command {
            command: Some(match self {
                Self::InitCluster(command) => Kind::InitCluster(command.to_wire()),
                Self::AcceptEvents(command) => Kind::AcceptEvents(command.to_wire()),
                Self::RecordAttempts(command) => Kind::RecordAttempts(command.to_wire()),
                Self::PutTenant(command) => Kind::PutTenant(command.to_wire()),
                Self::PutDestination(command) => Kind::PutDestination(command.to_wire()),
                Self::SetDestinationState(command) => Kind::SetDestinationState(command.to_wire()),
                Self::PutRoute(command) => Kind::PutRoute(command.to_wire()),
                Self::StartReplay(command) => Kind::StartReplay(command.to_wire()),
                Self::AssignShards(command) => Kind::AssignShards(command.to_wire()),
                Self::ReleaseShards(command) => Kind::ReleaseShards(command.to_wire()),
                Self::DiscardDeadLetters(command) => Kind::DiscardDeadLetters(command.to_wire()),
                Self::StartJob(command) => Kind::StartJob(command.to_wire()),
                Self::AdvanceJob(command) => Kind::AdvanceJob(command.to_wire()),
                Self::CancelJob(command) => Kind::CancelJob(command.to_wire()),
                Self::CountCauses(command) => Kind::CountCauses(command.to_wire()),
                Self::DropBuckets(command) => Kind::DropBuckets(command.to_wire()),
                Self::ExpireDeadLetters(command) => Kind::ExpireDeadLetters(command.to_wire()),
                Self::DropEvents(command) => Kind::DropEvents(command.to_wire()),
                Self::DropCarried(command) => Kind::DropCarried(command.to_wire()),
                Self::DropRequests(command) => Kind::DropRequests(command.to_wire()),
                Self::UpdateTenant(command) => Kind::UpdateTenant(command.to_wire()),
                Self::UpdateDestination(command) => Kind::UpdateDestination(command.to_wire()),
                Self::UpdateRoute(command) => Kind::UpdateRoute(command.to_wire()),
                Self::RemoveTenant(command) => Kind::RemoveTenant(command.to_wire()),
                Self::RemoveDestination(command) => Kind::RemoveDestination(command.to_wire()),
                Self::RemoveRoute(command) => Kind::RemoveRoute(command.to_wire()),
                Self::RotateCredential(command) => Kind::RotateCredential(command.to_wire()),
                Self::RewrapCredentials(command) => Kind::RewrapCredentials(command.to_wire()),
                Self::CancelDeliveries(command) => Kind::CancelDeliveries(command.to_wire()),
            }),
        }
    }

    fn from_wire(message: proto::Command) -> Result<Self, DecodeError> {
        match message.command {
            Some(kind) => command_from_wire(kind),
            None => Err(DecodeError::UnknownCommand { place: 0 }),
        }
    }
}

impl Wire for InitCluster {
    type Message = proto::InitCluster;

    fn to_wire(&self) -> proto::InitCluster {
        let (cluster_high, cluster_low) = halves(self.cluster);
        proto::InitCluster {
            cluster_high,
            cluster_low,
            hash_key: self.hash_key,
        }
    }

    fn from_wire(message: proto::InitCluster) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster: whole(message.cluster_high, message.cluster_low),
            hash_key: message.hash_key,
        })
    }
}

impl Wire for AcceptEvents {
    type Message = proto::AcceptEvents;

    fn to_wire(&self) -> proto::AcceptEvents {
        proto::AcceptEvents {
            partition: self.partition.number().into(),
            events: all_to_wire(&self.events),
        }
    }

    fn from_wire(message: proto::AcceptEvents) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            events: all_from_wire(message.events)?,
        })
    }
}

impl Wire for RecordAttempts {
    type Message = proto::RecordAttempts;

    fn to_wire(&self) -> proto::RecordAttempts {
        proto::RecordAttempts {
            partition: self.partition.number().into(),
            attempts: all_to_wire(&self.attempts),
        }
    }

    fn from_wire(message: proto::RecordAttempts) -> Result<Self, DecodeError> {
        Ok(Self {
            partition: partition(message.partition)?,
            attempts: all_from_wire(message.attempts)?,
        })
    }
}

impl Wire for PutTenant {
    type Message = proto::PutTenant;

    fn to_wire(&self) -> proto::PutTenant {
        proto::PutTenant {
            id: self.id.to_string(),
            description: self.description.clone(),
            request_id: self.request_id.clone(),
            retention: said(&self.retention),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::PutTenant) -> Result<Self, DecodeError> {
        Ok(Self {
            id: parsed(&message.id, "tenant id")?,
            description: message.description,
            request_id: message.request_id,
            retention: heard(message.retention),
            actor: actor(message.actor),
        })
    }
}

impl Wire for PutDestination {
    type Message = proto::PutDestination;

    fn to_wire(&self) -> proto::PutDestination {
        proto::PutDestination {
            tenant: self.tenant.to_string(),
            id: self.id.to_string(),
            spec: Some(self.spec.to_wire()),
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::PutDestination) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            id: parsed(&message.id, "destination id")?,
            spec: required(message.spec, "destination spec")?,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for SetDestinationState {
    type Message = proto::SetDestinationState;

    fn to_wire(&self) -> proto::SetDestinationState {
        proto::SetDestinationState {
            tenant: self.tenant.to_string(),
            destination: self.destination.to_string(),
            wanted: self.wanted.to_wire(),
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::SetDestinationState) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            destination: parsed(&message.destination, "destination id")?,
            wanted: WantedState::from_wire(message.wanted)?,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for PutRoute {
    type Message = proto::PutRoute;

    fn to_wire(&self) -> proto::PutRoute {
        proto::PutRoute {
            tenant: self.tenant.to_string(),
            id: self.id.to_string(),
            pattern: self.pattern.to_string(),
            destination: self.destination.to_string(),
            request_id: self.request_id.clone(),
            actor: actor_to_wire(self.actor.as_ref()),
        }
    }

    fn from_wire(message: proto::PutRoute) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            id: parsed(&message.id, "route id")?,
            pattern: parsed(&message.pattern, "pattern")?,
            destination: parsed(&message.destination, "destination id")?,
            request_id: message.request_id,
            actor: actor(message.actor),
        })
    }
}

impl Wire for StartReplay {
    type Message = proto::StartReplay;

    fn to_wire(&self) -> proto::StartReplay {
        let (content_hash_high, content_hash_low) = halves(self.content_hash);
        proto::StartReplay {
            tenant: self.tenant.to_string(),
            request_id: self.request_id.clone(),
            deliveries: all_to_wire(&self.deliveries),
            content_hash_high,
            content_hash_low,
            actor: actor_to_wire(self.actor.as_ref()),
            by_destination: self.by_destination,
        }
    }

    fn from_wire(message: proto::StartReplay) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: parsed(&message.tenant, "tenant id")?,
            request_id: message.request_id,
            deliveries: all_from_wire(message.deliveries)?,
            content_hash: whole(message.content_hash_high, message.content_hash_low),
            actor: actor(message.actor),
            by_destination: message.by_destination,
        })
    }
}

impl Wire for ShardMove {
    type Message = proto::ShardMove;

    fn to_wire(&self) -> proto::ShardMove {
        proto::ShardMove {
            shard: self.shard.number().into(),
            from_epoch: self.from_epoch.0,
            to: self.to.0,
            how: self.how.to_wire(),
        }
    }

    fn from_wire(message: proto::ShardMove) -> Result<Self, DecodeError> {
        Ok(Self {
            shard: shard(message.shard)?,
            from_epoch: Epoch(message.from_epoch),
            to: NodeId(message.to),
            how: MoveKind::from_wire(message.how)?,
        })
    }
}

impl Wire for AssignShards {
    type Message = proto::AssignShards;

    fn to_wire(&self) -> proto::AssignShards {
        proto::AssignShards {
            moves: all_to_wire(&self.moves),
        }
    }

    fn from_wire(message: proto::AssignShards) -> Result<Self, DecodeError> {
        Ok(Self {
            moves: all_from_wire(message.moves)?,
        })
    }
}

impl Wire for ReleaseShards {
    type Message = proto::ReleaseShards;

    fn to_wire(&self) -> proto::ReleaseShards {
        let held = |(shard, epoch): &(ShardId, Epoch)| proto::HeldShard {
            shard: shard.number().into(),
            epoch: epoch.0,
        };
        proto::ReleaseShards {
            node: self.node.0,
            shards: self.shards.iter().map(held).collect(),
        }
    }

    fn from_wire(message: proto::ReleaseShards) -> Result<Self, DecodeError> {
        let held = |held: proto::HeldShard| Ok((shard(held.shard)?, Epoch(held.epoch)));
        Ok(Self {
            node: NodeId(message.node),
            shards: message
                .shards
                .into_iter()
                .map(held)
                .collect::<Result<_, DecodeError>>()?,
        })
    }
}
