//! kill -9 of a process that writes through the engine on disk: what is left is a prefix of its
//! turns, in both spaces and with the apply state of that prefix, and no older than what `persisted`
//! had answered.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rand::{Rng, SeedableRng};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{ApplyState, Engine, Iter, RangeId, Snapshot, Space, Span, WriteBatch};

const RANGE: RangeId = RangeId(2);
const ROUNDS: u32 = 8;
/// Tells the child its directory.
const DIRECTORY: &str = "PHANTOMDB_KILL_TEST_DIRECTORY";
const OPTIONS: LsmOptions =
    LsmOptions { cache_bytes: 8 << 20, write_buffer_bytes: 256 << 10, background_jobs: 2 };

/// The effects of turn `i`.
fn turn(i: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(Space::Data, &(i % 97).to_be_bytes(), &i.to_be_bytes().repeat(20));
    let intent = (i % 13).to_be_bytes();
    match i % 3 {
        0 => batch.delete(Space::Intent, &intent),
        _ => batch.put(Space::Intent, &intent, &i.to_be_bytes()),
    }
    batch
}

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// Both spaces after turn `i`.
fn expected(i: u64) -> [Contents; 2] {
    let mut spaces = [Contents::new(), Contents::new()];
    for j in i.saturating_sub(2_000) + 1..=i {
        for op in turn(j).iter() {
            use storage::engine::Op;
            match op {
                Op::Put { space, key, value } => {
                    spaces[space as usize].insert(key.to_vec(), value.to_vec());
                }
                Op::Delete { space, key } => {
                    spaces[space as usize].remove(key);
                }
                Op::DeleteRange { .. } => unreachable!("no turn deletes a range"),
            }
        }
    }
    spaces
}

fn contents(engine: &LsmEngine, space: Space) -> Contents {
    let snapshot = engine.snapshot();
    let mut iter = snapshot.iter(space, &Span { lo: vec![], hi: vec![] }).unwrap();
    let mut out = Contents::new();
    let mut more = iter.seek_ge(&[]).unwrap();
    while more {
        out.insert(iter.key().to_vec(), iter.value().to_vec());
        more = iter.next().unwrap();
    }
    out
}

fn applied(engine: &LsmEngine) -> u64 {
    engine.snapshot().state(RANGE).unwrap().map_or(0, |state| state.applied)
}

/// Not a test of its own: the process that is killed. It writes until then and tells on its output
/// what it believes to be durable.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let engine = LsmEngine::open(Path::new(&dir), &OPTIONS).unwrap();
    let mut out = std::io::stdout();
    for i in applied(&engine) + 1.. {
        engine.apply(&[(RANGE, &turn(i), ApplyState { applied: i, term: 1 })]).unwrap();
        if i % 500 == 0 {
            engine.checkpoint().unwrap();
        }
        if i % 50 == 0 {
            let persisted = engine.persisted(RANGE).unwrap().map_or(0, |state| state.applied);
            writeln!(out, "\npersisted {persisted}").unwrap();
        }
    }
}

#[test]
fn a_killed_process_leaves_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = rand::rngs::SmallRng::seed_from_u64(3);
    for round in 0..ROUNDS {
        let persisted = run_and_kill(dir.path(), rng.random_range(1..60));
        let engine = LsmEngine::open(dir.path(), &OPTIONS).unwrap();
        let i = applied(&engine);
        assert!(i >= persisted, "round {round}: turn {persisted} was durable, {i} is left");
        for space in [Space::Data, Space::Intent] {
            assert!(contents(&engine, space) == expected(i)[space as usize], "round {round}, turn {i}");
        }
        assert_eq!(engine.persisted(RANGE).unwrap().map_or(0, |state| state.applied), i);
    }
}

/// Kills the child after `lines` lines; answers the last durable turn it told of.
fn run_and_kill(dir: &Path, lines: usize) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(DIRECTORY, dir).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut numbers = told.filter_map(|line| line.strip_prefix("persisted ")?.parse().ok());
    // The pipe stays open until the kill: an error to write would end the child in good order.
    let last = numbers.by_ref().take(lines).last();
    child.kill().unwrap();
    child.wait().unwrap();
    last.expect("the child wrote nothing")
}
