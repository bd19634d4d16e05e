//! The relational path: every query that the point path does not take, run by DataFusion.
//!
//! The way of a query:
//! 1. `RelationalPlan` keeps the typed tree; `run` plans it when it starts, with its parameters'
//!    values as constants.
//! 2. `lower` makes a plan of DataFusion from the tree: columns named by id, casts explicit.
//!    `rewrite` walks trees; `scalar`, `key` and `aggregate` are our functions in that plan.
//! 3. `engine` optimises it and makes operators: DataFusion's, `leaf` (tables, VALUES, functions),
//!    `apply` with `subplan` (subqueries), `unary` with `window`, `recursive`, `shared` (CTEs).
//! 4. Batches flow (`column`: values in Arrow; `opaque`: those without an Arrow type), and `run`
//!    sends them to the sink as rows. `error` carries SQLSTATEs through.
//!
//! Everything of one query runs in one partition: `Apply` changes the parameters (`env`) between runs.

mod aggregate;
mod apply;
mod column;
mod engine;
mod env;
mod error;
mod key;
mod leaf;
mod lower;
mod opaque;
mod recursive;
mod rewrite;
mod run;
mod scalar;
mod set_function;
mod shared;
mod subplan;
mod unary;
mod virtual_table;
mod window;

pub use engine::Engine;
pub(crate) use run::{RelationalState, run};

use crate::ir::Query;

/// A query for the relational path.
#[derive(Debug)]
pub struct RelationalPlan {
    pub(crate) query: Query,
}

impl RelationalPlan {
    pub fn new(query: Query) -> RelationalPlan {
        RelationalPlan { query }
    }
}
