//! Results that are computed once and read many times: materialised CTEs, and the work table of a
//! recursive one.

use super::env::QueryEnv;
use super::error::to_df;
use crate::types::Datum;
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::Result as DfResult;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{execute_stream, reset_plan_states};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};

/// A result that several places of a query read: planned once, by the first of them.
pub(super) struct SharedPlan {
    pub(super) logical: LogicalPlan,
    pub(super) env: Arc<QueryEnv>,
    planned: OnceCell<Arc<Shared>>,
}

impl SharedPlan {
    pub(super) fn new(logical: LogicalPlan, env: Arc<QueryEnv>) -> Arc<SharedPlan> {
        Arc::new(SharedPlan { logical, env, planned: OnceCell::new() })
    }

    pub(super) async fn plan(&self, state: &dyn Session) -> DfResult<Arc<Shared>> {
        let plan = self.planned.get_or_try_init(|| async {
            let plan = state.create_physical_plan(&self.logical).await?;
            Ok(Arc::new(Shared { plan, env: self.env.clone(), result: Mutex::new(None) }))
        });
        plan.await.cloned()
    }
}

impl fmt::Debug for SharedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedPlan")
    }
}

/// The plan and, once it ran, its rows.
pub(super) struct Shared {
    plan: Arc<dyn ExecutionPlan>,
    env: Arc<QueryEnv>,
    result: Mutex<Option<Computed>>,
}

struct Computed {
    /// The parameters it was computed for: in a correlated subquery they change.
    params: Arc<[Datum]>,
    batches: Arc<Vec<RecordBatch>>,
    _memory: MemoryReservation,
}

impl Shared {
    /// The rows; the first caller computes them.
    pub(super) async fn batches(&self, context: Arc<TaskContext>) -> DfResult<Arc<Vec<RecordBatch>>> {
        let mut result = self.result.lock().await;
        let params = self.env.params();
        if let Some(computed) = &*result
            && Arc::ptr_eq(&computed.params, &params)
        {
            return Ok(computed.batches.clone());
        }
        let memory = MemoryConsumer::new("CTE").register(context.memory_pool());
        let mut batches = vec![];
        let plan = reset_plan_states(self.plan.clone())?;
        let mut stream = execute_stream(plan, context)?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            self.env.cancel.check().map_err(to_df)?;
            memory.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
        }
        let batches = Arc::new(batches);
        *result = Some(Computed { params, batches: batches.clone(), _memory: memory });
        Ok(batches)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// The rows of a recursive CTE's last round.
#[derive(Debug, Default)]
pub(super) struct WorkTable(parking_lot::Mutex<Vec<RecordBatch>>);

impl WorkTable {
    pub(super) fn batches(&self) -> Vec<RecordBatch> {
        self.0.lock().clone()
    }

    pub(super) fn set(&self, batches: Vec<RecordBatch>) {
        *self.0.lock() = batches;
    }
}
