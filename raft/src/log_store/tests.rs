//! What the conformance suite does not ask: who is told when, what a kill leaves, and what damage looks like.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use futures::StreamExt;
use openraft::EntryPayload;
use openraft::storage::RaftLogReader;
use openraft::type_config::TypeConfigExt;

use super::*;
use crate::types::{LeaderId, Payload};

/// What a flush tells.
type Told = openraft::alias::OneshotReceiverOf<TypeConfig, io::Result<()>>;

const NODE: NodeId = NodeId(1);

struct Disk {
    root: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self {
            root: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(disk.root.path().join("log")).unwrap();
        Watermark::create(&disk.root.path().join("watermark"), NODE).unwrap();
        Seals::create(&disk.root.path().join("seals"), NODE).unwrap();
        disk
    }

    /// Small files, so that a few entries fill some.
    fn options(&self) -> LogOptions {
        LogOptions {
            chunk_bytes: 64 * 1024,
            cache_bytes: 128 * 1024,
            ..LogOptions::new(
                NODE,
                self.root.path().join("log"),
                self.root.path().join("watermark"),
                self.root.path().join("seals"),
            )
        }
    }

    fn open(&self) -> LogStore {
        LogStore::open(self.options()).unwrap()
    }

    fn hooked(&self, hook: FlushHook) -> LogStore {
        LogStore::open(LogOptions {
            after_flush: Some(hook),
            ..self.options()
        })
        .unwrap()
    }

    fn refusal(&self) -> String {
        match LogStore::open(self.options()) {
            Ok(_) => panic!("the log was opened"),
            Err(error) => format!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }

    /// The log's files, oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.root.path().join("log"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().is_some_and(|name| name != "LOCK"))
            .collect();
        files.sort();
        files
    }

    /// What a process that is killed now leaves. Order: the watermark first and the oldest file last, so that a
    /// copy taken while the log is written is the image of one moment, with some of the newest missing.
    fn image(&self) -> Self {
        let image = Self {
            root: tempfile::tempdir().unwrap(),
        };
        let (from, to) = (self.root.path(), image.root.path());
        fs::create_dir(to.join("log")).unwrap();
        // Read while it is written, half of a slot may be seen, which no disk ever shows.
        while Watermark::open(&to.join("watermark"), NODE).is_err() {
            fs::copy(from.join("watermark"), to.join("watermark")).unwrap();
        }
        fs::copy(from.join("seals"), to.join("seals")).unwrap();
        for file in self.files().into_iter().rev() {
            fs::copy(&file, to.join("log").join(file.file_name().unwrap())).unwrap();
        }
        image
    }
}

fn id(term: u64, index: u64) -> LogId {
    LogId {
        leader_id: LeaderId { term, node_id: 1 },
        index,
    }
}

fn entry(term: u64, index: u64, bytes: usize) -> LogEntry {
    let fill = u8::try_from(index % 251).unwrap();
    LogEntry {
        log_id: id(term, index),
        payload: EntryPayload::Normal(Payload(Bytes::from(vec![fill; bytes]))),
    }
}

async fn begin(log: &mut LogStore, entries: Vec<LogEntry>) -> Told {
    let (told, hears) = TypeConfig::oneshot();
    log.append(entries, IOFlushed::signal(told)).await.unwrap();
    hears
}

async fn append(log: &mut LogStore, entries: Vec<LogEntry>) {
    begin(log, entries).await.await.unwrap().unwrap();
}

async fn all(log: &mut LogStore) -> Vec<LogEntry> {
    log.try_get_log_entries(0..).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_before_their_flush_and_those_who_gather_share_the_next() {
    let disk = Disk::new();
    let (permit, permitted) = sync_channel::<()>(0);
    let permitted = Mutex::new(permitted);
    let mut log = disk.hooked(Arc::new(move || {
        permitted.lock().unwrap().recv().ok();
        Ok(())
    }));

    let mut first = begin(&mut log, vec![entry(1, 0, 10)]).await;
    let mut second = begin(&mut log, vec![entry(1, 1, 10)]).await;
    let mut third = begin(&mut log, vec![entry(1, 2, 10), entry(1, 3, 10)]).await;

    // Readable at once, acknowledged to nobody.
    assert_eq!(all(&mut log).await.len(), 4);
    assert!(first.try_recv().is_err());
    permit.send(()).unwrap();
    first.await.unwrap().unwrap();
    assert!(second.try_recv().is_err());
    assert!(third.try_recv().is_err());
    permit.send(()).unwrap();
    second.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
    drop(permit);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_appends_share_few_flushes() {
    let disk = Disk::new();
    let flushes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&flushes);
    let mut log = disk.hooked(Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
        Ok(())
    }));

    let mut told = Vec::new();
    for index in 0..200 {
        told.push(begin(&mut log, vec![entry(1, index, 10)]).await);
    }
    for hears in told {
        hears.await.unwrap().unwrap();
    }

    assert!(flushes.load(Ordering::Relaxed) < 100, "{flushes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_is_brought_to_disk_while_flush_follows_flush() {
    let disk = Disk::new();
    let slow: FlushHook = Arc::new(|| {
        std::thread::sleep(Duration::from_millis(5));
        Ok(())
    });
    let mut log = LogStore::open(LogOptions {
        // No file is full meanwhile, which would be another reason to sync.
        chunk_bytes: 16 * MIB,
        mark_sync_every: Duration::from_millis(200),
        after_flush: Some(slow),
        ..disk.options()
    })
    .unwrap();
    let synced = log.group().watermark().synced();

    // One more always waits while another is flushed, so that the thread beside the log is never left alone for long.
    let mut under_way = begin(&mut log, vec![entry(1, 0, 10)]).await;
    for index in 1..200 {
        let next = begin(&mut log, vec![entry(1, index, 10)]).await;
        under_way.await.unwrap().unwrap();
        under_way = next;
    }

    assert!(log.group().watermark().synced() > synced);
    under_way.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_flush_nothing_is_accepted_any_more() {
    let disk = Disk::new();
    let mut log = disk.hooked(Arc::new(|| Err(io::Error::other("the disk is gone"))));

    let told = begin(&mut log, vec![entry(1, 0, 10)]).await.await.unwrap();

    assert!(told.unwrap_err().to_string().contains("the disk is gone"));
    let (refused, _) = TypeConfig::oneshot();
    assert!(
        log.append([entry(1, 1, 10)], IOFlushed::signal(refused))
            .await
            .is_err()
    );
    assert!(log.save_vote(&Vote::new(2, 1)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_all_that_was_acknowledged() {
    let disk = Disk::new();
    let mut log = disk.open();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let done = Arc::clone(&acknowledged);
    let writer = tokio::spawn(async move {
        for index in 0..3000 {
            // Some larger than others, some several at once, all over many files.
            append(
                &mut log,
                vec![entry(1, index, usize::try_from(index * 37 % 900).unwrap())],
            )
            .await;
            done.store(index + 1, Ordering::SeqCst);
        }
    });

    let mut images = 0;
    while !writer.is_finished() {
        let kept = acknowledged.load(Ordering::SeqCst);
        let mut found = disk.image().open();
        let entries = all(&mut found).await;
        assert!(entries.len() as u64 >= kept, "{} of {kept}", entries.len());
        for (index, found) in entries.into_iter().enumerate() {
            let index = index as u64;
            assert_eq!(found, entry(1, index, usize::try_from(index * 37 % 900).unwrap()));
        }
        images += 1;
    }
    writer.await.unwrap();
    assert!(images > 2, "{images}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_is_on_disk_when_it_was_saved() {
    let disk = Disk::new();
    let mut log = disk.open();
    append(&mut log, vec![entry(1, 0, 10)]).await;

    log.save_vote(&Vote::new(7, 2)).await.unwrap();

    let image = disk.image();
    assert_eq!(image.open().read_vote().await.unwrap(), Some(Vote::new(7, 2)));
    let newest = image.files().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 5]).unwrap();
    assert!(image.refusal().contains("ends at byte"), "{}", image.refusal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_below_its_watermark_is_refused() {
    let disk = Disk::new();
    let mut log = disk.open();
    for index in 0..5 {
        append(&mut log, vec![entry(1, index, 100)]).await;
    }
    drop(log);
    let newest = disk.files().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();

    fs::write(&newest, &bytes[..bytes.len() - 60]).unwrap();

    assert!(disk.refusal().contains("ends at"), "{}", disk.refusal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_that_was_never_flushed_may_be_torn() {
    let disk = Disk::new();
    let mut log = disk.open();
    append(&mut log, vec![entry(1, 0, 100), entry(1, 1, 100)]).await;
    let before = disk.image();
    append(&mut log, vec![entry(1, 2, 100)]).await;
    let torn = disk.image();

    fs::copy(
        before.root.path().join("watermark"),
        torn.root.path().join("watermark"),
    )
    .unwrap();
    let newest = torn.files().pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 60]).unwrap();

    let mut found = torn.open();
    assert_eq!(all(&mut found).await.len(), 2);
    append(&mut found, vec![entry(2, 2, 50)]).await;
    drop(found);
    assert_eq!(all(&mut torn.open()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_bit_of_the_log_is_found_at_the_start() {
    let disk = Disk::new();
    let mut log = disk.open();
    for index in 0..6 {
        append(&mut log, vec![entry(1, index, 40)]).await;
    }
    log.save_vote(&Vote::new(3, 1)).await.unwrap();
    drop(log);
    let newest = disk.files().pop().unwrap();
    let name = newest.file_name().unwrap().to_string_lossy().into_owned();
    let bytes = fs::read(&newest).unwrap();

    for place in 0..bytes.len() {
        let image = disk.image();
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        fs::write(
            image.root.path().join("log").join(newest.file_name().unwrap()),
            flipped,
        )
        .unwrap();
        assert!(
            image.refusal().contains(&name),
            "byte {place}: {}",
            image.refusal()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_cut_or_another_nodes_is_named() {
    let (disk, other) = (Disk::new(), Disk::new());
    for (disk, term) in [(&disk, 1), (&other, 2)] {
        let mut log = disk.open();
        for index in 0..40 {
            append(&mut log, vec![entry(term, index, 10_000)]).await;
        }
    }
    let names: Vec<_> = disk
        .files()
        .iter()
        .map(|file| file.file_name().unwrap().to_owned())
        .collect();
    assert!(names.len() > 4, "{names:?}");

    for name in &names {
        let told = name.to_string_lossy().into_owned();
        let within = |image: &Disk| image.root.path().join("log").join(name);
        let gone = disk.image();
        fs::remove_file(within(&gone)).unwrap();
        assert!(gone.refusal().contains(&told), "{}", gone.refusal());
        let foreign = disk.image();
        fs::copy(within(&other), within(&foreign)).unwrap();
        assert!(foreign.refusal().contains(&told), "{}", foreign.refusal());
        for part in [0, 1, 3] {
            let cut = disk.image();
            let bytes = fs::read(within(&cut)).unwrap();
            fs::write(within(&cut), &bytes[..bytes.len() * part / 4]).unwrap();
            assert!(cut.refusal().contains(&told), "{}", cut.refusal());
        }
        let longer = disk.image();
        let mut bytes = fs::read(within(&longer)).unwrap();
        bytes.extend([1; 100]);
        fs::write(within(&longer), bytes).unwrap();
        assert!(longer.refusal().contains(&told), "{}", longer.refusal());
        // A start that was refused has changed nothing.
        assert!(longer.refusal().contains(&told));
    }
    for part in ["seals", "watermark"] {
        let foreign = disk.image();
        let strange = foreign.root.path().join("strange");
        fs::create_dir(&strange).unwrap();
        Watermark::create(&strange.join("watermark"), NodeId(2)).unwrap();
        Seals::create(&strange.join("seals"), NodeId(2)).unwrap();
        fs::copy(strange.join(part), foreign.root.path().join(part)).unwrap();
        assert!(foreign.refusal().contains("belong"), "{}", foreign.refusal());
    }
    let whole = fs::read(disk.root.path().join("seals")).unwrap();
    for place in 0..whole.len() {
        let image = disk.image();
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(image.root.path().join("seals"), bytes).unwrap();
        assert!(image.refusal().contains("seals"), "byte {place}");
    }
    assert_eq!(all(&mut disk.image().open()).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_raft_cut_is_whole() {
    let disk = Disk::new();
    let mut log = disk.open();
    append(&mut log, (0..10).map(|index| entry(1, index, 100)).collect()).await;

    log.truncate_after(Some(id(1, 4))).await.unwrap();

    let at_once = disk.image();
    assert!(all(&mut at_once.open()).await.len() >= 5);
    append(&mut log, vec![entry(2, 5, 20)]).await;
    let later = all(&mut disk.image().open()).await;
    assert_eq!(later.len(), 6);
    assert_eq!(later[5], entry(2, 5, 20));
    log.truncate_after(None).await.unwrap();
    append(&mut log, vec![entry(3, 0, 20)]).await;
    assert_eq!(all(&mut disk.image().open()).await, [entry(3, 0, 20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_ends_after_a_cut_does_not_raise_the_watermark() {
    let disk = Disk::new();
    let (permit, permitted) = sync_channel::<()>(0);
    let permitted = Mutex::new(permitted);
    let mut log = disk.hooked(Arc::new(move || {
        permitted.lock().unwrap().recv().ok();
        Ok(())
    }));
    let told = begin(&mut log, (0..4).map(|index| entry(1, index, 10)).collect()).await;

    log.truncate_after(Some(id(1, 1))).await.unwrap();
    drop(permit);
    told.await.unwrap().unwrap();
    append(&mut log, vec![entry(2, 2, 10)]).await;
    drop(log);

    let found = all(&mut disk.open()).await;
    assert_eq!(found, [entry(1, 0, 10), entry(1, 1, 10), entry(2, 2, 10)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_survives_a_kill_and_never_passes_the_log() {
    let disk = Disk::new();
    let mut log = disk.open();
    append(&mut log, (0..4).map(|index| entry(1, index, 10)).collect()).await;

    log.save_committed(Some(id(1, 2))).await.unwrap();
    log.save_committed(Some(id(1, 9))).await.unwrap();

    assert_eq!(log.read_committed().await.unwrap(), Some(id(1, 2)));
    // Handed to the file system, and synced with the next entry.
    append(&mut log, vec![entry(1, 4, 10)]).await;
    assert_eq!(
        disk.image().open().read_committed().await.unwrap(),
        Some(id(1, 2))
    );
    assert!(log.truncate_after(Some(id(1, 1))).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_is_read_in_pieces_and_one_large_entry_whole() {
    let disk = Disk::new();
    let mut log = disk.open();
    append(
        &mut log,
        (0..8).map(|index| entry(1, index, 400 * 1024)).collect(),
    )
    .await;
    append(&mut log, vec![entry(1, 8, 2 * MIB)]).await;

    assert_eq!(log.limited_get_log_entries(0, 9).await.unwrap().len(), 2);
    assert_eq!(log.limited_get_log_entries(8, 9).await.unwrap().len(), 1);
    assert_eq!(log.limited_get_log_entries(4, 4).await.unwrap().len(), 0);
    let mut reader = log.get_log_reader().await;
    let streamed: Vec<_> = reader
        .entries_stream(1..)
        .await
        .map(|entry| entry.unwrap().log_id.index)
        .collect()
        .await;
    assert_eq!(streamed, (1..9).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_stays_away_and_its_files_go() {
    let disk = Disk::new();
    let mut log = disk.open();
    for index in 0..40 {
        append(&mut log, vec![entry(1, index, 10_000)]).await;
    }
    let (files, bytes) = (disk.files().len(), log.bytes());

    log.purge(id(1, 29)).await.unwrap();
    append(&mut log, vec![entry(1, 40, 10)]).await;
    drop(log);

    assert!(disk.files().len() < files);
    let mut found = disk.open();
    assert!(found.bytes() < bytes);
    assert_eq!(all(&mut found).await.len(), 11);
    assert_eq!(
        found.get_log_state().await.unwrap().last_purged_log_id,
        Some(id(1, 29))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_watermark_or_directory_is_refused() {
    let disk = Disk::new();
    append(&mut disk.open(), vec![entry(1, 0, 10)]).await;

    let image = disk.image();
    for file in image.files() {
        fs::remove_file(file).unwrap();
    }
    assert!(image.refusal().contains("is missing"), "{}", image.refusal());
    fs::remove_file(image.root.path().join("watermark")).unwrap();
    assert!(image.refusal().contains("watermark"));
    assert!(Path::new(&image.options().dir).is_dir());
}
