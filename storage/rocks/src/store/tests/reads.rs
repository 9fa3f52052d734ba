//! What a read costs in a table that is much larger than the cache.

use super::*;

const ROWS: u32 = 400_000;
const READS: u32 = 200;

fn key(number: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[12..].copy_from_slice(&number.to_be_bytes());
    key
}

#[test]
fn a_key_costs_a_few_kilobytes_of_index_and_filter_however_many_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let options = RocksOptions {
        cache_bytes: 1024 * 1024,
        ..RocksOptions::default()
    };
    let store = RocksStore::open(&dir.path().join("db"), &options).unwrap();
    for from in (0..ROWS).step_by(1000) {
        let rows = (from..from + 1000).map(|number| put(Table::Deliveries, key(number), vec![7; 64]));
        store.commit(&Changes(rows.collect()), &[]).unwrap();
    }
    store.flush().unwrap();
    // Below level 0, where indexes and filters are not pinned.
    let queue = family(store.db(), Family::Queue);
    store.db().compact_range_cf(queue, None::<&[u8]>, None::<&[u8]>);

    set_perf_stats(PerfStatsLevel::EnableCount);
    let mut counts = PerfContext::default();
    counts.reset();
    for read in 0..READS {
        let number = read * (ROWS / READS);
        assert!(store.get(Table::Deliveries, &key(number)).unwrap().is_some());
    }
    let bytes = counts.metric(PerfMetric::BlockReadByte) / u64::from(READS);

    assert!(bytes < 32 * 1024, "{bytes} bytes a read");
}
