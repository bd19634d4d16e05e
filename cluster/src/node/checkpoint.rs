//! The checkpoint thread: makes the engine durable so that the log can be cut.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use storage::engine::{AnyEngine, Engine as _, RangeId};

use super::mailbox::Mailbox;
use crate::Result;
use crate::driver::Event;
use crate::limits::CHECKPOINT_EVERY;
use crate::metrics::Counters;

/// A log that is too long asks for a checkpoint after this part of the usual bytes at the earliest.
const PRESSED_PART: u64 = 8;

#[derive(Default)]
struct Due {
    now: bool,
    end: bool,
    /// Bytes applied since the last checkpoint began.
    bytes: u64,
}

/// Shared by the loop, which says when one is due, and the thread, which makes it.
pub(super) struct Checkpointer {
    engine: Arc<AnyEngine>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    every_bytes: u64,
    due: Mutex<Due>,
    bell: Condvar,
}

impl Checkpointer {
    pub(super) fn new(
        engine: Arc<AnyEngine>,
        mailbox: Arc<Mailbox>,
        counters: Arc<Counters>,
        every_bytes: u64,
    ) -> Checkpointer {
        let (due, bell) = (Mutex::default(), Condvar::new());
        Checkpointer { engine, mailbox, counters, every_bytes, due, bell }
    }

    /// The loop has applied `bytes` more; `pressed` tells whether the log needs a cut now.
    pub(super) fn applied(&self, bytes: u64, pressed: impl FnOnce() -> bool) {
        if bytes == 0 {
            return;
        }
        let mut due = self.due.lock();
        due.bytes += bytes;
        let some = due.bytes >= self.every_bytes / PRESSED_PART;
        if !due.now && (due.bytes >= self.every_bytes || some && pressed()) {
            due.now = true;
            self.bell.notify_one();
        }
    }

    /// The log's device is full: a checkpoint lets old segments go.
    pub(super) fn hurry(&self) {
        self.due.lock().now = true;
        self.bell.notify_one();
    }

    pub(super) fn end(&self) {
        self.due.lock().end = true;
        self.bell.notify_one();
    }

    /// Makes everything applied durable; answers how far each range now is.
    pub(super) fn checkpoint(&self) -> Result<Vec<(RangeId, u64)>> {
        self.engine.checkpoint()?;
        Counters::add(&self.counters.checkpoints, 1);
        let mut durable = vec![];
        for (range, _) in self.engine.ranges()? {
            if let Some(state) = self.engine.persisted(range)? {
                durable.push((range, state.applied));
            }
        }
        Ok(durable)
    }

    pub(super) fn run(&self) -> Result<()> {
        while self.wait() {
            match self.checkpoint() {
                Ok(durable) => self.mailbox.post(Event::Durable(durable)),
                // Nothing is lost: the log keeps what the engine could not write.
                Err(crate::Error::Storage(error @ storage::Error::DiskFull { .. })) => {
                    tracing::error!(%error, "checkpoint failed; the log is kept");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sleeps until a checkpoint is due; `false` at the end.
    fn wait(&self) -> bool {
        let mut due = self.due.lock();
        loop {
            if due.end {
                return false;
            }
            if due.now {
                break;
            }
            let late = self.bell.wait_for(&mut due, CHECKPOINT_EVERY).timed_out();
            if late && due.bytes > 0 {
                break;
            }
        }
        due.now = false;
        due.bytes = 0;
        true
    }
}
