//! Where rows come from: tables, VALUES, functions, shared results, as tables of DataFusion.

use super::column::{ColumnBuilder, arrow_type};
use super::env::QueryEnv;
use super::error::to_df;
use super::set_function::{SetFunction, SideBySide, side_by_side};
use super::shared::{Shared, SharedPlan, WorkTable};
use crate::exec::read::Cursor;
use crate::expr::Compiled;
use crate::plan::{Access, TableRead};
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result};
use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::fmt;
use std::sync::Arc;

/// Rows of a batch: DataFusion's own default.
pub(super) const BATCH_ROWS: usize = 8192;

/// A column of a leaf or an operator: its name in the plan and its type.
#[derive(Clone, Debug)]
pub(super) struct PlanColumn {
    pub(super) name: String,
    pub(super) ty: TypeRef,
}

/// The Arrow schema of columns; any of them may be null.
pub(super) fn schema_of(columns: &[PlanColumn]) -> SchemaRef {
    let fields = columns.iter().map(|c| Field::new(&c.name, arrow_type(c.ty.oid), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Positions in the table's row, one a column.
    Table {
        read: Arc<TableRead>,
        positions: Vec<usize>,
    },
    Values(Arc<Vec<Vec<Compiled>>>),
    Functions {
        calls: Arc<Vec<SetFunction>>,
        ordinality: bool,
    },
    Shared(Arc<SharedPlan>),
    WorkTable(Arc<WorkTable>),
    /// Rows computed before, of virtual tables.
    Rows(Arc<Vec<Vec<Datum>>>),
}

/// One entry of FROM, as a table that DataFusion can scan.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) source: Source,
    pub(super) columns: Vec<PlanColumn>,
    pub(super) env: Arc<QueryEnv>,
}

#[async_trait]
impl TableProvider for Leaf {
    fn schema(&self) -> SchemaRef {
        schema_of(&self.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let all = (0..self.columns.len()).collect();
        let kept = projection.cloned().unwrap_or(all);
        let columns: Vec<PlanColumn> = kept.iter().map(|i| self.columns[*i].clone()).collect();
        let source = match &self.source {
            Source::Table { read, positions } => {
                let positions = kept.iter().map(|i| positions[*i]).collect();
                LeafSource::Table { read: read.clone(), positions }
            }
            Source::Shared(shared) => LeafSource::Shared { shared: shared.plan(state).await?, kept },
            Source::WorkTable(table) => LeafSource::WorkTable { table: table.clone(), kept },
            Source::Values(rows) => LeafSource::Values { rows: rows.clone(), kept },
            Source::Functions { calls, ordinality } => {
                LeafSource::Functions { calls: calls.clone(), ordinality: *ordinality, kept }
            }
            Source::Rows(rows) => LeafSource::Rows { rows: rows.clone(), kept },
        };
        Ok(Arc::new(LeafExec::new(source, columns, self.env.clone())))
    }
}

/// A source with the columns that are asked for.
#[derive(Debug)]
enum LeafSource {
    Table { read: Arc<TableRead>, positions: Vec<usize> },
    Values { rows: Arc<Vec<Vec<Compiled>>>, kept: Vec<usize> },
    Functions { calls: Arc<Vec<SetFunction>>, ordinality: bool, kept: Vec<usize> },
    Shared { shared: Arc<Shared>, kept: Vec<usize> },
    WorkTable { table: Arc<WorkTable>, kept: Vec<usize> },
    Rows { rows: Arc<Vec<Vec<Datum>>>, kept: Vec<usize> },
}

/// Reads one source. May run many times, with other parameters each time.
#[derive(Debug)]
struct LeafExec {
    source: LeafSource,
    columns: Vec<PlanColumn>,
    env: Arc<QueryEnv>,
    properties: Arc<PlanProperties>,
}

impl LeafExec {
    fn new(source: LeafSource, columns: Vec<PlanColumn>, env: Arc<QueryEnv>) -> LeafExec {
        let properties = Arc::new(properties_of(schema_of(&columns)));
        LeafExec { source, columns, env, properties }
    }
}

/// One partition, bounded, in no particular order.
pub(super) fn properties_of(schema: SchemaRef) -> PlanProperties {
    PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        Boundedness::Bounded,
    )
}

impl DisplayAs for LeafExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            LeafSource::Table { read, .. } => {
                let table = &read.codec.table.name;
                match &read.access {
                    Access::Key(_) | Access::KeyList { .. } => write!(f, "Key lookup on {table}"),
                    Access::Rows(_) => write!(f, "Scan on {table}"),
                    Access::Index { index, .. } => {
                        write!(f, "Index scan using {} on {table}", read.codec.indexes[*index].name)
                    }
                }
            }
            LeafSource::Values { rows, .. } => write!(f, "Values: {} rows", rows.len()),
            LeafSource::Functions { .. } => f.write_str("Function scan"),
            LeafSource::Shared { .. } => f.write_str("CTE scan"),
            LeafSource::WorkTable { .. } => f.write_str("Work table scan"),
            LeafSource::Rows { .. } => f.write_str("Virtual table"),
        }
    }
}

impl ExecutionPlan for LeafExec {
    fn name(&self) -> &str {
        "LeafExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let schema = schema_of(&self.columns);
        let builder = BatchBuilder::new(&self.columns);
        let env = self.env.clone();
        let params = env.params();
        Ok(match &self.source {
            LeafSource::Table { read, positions } => {
                let scan = TableScan {
                    values: vec![Datum::Null; read.codec.width()],
                    read: read.clone(),
                    positions: positions.clone(),
                    env,
                    params,
                    cursor: None,
                    builder,
                    left: None,
                };
                adapt(schema, stream::try_unfold(scan, TableScan::next))
            }
            LeafSource::Values { rows, kept } => {
                let batch = values_batch(rows, kept, &env, &params, builder);
                adapt(schema, stream::iter([batch]))
            }
            LeafSource::Functions { calls, ordinality, kept } => {
                let rows = side_by_side(calls, *ordinality, &env, &params).map_err(to_df)?;
                let state = FunctionScan { rows, kept: kept.clone(), env, builder };
                adapt(schema, stream::try_unfold(state, |scan| std::future::ready(scan.next())))
            }
            LeafSource::Rows { rows, kept } => adapt(schema, stream::iter([rows_batch(rows, kept, builder)])),
            LeafSource::WorkTable { table, kept } => {
                adapt_df(schema, stream::iter(project(&table.batches(), kept)))
            }
            LeafSource::Shared { shared, kept } => {
                let (shared, kept) = (shared.clone(), kept.clone());
                let batches = async move {
                    let batches = shared.batches(context).await?;
                    Ok::<_, datafusion::error::DataFusionError>(stream::iter(project(&batches, &kept)))
                };
                adapt_df(schema, stream::once(batches).try_flatten())
            }
        })
    }

    fn partition_statistics(&self, _: Option<usize>) -> DfResult<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.schema())))
    }
}

fn adapt<S>(schema: SchemaRef, stream: S) -> SendableRecordBatchStream
where
    S: futures::Stream<Item = Result<RecordBatch>> + Send + 'static,
{
    Box::pin(RecordBatchStreamAdapter::new(schema, stream.map_err(to_df)))
}

pub(super) fn adapt_df<S>(schema: SchemaRef, stream: S) -> SendableRecordBatchStream
where
    S: futures::Stream<Item = DfResult<RecordBatch>> + Send + 'static,
{
    Box::pin(RecordBatchStreamAdapter::new(schema, stream.boxed()))
}

fn project(batches: &[RecordBatch], kept: &[usize]) -> Vec<DfResult<RecordBatch>> {
    batches.iter().map(|batch| Ok(batch.project(kept)?)).collect()
}

/// Builds batches from rows of values.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    types: Vec<Oid>,
    columns: Vec<ColumnBuilder>,
    rows: usize,
}

impl BatchBuilder {
    pub(super) fn new(columns: &[PlanColumn]) -> BatchBuilder {
        let types: Vec<Oid> = columns.iter().map(|c| c.ty.oid).collect();
        let builders = types.iter().map(|ty| ColumnBuilder::new(*ty, 0)).collect();
        BatchBuilder { schema: schema_of(columns), types, columns: builders, rows: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn push<'d>(&mut self, values: impl Iterator<Item = &'d Datum>) -> Result<()> {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value)?;
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        for (column, ty) in self.columns.iter_mut().zip(&self.types) {
            *column = ColumnBuilder::new(*ty, 0);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|e| super::error::from_df(e.into()))
    }
}

fn values_batch(
    rows: &[Vec<Compiled>],
    kept: &[usize],
    env: &QueryEnv,
    params: &[Datum],
    mut builder: BatchBuilder,
) -> Result<RecordBatch> {
    let eval = env.eval(params);
    for row in rows {
        let values = row.iter().map(|e| e.eval(&eval, &[])).collect::<Result<Vec<_>>>()?;
        builder.push(kept.iter().map(|i| &values[*i]))?;
    }
    builder.finish()
}

fn rows_batch(rows: &[Vec<Datum>], kept: &[usize], mut builder: BatchBuilder) -> Result<RecordBatch> {
    for row in rows {
        builder.push(kept.iter().map(|i| &row[*i]))?;
    }
    builder.finish()
}

/// Running calls of functions in FROM.
struct FunctionScan {
    rows: SideBySide,
    kept: Vec<usize>,
    env: Arc<QueryEnv>,
    builder: BatchBuilder,
}

impl FunctionScan {
    fn next(mut self) -> Result<Option<(RecordBatch, FunctionScan)>> {
        self.env.cancel.check()?;
        for row in self.rows.by_ref().take(BATCH_ROWS) {
            let row = row?;
            self.builder.push(self.kept.iter().map(|i| &row[*i]))?;
        }
        match self.builder.rows() {
            0 => Ok(None),
            _ => Ok(Some((self.builder.finish()?, self))),
        }
    }
}

/// A running read of one table.
struct TableScan {
    read: Arc<TableRead>,
    positions: Vec<usize>,
    env: Arc<QueryEnv>,
    params: Arc<[Datum]>,
    cursor: Option<Cursor>,
    /// The row in hand, one slot a column of the table.
    values: Vec<Datum>,
    builder: BatchBuilder,
    /// Set when there are no more rows.
    left: Option<()>,
}

impl TableScan {
    async fn next(mut self) -> Result<Option<(RecordBatch, TableScan)>> {
        if self.left.is_some() {
            return Ok(None);
        }
        if self.cursor.is_none() {
            let eval = self.env.eval(&self.params);
            self.cursor = Some(Cursor::open(&self.read, self.env.view.clone(), &eval).await?);
        }
        while self.builder.rows() < BATCH_ROWS {
            self.take_block()?;
            self.env.cancel.check()?;
            let Some(cursor) = &mut self.cursor else { break };
            if !cursor.refill(&self.read.codec).await? {
                self.left = Some(());
                break;
            }
        }
        if self.builder.rows() == 0 {
            return Ok(None);
        }
        Ok(Some((self.builder.finish()?, self)))
    }

    /// The rows of the cursor's block that pass the filter.
    fn take_block(&mut self) -> Result<()> {
        let TableScan { read, positions, env, params, cursor, values, builder, .. } = self;
        let Some(cursor) = cursor else { return Ok(()) };
        let eval = env.eval(params);
        while let Some((key, row)) = cursor.next_in_block() {
            read.codec.decode(key, row, &read.wanted, values)?;
            if let Some(filter) = &read.filter
                && !filter.passes(&eval, values)?
            {
                continue;
            }
            builder.push(positions.iter().map(|at| &values[*at]))?;
        }
        Ok(())
    }
}
