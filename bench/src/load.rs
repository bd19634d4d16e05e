//! A bank and a counter under load, with a memory of every acknowledged commit.
//!
//! Each worker has a connection and does one of two things at a time: add one to its own counter row (autocommit), or
//! move money between two accounts and write a line of the ledger (`worker`, `seq`) in one transaction. What a server
//! answered is remembered in [`Memory`]; a commit that was sent and never answered is remembered as open. After a
//! crash [`verify`] demands:
//!
//! - each counter is what was acknowledged, or one more if one was open;
//! - each worker's ledger has every acknowledged `seq` once, at most the open one beyond, and none else;
//! - each balance equals the start plus the ledger's lines (a transfer is there wholly or not at all), so the total is
//!   constant;
//! - the secondary index gives the same lines as the whole table.

mod memory;
mod verify;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqllogic::wire::{Target, Wire, WireError};

pub use memory::{Memory, Open, Worker};
pub use verify::{Verdict, forget_ledger, verify};

/// Accounts of the bank.
pub const ACCOUNTS: i64 = 50;
/// What each account has at the start.
pub const START_BALANCE: i64 = 1000;
/// How long a client waits for an answer before it takes the server for hanging.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What a round of load did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Commits that the server acknowledged.
    pub acknowledged: u64,
    /// Transactions that the server refused with a reason to try again (40001, 40P01, 55P03).
    pub retried: u64,
    /// Commits that were sent and not answered.
    pub open: u64,
}

/// Creates and fills the tables.
pub fn setup(target: &Target, workers: usize) -> Result<(), WireError> {
    let mut wire = Wire::connect(target, ANSWER_LIMIT)?;
    for sql in [
        "CREATE TABLE bank_account (id int PRIMARY KEY, balance bigint NOT NULL)",
        "CREATE TABLE bank_counter (id int PRIMARY KEY, n bigint NOT NULL)",
        "CREATE TABLE bank_ledger (worker int, seq bigint, src int NOT NULL, dst int NOT NULL, \
         amount bigint NOT NULL, PRIMARY KEY (worker, seq))",
        "CREATE INDEX bank_ledger_src ON bank_ledger (src)",
    ] {
        wire.simple(sql)?;
    }
    for id in 0..ACCOUNTS {
        wire.simple(&format!("INSERT INTO bank_account VALUES ({id}, {START_BALANCE})"))?;
    }
    for id in 0..workers {
        wire.simple(&format!("INSERT INTO bank_counter VALUES ({id}, 0)"))?;
    }
    Ok(())
}

/// A load that runs until it is stopped or the server goes.
pub struct Running<'scope> {
    stop: &'scope AtomicBool,
    threads: Vec<std::thread::ScopedJoinHandle<'scope, Result<Tally, String>>>,
}

/// Starts one thread a worker.
pub fn start<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    stop: &'scope AtomicBool,
    target: &'scope Target,
    memory: &'scope mut Memory,
) -> Running<'scope> {
    stop.store(false, Ordering::SeqCst);
    let threads = memory
        .workers
        .iter_mut()
        .enumerate()
        .map(|(id, state)| scope.spawn(move || worker::run(id, state, target, stop)))
        .collect();
    Running { stop, threads }
}

impl Running<'_> {
    /// Ends the load and adds up what it did; an error that no client should have seen fails the round.
    pub fn finish(self) -> Result<Tally, String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut sum = Tally::default();
        for thread in self.threads {
            let tally = thread.join().map_err(|_| "a worker panicked".to_owned())??;
            sum.acknowledged += tally.acknowledged;
            sum.retried += tally.retried;
            sum.open += tally.open;
        }
        Ok(sum)
    }
}
