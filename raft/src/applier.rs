//! The thread that applies entries: the only writer of the state, away from the runtime that keeps Raft's time.
//!
//! Invariant: a write holds whole entries, with the applied index and the membership in it; whoever waits for an
//! answer gets it after that write. Nothing may depend on where one write ends and the next begins. A panic ends the process: a replica that met one cannot say what its
//! state is, and the core would notice only at its next command.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use openraft::EntryPayload;
use openraft::storage::EntryResponder;
use pushrail_machine::apply::apply;
use pushrail_machine::codec::decode_entry;
use pushrail_machine::store::StoreError;
use pushrail_machine::txn::Txn;
use pushrail_model::command::Hint;
use pushrail_model::ids::LogIndex;
use tokio::sync::oneshot;

use crate::error::Failure;
use crate::metrics::APPLY_DURATION_SECONDS;
use crate::persist::Persister;
use crate::state::{self, Generation, Progress, State};
use crate::types::{EntryAnswers, LogEntry, Payload, StoredMembership, TypeConfig};

/// Rows changed from which on a write takes no further entry: some tens of milliseconds. Bytes of entries bound neither
/// the time of a write nor its memory: a step of a job is 80 bytes, and over a thousand rows.
const WRITE_ROWS: usize = 16 * 1024;
/// Ranges cleared from which on a write takes no further entry: reads of later entries walk them one by one.
const WRITE_RANGES: usize = 64;

/// Entries and those who wait for their answers.
pub(crate) type Group = Vec<EntryResponder<TypeConfig>>;

struct Job {
    group: Group,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// The way to the thread; it ends when this is dropped.
pub(crate) struct Applier {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Applier {
    /// Starts the thread. `persister` hears how much was applied.
    pub(crate) fn start(state: State, persister: Persister) -> std::io::Result<Self> {
        let (jobs, received) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("apply".to_owned())
            .spawn(move || serve(&state, &persister, &received))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Applies `group`, in order, in as few writes as their bounds allow. On return it is readable, and everybody has been answered.
    pub(crate) async fn apply(&self, group: Group) -> std::io::Result<()> {
        let (done, applied) = oneshot::channel();
        let gone = || std::io::Error::other("the thread that applies entries has ended");
        // One group at a time: the channel has room, so this does not block.
        self.jobs
            .as_ref()
            .ok_or_else(gone)?
            .send(Job { group, done })
            .map_err(|_| gone())?;
        applied.await.map_err(|_| gone())?.map_err(std::io::Error::other)
    }
}

impl Drop for Applier {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that applies entries panicked");
        }
    }
}

fn serve(state: &State, persister: &Persister, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let began = Instant::now();
        let bytes = job.group.iter().map(|(entry, _)| payload_bytes(entry)).sum();
        let result = match catch_unwind(AssertUnwindSafe(|| apply_group(state, job.group))) {
            Ok(result) => result,
            Err(_) => {
                tracing::error!("applying an entry panicked; the process ends");
                std::process::abort();
            }
        };
        metrics::histogram!(APPLY_DURATION_SECONDS).record(began.elapsed());
        match &result {
            Ok(()) => persister.applied(bytes),
            Err(error) => state.fail(Failure::of_store(error)),
        }
        // The core has gone where nobody takes the result.
        job.done.send(result).ok();
    }
}

fn apply_group(state: &State, group: Group) -> Result<(), StoreError> {
    if let Some(failure) = state.failure().borrow().clone() {
        return Err(state::io_error(
            "apply an entry".into(),
            std::io::Error::other(failure),
        ));
    }
    let current = state.current();
    let mut entries = group.into_iter().peekable();
    while entries.peek().is_some() {
        apply_next(state, &current, &mut entries)?;
    }
    Ok(())
}

/// Applies as many of `entries` as one write may hold, and writes.
fn apply_next(
    state: &State,
    current: &Generation,
    entries: &mut impl Iterator<Item = EntryResponder<TypeConfig>>,
) -> Result<(), StoreError> {
    let mut last = state.progress().borrow().applied;
    let mut txn = Txn::new(&current.store);
    let mut membership = None;
    let mut answered = Vec::new();
    let mut hints = Vec::new();
    for (entry, responder) in entries {
        // Order: an entry that was applied already would be applied twice.
        if last >= Some(entry.log_id) {
            let text = format!("entry {} comes after {last:?} was applied", entry.log_id);
            return Err(state::io_error(
                "apply an entry".into(),
                std::io::Error::other(text),
            ));
        }
        last = Some(entry.log_id);
        let answers = apply_entry(&mut txn, entry, &mut membership, &mut hints)?;
        answered.extend(responder.map(|responder| (responder, answers)));
        if txn.rows() >= WRITE_ROWS || txn.ranges() >= WRITE_RANGES {
            break;
        }
    }
    let Some(last) = last else {
        return Ok(());
    };
    current
        .store
        .commit(&txn.into_changes(), &state::meta(&last, membership.as_ref()))?;
    state.publish(Progress {
        applied: Some(last),
        generation: current.number,
    });
    for (responder, answers) in answered {
        responder.send(answers);
    }
    state.hints().send(hints);
    Ok(())
}

fn apply_entry(
    txn: &mut Txn<'_>,
    entry: LogEntry,
    membership: &mut Option<StoredMembership>,
    hints: &mut Vec<Hint>,
) -> Result<EntryAnswers, StoreError> {
    match entry.payload {
        EntryPayload::Blank => Ok(EntryAnswers::default()),
        EntryPayload::Normal(Payload(bytes)) => {
            let applied = apply(txn, &decode_entry(LogIndex(entry.log_id.index), &bytes)?)?;
            hints.extend(applied.hints);
            Ok(EntryAnswers(applied.answers))
        }
        EntryPayload::Membership(new) => {
            *membership = Some(StoredMembership::new(Some(entry.log_id), new));
            Ok(EntryAnswers::default())
        }
    }
}

/// Bytes of the entry's batches.
pub(crate) fn payload_bytes(entry: &LogEntry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(Payload(bytes)) => bytes.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}
