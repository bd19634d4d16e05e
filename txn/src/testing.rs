//! A node without threads for the tests: proposals are applied at once, or held until the test says
//! so, or lost; every interleaving is the test's choice.

mod model;
mod restart;
mod scripts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use storage::Ts;
use storage::engine::mem::MemEngine;
use storage::engine::{
    AnySnapshot, ApplyState, Engine, Iter, Op, RangeId, Snapshot, Space, Span, WriteBatch,
};
use tokio::sync::oneshot;

use crate::backend::{Backend, Refused};
use crate::{Error, Limits, Participant, Result, TxnDb};

type Answer = oneshot::Sender<Result<(), Refused>>;

pub(crate) struct TestNode {
    pub(crate) engine: MemEngine,
    pub(crate) participant: Arc<Participant>,
    last_ts: AtomicU64,
    applied: AtomicU64,
    hold: AtomicBool,
    queue: Mutex<VecDeque<(WriteBatch, Answer)>>,
    jobs: Mutex<VecDeque<Box<dyn FnOnce() + Send>>>,
    /// Proposals that still get through before the node dies.
    left: AtomicU64,
}

impl TestNode {
    pub(crate) fn start(limits: &Limits) -> (Arc<TestNode>, Arc<TxnDb>) {
        TestNode::restart(MemEngine::new(), limits, Ts(100))
    }

    /// A node over what an engine holds; timestamps go on above `floor`.
    pub(crate) fn restart(engine: MemEngine, limits: &Limits, floor: Ts) -> (Arc<TestNode>, Arc<TxnDb>) {
        let participant = Participant::new(limits);
        participant.on_lease_gained(floor);
        let node = Arc::new(TestNode {
            engine,
            participant: participant.clone(),
            last_ts: AtomicU64::new(floor.0),
            applied: AtomicU64::new(0),
            hold: AtomicBool::new(false),
            queue: Mutex::default(),
            jobs: Mutex::default(),
            left: AtomicU64::new(u64::MAX),
        });
        let db = TxnDb::with_backend(node.clone(), participant, limits.clone()).unwrap();
        (node, db)
    }

    /// From now on proposals wait for `apply_next`.
    pub(crate) fn hold(&self, hold: bool) {
        self.hold.store(hold, SeqCst);
        while !hold && self.apply_next() {}
    }

    /// Applies the oldest held proposal.
    pub(crate) fn apply_next(&self) -> bool {
        let Some((batch, answer)) = self.queue.lock().pop_front() else { return false };
        self.apply(&batch);
        let _ = answer.send(Ok(()));
        true
    }

    /// Applies the `n`th held proposal, if those before it are commits of other keys, else the oldest:
    /// timestamps and log order need not agree.
    pub(crate) fn apply_nth(&self, n: usize) -> bool {
        let mut queue = self.queue.lock();
        let plain = |batch: &WriteBatch| {
            batch.iter().all(|op| matches!(op, Op::Put { space: Space::Data, key, .. } if key[0] > 2))
        };
        if n >= queue.len() || !queue.iter().take(n + 1).all(|(batch, _)| plain(batch)) {
            drop(queue);
            return self.apply_next();
        }
        let Some((batch, answer)) = queue.remove(n) else { return false };
        drop(queue);
        self.apply(&batch);
        let _ = answer.send(Ok(()));
        true
    }

    /// Refuses the oldest held proposal.
    pub(crate) fn refuse_next(&self) -> bool {
        let Some((_, answer)) = self.queue.lock().pop_front() else { return false };
        let _ = answer.send(Err(Refused::Not(Error::DiskFull)));
        true
    }

    /// Runs the background work that waits; answers how many pieces there were.
    pub(crate) fn run_jobs(&self) -> usize {
        let jobs = std::mem::take(&mut *self.jobs.lock());
        let count = jobs.len();
        jobs.into_iter().for_each(|job| job());
        count
    }

    /// The node dies after `n` more proposals: later ones are neither applied nor answered.
    pub(crate) fn lose_after(&self, n: u64) {
        self.left.store(n, SeqCst);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.left.load(SeqCst) == 0
    }

    /// Runs the background work on a thread of its own: it never ends if the node dies meanwhile.
    pub(crate) fn run_jobs_until_lost(self: &Arc<Self>) {
        let (node, (done, ended)) = (self.clone(), std::sync::mpsc::channel());
        std::thread::spawn(move || {
            node.run_jobs();
            let _ = done.send(());
        });
        while !self.is_lost() && ended.recv_timeout(std::time::Duration::from_millis(1)).is_err() {}
    }

    /// Proposals that are held.
    pub(crate) fn held(&self) -> usize {
        self.queue.lock().len()
    }

    /// Entries of the intent space.
    pub(crate) fn intents(&self) -> usize {
        let all = Span { lo: vec![], hi: vec![] };
        let mut iter = Backend::snapshot(self).iter(Space::Intent, &all).expect("memory does not fail");
        let mut count = 0;
        let mut valid = iter.seek_ge(&[]).expect("memory does not fail");
        while valid {
            count += 1;
            valid = iter.next().expect("memory does not fail");
        }
        count
    }

    pub(crate) fn last_ts(&self) -> Ts {
        Ts(self.last_ts.load(SeqCst))
    }

    fn apply(&self, batch: &WriteBatch) {
        let state = ApplyState { applied: self.applied.fetch_add(1, SeqCst) + 1, term: 1 };
        self.engine.apply(&[(RangeId(2), batch, state)]).expect("memory does not fail");
        self.participant.on_applied(batch);
    }
}

impl Backend for TestNode {
    fn next_ts(&self) -> Result<Ts> {
        Ok(Ts(self.last_ts.fetch_add(1, SeqCst) + 1))
    }

    fn snapshot(&self) -> AnySnapshot {
        AnySnapshot::Mem(self.engine.snapshot())
    }

    fn propose(&self, batch: WriteBatch) -> BoxFuture<'static, Result<(), Refused>> {
        let left = self.left.load(SeqCst);
        if left == 0 {
            return futures::future::pending().boxed();
        }
        if left < u64::MAX {
            self.left.store(left - 1, SeqCst);
        }
        if !self.hold.load(SeqCst) {
            self.apply(&batch);
            return futures::future::ready(Ok(())).boxed();
        }
        let (answer, outcome) = oneshot::channel();
        self.queue.lock().push_back((batch, answer));
        outcome.map(|o| o.unwrap_or(Err(Refused::Unknown(Error::OutcomeUnknown)))).boxed()
    }

    fn spawn(&self, job: Box<dyn FnOnce() + Send>) {
        self.jobs.lock().push_back(job);
    }

    fn set_gc_safe_point(&self, ts: Ts) {
        self.engine.set_gc_safe_point(ts);
    }
}
