//! WITH RECURSIVE: rounds over a work table until one gives no new row.

use super::column::ColumnReader;
use super::env::QueryEnv;
use super::error::{from_df, to_df};
use super::key;
use super::leaf::{PlanColumn, adapt_df, properties_of, schema_of};
use super::shared::WorkTable;
use crate::Result;
use datafusion::arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef, Result as DfResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{execute_stream, reset_plan_states};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use rustc_hash::FxHashSet;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The recursive side.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) next: LogicalPlan,
    pub(super) table: Arc<WorkTable>,
    pub(super) env: Arc<QueryEnv>,
    pub(super) columns: Vec<PlanColumn>,
    /// UNION: a row that was there before is no new row.
    pub(super) distinct: bool,
}

/// The logical operator; its input is the non-recursive side.
#[derive(Clone, Debug)]
pub(super) struct RecursiveNode {
    input: LogicalPlan,
    step: Arc<Step>,
    schema: DFSchemaRef,
}

impl RecursiveNode {
    pub(super) fn new(input: LogicalPlan, step: Arc<Step>) -> DfResult<RecursiveNode> {
        let schema = Arc::new(DFSchema::try_from(schema_of(&step.columns).as_ref().clone())?);
        Ok(RecursiveNode { input, step, schema })
    }

    pub(super) async fn physical(
        &self,
        input: Arc<dyn ExecutionPlan>,
        state: &dyn Session,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let next = state.create_physical_plan(&self.step.next).await?;
        Ok(Arc::new(RecursiveExec::new(input, next, self.step.clone())))
    }
}

impl PartialEq for RecursiveNode {
    fn eq(&self, other: &RecursiveNode) -> bool {
        Arc::ptr_eq(&self.step, &other.step) && self.input == other.input
    }
}

impl Eq for RecursiveNode {}

impl Hash for RecursiveNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.step).hash(state);
    }
}

impl PartialOrd for RecursiveNode {
    fn partial_cmp(&self, other: &RecursiveNode) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for RecursiveNode {
    fn name(&self) -> &str {
        "RecursiveUnion"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecursiveUnion")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> DfResult<RecursiveNode> {
        RecursiveNode::new(inputs.swap_remove(0), self.step.clone())
    }
}

#[derive(Debug)]
struct RecursiveExec {
    input: Arc<dyn ExecutionPlan>,
    next: Arc<dyn ExecutionPlan>,
    step: Arc<Step>,
    properties: Arc<PlanProperties>,
}

impl RecursiveExec {
    fn new(input: Arc<dyn ExecutionPlan>, next: Arc<dyn ExecutionPlan>, step: Arc<Step>) -> RecursiveExec {
        let properties = Arc::new(properties_of(schema_of(&step.columns)));
        RecursiveExec { input, next, step, properties }
    }
}

impl DisplayAs for RecursiveExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recursive union")
    }
}

impl ExecutionPlan for RecursiveExec {
    fn name(&self) -> &str {
        "RecursiveExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(RecursiveExec::new(children.swap_remove(0), self.next.clone(), self.step.clone())))
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(RecursiveExec::new(children.swap_remove(0), self.next.clone(), self.step.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let rounds = Rounds {
            source: self.input.execute(partition, context.clone())?,
            next: self.next.clone(),
            step: self.step.clone(),
            schema: self.schema(),
            round: vec![],
            seen: FxHashSet::default(),
            memory: MemoryConsumer::new("WITH RECURSIVE").register(context.memory_pool()),
            context,
        };
        let next = |r: Rounds| async move { r.next().await.map_err(to_df) };
        Ok(adapt_df(self.schema(), stream::try_unfold(rounds, next)))
    }
}

struct Rounds {
    /// The running round.
    source: SendableRecordBatchStream,
    next: Arc<dyn ExecutionPlan>,
    step: Arc<Step>,
    schema: SchemaRef,
    context: Arc<TaskContext>,
    /// What the running round has given.
    round: Vec<RecordBatch>,
    seen: FxHashSet<Vec<u8>>,
    memory: MemoryReservation,
}

impl Rounds {
    async fn next(mut self) -> Result<Option<(RecordBatch, Rounds)>> {
        loop {
            self.step.env.cancel.check()?;
            match self.source.next().await {
                Some(batch) => {
                    let batch = self.fresh(batch.map_err(from_df)?)?;
                    if batch.num_rows() > 0 {
                        self.memory.try_grow(batch.get_array_memory_size()).map_err(from_df)?;
                        self.round.push(batch.clone());
                        return Ok(Some((batch, self)));
                    }
                }
                None if self.round.is_empty() => return Ok(None),
                None => {
                    self.step.table.set(std::mem::take(&mut self.round));
                    let plan = reset_plan_states(self.next.clone()).map_err(from_df)?;
                    self.source = execute_stream(plan, self.context.clone()).map_err(from_df)?;
                }
            }
        }
    }

    /// The batch under our names, without rows seen before.
    fn fresh(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch =
            RecordBatch::try_new_with_options(self.schema.clone(), batch.columns().to_vec(), &options)
                .map_err(|e| from_df(e.into()))?;
        if !self.step.distinct {
            return Ok(batch);
        }
        let columns = self.step.columns.iter().zip(batch.columns());
        let readers = columns.map(|(c, a)| ColumnReader::new(a, c.ty.oid)).collect::<Result<Vec<_>>>()?;
        let mut kept = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let values = readers.iter().map(|r| r.get(row)).collect::<Result<Vec<_>>>()?;
            let typed: Vec<_> = self.step.columns.iter().map(|c| c.ty.oid).zip(&values).collect();
            let mut key = vec![];
            key::row_key(&typed, &self.step.env.catalog, &mut key)?;
            kept.push(self.seen.insert(key));
        }
        filter_record_batch(&batch, &BooleanArray::from(kept)).map_err(|e| from_df(e.into()))
    }
}
