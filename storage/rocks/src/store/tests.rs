//! The store against a `BTreeMap`, over crashes, and against its own tuning.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;

use pushrail_machine::memory::MemoryStore;
use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};

use super::*;

mod reads;

type Row = (Vec<u8>, Vec<u8>);

fn open(path: &Path) -> RocksStore {
    RocksStore::open(path, &RocksOptions::default()).unwrap()
}

fn fresh() -> (tempfile::TempDir, RocksStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("db"));
    (dir, store)
}

fn put(table: Table, key: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Change {
    Change::Put {
        table,
        key: key.as_ref().to_vec(),
        value: value.into(),
    }
}

fn rows(read: &dyn Read, table: Table, range: KeyRange) -> Vec<Row> {
    let mut found = Vec::new();
    read.scan(table, range, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    found
}

fn all(read: &dyn Read, table: Table) -> Vec<Row> {
    rows(read, table, KeyRange::prefix(&[]))
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn key(&mut self) -> Vec<u8> {
        let length = 1 + self.below(3);
        (0..length)
            .map(|_| [0, 1, 2, 127, 254, 255][self.below(6)])
            .collect()
    }

    fn table(&mut self) -> Table {
        Table::ALL[self.below(Table::ALL.len())]
    }

    fn change(&mut self) -> Change {
        let (table, key) = (self.table(), self.key());
        match self.below(10) {
            0..=5 => put(table, key, self.below(1000).to_string()),
            6..=8 => Change::Delete { table, key },
            _ => Change::DeleteRange {
                table,
                start: key,
                end: self.key(),
            },
        }
    }

    fn range(&mut self) -> KeyRange {
        let range = KeyRange {
            start: if self.below(4) == 0 {
                Vec::new()
            } else {
                self.key()
            },
            end: (self.below(3) > 0).then(|| self.key()),
            direction: pushrail_machine::store::Direction::Ascending,
        };
        if self.below(2) == 0 {
            range.descending()
        } else {
            range
        }
    }
}

/// All files of `from`, as a killed process leaves them: of one moment. Where a compaction made or removed some while
/// they were copied, they are copied again.
fn image(from: &Path, to: &Path) {
    let listed = || -> BTreeMap<PathBuf, u64> {
        let files = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter_map(|path| {
                let file = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
                Some((path, file.len()))
            })
            .collect()
    };
    loop {
        fs::create_dir_all(to).unwrap();
        let before = listed();
        let copied = before
            .keys()
            .all(|path| fs::copy(path, to.join(path.file_name().unwrap())).is_ok());
        if copied && listed() == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

#[test]
fn every_table_keeps_its_own_rows() {
    let (_dir, store) = fresh();
    let changes = Table::ALL.map(|table| put(table, b"same key", format!("{table:?}")));

    store.commit(&Changes(changes.to_vec()), &[]).unwrap();

    for table in Table::ALL {
        let expected = format!("{table:?}").into_bytes();
        assert_eq!(
            store.get(table, b"same key").unwrap().as_deref(),
            Some(&*expected)
        );
        assert_eq!(all(&store, table), [(b"same key".to_vec(), expected)]);
    }
}

#[test]
fn it_shows_what_a_map_shows_whatever_is_done_to_both() {
    let (dir, mut store) = fresh();
    let mut map = MemoryStore::default();
    let mut dice = Dice(0x5eed);

    for round in 0..400 {
        let changes = Changes((0..=dice.below(20)).map(|_| dice.change()).collect());
        store.commit(&changes, &[]).unwrap();
        map.commit(&changes);
        match round % 40 {
            13 => store.flush().unwrap(),
            27 => {
                store.flush().unwrap();
                let path = store.path();
                drop(store);
                store = open(&path);
            }
            _ => {}
        }
        let view = store.view();
        for _ in 0..20 {
            let (table, range, key) = (dice.table(), dice.range(), dice.key());
            assert_eq!(
                rows(&view, table, range.clone()),
                rows(&map, table, range),
                "round {round}"
            );
            assert_eq!(view.get(table, &key).unwrap(), map.get(table, &key).unwrap());
        }
    }
    drop(dir);
}

#[test]
fn a_queue_that_is_consumed_and_refilled_shows_what_a_map_shows() {
    let (_dir, store) = fresh();
    let mut map = MemoryStore::default();
    let mut dice = Dice(0x9e37);
    let key = |n: usize| u32::try_from(n).unwrap().to_be_bytes();

    for round in 0..300 {
        // A stretch is consumed row by row, as deliveries are; a few rows come back into it.
        let from = dice.below(3000);
        let deleted = (from..from + dice.below(400)).map(|n| Change::Delete {
            table: Table::Due,
            key: key(n).to_vec(),
        });
        let mut changes: Vec<_> = deleted.collect();
        for _ in 0..dice.below(100) {
            changes.push(put(Table::Due, key(dice.below(3400)), round.to_string()));
        }
        let before = store.view();
        let earlier = map.clone();
        let changes = Changes(changes);
        store.commit(&changes, &[]).unwrap();
        map.commit(&changes);
        if dice.below(10) == 0 {
            store.flush().unwrap();
        }
        // Older views scan after newer ones, since scans leave range tombstones behind.
        for (read, expected) in [(store.view(), &map), (before, &earlier)] {
            for _ in 0..3 {
                let start = dice.below(3400);
                let range = KeyRange {
                    start: key(start).to_vec(),
                    end: (dice.below(2) == 0).then(|| key(start + dice.below(1000)).to_vec()),
                    direction: pushrail_machine::store::Direction::Ascending,
                };
                for range in [range.clone(), range.descending()] {
                    assert!(
                        rows(&read, Table::Due, range.clone()) == rows(expected, Table::Due, range.clone()),
                        "round {round}, {range:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_scan_ends_where_its_visitor_says() {
    let (_dir, store) = fresh();
    let changes = (0..10u8).map(|n| put(Table::Due, [n], "")).collect();
    store.commit(&Changes(changes), &[]).unwrap();

    let mut seen = Vec::new();
    store
        .scan(Table::Due, KeyRange::prefix(&[]).descending(), &mut |key, _| {
            seen.push(key[0]);
            Ok(if key[0] == 7 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .unwrap();

    assert_eq!(seen, [9, 8, 7]);
}

#[test]
fn a_view_does_not_move_and_outlives_the_handle() {
    let (_dir, store) = fresh();
    let first = Changes(vec![put(Table::Events, "k", "old")]);
    store.commit(&first, &[(b"applied", vec![1])]).unwrap();
    let view = store.view();

    let second = Changes(vec![
        put(Table::Events, "k", "new"),
        put(Table::Events, "l", "new"),
    ]);
    store.commit(&second, &[(b"applied", vec![2])]).unwrap();
    assert!(store.in_use());
    drop(store);

    let seen = std::thread::spawn(move || (all(&view, Table::Events), view.meta(b"applied").unwrap()));
    let (events, applied) = seen.join().unwrap();
    assert_eq!(events, [(b"k".to_vec(), b"old".to_vec())]);
    assert_eq!(applied.as_deref(), Some(&[1][..]));
}

#[test]
fn a_killed_process_leaves_whole_commits_in_order_and_all_that_was_flushed() {
    let (dir, store) = fresh();
    let mut flushed = 0;

    for n in 1..=300u32 {
        // One row in each family, and the index with them.
        let tables = [Table::Tenants, Table::Due, Table::Events, Table::Attempts];
        let changes = tables.map(|table| put(table, n.to_be_bytes(), vec![7; 2000]));
        store
            .commit(
                &Changes(changes.to_vec()),
                &[(b"applied", n.to_be_bytes().to_vec())],
            )
            .unwrap();
        if n % 37 == 0 {
            store.flush().unwrap();
            flushed = n;
        }
        if n % 23 == 0 {
            let copy = dir.path().join(format!("image-{n}"));
            image(&store.path(), &copy);
            let found = open(&copy);
            let applied = found
                .meta(b"applied")
                .unwrap()
                .map_or(0, |bytes| u32::from_be_bytes(bytes.as_ref().try_into().unwrap()));
            assert!(applied >= flushed, "{applied} of {flushed}");
            for table in tables {
                let keys: Vec<_> = all(&found, table).into_iter().map(|(key, _)| key).collect();
                let expected: Vec<_> = (1..=applied).map(|n| n.to_be_bytes().to_vec()).collect();
                assert_eq!(keys, expected, "{table:?} at {n}");
            }
        }
    }
}

#[test]
fn a_checkpoint_says_of_itself_how_far_it_goes() {
    let (dir, store) = fresh();
    let commit = |n: u8| {
        let changes = Changes(vec![put(Table::Deliveries, [n], "row")]);
        store.commit(&changes, &[(b"applied", vec![n])]).unwrap();
    };
    commit(1);

    let checkpoint = store.checkpoint(&dir.path().join("checkpoint")).unwrap();
    commit(2);

    assert_eq!(checkpoint.meta(b"applied").unwrap().as_deref(), Some(&[1][..]));
    let copy = checkpoint.open().unwrap();
    assert_eq!(all(&copy, Table::Deliveries).len(), 1);
    assert!(
        copy.commit(&Changes(vec![put(Table::Due, "x", "")]), &[])
            .is_err()
    );
    assert!(store.checkpoint(checkpoint.path()).is_err());
}

#[test]
fn large_events_lie_in_blob_files_and_small_ones_do_not() {
    let (_dir, store) = fresh();
    store
        .commit(&Changes(vec![put(Table::Events, "small", vec![1; 100])]), &[])
        .unwrap();
    store.flush().unwrap();
    let before = store.properties().unwrap();

    store
        .commit(&Changes(vec![put(Table::Events, "large", vec![1; 100_000])]), &[])
        .unwrap();
    store.flush().unwrap();

    let after = store.properties().unwrap();
    assert_eq!(before.blob_bytes, 0);
    assert!(after.blob_bytes >= 100_000, "{after:?}");
    assert_eq!(
        store.get(Table::Events, b"large").unwrap().unwrap(),
        vec![1; 100_000]
    );
}

#[test]
fn a_flipped_bit_in_a_file_is_an_error_and_not_a_row() {
    let (_dir, store) = fresh();
    let mut dice = Dice(7);
    let value: Vec<u8> = (0..4000)
        .map(|_| u8::try_from(dice.below(256)).unwrap())
        .collect();
    store
        .commit(&Changes(vec![put(Table::Attempts, "k", value)]), &[])
        .unwrap();
    store.flush().unwrap();
    let path = store.path();
    drop(store);
    for entry in fs::read_dir(&path).unwrap() {
        let file = entry.unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        if file.extension().is_some_and(|kind| kind == "sst") && bytes.len() > 4000 {
            bytes[2000] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
    }

    let read =
        RocksStore::open(&path, &RocksOptions::default()).and_then(|store| store.get(Table::Attempts, b"k"));

    assert!(matches!(read, Err(StoreError::Io { .. })));
}

#[test]
fn a_second_scan_does_not_walk_what_was_consumed_again() {
    let (_dir, store) = fresh();
    let key = |n: u32| n.to_be_bytes();
    let puts = (0..20_000).map(|n| put(Table::Due, key(n), "")).collect();
    store.commit(&Changes(puts), &[]).unwrap();
    store.flush().unwrap();
    let deletes = (0..19_900).map(|n| Change::Delete {
        table: Table::Due,
        key: key(n).to_vec(),
    });
    store.commit(&Changes(deletes.collect()), &[]).unwrap();
    let skipped = || {
        set_perf_stats(PerfStatsLevel::EnableCount);
        let mut counts = PerfContext::default();
        counts.reset();
        let found = all(&store.view(), Table::Due);
        assert_eq!(found.len(), 100);
        assert_eq!(found[0].0, key(19_900));
        counts.metric(PerfMetric::InternalDeleteSkippedCount)
    };

    let (first, second) = (skipped(), skipped());

    assert!(first >= 19_900, "{first}");
    assert!(second < 100, "{second}");
}

#[test]
fn a_row_put_back_among_consumed_ones_is_seen() {
    let (_dir, store) = fresh();
    let change = |n: u32, there: bool| {
        let key = n.to_be_bytes().to_vec();
        if there {
            put(Table::Due, key, "")
        } else {
            Change::Delete {
                table: Table::Due,
                key,
            }
        }
    };
    store
        .commit(&Changes((0..1000).map(|n| change(n, true)).collect()), &[])
        .unwrap();
    store.flush().unwrap();
    store
        .commit(&Changes((0..900).map(|n| change(n, false)).collect()), &[])
        .unwrap();
    let before = store.view();
    assert_eq!(all(&before, Table::Due).len(), 100);

    store
        .commit(&Changes(vec![change(450, true), change(950, false)]), &[])
        .unwrap();

    assert_eq!(all(&store.view(), Table::Due).len(), 100);
    assert_eq!(all(&before, Table::Due).len(), 100);
    store.flush().unwrap();
    let kept = all(&store, Table::Due);
    assert_eq!((kept.len(), &kept[0].0), (100, &450u32.to_be_bytes().to_vec()));
    assert!(store.get(Table::Due, &450u32.to_be_bytes()).unwrap().is_some());
}
