//! The expression library: one way to evaluate a typed expression, whatever path runs it.
//!
//! `compile` turns the binder's tree into `Compiled`: columns become slots of a row of values,
//! functions become kernel pointers, so that evaluation looks nothing up. The point path and DML
//! call `Compiled::eval` a row at a time; the DataFusion path lifts the same tree over arrays.
//! Subqueries, aggregates and window calls never reach it: planning replaces them with columns.

mod compile;
mod eval;
mod special;

pub use compile::{Slots, compile};
pub use eval::{Compiled, EvalContext};
