//! Functions that return sets, in FROM: generate_series, unnest, generate_subscripts; a scalar
//! function gives one row.

use super::env::QueryEnv;
use crate::expr::{Compiled, Slots, compile};
use crate::ir::{Expr, ExprKind};
use crate::registry::Registry;
use crate::types::Datum;
use crate::{Result, SqlError, SqlState};

/// The values of one call, in order.
pub(super) type Values = Box<dyn Iterator<Item = Result<Datum>> + Send>;

/// One call, compiled.
#[derive(Debug)]
pub(super) struct SetFunction {
    kind: Kind,
    args: Vec<Compiled>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Scalar,
    Series,
    Unnest,
    Subscripts,
}

/// Compiles a call. Fails with 0A000 on a set-returning function that is not built.
pub(super) fn set_function(expr: &Expr, slots: Slots<'_>) -> Result<SetFunction> {
    let ExprKind::SetCall { function, args } = &expr.kind else {
        return Ok(SetFunction { kind: Kind::Scalar, args: vec![compile(expr, slots)?] });
    };
    let name = Registry::get().proc(*function).map_or("", |p| p.name);
    let integers = args.iter().all(|a| matches!(a.ty.oid, crate::Oid::INT4 | crate::Oid::INT8));
    let kind = match name {
        "generate_series" if integers => Kind::Series,
        "unnest" if args.len() == 1 => Kind::Unnest,
        "generate_subscripts" => Kind::Subscripts,
        _ => return Err(SqlError::not_built(format!("function {name}"))),
    };
    Ok(SetFunction { kind, args: args.iter().map(|a| compile(a, slots)).collect::<Result<_>>()? })
}

impl SetFunction {
    /// The values over one row of slots.
    pub(super) fn values(&self, env: &QueryEnv, params: &[Datum], row: &[Datum]) -> Result<Values> {
        let eval = env.eval(params);
        let args = self.args.iter().map(|a| a.eval(&eval, row)).collect::<Result<Vec<_>>>()?;
        match self.kind {
            Kind::Scalar => Ok(Box::new(args.into_iter().map(Ok))),
            _ if args.iter().any(Datum::is_null) => Ok(Box::new(std::iter::empty())),
            Kind::Series => series(&args),
            Kind::Unnest => match args.into_iter().next() {
                Some(Datum::Array(array)) => {
                    let count = array.items.len();
                    Ok(Box::new((0..count).map(move |i| Ok(array.items[i].clone()))))
                }
                _ => Err(SqlError::internal("unnest of something else than an array")),
            },
            Kind::Subscripts => Ok(subscripts(&args)),
        }
    }
}

fn series(args: &[Datum]) -> Result<Values> {
    let wide = args.iter().any(|a| matches!(a, Datum::Int8(_)));
    let integers: Vec<i64> = args
        .iter()
        .map(|a| match a {
            Datum::Int4(v) => Ok(i64::from(*v)),
            Datum::Int8(v) => Ok(*v),
            other => Err(SqlError::internal(format!("generate_series of {other:?}"))),
        })
        .collect::<Result<_>>()?;
    let (start, stop, step) = match integers[..] {
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => return Err(SqlError::internal("generate_series of another number of arguments")),
    };
    if step == 0 {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    let inside = move |v: &i64| if step > 0 { *v <= stop } else { *v >= stop };
    let values = std::iter::successors(Some(start), move |v| v.checked_add(step)).take_while(inside);
    Ok(Box::new(values.map(move |v| match (wide, i32::try_from(v)) {
        (false, Ok(v)) => Ok(Datum::Int4(v)),
        _ => Ok(Datum::Int8(v)),
    })))
}

fn subscripts(args: &[Datum]) -> Values {
    let (Some(Datum::Array(array)), Some(Datum::Int4(dimension))) = (args.first(), args.get(1)) else {
        return Box::new(std::iter::empty());
    };
    let at = usize::try_from(*dimension - 1).ok();
    let Some(dim) = at.and_then(|at| array.dims.get(at)).copied() else {
        return Box::new(std::iter::empty());
    };
    let mut all: Vec<i32> = (dim.lower..dim.lower + dim.len).collect();
    if matches!(args.get(2), Some(Datum::Bool(true))) {
        all.reverse();
    }
    Box::new(all.into_iter().map(|v| Ok(Datum::Int4(v))))
}

/// The rows of several calls side by side: short ones are filled up with nulls.
pub(super) struct SideBySide {
    calls: Vec<Values>,
    ordinality: bool,
    row: i64,
}

/// Starts all calls. With `ordinality` the row's number, from 1, comes last.
pub(super) fn side_by_side(
    calls: &[SetFunction],
    ordinality: bool,
    env: &QueryEnv,
    params: &[Datum],
) -> Result<SideBySide> {
    let calls = calls.iter().map(|c| c.values(env, params, &[])).collect::<Result<_>>()?;
    Ok(SideBySide { calls, ordinality, row: 0 })
}

impl Iterator for SideBySide {
    type Item = Result<Vec<Datum>>;

    fn next(&mut self) -> Option<Result<Vec<Datum>>> {
        let mut any = false;
        let mut row = Vec::with_capacity(self.calls.len() + 1);
        for call in &mut self.calls {
            match call.next() {
                None => row.push(Datum::Null),
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(value)) => {
                    any = true;
                    row.push(value);
                }
            }
        }
        if !any {
            return None;
        }
        self.row += 1;
        if self.ordinality {
            row.push(Datum::Int8(self.row));
        }
        Some(Ok(row))
    }
}
