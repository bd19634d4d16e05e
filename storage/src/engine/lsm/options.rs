//! How the database is sized and tuned.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, Options, SliceTransform,
    WriteBufferManager,
};

use super::gc::VersionFilterFactory;
use crate::mvcc::SUFFIX;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Bits a key in the filters: about 1 % false positives.
const FILTER_BITS: f64 = 10.0;

/// Budgets of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LsmOptions {
    /// Block cache, with the indexes and filters of all files.
    pub cache_bytes: usize,
    /// All memtables together; a quarter of it is one memtable of the data space.
    pub write_buffer_bytes: usize,
    /// Threads for flushes and compactions.
    pub background_jobs: usize,
}

impl LsmOptions {
    /// Shares of a node's memory budget: 30 % cache, an eighth for memtables.
    pub fn for_memory(bytes: u64) -> LsmOptions {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        LsmOptions {
            cache_bytes: (bytes / 10 * 3).max(8 * MIB),
            write_buffer_bytes: (bytes / 8).clamp(4 * MIB, 512 * MIB),
            background_jobs: (cores / 2).clamp(2, 8),
        }
    }

    /// Options of the database and of its three families.
    pub(super) fn build(&self, safe_point: &Arc<AtomicU64>) -> Families {
        // An estimated charge of 0 lets the cache find out the size of its entries by itself.
        let cache = Cache::new_hyper_clock_cache(self.cache_bytes, 0);
        Families {
            db: self.database(),
            data: self.data(&cache, safe_point),
            intent: self.intent(&cache),
            meta: meta(&cache),
            unused: unused(),
        }
    }

    fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_atomic_flush(true);
        options.set_max_background_jobs(i32::try_from(self.background_jobs).unwrap_or(i32::MAX).max(2));
        options.set_max_subcompactions(2);
        options.set_bytes_per_sync(MIB as u64);
        options.set_max_open_files(-1);
        options.set_skip_stats_update_on_db_open(true);
        options.set_avoid_unnecessary_blocking_io(true);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(4 * MIB);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        // No stall: proposals are slowed before the log, never the apply loop.
        options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(
            self.write_buffer_bytes,
            false,
        ));
        options
    }

    fn data(&self, cache: &Cache, safe_point: &Arc<AtomicU64>) -> Options {
        let memtable = (self.write_buffer_bytes / 4).clamp(64 * KIB, 128 * MIB);
        let mut blocks = blocks(cache, 16 * KIB);
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_partition_filters(true);
        blocks.set_hybrid_ribbon_filter(FILTER_BITS, 1);
        // One entry a user key instead of one a version.
        blocks.set_whole_key_filtering(false);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_prefix_extractor(SliceTransform::create(
            "phantomdb.user_key",
            |key| &key[..key.len() - SUFFIX],
            Some(|key| key.len() >= SUFFIX),
        ));
        options.set_memtable_prefix_bloom_ratio(0.05);
        options.set_write_buffer_size(memtable);
        options.set_max_write_buffer_number(4);
        options.set_level_zero_file_num_compaction_trigger(4);
        options.set_level_zero_slowdown_writes_trigger(20);
        options.set_level_zero_stop_writes_trigger(36);
        options.set_max_bytes_for_level_base((4 * memtable as u64).clamp(MIB as u64, 512 * MIB as u64));
        options.set_target_file_size_base((memtable as u64).clamp(MIB as u64, 64 * MIB as u64));
        options.set_level_compaction_dynamic_level_bytes(true);
        // LZ4 on the last level too: with ZSTD there, reads beside compactions cost 1.5 times as much.
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_periodic_compaction_seconds(7 * 24 * 3600);
        options.set_compaction_filter_factory(VersionFilterFactory { safe_point: safe_point.clone() });
        options
    }

    fn intent(&self, cache: &Cache) -> Options {
        let mut blocks = blocks(cache, 16 * KIB);
        blocks.set_bloom_filter(FILTER_BITS, false);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_size((self.write_buffer_bytes / 8).clamp(64 * KIB, 32 * MIB));
        options.set_max_write_buffer_number(4);
        options.set_level_zero_file_num_compaction_trigger(2);
        options.set_level_compaction_dynamic_level_bytes(true);
        options.set_compression_type(DBCompressionType::None);
        options
    }
}

/// Options of the database and its families.
pub(super) struct Families {
    pub(super) db: Options,
    pub(super) data: Options,
    pub(super) intent: Options,
    pub(super) meta: Options,
    pub(super) unused: Options,
}

/// The family `default`, which RocksDB insists on. After a full disk RocksDB goes on writing when
/// there is room for the largest memtable of any family, so this one must not be the largest.
fn unused() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(64 * KIB);
    options
}

fn meta(cache: &Cache) -> Options {
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks(cache, 4 * KIB));
    options.set_write_buffer_size(4 * MIB);
    options.set_compression_type(DBCompressionType::None);
    options
}

fn blocks(cache: &Cache, block_size: usize) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(block_size);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks
}
