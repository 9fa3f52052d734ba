//! Which table lies in which column family, and how each family is tuned.
//!
//! Families are cut by the life of their rows, not by table; inside one, a table is a byte in front of its keys.
//! Those bytes are on disk: they are fixed for good.

use pushrail_machine::store::Table;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, LogLevel,
    LruCacheOptions, Options, WriteBufferManager,
};

const MIB: usize = 1024 * 1024;
/// What one part of the block cache holds at least.
const CACHE_PART_BYTES: usize = 16 * MIB;

/// How much memory and how many threads RocksDB may have.
#[derive(Clone, Copy, Debug)]
pub struct RocksOptions {
    /// Bytes of all memtables together; writers wait where flushing cannot keep up.
    pub memtable_bytes: usize,
    /// Bytes of the cache of uncompressed blocks, indexes and filters.
    pub cache_bytes: usize,
    /// Threads that flush and compact.
    pub background_jobs: i32,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            memtable_bytes: 96 * MIB,
            cache_bytes: 64 * MIB,
            background_jobs: 2,
        }
    }
}

/// Rows that live alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Few rows, rarely written.
    Config,
    /// What comes and goes with every delivery: here tombstones are born.
    Queue,
    /// Written once, read a few times, dropped by ranges; large rows lie in blob files.
    Events,
    /// The attempt log: only appended, dropped by days.
    Attempts,
}

impl Family {
    pub(crate) const ALL: [Self; 4] = [Self::Config, Self::Queue, Self::Events, Self::Attempts];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Queue => "queue",
            Self::Events => "events",
            Self::Attempts => "attempts",
        }
    }
}

/// The byte in front of the store's own rows, in [`Family::Config`]: applied index, membership.
pub(crate) const META: u8 = 0;

/// Where a table lies: its family, and the byte in front of its keys.
pub(crate) fn place(table: Table) -> (Family, u8) {
    match table {
        Table::Meta => (Family::Config, 1),
        Table::Tenants => (Family::Config, 2),
        Table::TenantNames => (Family::Config, 3),
        Table::Destinations => (Family::Config, 4),
        Table::DestinationNames => (Family::Config, 5),
        Table::Routes => (Family::Config, 6),
        Table::Assignment => (Family::Config, 7),
        Table::Replays => (Family::Config, 8),
        Table::DoorHeads => (Family::Queue, 9),
        Table::Doors => (Family::Queue, 10),
        Table::Idempotency => (Family::Queue, 11),
        Table::IdempotencyExpiry => (Family::Queue, 12),
        Table::Events => (Family::Events, 13),
        Table::Deliveries => (Family::Queue, 14),
        Table::Due => (Family::Queue, 15),
        Table::DeadLetters => (Family::Queue, 16),
        Table::DeadLetterExpiry => (Family::Queue, 17),
        Table::DestinationCounts => (Family::Queue, 18),
        Table::ShardCounts => (Family::Queue, 19),
        Table::Attempts => (Family::Attempts, 20),
        Table::AttemptsByTenant => (Family::Attempts, 21),
        Table::EventCursors => (Family::Queue, 40),
        Table::CarriedEvents => (Family::Queue, 41),
        Table::CauseCounts => (Family::Queue, 30),
        Table::Jobs => (Family::Config, 31),
        Table::RunningJobs => (Family::Config, 32),
        Table::FormerRoutes => (Family::Config, 22),
        // 23 were the tombstones of removed objects.
        Table::Removals => (Family::Config, 24),
        Table::Changes => (Family::Config, 25),
        Table::ChangesByTime => (Family::Config, 26),
        // They come and go with time, as keys do.
        Table::Requests => (Family::Queue, 27),
        Table::RequestExpiry => (Family::Queue, 28),
    }
}

/// Options that RocksDB's C interface can only set on an open database.
pub(crate) const QUEUE_DYNAMIC: [(&str, &str); 1] = [
    // A scan that walks this many tombstones in a row leaves one range tombstone for the next: an owner that takes
    // a shard over starts in front of all that was delivered since the last compaction. Measured by the test
    // `a_second_scan_does_not_walk_what_was_consumed_again`.
    ("min_tombstones_for_range_conversion", "64"),
];

/// What one open database shares between its families.
pub(crate) struct Shared {
    pub(crate) cache: Cache,
    pub(crate) memtables: WriteBufferManager,
}

impl Shared {
    pub(crate) fn new(options: &RocksOptions) -> Self {
        Self {
            cache: Cache::new_lru_cache_opts(&cache(options.cache_bytes)),
            // Without the stall memory overshoots twofold while flushes are behind.
            memtables: WriteBufferManager::new_write_buffer_manager(options.memtable_bytes, true),
        }
    }
}

/// A cache in few parts. RocksDB's own choice is 64 of them, of a megabyte each: whatever comes near that size pushes
/// out all else in its part, and is read again at every use if it is larger.
fn cache(bytes: usize) -> LruCacheOptions {
    let parts = (bytes / CACHE_PART_BYTES).clamp(1, 64);
    let mut cache = LruCacheOptions::default();
    cache.set_capacity(bytes);
    cache.set_num_shard_bits(i32::try_from(parts.ilog2()).unwrap_or_default());
    cache
}

/// Options of the database as a whole.
pub(crate) fn database(options: &RocksOptions, shared: &Shared) -> Options {
    let mut db = Options::default();
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    // Invariant: all families are flushed at one point. Without a write-ahead log a crash would otherwise leave
    // the applied index and the rows it speaks of at different entries.
    db.set_atomic_flush(true);
    db.set_write_buffer_manager(&shared.memtables);
    db.set_paranoid_checks(true);
    db.set_max_background_jobs(options.background_jobs);
    // Spreads the writing of large files, so that the log's fsync does not wait behind them.
    db.set_bytes_per_sync(MIB as u64);
    db.set_max_open_files(1024);
    db.set_keep_log_file_num(4);
    db.set_max_log_file_size(8 * MIB);
    db.set_log_level(LogLevel::Warn);
    db.set_stats_dump_period_sec(0);
    db
}

/// All column families with their options; RocksDB's own `default` stays empty.
pub(crate) fn families(options: &RocksOptions, shared: &Shared) -> Vec<ColumnFamilyDescriptor> {
    let default = ColumnFamilyDescriptor::new("default", base(options, shared, 4 * 1024));
    let ours = Family::ALL
        .into_iter()
        .map(|family| ColumnFamilyDescriptor::new(family.name(), tuned(family, options, shared)));
    std::iter::once(default).chain(ours).collect()
}

fn tuned(family: Family, options: &RocksOptions, shared: &Shared) -> Options {
    match family {
        Family::Config => base(options, shared, 4 * 1024),
        Family::Queue => {
            let mut queue = base(options, shared, 8 * 1024);
            // A backstop where nothing else compacts a quiet queue's tombstones away.
            queue.set_periodic_compaction_seconds(3600);
            queue
        }
        Family::Events => {
            let mut events = base(options, shared, 16 * 1024);
            events.set_enable_blob_files(true);
            events.set_min_blob_size(1024);
            events.set_blob_file_size(64 * MIB as u64);
            // Payloads were compressed at the door; trying again only costs.
            events.set_blob_compression_type(DBCompressionType::None);
            events.set_enable_blob_gc(true);
            events.set_blob_gc_age_cutoff(0.25);
            events.set_blob_gc_force_threshold(0.5);
            events
        }
        // Read in long runs, and seldom: large blocks compress best.
        Family::Attempts => base(options, shared, 64 * 1024),
    }
}

fn base(options: &RocksOptions, shared: &Shared, block_bytes: usize) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&shared.cache);
    blocks.set_block_size(block_bytes);
    blocks.set_format_version(6);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_optimize_filters_for_memory(true);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Indexes and filters in parts: a key costs the few kilobytes of them that speak of it. Whole ones are megabytes
    // for each file, which leave the cache where there are more of them than it holds, and come back one by one.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(4 * 1024);

    let mut family = Options::default();
    family.set_block_based_table_factory(&blocks);
    // All alike: under atomic flush the first family to fill flushes all, and that should be the one with the
    // payloads. A third of the whole, so that one set fills while another is written.
    family.set_write_buffer_size(options.memtable_bytes / 3);
    family.set_max_write_buffer_number(4);
    // Compaction is most of a loaded node's work: wait for more files before starting it.
    family.set_level_zero_file_num_compaction_trigger(8);
    family.set_level_zero_slowdown_writes_trigger(24);
    family.set_level_zero_stop_writes_trigger(40);
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_bottommost_compression_type(DBCompressionType::Zstd);
    // Window and strategy are zstd's own; level 1, since with few levels the bottom one is written often.
    family.set_bottommost_compression_options(-14, 1, 0, 0, true);
    family
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_tables_share_their_first_byte_and_none_takes_the_stores_own() {
        let mut bytes: BTreeSet<u8> = Table::ALL.into_iter().map(|table| place(table).1).collect();

        assert_eq!(bytes.len(), Table::ALL.len());
        assert!(bytes.insert(META));
        // The scan of a last table ends at the next byte.
        assert!(!bytes.contains(&u8::MAX));
    }
}
