//! How much work a command is, beside its bytes: eighty of them can move 256 deliveries. Whoever puts commands together
//! bounds both. It is an estimate of the proposer's alone: `apply` never asks for it.

use crate::command::{AcceptEvents, AdvanceJob, Batch, Command, CountCauses};
use crate::limits;

impl Command {
    /// Deliveries that it makes, moves or takes away at most, or the like of them: each is some rows.
    pub fn weight(&self) -> usize {
        match self {
            Self::AcceptEvents(command) => deliveries(command),
            Self::RecordAttempts(command) => command.attempts.len(),
            Self::StartReplay(command) => command.deliveries.len(),
            Self::DiscardDeadLetters(command) => command.deliveries.len(),
            Self::AdvanceJob(AdvanceJob { taken_max, .. }) => size(*taken_max),
            Self::CountCauses(CountCauses { read_max, .. }) => size(*read_max),
            Self::CancelDeliveries(_) => limits::COMMAND_CANCELS_MAX,
            Self::DropBuckets(_) => limits::UPKEEP_ROWS_MAX,
            Self::ExpireDeadLetters(command) => command.letters.len(),
            Self::DropEvents(command) => command.events.len(),
            Self::DropCarried(command) => command.events.len(),
            Self::DropRequests(command) => command.rows.len(),
            Self::AssignShards(command) => command.moves.len(),
            Self::ReleaseShards(command) => command.shards.len(),
            Self::RewrapCredentials(command) => command.credentials.len(),
            Self::InitCluster(_)
            | Self::PutTenant(_)
            | Self::PutDestination(_)
            | Self::SetDestinationState(_)
            | Self::PutRoute(_)
            | Self::StartJob(_)
            | Self::CancelJob(_)
            | Self::UpdateTenant(_)
            | Self::UpdateDestination(_)
            | Self::UpdateRoute(_)
            | Self::RemoveTenant(_)
            | Self::RemoveDestination(_)
            | Self::RemoveRoute(_)
            | Self::RotateCredential(_) => 1,
        }
    }
}

impl Batch {
    /// That of all its commands.
    pub fn weight(&self) -> usize {
        let weights = self.commands.iter().map(Command::weight);
        weights.fold(0, usize::saturating_add)
    }
}

fn deliveries(command: &AcceptEvents) -> usize {
    // An event without a destination is kept, too.
    let each = command.events.iter().map(|event| event.destinations.len().max(1));
    each.sum()
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
