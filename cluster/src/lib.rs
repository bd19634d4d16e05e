//! Ranges, their raft groups, and the node that runs them. No SQL, no transactions.
//!
//! The way of one batch through a node:
//! 1. `Node::propose` (`node`) puts it into the mailbox (`node::mailbox`) and answers a future; the
//!    caller never waits for a disk.
//! 2. The loop thread (`node::threads`) takes everything that has come since its last turn and feeds
//!    it to the [`driver::Driver`], the machine that the simulator drives as well.
//! 3. The range's raft group (`group`) gives the batch its place in the log; one append and one sync
//!    make this turn's entries of all groups durable (`driver::append`).
//! 4. What is committed is applied to the engine as one batch, together with the applied index
//!    (`driver::apply`); then the [`RangeHandler`] hears of it; then the proposer wakes.
//! 5. The checkpoint thread (`node::checkpoint`) makes the engine durable now and then; only up to
//!    there is the log cut.
//!
//! Range 1 is the meta group: node registry, id allocators (`node::ids`) and the limit of the
//! timestamp oracle (`tso`). Range 2 is the first range of tables. What belongs to a range itself is
//! replicated under `keys`; its `descriptor` tells its span and replicas. `env` is the clock,
//! `transport` the way to other nodes, `limits` every bound.
//!
//! Locks, in order: the log (loop thread only), descriptors, mailbox. None is held across a wait.

pub mod descriptor;
pub mod driver;
pub mod env;
pub mod error;
pub mod handler;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod node;
pub mod transport;
pub mod tso;

mod command;
mod group;

use storage::engine::RangeId;

pub use descriptor::Descriptor;
pub use env::{Env, SystemEnv};
pub use error::{Error, ProposeError, Result};
pub use handler::{NoHandler, RangeHandler};
pub use metrics::NodeMetrics;
pub use node::{Node, NodeOptions, Proposal};
pub use transport::{Frame, LocalTransport, Transport};
pub use tso::Tso;

/// A node of the cluster; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Where a batch stands in the log of its range. The engine holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    pub range: RangeId,
    pub index: u64,
}
