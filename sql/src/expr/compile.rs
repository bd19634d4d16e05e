//! The binder's tree compiled for evaluation.

use super::eval::{Callee, Compiled, Node};
use crate::ir::{ArrayElementCast, CastKind, ColumnRef, Expr, ExprKind, Subscript};
use crate::kernels;
use crate::registry::Registry;
use crate::types::{Coercion, Datum, TypeRef};
use crate::{Oid, Result, SqlError};

/// Says which slot of the row a column is; `None`: the column cannot be read here.
pub type Slots<'a> = &'a dyn Fn(ColumnRef) -> Option<usize>;

/// Compiles an expression. Fails with 0A000 on a function that has no kernel yet, and on nodes that
/// planning has to replace first (subqueries, aggregates, window calls, set-returning functions).
pub fn compile(expr: &Expr, slots: Slots<'_>) -> Result<Compiled> {
    Compiler { slots }.expr(expr).map(Compiled)
}

struct Compiler<'a> {
    slots: Slots<'a>,
}

impl Compiler<'_> {
    /// A flat match over the expression kinds: every kind stands once.
    fn expr(&self, expr: &Expr) -> Result<Node> {
        Ok(match &expr.kind {
            ExprKind::Const(value) => Node::Const(value.clone()),
            ExprKind::Column(column) => {
                Node::Slot((self.slots)(*column).ok_or_else(|| SqlError::internal("column out of reach"))?)
            }
            ExprKind::Param(n) => Node::Param(usize::from(*n) - 1),
            ExprKind::Call { function, args, .. } => self.call(*function, args, expr)?,
            ExprKind::Cast { kind, arg, explicit } => self.cast(*kind, arg, expr.ty, *explicit)?,
            ExprKind::And(items) => Node::And(self.all(items)?),
            ExprKind::Or(items) => Node::Or(self.all(items)?),
            ExprKind::Not(arg) => Node::Not(self.boxed(arg)?),
            ExprKind::IsNull { arg, negated } => Node::IsNull { arg: self.boxed(arg)?, negated: *negated },
            ExprKind::BoolTest { arg, test } => Node::BoolTest { arg: self.boxed(arg)?, test: *test },
            ExprKind::Distinct { function, left, right, negated } => Node::Distinct {
                callee: callee(*function, [&**left, &**right], Oid::BOOL)?,
                left: self.boxed(left)?,
                right: self.boxed(right)?,
                negated: *negated,
            },
            ExprKind::Case { operand, arms, otherwise } => Node::Case {
                operand: operand.as_deref().map(|e| self.boxed(e)).transpose()?,
                arms: arms.iter().map(|(c, v)| Ok((self.expr(c)?, self.expr(v)?))).collect::<Result<_>>()?,
                otherwise: otherwise.as_deref().map(|e| self.boxed(e)).transpose()?,
            },
            ExprKind::CaseOperand => Node::CaseOperand,
            ExprKind::Coalesce(items) => Node::Coalesce(self.all(items)?),
            ExprKind::NullIf { function, left, right } => Node::NullIf {
                callee: callee(*function, [&**left, &**right], Oid::BOOL)?,
                left: self.boxed(left)?,
                right: self.boxed(right)?,
            },
            ExprKind::MinMax { greatest, args, .. } => {
                Node::MinMax { greatest: *greatest, ty: expr.ty.oid, args: self.all(args)? }
            }
            ExprKind::Array { element, items, nested } => {
                Node::Array { element: *element, items: self.all(items)?, nested: *nested }
            }
            ExprKind::Row(fields) => {
                Node::Row { types: fields.iter().map(|f| f.ty.oid).collect(), fields: self.all(fields)? }
            }
            ExprKind::RowCompare { op, functions, left, right } => Node::RowCompare {
                op: *op,
                callees: functions
                    .iter()
                    .zip(left.iter().zip(right))
                    .map(|(f, (l, r))| callee(*f, [l, r], Oid::BOOL))
                    .collect::<Result<_>>()?,
                left: self.all(left)?,
                right: self.all(right)?,
            },
            ExprKind::ArrayOp { function, all, left, array, .. } => Node::ArrayOp {
                callee: callee(*function, [&**left, &**array], Oid::BOOL)?,
                all: *all,
                left: self.boxed(left)?,
                array: self.boxed(array)?,
            },
            ExprKind::Subscript { arg, subscripts } => self.subscript(arg, subscripts)?,
            ExprKind::Field { arg, field } => Node::Field {
                arg: self.boxed(arg)?,
                field: usize::try_from(*field - 1).map_err(|_| SqlError::internal("field number"))?,
            },
            ExprKind::Session(value) => Node::Session(*value),
            ExprKind::Collate { arg } => self.expr(arg)?,
            ExprKind::SetCall { .. } => return Err(not_here("a set-returning function", expr)),
            ExprKind::Subquery(_) => return Err(not_here("a subquery", expr)),
            ExprKind::Aggregate(_) | ExprKind::Grouping(_) => return Err(not_here("an aggregate", expr)),
            ExprKind::Window(_) => return Err(not_here("a window function", expr)),
            ExprKind::Default => return Err(not_here("DEFAULT", expr)),
        })
    }

    fn all(&self, items: &[Expr]) -> Result<Vec<Node>> {
        items.iter().map(|e| self.expr(e)).collect()
    }

    fn boxed(&self, expr: &Expr) -> Result<Box<Node>> {
        self.expr(expr).map(Box::new)
    }

    fn call(&self, function: Oid, args: &[Expr], whole: &Expr) -> Result<Node> {
        let callee = callee(function, args, whole.ty.oid).map_err(|e| match whole.at {
            Some(at) => e.at(at),
            None => e,
        })?;
        let mut args = self.all(args)?;
        if callee.strict && args.len() == 2 {
            let right = Box::new(args.remove(1));
            let left = Box::new(args.remove(0));
            return Ok(Node::Call2 { callee, left, right });
        }
        Ok(Node::Call { callee, args })
    }

    fn cast(&self, kind: CastKind, arg: &Expr, to: TypeRef, explicit: bool) -> Result<Node> {
        let from = arg.ty.oid;
        let node = self.expr(arg)?;
        Ok(match kind {
            CastKind::Relabel => node,
            CastKind::InOut => Node::InOut { from, to, arg: Box::new(node) },
            CastKind::Length => Node::Length { ty: to, coercion: coercion(explicit), arg: Box::new(node) },
            CastKind::Function(function) => cast_call(function, node, from, to, explicit)?,
            CastKind::ArrayElements(element) => self.array_cast(element, node, arg.ty, to, explicit)?,
        })
    }

    fn array_cast(
        &self,
        kind: ArrayElementCast,
        array: Node,
        from: TypeRef,
        to: TypeRef,
        explicit: bool,
    ) -> Result<Node> {
        let element_of = |ty: TypeRef| {
            let row = Registry::get().type_by_oid(ty.oid);
            row.map(|t| t.elem).ok_or_else(|| SqlError::internal("array cast between other types"))
        };
        let (from_element, to_element) = (element_of(from)?, element_of(to)?);
        let target = TypeRef::of(to_element).with_typmod(to.typmod);
        let item = match kind {
            ArrayElementCast::Relabel => Node::CaseOperand,
            ArrayElementCast::InOut => {
                Node::InOut { from: from_element, to: target, arg: Box::new(Node::CaseOperand) }
            }
            ArrayElementCast::Function(function) => {
                cast_call(function, Node::CaseOperand, from_element, target, explicit)?
            }
        };
        Ok(Node::ArrayCast { element: to_element, item: Box::new(item), arg: Box::new(array) })
    }

    fn subscript(&self, arg: &Expr, subscripts: &[Subscript]) -> Result<Node> {
        let arg = self.boxed(arg)?;
        if subscripts.iter().all(|s| matches!(s, Subscript::Index(_))) {
            let indexes = subscripts.iter().filter_map(|s| match s {
                Subscript::Index(e) => Some(self.expr(e)),
                Subscript::Slice { .. } => None,
            });
            return Ok(Node::Subscript { arg, indexes: indexes.collect::<Result<_>>()? });
        }
        let bounds = subscripts
            .iter()
            .map(|s| {
                Ok(match s {
                    // A plain index among slices means 1:index.
                    Subscript::Index(e) => (Some(Node::Const(Datum::Int4(1))), Some(self.expr(e)?)),
                    Subscript::Slice { lower, upper } => (
                        lower.as_ref().map(|e| self.expr(e)).transpose()?,
                        upper.as_ref().map(|e| self.expr(e)).transpose()?,
                    ),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Node::Slice { arg, bounds })
    }
}

/// A cast by function: functions of two or three arguments also get the modifier and whether the
/// cast is explicit.
fn cast_call(function: Oid, arg: Node, from: Oid, to: TypeRef, explicit: bool) -> Result<Node> {
    let arity = Registry::get().proc(function).map_or(1, |p| p.args.len());
    let mut args = vec![arg];
    if arity >= 2 {
        args.push(Node::Const(Datum::Int4(to.typmod)));
    }
    if arity >= 3 {
        args.push(Node::Const(Datum::Bool(explicit)));
    }
    let callee = Callee { args: Box::new([from]), ..callee(function, [], to.oid)? };
    let call = Node::Call { callee, args };
    if arity == 1 && to.typmod >= 0 {
        return Ok(Node::Length { ty: to, coercion: coercion(explicit), arg: Box::new(call) });
    }
    Ok(call)
}

fn coercion(explicit: bool) -> Coercion {
    if explicit { Coercion::Explicit } else { Coercion::Assignment }
}

fn callee<'e>(function: Oid, args: impl IntoIterator<Item = &'e Expr>, result: Oid) -> Result<Callee> {
    let row = Registry::get().proc(function);
    let run = kernels::scalar(function).ok_or_else(|| {
        let name = row.map_or_else(|| function.to_string(), |p| p.name.to_string());
        SqlError::not_built(format!("function {name}"))
    })?;
    let args = args.into_iter().map(|e| e.ty.oid).collect();
    Ok(Callee { run, strict: row.is_none_or(|p| p.strict), args, result })
}

fn not_here(what: &str, expr: &Expr) -> SqlError {
    let error = SqlError::not_built(format!("{what} in this place"));
    match expr.at {
        Some(at) => error.at(at),
        None => error,
    }
}
