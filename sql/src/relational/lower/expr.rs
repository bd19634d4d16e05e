//! Scalar expressions: native where DataFusion means the same, else the expression library's own
//! evaluation as a function over the columns it reads.

use super::{Lowerer, Scope};
use crate::expr::compile;
use crate::ir::{CastKind, ColumnRef, Expr, ExprKind};
use crate::registry::{Registry, Volatility};
use crate::relational::column::{arrow_type, scalar};
use crate::relational::key::{KeyClass, key_class, key_expr};
use crate::relational::rewrite;
use crate::relational::scalar::row_function;
use crate::{Oid, Result};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr as DfExpr, Operator, binary_expr, cast};
use std::sync::Arc;

impl Lowerer {
    /// An expression over the columns of `scope`.
    pub(super) fn expr(&self, e: &Expr, scope: &Scope) -> Result<DfExpr> {
        match self.native(e, scope)? {
            Some(native) => Ok(native),
            None => self.function(e, scope),
        }
    }

    fn native(&self, e: &Expr, scope: &Scope) -> Result<Option<DfExpr>> {
        Ok(match &e.kind {
            ExprKind::Column(column) => Some(DfExpr::Column(scope.get(*column)?.column.clone())),
            ExprKind::Const(value) => Some(DfExpr::Literal(scalar(value, e.ty.oid)?, None)),
            ExprKind::Collate { arg } => self.native(arg, scope)?,
            ExprKind::Cast { kind: CastKind::Relabel, arg, .. }
                if arrow_type(arg.ty.oid) == arrow_type(e.ty.oid) =>
            {
                self.native(arg, scope)?
            }
            ExprKind::And(items) | ExprKind::Or(items) => {
                let mut all = vec![];
                for item in items {
                    let Some(item) = self.native(item, scope)? else { return Ok(None) };
                    all.push(item);
                }
                match e.kind {
                    ExprKind::And(_) => all.into_iter().reduce(DfExpr::and),
                    _ => all.into_iter().reduce(DfExpr::or),
                }
            }
            ExprKind::Not(arg) => self.native(arg, scope)?.map(|arg| DfExpr::Not(Box::new(arg))),
            ExprKind::IsNull { arg, negated } if !maybe_row(arg.ty.oid) => {
                self.native(arg, scope)?.map(|arg| if *negated { arg.is_not_null() } else { arg.is_null() })
            }
            ExprKind::Call { operator, args, .. } => match &args[..] {
                [left, right] => self.comparison(*operator, left, right, scope)?,
                _ => None,
            },
            _ => None,
        })
    }

    /// A comparison of two columns or constants whose order Arrow knows, or that have keys.
    fn comparison(&self, operator: Oid, left: &Expr, right: &Expr, scope: &Scope) -> Result<Option<DfExpr>> {
        let Some(row) = Registry::get().operator(operator) else { return Ok(None) };
        let op = match row.name {
            "=" => Operator::Eq,
            "<>" => Operator::NotEq,
            "<" => Operator::Lt,
            "<=" => Operator::LtEq,
            ">" => Operator::Gt,
            ">=" => Operator::GtEq,
            _ => return Ok(None),
        };
        if row.left != left.ty.oid && !text_like(row.left, left.ty.oid)
            || row.right != right.ty.oid && !text_like(row.right, right.ty.oid)
        {
            return Ok(None);
        }
        let join = op == Operator::Eq && is_join(left, right);
        if integer(row.left) && integer(row.right) {
            let (Some(l), Some(r)) = (self.native(left, scope)?, self.native(right, scope)?) else {
                return Ok(None);
            };
            if row.left == row.right {
                return Ok(Some(binary_expr(l, op, r)));
            }
            return Ok(Some(binary_expr(cast(l, DataType::Int64), op, cast(r, DataType::Int64))));
        }
        if row.left != row.right {
            return Ok(None);
        }
        match key_class(row.left, &self.env.catalog) {
            Ok(KeyClass::Native) => {
                let (l, r) = match join {
                    // Either side may be any expression: the join hashes it.
                    true => (self.expr(left, scope)?, self.expr(right, scope)?),
                    false => match (self.native(left, scope)?, self.native(right, scope)?) {
                        (Some(l), Some(r)) => (l, r),
                        _ => return Ok(None),
                    },
                };
                Ok(Some(binary_expr(l, op, r)))
            }
            Ok(KeyClass::Encoded) if join => {
                let l = key_expr(self.expr(left, scope)?, row.left, &self.env)?;
                let r = key_expr(self.expr(right, scope)?, row.left, &self.env)?;
                Ok(Some(binary_expr(l, op, r)))
            }
            _ => Ok(None),
        }
    }

    /// The whole tree as one function of the columns it reads.
    fn function(&self, e: &Expr, scope: &Scope) -> Result<DfExpr> {
        let mut columns: Vec<ColumnRef> = vec![];
        e.walk(&mut |e| {
            if let ExprKind::Column(column) = &e.kind
                && !columns.contains(column)
            {
                columns.push(*column);
            }
        });
        let compiled = compile(e, &|column| columns.iter().position(|c| *c == column))?;
        let mut args = vec![];
        let mut types = vec![];
        for column in &columns {
            let found = scope.get(*column)?;
            args.push(DfExpr::Column(found.column.clone()));
            types.push(found.ty.oid);
        }
        let function = row_function(compiled, types, e.ty, is_volatile(e), &self.env);
        Ok(Arc::new(function).call(args))
    }
}

/// Whether every evaluation may give another value.
pub(super) fn is_volatile(e: &Expr) -> bool {
    rewrite::any(e, &|e| match &e.kind {
        ExprKind::Call { function, .. } => {
            Registry::get().proc(*function).is_none_or(|p| p.volatility == Volatility::Volatile)
        }
        _ => false,
    })
}

/// Both sides read columns, of different ranges: what a join can use.
fn is_join(left: &Expr, right: &Expr) -> bool {
    let (left, right) = (ranges(left), ranges(right));
    !left.is_empty() && !right.is_empty() && left.iter().all(|r| !right.contains(r))
}

/// The ranges that an expression reads, outside subqueries.
pub(super) fn ranges(e: &Expr) -> Vec<crate::ir::RangeIndex> {
    let mut found = vec![];
    e.walk(&mut |e| {
        if let ExprKind::Column(column) = &e.kind
            && column.levels_up == 0
            && !found.contains(&column.range)
        {
            found.push(column.range);
        }
    });
    found
}

fn integer(ty: Oid) -> bool {
    matches!(ty, Oid::INT2 | Oid::INT4 | Oid::INT8)
}

/// varchar values stand for text without a cast.
fn text_like(declared: Oid, given: Oid) -> bool {
    declared == Oid::TEXT && matches!(given, Oid::VARCHAR | Oid::NAME)
}

fn maybe_row(ty: Oid) -> bool {
    ty == Oid::RECORD || ty >= Oid::FIRST_USER
}
