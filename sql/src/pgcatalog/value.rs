//! Values as the catalogs write them.

use crate::Oid;
use crate::types::Datum;

pub(super) fn name(text: impl AsRef<str>) -> Datum {
    Datum::text(text)
}

pub(super) fn optional(text: Option<impl AsRef<str>>) -> Datum {
    text.map_or(Datum::Null, Datum::text)
}

/// `"char"`.
pub(super) fn letter(c: char) -> Datum {
    Datum::text(c.encode_utf8(&mut [0; 4]))
}

/// The `"char"` that stands for none.
pub(super) fn no_letter() -> Datum {
    Datum::text("")
}

pub(super) fn flag(value: bool) -> Datum {
    Datum::Bool(value)
}

/// `yes_or_no` of `information_schema`.
pub(super) fn yes(value: bool) -> Datum {
    Datum::text(if value { "YES" } else { "NO" })
}

pub(super) fn oid(value: Oid) -> Datum {
    Datum::Oid(value)
}

pub(super) fn count(value: usize) -> Datum {
    Datum::Int2(i16::try_from(value).unwrap_or(i16::MAX))
}

pub(super) fn texts<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Datum {
    Datum::array(Oid::TEXT, items.into_iter().map(Datum::text).collect())
}

pub(super) fn oids(items: impl IntoIterator<Item = Oid>) -> Datum {
    Datum::array(Oid::OID, items.into_iter().map(Datum::Oid).collect())
}

pub(super) fn smallints(items: impl IntoIterator<Item = i16>) -> Datum {
    Datum::array(Oid::INT2, items.into_iter().map(Datum::Int2).collect())
}

/// The two vector types count from 0.
fn vector(element: Oid, items: Vec<Datum>) -> Datum {
    let mut array = crate::types::ArrayValue::of(element, items);
    for dim in &mut array.dims {
        dim.lower = 0;
    }
    Datum::Array(std::sync::Arc::new(array))
}

pub(super) fn oidvector(items: impl IntoIterator<Item = Oid>) -> Datum {
    vector(Oid::OID, items.into_iter().map(Datum::Oid).collect())
}

pub(super) fn int2vector(items: impl IntoIterator<Item = i16>) -> Datum {
    vector(Oid::INT2, items.into_iter().map(Datum::Int2).collect())
}

/// A field of the built-in rows, by its column's type.
pub(super) fn builtin(ty: Oid, text: &str) -> Datum {
    let number = || text.parse::<i64>().unwrap_or_default();
    match ty {
        Oid::BOOL => Datum::Bool(text == "t"),
        Oid::INT2 => Datum::Int2(number() as i16),
        Oid::INT4 => Datum::Int4(number() as i32),
        Oid::INT8 => Datum::Int8(number()),
        Oid::FLOAT4 => Datum::Float4(text.parse().unwrap_or_default()),
        Oid::OID | Oid::REGPROC | Oid::REGTYPE | Oid::REGCLASS | Oid::XID => Datum::Oid(Oid(number() as u32)),
        Oid::OIDVECTOR => oidvector(words(text, ' ').iter().filter_map(|w| w.parse().ok().map(Oid))),
        Oid::INT2VECTOR => int2vector(words(text, ' ').iter().filter_map(|w| w.parse().ok())),
        Oid::OID_ARRAY => oids(items(text).iter().filter_map(|w| w.parse().ok().map(Oid))),
        Oid::INT2_ARRAY => smallints(items(text).iter().filter_map(|w| w.parse().ok())),
        Oid::TEXT_ARRAY => texts(items(text)),
        ty => match crate::registry::Registry::get().array_element(ty) {
            Some(element) => Datum::array(element, items(text).into_iter().map(Datum::text).collect()),
            None => Datum::text(text),
        },
    }
}

fn words(text: &str, separator: char) -> Vec<&str> {
    text.split(separator).filter(|word| !word.is_empty()).collect()
}

/// The items of a one-dimensional array's text form.
fn items(text: &str) -> Vec<String> {
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let (mut out, mut item, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => item.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut item)),
            c => item.push(c),
        }
    }
    if !inner.is_empty() {
        out.push(item);
    }
    out
}
