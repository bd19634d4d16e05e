//! UNION, INTERSECT, EXCEPT, and WITH RECURSIVE.
//!
//! INTERSECT and EXCEPT are one grouping over both sides: rows count how often they came from the
//! left and from the right, and the counts decide.

use super::{Cte, Lowered, Lowerer, Rel, Scope, column};
use crate::ir::{Query, RangeIndex, SetOp, SetOpKind};
use crate::relational::error::from_df;
use crate::relational::leaf::PlanColumn;
use crate::relational::recursive::{RecursiveNode, Step};
use crate::relational::shared::WorkTable;
use crate::relational::unary::Work;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError};
use datafusion::common::Column;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::{Expr as DfExpr, Extension, LogicalPlan, LogicalPlanBuilder, lit};
use std::sync::Arc;

impl Lowerer {
    /// The rows of a set operation; its columns are those of range 0.
    pub(super) fn set_operation(&mut self, set_op: SetOp) -> Result<Rel> {
        let left = self.query(&set_op.left)?;
        let right = self.query(&set_op.right)?;
        let columns: Vec<PlanColumn> =
            set_op.types.iter().map(|ty| PlanColumn { name: self.name("u"), ty: *ty }).collect();
        let builder = match (set_op.kind, set_op.all) {
            (SetOpKind::Union, true) => self.union(left, right, &columns, None)?,
            (SetOpKind::Union, false) => {
                let both = self.union(left, right, &columns, None)?;
                self.distinct(both, &columns)?
            }
            (kind, all) => self.counted(kind, all, left, right, &columns)?,
        };
        let mut scope = Scope::default();
        for (i, c) in columns.iter().enumerate() {
            scope.add(RangeIndex(0), i as i16 + 1, &c.name, c.ty);
        }
        Ok(Rel { plan: builder.build().map_err(from_df)?, scope })
    }

    /// Both sides one after the other; `counts` names two columns that tell the side.
    fn union(
        &self,
        left: Lowered,
        right: Lowered,
        columns: &[PlanColumn],
        counts: Option<[&str; 2]>,
    ) -> Result<LogicalPlanBuilder> {
        let side = |side: Lowered, ones: [i64; 2]| {
            let mut exprs: Vec<DfExpr> =
                side.columns.iter().zip(columns).map(|(c, to)| column(&c.name).alias(&to.name)).collect();
            if let Some(names) = counts {
                exprs.extend(names.iter().zip(ones).map(|(name, one)| lit(one).alias(*name)));
            }
            LogicalPlanBuilder::from(side.plan).project(exprs).map_err(from_df)
        };
        let left = side(left, [1, 0])?;
        let right = side(right, [0, 1])?.build().map_err(from_df)?;
        left.union(right).map_err(from_df)
    }

    fn counted(
        &self,
        kind: SetOpKind,
        all: bool,
        left: Lowered,
        right: Lowered,
        columns: &[PlanColumn],
    ) -> Result<LogicalPlanBuilder> {
        let (in_left, in_right) = (self.name("n"), self.name("n"));
        let (lefts, rights) = (self.name("s"), self.name("s"));
        let both = self.union(left, right, columns, Some([&in_left, &in_right]))?;
        let sums = vec![
            sum_udaf().call(vec![column(&in_left)]).alias(&lefts),
            sum_udaf().call(vec![column(&in_right)]).alias(&rights),
        ];
        let grouped = self.distinct_with(both, columns, sums)?;
        let (lefts, rights) = (column(&lefts), column(&rights));
        if !all {
            let test = match kind {
                SetOpKind::Intersect => rights.gt(lit(0i64)),
                _ => rights.eq(lit(0i64)),
            };
            return grouped.filter(lefts.gt(lit(0i64)).and(test)).map_err(from_df);
        }
        let times = match kind {
            SetOpKind::Intersect => datafusion::logical_expr::when(lefts.clone().lt(rights.clone()), lefts)
                .otherwise(rights)
                .map_err(from_df)?,
            _ => lefts - rights,
        };
        let name = self.name("n");
        let mut exprs: Vec<DfExpr> = columns.iter().map(|c| column(&c.name)).collect();
        exprs.push(times.alias(&name));
        let repeated = grouped.project(exprs).map_err(from_df)?;
        self.unary(repeated, Work::Repeat, vec![(Column::from_name(&name), Oid::INT8)], vec![])
    }

    /// A CTE that reads itself: the left side, then the right side over the rows of the round before,
    /// until a round gives none.
    pub(super) fn recursive(&mut self, body: &Query) -> Result<Lowered> {
        let Some(set_op) = &body.set_op else {
            return Err(SqlError::not_built("this form of a recursive query"));
        };
        if set_op.kind != SetOpKind::Union || !body.order_by.is_empty() || body.limit.is_some() {
            return Err(SqlError::not_built("this form of a recursive query"));
        }
        let types: Vec<TypeRef> = set_op.types.clone();
        let columns: Vec<PlanColumn> =
            types.iter().map(|ty| PlanColumn { name: self.name("w"), ty: *ty }).collect();
        let table = Arc::new(WorkTable::default());
        // The body's own level, then the reference's: the CTE stands in the frame around the body.
        let frame = self.frames.len() - 1;
        self.frames.push(vec![]);
        let first = self.query(&set_op.left);
        self.frames[frame].push(Some(Cte::Work(table.clone(), columns.clone())));
        let next = self.query(&set_op.right);
        self.frames[frame].pop();
        self.frames.pop();
        let (first, next) = (self.named_as(first?, &columns)?, self.named_as(next?, &columns)?);
        let step =
            Step { next, table, env: self.env.clone(), columns: columns.clone(), distinct: !set_op.all };
        let node = RecursiveNode::new(first, Arc::new(step)).map_err(from_df)?;
        Ok(Lowered { plan: LogicalPlan::Extension(Extension { node: Arc::new(node) }), columns })
    }

    fn named_as(&self, lowered: Lowered, columns: &[PlanColumn]) -> Result<LogicalPlan> {
        let exprs = lowered.columns.iter().zip(columns).map(|(c, to)| column(&c.name).alias(&to.name));
        LogicalPlanBuilder::from(lowered.plan)
            .project(exprs.collect::<Vec<_>>())
            .and_then(LogicalPlanBuilder::build)
            .map_err(from_df)
    }
}
