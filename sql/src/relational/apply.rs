//! Apply: runs a subquery for every row of its input and adds what it answers to the row.

use super::column::ColumnReader;
use super::env::QueryEnv;
use super::leaf::{BatchBuilder, PlanColumn, adapt_df, properties_of};
use super::subplan::{Kind, Runner, SubPlan, df};
use crate::types::Datum;
use crate::{Result, SqlError};
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A value that the subquery reads of each input row.
#[derive(Clone, Debug)]
pub(super) struct OuterColumn {
    pub(super) column: Column,
    pub(super) ty: crate::Oid,
}

/// The logical operator: the input's columns, then `added`.
#[derive(Clone, Debug)]
pub(super) struct ApplyNode {
    input: LogicalPlan,
    sub: Arc<SubPlan>,
    /// The outer values that the subquery's parameters take, then the left side of a comparison.
    outer: Vec<OuterColumn>,
    left: usize,
    added: Vec<PlanColumn>,
    /// Of the query that the input belongs to.
    env: Arc<QueryEnv>,
    schema: DFSchemaRef,
}

impl ApplyNode {
    /// `outer` are columns of the input; the last `left` of them are a comparison's left side.
    pub(super) fn new(
        input: LogicalPlan,
        sub: Arc<SubPlan>,
        outer: Vec<OuterColumn>,
        left: usize,
        added: Vec<PlanColumn>,
        env: Arc<QueryEnv>,
    ) -> DfResult<ApplyNode> {
        let schema = with_added(input.schema(), &added)?;
        Ok(ApplyNode { input, sub, outer, left, added, env, schema })
    }

    pub(super) async fn physical(
        &self,
        input: Arc<dyn ExecutionPlan>,
        state: &dyn Session,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let plan = self.sub.physical(state).await?;
        let schema = input.schema();
        let outer = self.outer.iter().map(|o| Ok((schema.index_of(&o.column.name)?, o.ty)));
        let outer = outer.collect::<DfResult<Vec<_>>>()?;
        let recipe = Recipe {
            sub: self.sub.clone(),
            plan,
            outer,
            left: self.left,
            added: self.added.clone(),
            env: self.env.clone(),
        };
        Ok(Arc::new(ApplyExec::new(input, Arc::new(recipe))))
    }
}

/// The input's columns, then the added ones.
pub(super) fn with_added(input: &DFSchema, added: &[PlanColumn]) -> DfResult<DFSchemaRef> {
    let added = super::leaf::schema_of(added);
    let added = DFSchema::try_from(added.as_ref().clone())?;
    Ok(Arc::new(input.join(&added)?))
}

impl PartialEq for ApplyNode {
    fn eq(&self, other: &ApplyNode) -> bool {
        Arc::ptr_eq(&self.sub, &other.sub) && self.input == other.input
    }
}

impl Eq for ApplyNode {}

impl Hash for ApplyNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.sub).hash(state);
        self.input.hash(state);
    }
}

impl PartialOrd for ApplyNode {
    fn partial_cmp(&self, other: &ApplyNode) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for ApplyNode {
    fn name(&self) -> &str {
        "Apply"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.outer.iter().map(|o| Expr::Column(o.column.clone())).collect()
    }

    /// Filters over the input's columns alone may go below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.added.iter().map(|c| c.name.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Apply {:?}", self.added.iter().map(|c| &c.name).collect::<Vec<_>>())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> DfResult<ApplyNode> {
        let input = inputs.swap_remove(0);
        let outer = self.outer.iter().zip(exprs).map(|(old, expr)| match expr {
            Expr::Column(column) => Ok(OuterColumn { column, ty: old.ty }),
            _ => df(Err(SqlError::internal("Apply over something else than columns"))),
        });
        let outer = outer.collect::<DfResult<_>>()?;
        ApplyNode::new(input, self.sub.clone(), outer, self.left, self.added.clone(), self.env.clone())
    }

    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output.iter().copied().filter(|i| *i < width).collect();
        for outer in &self.outer {
            needed.push(self.input.schema().index_of_column(&outer.column).ok()?);
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// What every execution of an Apply shares.
#[derive(Debug)]
struct Recipe {
    sub: Arc<SubPlan>,
    plan: Arc<dyn ExecutionPlan>,
    /// Positions in the input, and types.
    outer: Vec<(usize, crate::Oid)>,
    left: usize,
    added: Vec<PlanColumn>,
    env: Arc<QueryEnv>,
}

#[derive(Debug)]
struct ApplyExec {
    input: Arc<dyn ExecutionPlan>,
    recipe: Arc<Recipe>,
    properties: Arc<PlanProperties>,
}

impl ApplyExec {
    fn new(input: Arc<dyn ExecutionPlan>, recipe: Arc<Recipe>) -> ApplyExec {
        let added = super::leaf::schema_of(&recipe.added);
        let fields: Vec<Arc<Field>> = input.schema().fields().iter().chain(added.fields()).cloned().collect();
        let properties = Arc::new(properties_of(Arc::new(Schema::new(fields))));
        ApplyExec { input, recipe, properties }
    }
}

impl DisplayAs for ApplyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Apply: {} outer values", self.recipe.outer.len())
    }
}

impl ExecutionPlan for ApplyExec {
    fn name(&self) -> &str {
        "ApplyExec"
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
        Ok(Arc::new(ApplyExec::new(children.swap_remove(0), self.recipe.clone())))
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(ApplyExec::new(children.swap_remove(0), self.recipe.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let recipe = self.recipe.clone();
        let runner = Runner::new(recipe.sub.clone(), recipe.plan.clone(), context, recipe.env.params());
        let running = Running { input, recipe, runner, schema: self.schema() };
        Ok(adapt_df(self.schema(), stream::try_unfold(running, |r| async move { df(r.next().await) })))
    }
}

struct Running {
    input: SendableRecordBatchStream,
    recipe: Arc<Recipe>,
    runner: Runner,
    schema: SchemaRef,
}

impl Running {
    async fn next(mut self) -> Result<Option<(RecordBatch, Running)>> {
        while let Some(batch) = self.input.next().await {
            let batch = batch.map_err(super::error::from_df)?;
            let batch = match self.recipe.sub.kind {
                Kind::Lateral { outer } => self.lateral(&batch, outer).await?,
                _ => self.values(&batch).await?,
            };
            if batch.num_rows() > 0 {
                return Ok(Some((batch, self)));
            }
        }
        Ok(None)
    }

    fn outer_values(&self, batch: &RecordBatch, row: usize) -> Result<Vec<Datum>> {
        let outer = self.recipe.outer.iter();
        outer.map(|(at, ty)| ColumnReader::new(batch.column(*at), *ty)?.get(row)).collect()
    }

    /// One value a row.
    async fn values(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut builder = BatchBuilder::new(&self.recipe.added);
        for row in 0..batch.num_rows() {
            let values = self.outer_values(batch, row)?;
            let (outer, left) = values.split_at(values.len() - self.recipe.left);
            let value = self.runner.value(outer, left).await?;
            builder.push([&value].into_iter())?;
        }
        let added = builder.finish()?;
        glue(&self.schema, batch, &added)
    }

    /// Every row of the subquery beside the outer row.
    async fn lateral(&mut self, batch: &RecordBatch, keep: bool) -> Result<RecordBatch> {
        let added_schema = super::leaf::schema_of(&self.recipe.added);
        let (mut rows, mut parts) = (vec![], vec![]);
        let missing = || {
            let mut builder = BatchBuilder::new(&self.recipe.added);
            builder.push(vec![Datum::Null; self.recipe.added.len()].iter())?;
            builder.finish()
        };
        for row in 0..batch.num_rows() {
            let values = self.outer_values(batch, row)?;
            let mut found = self.runner.batches(&values).await?;
            if keep && found.iter().all(|b| b.num_rows() == 0) {
                found = vec![missing()?];
            }
            for part in found {
                rows.extend(std::iter::repeat_n(row as u32, part.num_rows()));
                parts.push(renamed(&added_schema, &part)?);
            }
        }
        let added = concat_batches(&added_schema, &parts).map_err(|e| super::error::from_df(e.into()))?;
        let outer = super::unary::take(batch, rows)?;
        glue(&self.schema, &outer, &added)
    }
}

/// The batch under the names that the operator gives its columns.
fn renamed(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
        .map_err(|e| super::error::from_df(e.into()))
}

fn glue(schema: &SchemaRef, left: &RecordBatch, right: &RecordBatch) -> Result<RecordBatch> {
    let columns = left.columns().iter().chain(right.columns()).cloned().collect();
    let options = RecordBatchOptions::new().with_row_count(Some(left.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|e| super::error::from_df(e.into()))
}
