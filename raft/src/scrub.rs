//! Reads the state through in the background, at a gentle pace and again and again: a disk that changes bytes which
//! nobody reads is found out while the other nodes still have theirs. What it finds stops the node.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pushrail_machine::store::StoreError;
use pushrail_rocks::ScrubPlace;

use crate::config::ScrubPolicy;
use crate::metrics;
use crate::state::State;

/// Bytes read at once.
const PIECE: u64 = 256 * 1024;
/// A round begins no sooner after the last one: a small state is not read all the time.
const ROUND: Duration = Duration::from_secs(60);

/// The way to the thread; it ends when this is dropped.
pub(crate) struct Scrubber {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scrubber {
    /// Starts the thread, where there is to be one.
    pub(crate) fn start(state: State, policy: ScrubPolicy) -> std::io::Result<Option<Self>> {
        let ScrubPolicy::Paced { bytes_per_second } = policy else {
            return Ok(None);
        };
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("scrub".to_owned())
            .spawn(move || serve(&state, bytes_per_second.max(1), &stopped))?;
        Ok(Some(Self {
            stop: Some(stop),
            thread: Some(thread),
        }))
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads the state through panicked");
        }
    }
}

/// A round under way.
struct Round {
    generation: u64,
    place: ScrubPlace,
    began: Instant,
    bytes: u64,
}

impl Round {
    fn begin(state: &State) -> Self {
        Self {
            generation: state.current().number,
            place: ScrubPlace::default(),
            began: Instant::now(),
            bytes: 0,
        }
    }
}

fn serve(state: &State, bytes_per_second: u64, stopped: &Receiver<()>) {
    let piece = PIECE.min(bytes_per_second);
    let mut round = Round::begin(state);
    // What a round reads is only known after the first: keys and values are larger than the files that hold them.
    let mut expected = None;
    loop {
        // A view that waits for us would hold old files: nothing is kept from one piece to the next.
        let step = match read_piece(state, &mut round, piece) {
            Ok(step) => step,
            // It is told to the one who ends the process.
            Err(error) => return drop(state.watch::<()>(Err(error))),
        };
        ::metrics::counter!(metrics::SCRUB_BYTES_TOTAL).increment(step.bytes);
        let wait = match step.more {
            true => Duration::from_secs_f64(step.bytes as f64 / bytes_per_second as f64),
            false => {
                ::metrics::counter!(metrics::SCRUB_ROUNDS_TOTAL).increment(1);
                expected = Some(round.bytes);
                let left = ROUND.saturating_sub(round.began.elapsed());
                round = Round::begin(state);
                left
            }
        };
        show_progress(state, &round, expected);
        match stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if round.bytes == 0 {
            round.began = Instant::now();
        }
    }
}

struct Step {
    bytes: u64,
    more: bool,
}

fn read_piece(state: &State, round: &mut Round, piece: u64) -> Result<Step, StoreError> {
    let current = state.current();
    if current.number != round.generation {
        *round = Round::begin(state);
    }
    let read = current.store.scrub(&round.place, piece)?;
    round.bytes += read.bytes;
    let more = read.next.is_some();
    round.place = read.next.unwrap_or_default();
    Ok(Step {
        bytes: read.bytes,
        more,
    })
}

fn show_progress(state: &State, round: &Round, expected: Option<u64>) {
    let files = || {
        let found = state.properties().ok()?;
        Some(found.table_bytes + found.blob_bytes)
    };
    let all = expected.or_else(files).unwrap_or(0).max(round.bytes).max(1);
    ::metrics::gauge!(metrics::SCRUB_PROGRESS_RATIO).set(round.bytes as f64 / all as f64);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pushrail_machine::store::{Change, Changes, Table};
    use pushrail_rocks::RocksOptions;

    use super::*;
    use crate::error::Cause;
    use crate::hints::HintSender;
    use crate::state::Standing;

    fn open(dir: &std::path::Path, standing: Standing) -> State {
        State::open(dir, standing, RocksOptions::default(), HintSender::default()).unwrap()
    }

    #[test]
    fn damage_that_nobody_reads_is_found_in_the_background() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path(), Standing::Fresh);
        let rows = (0..2000_u32).map(|row| Change::Put {
            table: Table::Deliveries,
            key: row.to_be_bytes().to_vec(),
            value: row.to_string().repeat(50).into(),
        });
        let current = state.current();
        current.store.commit(&Changes(rows.collect()), &[]).unwrap();
        current.store.flush().unwrap();
        drop((current, state));
        let table = fs::read_dir(dir.path().join("db-1"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|kind| kind == "sst"))
            .unwrap();
        let mut bytes = fs::read(&table).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&table, bytes).unwrap();
        let state = open(dir.path(), Standing::Made);
        assert_eq!(*state.failure().borrow(), None, "nobody has read it");

        let policy = ScrubPolicy::Paced {
            bytes_per_second: 64 * 1024 * 1024,
        };
        let scrubber = Scrubber::start(state.clone(), policy).unwrap().unwrap();
        let found = scrubber.thread.as_ref().unwrap();
        while !found.is_finished() {
            std::thread::yield_now();
        }

        let failure = state.failure().borrow().clone().unwrap();
        assert_eq!(failure.cause, Cause::Damage);
        assert!(
            failure
                .why
                .contains(&*table.file_name().unwrap().to_string_lossy()),
            "{failure}"
        );
    }

    #[test]
    fn a_whole_state_is_read_to_its_end_and_ends_when_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let state = open(dir.path(), Standing::Fresh);
        let rows = Table::ALL.map(|table| Change::Put {
            table,
            key: b"key".to_vec(),
            value: vec![7; 3000].into(),
        });
        state
            .current()
            .store
            .commit(&Changes(rows.to_vec()), &[])
            .unwrap();
        let mut round = Round::begin(&state);

        let mut pieces = 1;
        while read_piece(&state, &mut round, 5000).unwrap().more {
            pieces += 1;
        }

        assert!(round.bytes >= 3000 * Table::ALL.len() as u64);
        assert!(pieces >= Table::ALL.len() / 2, "{pieces}");
        drop(Scrubber::start(state, ScrubPolicy::default()).unwrap());
    }
}
