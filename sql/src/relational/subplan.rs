//! A subquery as an expression or a lateral FROM item: a plan that runs once for every distinct set of
//! outer values.

use super::column::ColumnReader;
use super::env::QueryEnv;
use super::error::{from_df, to_df};
use super::key;
use super::leaf::PlanColumn;
use super::opaque;
use crate::expr::Compiled;
use crate::types::Datum;
use crate::{Oid, Result, SqlError, SqlState};
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::Result as DfResult;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::{execute_stream, reset_plan_states};
use futures::StreamExt;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Answers kept for outer values seen before.
const MEMO: usize = 10_000;

/// What the rows of a subquery become.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The value of its only row; null without a row.
    Scalar,
    Exists,
    /// All values, as an array of elements of that type.
    Array(Oid),
    /// `left op ANY/ALL (rows)`: the comparison of slots (left values, then the row's).
    Quantified {
        all: bool,
        negated: bool,
        comparison: Compiled,
        hashed: bool,
    },
    /// Its rows, joined to the outer row; `outer`: nulls when there are none.
    Lateral {
        outer: bool,
    },
}

/// A subquery ready to be planned.
#[derive(Debug)]
pub(super) struct SubPlan {
    pub(super) kind: Kind,
    pub(super) logical: LogicalPlan,
    /// Its own environment: the parameters of the query around it, then the outer values.
    pub(super) env: Arc<QueryEnv>,
    pub(super) columns: Vec<PlanColumn>,
}

impl SubPlan {
    pub(super) async fn physical(&self, state: &dyn Session) -> DfResult<Arc<dyn ExecutionPlan>> {
        state.create_physical_plan(&self.logical).await
    }
}

/// A running subquery.
pub(super) struct Runner {
    sub: Arc<SubPlan>,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    /// Parameters that come before the outer values.
    base: Arc<[Datum]>,
    memo: FxHashMap<Vec<u8>, Datum>,
    rows: FxHashMap<Vec<u8>, Arc<Rows>>,
}

/// All rows of one run, for quantified comparisons.
struct Rows {
    values: Vec<Vec<Datum>>,
    /// Keys of the rows without nulls.
    keys: FxHashSet<Vec<u8>>,
    has_null: bool,
}

impl Runner {
    /// `base`: the parameters of the query around it.
    pub(super) fn new(
        sub: Arc<SubPlan>,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        base: Arc<[Datum]>,
    ) -> Runner {
        Runner { sub, plan, context, base, memo: FxHashMap::default(), rows: FxHashMap::default() }
    }

    /// The value of the subquery for the outer values; `left` is the left side of a quantified one.
    pub(super) async fn value(&mut self, outer: &[Datum], left: &[Datum]) -> Result<Datum> {
        let mut key = vec![];
        outer.iter().for_each(|v| opaque::encode(v, &mut key));
        if let Kind::Quantified { .. } = &self.sub.kind {
            let rows = match self.rows.get(&key) {
                Some(rows) => rows.clone(),
                None => {
                    let rows = Arc::new(self.quantified_rows(outer).await?);
                    // One set of rows may be large: only an uncorrelated subquery's is worth keeping.
                    self.rows.clear();
                    self.rows.insert(key, rows.clone());
                    rows
                }
            };
            return self.quantified(&rows, left);
        }
        if let Some(value) = self.memo.get(&key) {
            return Ok(value.clone());
        }
        let value = self.compute(outer).await?;
        if self.memo.len() < MEMO {
            self.memo.insert(key, value.clone());
        }
        Ok(value)
    }

    async fn compute(&self, outer: &[Datum]) -> Result<Datum> {
        match self.sub.kind {
            Kind::Exists => Ok(Datum::Bool(!self.run(outer, 1).await?.is_empty())),
            Kind::Scalar => match &self.run(outer, 2).await?[..] {
                [] => Ok(Datum::Null),
                [row] => Ok(row.first().cloned().unwrap_or(Datum::Null)),
                _ => Err(SqlError::new(
                    SqlState::CARDINALITY_VIOLATION,
                    "more than one row returned by a subquery used as an expression",
                )),
            },
            Kind::Array(element) => {
                let rows = self.run(outer, usize::MAX).await?;
                Ok(Datum::array(element, rows.into_iter().filter_map(|row| row.into_iter().next()).collect()))
            }
            Kind::Quantified { .. } | Kind::Lateral { .. } => {
                Err(SqlError::internal("subquery without a value"))
            }
        }
    }

    /// Runs the subquery; stops after `most` rows.
    async fn run(&self, outer: &[Datum], most: usize) -> Result<Vec<Vec<Datum>>> {
        let mut stream = self.start(outer)?;
        let mut rows = vec![];
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(from_df)?;
            let readers = self.readers(&batch)?;
            for at in 0..batch.num_rows() {
                if rows.len() == most {
                    return Ok(rows);
                }
                rows.push(readers.iter().map(|r| r.get(at)).collect::<Result<_>>()?);
            }
        }
        Ok(rows)
    }

    fn start(&self, outer: &[Datum]) -> Result<datafusion::execution::SendableRecordBatchStream> {
        self.sub.env.cancel.check()?;
        let params: Vec<Datum> = self.base.iter().chain(outer).cloned().collect();
        self.sub.env.set_params(params.into());
        let plan = reset_plan_states(self.plan.clone()).map_err(from_df)?;
        execute_stream(plan, self.context.clone()).map_err(from_df)
    }

    fn readers<'b>(&self, batch: &'b RecordBatch) -> Result<Vec<ColumnReader<'b>>> {
        let columns = self.sub.columns.iter();
        columns.zip(batch.columns()).map(|(column, array)| ColumnReader::new(array, column.ty.oid)).collect()
    }

    /// The batches of a lateral item for one outer row.
    pub(super) async fn batches(&self, outer: &[Datum]) -> Result<Vec<RecordBatch>> {
        let mut stream = self.start(outer)?;
        let mut batches = vec![];
        while let Some(batch) = stream.next().await {
            batches.push(batch.map_err(from_df)?);
        }
        Ok(batches)
    }

    async fn quantified_rows(&self, outer: &[Datum]) -> Result<Rows> {
        let values = self.run(outer, usize::MAX).await?;
        let Kind::Quantified { hashed: true, .. } = self.sub.kind else {
            return Ok(Rows { values, keys: FxHashSet::default(), has_null: false });
        };
        let mut rows = Rows { values: vec![], keys: FxHashSet::default(), has_null: false };
        for row in values {
            match self.key(row.iter())? {
                Some(key) => drop(rows.keys.insert(key)),
                None => rows.has_null = true,
            }
        }
        Ok(rows)
    }

    /// The key of a row; `None` when a value is null.
    fn key<'d>(&self, row: impl Iterator<Item = &'d Datum>) -> Result<Option<Vec<u8>>> {
        let typed: Vec<(Oid, &Datum)> = self.sub.columns.iter().map(|c| c.ty.oid).zip(row).collect();
        if typed.iter().any(|(_, value)| value.is_null()) {
            return Ok(None);
        }
        let mut key = vec![];
        key::row_key(&typed, &self.sub.env.catalog, &mut key)?;
        Ok(Some(key))
    }

    /// SQL's three-valued quantifiers over the rows.
    fn quantified(&self, rows: &Rows, left: &[Datum]) -> Result<Datum> {
        let Kind::Quantified { all, negated, comparison, hashed, .. } = &self.sub.kind else {
            return Err(SqlError::internal("subquery without a quantifier"));
        };
        let found = match hashed {
            true => self.hashed(rows, left)?,
            false => {
                let params = self.sub.env.params();
                let eval = self.sub.env.eval(&params);
                let mut unknown = false;
                let mut decided = None;
                let mut slots = left.to_vec();
                for row in &rows.values {
                    slots.truncate(left.len());
                    slots.extend(row.iter().cloned());
                    match comparison.eval(&eval, &slots)? {
                        Datum::Bool(v) if v != *all => {
                            decided = Some(v);
                            break;
                        }
                        Datum::Bool(_) => {}
                        _ => unknown = true,
                    }
                }
                match decided {
                    None if unknown => None,
                    None => Some(*all),
                    decided => decided,
                }
            }
        };
        Ok(found.map_or(Datum::Null, |v| Datum::Bool(v != *negated)))
    }

    /// `left = ANY (rows)` by hash; `None`: unknown.
    fn hashed(&self, rows: &Rows, left: &[Datum]) -> Result<Option<bool>> {
        if rows.keys.is_empty() && !rows.has_null {
            return Ok(Some(false));
        }
        Ok(match self.key(left.iter())? {
            None => None,
            Some(key) if rows.keys.contains(&key) => Some(true),
            Some(_) if rows.has_null => None,
            Some(_) => Some(false),
        })
    }
}

/// For streams that DataFusion polls.
pub(super) fn df<T>(result: Result<T>) -> DfResult<T> {
    result.map_err(to_df)
}
