//! json and jsonb: access, containment, building.

use super::args::{array, bytes, int4, invalid, text};
use super::{CallContext, Table};
use crate::types::json::{self, Json, Parts};
use crate::types::{ArrayValue, Datum, jsonb};
use crate::{Oid, Result, SqlError};

fn stored(value: &Json) -> Datum {
    Datum::Bytes(jsonb::encode(value))
}

fn tree(value: &Datum) -> Result<Json> {
    Ok(jsonb::decode(bytes(value)?))
}

/// A jsonb value as `->>` shows it: strings without quotes, null as NULL.
fn as_text(value: &Json) -> Datum {
    match value {
        Json::Null => Datum::Null,
        Json::String(text) => Datum::text(text),
        other => {
            let mut out = Vec::new();
            jsonb::print(other, &mut out);
            Datum::text(String::from_utf8_lossy(&out))
        }
    }
}

/// An array's element from the start, or from the end for a negative number.
fn element<T>(items: &[T], at: i32) -> Option<&T> {
    let at = if at < 0 { items.len() as i64 + i64::from(at) } else { i64::from(at) };
    usize::try_from(at).ok().and_then(|at| items.get(at))
}

fn jsonb_field(value: &Json, key: &str) -> Option<Json> {
    match value {
        Json::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone()),
        _ => None,
    }
}

fn jsonb_element(value: &Json, at: i32) -> Option<Json> {
    match value {
        Json::Array(items) => element(items, at).cloned(),
        _ => None,
    }
}

/// Follows a path of keys and element numbers; a null step ends in nothing.
fn jsonb_path(value: Json, path: &ArrayValue) -> Result<Option<Json>> {
    let mut value = value;
    for step in &path.items {
        if step.is_null() {
            return Ok(None);
        }
        let step = text(step)?;
        let next = match &value {
            Json::Object(_) => jsonb_field(&value, step),
            Json::Array(_) => step.trim().parse().ok().and_then(|at| jsonb_element(&value, at)),
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// A member of a json text as its own text; the last of equal keys.
fn json_field<'a>(value: &'a str, key: &str) -> Result<Option<&'a str>> {
    Ok(match json::parts(value)? {
        Parts::Object(members) => members.into_iter().rev().find(|(k, _)| k == key).map(|(_, text)| text),
        _ => None,
    })
}

fn json_element(value: &str, at: i32) -> Result<Option<&str>> {
    Ok(match json::parts(value)? {
        Parts::Array(items) => element(&items, at).copied(),
        _ => None,
    })
}

fn json_path<'a>(value: &'a str, path: &ArrayValue) -> Result<Option<&'a str>> {
    let mut value = value;
    for step in &path.items {
        if step.is_null() {
            return Ok(None);
        }
        let step = text(step)?;
        let next = match json::parts(value)? {
            Parts::Object(_) => json_field(value, step)?,
            Parts::Array(_) => match step.trim().parse() {
                Ok(at) => json_element(value, at)?,
                Err(_) => None,
            },
            Parts::Scalar => None,
        };
        match next {
            Some(next) => value = next,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

fn json_datum(value: Option<&str>) -> Datum {
    value.map_or(Datum::Null, Datum::text)
}

/// A json text as `->>` shows it.
fn json_text(value: Option<&str>) -> Result<Datum> {
    let Some(value) = value else { return Ok(Datum::Null) };
    Ok(match json::parse(value)? {
        Json::Null => Datum::Null,
        Json::String(text) => Datum::text(text),
        _ => Datum::text(value.trim()),
    })
}

fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn array_length(value: &Json) -> Result<Datum> {
    let error = |message: &str| Err(invalid(message));
    match value {
        Json::Array(items) => Ok(Datum::Int4(items.len() as i32)),
        Json::Object(_) => error("cannot get array length of a non-array"),
        _ => error("cannot get array length of a scalar"),
    }
}

fn has_key(value: &Json, key: &str) -> bool {
    match value {
        Json::Object(members) => members.iter().any(|(k, _)| k == key),
        Json::Array(items) => items.iter().any(|item| matches!(item, Json::String(text) if text == key)),
        Json::String(text) => text == key,
        _ => false,
    }
}

fn keys(value: &Datum) -> Result<Vec<String>> {
    let array = array(value)?;
    array.items.iter().filter(|key| !key.is_null()).map(|key| text(key).map(str::to_owned)).collect()
}

fn concat(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let merged = match (tree(&args[0])?, tree(&args[1])?) {
        (Json::Object(mut a), Json::Object(b)) => {
            a.extend(b);
            Json::Object(jsonb::sort_members(a))
        }
        (a, b) => {
            let items = |value| match value {
                Json::Array(items) => items,
                other => vec![other],
            };
            let mut all = items(a);
            all.extend(items(b));
            Json::Array(all)
        }
    };
    Ok(stored(&merged))
}

fn delete_keys(value: Json, keys: &[String]) -> Result<Json> {
    match value {
        Json::Object(mut members) => {
            members.retain(|(key, _)| !keys.contains(key));
            Ok(Json::Object(members))
        }
        Json::Array(mut items) => {
            items.retain(|item| !matches!(item, Json::String(text) if keys.contains(text)));
            Ok(Json::Array(items))
        }
        _ => Err(invalid("cannot delete from scalar")),
    }
}

fn delete_index(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    match tree(&args[0])? {
        Json::Array(mut items) => {
            let at = int4(&args[1])?;
            let at = if at < 0 { items.len() as i64 + i64::from(at) } else { i64::from(at) };
            if let Ok(at) = usize::try_from(at)
                && at < items.len()
            {
                items.remove(at);
            }
            Ok(stored(&Json::Array(items)))
        }
        Json::Object(_) => Err(invalid("cannot delete from object using integer index")),
        _ => Err(invalid("cannot delete from scalar")),
    }
}

/// A SQL value as JSON, as `to_jsonb` makes it.
fn to_tree(cx: &CallContext<'_>, ty: Oid, value: &Datum) -> Result<Json> {
    let io = cx.io();
    Ok(match value {
        Datum::Null => Json::Null,
        Datum::Bool(value) => Json::Bool(*value),
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) => {
            Json::Number(crate::types::Numeric::from_i64(super::args::integer(value)?))
        }
        Datum::Numeric(number) if number.is_finite() => Json::Number(number.clone()),
        Datum::Float4(_) | Datum::Float8(_) => {
            let shown = io.to_text(ty, value).unwrap_or_default();
            match crate::types::Numeric::parse(&shown) {
                Ok(number) if number.is_finite() => Json::Number(number),
                _ => Json::String(shown),
            }
        }
        Datum::Text(text) if ty == Oid::JSON => jsonb::canonical(json::parse(text)?)?,
        Datum::Bytes(bytes) if ty == Oid::JSONB => jsonb::decode(bytes),
        Datum::Array(array) if array.dims.len() <= 1 => {
            let items = array.items.iter().map(|item| to_tree(cx, array.element, item));
            Json::Array(items.collect::<Result<_>>()?)
        }
        Datum::Array(_) | Datum::Record(_) => {
            return Err(SqlError::not_built("JSON of rows and multidimensional arrays"));
        }
        Datum::Date(_) | Datum::Timestamp(_) => Json::String(iso(cx, ty, value)),
        _ => Json::String(io.to_text(ty, value).unwrap_or_default()),
    })
}

/// Dates and timestamps in ISO 8601 with a `T`, whatever the session's DateStyle.
fn iso(cx: &CallContext<'_>, ty: Oid, value: &Datum) -> String {
    let fmt = crate::session::info::OutputFormat {
        date_style: crate::session::info::DateStyle::Iso,
        ..cx.fmt.clone()
    };
    let shown = crate::types::Io::new(&fmt).to_text(ty, value).unwrap_or_default();
    let mut shown = shown.replacen(' ', "T", usize::from(matches!(value, Datum::Timestamp(_))));
    // A whole-hour offset is written with its minutes.
    let short = ty == Oid::TIMESTAMPTZ
        && shown.len() > 3
        && shown.as_bytes().get(shown.len() - 3).is_some_and(|b| matches!(b, b'+' | b'-'));
    if short {
        shown.push_str(":00");
    }
    shown
}

/// A SQL value as JSON text, as `to_json` writes it.
fn write(cx: &CallContext<'_>, ty: Oid, value: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Text(text) if ty == Oid::JSON => out.extend_from_slice(text.as_bytes()),
        Datum::Bytes(bytes) if ty == Oid::JSONB => jsonb::print(&jsonb::decode(bytes), out),
        Datum::Float4(_) | Datum::Float8(_) | Datum::Numeric(_) => {
            let shown = cx.io().to_text(ty, value).unwrap_or_default();
            let number = shown.bytes().any(|b| b.is_ascii_digit());
            if number { out.extend_from_slice(shown.as_bytes()) } else { json::quote(&shown, out) }
        }
        Datum::Array(array) if array.dims.len() <= 1 => {
            out.push(b'[');
            for (at, item) in array.items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(cx, array.element, item, out)?;
            }
            out.push(b']');
        }
        value => jsonb::print(&to_tree(cx, ty, value)?, out),
    }
    Ok(())
}

fn text_of(out: Vec<u8>) -> Datum {
    Datum::text(String::from_utf8_lossy(&out))
}

/// json_agg and jsonb_agg over collected rows of the first argument's type.
pub(super) fn list(cx: &CallContext<'_>, rows: &[Datum], binary: bool) -> Result<Datum> {
    let ty = cx.arg_type(0);
    if binary {
        let items = rows.iter().map(|row| to_tree(cx, ty, row)).collect::<Result<_>>()?;
        return Ok(stored(&Json::Array(items)));
    }
    let mut out = vec![b'['];
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        write(cx, ty, row, &mut out)?;
    }
    out.push(b']');
    Ok(text_of(out))
}

/// json_object_agg and jsonb_object_agg over collected (key, value) pairs.
pub(super) fn object(cx: &CallContext<'_>, rows: &[Datum], binary: bool) -> Result<Datum> {
    let types = [cx.arg_type(0), cx.arg_type(1)];
    build_object(cx, rows, &|at| types[at % 2], binary, "{ ", " }", "field name must not be null")
}

fn build_object(
    cx: &CallContext<'_>,
    values: &[Datum],
    ty: &dyn Fn(usize) -> Oid,
    binary: bool,
    open: &str,
    close: &str,
    null_key: &str,
) -> Result<Datum> {
    let mut out = open.as_bytes().to_vec();
    let mut members = Vec::new();
    for (at, pair) in values.chunks(2).enumerate() {
        let [key, value] = pair else {
            return Err(invalid("argument list must have even number of elements"));
        };
        let Some(key) = cx.io().to_text(ty(at * 2), key) else { return Err(invalid(null_key)) };
        if binary {
            members.push((key, to_tree(cx, ty(at * 2 + 1), value)?));
            continue;
        }
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        json::quote(&key, &mut out);
        out.extend_from_slice(b" : ");
        write(cx, ty(at * 2 + 1), value, &mut out)?;
    }
    if binary {
        return Ok(stored(&Json::Object(jsonb::sort_members(members))));
    }
    out.extend_from_slice(close.as_bytes());
    Ok(text_of(out))
}

fn builder_object(cx: &CallContext<'_>, args: &[Datum], binary: bool) -> Result<Datum> {
    if !args.len().is_multiple_of(2) {
        let name = if binary { "jsonb_build_object()" } else { "json_build_object()" };
        return Err(invalid("argument list must have even number of elements")
            .with_hint(format!("The arguments of {name} must consist of alternating keys and values.")));
    }
    if let Some(at) = args.iter().step_by(2).position(Datum::is_null) {
        let number = at * 2 + 1;
        let message = match binary {
            true => format!("argument {number}: key must not be null"),
            false => format!("argument {number} cannot be null"),
        };
        let error = invalid(message);
        return Err(if binary { error } else { error.with_hint("Object keys should be text.") });
    }
    build_object(cx, args, &|at| cx.arg_type(at), binary, "{", "}", "key must not be null")
}

fn builder_array(cx: &CallContext<'_>, args: &[Datum], binary: bool) -> Result<Datum> {
    if binary {
        let items = args.iter().enumerate().map(|(at, value)| to_tree(cx, cx.arg_type(at), value));
        return Ok(stored(&Json::Array(items.collect::<Result<_>>()?)));
    }
    let mut out = vec![b'['];
    for (at, value) in args.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        write(cx, cx.arg_type(at), value, &mut out)?;
    }
    out.push(b']');
    Ok(text_of(out))
}

fn to_json(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let mut out = Vec::new();
    write(cx, cx.arg_type(0), &args[0], &mut out)?;
    Ok(text_of(out))
}

fn strip_nulls(value: Json) -> Json {
    match value {
        Json::Object(members) => Json::Object(
            members
                .into_iter()
                .filter(|(_, value)| !matches!(value, Json::Null))
                .map(|(key, value)| (key, strip_nulls(value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(strip_nulls).collect()),
        other => other,
    }
}

fn option(value: Option<Json>) -> Datum {
    value.map_or(Datum::Null, |value| stored(&value))
}

fn option_text(value: Option<Json>) -> Datum {
    value.map_or(Datum::Null, |value| as_text(&value))
}

pub(crate) const TABLE: Table = &[
    ("jsonb_object_field", |_, args| Ok(option(jsonb_field(&tree(&args[0])?, text(&args[1])?)))),
    ("jsonb_object_field_text", |_, args| Ok(option_text(jsonb_field(&tree(&args[0])?, text(&args[1])?)))),
    ("jsonb_array_element", |_, args| Ok(option(jsonb_element(&tree(&args[0])?, int4(&args[1])?)))),
    ("jsonb_array_element_text", |_, args| Ok(option_text(jsonb_element(&tree(&args[0])?, int4(&args[1])?)))),
    ("jsonb_extract_path", |_, args| Ok(option(jsonb_path(tree(&args[0])?, &*array(&args[1])?)?))),
    ("jsonb_extract_path_text", |_, args| Ok(option_text(jsonb_path(tree(&args[0])?, &*array(&args[1])?)?))),
    ("json_object_field", |_, args| Ok(json_datum(json_field(text(&args[0])?, text(&args[1])?)?))),
    ("json_object_field_text", |_, args| json_text(json_field(text(&args[0])?, text(&args[1])?)?)),
    ("json_array_element", |_, args| Ok(json_datum(json_element(text(&args[0])?, int4(&args[1])?)?))),
    ("json_array_element_text", |_, args| json_text(json_element(text(&args[0])?, int4(&args[1])?)?)),
    ("json_extract_path", |_, args| Ok(json_datum(json_path(text(&args[0])?, &*array(&args[1])?)?))),
    ("json_extract_path_text", |_, args| json_text(json_path(text(&args[0])?, &*array(&args[1])?)?)),
    ("jsonb_contains", |_, args| Ok(Datum::Bool(jsonb::contains(&tree(&args[0])?, &tree(&args[1])?)))),
    ("jsonb_contained", |_, args| Ok(Datum::Bool(jsonb::contains(&tree(&args[1])?, &tree(&args[0])?)))),
    ("jsonb_exists", |_, args| Ok(Datum::Bool(has_key(&tree(&args[0])?, text(&args[1])?)))),
    ("jsonb_exists_any", |_, args| {
        let value = tree(&args[0])?;
        Ok(Datum::Bool(keys(&args[1])?.iter().any(|key| has_key(&value, key))))
    }),
    ("jsonb_exists_all", |_, args| {
        let value = tree(&args[0])?;
        Ok(Datum::Bool(keys(&args[1])?.iter().all(|key| has_key(&value, key))))
    }),
    ("jsonb_concat", concat),
    ("jsonb_delete", |_, args| Ok(stored(&delete_keys(tree(&args[0])?, &[text(&args[1])?.to_owned()])?))),
    ("jsonb_delete_array", |_, args| Ok(stored(&delete_keys(tree(&args[0])?, &keys(&args[1])?)?))),
    ("jsonb_delete_idx", delete_index),
    ("jsonb_typeof", |_, args| Ok(Datum::text(type_name(&tree(&args[0])?)))),
    ("json_typeof", |_, args| Ok(Datum::text(type_name(&json::parse(text(&args[0])?)?)))),
    ("jsonb_array_length", |_, args| array_length(&tree(&args[0])?)),
    ("json_array_length", |_, args| array_length(&json::parse(text(&args[0])?)?)),
    ("jsonb_strip_nulls", |_, args| Ok(stored(&strip_nulls(tree(&args[0])?)))),
    ("to_json", to_json),
    ("to_jsonb", |cx, args| Ok(stored(&to_tree(cx, cx.arg_type(0), &args[0])?))),
    ("json_build_object", |cx, args| builder_object(cx, args, false)),
    ("json_build_object_noargs", |_, _| Ok(Datum::text("{}"))),
    ("jsonb_build_object", |cx, args| builder_object(cx, args, true)),
    ("jsonb_build_object_noargs", |_, _| Ok(stored(&Json::Object(Vec::new())))),
    ("json_build_array", |cx, args| builder_array(cx, args, false)),
    ("json_build_array_noargs", |_, _| Ok(Datum::text("[]"))),
    ("jsonb_build_array", |cx, args| builder_array(cx, args, true)),
    ("jsonb_build_array_noargs", |_, _| Ok(stored(&Json::Array(Vec::new())))),
];
