//! Transactions: snapshots, row locks, buffered writes, commit. No SQL, no network.
//!
//! The way of a bank transfer:
//! 1. `TxnDb::begin` (`db`) hands out a `Transaction` (`transaction`); `start_statement` gives each
//!    statement its snapshot.
//! 2. Rows are read through a `ReadView` (`view`): own writes first (`buffer`), then the fence
//!    (`participant::highwater`, `participant::inflight`), then the row cache (`participant::cache`),
//!    then the engine. Spans are read by a `Scan` (`scan`, on a `cursor`) into a `KvBlock` (`block`).
//! 3. Rows to change are locked (`lock`): a hint that makes others wait. What was read is remembered
//!    as required.
//! 4. `put`, `delete` and `insert` go to the write buffer (`buffer`), which knows savepoints.
//! 5. `commit` (`commit`) latches the keys, validates all that the transaction depends on, takes a
//!    timestamp, proposes one batch (`backend`), and answers when it is applied.
//! 6. A transaction that outgrows its buffer spills to the range and commits by one record (`large`).
//!
//! Rules that hold everywhere: locks are hints, validation is truth; timestamps come from the oracle
//! and nowhere else; a reader raises the high-water mark, then looks at the commits under way, then
//! reads; a writer publishes its keys, then takes a timestamp above the mark.

mod backend;
mod block;
mod buffer;
mod commit;
mod cursor;
mod db;
mod error;
mod key;
mod large;
mod lock;
mod metrics;
mod options;
mod participant;
mod pins;
mod scan;
#[cfg(test)]
mod testing;
mod transaction;
mod view;

pub use block::KvBlock;
pub use commit::Commit;
pub use db::{Gauges, Lookup, TxnDb};
pub use error::{DeadlockEdge, Error, Result};
pub use key::Key;
pub use lock::{LockMode, WaitPolicy};
pub use metrics::TxnMetrics;
pub use options::{Access, Isolation, Limits, TxnOptions};
pub use participant::Participant;
pub use scan::Scan;
pub use storage::engine::{Direction, Span};
pub use transaction::{Latest, LatestSource, Locked, SavepointId, Transaction};
pub use view::ReadView;
