//! The raft log against a model of it, with the power failing at every write and sync.
//!
//! A case is a seed: a script of batches, syncs, compactions and reopenings, run once to count its
//! crash points, then run again with a crash at one of them. After the crash the log must open with
//! all that was synced before, nothing that was never appended, whole batches only, and go on
//! working. Other cases flip bits in durable data, which every open must refuse.
//!
//! `PHANTOM_CASES` sets the number of cases (2,000 without it; 100,000 in the long run), each case
//! one crash or one flip; `PHANTOM_SEED` runs a single seed. Coverage is printed at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use storage::Error;
use storage::engine::RangeId;
use storage::log::{EntryKind, HardState, LogBatch, LogEntry, LogOptions, RaftLog};
use storage::vfs::{FaultCounts, Faults, SimVfs, Vfs};

const DIR: &str = "log";
const OPTIONS: LogOptions = LogOptions { segment_bytes: 3000, cache_bytes: 500, max_bytes: 9000 };
const GROUPS: u64 = 4;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// What the log should know.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelGroup {
    hard_state: HardState,
    conf_state: Bytes,
    truncated: (u64, u64),
    entries: Vec<LogEntry>,
}

type Model = BTreeMap<RangeId, ModelGroup>;

impl ModelGroup {
    fn last(&self) -> u64 {
        self.truncated.0 + self.entries.len() as u64
    }

    fn term(&self, index: u64) -> u64 {
        match index.checked_sub(self.truncated.0 + 1) {
            Some(at) => self.entries[at as usize].term,
            None => self.truncated.1,
        }
    }

    fn cut_from(&mut self, index: u64) {
        self.entries.truncate((index - self.truncated.0 - 1) as usize);
    }

    fn compact(&mut self, to: u64) {
        self.truncated = (to, self.term(to)).max(self.truncated);
        let first = self.truncated.0 + 1;
        self.entries.retain(|e| e.index >= first);
    }
}

fn read_model(log: &RaftLog) -> storage::Result<Model> {
    let mut model = Model::new();
    for id in log.groups() {
        let state = log.state(id).expect("a listed group has a state").clone();
        let first = state.truncated.0 + 1;
        let entries = log.entries(id, first, state.last + 1, usize::MAX)?;
        assert_eq!(log.term(id, state.truncated.0)?, Some(state.truncated.1));
        for entry in &entries {
            assert_eq!(log.term(id, entry.index)?, Some(entry.term));
        }
        assert_eq!(log.term(id, state.last + 1)?, None);
        let group = ModelGroup {
            hard_state: state.hard_state,
            conf_state: state.conf_state,
            truncated: state.truncated,
            entries,
        };
        assert_eq!(group.last(), state.last);
        model.insert(id, group);
    }
    Ok(model)
}

/// A script's progress.
#[derive(Default)]
struct Run {
    /// States after each append since the last sync, the first one durable.
    states: Vec<Model>,
    steps: BTreeMap<&'static str, u64>,
    max_segments: u64,
    reopened: u64,
}

impl Run {
    fn new(model: Model) -> Run {
        Run { states: vec![model], ..Run::default() }
    }

    fn newest(&self) -> &Model {
        self.states.last().expect("there is always a state")
    }

    fn synced(&mut self) {
        self.states.drain(..self.states.len() - 1);
    }
}

fn random_entries(random: &mut Random, group: &ModelGroup, mark: u64) -> Vec<LogEntry> {
    let last = group.last();
    // One in eight replaces a suffix.
    let back = if random.below(8) == 0 { random.below(group.entries.len() as u64 + 1) } else { 0 };
    let first = last + 1 - back;
    let before = group.term(first - 1);
    let term = group.entries.last().map_or(before, |e| e.term) + u64::from(back > 0);
    let count = 1 + random.below(4);
    let sizes = [0, 7, 40, 300, 1400];
    (first..first + count)
        .map(|index| {
            let len = sizes[random.below(5) as usize] as usize;
            let kind = [EntryKind::Normal, EntryKind::Normal, EntryKind::ConfChange, EntryKind::ConfChangeV2]
                [random.below(4) as usize];
            let data: Vec<u8> = (0..len).map(|i| (mark as usize * 31 + i * 7) as u8 | 1).collect();
            LogEntry { term, index, kind, data: data.into() }
        })
        .collect()
}

fn append(random: &mut Random, log: &mut RaftLog, run: &mut Run, mark: u64) -> storage::Result<()> {
    let mut model = run.newest().clone();
    let mut batch = LogBatch::new();
    for _ in 0..1 + random.below(3) {
        let id = RangeId(1 + random.below(GROUPS));
        let group = model.entry(id).or_default();
        match random.below(20) {
            0 => {
                let (index, term) = (group.last() + 1 + random.below(5), group.term(group.last()) + 1);
                *group = ModelGroup { truncated: (index, term), entries: vec![], ..group.clone() };
                batch.install_snapshot(id, index, term);
            }
            1 => {
                model.remove(&id);
                batch.remove_group(id);
            }
            2 | 3 => {
                group.conf_state = mark.to_le_bytes().to_vec().into();
                batch.conf_state(id, group.conf_state.clone());
            }
            _ => {
                let entries = random_entries(random, group, mark);
                group.cut_from(entries[0].index);
                group.entries.extend(entries.iter().cloned());
                group.hard_state = HardState { term: mark, vote: 1, commit: group.last() };
                batch.append(id, &entries);
                batch.hard_state(id, group.hard_state);
            }
        }
    }
    log.append(&batch)?;
    run.states.push(model);
    Ok(())
}

fn compact(random: &mut Random, log: &mut RaftLog, run: &mut Run) -> storage::Result<()> {
    let pressed = log.pressure();
    let groups = if pressed.is_empty() || random.below(2) == 0 { log.groups() } else { pressed };
    for id in groups {
        let mut model = run.newest().clone();
        let group = model.get_mut(&id).expect("the log has the model's groups");
        let spare = random.below(3);
        let to = group.last().saturating_sub(spare);
        group.compact(to);
        log.compact(id, to)?;
        run.states.push(model);
    }
    Ok(())
}

/// Runs a script; stops at the first error.
fn script(seed: u64, vfs: &SimVfs, run: &mut Run) -> storage::Result<RaftLog> {
    let mut random = Random(seed);
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let mut log = RaftLog::open(shared.clone(), Path::new(DIR), OPTIONS)?;
    for mark in 1..=10 + random.below(30) {
        let step = match random.below(20) {
            0..=9 => {
                append(&mut random, &mut log, run, mark)?;
                "append"
            }
            10..=14 => {
                log.sync()?;
                run.synced();
                "sync"
            }
            15..=16 => {
                compact(&mut random, &mut log, run)?;
                "compact"
            }
            17 => {
                log.seal()?;
                run.synced();
                "seal"
            }
            18 => {
                assert_eq!(&read_model(&log)?, run.newest(), "a read of the running log, seed {seed}");
                "read"
            }
            // The process ends without the power failing: what was not synced may be there or not.
            _ => {
                drop(log);
                log = RaftLog::open(shared.clone(), Path::new(DIR), OPTIONS)?;
                let found = read_model(&log)?;
                assert!(run.states.contains(&found), "reopening invented a state, seed {seed}");
                run.states = vec![found];
                run.reopened += 1;
                "reopen"
            }
        };
        *run.steps.entry(step).or_default() += 1;
        run.max_segments = run.max_segments.max(log.stats().segments);
    }
    log.sync()?;
    run.synced();
    Ok(log)
}

/// What all cases together met.
#[derive(Default)]
struct Coverage {
    cases: u64,
    points: BTreeSet<(u64, u64)>,
    crash_cases: u64,
    kept_more: u64,
    second_crashes: u64,
    eio: u64,
    fatal_eio: u64,
    flips: u64,
    flip_seeds: u64,
    steps: BTreeMap<&'static str, u64>,
    faults: FaultCounts,
    max_segments: u64,
}

impl Coverage {
    fn add(&mut self, run: &Run) {
        for (step, n) in &run.steps {
            *self.steps.entry(step).or_default() += n;
        }
        self.max_segments = self.max_segments.max(run.max_segments);
    }

    fn add_faults(&mut self, counts: FaultCounts) {
        self.faults.lost += counts.lost;
        self.faults.torn += counts.torn;
        self.faults.lost_names += counts.lost_names;
    }
}

/// The power fails at operation `point`; the log must come back with an allowed state and go on.
fn crash_case(seed: u64, point: u64, coverage: &mut Coverage) {
    let vfs = SimVfs::new(seed ^ point << 32);
    vfs.set_faults(Faults { crash_at: Some(point), ..Faults::default() });
    let mut run = Run::new(Model::new());
    let _ = script(seed, &vfs, &mut run);
    // The last operation may be the deletion of a dead segment, which the log need not notice.
    assert!(vfs.crashed(), "seed {seed} has a crash point {point}");
    let mut disk = vfs.power_cut();
    // One case in four loses the power again while it recovers.
    if (seed + point).is_multiple_of(4) {
        let again = (seed + point) / 4 % 9;
        disk.set_faults(Faults { crash_at: Some(again), ..Faults::default() });
        let _ = RaftLog::open(Arc::new(disk.clone()), Path::new(DIR), OPTIONS);
        coverage.second_crashes += u64::from(disk.crashed());
        disk = disk.power_cut();
    }
    let opened = RaftLog::open(Arc::new(disk.clone()), Path::new(DIR), OPTIONS);
    let mut log = opened.unwrap_or_else(|e| panic!("seed {seed}, crash at {point}: {e}"));
    let found = read_model(&log).unwrap();
    let at = run.states.iter().position(|state| *state == found);
    let at =
        at.unwrap_or_else(|| panic!("seed {seed}, crash at {point}: {found:?} is none of {:?}", run.states));
    coverage.kept_more += u64::from(at > 0);
    // It goes on: what is written now is there after the next, clean, power cut.
    let mut after = Run::new(found);
    let mut random = Random(seed + 1);
    for mark in 100..103 {
        append(&mut random, &mut log, &mut after, mark).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    let disk = disk.power_cut();
    let log = RaftLog::open(Arc::new(disk.clone()), Path::new(DIR), OPTIONS);
    let log = log.unwrap_or_else(|e| panic!("seed {seed}, crash at {point}, second open: {e}"));
    assert_eq!(&read_model(&log).unwrap(), after.newest(), "seed {seed}, crash at {point}");
    coverage.add_faults(disk.counts());
    coverage.points.insert((seed, point));
    coverage.crash_cases += 1;
    coverage.cases += 1;
}

/// Operation `point` fails with EIO. Where the log calls that fatal the process ends and starts again
/// on the same page cache, which shows bytes that never reached the disk: what the second process
/// makes durable must nevertheless be so.
fn eio_case(seed: u64, point: u64, coverage: &mut Coverage) {
    let vfs = SimVfs::new(seed ^ point << 32);
    vfs.set_faults(Faults { eio_at: Some(point), ..Faults::default() });
    let mut run = Run::new(Model::new());
    let failed = script(seed, &vfs, &mut run).is_err();
    assert_eq!(vfs.counts().eio, 1, "seed {seed} has an operation {point}");
    let mut log = RaftLog::open(Arc::new(vfs.clone()), Path::new(DIR), OPTIONS)
        .unwrap_or_else(|e| panic!("seed {seed}, EIO at {point}: {e}"));
    let found = read_model(&log).unwrap();
    assert!(run.states.contains(&found), "seed {seed}, EIO at {point}: a state that never was");
    let mut after = Run::new(found);
    // What an open shows is durable, for an engine may apply it: one case in two ends here.
    if point.is_multiple_of(2) {
        drop(log);
        let log = RaftLog::open(Arc::new(vfs.power_cut()), Path::new(DIR), OPTIONS);
        let log = log.unwrap_or_else(|e| panic!("seed {seed}, EIO at {point}, cut after the open: {e}"));
        assert_eq!(
            &read_model(&log).unwrap(),
            after.newest(),
            "seed {seed}, EIO at {point}, cut after the open"
        );
        coverage.eio += 1;
        coverage.fatal_eio += u64::from(failed);
        coverage.cases += 1;
        return;
    }
    append(&mut Random(seed + 1), &mut log, &mut after, 100).unwrap();
    log.sync().unwrap();
    drop(log);
    let log = RaftLog::open(Arc::new(vfs.power_cut()), Path::new(DIR), OPTIONS);
    let log = log.unwrap_or_else(|e| panic!("seed {seed}, EIO at {point}, after the power cut: {e}"));
    assert_eq!(&read_model(&log).unwrap(), after.newest(), "seed {seed}, EIO at {point}");
    coverage.eio += 1;
    coverage.fatal_eio += u64::from(failed);
    coverage.cases += 1;
}

/// Flips one bit at a time in data that the log calls durable; every open must say corruption.
fn flip_cases(seed: u64, flips: u64, coverage: &mut Coverage) {
    let vfs = SimVfs::new(seed);
    let mut run = Run::new(Model::new());
    let mut log = script(seed, &vfs, &mut run).unwrap();
    let mut random = Random(!seed);
    append(&mut random, &mut log, &mut run, 99).unwrap();
    log.sync().unwrap();
    let before_seal = log.stats();
    log.seal().unwrap();
    let after_seal = log.stats();
    assert_eq!(before_seal.newest_segment, after_seal.newest_segment);
    drop(log);
    let disk = vfs.power_cut();
    // Dead segments whose removal the power cut undid go with the first open.
    drop(RaftLog::open(Arc::new(disk.clone()), Path::new(DIR), OPTIONS).unwrap());
    let names = disk.list(Path::new(DIR)).unwrap();
    for _ in 0..flips {
        let name = &names[random.below(names.len() as u64) as usize];
        let path = Path::new(DIR).join(name);
        let newest = name == names.last().unwrap();
        let end = record_end(&disk, &path);
        // The seal itself is the one record that nothing declares durable, and when the newest
        // segment was just begun its dump is; losing either loses nothing.
        let sealed = after_seal.newest_end > before_seal.newest_end;
        let end = match (newest, sealed) {
            (false, _) => end,
            (true, true) => before_seal.newest_end,
            (true, false) => 64,
        };
        let offset = random.below(end);
        let mask = 1 << random.below(8);
        assert!(disk.flip(&path, offset, mask));
        let opened = RaftLog::open(Arc::new(disk.clone()), Path::new(DIR), OPTIONS);
        match opened.map(|log| read_model(&log)) {
            Err(Error::Corruption { path: found, .. }) => assert_eq!(found, path, "seed {seed}"),
            Err(other) => panic!("seed {seed}, {name} offset {offset} mask {mask}: {other}"),
            Ok(_) => panic!(
                "seed {seed}, {name} of {names:?}, offset {offset} mask {mask}: not noticed; {before_seal:?}, {after_seal:?}"
            ),
        }
        assert!(disk.flip(&path, offset, mask));
        coverage.flips += 1;
        coverage.cases += 1;
    }
    let log = RaftLog::open(Arc::new(disk.clone()), Path::new(DIR), OPTIONS).unwrap();
    assert_eq!(&read_model(&log).unwrap(), run.newest(), "a refused open changed the log, seed {seed}");
    coverage.flip_seeds += 1;
}

/// The end of a segment's records: the length in each record's head leads to the next.
fn record_end(vfs: &SimVfs, path: &Path) -> u64 {
    let bytes = storage::vfs::read_file(vfs, path).unwrap();
    let mut at = 64;
    while let Some(head) = bytes.get(at..at + 25).filter(|head| head[24] != 0) {
        at += 25 + u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
    }
    at as u64
}

fn count_points(seed: u64, coverage: &mut Coverage) -> u64 {
    let vfs = SimVfs::new(seed);
    let mut run = Run::new(Model::new());
    let log = script(seed, &vfs, &mut run).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    assert_eq!(&read_model(&log).unwrap(), run.newest(), "seed {seed}");
    coverage.add(&run);
    vfs.ops()
}

#[test]
fn crashes_lose_nothing_synced_and_flips_never_pass() {
    let number = |name| std::env::var(name).ok().map(|v| v.parse::<u64>().expect("a number"));
    let cases = number("PHANTOM_CASES").unwrap_or(2000);
    let only = number("PHANTOM_SEED");
    let mut coverage = Coverage::default();
    let mut points = 0;
    for seed in only.unwrap_or(0).. {
        let here = count_points(seed, &mut coverage);
        points += here;
        for point in 0..here {
            crash_case(seed, point, &mut coverage);
            eio_case(seed, point, &mut coverage);
        }
        flip_cases(seed, 20, &mut coverage);
        if coverage.cases >= cases || only.is_some() {
            break;
        }
    }
    let Coverage { cases, crash_cases, kept_more, second_crashes, flips, flip_seeds, eio, fatal_eio, .. } =
        coverage;
    let faults = coverage.faults;
    eprintln!(
        "raft log model: {cases} cases; {} of {points} crash points hit, {crash_cases} crashes, \
         {second_crashes} more during recovery, {kept_more} kept unsynced batches; changes lost {}, torn {}, \
         names lost {}; {eio} EIO, {fatal_eio} of them fatal; {flips} of {flips} flips detected over {flip_seeds} logs; steps {:?}; \
         up to {} segments",
        coverage.points.len(),
        faults.lost,
        faults.torn,
        faults.lost_names,
        coverage.steps,
        coverage.max_segments,
    );
    assert_eq!(coverage.points.len() as u64, points, "every crash point was hit");
    if only.is_none() {
        let met = [faults.lost, faults.torn, faults.lost_names, kept_more, second_crashes, flips];
        assert!(met.iter().all(|n| *n >= 10), "the cases met too little: {met:?}");
        assert_eq!(coverage.steps.len(), 6, "every kind of step ran");
    }
}
