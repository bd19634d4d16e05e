//! Bytes on disk: the raft log, the row engines, keys and rows. No SQL, no transactions, no network.
//!
//! The way of one committed write through this crate:
//! 1. `log` appends the raft entry that carries the write's effects and makes it durable: the only
//!    write-ahead log there is.
//! 2. `engine` applies those effects, with the applied index, as one atomic batch (`engine::batch`);
//!    `engine::lsm` (RocksDB) keeps them on disk, `engine::mem` is the oracle of the tests.
//! 3. `mvcc` is the shape of a versioned key: user key, then the inverted timestamp.
//! 4. `key` encodes columns so that bytes sort as values do; `row` is the row format `row1`.
//! 5. `kvf` is the sorted export file: snapshots, bulk load and spilled runs.
//!
//! Every file access but RocksDB's own goes through `vfs`, which has a simulated twin that loses
//! power, tears writes and runs out of space.

pub mod engine;
pub mod error;
pub mod key;
pub mod kvf;
pub mod log;
pub mod mvcc;
pub mod row;
pub mod ts;
pub mod vfs;

pub use error::{Error, Result};
pub use ts::Ts;
