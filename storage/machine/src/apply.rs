//! The whole of the replicated state changes through `apply`. It advances the state's clock, looks at each batch's
//! standing, and hands each command to its one handler under `apply/`.
//! Invariant: a rejected command has written nothing; handlers check before they write.

mod accept_events;
mod advance_job;
mod assign_shards;
mod cancel_deliveries;
mod cancel_job;
mod count_causes;
mod discard_dead_letters;
mod drop_buckets;
mod drop_carried;
mod drop_events;
mod drop_requests;
mod expire_dead_letters;
mod init_cluster;
mod put_destination;
mod put_route;
mod put_tenant;
mod record_attempts;
mod release_shards;
mod remove_destination;
mod remove_route;
mod remove_tenant;
mod rewrap_credentials;
mod rotate_credential;
mod set_destination_state;
mod start_job;
mod start_replay;
mod update_destination;
mod update_route;
mod update_tenant;

use pushrail_model::command::{Command, Entry};
use pushrail_model::response::Response;

use crate::answers::{Answers, Applied, BatchAnswer};
use crate::context::Context;
use crate::doors::{self, Standing};
use crate::keys::ClockKey;
use crate::store::StoreError;
use crate::tables;
use crate::tables::cluster::{Clock, clock};
use crate::txn::Txn;

/// Applies one committed entry. The same base and the same entry give the same changes, responses and hints on
/// every node, today and in a year. After an error the `Txn` is to be thrown away.
pub fn apply(txn: &mut Txn<'_>, entry: &Entry) -> Result<Applied, StoreError> {
    let before = clock(txn)?;
    let now = before.max(entry.time);
    if now > before {
        tables::put(txn, &ClockKey {}, &Clock(now));
    }
    let mut context = Context::new(txn, entry.index, now);
    let mut answers = Vec::with_capacity(entry.batches.len());
    for batch in &entry.batches {
        answers.push(match doors::standing(context.txn, batch)? {
            Standing::Retired => BatchAnswer::Retired,
            Standing::Repeated(answers) => BatchAnswer::Answered(answers),
            Standing::New => {
                let responses = batch
                    .commands
                    .iter()
                    .map(|command| handle(&mut context, command))
                    .collect::<Result<_, _>>()?;
                let answers = Answers {
                    index: entry.index,
                    responses,
                };
                doors::keep(&mut context, batch, &answers)?;
                BatchAnswer::Answered(answers)
            }
        });
    }
    let hints = context.finish()?;
    Ok(Applied { answers, hints })
}

fn handle(context: &mut Context<'_, '_>, command: &Command) -> Result<Response, StoreError> {
    match command {
        Command::InitCluster(command) => init_cluster::handle(context, command),
        Command::AcceptEvents(command) => accept_events::handle(context, command),
        Command::RecordAttempts(command) => record_attempts::handle(context, command),
        Command::PutTenant(command) => put_tenant::handle(context, command),
        Command::PutDestination(command) => put_destination::handle(context, command),
        Command::SetDestinationState(command) => set_destination_state::handle(context, command),
        Command::PutRoute(command) => put_route::handle(context, command),
        Command::StartReplay(command) => start_replay::handle(context, command),
        Command::AssignShards(command) => assign_shards::handle(context, command),
        Command::ReleaseShards(command) => release_shards::handle(context, command),
        Command::DropBuckets(command) => drop_buckets::handle(context, command),
        Command::ExpireDeadLetters(command) => expire_dead_letters::handle(context, command),
        Command::DropEvents(command) => drop_events::handle(context, command),
        Command::DropCarried(command) => drop_carried::handle(context, command),
        Command::DropRequests(command) => drop_requests::handle(context, command),
        Command::DiscardDeadLetters(command) => discard_dead_letters::handle(context, command),
        Command::StartJob(command) => start_job::handle(context, command),
        Command::AdvanceJob(command) => advance_job::handle(context, command),
        Command::CancelJob(command) => cancel_job::handle(context, command),
        Command::CountCauses(command) => count_causes::handle(context, command),
        Command::UpdateTenant(command) => update_tenant::handle(context, command),
        Command::UpdateDestination(command) => update_destination::handle(context, command),
        Command::UpdateRoute(command) => update_route::handle(context, command),
        Command::RemoveTenant(command) => remove_tenant::handle(context, command),
        Command::RemoveDestination(command) => remove_destination::handle(context, command),
        Command::RemoveRoute(command) => remove_route::handle(context, command),
        Command::RotateCredential(command) => rotate_credential::handle(context, command),
        Command::RewrapCredentials(command) => rewrap_credentials::handle(context, command),
        Command::CancelDeliveries(command) => cancel_deliveries::handle(context, command),
    }
}
