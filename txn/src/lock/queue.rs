//! The lock of one key: who holds it, who waits for it.
//!
//! Rules: a request is granted when it conflicts with no other holder and with nobody who waits in front
//! of it. A holder that asks for more goes in front of those who hold nothing (it would wait for itself
//! otherwise). Whenever a holder or waiter leaves, grants run from the head until the first waiter that
//! cannot be granted.

use std::collections::VecDeque;

use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{LockMode, TxnId};

/// Fires when the lock is granted.
pub(crate) type Grant = oneshot::Sender<()>;

#[derive(Debug)]
struct Waiter {
    txn: TxnId,
    mode: LockMode,
    grant: Grant,
}

#[derive(Debug, Default)]
pub(crate) struct KeyLock {
    holders: SmallVec<[(TxnId, LockMode); 1]>,
    #[expect(clippy::box_collection, reason = "nearly every lock has no waiter: one word, not four")]
    queue: Option<Box<VecDeque<Waiter>>>,
}

/// A lock that was granted at once: what the transaction held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) before: Option<LockMode>,
}

impl KeyLock {
    /// Grants the request now, or answers `None` and changes nothing.
    pub(crate) fn try_acquire(&mut self, txn: TxnId, mode: LockMode) -> Option<Granted> {
        let before = self.held(txn);
        let mode = before.map_or(mode, |held| held.join(mode));
        if before == Some(mode) {
            return Some(Granted { before });
        }
        let clear = self.blocked_by_holders(txn, mode).next().is_none()
            && (before.is_some() || !self.waiters().any(|waiter| waiter.mode.conflicts(mode)));
        if !clear {
            return None;
        }
        self.hold(txn, mode);
        Some(Granted { before })
    }

    /// Queues a request that `try_acquire` refused.
    pub(crate) fn enqueue(&mut self, txn: TxnId, mode: LockMode, grant: Grant) {
        let held = self.held(txn);
        let waiter = Waiter { txn, mode: held.map_or(mode, |held| held.join(mode)), grant };
        let upgrades = self.waiters().take_while(|waiter| self.held(waiter.txn).is_some()).count();
        let queue = self.queue.get_or_insert_default();
        match held {
            Some(_) => queue.insert(upgrades, waiter),
            None => queue.push_back(waiter),
        }
    }

    /// The transactions that a waiting one waits for: conflicting holders, and conflicting waiters in
    /// front of it. Empty if it does not wait here.
    pub(crate) fn blockers(&self, txn: TxnId) -> Vec<TxnId> {
        let Some(at) = self.waiters().position(|waiter| waiter.txn == txn) else { return vec![] };
        let mode = self.waiters().nth(at).expect("just found").mode;
        let front = self.waiters().take(at).filter(|waiter| waiter.mode.conflicts(mode));
        self.blocked_by_holders(txn, mode).chain(front.map(|waiter| waiter.txn)).collect()
    }

    /// Ends the transaction's hold (or takes it back to `to`), and grants what that allows.
    pub(crate) fn release(&mut self, txn: TxnId, to: Option<LockMode>) {
        match to {
            Some(mode) => self.hold(txn, mode),
            None => self.holders.retain(|(holder, _)| *holder != txn),
        }
        self.grant();
    }

    /// Takes a waiter out of the queue. Answers whether it waited; if not, it holds the lock already.
    pub(crate) fn cancel(&mut self, txn: TxnId) -> bool {
        let Some(queue) = &mut self.queue else { return false };
        let before = queue.len();
        queue.retain(|waiter| waiter.txn != txn);
        let waited = queue.len() < before;
        self.grant();
        waited
    }

    pub(crate) fn is_free(&self) -> bool {
        self.holders.is_empty() && self.queue.is_none()
    }

    pub(crate) fn held(&self, txn: TxnId) -> Option<LockMode> {
        self.holders.iter().find(|(holder, _)| *holder == txn).map(|(_, mode)| *mode)
    }

    fn grant(&mut self) {
        while let Some(queue) = &mut self.queue {
            let Some(head) = queue.front() else {
                self.queue = None;
                return;
            };
            let (txn, mode) = (head.txn, head.mode);
            if self.blocked_by_holders(txn, mode).next().is_some() {
                return;
            }
            let head = self.queue.as_mut().and_then(|queue| queue.pop_front()).expect("just seen");
            // A waiter that has gone is cancelled by its own guard; it must not hold the lock.
            if head.grant.send(()).is_ok() {
                self.hold(txn, mode);
            }
        }
    }

    fn hold(&mut self, txn: TxnId, mode: LockMode) {
        match self.holders.iter_mut().find(|(holder, _)| *holder == txn) {
            Some((_, held)) => *held = mode,
            None => self.holders.push((txn, mode)),
        }
    }

    fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.queue.iter().flat_map(|queue| queue.iter())
    }

    fn blocked_by_holders(&self, txn: TxnId, mode: LockMode) -> impl Iterator<Item = TxnId> {
        self.holders
            .iter()
            .filter(move |(holder, held)| *holder != txn && held.conflicts(mode))
            .map(|(holder, _)| *holder)
    }
}

#[cfg(test)]
mod tests {
    use super::LockMode::{KeyShare, NoKeyUpdate, Share, Update};
    use super::*;

    fn wait(lock: &mut KeyLock, txn: u64, mode: LockMode) -> oneshot::Receiver<()> {
        assert_eq!(lock.try_acquire(TxnId(txn), mode), None);
        let (grant, granted) = oneshot::channel();
        lock.enqueue(TxnId(txn), mode, grant);
        granted
    }

    #[test]
    fn the_conflict_table_is_postgresqls() {
        let modes = [KeyShare, Share, NoKeyUpdate, Update];
        let conflicts = modes.map(|a| modes.map(|b| a.conflicts(b)));
        let [y, n] = [true, false];
        assert_eq!(conflicts, [[n, n, n, y], [n, n, y, y], [n, y, y, y], [y, y, y, y]]);
    }

    #[test]
    fn a_released_lock_goes_to_the_head_and_shared_grants_batch() {
        let mut lock = KeyLock::default();
        lock.try_acquire(TxnId(1), Update).unwrap();
        let mut a = wait(&mut lock, 2, Share);
        let mut b = wait(&mut lock, 3, Share);
        let mut c = wait(&mut lock, 4, Update);
        let mut d = wait(&mut lock, 5, Share);
        lock.release(TxnId(1), None);
        assert!(a.try_recv().is_ok() && b.try_recv().is_ok());
        assert!(c.try_recv().is_err() && d.try_recv().is_err(), "nobody overtakes the waiting update");
        lock.release(TxnId(2), None);
        lock.release(TxnId(3), None);
        assert!(c.try_recv().is_ok() && d.try_recv().is_err());
        lock.release(TxnId(4), None);
        assert!(d.try_recv().is_ok());
        lock.release(TxnId(5), None);
        assert!(lock.is_free());
    }

    #[test]
    fn a_holder_that_asks_for_more_goes_first() {
        let mut lock = KeyLock::default();
        lock.try_acquire(TxnId(1), KeyShare).unwrap();
        lock.try_acquire(TxnId(2), KeyShare).unwrap();
        let mut stranger = wait(&mut lock, 3, Update);
        assert_eq!(lock.try_acquire(TxnId(1), NoKeyUpdate), Some(Granted { before: Some(KeyShare) }));
        let mut upgrade = wait(&mut lock, 2, Update);
        assert_eq!(lock.blockers(TxnId(3)), [TxnId(1), TxnId(2), TxnId(2)]);
        lock.release(TxnId(1), None);
        assert!(upgrade.try_recv().is_ok() && stranger.try_recv().is_err());
        lock.release(TxnId(2), None);
        assert!(stranger.try_recv().is_ok());
    }

    #[test]
    fn who_leaves_the_queue_lets_those_behind_through() {
        let mut lock = KeyLock::default();
        lock.try_acquire(TxnId(1), Share).unwrap();
        let gone = wait(&mut lock, 2, Update);
        let mut behind = wait(&mut lock, 3, Share);
        drop(gone);
        assert!(lock.cancel(TxnId(2)));
        assert!(behind.try_recv().is_ok());
        lock.release(TxnId(1), Some(KeyShare));
        assert_eq!(lock.held(TxnId(1)), Some(KeyShare));
        assert!(!lock.cancel(TxnId(3)));
    }
}
