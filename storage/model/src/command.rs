//! Changes asked for. A command speaks of one partition, or of the cluster; whole decisions travel in it.

use bytes::Bytes;

use crate::attempt::Attempt;
use crate::change::Actor;
use crate::delivery::DeliveryKey;
use crate::destination::DestinationSpec;
use crate::event::NewEvent;
use crate::ids::{
    BatchNumber, BootId, DestinationId, DestinationNo, Epoch, EventSeq, JobNo, LogIndex, NodeId, RouteId,
    TenantId, TenantNo,
};
use crate::job::{JobCursor, JobKind};
use crate::outcome::Cause;
use crate::requests::DropRequests;
use crate::retention::Retention;
use crate::route::Pattern;
use crate::settings::{
    CancelDeliveries, RemoveDestination, RemoveRoute, RemoveTenant, RewrapCredentials, RotateCredential,
    UpdateDestination, UpdateRoute, UpdateTenant,
};
use crate::shard::{Partition, ShardId};
use crate::time::Timestamp;

/// What the log carries: batches, with the state's time on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub index: LogIndex,
    /// The leader's stamp.
    pub time: Timestamp,
    /// What the doors sent.
    pub batches: Vec<Batch>,
}

/// What one door sends at once, under its own number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The door.
    pub node: NodeId,
    /// Its present start.
    pub boot: BootId,
    /// Its number of this batch.
    pub number: BatchNumber,
    /// Its lowest batch without an answer: rows below are dropped, batches below refused.
    pub lowest_open: BatchNumber,
    /// The commands.
    pub commands: Vec<Command>,
}

/// One change asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The cluster's first.
    InitCluster(InitCluster),
    /// Events, routed, of one partition.
    AcceptEvents(AcceptEvents),
    /// Attempts made, of one partition.
    RecordAttempts(RecordAttempts),
    /// A tenant made.
    PutTenant(PutTenant),
    /// A destination made.
    PutDestination(PutDestination),
    /// A destination paused or resumed.
    SetDestinationState(SetDestinationState),
    /// A route made.
    PutRoute(PutRoute),
    /// Dead letters to run again.
    StartReplay(StartReplay),
    /// Shards given, or asked to move.
    AssignShards(AssignShards),
    /// Shards let go by their owner.
    ReleaseShards(ReleaseShards),
    /// Buckets of time that are over.
    DropBuckets(DropBuckets),
    /// Dead letters whose retention has ended.
    ExpireDeadLetters(ExpireDeadLetters),
    /// Events that are over, next in line.
    DropEvents(DropEvents),
    /// Events that were carried forward, once more.
    DropCarried(DropCarried),
    /// What is left of requests that nobody repeats any more.
    DropRequests(DropRequests),
    /// Dead letters given up.
    DiscardDeadLetters(DiscardDeadLetters),
    /// A job over a destination's dead letters begun.
    StartJob(StartJob),
    /// A job moved on by a step.
    AdvanceJob(AdvanceJob),
    /// A job ended.
    CancelJob(CancelJob),
    /// Dead letters counted by their causes, a step.
    CountCauses(CountCauses),
    /// A tenant changed.
    UpdateTenant(UpdateTenant),
    /// A destination changed.
    UpdateDestination(UpdateDestination),
    /// A route changed.
    UpdateRoute(UpdateRoute),
    /// A tenant removed.
    RemoveTenant(RemoveTenant),
    /// A destination removed.
    RemoveDestination(RemoveDestination),
    /// A route removed.
    RemoveRoute(RemoveRoute),
    /// A credential followed by another.
    RotateCredential(RotateCredential),
    /// Credentials sealed by another key.
    RewrapCredentials(RewrapCredentials),
    /// Some of a removed destination's deliveries ended.
    CancelDeliveries(CancelDeliveries),
}

/// Names the cluster and draws its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitCluster {
    /// Random, 128 bits: nodes of different clusters never mix.
    pub cluster: u128,
    /// Seed of the hashes that doors make of idempotency keys and contents.
    pub hash_key: u64,
}

/// Events of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptEvents {
    /// Of which.
    pub partition: Partition,
    /// At most [`crate::limits::COMMAND_EVENTS_MAX`].
    pub events: Vec<NewEvent>,
}

/// Attempts of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAttempts {
    /// Of which.
    pub partition: Partition,
    /// At most [`crate::limits::COMMAND_ATTEMPTS_MAX`].
    pub attempts: Vec<Attempt>,
}

/// Makes a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutTenant {
    /// Its id.
    pub id: TenantId,
    /// For people.
    pub description: String,
    /// A repeat is harmless.
    pub request_id: String,
    /// How long its rows are kept; checked at the door.
    pub retention: Retention,
    /// Who asked; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
}

/// Makes a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutDestination {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: DestinationId,
    /// What it is.
    pub spec: DestinationSpec,
    /// A repeat is harmless.
    pub request_id: String,
    /// Who asked; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
}

/// What a person wants of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedState {
    /// Serve it; ends a pause and a disablement.
    Active,
    /// Let its queue rest.
    Paused,
}

/// Pauses or resumes a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetDestinationState {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub destination: DestinationId,
    /// What is wanted.
    pub wanted: WantedState,
    /// A repeat is harmless.
    pub request_id: String,
    /// Who asked; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
}

/// Makes a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRoute {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: RouteId,
    /// Which event types.
    pub pattern: Pattern,
    /// To which destination.
    pub destination: DestinationId,
    /// A repeat is harmless.
    pub request_id: String,
    /// Who asked; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
}

/// Runs dead letters of one tenant again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartReplay {
    /// Whose.
    pub tenant: TenantId,
    /// A repeat is harmless: it finds the first one's answer.
    pub request_id: String,
    /// Which, at most [`crate::limits::COMMAND_REPLAYS_MAX`]; all that the caller named, those too that are none of this
    /// tenant's.
    pub deliveries: Vec<DeliveryKey>,
    /// Of the deliveries as the caller named them, hashed at the door: where they stand may be forgotten by the time of
    /// a repeat.
    pub content_hash: u128,
    /// Who asked; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
    /// Whether each destination has an entry of its own in the change log, by which it is found.
    pub by_destination: bool,
}

/// Gives chosen dead letters of one tenant up. A repeat finds them discarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardDeadLetters {
    /// Whose.
    pub tenant: TenantId,
    /// Who gives them up, as commands said it that nothing was put into the change log for; empty in all others.
    pub former_actor: String,
    /// Which, at most [`crate::limits::COMMAND_DISCARDS_MAX`]; all of this tenant's.
    pub deliveries: Vec<DeliveryKey>,
    /// Stands in the change log.
    pub request_id: String,
    /// Who asked; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
}

/// Begins a job over what lies dead at a destination at this very moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartJob {
    /// Whose.
    pub tenant: TenantId,
    /// What it does.
    pub kind: JobKind,
    /// At which destination.
    pub destination: DestinationId,
    /// Only those whose last attempt failed of this.
    pub cause: Option<Cause>,
    /// Who wants it, as commands said it that nothing was put into the change log for; empty in all others.
    pub former_actor: String,
    /// A repeat is harmless: it finds the first one's job.
    pub request_id: String,
    /// Who asked; `None`: nothing is put into the change log, neither now nor when the job ends.
    pub actor: Option<Actor>,
}

/// Moves a job on by one bounded step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvanceJob {
    /// The tenant's partition.
    pub partition: Partition,
    /// Whose.
    pub tenant: TenantNo,
    /// Which.
    pub job: JobNo,
    /// From where: nothing happens where the job stands elsewhere by now.
    pub from: JobCursor,
    /// Dead letters that it takes, at most [`crate::limits::JOB_STEP_TAKEN_MAX`].
    pub taken_max: u32,
    /// Dead letters that it reads, at most [`crate::limits::JOB_STEP_READ_MAX`].
    pub read_max: u32,
}

/// Ends a job where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelJob {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub job: JobNo,
    /// Who ends it, as commands said it that nothing was put into the change log for; empty in all others.
    pub former_actor: String,
    /// Stands in the change log.
    pub request_id: String,
    /// Who asked; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
}

/// Counts dead letters by their causes, from where the step before ended: those that died before there were such
/// counters. From each step on the counters follow whatever lies before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountCauses {
    /// The last key that has been counted, empty at first: nothing happens where the count stands elsewhere by now.
    pub from: Bytes,
    /// Dead letters that it counts, at most [`crate::limits::JOB_STEP_READ_MAX`].
    pub read_max: u32,
}

/// What is to happen to one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMove {
    /// Which.
    pub shard: ShardId,
    /// The epoch that this move starts from, 0 where the shard never had an owner: another one, and nothing happens.
    pub from_epoch: Epoch,
    /// To whom.
    pub to: NodeId,
    /// In which way.
    pub how: MoveKind,
}

/// In which way a shard moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveKind {
    /// At once: it has no owner, or its owner's lease is over.
    Give,
    /// In two steps: the owner finishes what is in flight and releases it.
    Ask,
}

/// Gives shards out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignShards {
    /// At most one for each shard.
    pub moves: Vec<ShardMove>,
}

/// Lets shards go that were asked to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseShards {
    /// Who lets go.
    pub node: NodeId,
    /// Which, each with the epoch under which it was held.
    pub shards: Vec<(ShardId, Epoch)>,
}

/// Rows that lie in buckets of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucketed {
    /// The attempt log, by the day on which an attempt began.
    Attempts,
    /// Idempotency keys, by the hour in which their default window ends.
    IdempotencyKeys,
    /// Requests that changed settings, by the hour in which their window ends: of all tenants alike.
    Requests,
}

/// Drops a bucket of some tenants of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropBuckets {
    /// Of which.
    pub partition: Partition,
    /// What lies in it.
    pub rows: Bucketed,
    /// The day or the hour, counted from the epoch.
    pub bucket: u32,
    /// Whose, at most [`crate::limits::UPKEEP_TENANTS_MAX`]: those for whom it is not over keep it. Of requests nobody
    /// is named.
    pub tenants: Vec<TenantNo>,
}

/// A dead letter, as its expiry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterRef {
    /// Which delivery.
    pub delivery: DeliveryKey,
    /// When it died: one that has died anew since is another letter.
    pub died: Timestamp,
}

/// Takes dead letters of one partition out of their queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpireDeadLetters {
    /// Of which.
    pub partition: Partition,
    /// At most [`crate::limits::UPKEEP_LETTERS_MAX`]: those that are not over stay.
    pub letters: Vec<LetterRef>,
    /// In whose name; `None`: nothing is put into the change log.
    pub actor: Option<Actor>,
}

/// Drops the events of a tenant that are next in line, or carries them forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropEvents {
    /// The tenant's.
    pub partition: Partition,
    /// Whose.
    pub tenant: TenantNo,
    /// Up to where they have gone before: another place, and nothing happens.
    pub from: EventSeq,
    /// All from there on up to the last of these, in order, at most [`crate::limits::UPKEEP_EVENTS_MAX`].
    pub events: Vec<EventSeq>,
    /// All destinations that these events go to.
    pub destinations: Vec<DestinationNo>,
}

/// Looks again at events of a tenant that were carried forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropCarried {
    /// The tenant's.
    pub partition: Partition,
    /// Whose.
    pub tenant: TenantNo,
    /// Which, at most [`crate::limits::UPKEEP_CARRIED_MAX`].
    pub events: Vec<EventSeq>,
}

/// A destination inside keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    /// Its shard.
    pub shard: ShardId,
    /// Its tenant.
    pub tenant: TenantNo,
    /// Itself.
    pub destination: DestinationNo,
}

/// Says where something may now deserve attention. Drop every one, and the system is slower but not wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A delivery became due, or will at this time.
    Due {
        /// Whose queue.
        queue: QueueKey,
        /// When.
        due: Timestamp,
    },
    /// A destination was made, paused, resumed or disabled.
    Destination {
        /// Which.
        queue: QueueKey,
    },
    /// A shard changed hands, or was asked to.
    Shard(ShardId),
}
