//! Array functions.

use super::args::{array, int4, text};
use super::{CallContext, Table};
use crate::types::{ArrayDim, ArrayValue, Datum, Io, compare_with};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;

/// The array behind an argument that may be null: an empty one of the element type.
fn or_empty(value: &Datum, element: Oid) -> Result<Arc<ArrayValue>> {
    if value.is_null() { Ok(Arc::new(ArrayValue::of(element, Vec::new()))) } else { array(value) }
}

fn one_dimension(array: &ArrayValue) -> Result<()> {
    if array.dims.len() > 1 {
        return Err(SqlError::new(
            SqlState::DATA_EXCEPTION,
            "argument must be empty or one-dimensional array",
        ));
    }
    Ok(())
}

/// An array with new items under the old lower bound.
fn with_items(old: &ArrayValue, lower: i32, items: Vec<Datum>) -> Datum {
    let mut value = ArrayValue::of(old.element, items);
    if let Some(dim) = value.dims.first_mut() {
        dim.lower = lower;
    }
    Datum::Array(Arc::new(value))
}

fn lower(array: &ArrayValue) -> i32 {
    array.dims.first().map_or(1, |dim| dim.lower)
}

/// The element type of an array argument that may be a null.
fn element_type(cx: &CallContext<'_>, at: usize, other: usize) -> Oid {
    cx.io().array_element(cx.arg_type(at)).unwrap_or_else(|| cx.arg_type(other))
}

fn append(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let array = or_empty(&args[0], element_type(cx, 0, 1))?;
    one_dimension(&array)?;
    let mut items = array.items.clone();
    items.push(args[1].clone());
    Ok(with_items(&array, lower(&array), items))
}

fn prepend(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let array = or_empty(&args[1], element_type(cx, 1, 0))?;
    one_dimension(&array)?;
    let mut items = vec![args[0].clone()];
    items.extend(array.items.iter().cloned());
    Ok(with_items(&array, lower(&array), items))
}

fn cat(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = match (&args[0], &args[1]) {
        (Datum::Null, other) | (other, Datum::Null) => return Ok(other.clone()),
        (a, b) => (array(a)?, array(b)?),
    };
    if a.items.is_empty() {
        return Ok(args[1].clone());
    }
    if b.items.is_empty() {
        return Ok(args[0].clone());
    }
    let incompatible = |detail: &str| {
        Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays")
            .with_detail(detail))
    };
    let lengths = |array: &ArrayValue, from: usize| -> Vec<(i32, i32)> {
        array.dims[from..].iter().map(|dim| (dim.len, dim.lower)).collect()
    };
    let mut dims = a.dims.clone();
    match (a.dims.len(), b.dims.len()) {
        (x, y) if x == y => {
            if lengths(&a, 1) != lengths(&b, 1) {
                return incompatible(
                    "Arrays with differing element dimensions are not compatible for concatenation.",
                );
            }
            dims[0].len += b.dims[0].len;
        }
        (x, y) if x == y + 1 => {
            if lengths(&a, 1) != lengths(&b, 0) {
                return incompatible(
                    "Arrays with differing dimensions are not compatible for concatenation.",
                );
            }
            dims[0].len += 1;
        }
        (x, y) if x + 1 == y => {
            if lengths(&a, 0) != lengths(&b, 1) {
                return incompatible(
                    "Arrays with differing dimensions are not compatible for concatenation.",
                );
            }
            dims = b.dims.clone();
            dims[0].len += 1;
        }
        (x, y) => {
            return incompatible(&format!(
                "Arrays of {x} and {y} dimensions are not compatible for concatenation."
            ));
        }
    }
    let items = a.items.iter().chain(&b.items).cloned().collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element: a.element, dims, items })))
}

/// The dimension of that number from 1.
fn dimension(args: &[Datum]) -> Result<Option<ArrayDim>> {
    let array = array(&args[0])?;
    let number = int4(&args[1])?;
    Ok(usize::try_from(number - 1).ok().and_then(|at| array.dims.get(at)).copied())
}

fn position(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "searching for elements in multidimensional arrays is not supported",
        ));
    }
    let first = lower(array);
    let start = match args.get(2) {
        None => first,
        Some(Datum::Null) => {
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "initial position must not be null"));
        }
        Some(start) => int4(start)?,
    };
    let mut places = (first..).zip(&array.items).filter(|(at, _)| *at >= start);
    let found = places.find(|(_, item)| same(cx, array.element, item, &args[1]));
    Ok(found.map_or(Datum::Null, |(at, _)| Datum::Int4(at)))
}

fn positions(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "searching for elements in multidimensional arrays is not supported",
        ));
    }
    let places = (lower(array)..).zip(&array.items);
    let found = places.filter(|(_, item)| same(cx, array.element, item, &args[1]));
    Ok(Datum::array(Oid::INT4, found.map(|(at, _)| Datum::Int4(at)).collect()))
}

/// IS NOT DISTINCT FROM.
fn same(cx: &CallContext<'_>, element: Oid, a: &Datum, b: &Datum) -> bool {
    a.is_null() == b.is_null() && compare_with(cx, element, a, b).is_eq()
}

fn remove(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "removing elements from multidimensional arrays is not supported",
        ));
    }
    let kept: Vec<_> =
        array.items.iter().filter(|item| !same(cx, array.element, item, &args[1])).cloned().collect();
    Ok(with_items(array, lower(array), kept))
}

fn replace(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    let swap = |item: &Datum| {
        if same(cx, array.element, item, &args[1]) { args[2].clone() } else { item.clone() }
    };
    let items = array.items.iter().map(swap).collect();
    Ok(Datum::Array(Arc::new(ArrayValue { element: array.element, dims: array.dims.clone(), items })))
}

/// `array_to_string`: nulls are left out, or shown as the third argument.
fn to_text(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (Datum::Array(array), Datum::Text(delimiter)) = (&args[0], &args[1]) else { return Ok(Datum::Null) };
    let null = match args.get(2) {
        None | Some(Datum::Null) => None,
        Some(shown) => Some(text(shown)?),
    };
    let io: Io<'_> = cx.io();
    let shown = |item: &Datum| io.to_text(array.element, item).or_else(|| null.map(str::to_owned));
    let parts: Vec<_> = array.items.iter().filter_map(shown).collect();
    Ok(Datum::text(parts.join(delimiter)))
}

/// `string_to_array`: a null delimiter parts every character.
fn from_text(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Text(value) = &args[0] else { return Ok(Datum::Null) };
    let null = match args.get(2) {
        None | Some(Datum::Null) => None,
        Some(null) => Some(text(null)?),
    };
    let parts: Vec<String> = match &args[1] {
        _ if value.is_empty() => Vec::new(),
        Datum::Null => value.chars().map(String::from).collect(),
        delimiter => match text(delimiter)? {
            "" => vec![value.to_string()],
            delimiter => value.split(delimiter).map(str::to_owned).collect(),
        },
    };
    let item = |part: String| if null == Some(part.as_str()) { Datum::Null } else { Datum::text(part) };
    Ok(Datum::array(Oid::TEXT, parts.into_iter().map(item).collect()))
}

fn dims(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let array = array(&args[0])?;
    if array.dims.is_empty() {
        return Ok(Datum::Null);
    }
    let shown =
        array.dims.iter().map(|d| format!("[{}:{}]", d.lower, i64::from(d.lower) + i64::from(d.len) - 1));
    Ok(Datum::text(shown.collect::<String>()))
}

/// Whether every element of `b` is in `a`; nulls are in nothing.
fn contains(cx: &CallContext<'_>, a: &ArrayValue, b: &ArrayValue) -> bool {
    let in_a = |wanted: &Datum| {
        !wanted.is_null()
            && a.items.iter().any(|item| !item.is_null() && compare_with(cx, a.element, item, wanted).is_eq())
    };
    b.items.iter().all(in_a)
}

fn overlaps(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (a, b) = (array(&args[0])?, array(&args[1])?);
    let found = a.items.iter().filter(|item| !item.is_null()).any(|item| {
        b.items.iter().any(|other| !other.is_null() && compare_with(cx, a.element, item, other).is_eq())
    });
    Ok(Datum::Bool(found))
}

pub(crate) const TABLE: Table = &[
    ("array_append", append),
    ("array_prepend", prepend),
    ("array_cat", cat),
    ("array_length", |_, args| Ok(dimension(args)?.map_or(Datum::Null, |dim| Datum::Int4(dim.len)))),
    ("array_lower", |_, args| Ok(dimension(args)?.map_or(Datum::Null, |dim| Datum::Int4(dim.lower)))),
    ("array_upper", |_, args| {
        Ok(dimension(args)?.map_or(Datum::Null, |dim| Datum::Int4(dim.lower + dim.len - 1)))
    }),
    ("array_ndims", |_, args| {
        let dims = array(&args[0])?.dims.len() as i32;
        Ok(if dims == 0 { Datum::Null } else { Datum::Int4(dims) })
    }),
    ("array_dims", dims),
    ("array_cardinality", |_, args| Ok(Datum::Int4(array(&args[0])?.items.len() as i32))),
    ("array_position", position),
    ("array_position_start", position),
    ("array_positions", positions),
    ("array_remove", remove),
    ("array_replace", replace),
    ("array_to_text", to_text),
    ("array_to_text_null", to_text),
    ("text_to_array", from_text),
    ("text_to_array_null", from_text),
    ("arraycontains", |cx, args| Ok(Datum::Bool(contains(cx, &*array(&args[0])?, &*array(&args[1])?)))),
    ("arraycontained", |cx, args| Ok(Datum::Bool(contains(cx, &*array(&args[1])?, &*array(&args[0])?)))),
    ("arrayoverlap", overlaps),
];
