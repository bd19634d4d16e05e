//! Running plans: rows out of a transaction, in the order and form that the client asked for.
//!
//! - `context`: what a statement gets from its session.
//! - `read`: rows of one table, block by block.
//! - `select`, `modify`: the point path. `constraint`: unique keys, foreign keys, checks.
//! - `sequence`: the sequence functions inside expressions.
//! - `start` makes an `Execution` of a plan; `Execution::run` goes on until the sink is full,
//!   `max_rows` are out, or the statement is done.

pub(crate) mod constraint;
mod context;
mod modify;
pub(crate) mod read;
mod select;
pub(crate) mod sequence;

pub use constraint::check_all_references;
pub use context::{CancelReason, CancelToken, ExecContext, Notice, Savepoint, TxnHandle};
pub(crate) use modify::integer_of;
pub use read::TableReader;

use crate::plan::{Plan, PlanKind};
use crate::relational::{self, RelationalState};
use crate::types::Datum;
use crate::{Result, SqlError, SqlState};
use std::sync::Arc;

/// Takes the rows of a result: the wire's encoder, COPY's, a cursor's store.
pub trait RowSink: Send {
    fn row(&mut self, row: &[Datum]) -> Result<()>;
    /// Whether the caller should empty the sink before it takes more rows.
    fn is_full(&self) -> bool;
}

/// How far one call of `Execution::run` came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The sink is full: empty it and call again.
    Paused,
    /// `max_rows` rows went out; there may be more.
    Suspended,
    /// Finished, with the command tag (`SELECT 3`, `INSERT 0 1`, `CREATE TABLE`).
    Done(String),
}

/// A running plan. It holds no borrow of the session, so a portal can keep it between calls.
pub struct Execution {
    plan: Arc<Plan>,
    params: Vec<Datum>,
    state: State,
}

enum State {
    Select(select::SelectState),
    Relational(Box<RelationalState>),
    Modify(modify::ModifyState),
    Ddl,
    Finished,
}

/// Begins to run a plan with the values of its parameters.
pub fn start(plan: &Arc<Plan>, params: Vec<Datum>) -> Execution {
    let state = match &plan.kind {
        PlanKind::Select(_) => State::Select(select::SelectState::default()),
        PlanKind::Relational(_) => State::Relational(Box::default()),
        PlanKind::Modify(_) => State::Modify(modify::ModifyState::default()),
        PlanKind::Ddl(_) => State::Ddl,
    };
    Execution { plan: plan.clone(), params, state }
}

impl Execution {
    /// Goes on for at most `max_rows` rows (`None`: all), counted from this call. After `Paused` the
    /// caller passes what is left of its number.
    pub async fn run(
        &mut self,
        cx: &mut ExecContext<'_>,
        max_rows: Option<u64>,
        sink: &mut dyn RowSink,
    ) -> Result<Progress> {
        let plan = self.plan.clone();
        // The rare ways are boxed: their futures are large, and every caller's would be as large.
        let progress = match (&mut self.state, &plan.kind) {
            (State::Relational(state), PlanKind::Relational(query)) => {
                Box::pin(relational::run(state, &plan, query, &self.params, cx, max_rows, sink)).await
            }
            (State::Select(state), PlanKind::Select(select)) => {
                select::run(state, &plan, select, &self.params, cx, max_rows, sink).await
            }
            (State::Modify(state), PlanKind::Modify(modify)) => {
                Box::pin(modify::run(state, &plan, modify, &self.params, cx, max_rows, sink)).await
            }
            (State::Ddl, PlanKind::Ddl(statement)) => {
                Box::pin(crate::ddl::run(statement, cx)).await.map(Progress::Done)
            }
            // PostgreSQL's answer to Execute on a portal that has ended: nothing more.
            _ => Ok(Progress::Done(finished_tag(&plan.kind))),
        };
        cx.info.nap.wait().await;
        let stored = sequence::store_set(cx).await;
        let progress = progress.and_then(|progress| stored.map(|()| progress));
        if !matches!(progress, Ok(Progress::Paused | Progress::Suspended)) {
            self.state = State::Finished;
        }
        progress
    }
}

fn finished_tag(kind: &PlanKind) -> String {
    match kind {
        PlanKind::Select(_) | PlanKind::Relational(_) => "SELECT 0".into(),
        PlanKind::Modify(plan) => plan.tag(0),
        PlanKind::Ddl(_) => String::new(),
    }
}

const SCHEMA_CHANGED: &str = "could not serialize access due to a concurrent change of the table";

/// The statement was planned against a table that has changed since.
fn schema_changed() -> SqlError {
    SqlError::new(SqlState::SERIALIZATION_FAILURE, SCHEMA_CHANGED)
}

/// Whether the statement failed before it did anything, because its plan is stale: the session takes
/// the newest catalog, plans again and runs again.
pub fn needs_new_plan(error: &SqlError) -> bool {
    error.code() == SqlState::SERIALIZATION_FAILURE && error.message() == SCHEMA_CHANGED
}

/// A transaction's error as the client sees it.
pub fn txn_error(error: txn::Error) -> SqlError {
    use txn::Error;
    match error {
        Error::WriteConflict { .. } => SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize access due to concurrent update",
        ),
        Error::DuplicateKey { .. } => {
            SqlError::new(SqlState::UNIQUE_VIOLATION, "duplicate key value violates unique constraint")
        }
        Error::Deadlock { cycle } => {
            let detail: Vec<String> = cycle
                .iter()
                .map(|e| {
                    format!("Process {} waits for a row lock; blocked by process {}.", e.waiter, e.holder)
                })
                .collect();
            SqlError::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                .with_detail(detail.join("\n"))
                .with_hint("See server log for query details.")
        }
        Error::LockTimeout { .. } => {
            SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")
        }
        Error::LockNotAvailable { .. } => {
            SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "could not obtain lock on row")
        }
        Error::SnapshotTooOld => SqlError::new(SqlState::SNAPSHOT_TOO_OLD, "snapshot too old"),
        Error::ReadOnly => SqlError::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            "cannot execute statement in a read-only transaction",
        ),
        Error::DiskFull => {
            SqlError::new(SqlState::DISK_FULL, "could not extend storage: No space left on device")
                .with_hint("Check free disk space.")
        }
        Error::Storage(error) => error.into(),
        Error::OutOfMemory => SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory"),
        other => SqlError::new(SqlState::SYSTEM_ERROR, other.to_string()),
    }
}
