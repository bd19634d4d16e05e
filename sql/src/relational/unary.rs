//! Operators over one input that DataFusion does not have: the first row of every run of equal keys
//! (DISTINCT ON), rows repeated by a count (INTERSECT ALL, EXCEPT ALL), functions that return sets in
//! a select list, and window functions.

use super::apply::with_added;
use super::column::ColumnReader;
use super::env::QueryEnv;
use super::error::{from_df, to_df};
use super::key;
use super::leaf::{BATCH_ROWS, BatchBuilder, PlanColumn, adapt_df, properties_of, schema_of};
use super::set_function::{SetFunction, Values};
use super::window::{WindowRun, WindowWork};
use crate::types::Datum;
use crate::{Oid, Result, SqlError};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DFSchemaRef, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What the operator does; it reads the columns that the node names, in that order.
#[derive(Debug)]
pub(super) enum Work {
    /// Keeps a row when its values differ from the row's before. The input is sorted by them.
    FirstOfRun,
    /// Repeats each row as often as the only column says.
    Repeat,
    /// Adds the values of set-returning functions over the columns; short ones are filled with nulls.
    ProjectSet(Vec<SetFunction>),
    /// Fetches the values that calls of `nextval` above will give: a sequence for each call.
    Sequences(Box<[Oid]>),
    /// Adds the values of window functions over the input, sorted by partition and order.
    Window(WindowWork),
}

/// The logical operator: the input's columns, then `added`.
#[derive(Clone, Debug)]
pub(super) struct UnaryNode {
    input: LogicalPlan,
    work: Arc<Work>,
    reads: Vec<(Column, Oid)>,
    added: Vec<PlanColumn>,
    env: Arc<QueryEnv>,
    schema: DFSchemaRef,
}

impl UnaryNode {
    pub(super) fn new(
        input: LogicalPlan,
        work: Arc<Work>,
        reads: Vec<(Column, Oid)>,
        added: Vec<PlanColumn>,
        env: Arc<QueryEnv>,
    ) -> DfResult<UnaryNode> {
        let schema = with_added(input.schema(), &added)?;
        Ok(UnaryNode { input, work, reads, added, env, schema })
    }

    pub(super) fn physical(&self, input: Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = input.schema();
        let reads = self.reads.iter().map(|(column, ty)| Ok((schema.index_of(&column.name)?, *ty)));
        let recipe = Recipe {
            work: self.work.clone(),
            reads: reads.collect::<DfResult<_>>()?,
            added: self.added.clone(),
            env: self.env.clone(),
        };
        Ok(Arc::new(UnaryExec::new(input, Arc::new(recipe))))
    }
}

impl PartialEq for UnaryNode {
    fn eq(&self, other: &UnaryNode) -> bool {
        Arc::ptr_eq(&self.work, &other.work) && self.input == other.input
    }
}

impl Eq for UnaryNode {}

impl Hash for UnaryNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.work).hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for UnaryNode {
    fn partial_cmp(&self, other: &UnaryNode) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for UnaryNode {
    fn name(&self) -> &str {
        "Unary"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.reads.iter().map(|(column, _)| Expr::Column(column.clone())).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&self.work))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> DfResult<UnaryNode> {
        let reads = self.reads.iter().zip(exprs).map(|((_, ty), expr)| match expr {
            Expr::Column(column) => Ok((column, *ty)),
            _ => Err(to_df(SqlError::internal("operator over something else than columns"))),
        });
        let reads = reads.collect::<DfResult<_>>()?;
        UnaryNode::new(inputs.swap_remove(0), self.work.clone(), reads, self.added.clone(), self.env.clone())
    }
}

fn name_of(work: &Work) -> &'static str {
    match work {
        Work::FirstOfRun => "Unique",
        Work::Repeat => "Repeat",
        Work::ProjectSet(_) => "ProjectSet",
        Work::Sequences(_) => "Sequences",
        Work::Window(_) => "WindowAgg",
    }
}

#[derive(Debug)]
struct Recipe {
    work: Arc<Work>,
    /// Positions in the input, and types.
    reads: Vec<(usize, Oid)>,
    added: Vec<PlanColumn>,
    env: Arc<QueryEnv>,
}

#[derive(Debug)]
struct UnaryExec {
    input: Arc<dyn ExecutionPlan>,
    recipe: Arc<Recipe>,
    properties: Arc<PlanProperties>,
}

impl UnaryExec {
    fn new(input: Arc<dyn ExecutionPlan>, recipe: Arc<Recipe>) -> UnaryExec {
        let added = schema_of(&recipe.added);
        let fields: Vec<Arc<Field>> = input.schema().fields().iter().chain(added.fields()).cloned().collect();
        let properties = Arc::new(properties_of(Arc::new(Schema::new(fields))));
        UnaryExec { input, recipe, properties }
    }
}

impl DisplayAs for UnaryExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(&self.recipe.work))
    }
}

impl ExecutionPlan for UnaryExec {
    fn name(&self) -> &str {
        "UnaryExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// The order that the input was planned with is needed: nobody may take its sort away.
    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.input.output_ordering().map(|order| OrderingRequirements::from(order.clone()))]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        Ok(Arc::new(UnaryExec::new(children.swap_remove(0), self.recipe.clone())))
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(UnaryExec::new(children.swap_remove(0), self.recipe.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let window = match &*self.recipe.work {
            Work::Window(_) => Some(WindowRun::new(self.input.schema(), &context)),
            _ => None,
        };
        let running = Running {
            input: Some(input),
            recipe: self.recipe.clone(),
            schema: self.schema(),
            before: None,
            window,
        };
        let next = |r: Running| async move { r.next().await.map_err(to_df) };
        Ok(adapt_df(self.schema(), stream::try_unfold(running, next)))
    }
}

struct Running {
    input: Option<SendableRecordBatchStream>,
    recipe: Arc<Recipe>,
    schema: SchemaRef,
    /// Key of the row before, over batches.
    before: Option<Vec<u8>>,
    window: Option<WindowRun>,
}

impl Running {
    async fn next(mut self) -> Result<Option<(RecordBatch, Running)>> {
        while let Some(input) = &mut self.input {
            let batch = match input.next().await {
                Some(batch) => Some(batch.map_err(from_df)?),
                None => {
                    self.input = None;
                    None
                }
            };
            self.recipe.env.cancel.check()?;
            let out = match (self.recipe.work.clone().as_ref(), batch) {
                (Work::Window(work), batch) => self.window(work, batch)?,
                (_, None) => None,
                (Work::FirstOfRun, Some(batch)) => Some(self.first_of_run(&batch)?),
                (Work::Repeat, Some(batch)) => Some(self.repeat(&batch)?),
                (Work::Sequences(calls), Some(batch)) => {
                    self.recipe.env.fetch_sequences(calls, batch.num_rows()).await?;
                    Some(batch)
                }
                (Work::ProjectSet(calls), Some(batch)) => Some(self.project_set(calls, &batch)?),
            };
            if let Some(batch) = out
                && batch.num_rows() > 0
            {
                return Ok(Some((batch, self)));
            }
        }
        Ok(None)
    }

    fn readers<'b>(&self, batch: &'b RecordBatch) -> Result<Vec<ColumnReader<'b>>> {
        self.recipe.reads.iter().map(|(at, ty)| ColumnReader::new(batch.column(*at), *ty)).collect()
    }

    fn window(&mut self, work: &WindowWork, batch: Option<RecordBatch>) -> Result<Option<RecordBatch>> {
        let Some(run) = &mut self.window else { return Err(SqlError::internal("window without a run")) };
        let done = match batch {
            Some(batch) => run.push(work, &self.recipe.reads, &self.recipe.env, batch)?,
            None => run.finish(work, &self.recipe.reads, &self.recipe.env)?,
        };
        let Some((rows, values)) = done else { return Ok(None) };
        let mut builder = BatchBuilder::new(&self.recipe.added);
        for row in &values {
            builder.push(row.iter())?;
        }
        let added = builder.finish()?;
        self.glue(&rows, Some(&added)).map(Some)
    }

    fn first_of_run(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let readers = self.readers(batch)?;
        let mut kept = vec![];
        for row in 0..batch.num_rows() {
            let values = readers.iter().map(|r| r.get(row)).collect::<Result<Vec<_>>>()?;
            let typed: Vec<_> = self.recipe.reads.iter().map(|(_, ty)| *ty).zip(&values).collect();
            let mut key = vec![];
            key::row_key(&typed, &self.recipe.env.catalog, &mut key)?;
            if self.before.as_ref() != Some(&key) {
                kept.push(row as u32);
                self.before = Some(key);
            }
        }
        self.glue(&take(batch, kept)?, None)
    }

    fn repeat(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let readers = self.readers(batch)?;
        let mut rows = vec![];
        for row in 0..batch.num_rows() {
            let count = match readers.first().map(|r| r.get(row)).transpose()? {
                Some(Datum::Int8(count)) => count,
                _ => 0,
            };
            rows.extend((0..count).map(|_| row as u32));
        }
        self.glue(&take(batch, rows)?, None)
    }

    fn project_set(&self, calls: &[SetFunction], batch: &RecordBatch) -> Result<RecordBatch> {
        let readers = self.readers(batch)?;
        let env = &self.recipe.env;
        let params = env.params();
        let mut builder = BatchBuilder::new(&self.recipe.added);
        let mut rows = vec![];
        for row in 0..batch.num_rows() {
            let slots = readers.iter().map(|r| r.get(row)).collect::<Result<Vec<_>>>()?;
            let mut sets: Vec<Values> =
                calls.iter().map(|call| call.values(env, &params, &slots)).collect::<Result<_>>()?;
            loop {
                let values: Vec<Option<Datum>> =
                    sets.iter_mut().map(|s| s.next().transpose()).collect::<Result<_>>()?;
                if values.iter().all(Option::is_none) {
                    break;
                }
                let values: Vec<Datum> = values.into_iter().map(|v| v.unwrap_or(Datum::Null)).collect();
                builder.push(values.iter())?;
                rows.push(row as u32);
                if rows.len().is_multiple_of(BATCH_ROWS) {
                    env.cancel.check()?;
                }
            }
        }
        let added = builder.finish()?;
        self.glue(&take(batch, rows)?, Some(&added))
    }

    fn glue(&self, left: &RecordBatch, right: Option<&RecordBatch>) -> Result<RecordBatch> {
        let right = right.map(|r| r.columns()).unwrap_or_default();
        let columns = left.columns().iter().chain(right).cloned().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(left.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| from_df(e.into()))
    }
}

/// Rows of a batch by number; a batch without columns keeps their count.
pub(super) fn take(batch: &RecordBatch, rows: Vec<u32>) -> Result<RecordBatch> {
    if batch.num_columns() == 0 {
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        return RecordBatch::try_new_with_options(batch.schema(), vec![], &options)
            .map_err(|e| from_df(e.into()));
    }
    take_record_batch(batch, &UInt32Array::from(rows)).map_err(|e| from_df(e.into()))
}
