//! kill -9 of a process with a node in it, again and again: every answered command is there.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cluster::keys::FIRST_DATA;
use cluster::{NoHandler, Node, NodeOptions, SystemEnv};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{AnyEngine, Engine, ReadMode, Snapshot, Space, WriteBatch};
use storage::log::{LogOptions, RaftLog};
use storage::vfs::RealVfs;

const CHILD: &str = "PHANTOM_TEST_KILL_DIR";
const ROUNDS: u64 = 30;
/// Proposals on their way at once.
const WIDTH: u64 = 16;

fn start(dir: &Path) -> Arc<Node> {
    let engine = LsmEngine::open(&dir.join("lsm"), &LsmOptions::for_memory(64 << 20)).unwrap();
    let options = LogOptions { segment_bytes: 256 << 10, max_bytes: 1 << 20, ..LogOptions::default() };
    let log = RaftLog::open(Arc::new(RealVfs), &dir.join("log"), options).unwrap();
    let options = NodeOptions { checkpoint_bytes: 200 << 10, ..NodeOptions::default() };
    let env = Arc::new(SystemEnv::default());
    Node::start(options, Arc::new(AnyEngine::from(engine)), log, Arc::new(NoHandler), env).unwrap()
}

fn key(n: u64) -> [u8; 9] {
    let mut key = [3; 9];
    key[1..].copy_from_slice(&n.to_be_bytes());
    key
}

/// Writes `n` under its own key and as the newest one, in one batch.
fn command(n: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(Space::Intent, &key(n), &[n as u8; 300]);
    batch.put(Space::Intent, b"\x03newest", &n.to_be_bytes());
    batch
}

fn newest(node: &Node) -> u64 {
    let value = node.engine().snapshot().get(Space::Intent, b"\x03newest", ReadMode::Block).unwrap();
    value.map_or(0, |v| u64::from_be_bytes(v[..].try_into().unwrap()))
}

/// The other half of the test below: writes and tells what was answered, until it is killed.
#[test]
fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let node = start(Path::new(&dir));
    let mut n = newest(&node);
    loop {
        let proposals: Vec<_> = (n + 1..=n + WIDTH).map(|n| node.propose(FIRST_DATA, command(n))).collect();
        for proposal in proposals {
            proposal.wait().unwrap();
            n += 1;
            // One write: the parent sees the whole line or nothing of it.
            std::io::stderr().write_all(format!("answered {n}\n").as_bytes()).unwrap();
        }
    }
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_killed", "--nocapture"])
        .env(CHILD, dir)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads answers until `enough` have come, kills, and reads on to the end.
fn kill_after(mut child: Child, enough: u64) -> u64 {
    let mut answered = 0;
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for (count, line) in lines.map_while(Result::ok).enumerate() {
        let number = line.strip_prefix("answered ").and_then(|n| n.parse().ok());
        answered = number.unwrap_or_else(|| panic!("the child says: {line}"));
        if count as u64 == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    answered
}

#[test]
fn no_answered_command_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let answered = kill_after(spawn(dir.path()), 150 * (round % 5) + 7 * round);
        let begin = std::time::Instant::now();
        let node = start(dir.path());
        assert!(begin.elapsed() < Duration::from_secs(10), "restart took {:?}", begin.elapsed());
        let held = newest(&node);
        assert!(held >= answered, "round {round}: {answered} was answered, {held} is there");
        let snapshot = node.engine().snapshot();
        for n in 1..=held {
            let value = snapshot.get(Space::Intent, &key(n), ReadMode::Block).unwrap();
            assert_eq!(value.as_deref(), Some(&[n as u8; 300][..]), "round {round}: command {n} of {held}");
        }
        let beyond = snapshot.get(Space::Intent, &key(held + 1), ReadMode::Block).unwrap();
        assert!(beyond.is_none(), "round {round}: a command behind the newest one");
    }
}
