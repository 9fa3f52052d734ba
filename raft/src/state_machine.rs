//! The state, as the consensus core drives it: entries in, answers out, snapshots on demand.

use std::io;
use std::path::PathBuf;

use futures::{Stream, StreamExt};
use openraft::alias::SnapshotOf;
use openraft::storage::{EntryResponder, RaftStateMachine};
use pushrail_machine::store::StoreError;
use pushrail_rocks::RocksOptions;

use crate::applier::{Applier, payload_bytes};
use crate::config::ScrubPolicy;
use crate::hints::HintSender;
use crate::persist::{FlushPolicy, Persister};
use crate::scrub::Scrubber;
use crate::snapshot::{SnapshotBuilder, SnapshotFiles, SnapshotMeta, Snapshots, on_a_blocking_thread};
use crate::state::{self, Standing, State};
use crate::types::{LogId, StoredMembership, TypeConfig};

/// Bytes of entries that are handed over to be applied together at most: bounds what waits. How much of it makes one
/// write is decided where it is applied.
const GROUP_BYTES: usize = 2 * 1024 * 1024;

/// Where the state lies, and how it is kept.
pub(crate) struct StateOptions {
    pub(crate) dir: PathBuf,
    pub(crate) standing: Standing,
    pub(crate) snapshots: PathBuf,
    pub(crate) rocks: RocksOptions,
    pub(crate) flush: FlushPolicy,
    pub(crate) scrub: ScrubPolicy,
}

/// The core's handle to the state.
pub(crate) struct StateMachine {
    applier: Applier,
    state: State,
    snapshots: Snapshots,
    // Ends with this.
    _scrub: Option<Scrubber>,
}

impl StateMachine {
    /// Opens the state. The second handle is for everybody but the core.
    pub(crate) fn open(options: StateOptions, hints: HintSender) -> Result<(Self, State), StoreError> {
        let state = State::open(&options.dir, options.standing, options.rocks, hints)?;
        let snapshots = Snapshots::open(&options.snapshots)?;
        let start = || {
            let persister = Persister::start(state.clone(), options.flush)?;
            let scrub = Scrubber::start(state.clone(), options.scrub)?;
            Ok((Applier::start(state.clone(), persister)?, scrub))
        };
        let (applier, scrub) = start()
            .map_err(|error: io::Error| state::io_error("start a thread of the state".into(), error))?;
        let machine = Self {
            applier,
            state: state.clone(),
            snapshots,
            _scrub: scrub,
        };
        Ok((machine, state))
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFiles;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let current = self.state.current();
        let read = || {
            Ok::<_, StoreError>((
                state::applied(&current.store)?,
                state::membership(&current.store)?,
            ))
        };
        self.state.watch(read()).map_err(io::Error::other)
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            bytes += payload_bytes(&entry);
            group.push((entry, responder));
            if bytes >= GROUP_BYTES {
                self.applier.apply(std::mem::take(&mut group)).await?;
                bytes = 0;
            }
        }
        if group.is_empty() {
            return Ok(());
        }
        self.applier.apply(group).await
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            state: self.state.clone(),
            snapshots: self.snapshots.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotFiles) -> io::Result<()> {
        let (state, snapshots, meta) = (self.state.clone(), self.snapshots.clone(), meta.clone());
        on_a_blocking_thread(move || snapshots.install(&state, &meta, &snapshot)).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, SnapshotFiles>>> {
        Ok(self.snapshots.newest())
    }
}

#[cfg(test)]
mod tests;
