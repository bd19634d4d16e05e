//! One suite for every engine: the contract of `storage::engine`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::mem::MemEngine;
use storage::engine::{
    AnyEngine, AnySnapshot, ApplyState, Engine, Iter, RangeId, ReadMode, Snapshot, Space, Span, WriteBatch,
};
use storage::kvf::KvfWriter;
use storage::mvcc::{self, TxnTag, Version};
use storage::vfs::RealVfs;
use storage::{Error, Ts};

const RANGES: [RangeId; 2] = [RangeId(1), RangeId(2)];

/// An engine with the means to crash it.
struct Subject {
    engine: AnyEngine,
    dir: tempfile::TempDir,
    generation: u32,
    options: Option<LsmOptions>,
}

impl Subject {
    fn mem() -> Subject {
        let dir = tempfile::tempdir().unwrap();
        Subject { engine: MemEngine::new().into(), dir, generation: 0, options: None }
    }

    /// A small database: memtables of 64 KiB put flush boundaries everywhere.
    fn lsm(write_buffer_bytes: usize) -> Subject {
        let options = LsmOptions { cache_bytes: 8 << 20, write_buffer_bytes, background_jobs: 2 };
        let dir = tempfile::tempdir().unwrap();
        let engine = LsmEngine::open(&dir.path().join("0"), &options).unwrap().into();
        Subject { engine, dir, generation: 0, options: Some(options) }
    }

    /// What is left after the process was killed. For the engine on disk: a copy of its files taken
    /// while it runs, opened in its place.
    fn crash(&mut self) {
        if let AnyEngine::Mem(engine) = &self.engine {
            return engine.crash();
        }
        let from = self.dir.path().join(self.generation.to_string());
        self.generation += 1;
        let to = self.dir.path().join(self.generation.to_string());
        copy_consistently(&from, &to);
        let options = self.options.expect("an engine on disk has options");
        self.engine = LsmEngine::open(&to, &options).unwrap().into();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Copies a database at one moment: again from the start when a file came or went meanwhile, as a
/// flush or compaction in the background does it.
fn copy_consistently(from: &Path, to: &Path) {
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(from).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        let manifest = names.iter().find(|n| n.to_string_lossy().starts_with("MANIFEST")).cloned();
        let len = manifest.and_then(|n| std::fs::metadata(from.join(n)).ok()).map(|m| m.len());
        (names, len)
    };
    for _ in 0..100 {
        let before = names();
        let _ = std::fs::remove_dir_all(to);
        std::fs::create_dir_all(to).unwrap();
        let copied = before.0.iter().all(|name| std::fs::copy(from.join(name), to.join(name)).is_ok());
        if copied && names() == before {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the database never came to rest");
}

/// What an engine must hold.
#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    spaces: [BTreeMap<Vec<u8>, Vec<u8>>; 2],
    states: BTreeMap<RangeId, ApplyState>,
}

/// One turn in the form both sides take.
type Turn = Vec<(RangeId, WriteBatch, ApplyState)>;

impl Model {
    fn apply(&mut self, turn: &Turn) {
        use storage::engine::Op;
        for (range, batch, state) in turn {
            for op in batch.iter() {
                match op {
                    Op::Put { space, key, value } => {
                        self.spaces[space as usize].insert(key.to_vec(), value.to_vec());
                    }
                    Op::Delete { space, key } => {
                        self.spaces[space as usize].remove(key);
                    }
                    Op::DeleteRange { space, lo, hi } => self.spaces[space as usize]
                        .retain(|k, _| &k[..] < lo || !hi.is_empty() && &k[..] >= hi),
                }
            }
            self.states.insert(*range, *state);
        }
    }
}

fn apply(engine: &AnyEngine, turn: &Turn) {
    let turn: Vec<_> = turn.iter().map(|(range, batch, state)| (*range, batch, *state)).collect();
    engine.apply(&turn).unwrap();
}

fn whole() -> Span {
    Span { lo: vec![], hi: vec![] }
}

/// Everything a snapshot shows, read forwards and backwards.
fn dump(snapshot: &AnySnapshot) -> Model {
    let mut model = Model::default();
    for space in [Space::Data, Space::Intent] {
        let entries = forwards(snapshot, space, &whole());
        let mut back = backwards(snapshot, space, &whole());
        back.reverse();
        assert!(entries == back, "the two directions differ");
        model.spaces[space as usize] = entries.into_iter().collect();
    }
    for range in RANGES {
        model.states.extend(snapshot.state(range).unwrap().map(|state| (range, state)));
    }
    model
}

fn forwards(snapshot: &AnySnapshot, space: Space, span: &Span) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut iter = snapshot.iter(space, span).unwrap();
    let mut out = vec![];
    let mut more = iter.seek_ge(&span.lo).unwrap();
    while more {
        out.push((iter.key().to_vec(), iter.value().to_vec()));
        more = iter.next().unwrap();
    }
    out
}

fn backwards(snapshot: &AnySnapshot, space: Space, span: &Span) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut iter = snapshot.iter(space, span).unwrap();
    let mut out = vec![];
    // Above every key of the tests.
    let end = if span.hi.is_empty() { vec![0xFF; 70_000] } else { span.hi.clone() };
    let mut more = iter.seek_lt(&end).unwrap();
    while more {
        out.push((iter.key().to_vec(), iter.value().to_vec()));
        more = iter.prev().unwrap();
    }
    out
}

/// Keys of a small alphabet, of all lengths from 0: prefixes of one another, too.
fn random_key(rng: &mut SmallRng) -> Vec<u8> {
    let len = rng.random_range(0..12);
    (0..len).map(|_| [0u8, 3, 5, 0xFF][rng.random_range(0..4)]).collect()
}

fn random_turn(rng: &mut SmallRng, applied: &mut u64) -> Turn {
    let space = |rng: &mut SmallRng| if rng.random_bool(0.7) { Space::Data } else { Space::Intent };
    let mut turn = vec![];
    for range in RANGES {
        if rng.random_bool(0.3) {
            continue;
        }
        let mut batch = WriteBatch::new();
        for _ in 0..rng.random_range(0..12) {
            let (space, key) = (space(rng), random_key(rng));
            match rng.random_range(0..100) {
                0..70 => {
                    let len = if rng.random_bool(0.02) { 100_000 } else { rng.random_range(0..200) };
                    batch.put(space, &key, &vec![rng.random(); len]);
                }
                70..96 => batch.delete(space, &key),
                96..99 => batch.delete_range(space, &key, &random_key(rng)),
                _ => batch.delete_range(space, &[&key[..], &[0xFF]].concat(), &[]),
            }
        }
        *applied += 1;
        turn.push((range, batch, ApplyState { applied: *applied, term: *applied / 7 }));
    }
    turn
}

fn check_point_reads(rng: &mut SmallRng, snapshot: &AnySnapshot, model: &Model) {
    for _ in 0..20 {
        let key = random_key(rng);
        for space in [Space::Data, Space::Intent] {
            let found = snapshot.get(space, &key, ReadMode::Block).unwrap();
            assert_eq!(found.as_deref(), model.spaces[space as usize].get(&key).map(|v| &v[..]));
        }
    }
}

fn check_spans(rng: &mut SmallRng, snapshot: &AnySnapshot, model: &Model) {
    for _ in 0..10 {
        let span = Span { lo: random_key(rng), hi: random_key(rng) };
        let inside = |k: &[u8]| k >= &span.lo[..] && (span.hi.is_empty() || k < &span.hi[..]);
        let data = &model.spaces[Space::Data as usize];
        let expected: Vec<_> =
            data.iter().filter(|(k, _)| inside(k)).map(|(k, v)| (k.clone(), v.clone())).collect();
        assert!(forwards(snapshot, Space::Data, &span) == expected, "{span:?}");
        let mut back = backwards(snapshot, Space::Data, &span);
        back.reverse();
        assert!(back == expected, "{span:?}");

        let mut iter = snapshot.iter(Space::Data, &span).unwrap();
        let at = random_key(rng);
        let ge = expected.iter().find(|(k, _)| *k >= at);
        assert_eq!(iter.seek_ge(&at).unwrap().then(|| iter.key().to_vec()), ge.map(|e| e.0.clone()));
        let lt = expected.iter().rev().find(|(k, _)| *k < at);
        assert_eq!(iter.seek_lt(&at).unwrap().then(|| iter.key().to_vec()), lt.map(|e| e.0.clone()));
        if lt.is_some() {
            let after = expected.iter().find(|(k, _)| *k > lt.unwrap().0);
            assert_eq!(iter.next().unwrap().then(|| iter.key().to_vec()), after.map(|e| e.0.clone()));
        }
    }
}

/// Random turns, snapshots kept over later turns, checkpoints and crashes, against a model.
fn random_operations(mut subject: Subject, seed: u64, turns: usize) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut applied = 0;
    // The model after every turn; a crash goes back to one of them.
    let mut history = vec![Model::default()];
    let mut kept: Vec<(AnySnapshot, Model)> = vec![];
    let mut persisted = BTreeMap::new();
    for _ in 0..turns {
        let turn = random_turn(&mut rng, &mut applied);
        let mut model = history.last().unwrap().clone();
        model.apply(&turn);
        apply(&subject.engine, &turn);
        history.push(model.clone());
        let snapshot = subject.engine.snapshot();
        check_point_reads(&mut rng, &snapshot, &model);
        if rng.random_bool(0.05) {
            check_spans(&mut rng, &snapshot, &model);
            kept.push((snapshot, model.clone()));
        }
        if rng.random_bool(0.05) && !kept.is_empty() {
            let (snapshot, model) = kept.swap_remove(rng.random_range(0..kept.len()));
            assert!(dump(&snapshot) == model, "a snapshot changed under later writes");
        }
        check_persisted(&subject.engine, &model, &mut persisted);
        if rng.random_bool(0.02) {
            subject.engine.checkpoint().unwrap();
            check_checkpoint(&subject.engine, &model);
        }
        if rng.random_bool(0.01) {
            kept.clear();
            let floor = persisted.clone();
            subject.crash();
            let image = dump(&subject.engine.snapshot());
            let at = history.iter().rposition(|m| *m == image);
            history.truncate(at.expect("a crash left no prefix of the turns") + 1);
            assert_eq!(
                subject.engine.ranges().unwrap(),
                image.states.clone().into_iter().collect::<Vec<_>>()
            );
            for (range, state) in floor {
                assert!(image.states[&range].applied >= state, "a crash lost what was persisted");
                assert_eq!(subject.engine.persisted(range).unwrap(), Some(image.states[&range]));
            }
        }
    }
}

/// Persisted never runs ahead of applied and never goes back.
fn check_persisted(engine: &AnyEngine, model: &Model, before: &mut BTreeMap<RangeId, u64>) {
    for range in RANGES {
        let Some(state) = engine.persisted(range).unwrap() else { continue };
        let last = before.insert(range, state.applied).unwrap_or(0);
        assert!(state.applied >= last, "persisted went back");
        assert!(state.applied <= model.states[&range].applied, "persisted ran ahead");
    }
}

fn check_checkpoint(engine: &AnyEngine, model: &Model) {
    for range in RANGES {
        assert_eq!(engine.persisted(range).unwrap(), model.states.get(&range).copied());
    }
}

#[test]
fn mem_random_operations() {
    (0..8).for_each(|seed| random_operations(Subject::mem(), seed, 400));
}

#[test]
fn lsm_random_operations() {
    random_operations(Subject::lsm(16 << 20), 1, 300);
    // Memtables of 64 KiB flush by themselves, in the middle of anything.
    (2..5).for_each(|seed| random_operations(Subject::lsm(256 << 10), seed, 300));
}

/// A versioned key of a prefix-free set.
fn versioned(n: u8, ts: u64) -> Vec<u8> {
    let mut key = vec![3, n % 7, 0];
    mvcc::push_suffix(&mut key, Ts(ts));
    key
}

fn version(row: Option<&[u8]>) -> Vec<u8> {
    let mut value = vec![];
    mvcc::push_version(&mut value, Version { tag: TxnTag(1), row });
    value
}

/// Reads at a timestamp against the model, on fresh and on old snapshots, from two threads.
fn reads_at_a_timestamp(subject: &Subject) {
    let mut rng = SmallRng::seed_from_u64(9);
    let mut model: BTreeMap<(u8, u64), Vec<u8>> = BTreeMap::new();
    let mut kept: Vec<(AnySnapshot, BTreeMap<(u8, u64), Vec<u8>>)> = vec![];
    for i in 1..600u64 {
        let mut batch = WriteBatch::new();
        let (n, value) = (rng.random_range(0..7), version(Some(&i.to_le_bytes())));
        batch.put(Space::Data, &versioned(n, i), &value);
        model.insert((n, i), value);
        apply(&subject.engine, &vec![(RANGES[0], batch, ApplyState { applied: i, term: 1 })]);
        if i % 50 == 0 {
            kept.push((subject.engine.snapshot(), model.clone()));
        }
        if i % 120 == 0 {
            subject.engine.checkpoint().unwrap();
        }
        let snapshot = subject.engine.snapshot();
        check_reads(&mut rng, &snapshot, &model);
        if let Some((snapshot, model)) = kept.get(rng.random_range(0..12)) {
            check_reads(&mut rng, snapshot, model);
            let seed = rng.random();
            std::thread::scope(|s| {
                s.spawn(|| check_reads(&mut SmallRng::seed_from_u64(seed), snapshot, model));
            });
        }
    }
}

fn check_reads(rng: &mut SmallRng, snapshot: &AnySnapshot, model: &BTreeMap<(u8, u64), Vec<u8>>) {
    for _ in 0..4 {
        let (n, ts) = (rng.random_range(0..8), rng.random_range(0..700));
        let user_key = [3, n, 0];
        let expected = model.range((n, 0)..=(n, ts)).next_back();
        for mode in [ReadMode::Block, ReadMode::CacheOnly] {
            let found = match snapshot.get_le_ts(&user_key, Ts(ts), mode) {
                Err(Error::WouldBlock) if mode == ReadMode::CacheOnly => continue,
                found => found.unwrap(),
            };
            let found = found.map(|(ts, value)| (ts.0, value.to_vec()));
            assert_eq!(found, expected.map(|((_, ts), value)| (*ts, value.clone())));
        }
    }
}

#[test]
fn mem_reads_at_a_timestamp() {
    reads_at_a_timestamp(&Subject::mem());
}

#[test]
fn lsm_reads_at_a_timestamp() {
    reads_at_a_timestamp(&Subject::lsm(16 << 20));
    reads_at_a_timestamp(&Subject::lsm(256 << 10));
}

/// Readers beside the writer: a point read through a fresh snapshot never misses what was applied
/// before the snapshot was taken, and never sees half a turn.
fn readers_beside_the_writer(subject: &Subject, turns: u64) {
    let done = std::sync::atomic::AtomicU64::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                while done.load(order) < turns {
                    let floor = done.load(order);
                    let snapshot = subject.engine.snapshot();
                    let newest = |n: u8| {
                        let found = snapshot.get_le_ts(&[3, n, 0], Ts::MAX, ReadMode::Block).unwrap();
                        found.map_or(0, |(ts, _)| ts.0)
                    };
                    let (a, b, again) = (newest(1), newest(2), newest(1));
                    assert!(a >= floor, "a read missed an applied turn: {a} < {floor}");
                    assert_eq!((a, a), (b, again), "a snapshot moved or a turn was seen in half");
                    let state = snapshot.state(RANGES[0]).unwrap().map_or(0, |s| s.applied);
                    assert_eq!(state, a);
                }
            });
        }
        for i in 1..=turns {
            let mut batch = WriteBatch::new();
            batch.put(Space::Data, &versioned(1, i), &version(Some(b"a")));
            batch.put(Space::Data, &versioned(2, i), &version(Some(b"b")));
            apply(&subject.engine, &vec![(RANGES[0], batch, ApplyState { applied: i, term: 1 })]);
            done.store(i, order);
            if i % 3000 == 0 {
                subject.engine.checkpoint().unwrap();
            }
        }
    });
}

#[test]
fn mem_readers_beside_the_writer() {
    readers_beside_the_writer(&Subject::mem(), 5_000);
}

#[test]
fn lsm_readers_beside_the_writer() {
    readers_beside_the_writer(&Subject::lsm(1 << 20), 10_000);
}

/// Collected garbage is invisible at or above the safe point, wherever flushes put the versions.
fn garbage(subject: &Subject, mut compact: impl FnMut(&AnyEngine)) {
    let mut rng = SmallRng::seed_from_u64(4);
    let mut model: BTreeMap<(u8, u64), Vec<u8>> = BTreeMap::new();
    for i in 1..400u64 {
        let mut batch = WriteBatch::new();
        let n = rng.random_range(0..7);
        let value = version((!rng.random_bool(0.3)).then_some(b"row"));
        batch.put(Space::Data, &versioned(n, i), &value);
        batch.put(Space::Data, &[&[2], &versioned(n, i)[..]].concat(), b"unversioned");
        model.insert((n, i), value);
        apply(&subject.engine, &vec![(RANGES[0], batch, ApplyState { applied: i, term: 1 })]);
        if i % 40 == 0 {
            subject.engine.checkpoint().unwrap();
        }
        if i % 90 == 0 {
            let safe_point = i - 30;
            subject.engine.set_gc_safe_point(Ts(safe_point));
            compact(&subject.engine);
            let snapshot = subject.engine.snapshot();
            for (n, ts) in (0..7).flat_map(|n| (safe_point..=i).map(move |ts| (n, ts))) {
                let found = snapshot.get_le_ts(&[3, n, 0], Ts(ts), ReadMode::Block).unwrap();
                let expected = model.range((n, 0)..=(n, ts)).next_back();
                let expected = expected.map(|((_, ts), value)| (*ts, value.clone()));
                assert_eq!(found.map(|(ts, value)| (ts.0, value.to_vec())), expected);
            }
        }
    }
    subject.engine.set_gc_safe_point(Ts(400));
    compact(&subject.engine);
    let tables = Span { lo: vec![3], hi: vec![4] };
    let snapshot = subject.engine.snapshot();
    let puts = forwards(&snapshot, Space::Data, &tables)
        .into_iter()
        .filter(|(_, value)| mvcc::read_version(value).unwrap().row.is_some())
        .count();
    assert!(puts <= 7, "{puts} puts of 7 keys are left");
    let local = Span { lo: vec![2], hi: vec![3] };
    assert_eq!(forwards(&snapshot, Space::Data, &local).len(), 399, "keys without versions are not garbage");
}

#[test]
fn lsm_garbage() {
    garbage(&Subject::lsm(16 << 20), |engine| {
        engine.checkpoint().unwrap();
        let AnyEngine::Lsm(lsm) = engine else { panic!("an engine on disk") };
        lsm.compact();
    });
}

#[test]
fn mem_garbage() {
    garbage(&Subject::mem(), |_| {});
}

/// Ingested versions are there with the state, over and beside what is in memory, and once more
/// after a crash that lost the state.
fn ingestion(mut subject: Subject) {
    let mut batch = WriteBatch::new();
    batch.put(Space::Data, &versioned(1, 5), b"in memory");
    apply(&subject.engine, &vec![(RANGES[0], batch, ApplyState { applied: 1, term: 1 })]);
    let before = subject.engine.snapshot();
    let path = subject.file("load.kvf");
    let mut writer = KvfWriter::create(&RealVfs, &path).unwrap();
    let keys: Vec<_> = (0..7).flat_map(|n| (1..200).rev().map(move |ts| versioned(n, ts))).collect();
    for key in &keys {
        writer.add(key, b"loaded").unwrap();
    }
    writer.finish().unwrap();
    let state = ApplyState { applied: 2, term: 1 };
    let load = |subject: &Subject| {
        subject.engine.ingest(RANGES[0], &path, state).unwrap();
        let snapshot = subject.engine.snapshot();
        assert_eq!(snapshot.state(RANGES[0]).unwrap(), Some(state));
        let found = forwards(&snapshot, Space::Data, &whole());
        assert!(found.iter().map(|e| &e.0).eq(keys.iter()), "keys differ");
        assert!(found.iter().all(|e| e.1 == b"loaded"));
    };
    load(&subject);
    assert_eq!(dump(&before).spaces[0].len(), 1, "a snapshot saw a later load");
    drop(before);
    subject.crash();
    load(&subject);
    subject.engine.checkpoint().unwrap();
    subject.crash();
    assert_eq!(subject.engine.ranges().unwrap(), [(RANGES[0], state)]);

    let empty = subject.file("empty.kvf");
    KvfWriter::create(&RealVfs, &empty).unwrap().finish().unwrap();
    let state = ApplyState { applied: 3, term: 1 };
    subject.engine.ingest(RANGES[0], &empty, state).unwrap();
    assert_eq!(subject.engine.snapshot().state(RANGES[0]).unwrap(), Some(state));
    std::fs::write(&empty, b"not a file of ours").unwrap();
    assert!(matches!(subject.engine.ingest(RANGES[0], &empty, state), Err(Error::Corruption { .. })));
}

#[test]
fn mem_ingestion() {
    ingestion(Subject::mem());
}

#[test]
fn lsm_ingestion() {
    ingestion(Subject::lsm(16 << 20));
}

/// Keys of 0 bytes and 64 KiB, values of megabytes, batches of nothing.
fn extremes(mut subject: Subject) {
    let long = vec![7; 64 << 10];
    let big = vec![8; 16 << 20];
    let mut batch = WriteBatch::new();
    for space in [Space::Data, Space::Intent] {
        batch.put(space, b"", b"");
        batch.put(space, &long, &big);
    }
    let state = ApplyState { applied: 1, term: 1 };
    apply(&subject.engine, &vec![(RANGES[0], batch, state)]);
    apply(&subject.engine, &vec![]);
    let check = |subject: &Subject| {
        let snapshot = subject.engine.snapshot();
        for space in [Space::Data, Space::Intent] {
            assert_eq!(snapshot.get(space, b"", ReadMode::Block).unwrap().as_deref(), Some(&b""[..]));
            assert!(snapshot.get(space, &long, ReadMode::Block).unwrap().as_deref() == Some(&big));
            assert_eq!(forwards(&snapshot, space, &whole()).len(), 2);
            assert_eq!(backwards(&snapshot, space, &whole()).len(), 2);
        }
        assert_eq!(snapshot.get_le_ts(b"", Ts::MAX, ReadMode::Block).unwrap(), None);
        assert_eq!(snapshot.get_le_ts(&long, Ts::MAX, ReadMode::Block).unwrap(), None);
    };
    check(&subject);
    assert!(subject.engine.dirty_bytes() >= 32 << 20);
    subject.engine.checkpoint().unwrap();
    assert!(subject.engine.dirty_bytes() < 1 << 20);
    check(&subject);
    subject.crash();
    check(&subject);
    let bytes = subject.engine.approx_bytes(&whole()).unwrap();
    assert!(bytes > 50_000, "{bytes}");
    assert_eq!(subject.engine.approx_bytes(&Span { lo: vec![9], hi: vec![] }).unwrap(), 0);
}

#[test]
fn mem_extremes() {
    extremes(Subject::mem());
}

#[test]
fn lsm_extremes() {
    // So large that nothing is flushed before the checkpoint.
    extremes(Subject::lsm(256 << 20));
}

#[test]
fn lsm_refuses_what_it_must_not_open() {
    let options = LsmOptions { cache_bytes: 8 << 20, write_buffer_bytes: 4 << 20, background_jobs: 2 };
    let dir = tempfile::tempdir().unwrap();
    let open = || LsmEngine::open(dir.path(), &options);
    let held = open().unwrap();
    assert!(matches!(open(), Err(Error::InUse { .. })));
    drop(held);
    let format = dir.path().join("FORMAT");
    assert_eq!(std::fs::read(&format).unwrap(), b"phantomdb lsm 1\n");
    std::fs::write(&format, b"phantomdb lsm 2\n").unwrap();
    assert!(matches!(open(), Err(Error::NewerFormat { found: 2, supported: 1, .. })));
    for damaged in [&b"phantomdb lsm 0\n"[..], b"phantomdb lsm 1", b"", b"\xFF\xFF"] {
        std::fs::write(&format, damaged).unwrap();
        assert!(matches!(open(), Err(Error::Corruption { .. })), "{damaged:?}");
    }
    std::fs::remove_file(&format).unwrap();
    assert!(matches!(open(), Err(Error::Corruption { .. })));
    std::fs::write(&format, b"phantomdb lsm 1\n").unwrap();
    drop(open().unwrap());
}

#[test]
fn lsm_closes_without_loss() {
    let options = LsmOptions { cache_bytes: 8 << 20, write_buffer_bytes: 4 << 20, background_jobs: 2 };
    let dir = tempfile::tempdir().unwrap();
    for i in 1..4 {
        let engine = AnyEngine::from(LsmEngine::open(dir.path(), &options).unwrap());
        let state = ApplyState { applied: i, term: 1 };
        if i > 1 {
            assert_eq!(engine.ranges().unwrap(), [(RANGES[0], ApplyState { applied: i - 1, term: 1 })]);
        }
        let mut batch = WriteBatch::new();
        batch.put(Space::Data, &versioned(1, i), b"row");
        apply(&engine, &vec![(RANGES[0], batch, state)]);
        assert_eq!(forwards(&engine.snapshot(), Space::Data, &whole()).len() as u64, i);
    }
}

/// A read that must not wait says so on a cold cache, and is answered after a read that may wait.
#[test]
fn lsm_cache_only_reads_do_not_wait() {
    let mut subject = Subject::lsm(4 << 20);
    let mut batch = WriteBatch::new();
    for ts in 0..5_000 {
        batch.put(Space::Data, &versioned((ts % 7) as u8, ts), &version(Some(&ts.to_be_bytes())));
        batch.put(Space::Intent, &ts.to_be_bytes(), b"intent");
    }
    apply(&subject.engine, &vec![(RANGES[0], batch, ApplyState { applied: 1, term: 1 })]);
    subject.engine.checkpoint().unwrap();
    subject.crash();
    let snapshot = subject.engine.snapshot();
    let newest = |mode| snapshot.get_le_ts(&[3, 2, 0], Ts::MAX, mode).map(|found| found.map(|(ts, _)| ts.0));
    let intent = |mode| snapshot.get(Space::Intent, &7u64.to_be_bytes(), mode);
    assert!(matches!(newest(ReadMode::CacheOnly), Err(Error::WouldBlock)));
    assert!(matches!(intent(ReadMode::CacheOnly), Err(Error::WouldBlock)));
    for mode in [ReadMode::Block, ReadMode::CacheOnly] {
        assert_eq!(newest(mode).unwrap(), Some(4_993));
        assert_eq!(intent(mode).unwrap().as_deref(), Some(&b"intent"[..]));
    }
}

/// A bit flipped in any file of a closed database is an error that says so, or makes no difference
/// to what is read; never a wrong row and never the end of the process.
#[test]
fn lsm_reports_flipped_bits() {
    let options = LsmOptions { cache_bytes: 8 << 20, write_buffer_bytes: 4 << 20, background_jobs: 2 };
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good");
    let engine = AnyEngine::from(LsmEngine::open(&good, &options).unwrap());
    for i in 1..4 {
        let mut batch = WriteBatch::new();
        (0..200).for_each(|n| batch.put(Space::Data, &versioned(n, 1_000 * i + u64::from(n)), &[n; 50]));
        apply(&engine, &vec![(RANGES[0], batch, ApplyState { applied: i, term: 1 })]);
        engine.checkpoint().unwrap();
    }
    let expected = dump(&engine.snapshot());
    drop(engine);
    let mut rng = SmallRng::seed_from_u64(5);
    let (mut reported, mut harmless) = (0, 0);
    for name in std::fs::read_dir(&good).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.to_string_lossy().into_owned();
        let bytes = std::fs::read(good.join(&name)).unwrap();
        // LOG is text for people.
        if bytes.is_empty() || name.starts_with("LOG") || name.starts_with("OPTIONS") {
            continue;
        }
        for _ in 0..12 {
            let bad = dir.path().join("bad");
            let _ = std::fs::remove_dir_all(&bad);
            copy_consistently(&good, &bad);
            let mut bytes = bytes.clone();
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
            std::fs::write(bad.join(&name), bytes).unwrap();
            match read_everything(&bad, &options) {
                Err(Error::WouldBlock | Error::Malformed { .. }) => {
                    panic!("{name}, byte {at}: wrong kind of error")
                }
                Err(_) => reported += 1,
                Ok(found) => {
                    assert!(found == expected, "{name}, byte {at}: the contents changed");
                    harmless += 1;
                }
            }
        }
    }
    assert!(reported > harmless, "{reported} reported, {harmless} harmless");
}

/// What a database shows, or the first error on the way.
fn read_everything(dir: &Path, options: &LsmOptions) -> storage::Result<Model> {
    let engine = LsmEngine::open(dir, options)?;
    let snapshot = engine.snapshot();
    let mut model = Model { states: engine.ranges()?.into_iter().collect(), ..Model::default() };
    for space in [Space::Data, Space::Intent] {
        let mut iter = snapshot.iter(space, &whole())?;
        let mut more = iter.seek_ge(&[])?;
        while more {
            model.spaces[space as usize].insert(iter.key().to_vec(), iter.value().to_vec());
            more = iter.next()?;
        }
    }
    Ok(model)
}
