//! Commit of a transaction whose writes fit one proposal: one raft round.
//!
//! 1. Latch every written key, in key order, by publishing the commit's slot in the in-flight map.
//! 2. Validate the writes: under the latches nothing about these keys can change any more.
//! 3. Take the timestamp, above every read served so far of these keys. From here on readers at or
//!    above it wait for the outcome.
//! 4. Validate the required reads of keys that are not written, at that timestamp: raise their
//!    high-water mark, wait for commits below, compare.
//! 5. Propose all versions as one batch. When it is applied, `Participant::on_applied` refreshes the
//!    row cache and passes the latches on; then the proposer wakes, answers, and drops its row locks.
//!
//! Waits cannot form a ring: step 1 waits in key order for commits that have not begun step 3 or will
//! end; step 4 waits only for commits with a smaller timestamp; row locks are not waited for here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use storage::Ts;
use storage::engine::{Direction, Space, Span, WriteBatch};
use storage::mvcc::{self, TxnTag, Version};

use crate::backend::Refused;
use crate::buffer::{Expect, Write};
use crate::cursor::Cursor;
use crate::db::{off_thread, pause};
use crate::large::{self, area::AreaCursor};
use crate::participant::cache::Newest;
use crate::participant::inflight::{CommitSlot, Latches};
use crate::participant::{KeyHash, RANGE};
use crate::transaction::Require;
use crate::{Access, Error, Isolation, Key, Result, Transaction, TxnDb, key};

/// Bytes of a write buffer that commits in one proposal: half of what a raft entry may have.
const MAX_ONE_ROUND: usize = cluster::limits::MAX_BATCH_BYTES / 2;

/// How long a full proposal queue is given before the batch is offered again.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The timestamp of its versions; `None` if it wrote nothing.
    pub ts: Option<Ts>,
}

/// What one commit writes and depends on, in key order, each key once.
struct Work {
    keys: Vec<Key>,
    writes: Vec<Write>,
    /// Required reads of written keys, at the same position as the key.
    own_required: Vec<Option<Require>>,
    /// Required reads of other keys.
    required: Vec<(Key, Require)>,
    spans: Vec<(Span, Ts)>,
    /// Under REPEATABLE READ no written key may have a version above it.
    snapshot: Option<Ts>,
}

pub(crate) async fn commit(txn: &mut Transaction) -> Result<Commit> {
    let bytes = txn.buffered_bytes();
    if bytes == 0 && txn.large.is_none() {
        return Ok(Commit { ts: None });
    }
    if txn.options.access == Access::ReadOnly {
        return Err(Error::ReadOnly);
    }
    let db = txn.db.clone();
    if txn.large.is_some() || bytes > MAX_ONE_ROUND.min(db.limits.buffer_bytes) {
        return Ok(Commit { ts: Some(large::commit::commit(txn).await?) });
    }
    let work = Work::of(txn);
    let tag = TxnTag(rand::random());
    let ts = commit_once(&db, work, tag).await?;
    Ok(Commit { ts: Some(ts) })
}

async fn commit_once(db: &Arc<TxnDb>, work: Work, tag: TxnTag) -> Result<Ts> {
    let (slot, latches) = loop {
        let slot = CommitSlot::new();
        let latches = Latches::acquire(&db.participant.inflight, slot.clone(), &work.keys).await;
        // Latched first, then looked: a large transaction fences first and looks for latches then.
        let Some(large) = large::commit::fenced(db, &work.keys)? else { break (slot, latches) };
        drop(latches);
        large.slot.ended().await;
    };
    if let Some(done) = validate_writes(db, &work, tag).await? {
        return Ok(done);
    }
    let ts = stamp(db, &slot, &work.keys)?;
    validate_reads(db, &slot, &work.required, &work.spans, ts).await?;
    let batch = work.batch(ts, tag);
    if batch.is_empty() {
        return Ok(ts);
    }
    let proposed = db.backend.propose(batch);
    latches.keep();
    Proposed { db: db.clone(), work, ts, tag, slot, ended: false, proposed: Some(proposed) }.finish().await?;
    Ok(ts)
}

impl Work {
    fn of(txn: &mut Transaction) -> Work {
        let writes = txn.buffer.write().take();
        let mut work = Work {
            keys: Vec::with_capacity(writes.len()),
            writes: Vec::with_capacity(writes.len()),
            own_required: vec![None; writes.len()],
            required: Vec::new(),
            spans: std::mem::take(&mut txn.required_spans),
            snapshot: (txn.options.isolation == Isolation::RepeatableRead).then(|| txn.statement_ts()),
        };
        for (key, mut versions) in writes {
            work.keys.push(key);
            work.writes.push(versions.pop().expect("a key in the buffer has a write"));
        }
        for (key, require) in txn.take_required() {
            match work.keys.binary_search(&key) {
                Ok(at) => work.own_required[at] = Some(require),
                Err(_) => work.required.push((key, require)),
            }
        }
        work
    }

    fn batch(&self, ts: Ts, tag: TxnTag) -> WriteBatch {
        let bytes: usize = self.keys.iter().zip(&self.writes).map(|(k, w)| k.len() + row_len(w) + 32).sum();
        let mut batch = WriteBatch::with_capacity(bytes);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for (user_key, write) in self.keys.iter().zip(&self.writes) {
            if write.is_nothing() {
                continue;
            }
            key.clear();
            key.extend_from_slice(user_key);
            mvcc::push_suffix(&mut key, ts);
            value.clear();
            mvcc::push_version(&mut value, Version { tag, row: write.row.as_deref() });
            batch.put(Space::Data, &key, &value);
        }
        batch
    }
}

fn row_len(write: &Write) -> usize {
    write.row.as_ref().map_or(0, Bytes::len)
}

/// Step 2. Answers the timestamp if the writes are there already: the commit was sent twice.
async fn validate_writes(db: &Arc<TxnDb>, work: &Work, tag: TxnTag) -> Result<Option<Ts>> {
    for (at, key) in work.keys.iter().enumerate() {
        let newest = db.read_fenced(key::hash(key), key, Ts::MAX).await?;
        if newest.tag == tag && newest.ts > Ts::ZERO {
            return Ok(Some(newest.ts));
        }
        check_write(key, &newest, &work.writes[at], work.own_required[at], work.snapshot)?;
    }
    Ok(None)
}

/// Whether a write may go over the newest version of its key.
pub(crate) fn check_write(
    key: &Key,
    newest: &Newest,
    write: &Write,
    required: Option<Require>,
    snapshot: Option<Ts>,
) -> Result<()> {
    match write.expect {
        Expect::Never { constraint } => return Err(Error::DuplicateKey { key: key.clone(), constraint }),
        Expect::Absent { constraint } if newest.row.is_some() => {
            return Err(Error::DuplicateKey { key: key.clone(), constraint });
        }
        // The key is free, whoever freed it: as in PostgreSQL, an insert looks past the snapshot.
        Expect::Absent { .. } => {}
        Expect::Any if snapshot.is_some_and(|snapshot| newest.ts > snapshot) => {
            return Err(Error::WriteConflict { key: key.clone() });
        }
        Expect::Any => {}
    }
    match required {
        Some(require) => check_required(key, newest, require),
        None => Ok(()),
    }
}

fn check_required(key: &Key, newest: &Newest, require: Require) -> Result<()> {
    let holds = match require {
        Require::Unchanged(observed) => newest.ts <= observed,
        Require::Alive => newest.row.is_some(),
    };
    if holds { Ok(()) } else { Err(Error::WriteConflict { key: key.clone() }) }
}

/// Step 3. While the slot says "stamping" readers spin: only atomics in here.
fn stamp(db: &TxnDb, slot: &CommitSlot, keys: &[Key]) -> Result<Ts> {
    let hashes: Vec<KeyHash> = keys.iter().map(|key| KeyHash::of(key)).collect();
    slot.begin_stamping();
    let low = |hash: &KeyHash| db.participant.highwater.of(hash.key, hash.index);
    loop {
        let ts = match db.backend.next_ts() {
            Ok(ts) => ts,
            Err(error) => {
                slot.unstamp();
                return Err(error);
            }
        };
        // Timestamps come from the oracle only: a later one is taken, never computed.
        if hashes.iter().all(|hash| low(hash) < ts) {
            slot.stamp(ts);
            return Ok(ts);
        }
    }
}

/// Step 4.
pub(crate) async fn validate_reads(
    db: &Arc<TxnDb>,
    slot: &Arc<CommitSlot>,
    required: &[(Key, Require)],
    spans: &[(Span, Ts)],
    ts: Ts,
) -> Result<()> {
    for (key, require) in required {
        let hash = key::hash(key);
        while let Some(commit) = db.participant.fence_key(hash, key, ts) {
            if Arc::ptr_eq(&commit, slot) {
                break;
            }
            db.await_commit(&commit).await;
        }
        check_required(key, &db.read_fenced(hash, key, ts).await?, *require)?;
    }
    for (span, observed) in spans {
        let coverage = key::coverage(span);
        loop {
            let mut commits = db.participant.fence_span(span, coverage, ts);
            commits.retain(|commit| !Arc::ptr_eq(commit, slot));
            if commits.is_empty() {
                break;
            }
            for commit in commits {
                db.await_commit(&commit).await;
            }
        }
        let (db, span, observed) = (db.clone(), span.clone(), *observed);
        let changed = off_thread(move || first_change(&db, &span, observed, ts)).await?;
        if let Some(key) = changed {
            return Err(Error::WriteConflict { key });
        }
    }
    Ok(())
}

/// The first key of a span with a version in `(after, upto]`.
fn first_change(db: &TxnDb, span: &Span, after: Ts, upto: Ts) -> Result<Option<Key>> {
    let unresolved = db.participant.large.unresolved(upto);
    let snapshot = db.backend.snapshot();
    for large in unresolved.iter().filter(|large| large.committed() > Some(after)) {
        let area = AreaCursor::open(&snapshot, RANGE, large.id, span, Direction::Forward, None)?;
        if let Some((key, _)) = area.current() {
            return Ok(Some(Key::copy_from_slice(key)));
        }
    }
    let mut cursor = Cursor::open(&snapshot, span, Direction::Forward, upto, None)?;
    while let Some((key, ts, _)) = cursor.current()? {
        if ts > after {
            return Ok(Some(Key::copy_from_slice(key)));
        }
        cursor.advance()?;
    }
    Ok(None)
}

/// A commit that is on its way. Whoever drops the future of a commit leaves the proposal running: the
/// latches of a refused one are then released by a task or thread of its own.
struct Proposed {
    db: Arc<TxnDb>,
    work: Work,
    ts: Ts,
    tag: TxnTag,
    slot: Arc<CommitSlot>,
    /// `None` while a full queue is given time.
    proposed: Option<BoxFuture<'static, Result<(), Refused>>>,
    ended: bool,
}

impl Proposed {
    async fn finish(mut self) -> Result<()> {
        loop {
            let outcome = self.proposed.as_mut().expect("set before every turn").await;
            self.proposed = None;
            match outcome {
                Ok(()) => {
                    // Application has released the latches of the versions it saw.
                    if self.work.writes.iter().any(Write::is_nothing) {
                        release(&self.db, &self.work.keys, &self.slot);
                    }
                    self.ended = true;
                    return Ok(());
                }
                Err(Refused::Busy) => pause(QUEUE_PAUSE).await,
                Err(Refused::Not(error) | Refused::Unknown(error)) => return Err(error),
            }
            self.proposed = Some(self.db.backend.propose(self.work.batch(self.ts, self.tag)));
        }
    }
}

impl Drop for Proposed {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (db, keys, slot) = (self.db.clone(), std::mem::take(&mut self.work.keys), self.slot.clone());
        let Some(proposed) = self.proposed.take() else {
            return release(&db, &keys, &slot);
        };
        let rest = async move {
            // Applied or not, nothing is left to do for the latches that are still held.
            let _ = proposed.await;
            release(&db, &keys, &slot);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(rest)),
            Err(_) => drop(std::thread::spawn(move || futures::executor::block_on(rest))),
        }
    }
}

fn release(db: &TxnDb, keys: &[Key], slot: &Arc<CommitSlot>) {
    for key in keys {
        db.participant.inflight.unlatch(key, slot);
    }
    slot.end();
}
