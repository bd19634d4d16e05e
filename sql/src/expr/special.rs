//! The parts of evaluation that are not functions of the catalog: nulls, booleans, arrays, rows.

use crate::ir::{BoolTest, SessionValue};
use crate::kernels::CallContext;
use crate::types::{self, ArrayDim, ArrayValue, Datum};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;

/// PostgreSQL's MAXDIM.
const MAX_DIMENSIONS: usize = 6;

pub(super) fn bool_of(value: &Datum) -> Option<bool> {
    match value {
        Datum::Bool(v) => Some(*v),
        _ => None,
    }
}

/// IS [NOT] NULL; of a row it asks every field.
pub(super) fn is_null(value: &Datum, negated: bool) -> bool {
    match value {
        Datum::Record(fields) => fields.iter().all(|(_, field)| field.is_null() != negated),
        value => value.is_null() != negated,
    }
}

pub(super) fn bool_test(value: &Datum, test: BoolTest) -> bool {
    match (bool_of(value), test) {
        (value, BoolTest::True) => value == Some(true),
        (value, BoolTest::NotTrue) => value != Some(true),
        (value, BoolTest::False) => value == Some(false),
        (value, BoolTest::NotFalse) => value != Some(false),
        (value, BoolTest::Unknown) => value.is_none(),
        (value, BoolTest::NotUnknown) => value.is_some(),
    }
}

/// GREATEST and LEAST: nulls do not count.
pub(super) fn min_max(greatest: bool, ty: Oid, args: impl IntoIterator<Item = Datum>) -> Result<Datum> {
    let mut best = Datum::Null;
    for value in args {
        if value.is_null() {
            continue;
        }
        let better = best.is_null() || {
            let order = types::compare(ty, &value, &best);
            if greatest { order.is_gt() } else { order.is_lt() }
        };
        if better {
            best = value;
        }
    }
    Ok(best)
}

/// ARRAY[…]; `nested`: the items are arrays of one more dimension.
pub(super) fn build_array(
    element: Oid,
    items: impl IntoIterator<Item = Datum>,
    nested: bool,
) -> Result<Datum> {
    if !nested {
        return Ok(Datum::array(element, items.into_iter().collect()));
    }
    let mismatch = || {
        SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            "multidimensional arrays must have array expressions with matching dimensions",
        )
    };
    let (mut inner, mut all, mut count) = (None::<Arc<ArrayValue>>, vec![], 0);
    for item in items {
        let Datum::Array(array) = item else { return Err(mismatch()) };
        if inner.as_ref().is_some_and(|first| first.dims != array.dims) {
            return Err(mismatch());
        }
        all.extend(array.items.iter().cloned());
        inner.get_or_insert(array);
        count += 1;
    }
    let Some(first) = inner else { return Ok(Datum::array(element, vec![])) };
    if first.dims.is_empty() {
        return Ok(Datum::array(element, vec![]));
    }
    if first.dims.len() == MAX_DIMENSIONS {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMENSIONS})",
                MAX_DIMENSIONS + 1
            ),
        ));
    }
    let mut dims = smallvec::smallvec![ArrayDim { len: count, lower: 1 }];
    dims.extend(first.dims.iter().copied());
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, items: all })))
}

pub(super) fn map_array(
    array: &Datum,
    element: Oid,
    mut each: impl FnMut(&Datum) -> Result<Datum>,
) -> Result<Datum> {
    let Datum::Array(array) = array else { return Err(SqlError::internal("array cast of something else")) };
    let items = array
        .items
        .iter()
        .map(|item| if item.is_null() { Ok(Datum::Null) } else { each(item) })
        .collect::<Result<Vec<_>>>()?;
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims: array.dims.clone(), items })))
}

/// One element; null when a subscript is null or outside, or their number is wrong.
pub(super) fn subscript(array: &Datum, indexes: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = array else { return Ok(Datum::Null) };
    if indexes.len() != array.dims.len() {
        return Ok(Datum::Null);
    }
    let mut at = 0usize;
    for (dim, index) in array.dims.iter().zip(indexes) {
        let Datum::Int4(index) = index else { return Ok(Datum::Null) };
        let offset = i64::from(*index) - i64::from(dim.lower);
        if offset < 0 || offset >= i64::from(dim.len) {
            return Ok(Datum::Null);
        }
        at = at * dim.len as usize + offset as usize;
    }
    Ok(array.items[at].clone())
}

/// `array[lo:hi]…`: omitted bounds are the array's own; nothing left gives an empty array.
pub(super) fn slice(array: &Datum, bounds: &[(Option<Datum>, Option<Datum>)]) -> Result<Datum> {
    let Datum::Array(array) = array else { return Ok(Datum::Null) };
    let empty = || Ok(Datum::array(array.element, vec![]));
    if bounds.len() > array.dims.len() {
        return empty();
    }
    let mut ranges = vec![];
    for (i, dim) in array.dims.iter().enumerate() {
        let upper = dim.lower + dim.len - 1;
        let (lo, hi) = match bounds.get(i) {
            None => (dim.lower, upper),
            Some((lo, hi)) => {
                let (Some(lo), Some(hi)) = (slice_bound(lo, dim.lower), slice_bound(hi, upper)) else {
                    return Ok(Datum::Null);
                };
                (lo.max(dim.lower), hi.min(upper))
            }
        };
        if lo > hi {
            return empty();
        }
        ranges.push(((lo - dim.lower) as usize, (hi - lo + 1) as usize));
    }
    let items = slice_items(array, &ranges);
    let dims = ranges.iter().map(|(_, len)| ArrayDim { len: *len as i32, lower: 1 }).collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element: array.element, dims, items })))
}

/// The bound's value: `None` when it is null.
fn slice_bound(bound: &Option<Datum>, default: i32) -> Option<i32> {
    match bound {
        None => Some(default),
        Some(Datum::Int4(v)) => Some(*v),
        Some(_) => None,
    }
}

/// The elements of a box of (offset, length) a dimension, row-major.
fn slice_items(array: &ArrayValue, ranges: &[(usize, usize)]) -> Vec<Datum> {
    let total: usize = ranges.iter().map(|(_, len)| len).product();
    (0..total)
        .map(|n| {
            let (mut rest, mut at, mut stride) = (n, 0, 1);
            for (dim, (offset, len)) in array.dims.iter().zip(ranges).rev() {
                at += (offset + rest % len) * stride;
                rest /= len;
                stride *= dim.len as usize;
            }
            array.items[at].clone()
        })
        .collect()
}

/// CURRENT_DATE and its like: all tell the start of the transaction.
pub(super) fn session_value(value: SessionValue, cx: &CallContext<'_>) -> Datum {
    let now = cx.session.transaction_start;
    match value {
        SessionValue::CurrentTimestamp { typmod } => Datum::Timestamp(round_micros(now, typmod)),
        SessionValue::LocalTimestamp { typmod } => Datum::Timestamp(round_micros(local(cx, now).0, typmod)),
        SessionValue::CurrentDate => Datum::Date(local(cx, now).0.div_euclid(DAY) as i32),
        SessionValue::LocalTime { typmod } => {
            Datum::Time(round_micros(local(cx, now).0.rem_euclid(DAY), typmod))
        }
        SessionValue::CurrentTime { typmod } => {
            let (local, offset) = local(cx, now);
            let micros = round_micros(local.rem_euclid(DAY), typmod);
            Datum::TimeTz(types::TimeTz { micros, zone: -offset })
        }
        SessionValue::CurrentUser => Datum::text(&cx.session.role_name),
        SessionValue::SessionUser => Datum::text(&cx.session.session_role_name),
        SessionValue::CurrentCatalog => Datum::text(&cx.session.database_name),
        SessionValue::CurrentSchema => {
            let schema = cx.session.search_path.first().and_then(|oid| cx.catalog.get(*oid));
            schema.map_or(Datum::Null, |schema| Datum::text(schema.name()))
        }
    }
}

const DAY: i64 = 86_400_000_000;
/// Seconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const PG_EPOCH: i64 = 946_684_800;

/// Local microseconds in the session's zone, and the zone's offset east of UTC in seconds.
fn local(cx: &CallContext<'_>, utc: i64) -> (i64, i32) {
    let offset = jiff::Timestamp::from_second(utc.div_euclid(1_000_000) + PG_EPOCH)
        .map_or(0, |at| cx.fmt.time_zone.to_offset(at).seconds());
    (utc + i64::from(offset) * 1_000_000, offset)
}

/// Rounds to a precision of 0..=6 decimal places; -1 keeps all.
fn round_micros(micros: i64, typmod: i32) -> i64 {
    match u32::try_from(typmod) {
        Ok(places) if places < 6 => {
            let unit = 10i64.pow(6 - places);
            (micros + unit / 2).div_euclid(unit) * unit
        }
        _ => micros,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Datum {
        let row = |a, b| Datum::array(Oid::INT4, vec![Datum::Int4(a), Datum::Int4(b)]);
        build_array(Oid::INT4, [row(1, 2), row(3, 4), row(5, 6)], true).unwrap()
    }

    fn ints(value: &Datum) -> Vec<i32> {
        let Datum::Array(array) = value else { panic!("not an array") };
        array.items.iter().map(|d| if let Datum::Int4(v) = d { *v } else { -1 }).collect()
    }

    #[test]
    fn subscripts_and_slices_count_from_the_lower_bound() {
        let m = matrix();
        assert!(matches!(subscript(&m, &[Datum::Int4(2), Datum::Int4(1)]).unwrap(), Datum::Int4(3)));
        assert!(subscript(&m, &[Datum::Int4(4), Datum::Int4(1)]).unwrap().is_null());
        assert!(subscript(&m, &[Datum::Int4(1)]).unwrap().is_null());
        let cut =
            slice(&m, &[(Some(Datum::Int4(2)), None), (Some(Datum::Int4(2)), Some(Datum::Int4(9)))]).unwrap();
        assert_eq!(ints(&cut), [4, 6]);
    }

    #[test]
    fn arrays_of_unlike_shape_do_not_nest() {
        let a = Datum::array(Oid::INT4, vec![Datum::Int4(1)]);
        let b = Datum::array(Oid::INT4, vec![Datum::Int4(1), Datum::Int4(2)]);
        assert_eq!(build_array(Oid::INT4, [a, b], true).unwrap_err().code(), SqlState::ARRAY_SUBSCRIPT_ERROR);
    }
}
