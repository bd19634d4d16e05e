//! Measures the threads of the commit loop: 400-byte batches, proposed by 1, 8 and 32 tasks, on the
//! real log and RocksDB. `cargo run --release --workspace --example commit_loop -- DIR [SECONDS]`
//!
//! `node` is the shipped node (raft included, one loop thread). The others are the same parts without
//! raft, so that they differ in their threads alone: `one` syncs and applies on one thread, `apply`
//! hands synced batches to a thread that applies and answers, `three` has a thread before these two
//! that only gathers and encodes.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cluster::keys::FIRST_DATA;
use cluster::{NoHandler, Node, NodeOptions, SystemEnv};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{AnyEngine, ApplyState, Engine, Space, WriteBatch};
use storage::log::{EntryKind, HardState, LogBatch, LogEntry, LogOptions, RaftLog};
use storage::vfs::RealVfs;
use tokio::sync::oneshot;

const PROPOSERS: [usize; 3] = [1, 8, 32];
const ROUNDS: usize = 7;
/// Ticks of /proc/self/stat a second.
const TICKS: f64 = 100.0;
/// Turns on their way between two threads.
const DEPTH: usize = 2;

type Request = (WriteBatch, oneshot::Sender<()>);
type Turn = (Vec<LogEntry>, Vec<Request>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Threads {
    Node,
    One,
    Apply,
    Three,
}

#[derive(Default)]
struct Syncs {
    count: AtomicU64,
    nanos: AtomicU64,
}

/// Something that makes a batch durable and applied.
enum Loop {
    Node(Arc<Node>),
    Parts(Sender<Request>, Arc<Syncs>),
}

impl Loop {
    async fn commit(&self, batch: WriteBatch) {
        match self {
            Loop::Node(node) => {
                node.propose(FIRST_DATA, batch).await.expect("committed");
            }
            Loop::Parts(sender, _) => {
                let (answer, answered) = oneshot::channel();
                sender.send((batch, answer)).expect("the loop runs");
                answered.await.expect("answered");
            }
        }
    }

    /// How many syncs, and the nanoseconds spent in them.
    fn syncs(&self) -> (u64, u64) {
        match self {
            Loop::Node(node) => (node.metrics().fsyncs, node.metrics().sync_nanos),
            Loop::Parts(_, syncs) => (syncs.count.load(SeqCst), syncs.nanos.load(SeqCst)),
        }
    }
}

fn open(dir: &Path, threads: Threads) -> Loop {
    let log = RaftLog::open(Arc::new(RealVfs), &dir.join("log"), LogOptions::default()).expect("log");
    let options = LsmOptions::for_memory(1 << 30);
    let engine = Arc::new(AnyEngine::from(LsmEngine::open(&dir.join("lsm"), &options).expect("engine")));
    if threads == Threads::Node {
        let env = Arc::new(SystemEnv::default());
        return Loop::Node(
            Node::start(NodeOptions::default(), engine, log, Arc::new(NoHandler), env).expect("node"),
        );
    }
    let syncs = Arc::new(Syncs::default());
    let (sender, requests) = unbounded();
    spawn(threads, requests, log, engine, Arc::clone(&syncs));
    Loop::Parts(sender, syncs)
}

fn spawn(
    threads: Threads,
    requests: Receiver<Request>,
    log: RaftLog,
    engine: Arc<AnyEngine>,
    syncs: Arc<Syncs>,
) {
    let (to_log, turns) = bounded(DEPTH);
    let (to_apply, synced) = bounded(DEPTH);
    let mut log = Log { log, syncs };
    let mut gather = Gather { requests, index: 0 };
    match threads {
        Threads::Node => {}
        Threads::One => {
            std::thread::spawn(move || {
                while let Some(turn) = gather.turn() {
                    log.write(&turn);
                    apply(&engine, turn);
                }
            });
        }
        Threads::Apply => {
            std::thread::spawn(move || {
                while let Some(turn) = gather.turn() {
                    log.write(&turn);
                    to_apply.send(turn).expect("the apply thread runs");
                }
            });
            std::thread::spawn(move || synced.iter().for_each(|turn| apply(&engine, turn)));
        }
        Threads::Three => {
            std::thread::spawn(move || {
                while let Some(turn) = gather.turn() {
                    to_log.send(turn).expect("the log thread runs");
                }
            });
            std::thread::spawn(move || {
                for turn in turns {
                    log.write(&turn);
                    to_apply.send(turn).expect("the apply thread runs");
                }
            });
            std::thread::spawn(move || synced.iter().for_each(|turn| apply(&engine, turn)));
        }
    }
}

struct Gather {
    requests: Receiver<Request>,
    index: u64,
}

impl Gather {
    /// Everything that waits; `None` when all proposers are gone.
    fn turn(&mut self) -> Option<Turn> {
        let mut requests = vec![self.requests.recv().ok()?];
        requests.extend(self.requests.try_iter());
        let entries = requests.iter().map(|(batch, _)| {
            self.index += 1;
            let data = batch.as_bytes().to_vec().into();
            LogEntry { term: 1, index: self.index, kind: EntryKind::Normal, data }
        });
        Some((entries.collect(), requests))
    }
}

struct Log {
    log: RaftLog,
    syncs: Arc<Syncs>,
}

impl Log {
    fn write(&mut self, (entries, _): &Turn) {
        let mut batch = LogBatch::new();
        batch.append(FIRST_DATA, entries);
        let commit = entries.first().map_or(0, |e| e.index - 1);
        batch.hard_state(FIRST_DATA, HardState { term: 1, vote: 1, commit });
        self.log.append(&batch).expect("append");
        let begin = Instant::now();
        self.log.sync().expect("sync");
        self.syncs.count.fetch_add(1, SeqCst);
        self.syncs.nanos.fetch_add(begin.elapsed().as_nanos() as u64, SeqCst);
    }
}

fn apply(engine: &AnyEngine, (entries, requests): Turn) {
    let states = entries.iter().map(|e| ApplyState { applied: e.index, term: e.term });
    let turn: Vec<_> =
        requests.iter().zip(states).map(|((batch, _), state)| (FIRST_DATA, batch, state)).collect();
    engine.apply(&turn).expect("apply");
    for (_, answer) in requests {
        let _ = answer.send(());
    }
}

/// One row in four keys, as an update of three tables and a history row writes them.
fn batch(proposer: usize, n: u64) -> WriteBatch {
    let mut batch = WriteBatch::with_capacity(420);
    for row in 0..4_u64 {
        let mut key = vec![3, row as u8];
        key.extend_from_slice(&(proposer as u64).to_be_bytes());
        key.extend_from_slice(&(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44).to_be_bytes());
        key.extend_from_slice(&(!n).to_be_bytes());
        batch.put(Space::Data, &key, &[b'x'; 72]);
    }
    batch
}

/// CPU seconds of this process.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let after = stat.rsplit(')').next().expect("a command in parentheses");
    let field =
        |n: usize| after.split_whitespace().nth(n).and_then(|f| f.parse::<f64>().ok()).expect("a number");
    (field(11) + field(12)) / TICKS
}

struct Figures {
    tps: f64,
    per_sync: f64,
    cpu_micros: f64,
    latency_micros: f64,
    sync_micros: f64,
}

fn measure(dir: &Path, threads: Threads, proposers: usize, time: Duration) -> Figures {
    let dir = tempfile::tempdir_in(dir).expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("runtime");
    let work = Arc::new(open(dir.path(), threads));
    let (begin, cpu_before, syncs_before) = (Instant::now(), cpu(), work.syncs());
    let tasks: Vec<_> = (0..proposers)
        .map(|proposer| {
            let work = Arc::clone(&work);
            runtime.spawn(async move {
                let mut n = 0;
                while begin.elapsed() < time {
                    work.commit(batch(proposer, n)).await;
                    n += 1;
                }
                n
            })
        })
        .collect();
    let commits: u64 = tasks.into_iter().map(|t| runtime.block_on(t).expect("proposer")).sum();
    let (elapsed, cpu) = (begin.elapsed(), cpu() - cpu_before);
    let syncs = (work.syncs().0 - syncs_before.0) as f64;
    let sync_nanos = (work.syncs().1 - syncs_before.1) as f64;
    let commits = commits as f64;
    Figures {
        tps: commits / elapsed.as_secs_f64(),
        per_sync: commits / syncs,
        cpu_micros: cpu * 1e6 / commits,
        latency_micros: elapsed.as_secs_f64() * 1e6 * proposers as f64 / commits,
        sync_micros: sync_nanos / 1e3 / syncs,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().unwrap_or_else(|| ".".to_owned());
    let seconds = args.next().map_or(2.0, |s| s.parse().expect("seconds"));
    let kinds = [Threads::Node, Threads::One, Threads::Apply, Threads::Three];
    for proposers in PROPOSERS {
        let mut figures: Vec<Vec<Figures>> = kinds.iter().map(|_| vec![]).collect();
        for _ in 0..ROUNDS {
            for (kind, figures) in kinds.iter().zip(&mut figures) {
                figures.push(measure(Path::new(&dir), *kind, proposers, Duration::from_secs_f64(seconds)));
            }
        }
        for (kind, figures) in kinds.iter().zip(&figures) {
            let of = |f: fn(&Figures) -> f64| median(figures.iter().map(f).collect());
            let (tps, per_sync, cpu) = (of(|f| f.tps), of(|f| f.per_sync), of(|f| f.cpu_micros));
            let (sync, latency) = (of(|f| f.sync_micros), of(|f| f.latency_micros));
            let around = of(|f| f.latency_micros - f.sync_micros);
            println!(
                "c={proposers} {kind:?}: {tps:.0} commits/s, {per_sync:.1} a sync, {cpu:.0} us cpu a commit; \
                 latency {latency:.0} us, a sync {sync:.0} us, the rest {around:.0} us"
            );
        }
    }
}
