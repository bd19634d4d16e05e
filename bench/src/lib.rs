//! Measuring and breaking servers from the outside: everything here is a client or an operator, never a part of one.
//!
//! - [`launch`] starts PhantomDB or PostgreSQL with a data directory of its own and stops or kills it.
//! - [`cpu`] reads what a process tree has used, [`pgbench`] runs one measurement, [`report`] makes medians, the
//!   table and the JSON: together they are `make bench` (`src/main.rs`).
//! - [`load`] is a bank and a counter whose every acknowledged commit is remembered and checked again after a crash;
//!   `src/bin/crash-loop.rs` (kill -9) and `src/bin/powercut.rs` (lost page cache, see [`powercut`]) run it.
//! - [`dialog`] sends scripted protocol messages and shows the answers; `src/bin/protocol-diff.rs` compares two servers.
//! - `src/bin/with-server.rs` runs any command beside a fresh server.

pub mod cpu;
pub mod dialog;
pub mod launch;
pub mod load;
pub mod pgbench;
pub mod powercut;
pub mod report;
