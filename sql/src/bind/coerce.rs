//! Coercion: which casts there are in which context, carrying them out on expressions, and the
//! common type of several (PostgreSQL 15, chapter 10, "Type Conversion").

use super::Binder;
use crate::ir::{ArrayElementCast, CastKind, Expr, ExprKind, Offset};
use crate::registry::{CastContext, CastMethod, Registry};
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};

const ANYRANGE_LIKE: [Oid; 4] = [Oid::ANYRANGE, Oid(4537), Oid(5080), Oid(4538)];

/// The pseudo-types that stand for any type.
pub(super) fn is_polymorphic(oid: Oid) -> bool {
    is_any_family(oid) || is_compatible_family(oid)
}

pub(super) fn is_any_family(oid: Oid) -> bool {
    matches!(
        oid,
        Oid::ANYELEMENT | Oid::ANYARRAY | Oid::ANYNONARRAY | Oid::ANYENUM | Oid::ANYRANGE | Oid(4537)
    )
}

pub(super) fn is_compatible_family(oid: Oid) -> bool {
    matches!(
        oid,
        Oid::ANYCOMPATIBLE | Oid::ANYCOMPATIBLEARRAY | Oid::ANYCOMPATIBLENONARRAY | Oid(5080) | Oid(4538)
    )
}

/// The elements of the two vector types, which cast to arrays of them.
fn vector_element(ty: Oid) -> Option<Oid> {
    match ty {
        Oid::INT2VECTOR => Some(Oid::INT2),
        Oid::OIDVECTOR => Some(Oid::OID),
        _ => None,
    }
}

impl Binder<'_> {
    /// How to get from one type to the other in that context; `None`: not at all.
    pub(super) fn pathway(&self, from: Oid, to: Oid, context: CastContext) -> Option<CastKind> {
        if from == to {
            return Some(CastKind::Relabel);
        }
        if let Some(row) = Registry::get().cast(from, to) {
            if row.context > context {
                return None;
            }
            return Some(match row.method {
                CastMethod::Function => CastKind::Function(row.function),
                CastMethod::InOut => CastKind::InOut,
                CastMethod::Binary => CastKind::Relabel,
            });
        }
        if vector_element(from).is_some_and(|element| self.element_of(to) == Some(element)) {
            return Some(CastKind::ArrayElements(ArrayElementCast::Relabel));
        }
        if let (Some(from), Some(to)) = (self.element_of(from), self.element_of(to)) {
            return Some(match self.pathway(from, to, context)? {
                CastKind::Function(f) => CastKind::ArrayElements(ArrayElementCast::Function(f)),
                CastKind::Relabel => CastKind::ArrayElements(ArrayElementCast::Relabel),
                CastKind::InOut => CastKind::ArrayElements(ArrayElementCast::InOut),
                CastKind::ArrayElements(_) | CastKind::Length => return None,
            });
        }
        if context >= CastContext::Assignment && self.category(to).0 == 'S' {
            return Some(CastKind::InOut);
        }
        if context >= CastContext::Explicit && self.category(from).0 == 'S' {
            return Some(CastKind::InOut);
        }
        None
    }

    /// Whether `from` can become `to` in that context, one argument on its own.
    pub(super) fn can_coerce(&self, from: Oid, to: Oid, context: CastContext) -> bool {
        if from == to || from == Oid::UNKNOWN || to == Oid::ANY {
            return true;
        }
        match to {
            Oid::ANYELEMENT | Oid::ANYCOMPATIBLE => true,
            Oid::ANYARRAY | Oid::ANYCOMPATIBLEARRAY => {
                self.element_of(from).is_some() || from == Oid::ANYARRAY
            }
            Oid::ANYNONARRAY | Oid::ANYCOMPATIBLENONARRAY => self.element_of(from).is_none(),
            Oid::ANYENUM => self.is_enum(from),
            _ if ANYRANGE_LIKE.contains(&to) => self.category(from).0 == 'R',
            Oid::RECORD_ARRAY => false,
            _ => self.pathway(from, to, context).is_some(),
        }
    }

    /// Coerces without a type modifier; the caller knows that it can.
    pub(super) fn coerce(&mut self, expr: Expr, to: Oid, context: CastContext) -> Result<Expr> {
        if expr.ty.oid == to || to == Oid::ANY || is_polymorphic(to) || to == Oid::UNKNOWN {
            return Ok(expr);
        }
        let explicit = context == CastContext::Explicit;
        if expr.ty.oid == Oid::UNKNOWN {
            match expr.kind {
                ExprKind::Const(value) => return self.literal(value, to, expr.at),
                ExprKind::Param(n) => return self.type_param(n, to, expr.at),
                _ => {}
            }
        }
        let ty = self.ty(to);
        let from = if expr.ty.oid == Oid::UNKNOWN { Oid::TEXT } else { expr.ty.oid };
        let kind = match self.pathway(from, to, context) {
            Some(CastKind::Relabel) if from == to => CastKind::Relabel,
            Some(kind) => kind,
            None if expr.ty.oid == Oid::UNKNOWN => CastKind::InOut,
            None => return Err(self.cannot_cast(expr.ty.oid, to, expr.at)),
        };
        // varchar as text and the like keep their modifier.
        let at = expr.at;
        Ok(Expr::new(ExprKind::Cast { kind, arg: Box::new(expr), explicit }, ty).with_at(at))
    }

    fn type_param(&mut self, n: u16, to: Oid, at: Offset) -> Result<Expr> {
        let known = self.params.get(n);
        if known == Oid::UNKNOWN {
            self.params.types[usize::from(n) - 1] = to;
        } else if known != to {
            let error = SqlError::new(
                SqlState::AMBIGUOUS_PARAMETER,
                format!("inconsistent types deduced for parameter ${n}"),
            )
            .with_detail(format!("{} versus {}", self.type_label(known), self.type_label(to)));
            return Err(place(error, at));
        }
        Ok(Expr::new(ExprKind::Param(n), self.ty(to)).with_at(at))
    }

    pub(super) fn cannot_cast(&self, from: Oid, to: Oid, at: Offset) -> SqlError {
        let message = format!("cannot cast type {} to {}", self.type_label(from), self.type_label(to));
        place(SqlError::new(SqlState::CANNOT_COERCE, message), at)
    }

    /// Applies a type modifier, where the target has one and the value may differ.
    pub(super) fn apply_typmod(&self, expr: Expr, target: TypeRef, explicit: bool) -> Expr {
        if target.typmod < 0 || (expr.ty.oid == target.oid && expr.ty.typmod == target.typmod) {
            return expr;
        }
        let at = expr.at;
        let ty = TypeRef { typmod: target.typmod, ..expr.ty };
        let kind = CastKind::Length;
        Expr::new(ExprKind::Cast { kind, arg: Box::new(expr), explicit }, ty).with_at(at)
    }

    /// `expr::type`.
    pub(super) fn cast(&mut self, expr: Expr, target: TypeRef) -> Result<Expr> {
        let from = expr.ty.oid;
        if !self.can_coerce(from, target.oid, CastContext::Explicit) {
            return Err(self.cannot_cast(from, target.oid, expr.at));
        }
        let coerced = self.coerce(expr, target.oid, CastContext::Explicit)?;
        Ok(self.apply_typmod(coerced, target, true))
    }

    /// Coerces to a column's type as an assignment; `column` names it for the error.
    pub(super) fn assign(&mut self, expr: Expr, target: TypeRef, column: Option<&str>) -> Result<Expr> {
        if matches!(expr.kind, ExprKind::Default) {
            return Ok(Expr { ty: target, ..expr });
        }
        let from = expr.ty.oid;
        if !self.can_coerce(from, target.oid, CastContext::Assignment) {
            let (to, from) = (self.type_label(target.oid), self.type_label(from));
            let message = match column {
                Some(name) => format!("column \"{name}\" is of type {to} but expression is of type {from}"),
                None => format!("cannot cast type {from} to {to}"),
            };
            let error = SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("You will need to rewrite or cast the expression.");
            return Err(place(error, expr.at));
        }
        let coerced = self.coerce(expr, target.oid, CastContext::Assignment)?;
        Ok(self.apply_typmod(coerced, target, false))
    }

    /// The common type of several expressions, as for UNION, CASE, ARRAY, VALUES.
    pub(super) fn common_type(&self, context: &str, exprs: &[&Expr]) -> Result<Oid> {
        let known = |e: &&&Expr| e.ty.oid != Oid::UNKNOWN;
        let Some(first) = exprs.iter().find(known) else { return Ok(Oid::TEXT) };
        let mut best = first.ty.oid;
        if exprs.iter().all(|e| e.ty.oid == best) {
            return Ok(best);
        }
        let (mut category, mut preferred) = self.category(best);
        for expr in exprs.iter().filter(known) {
            let ty = expr.ty.oid;
            if ty == best {
                continue;
            }
            let (its_category, its_preferred) = self.category(ty);
            if its_category != category {
                let message = format!(
                    "{context} types {} and {} cannot be matched",
                    self.type_label(best),
                    self.type_label(ty)
                );
                return Err(place(SqlError::new(SqlState::DATATYPE_MISMATCH, message), expr.at));
            }
            if !preferred
                && self.can_coerce(best, ty, CastContext::Implicit)
                && !self.can_coerce(ty, best, CastContext::Implicit)
            {
                (best, category, preferred) = (ty, its_category, its_preferred);
            }
        }
        Ok(best)
    }

    /// Coerces to a common type, with the error that names the context.
    pub(super) fn to_common(&mut self, expr: Expr, to: Oid, context: &str) -> Result<Expr> {
        if !self.can_coerce(expr.ty.oid, to, CastContext::Implicit) {
            let message = format!(
                "{context} could not convert type {} to {}",
                self.type_label(expr.ty.oid),
                self.type_label(to)
            );
            return Err(place(SqlError::new(SqlState::CANNOT_COERCE, message), expr.at));
        }
        self.coerce(expr, to, CastContext::Implicit)
    }

    /// All to their common type.
    pub(super) fn unify(&mut self, exprs: Vec<Expr>, context: &str) -> Result<(Vec<Expr>, TypeRef)> {
        let common = self.common_type(context, &exprs.iter().collect::<Vec<_>>())?;
        let exprs: Vec<Expr> =
            exprs.into_iter().map(|e| self.to_common(e, common, context)).collect::<Result<_>>()?;
        let first = exprs.first().map_or(-1, |e| e.ty.typmod);
        let typmod = if exprs.iter().all(|e| e.ty.typmod == first) { first } else { -1 };
        Ok((exprs, self.ty(common).with_typmod(typmod)))
    }

    /// A condition: boolean, or the error that names the clause.
    pub(super) fn boolean(&mut self, expr: Expr, clause: &str) -> Result<Expr> {
        let from = expr.ty.oid;
        if from == Oid::BOOL {
            return Ok(expr);
        }
        if !self.can_coerce(from, Oid::BOOL, CastContext::Assignment) {
            let message =
                format!("argument of {clause} must be type boolean, not type {}", self.type_label(from));
            return Err(place(SqlError::new(SqlState::DATATYPE_MISMATCH, message), expr.at));
        }
        self.coerce(expr, Oid::BOOL, CastContext::Assignment)
    }

    /// Unknown literals become text where nothing else tells their type.
    pub(super) fn unknown_to_text(&mut self, expr: Expr) -> Expr {
        if expr.ty.oid != Oid::UNKNOWN {
            return expr;
        }
        match self.coerce(expr.clone(), Oid::TEXT, CastContext::Implicit) {
            Ok(text) => text,
            Err(_) => expr,
        }
    }
}

/// Sets an error's place, when known.
pub(super) fn place(error: SqlError, at: Offset) -> SqlError {
    match at {
        Some(at) => error.at(at),
        None => error,
    }
}
