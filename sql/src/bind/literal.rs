//! Constants: how their text becomes a value of a type.

use super::Binder;
use super::coerce::place;
use crate::ir::{CastKind, Expr, ExprKind, Offset};
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::Value;

impl Binder<'_> {
    /// A literal as written: numbers get int4, int8 or numeric by size; strings stay unknown.
    pub(super) fn value(&mut self, value: &Value, negative: bool, at: Offset) -> Result<Expr> {
        let unknown =
            |text: &str| Ok(Expr::constant(Datum::text(text), TypeRef::of(Oid::UNKNOWN)).with_at(at));
        match value {
            Value::Number(digits, _) => self.number(digits, negative, at),
            Value::SingleQuotedString(s) => unknown(s),
            Value::NationalStringLiteral(s) => {
                Ok(Expr::constant(Datum::text(s), self.ty(Oid::BPCHAR)).with_at(at))
            }
            Value::Boolean(b) => Ok(Expr::constant(Datum::Bool(*b), self.ty(Oid::BOOL)).with_at(at)),
            Value::Null => Ok(Expr::constant(Datum::Null, TypeRef::of(Oid::UNKNOWN)).with_at(at)),
            Value::Placeholder(name) => self.param(name, at),
            _ => Err(place(SqlError::not_built("a bit string literal"), at)),
        }
    }

    fn number(&mut self, digits: &str, negative: bool, at: Offset) -> Result<Expr> {
        let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
        let expr = if let Ok(v) = signed.parse::<i32>() {
            Expr::constant(Datum::Int4(v), self.ty(Oid::INT4))
        } else if let Ok(v) = signed.parse::<i64>() {
            Expr::constant(Datum::Int8(v), self.ty(Oid::INT8))
        } else {
            return self.literal(Datum::text(&signed), Oid::NUMERIC, at);
        };
        Ok(expr.with_at(at))
    }

    fn param(&mut self, name: &str, at: Offset) -> Result<Expr> {
        let number: Option<u16> = name.strip_prefix('$').and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        let Some(n) = number else {
            let message = format!("there is no parameter {name}");
            return Err(place(SqlError::new(SqlState::UNDEFINED_PARAMETER, message), at));
        };
        let oid = self.params.get(n);
        Ok(Expr::new(ExprKind::Param(n), self.ty(oid)).with_at(at))
    }

    /// An unknown literal as a value of a type, read by the type's input. What depends on more than
    /// the text (enums, object names, `now`) stays a cast from `unknown`, done when it runs.
    pub(super) fn literal(&mut self, value: Datum, to: Oid, at: Offset) -> Result<Expr> {
        let ty = self.ty(to);
        let Datum::Text(text) = &value else {
            return Ok(Expr::constant(value, ty).with_at(at));
        };
        if self.is_user_defined(to) {
            return self.read_later(value, ty, at);
        }
        match to {
            // Names of objects and times relative to now are read when the statement runs.
            Oid::REGCLASS
            | Oid::REGTYPE
            | Oid::REGPROC
            | Oid::REGPROCEDURE
            | Oid::REGNAMESPACE
            | Oid::REGROLE
            | Oid::REGOPER
            | Oid::REGOPERATOR => self.read_later(value, ty, at),
            Oid::DATE | Oid::TIME | Oid::TIMETZ | Oid::TIMESTAMP | Oid::TIMESTAMPTZ if is_relative(text) => {
                self.read_later(value, ty, at)
            }
            _ => {
                let read = crate::types::input(ty, text, &self.session.format).map_err(|e| place(e, at))?;
                Ok(Expr::constant(read, ty).with_at(at))
            }
        }
    }

    /// A literal whose input runs with the statement: a cast from `unknown`.
    fn read_later(&self, value: Datum, ty: TypeRef, at: Offset) -> Result<Expr> {
        let unknown = Expr::constant(value, TypeRef::of(Oid::UNKNOWN)).with_at(at);
        let kind = ExprKind::Cast { kind: CastKind::InOut, arg: Box::new(unknown), explicit: false };
        Ok(Expr::new(kind, ty).with_at(at))
    }
}

/// `now`, `today` and the like: their value is that of the moment.
fn is_relative(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["now", "today", "tomorrow", "yesterday"].iter().any(|w| text.contains(w))
}
