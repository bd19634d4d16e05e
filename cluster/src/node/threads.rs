//! The loop thread: mailbox -> driver -> answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::checkpoint::Checkpointer;
use super::mailbox::{Ending, Mailbox, Ticket};
use crate::driver::{Driver, Event, Step};
use crate::limits::{ENGINE_FULL_PAUSE, MAX_TURN_BYTES, MAX_TURN_EVENTS, SEAL_AFTER};
use crate::metrics::Counters;
use crate::{Env, Error, Result};

/// The threads of a node.
pub(super) struct Threads {
    turns: JoinHandle<()>,
    checkpoints: JoinHandle<()>,
    checkpointer: Arc<Checkpointer>,
}

impl Threads {
    pub(super) fn spawn(
        driver: Driver<Ticket>,
        mailbox: Arc<Mailbox>,
        checkpointer: Arc<Checkpointer>,
        env: Arc<dyn Env>,
    ) -> Result<Threads> {
        let own = Arc::clone(&checkpointer);
        let checkpoints = spawn("checkpoint", move || own.run())?;
        let own = Arc::clone(&checkpointer);
        let turns = spawn("loop", move || Loop { driver, mailbox, checkpointer: own, env }.run())?;
        Ok(Threads { turns, checkpoints, checkpointer })
    }

    pub(super) fn stop(self, mailbox: &Mailbox, ending: Ending) -> Result<()> {
        mailbox.end(ending);
        let turns = self.turns.join();
        self.checkpointer.end();
        let checkpoints = self.checkpoints.join();
        // Either thread ends the process rather than unwind.
        turns.and(checkpoints).map_err(|_| Error::ShuttingDown)
    }
}

/// Runs `work` on a thread whose failure ends the process.
fn spawn(name: &'static str, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<JoinHandle<()>> {
    let guarded = move || match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => fatal(name, &error.to_string()),
        Err(_) => fatal(name, "panicked"),
    };
    let builder = std::thread::Builder::new().name(name.into());
    builder.spawn(guarded).map_err(|source| Error::Thread { name, source })
}

/// Ends the process: what is in memory can no longer be trusted to be what is on the disk.
#[expect(clippy::disallowed_methods, reason = "the one place that ends the process")]
fn fatal(thread: &str, what: &str) -> ! {
    tracing::error!(thread, what, "a thread that must not fail has failed");
    eprintln!("phantomdb: fatal: {thread} thread: {what}");
    std::process::abort()
}

/// Turns until every group leads: before any thread runs.
pub(super) fn lead(driver: &mut Driver<Ticket>) -> Result<()> {
    driver.campaign_all();
    loop {
        match driver.advance()? {
            Step::Refused => return Err(super::device_full()),
            Step::Idle if driver.leads_all() => return Ok(()),
            Step::Idle => return Err(Error::NotReady),
            Step::Appended | Step::Synced | Step::Applied => {}
        }
    }
}

struct Loop {
    driver: Driver<Ticket>,
    mailbox: Arc<Mailbox>,
    checkpointer: Arc<Checkpointer>,
    env: Arc<dyn Env>,
}

impl Loop {
    fn run(mut self) -> Result<()> {
        let counters = self.driver.counters();
        let mut events = vec![];
        loop {
            let nap = self.driver.wants_seal().then_some(SEAL_AFTER);
            match self.mailbox.take(&mut events, nap) {
                Ok(()) if events.is_empty() => self.driver.seal()?,
                Ok(()) => {}
                Err(Ending::Clean) => return self.finish(),
                Err(Ending::Abrupt) => return Ok(()),
            }
            let mut waiting = events.drain(..).peekable();
            while waiting.peek().is_some() {
                let begin = self.env.mono();
                self.step_some(&mut waiting);
                self.advance()?;
                let nanos = self.env.mono().saturating_sub(begin).as_nanos();
                Counters::add(&counters.turns, 1);
                Counters::add(&counters.turn_nanos, u64::try_from(nanos).unwrap_or(u64::MAX));
            }
        }
    }

    /// Steps as many events as make up one log record and one engine batch.
    fn step_some(&mut self, waiting: &mut impl Iterator<Item = Event<Ticket>>) {
        let mut bytes = 0;
        for event in waiting.take(MAX_TURN_EVENTS) {
            if let Event::Propose { batch, .. } = &event {
                bytes += batch.as_bytes().len();
            }
            self.driver.step(event);
            if bytes >= MAX_TURN_BYTES {
                break;
            }
        }
    }

    /// Advances until nothing is left; answers as soon as answers are there.
    fn advance(&mut self) -> Result<()> {
        loop {
            match self.driver.advance() {
                Ok(Step::Idle) => break,
                Ok(Step::Appended | Step::Synced) => {}
                Ok(Step::Applied) => self.answer(),
                Ok(Step::Refused) => {
                    self.answer();
                    self.checkpointer.hurry();
                }
                Err(Error::Storage(storage::Error::DiskFull { .. })) => self.pause(),
                Err(error) => return Err(error),
            }
        }
        self.answer();
        let bytes = self.driver.take_applied_bytes();
        self.checkpointer.applied(bytes, || self.driver.log_pressure());
        Ok(())
    }

    fn answer(&mut self) {
        for (ticket, result) in self.driver.take_answers() {
            self.mailbox.release(ticket.bytes);
            // The proposer may have stopped listening.
            let _ = ticket.sender.send(result);
        }
    }

    /// The engine's device is full. What is committed stays in the log and is applied when there is
    /// room; until then nothing new is let in.
    fn pause(&mut self) {
        tracing::error!("no space left on device: the engine cannot apply and waits for room");
        self.mailbox.set_engine_full(true);
        std::thread::sleep(ENGINE_FULL_PAUSE);
        self.mailbox.set_engine_full(false);
    }

    /// A clean end: engine durable, log cut to it and sealed.
    fn finish(mut self) -> Result<()> {
        self.driver.flush()?;
        let durable = self.checkpointer.checkpoint()?;
        self.driver.step(Event::Durable(durable));
        while self.driver.advance()? != Step::Idle {}
        self.driver.seal()
    }
}
