//! The SQL forms with a grammar of their own: EXTRACT, SUBSTRING, TRIM, AT TIME ZONE, INTERVAL,
//! CURRENT_…: most are calls of ordinary functions.

use super::Binder;
use super::coerce::place;
use crate::ir::{Expr, ExprKind, Offset, SessionValue};
use crate::parse::lexer::offset_of;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError};
use sqlparser::ast::{self, DateTimeField, IntervalFields, Spanned, TrimWhereField};

/// The session value behind a key word that takes no parentheses.
pub(super) fn session_word(word: &str) -> Option<SessionValue> {
    Some(match word {
        "current_date" => SessionValue::CurrentDate,
        "current_time" => SessionValue::CurrentTime { typmod: -1 },
        "current_timestamp" => SessionValue::CurrentTimestamp { typmod: -1 },
        "localtime" => SessionValue::LocalTime { typmod: -1 },
        "localtimestamp" => SessionValue::LocalTimestamp { typmod: -1 },
        "current_user" | "current_role" | "user" => SessionValue::CurrentUser,
        "session_user" => SessionValue::SessionUser,
        "current_catalog" => SessionValue::CurrentCatalog,
        "current_schema" => SessionValue::CurrentSchema,
        _ => return None,
    })
}

impl Binder<'_> {
    /// A session value, with the precision of CURRENT_TIMESTAMP(n).
    pub(super) fn session_value(
        &self,
        value: SessionValue,
        precision: Option<i32>,
        at: Offset,
    ) -> Result<Expr> {
        let typmod = precision.map_or(-1, |p| p.clamp(0, 6));
        let (value, oid) = match value {
            SessionValue::CurrentDate => (value, Oid::DATE),
            SessionValue::CurrentTime { .. } => (SessionValue::CurrentTime { typmod }, Oid::TIMETZ),
            SessionValue::CurrentTimestamp { .. } => {
                (SessionValue::CurrentTimestamp { typmod }, Oid::TIMESTAMPTZ)
            }
            SessionValue::LocalTime { .. } => (SessionValue::LocalTime { typmod }, Oid::TIME),
            SessionValue::LocalTimestamp { .. } => (SessionValue::LocalTimestamp { typmod }, Oid::TIMESTAMP),
            _ => (value, Oid::NAME),
        };
        Ok(Expr::new(ExprKind::Session(value), self.ty(oid).with_typmod(typmod)).with_at(at))
    }

    pub(super) fn special(&mut self, tree: &ast::Expr) -> Result<Expr> {
        let at = offset_of(tree.span());
        match tree {
            ast::Expr::Extract { field, expr, .. } => {
                let value = self.expr(expr)?;
                let name = self.text_constant(&field_name(field), at);
                self.call_named("extract", vec![name, value], at)
            }
            ast::Expr::Position { expr, r#in } => {
                let (part, whole) = (self.expr(expr)?, self.expr(r#in)?);
                self.call_named("position", vec![whole, part], at)
            }
            ast::Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![self.expr(expr)?];
                match (substring_from, substring_for) {
                    (Some(from), length) => {
                        args.push(self.expr(from)?);
                        if let Some(length) = length {
                            args.push(self.expr(length)?);
                        }
                    }
                    (None, Some(length)) => {
                        args.push(Expr::constant(Datum::Int4(1), self.ty(Oid::INT4)));
                        args.push(self.expr(length)?);
                    }
                    (None, None) => {}
                }
                self.call_named("substring", args, at)
            }
            ast::Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut args = vec![self.expr(expr)?, self.expr(overlay_what)?, self.expr(overlay_from)?];
                if let Some(length) = overlay_for {
                    args.push(self.expr(length)?);
                }
                self.call_named("overlay", args, at)
            }
            ast::Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let mut args = vec![self.expr(expr)?];
                if let Some(what) = trim_what {
                    args.push(self.expr(what)?);
                }
                for what in trim_characters.iter().flatten() {
                    args.push(self.expr(what)?);
                }
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                self.call_named(name, args, at)
            }
            ast::Expr::AtTimeZone { timestamp, time_zone } => {
                let value = self.expr(timestamp)?;
                let zone = self.expr(time_zone)?;
                let start = value.at;
                self.call_named("timezone", vec![zone, value], start)
            }
            ast::Expr::Interval(interval) => self.interval(interval, at),
            ast::Expr::Ceil { expr, .. } => {
                let value = self.expr(expr)?;
                self.call_named("ceil", vec![value], at)
            }
            ast::Expr::Floor { expr, .. } => {
                let value = self.expr(expr)?;
                self.call_named("floor", vec![value], at)
            }
            ast::Expr::Prefixed { prefix, .. } => {
                Err(place(SqlError::not_built(prefix.value.to_uppercase()), at))
            }
            ast::Expr::IsNormalized { .. } => Err(place(SqlError::not_built("IS NORMALIZED"), at)),
            ast::Expr::IsJson { .. } => Err(place(SqlError::not_built("IS JSON"), at)),
            _ => Err(place(SqlError::not_built("this form of expression"), at)),
        }
    }

    pub(super) fn text_constant(&self, text: &str, at: Offset) -> Expr {
        Expr::constant(Datum::text(text), self.ty(Oid::TEXT)).with_at(at)
    }

    fn interval(&mut self, interval: &ast::Interval, at: Offset) -> Result<Expr> {
        let value = self.expr(&interval.value)?;
        let fields = match (&interval.leading_field, &interval.last_field) {
            (None, _) => None,
            (Some(first), None) => interval_field(first),
            (Some(first), Some(last)) => interval_range(first, last),
        };
        if interval.leading_field.is_some() && fields.is_none() {
            return Err(place(SqlError::not_built("these interval fields"), at));
        }
        let precision = interval.fractional_seconds_precision.or(interval.leading_precision);
        let typmod = super::typename::interval_typmod(fields.as_ref(), precision);
        self.cast(value, TypeRef::of(Oid::INTERVAL).with_typmod(typmod))
    }

    /// `(a, b) OVERLAPS (c, d)`.
    pub(super) fn overlaps(&mut self, left: &ast::Expr, right: &ast::Expr) -> Result<Expr> {
        let at = offset_of(left.span());
        let fields = |e| super::expr::row_fields(e).filter(|f| f.len() == 2);
        let (Some(l), Some(r)) = (fields(left), fields(right)) else {
            return Err(place(
                SqlError::new(
                    crate::SqlState::SYNTAX_ERROR,
                    "wrong number of parameters on left side of OVERLAPS expression",
                ),
                at,
            ));
        };
        let args = l.iter().chain(r).map(|e| self.expr(e)).collect::<Result<Vec<_>>>()?;
        self.call_named("overlaps", args, at)
    }
}

fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(name) => name.value.clone(),
        other => other.to_string().to_ascii_lowercase(),
    }
}

fn interval_field(field: &DateTimeField) -> Option<IntervalFields> {
    Some(match field {
        DateTimeField::Year => IntervalFields::Year,
        DateTimeField::Month => IntervalFields::Month,
        DateTimeField::Day => IntervalFields::Day,
        DateTimeField::Hour => IntervalFields::Hour,
        DateTimeField::Minute => IntervalFields::Minute,
        DateTimeField::Second => IntervalFields::Second,
        _ => return None,
    })
}

fn interval_range(first: &DateTimeField, last: &DateTimeField) -> Option<IntervalFields> {
    Some(match (first, last) {
        (DateTimeField::Year, DateTimeField::Month) => IntervalFields::YearToMonth,
        (DateTimeField::Day, DateTimeField::Hour) => IntervalFields::DayToHour,
        (DateTimeField::Day, DateTimeField::Minute) => IntervalFields::DayToMinute,
        (DateTimeField::Day, DateTimeField::Second) => IntervalFields::DayToSecond,
        (DateTimeField::Hour, DateTimeField::Minute) => IntervalFields::HourToMinute,
        (DateTimeField::Hour, DateTimeField::Second) => IntervalFields::HourToSecond,
        (DateTimeField::Minute, DateTimeField::Second) => IntervalFields::MinuteToSecond,
        _ => return None,
    })
}
