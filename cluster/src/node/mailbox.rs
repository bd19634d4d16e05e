//! The queue towards the loop thread, and its bell.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::driver::Event;
use crate::limits::{MAX_BATCH_BYTES, MAX_QUEUED_BYTES};
use crate::{Applied, ProposeError, Result};

/// Who waits for a proposal, and what it holds of the queue's budget.
pub(super) struct Ticket {
    pub(super) sender: oneshot::Sender<Result<Applied, ProposeError>>,
    pub(super) bytes: usize,
}

/// How the threads are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Answer what waits, checkpoint, seal the log.
    Clean,
    /// Leave everything as it is.
    Abrupt,
}

#[derive(Default)]
struct Inner {
    events: Vec<Event<Ticket>>,
    ending: Option<Ending>,
    /// The loop sleeps and must be woken; otherwise it looks again by itself before it sleeps.
    asleep: bool,
}

/// See the module. Bytes are counted from `admit` until the answer, so that the queue, the log
/// record and the engine batch together stay within the budget.
#[derive(Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    bell: Condvar,
    queued: AtomicUsize,
    closed: AtomicBool,
    engine_full: AtomicBool,
}

impl Mailbox {
    /// Takes `bytes` of the budget, given back by `release`.
    pub(super) fn admit(&self, bytes: usize) -> Result<usize, ProposeError> {
        if self.closed.load(SeqCst) {
            return Err(ProposeError::ShuttingDown);
        }
        if self.engine_full.load(SeqCst) {
            return Err(ProposeError::DiskFull);
        }
        if bytes > MAX_BATCH_BYTES {
            return Err(ProposeError::TooLarge);
        }
        let before = self.queued.fetch_add(bytes, SeqCst);
        if before > 0 && before + bytes > MAX_QUEUED_BYTES {
            self.release(bytes);
            return Err(ProposeError::Overloaded);
        }
        Ok(bytes)
    }

    pub(super) fn release(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, SeqCst);
    }

    pub(super) fn queued_bytes(&self) -> u64 {
        self.queued.load(SeqCst) as u64
    }

    /// Hands an event to the loop; after the end its proposer is refused.
    pub(super) fn post(&self, event: Event<Ticket>) {
        let mut inner = self.inner.lock();
        if inner.ending.is_some() {
            drop(inner);
            self.refuse(event);
            return;
        }
        inner.events.push(event);
        if std::mem::take(&mut inner.asleep) {
            drop(inner);
            self.bell.notify_one();
        }
    }

    /// Takes what has come, sleeping until something has; `Err` once the end was asked for and
    /// (when it is a clean one) nothing is left. With a `nap` it gives up after that time, and takes
    /// nothing.
    pub(super) fn take(&self, into: &mut Vec<Event<Ticket>>, nap: Option<Duration>) -> Result<(), Ending> {
        let mut inner = self.inner.lock();
        loop {
            if inner.ending == Some(Ending::Abrupt) {
                return Err(Ending::Abrupt);
            }
            if !inner.events.is_empty() {
                std::mem::swap(&mut inner.events, into);
                return Ok(());
            }
            if let Some(ending) = inner.ending {
                return Err(ending);
            }
            inner.asleep = true;
            match nap {
                None => self.bell.wait(&mut inner),
                Some(nap) if self.bell.wait_for(&mut inner, nap).timed_out() => {
                    inner.asleep = false;
                    return Ok(());
                }
                Some(_) => {}
            }
        }
    }

    pub(super) fn end(&self, ending: Ending) {
        self.closed.store(true, SeqCst);
        self.inner.lock().ending = Some(ending);
        self.bell.notify_all();
    }

    pub(super) fn set_engine_full(&self, full: bool) {
        self.engine_full.store(full, SeqCst);
    }

    fn refuse(&self, event: Event<Ticket>) {
        if let Event::Propose { waiter, .. } = event {
            self.release(waiter.bytes);
            // The proposer may have stopped listening.
            let _ = waiter.sender.send(Err(ProposeError::ShuttingDown));
        }
    }
}
