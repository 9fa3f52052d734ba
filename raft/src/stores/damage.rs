//! Every file of a stopped node's directory, damaged in every way there is: flipped bits, cuts, deletion, and another
//! file in its place, the node's own or another node's. Nothing damaged may be read as if it were whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use pushrail_machine::codec::encode_entry_payload;
use pushrail_machine::store::{Change, Changes, KeyRange, Read, Table};
use pushrail_model::time::Timestamp;
use pushrail_rocks::ScrubPlace;

use super::*;
use crate::types::{LeaderId, LogEntry, LogId, Payload, TypeConfig, Vote};

/// Flipped bits of one file: in its first and last byte, and so many between. Where a whole database has to be opened
/// each time there are fewer.
const FLIPS: usize = 24;
const FLIPS_OF_STATE: usize = 5;
/// The last entry.
const LAST: u64 = 39;

type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

fn open(root: &Path, node: u64) -> Result<Stores, StartError> {
    let hints = HintSender::default();
    Stores::open_with(root, NodeId(node), ScrubPolicy::Never, hints, |log| {
        log.chunk_bytes = 64 * 1024;
    })
}

fn id(index: u64) -> LogId {
    LogId {
        leader_id: LeaderId { term: 1, node_id: 1 },
        index,
    }
}

/// A node that was stopped in order: entries over several files, rows in several tables and blob files.
async fn stopped(node: u64) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut stores = open(root.path(), node).unwrap();
    stores.log.save_vote(&Vote::new(1, node)).await.unwrap();
    let filler = vec![Bytes::from(vec![u8::try_from(node).unwrap(); 4 * 1024])];
    for index in 0..=LAST {
        let (told, hears) = TypeConfig::oneshot();
        let entry = LogEntry {
            log_id: id(index),
            payload: EntryPayload::Normal(Payload(encode_entry_payload(Timestamp(index), &filler))),
        };
        stores.log.append([entry], IOFlushed::signal(told)).await.unwrap();
        hears.await.unwrap().unwrap();
        let rows = Table::ALL.into_iter().flat_map(|table| {
            (0..2_u64).map(move |row| {
                // Equal on all nodes, as what is replicated is; how it lies in files is not.
                let value = format!("{index} {row} ").repeat(50 + usize::try_from(row).unwrap() * 300);
                Change::Put {
                    table,
                    key: [index.to_be_bytes(), row.to_be_bytes()].concat(),
                    value: value.into(),
                }
            })
        });
        let meta = crate::state::meta(&id(index), None);
        let store = &stores.state.current().store;
        store.commit(&Changes(rows.collect()), &meta).unwrap();
        if index == LAST / (1 + node) {
            stores.state.flush().unwrap();
        }
    }
    stores.state.flush().unwrap();
    drop(stores);
    root
}

fn files(root: &Path) -> Vec<PathBuf> {
    let (mut left, mut found) = (vec![root.to_path_buf()], Vec::new());
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

/// A copy of a directory; what never changes there is linked, but for the one file that will be damaged.
fn image(from: &Path, damaged: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir_in(from.parent().unwrap()).unwrap();
    for file in files(from) {
        let (source, to) = (from.join(&file), image.path().join(&file));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let unchanging = file
            .extension()
            .is_some_and(|kind| kind == "sst" || kind == "blob");
        if unchanging && file != damaged {
            fs::hard_link(&source, &to).unwrap();
        } else {
            fs::copy(&source, &to).unwrap();
        }
    }
    fs::create_dir_all(image.path().join("snapshots")).unwrap();
    image
}

fn rows(stores: &Stores) -> Result<Rows, StoreError> {
    let store = &stores.state.current().store;
    let mut rows = Rows::new();
    for table in Table::ALL {
        store.scan(table, KeyRange::prefix(&[]), &mut |key, value| {
            rows.insert((format!("{table:?}"), key.to_vec()), value.to_vec());
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
    }
    Ok(rows)
}

#[derive(Debug)]
enum Found {
    AtStart(String),
    WhenRead(String),
    /// An older state, whose tail the log holds.
    Behind,
    /// Every byte that anybody reads is right.
    Whole,
    Wrong,
}

/// Starts the node, and reads all that it has.
fn start(root: &Path, whole: &Rows) -> Found {
    let stores = match open(root, 1) {
        Ok(stores) => stores,
        Err(error) => return Found::AtStart(in_full(&error)),
    };
    let store = &stores.state.current().store;
    let mut place = Some(ScrubPlace::default());
    while let Some(from) = place {
        match store.scrub(&from, 1024 * 1024) {
            Ok(read) => place = read.next,
            Err(error) => return Found::WhenRead(in_full(&error)),
        }
    }
    let applied = stores.state.progress().borrow().applied.map_or(0, |id| id.index);
    match rows(&stores) {
        Err(error) => Found::WhenRead(in_full(&error)),
        Ok(rows) if rows == *whole => Found::Whole,
        Ok(rows) if applied < LAST && rows.iter().all(|(key, value)| whole.get(key) == Some(value)) => {
            Found::Behind
        }
        Ok(_) => Found::Wrong,
    }
}

/// All ways to damage a file of this content; `others` are contents that may lie in its place.
fn damages(content: &[u8], others: &[Vec<u8>], flips: usize) -> Vec<(String, Option<Vec<u8>>)> {
    let mut ways = vec![("deleted".to_owned(), None)];
    let length = content.len();
    if length > 0 {
        let between = (0..flips).map(|at| at * length / flips + (at * 37) % (length / flips + 1));
        let mut places: Vec<usize> = between.chain([0, length - 1]).filter(|at| *at < length).collect();
        places.dedup();
        for at in places {
            let mut flipped = content.to_vec();
            flipped[at] ^= 1 << (at % 8);
            ways.push((format!("a bit flipped in byte {at}"), Some(flipped)));
        }
        for cut in [0, 1, length / 3, length / 2, length - 1] {
            ways.push((format!("cut to {cut} of {length}"), Some(content[..cut].to_vec())));
        }
    }
    for other in others.iter().filter(|other| *other != content) {
        ways.push((
            format!("{} bytes of another file", other.len()),
            Some(other.clone()),
        ));
    }
    ways
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_damaged_in_a_stopped_nodes_directory_is_found_and_named() {
    let (node, other) = (stopped(1).await, stopped(2).await);
    let whole = rows(&open(image(node.path(), Path::new("")).path(), 1).unwrap()).unwrap();
    let names = files(node.path());
    assert!(
        names
            .iter()
            .filter(|name| name.extension().is_some_and(|kind| kind == "wal"))
            .count()
            > 1
    );
    assert!(
        names
            .iter()
            .any(|name| name.extension().is_some_and(|kind| kind == "blob"))
    );

    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        // Neither holds anything: one is a lock, the other is for people.
        let file = name.file_name().unwrap().to_string_lossy().into_owned();
        if file == "LOCK" || file.starts_with("LOG") {
            continue;
        }
        let content = fs::read(node.path().join(name)).unwrap();
        let own = fs::read(node.path().join(&names[(at + 1) % names.len()])).unwrap();
        let theirs = fs::read(other.path().join(name)).ok();
        let others: Vec<Vec<u8>> = theirs.into_iter().chain([own]).collect();
        let state = name.starts_with("state");
        let flips = if state { FLIPS_OF_STATE } else { FLIPS };
        for (how, damaged) in damages(&content, &others, flips) {
            let image = image(node.path(), name);
            let path = image.path().join(name);
            match damaged {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }

            let found = start(image.path(), &whole);

            let case = format!("{}: {how}: {found:?}", name.display());
            match &found {
                Found::AtStart(told) => {
                    let named = told.contains(&file) || (state && told.contains("state/db-1"));
                    assert!(named, "not named: {case}");
                }
                Found::WhenRead(told) => assert!(state && told.contains(&file), "not named: {case}"),
                Found::Behind => assert!(file.starts_with("MANIFEST"), "{case}"),
                Found::Whole => assert!(state, "not found: {case}"),
                Found::Wrong => panic!("read as if it were whole: {case}"),
            }
            let sort = format!("{found:?}");
            let sort = sort.split('(').next().unwrap_or_default().to_owned();
            *tally.entry(sort).or_default() += 1;
        }
    }
    // Bytes of the state that nobody reads (filters, options of the last start) may stay unfound.
    assert!(tally["AtStart"] > 100 && tally["WhenRead"] > 20, "{tally:?}");
}
