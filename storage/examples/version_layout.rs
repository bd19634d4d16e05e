//! Measures two layouts of versions in RocksDB: `key ‖ !ts` in one column family against the newest
//! version under the plain key with older ones in a history family. Figures stand in
//! docs/decisions/001-versions-in-the-lsm.md.
//!
//! `cargo run --release --example version_layout [rows] [operations]`

use std::error::Error;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Options, ReadOptions,
    SliceTransform, WriteBatch, WriteOptions,
};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{
    ApplyState, Engine, Iter, RangeId, ReadMode, Snapshot, Space, Span, WriteBatch as Effects,
};
use storage::key::{ColumnOrder, KeyWriter};
use storage::{Ts, mvcc};

type Outcome<T> = Result<T, Box<dyn Error>>;

const VALUE: usize = 100;
const LOADED: Ts = Ts(1_000);

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let rows: u64 = args.next().map_or(Ok(2_000_000), |a| a.parse())?;
    let operations: u64 = args.next().map_or(Ok(300_000), |a| a.parse())?;
    report(&format!(
        "{rows} rows of {VALUE} B, {operations} operations a line, CPU time of one thread, all cached"
    ));
    suffix_layout(rows, operations)?;
    plain_layout(rows, operations)?;
    engine(rows, operations)
}

#[expect(clippy::print_stdout, reason = "the program's output is its purpose")]
fn report(line: &str) {
    println!("{line}");
}

/// CPU time of this thread, which other processes do not lengthen as they do wall time.
fn cpu_nanos() -> Outcome<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().ok_or("an empty schedstat")?.parse()?)
}

/// Times `operations` calls of `run` with random row numbers.
fn time(name: &str, rows: u64, operations: u64, mut run: impl FnMut(u64) -> Outcome<()>) -> Outcome<()> {
    let mut rng = SmallRng::seed_from_u64(1);
    let start = cpu_nanos()?;
    for _ in 0..operations {
        run(rng.random_range(0..rows))?;
    }
    let each = (cpu_nanos()? - start) as f64 / 1e3 / operations as f64;
    report(&format!("{each:8.2} us  {name}"));
    Ok(())
}

fn user_key(row: u64) -> Vec<u8> {
    let mut key = KeyWriter::table(7, 0);
    key.push_i64(row as i64, ColumnOrder::KEY);
    key.finish()
}

fn versioned(row: u64, ts: Ts) -> Vec<u8> {
    let mut key = user_key(row);
    mvcc::push_suffix(&mut key, ts);
    key
}

fn family(prefix: bool) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_hyper_clock_cache(2 << 30, 0));
    blocks.set_block_size(16 << 10);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    if prefix {
        blocks.set_whole_key_filtering(false);
        options.set_prefix_extractor(SliceTransform::create(
            "example.user_key",
            |key| &key[..key.len() - mvcc::SUFFIX],
            Some(|key| key.len() >= mvcc::SUFFIX),
        ));
        options.set_memtable_prefix_bloom_ratio(0.05);
    } else {
        options.set_memtable_prefix_bloom_ratio(0.05);
        options.set_memtable_whole_key_filtering(true);
    }
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(64 << 20);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

fn open(dir: &std::path::Path, families: &[(&str, bool)]) -> Outcome<DB> {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_atomic_flush(true);
    let families = families.iter().map(|(name, prefix)| ColumnFamilyDescriptor::new(*name, family(*prefix)));
    Ok(DB::open_cf_descriptors(&options, dir, families)?)
}

fn no_wal() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

fn load(db: &DB, name: &str, rows: u64, key: impl Fn(u64) -> Vec<u8>) -> Outcome<()> {
    let family = db.cf_handle(name).ok_or("no such family")?;
    let mut row = 0;
    while row < rows {
        let mut batch = WriteBatch::default();
        let end = rows.min(row + 1_000);
        (row..end).for_each(|row| batch.put_cf(family, key(row), [row as u8; VALUE]));
        db.write_opt(batch, &no_wal())?;
        row = end;
    }
    db.flush_cf(family)?;
    db.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
    Ok(())
}

fn seek_options(prefix: bool) -> ReadOptions {
    let mut options = ReadOptions::default();
    if prefix {
        options.set_prefix_same_as_start(true);
    } else {
        options.set_total_order_seek(true);
    }
    options
}

/// `key ‖ !ts` in one family.
fn suffix_layout(rows: u64, operations: u64) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let db = open(dir.path(), &[("data", true)])?;
    let data = db.cf_handle("data").ok_or("no such family")?;
    load(&db, "data", rows, |row| versioned(row, LOADED))?;
    let found = |iter: &rocksdb::DBRawIterator<'_>, row: u64| -> Outcome<()> {
        let (key, value) = iter.item().ok_or("a row is missing")?;
        let same = mvcc::split(key)?.0 == user_key(row) && value.to_vec().len() == VALUE;
        if same { Ok(()) } else { Err("another row".into()) }
    };
    for round in ["warm-up", "measured"] {
        report(&format!("-- suffix, {round}"));
        time("get at T: new iterator, total order", rows, operations, |row| {
            let mut iter = db.raw_iterator_cf_opt(data, seek_options(false));
            iter.seek(versioned(row, Ts::MAX));
            found(&iter, row)
        })?;
        time("get at T: new iterator, prefix and bloom", rows, operations, |row| {
            let mut iter = db.raw_iterator_cf_opt(data, seek_options(true));
            iter.seek(versioned(row, Ts::MAX));
            found(&iter, row)
        })?;
        let mut iter = db.raw_iterator_cf_opt(data, seek_options(true));
        time("get at T: one iterator, prefix and bloom", rows, operations, |row| {
            iter.seek(versioned(row, Ts::MAX));
            found(&iter, row)
        })?;
        time("get at T: one iterator, refreshed before each seek", rows, operations, |row| {
            iter.refresh()?;
            iter.seek(versioned(row, Ts::MAX));
            found(&iter, row)
        })?;
        time("absent key: one iterator, prefix and bloom", rows, operations, |row| {
            iter.seek(versioned(row + rows, Ts::MAX));
            if iter.valid() { Err("a row that is not there".into()) } else { Ok(()) }
        })?;
    }
    let mut ts = LOADED.0;
    time("update: one put", rows, operations, |row| {
        ts += 1;
        let mut batch = WriteBatch::default();
        batch.put_cf(data, versioned(row, Ts(ts)), [1; VALUE]);
        Ok(db.write_opt(batch, &no_wal())?)
    })?;
    let mut iter = db.raw_iterator_cf_opt(data, seek_options(true));
    time("get at T after the updates: one iterator, prefix and bloom", rows, operations, |row| {
        iter.seek(versioned(row, Ts::MAX));
        found(&iter, row)
    })
}

/// The newest version under the plain key (timestamp in the value), older ones in `history`.
fn plain_layout(rows: u64, operations: u64) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let db = open(dir.path(), &[("newest", false), ("history", true)])?;
    let newest = db.cf_handle("newest").ok_or("no such family")?;
    let history = db.cf_handle("history").ok_or("no such family")?;
    load(&db, "newest", rows, user_key)?;
    let get = |row: u64| -> Outcome<()> {
        let value = db.get_pinned_cf(newest, user_key(row))?.ok_or("a row is missing")?;
        if value.to_vec().len() == VALUE { Ok(()) } else { Err("another row".into()) }
    };
    for round in ["warm-up", "measured"] {
        report(&format!("-- newest and history, {round}"));
        time("get newest: get_pinned", rows, operations, get)?;
        time("absent key: get_pinned", rows, operations, |row| {
            let found = db.get_pinned_cf(newest, user_key(row + rows))?;
            if found.is_some() { Err("a row that is not there".into()) } else { Ok(()) }
        })?;
    }
    let mut ts = LOADED.0;
    time("update: read the old version, put it to history, put the new one", rows, operations, |row| {
        ts += 1;
        let key = user_key(row);
        let old = db.get_pinned_cf(newest, &key)?.ok_or("a row is missing")?;
        let mut batch = WriteBatch::default();
        batch.put_cf(history, versioned(row, Ts(ts - 1)), &old);
        batch.put_cf(newest, &key, [1; VALUE]);
        Ok(db.write_opt(batch, &no_wal())?)
    })?;
    time("update: old version known, two puts", rows, operations, |row| {
        ts += 1;
        let mut batch = WriteBatch::default();
        batch.put_cf(history, versioned(row, Ts(ts - 1)), [2; VALUE]);
        batch.put_cf(newest, user_key(row), [1; VALUE]);
        Ok(db.write_opt(batch, &no_wal())?)
    })?;
    time("get newest after the updates: get_pinned", rows, operations, get)?;
    let mut iter = db.raw_iterator_cf_opt(history, seek_options(true));
    time("get at an older T: get_pinned, then history", rows, operations, |row| {
        get(row)?;
        iter.seek(versioned(row, Ts::MAX));
        Ok(iter.status()?)
    })
}

/// The first layout as the crate has it.
fn engine(rows: u64, operations: u64) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let options = LsmOptions { cache_bytes: 2 << 30, write_buffer_bytes: 256 << 20, background_jobs: 2 };
    let engine = LsmEngine::open(dir.path(), &options)?;
    let mut state = ApplyState { applied: 0, term: 1 };
    let mut write = |from: u64, to: u64, ts: Ts| -> Outcome<()> {
        let mut effects = Effects::new();
        (from..to).for_each(|row| effects.put(Space::Data, &versioned(row, ts), &[row as u8; VALUE]));
        state.applied += 1;
        Ok(engine.apply(&[(RangeId(2), &effects, state)])?)
    };
    for row in (0..rows).step_by(1_000) {
        write(row, rows.min(row + 1_000), LOADED)?;
    }
    engine.checkpoint()?;
    engine.compact();
    let get = |row: u64, mode: ReadMode| -> Outcome<()> {
        let found = engine.snapshot().get_le_ts(&user_key(row), Ts::MAX, mode)?;
        if found.is_some_and(|(_, value)| value.len() == VALUE) {
            Ok(())
        } else {
            Err("a row is missing".into())
        }
    };
    for round in ["warm-up", "measured"] {
        report(&format!("-- the engine, {round}"));
        time("snapshot and get_le_ts, no write between", rows, operations, |row| get(row, ReadMode::Block))?;
        time("the same, cache only", rows, operations, |row| get(row, ReadMode::CacheOnly))?;
        time("absent key", rows, operations, |row| {
            let found = engine.snapshot().get_le_ts(&user_key(row + rows), Ts::MAX, ReadMode::Block)?;
            if found.is_some() { Err("a row that is not there".into()) } else { Ok(()) }
        })?;
        let old = engine.snapshot();
        time("get_le_ts on one snapshot", rows, operations, |row| {
            old.get_le_ts(&user_key(row), Ts::MAX, ReadMode::Block)?.ok_or("a row is missing")?;
            Ok(())
        })?;
        time("snapshot", rows, operations, |_| {
            std::hint::black_box(engine.snapshot());
            Ok(())
        })?;
        time("iterator, seek, 100 rows", rows, operations / 20, |row| {
            let span = Span { lo: user_key(row.min(rows - 100)), hi: user_key(rows) };
            let mut iter = engine.snapshot().iter(Space::Data, &span)?;
            let mut more = iter.seek_ge(&span.lo)?;
            for _ in 1..100 {
                std::hint::black_box((iter.key(), iter.value()));
                more = more && iter.next()?;
            }
            if more { Ok(()) } else { Err("rows are missing".into()) }
        })?;
    }
    let mut ts = LOADED.0;
    time("update: apply of one put", rows, operations, |row| {
        ts += 1;
        write(row, row + 1, Ts(ts))
    })?;
    time("snapshot and get_le_ts after the updates", rows, operations, |row| get(row, ReadMode::Block))?;
    time("apply of one put, then snapshot and get_le_ts", rows, operations, |row| {
        ts += 1;
        write(row, row + 1, Ts(ts))?;
        get(row, ReadMode::Block)
    })?;
    Ok(())
}
