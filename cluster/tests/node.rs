//! A node with its real threads on real files: propose, restart, refuse.

use std::path::Path;
use std::sync::Arc;

use cluster::keys::{FIRST_DATA, META, range_local};
use cluster::limits::MAX_BATCH_BYTES;
use cluster::{Error, NoHandler, Node, NodeOptions, ProposeError, SystemEnv};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::mem::MemEngine;
use storage::engine::{AnyEngine, Engine, RangeId, ReadMode, Snapshot, Space, WriteBatch};
use storage::log::{LogOptions, RaftLog};
use storage::vfs::{Faults, RealVfs, SimVfs, Vfs};

fn put(key: &str, value: &str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(Space::Intent, key.as_bytes(), value.as_bytes());
    batch
}

fn get(node: &Node, key: &str) -> Option<String> {
    let value = node.engine().snapshot().get(Space::Intent, key.as_bytes(), ReadMode::Block).unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn open_log(vfs: Arc<dyn Vfs>, dir: &Path) -> RaftLog {
    RaftLog::open(vfs, dir, LogOptions::default()).unwrap()
}

fn start(engine: AnyEngine, log: RaftLog) -> cluster::Result<Arc<Node>> {
    let env = Arc::new(SystemEnv::default());
    let options = NodeOptions { checkpoint_bytes: 64 << 10, ..NodeOptions::default() };
    Node::start(options, Arc::new(engine), log, Arc::new(NoHandler), env)
}

fn start_in_memory() -> Arc<Node> {
    let log = open_log(Arc::new(SimVfs::new(1)), Path::new("/log"));
    start(AnyEngine::from(MemEngine::new()), log).unwrap()
}

fn start_on_disk(dir: &Path) -> Arc<Node> {
    let engine = LsmEngine::open(&dir.join("lsm"), &LsmOptions::for_memory(64 << 20)).unwrap();
    start(AnyEngine::from(engine), open_log(Arc::new(RealVfs), &dir.join("log"))).unwrap()
}

#[test]
fn a_proposed_batch_is_in_the_engine_when_it_is_answered() {
    let node = start_in_memory();
    let applied = node.propose(FIRST_DATA, put("k", "v")).wait().unwrap();
    assert_eq!(applied.range, FIRST_DATA);
    assert_eq!(get(&node, "k").as_deref(), Some("v"));
    assert_eq!(node.ranges().keys().copied().collect::<Vec<_>>(), [META, FIRST_DATA]);
    assert_eq!(node.range_of(b"\x03table"), Some(FIRST_DATA));
    assert_eq!(node.range_of(&range_local(META, 0x90)), Some(META));
    assert_eq!(node.range_of(&range_local(FIRST_DATA, 0x90)), Some(FIRST_DATA));
    assert_eq!(node.range_of(&range_local(RangeId(77), 0x90)), None);
    assert_eq!(node.metrics().queued_bytes, 0);
    node.shutdown().unwrap();
    assert_eq!(node.propose(FIRST_DATA, put("k", "w")).wait(), Err(ProposeError::ShuttingDown));
    assert!(node.shutdown().is_ok(), "a second shutdown does nothing");
}

#[test]
fn what_cannot_be_replicated_is_refused() {
    let node = start_in_memory();
    let large = put("k", &"x".repeat(MAX_BATCH_BYTES));
    assert_eq!(node.propose(FIRST_DATA, large).wait(), Err(ProposeError::TooLarge));
    assert_eq!(node.propose(RangeId(77), put("k", "v")).wait(), Err(ProposeError::NotLeader));
    let twenty_mib = || put("k", &"x".repeat(20 << 20));
    let waiting: Vec<_> = (0..8).map(|_| node.propose(FIRST_DATA, twenty_mib())).collect();
    let answers: Vec<_> = waiting.into_iter().map(|p| p.wait()).collect();
    assert!(answers[0].is_ok());
    assert!(answers.contains(&Err(ProposeError::Overloaded)), "{answers:?}");
    assert!(node.propose(FIRST_DATA, twenty_mib()).wait().is_ok(), "room comes back");
}

#[test]
fn a_node_comes_back_with_everything_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut newest = storage::Ts::ZERO;
    for round in 0..6 {
        let node = start_on_disk(dir.path());
        for earlier in 0..round {
            for n in [0, 17, 199] {
                assert_eq!(get(&node, &format!("{earlier}/{n}")), Some("v".repeat(n + 100)), "round {round}");
            }
        }
        let ts = node.tso().next().unwrap();
        assert!(ts > newest, "timestamps increase across restarts");
        newest = ts;
        let proposals: Vec<_> = (0..200)
            .map(|n| node.propose(FIRST_DATA, put(&format!("{round}/{n}"), &"v".repeat(n + 100))))
            .collect();
        for proposal in proposals {
            proposal.wait().unwrap();
        }
        assert!(node.metrics().fsyncs < 150, "proposals share syncs: {:?}", node.metrics());
        if round % 2 == 0 {
            node.shutdown().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_are_given_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = start_on_disk(dir.path());
    assert_eq!(node.allocate_ids("oid", 16384, 10).await.unwrap(), 16384..16394);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { node.allocate_ids("oid", 16384, 5).await.unwrap() })
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    for task in tasks {
        assert!(task.await.unwrap().all(|id| seen.insert(id)), "an id came twice");
    }
    drop(node);
    let node = start_on_disk(dir.path());
    assert_eq!(node.allocate_ids("oid", 16384, 1).await.unwrap(), 16494..16495);
    assert_eq!(node.allocate_ids("other", 1, 1).await.unwrap(), 1..2);
}

#[test]
fn a_log_and_an_engine_that_do_not_belong_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let node = start_on_disk(dir.path());
    node.propose(FIRST_DATA, put("k", "v")).wait().unwrap();
    node.shutdown().unwrap();
    drop(node);

    let log = open_log(Arc::new(RealVfs), &dir.path().join("log"));
    let refused = start(AnyEngine::from(MemEngine::new()), log);
    assert!(matches!(refused, Err(Error::Mismatch { .. })), "an empty engine behind a cut log");

    let engine = LsmEngine::open(&dir.path().join("lsm"), &LsmOptions::for_memory(64 << 20)).unwrap();
    let log = open_log(Arc::new(SimVfs::new(1)), Path::new("/log"));
    let refused = start(AnyEngine::from(engine), log);
    assert!(matches!(refused, Err(Error::Mismatch { .. })), "an engine without its log");
}

#[test]
fn a_full_disk_refuses_and_room_brings_the_node_back() {
    let vfs = SimVfs::new(1);
    let log = RaftLog::open(
        Arc::new(vfs.clone()),
        Path::new("/log"),
        LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() },
    );
    let node = start(AnyEngine::from(MemEngine::new()), log.unwrap()).unwrap();
    node.propose(FIRST_DATA, put("before", "v")).wait().unwrap();
    vfs.set_faults(Faults { space: Some(vfs.used()), ..Faults::default() });
    let big = || put("k", &"x".repeat(40 << 10));
    let refused = (0..20).find_map(|_| node.propose(FIRST_DATA, big()).wait().err());
    assert_eq!(refused, Some(ProposeError::DiskFull));
    assert_eq!(get(&node, "before").as_deref(), Some("v"), "reads go on");
    vfs.set_faults(Faults::default());
    let back = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        node.propose(FIRST_DATA, put("after", "v")).wait().is_ok()
    });
    assert!(back && get(&node, "after").is_some());
    node.shutdown().unwrap();
}

const CHILD: &str = "PHANTOM_TEST_FAILING_SYNC";

/// The other half of the test below: runs only as its child.
#[test]
fn child_with_a_failing_sync() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let vfs = SimVfs::new(1);
    let node =
        start(AnyEngine::from(MemEngine::new()), open_log(Arc::new(vfs.clone()), Path::new("/log"))).unwrap();
    // The next operations are the write of the record and its sync.
    vfs.set_faults(Faults { eio_at: Some(vfs.ops() + 1), ..Faults::default() });
    let answer = node.propose(FIRST_DATA, put("k", "v")).wait();
    eprintln!("answered {answer:?}");
}

#[test]
fn a_failed_sync_ends_the_process_with_one_line() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_with_a_failing_sync", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success());
    assert!(said.contains("phantomdb: fatal: loop thread: the raft log could not be made durable"), "{said}");
    assert!(!said.contains("answered Ok"), "{said}");
}

#[test]
fn a_full_disk_gets_room_from_a_checkpoint() {
    let vfs = SimVfs::new(1);
    vfs.set_faults(Faults { space: Some(1 << 20), ..Faults::default() });
    let options = LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() };
    let log = RaftLog::open(Arc::new(vfs), Path::new("/log"), options).unwrap();
    let env = Arc::new(SystemEnv::default());
    let options = NodeOptions { checkpoint_bytes: u64::MAX, ..NodeOptions::default() };
    let engine = Arc::new(AnyEngine::from(MemEngine::new()));
    let node = Node::start(options, engine, log, Arc::new(NoHandler), env).unwrap();
    let mut refused = 0;
    let mut done = 0;
    for _ in 0..1000 {
        match node.propose(FIRST_DATA, put("k", &"x".repeat(40 << 10))).wait() {
            Ok(_) => done += 1,
            Err(ProposeError::DiskFull) => {
                refused += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
        if done == 100 {
            break;
        }
    }
    assert!(done == 100 && refused > 0, "{done} done, {refused} refused: 4 MB went through a log of 1 MiB");
    assert!(node.metrics().checkpoints > 0);
}
