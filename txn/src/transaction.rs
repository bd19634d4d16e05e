//! The handle that sql holds: reads, locks, buffered writes, savepoints, the end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use storage::Ts;
use storage::engine::Span;

use crate::buffer::{Buffer, Position};
use crate::commit::{self, Commit};
use crate::db::off_thread;
use crate::large::spill::RequiredByKey;
use crate::large::{Large, resolve, spill};
use crate::lock::{Acquired, TxnId};
use crate::pins::Pin;
use crate::view::Overlay;
use crate::{Access, Error, Isolation, Key, LockMode, ReadView, Result, TxnDb, TxnOptions, WaitPolicy};

/// A required read: what must still hold when the transaction commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Require {
    /// The key has no version newer than this.
    Unchanged(Ts),
    /// The key has a live row: what a KEY SHARE lock protects. Its columns may change.
    Alive,
}

impl Require {
    /// What satisfies both.
    pub(crate) fn and(self, other: Require) -> Require {
        match (self, other) {
            (Require::Unchanged(a), Require::Unchanged(b)) => Require::Unchanged(a.min(b)),
            (Require::Unchanged(a), Require::Alive) | (Require::Alive, Require::Unchanged(a)) => {
                Require::Unchanged(a)
            }
            (Require::Alive, Require::Alive) => Require::Alive,
        }
    }
}

/// A lock that was taken, in the order of taking.
pub(crate) struct HeldLock {
    pub(crate) key: Key,
    pub(crate) require: Require,
    /// What this transaction held on the key before.
    before: Option<LockMode>,
}

/// The answer of `Transaction::lock` for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// The newest committed row; own writes are not looked at. `None`: deleted, or never there.
    pub newest: Option<Bytes>,
    /// The timestamp of that version; `Ts::ZERO` if the key never had one.
    pub ts: Ts,
    /// The version is newer than the statement's snapshot.
    pub changed_since_snapshot: bool,
    /// `WaitPolicy::Skip` met a lock: nothing is locked, the other fields say nothing.
    pub skipped: bool,
}

/// The newest state of a key: committed, or written by the transaction itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    pub row: Option<Bytes>,
    /// Where the row comes from.
    pub source: LatestSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatestSource {
    /// The transaction wrote it.
    Own,
    /// A version committed at this timestamp (`Ts::ZERO`: there never was one): what to hand to
    /// `Transaction::require`.
    Committed(Ts),
}

/// A savepoint of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SavepointId(u64);

struct Savepoint {
    id: SavepointId,
    at: Position,
    locks: usize,
}

struct Statement {
    pin: Pin,
    limit: Position,
}

/// A transaction. Dropping it rolls it back. Nothing it writes is seen by others before `commit`.
pub struct Transaction {
    pub(crate) db: Arc<TxnDb>,
    pub(crate) id: TxnId,
    pub(crate) options: TxnOptions,
    pub(crate) buffer: Arc<RwLock<Buffer>>,
    pub(crate) locks: Vec<HeldLock>,
    /// Required reads beside the locks: they survive a rollback to a savepoint, since the client has
    /// seen what they stand for.
    pub(crate) required: Vec<(Key, Require)>,
    pub(crate) required_spans: Vec<(Span, Ts)>,
    /// Where the writes are that the buffer could not hold.
    pub(crate) large: Option<Arc<Large>>,
    label: u64,
    statement: Option<Statement>,
    savepoints: Vec<Savepoint>,
    next_savepoint: u64,
    has_writes: bool,
}

impl Transaction {
    pub(crate) fn new(db: Arc<TxnDb>, id: TxnId, options: TxnOptions) -> Transaction {
        Transaction {
            db,
            id,
            options,
            buffer: Arc::default(),
            locks: Vec::new(),
            required: Vec::new(),
            required_spans: Vec::new(),
            large: None,
            label: id.0,
            statement: None,
            savepoints: Vec::new(),
            next_savepoint: 0,
            has_writes: false,
        }
    }

    pub fn isolation(&self) -> Isolation {
        self.options.isolation
    }

    pub fn access(&self) -> Access {
        self.options.access
    }

    /// From now on the transaction is read only or not; writes that are buffered already stay.
    pub fn set_access(&mut self, access: Access) {
        self.options.access = access;
    }

    /// The isolation level, as long as no statement has begun: afterwards nothing changes.
    pub fn set_isolation(&mut self, isolation: Isolation) {
        if self.statement.is_none() {
            self.options.isolation = isolation;
        }
    }

    /// The number that deadlock reports show for this transaction (the session's process number).
    pub fn set_label(&mut self, label: u64) {
        self.label = label;
    }

    /// Begins a statement: READ COMMITTED takes a new snapshot, REPEATABLE READ its only one at the
    /// first call. Writes of earlier statements become visible to `view`.
    pub fn start_statement(&mut self) -> Ts {
        let limit = self.freeze();
        let ts = match (&self.statement, self.options.isolation) {
            (Some(statement), Isolation::RepeatableRead) => statement.pin.ts(),
            _ => self.db.snapshot_ts(),
        };
        match &mut self.statement {
            Some(statement) if statement.pin.ts() == ts => statement.limit = limit,
            statement => *statement = Some(Statement { pin: self.db.pins.pin(ts), limit }),
        }
        ts
    }

    /// The snapshot of the running statement.
    pub fn statement_ts(&self) -> Ts {
        self.statement.as_ref().map_or_else(|| self.db.snapshot_ts(), |statement| statement.pin.ts())
    }

    /// What the running statement sees: its snapshot, and own writes of earlier statements.
    pub fn view(&self) -> ReadView {
        let limit = self.statement.as_ref().map_or(Position(0), |statement| statement.limit);
        self.view_at(self.statement_ts(), limit)
    }

    /// The running statement's snapshot with every own write up to this call.
    pub fn view_with_own_writes_now(&self) -> ReadView {
        self.view_at(self.statement_ts(), self.freeze())
    }

    /// A fresh snapshot with every own write up to this call: what probes of constraints read, at
    /// any isolation level.
    pub fn fresh_view(&self) -> ReadView {
        self.view_at(self.db.snapshot_ts(), self.freeze())
    }

    /// Locks rows, in the order given, and reads their newest committed versions. Under REPEATABLE
    /// READ a row changed since the snapshot is `Error::WriteConflict`, except for `KeyShare` on a row
    /// that is still there. What was read must still hold at commit. After an error the locks taken so
    /// far stay until the savepoint or transaction ends.
    pub async fn lock(&mut self, keys: &[Key], mode: LockMode, wait: WaitPolicy) -> Result<Vec<Locked>> {
        self.spill_if_needed().await?;
        let mut answers = Vec::with_capacity(keys.len());
        for key in keys {
            answers.push(self.lock_one(key, mode, wait).await?);
        }
        Ok(answers)
    }

    async fn lock_one(&mut self, key: &Key, mode: LockMode, wait: WaitPolicy) -> Result<Locked> {
        let Some(before) = self.acquire(key, mode, wait).await? else {
            return Ok(Locked { newest: None, ts: Ts::ZERO, changed_since_snapshot: false, skipped: true });
        };
        let held = HeldLock { key: key.clone(), require: Require::Unchanged(Ts::MAX), before };
        self.locks.push(held);
        if !self.wait_for_large(key, wait).await? {
            let held = self.locks.pop().expect("just pushed");
            self.db.participant.locks.release(self.id, key, held.before);
            return Ok(Locked { newest: None, ts: Ts::ZERO, changed_since_snapshot: false, skipped: true });
        }
        let newest = self.db.read_newest(key).await?;
        let changed = newest.ts > self.statement_ts();
        let alive = mode == LockMode::KeyShare && newest.row.is_some();
        self.locks.last_mut().expect("just pushed").require =
            if alive { Require::Alive } else { Require::Unchanged(newest.ts) };
        if changed && self.options.isolation == Isolation::RepeatableRead && !alive {
            return Err(Error::WriteConflict { key: key.clone() });
        }
        Ok(Locked { newest: newest.row, ts: newest.ts, changed_since_snapshot: changed, skipped: false })
    }

    /// Takes the lock; answers what was held before, or `None` if it was skipped.
    async fn acquire(&self, key: &Key, mode: LockMode, wait: WaitPolicy) -> Result<Option<Option<LockMode>>> {
        let table = &self.db.participant.locks;
        if let Some(granted) = table.try_acquire(self.id, key, mode) {
            return Ok(Some(granted.before));
        }
        match wait {
            WaitPolicy::Skip => Ok(None),
            WaitPolicy::NoWait => Err(Error::LockNotAvailable { key: key.clone() }),
            WaitPolicy::Wait { timeout: None } => self.wait_for(key, mode).await.map(Some),
            WaitPolicy::Wait { timeout: Some(limit) } => self.wait_limited(key, mode, limit).await.map(Some),
        }
    }

    async fn wait_limited(&self, key: &Key, mode: LockMode, limit: Duration) -> Result<Option<LockMode>> {
        match tokio::time::timeout(limit, self.wait_for(key, mode)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::LockTimeout { key: key.clone() }),
        }
    }

    /// Queues until the lock is granted. Dropping the future leaves the queue.
    async fn wait_for(&self, key: &Key, mode: LockMode) -> Result<Option<LockMode>> {
        let metrics = &self.db.participant.metrics;
        let table = &self.db.participant.locks;
        metrics.lock_waits.add(1);
        loop {
            let before = table.held(self.id, key);
            let granted = match table.acquire(self.id, self.label, key, mode) {
                Ok(Acquired::Now(granted)) => return Ok(granted.before),
                Ok(Acquired::Later(granted)) => granted,
                Err(error) => {
                    metrics.deadlocks.add(1);
                    return Err(error);
                }
            };
            let mut waiting = Waiting { txn: self, key, before, granted: false };
            waiting.granted = granted.await.is_ok();
            if waiting.granted {
                return Ok(before);
            }
            // The table was emptied (the lease was lost): ask again.
        }
    }

    /// The areas of open large transactions are the locks of their keys: waits for their ends. `false`:
    /// the key is to be skipped.
    async fn wait_for_large(&self, key: &Key, wait: WaitPolicy) -> Result<bool> {
        loop {
            let Some(large) = self.large_holder(key)? else { return Ok(true) };
            let timeout = match wait {
                WaitPolicy::Skip => return Ok(false),
                WaitPolicy::NoWait => return Err(Error::LockNotAvailable { key: key.clone() }),
                WaitPolicy::Wait { timeout } => timeout,
            };
            let table = &self.db.participant.locks;
            table.begin_wait(self.id, self.label, large.owner)?;
            let _waiting = WaitingForTxn(self);
            match timeout {
                None => large.slot.ended().await,
                Some(limit) => tokio::time::timeout(limit, large.slot.ended())
                    .await
                    .map_err(|_| Error::LockTimeout { key: key.clone() })?,
            }
        }
    }

    fn large_holder(&self, key: &Key) -> Result<Option<Arc<Large>>> {
        for large in self.db.participant.large.open_but(self.id) {
            if large.read(&self.db, key, Position(u64::MAX))?.is_some() {
                return Ok(Some(large));
            }
        }
        Ok(None)
    }

    /// Buffers a row. A key that is read or locked first is validated at commit.
    pub fn put(&mut self, key: Key, row: Bytes) {
        self.has_writes = true;
        self.buffer.write().put(key, row);
    }

    /// Buffers the deletion of a row.
    pub fn delete(&mut self, key: Key) {
        self.has_writes = true;
        self.buffer.write().delete(key);
    }

    /// Buffers a row whose key must not exist when the transaction commits: it fails with
    /// `Error::DuplicateKey` and the tag `constraint` otherwise.
    pub fn insert(&mut self, key: Key, row: Bytes, constraint: u32) {
        self.has_writes = true;
        self.buffer.write().insert(key, row, constraint);
    }

    /// The newest state of a key, whatever the snapshot: own writes up to now, else committed.
    pub async fn get_latest(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.latest(key).await?.row)
    }

    /// As `get_latest`, with where it comes from.
    pub async fn latest(&self, key: &[u8]) -> Result<Latest> {
        let own = self.buffer.read().newest(key).map(|write| write.row.clone());
        if let Some(row) = own {
            return Ok(Latest { row, source: LatestSource::Own });
        }
        if let Some(large) = self.large.as_ref().filter(|large| large.covers(key)) {
            let (db, large, key) = (self.db.clone(), large.clone(), key.to_vec());
            let own = off_thread(move || large.read(&db, &key, Position(u64::MAX))).await?;
            if let Some(write) = own {
                return Ok(Latest { row: write.row, source: LatestSource::Own });
            }
        }
        let newest = self.db.read_newest(key).await?;
        Ok(Latest { row: newest.row, source: LatestSource::Committed(newest.ts) })
    }

    /// Whether a key has no live row now, own writes included.
    pub async fn check_absent(&self, key: &[u8]) -> Result<bool> {
        Ok(self.get_latest(key).await?.is_none())
    }

    /// Whether the running statement wrote the key already.
    pub fn wrote_in_statement(&self, key: &[u8]) -> bool {
        let limit = self.statement.as_ref().map_or(Position(0), |statement| statement.limit);
        self.buffer.read().newest(key).is_some_and(|write| write.at >= limit)
    }

    /// At commit the key must have no version newer than `observed`.
    pub fn require(&mut self, key: Key, observed: Ts) {
        self.required.push((key, Require::Unchanged(observed)));
    }

    /// At commit no key of the span may have a version newer than `observed`.
    pub fn require_span(&mut self, span: Span, observed: Ts) {
        self.required_spans.push((span, observed));
    }

    pub fn savepoint(&mut self) -> SavepointId {
        let id = SavepointId(self.next_savepoint);
        self.next_savepoint += 1;
        let at = self.buffer.write().savepoint();
        self.savepoints.push(Savepoint { id, at, locks: self.locks.len() });
        id
    }

    /// Undoes the writes and releases the locks since the savepoint, which stays.
    pub fn rollback_to(&mut self, id: SavepointId) -> Result<()> {
        let at = self.find_savepoint(id)?;
        self.savepoints.truncate(at + 1);
        let Savepoint { at, locks, .. } = self.savepoints[at];
        {
            let mut buffer = self.buffer.write();
            buffer.rollback_to(at);
            if let Some(large) = &self.large {
                large.roll_back(at, buffer.position());
            }
        }
        self.release_locks(locks);
        Ok(())
    }

    /// Forgets the savepoint and those after it; writes and locks stay.
    pub fn release(&mut self, id: SavepointId) -> Result<()> {
        let at = self.find_savepoint(id)?;
        self.buffer.write().release(self.savepoints[at].at);
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Makes the writes visible to everyone and durable, atomically. Nothing happened after an error
    /// other than `Error::OutcomeUnknown`.
    pub async fn commit(mut self) -> Result<Commit> {
        let had_writes = self.has_writes();
        let outcome = commit::commit(&mut self).await;
        let metrics = &self.db.participant.metrics;
        match &outcome {
            Ok(_) if had_writes => metrics.commits.add(1),
            Ok(_) => {}
            Err(Error::DuplicateKey { .. }) => metrics.duplicates.add(1),
            Err(Error::WriteConflict { .. }) => metrics.conflicts.add(1),
            Err(_) => {}
        }
        self.has_writes = had_writes && outcome.is_err();
        outcome
    }

    /// Gives everything up.
    pub fn rollback(self) {}

    /// Bytes of the write buffer.
    pub fn buffered_bytes(&self) -> usize {
        self.buffer.read().bytes()
    }

    /// Whether something was written, rolled back or not.
    pub fn has_writes(&self) -> bool {
        self.has_writes
    }

    /// Moves the write buffer to the range if it is over its budget. Call it between blocks of writes:
    /// `put`, `insert` and `delete` cannot wait. `lock` and `commit` do it by themselves.
    pub async fn spill_if_needed(&mut self) -> Result<()> {
        if self.buffered_bytes() > self.db.limits.buffer_bytes {
            spill::spill(self).await?;
        }
        Ok(())
    }

    /// All required reads, in key order, each key once.
    pub(crate) fn take_required(&mut self) -> Vec<(Key, Require)> {
        let locks = self.locks.iter().map(|held| (held.key.clone(), held.require));
        let mut all: Vec<_> = locks.chain(self.required.drain(..)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|next, first| {
            let same = next.0 == first.0;
            if same {
                first.1 = first.1.and(next.1);
            }
            same
        });
        all
    }

    /// The required reads of keys in the buffer, to be spilled with them. With a savepoint open there
    /// are none: its rollback must find the locks where they were.
    pub(crate) fn required_of_writes(&self) -> RequiredByKey {
        let mut found = RequiredByKey::default();
        if !self.savepoints.is_empty() {
            return found;
        }
        let buffer = self.buffer.read();
        let locks = self.locks.iter().map(|held| (&held.key, held.require));
        for (key, require) in locks.chain(self.required.iter().map(|(key, require)| (key, *require))) {
            if buffer.newest(key).is_some() {
                let known = found.entry(key.clone()).or_insert(require);
                *known = known.and(require);
            }
        }
        found
    }

    /// The area holds these keys and what is required of them: memory can forget both.
    pub(crate) fn release_spilled_locks(&mut self, spilled: &RequiredByKey) {
        self.required.retain(|(key, _)| !spilled.contains_key(key));
        let locks = &self.db.participant.locks;
        self.locks.retain(|held| {
            let keep = !spilled.contains_key(&held.key);
            if !keep {
                locks.release(self.id, &held.key, None);
            }
            keep
        });
    }

    fn freeze(&self) -> Position {
        if !self.has_writes {
            return Position(0);
        }
        self.buffer.write().freeze()
    }

    fn view_at(&self, ts: Ts, limit: Position) -> ReadView {
        let overlay = (limit > Position(0)).then(|| Overlay {
            buffer: self.buffer.clone(),
            limit,
            large: self.large.clone(),
        });
        ReadView::new(self.db.clone(), ts, overlay)
    }

    fn find_savepoint(&self, id: SavepointId) -> Result<usize> {
        self.savepoints.iter().position(|savepoint| savepoint.id == id).ok_or(Error::NoSuchSavepoint)
    }

    /// Releases the locks from the `from`th on, newest first.
    fn release_locks(&mut self, from: usize) {
        while self.locks.len() > from {
            let held = self.locks.pop().expect("longer than `from`");
            self.db.participant.locks.release(self.id, &held.key, held.before);
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.has_writes {
            self.db.participant.metrics.aborts.add(1);
        }
        if let Some(large) = self.large.take() {
            resolve::give_up(&self.db, &large);
            resolve::finish_later(&self.db, &large);
        }
        self.release_locks(0);
    }
}

/// A wait for the end of a large transaction.
struct WaitingForTxn<'a>(&'a Transaction);

impl Drop for WaitingForTxn<'_> {
    fn drop(&mut self) {
        self.0.db.participant.locks.end_wait(self.0.id);
    }
}

/// A place in a lock's queue; left when dropped before the grant.
struct Waiting<'a> {
    txn: &'a Transaction,
    key: &'a Key,
    before: Option<LockMode>,
    granted: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let table = &self.txn.db.participant.locks;
        if self.granted {
            table.end_wait(self.txn.id);
        } else {
            table.cancel(self.txn.id, self.key, self.before);
        }
    }
}
