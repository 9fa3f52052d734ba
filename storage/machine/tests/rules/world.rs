//! A state in memory, and the entries applied to it one by one: after each, everything that must hold is looked for.

use std::collections::BTreeSet;

use pushrail_machine::codec::{decode_entry, encode_batch, encode_entry_payload};
use pushrail_machine::memory::MemoryStore;
use pushrail_machine::store::{Change, Changes, Table};
use pushrail_machine::txn::Txn;
use pushrail_machine::{Applied, BatchAnswer, apply, invariants, query};
use pushrail_model::command::{Batch, Command, Entry};
use pushrail_model::ids::{BatchNumber, BootId, EventId, LogIndex, NodeId, TenantNo};
use pushrail_model::response::{EventAnswer, Response};
use pushrail_model::time::{Span, Timestamp};

/// When every world begins.
pub(crate) const BEGINNING: Timestamp = Timestamp(20_000 * Span::DAY.0);

/// A state, and what led to it.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    /// What the leader's clock says.
    pub(crate) time: Timestamp,
    /// Every entry so far.
    pub(crate) entries: Vec<Entry>,
    /// Every event accepted so far: the first is `e1`.
    pub(crate) events: Vec<(TenantNo, EventId)>,
    /// Through whom [`World::run`] sends.
    pub(crate) door: NodeId,
    next_batch: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryStore::default(),
            time: BEGINNING,
            entries: Vec::new(),
            events: Vec::new(),
            door: NodeId(1),
            next_batch: 1,
        }
    }

    /// The batch that the door would send next.
    pub(crate) fn batch(&mut self, commands: Vec<Command>) -> Batch {
        let number = BatchNumber(self.next_batch);
        self.next_batch += 1;
        Batch {
            node: self.door,
            boot: BootId(1),
            number,
            lowest_open: number,
            commands,
        }
    }

    /// Applies one entry of these batches, by way of its bytes, and checks all that must hold.
    pub(crate) fn apply(&mut self, batches: Vec<Batch>) -> Applied {
        let index = LogIndex(u64::try_from(self.entries.len()).unwrap() + 1);
        let bytes: Vec<_> = batches.iter().map(encode_batch).collect();
        let payload = encode_entry_payload(self.time, &bytes);
        let entry = decode_entry(index, &payload).unwrap();
        assert_eq!(entry.batches, batches, "batches come back from their bytes");

        let before = self.store.clone();
        let mut txn = Txn::new(&before);
        let applied = apply(&mut txn, &entry).unwrap();
        let changes = txn.into_changes();
        self.store.commit(&changes);

        if let Err(wrong) = invariants::check(&self.store) {
            panic!("after entry {index}: {wrong:#?}\n{entry:#?}");
        }
        if let Err(wrong) = invariants::check_step(&before, &self.store) {
            panic!("across entry {index}: {wrong:#?}\n{entry:#?}");
        }
        only_the_clock_moves_where_all_is_rejected(&applied, &changes);
        self.note_events(&entry, &applied);
        self.entries.push(entry);
        applied
    }

    /// Applies one command, in a batch and an entry of its own.
    pub(crate) fn run(&mut self, command: Command) -> Response {
        let batch = self.batch(vec![command]);
        let applied = self.apply(vec![batch]);
        match applied.answers.into_iter().next().unwrap() {
            BatchAnswer::Answered(answers) => answers.responses.into_iter().next().unwrap(),
            BatchAnswer::Retired => panic!("a new batch is never retired"),
        }
    }

    fn note_events(&mut self, entry: &Entry, applied: &Applied) {
        let known: BTreeSet<EventId> = self.events.iter().map(|(_, id)| *id).collect();
        for (batch, answer) in entry.batches.iter().zip(&applied.answers) {
            let BatchAnswer::Answered(answers) = answer else {
                continue;
            };
            for (command, response) in batch.commands.iter().zip(&answers.responses) {
                let (Command::AcceptEvents(accept), Response::Events(answers)) = (command, response) else {
                    continue;
                };
                for (new, answer) in accept.events.iter().zip(answers) {
                    if let EventAnswer::Accepted {
                        event,
                        duplicate: false,
                        ..
                    } = answer
                        && !known.contains(event)
                    {
                        self.events.push((new.tenant, *event));
                    }
                }
            }
        }
    }

    /// The state's time.
    pub(crate) fn clock(&self) -> Timestamp {
        query::clock(&self.store).unwrap()
    }
}

/// An entry whose every command was rejected, or whose every batch was answered before, writes nothing but the clock
/// and the rows of its doors.
fn only_the_clock_moves_where_all_is_rejected(applied: &Applied, changes: &Changes) {
    let refused = applied.answers.iter().all(|answer| match answer {
        BatchAnswer::Retired => true,
        BatchAnswer::Answered(answers) => answers
            .responses
            .iter()
            .all(|response| matches!(response, Response::Rejected(_))),
    });
    if !refused {
        return;
    }
    for change in &changes.0 {
        let (Change::Put { table, key, .. } | Change::Delete { table, key }) = change else {
            continue;
        };
        let of_door = [Table::Doors, Table::DoorHeads].contains(table);
        let allowed = of_door || (*table == Table::Meta && key.len() == 1);
        assert!(allowed, "a rejection changed {change:?}");
    }
    assert_eq!(applied.hints, [], "a rejection hints at nothing");
}
