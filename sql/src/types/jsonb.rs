//! jsonb: a canonical binary form, its text and order.
//!
//! A value is a tag byte and a body; lengths and counts are big-endian u32:
//!
//! | tag | body |
//! |-----|------|
//! | 0 null, 1 false, 2 true | none |
//! | 3 number | length, decimal text with its scale |
//! | 4 string | length, UTF-8 |
//! | 5 array | count, elements |
//! | 6 object | count, then key (length, UTF-8) and value of each member |
//!
//! Members are unique and sorted by the key's length, then its bytes, as PostgreSQL keeps them.

use super::Numeric;
use super::json::{self, Json};
use crate::{Result, SqlError, SqlState};
use bytes::Bytes;
use std::cmp::Ordering;

pub(super) fn from_text(text: &str) -> Result<Bytes> {
    Ok(encode(&canonical(json::parse(text)?)?))
}

/// Version byte 1, then JSON text.
pub(super) fn recv(bytes: &[u8]) -> Result<Bytes> {
    match bytes {
        [1, text @ ..] => from_text(super::text::check_utf8(text)?),
        [version, ..] => Err(SqlError::new(
            SqlState::INTERNAL_ERROR,
            format!("unsupported jsonb version number {version}"),
        )),
        [] => Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "no data left in message")),
    }
}

/// Sorts members, the last of equal keys wins; refuses the zero character.
pub fn canonical(value: Json) -> Result<Json> {
    let check = |text: &str| {
        if text.contains('\0') {
            return Err(SqlError::new(
                SqlState::UNTRANSLATABLE_CHARACTER,
                "unsupported Unicode escape sequence",
            )
            .with_detail("\\u0000 cannot be converted to text."));
        }
        Ok(())
    };
    Ok(match value {
        Json::Array(items) => Json::Array(items.into_iter().map(canonical).collect::<Result<_>>()?),
        Json::Object(members) => {
            let mut sorted = Vec::with_capacity(members.len());
            for (key, value) in members {
                check(&key)?;
                sorted.push((key, canonical(value)?));
            }
            Json::Object(sort_members(sorted))
        }
        Json::String(text) => {
            check(&text)?;
            Json::String(text)
        }
        other => other,
    })
}

/// Members in jsonb's order, the last of equal keys kept.
pub fn sort_members(mut members: Vec<(String, Json)>) -> Vec<(String, Json)> {
    members.sort_by(|a, b| key_order(&a.0, &b.0));
    let mut unique: Vec<(String, Json)> = Vec::with_capacity(members.len());
    for member in members {
        match unique.last_mut() {
            Some(last) if last.0 == member.0 => *last = member,
            _ => unique.push(member),
        }
    }
    unique
}

/// Shorter keys first, then by bytes.
pub fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// The bytes of a canonical value.
pub fn encode(value: &Json) -> Bytes {
    let mut out = Vec::new();
    write(value, &mut out);
    Bytes::from(out)
}

fn write(value: &Json, out: &mut Vec<u8>) {
    let sized = |out: &mut Vec<u8>, text: &str| {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    match value {
        Json::Null => out.push(0),
        Json::Bool(value) => out.push(1 + u8::from(*value)),
        Json::Number(number) => {
            out.push(3);
            sized(out, &number.to_string());
        }
        Json::String(text) => {
            out.push(4);
            sized(out, text);
        }
        Json::Array(items) => {
            out.push(5);
            out.extend_from_slice(&(items.len() as u32).to_be_bytes());
            items.iter().for_each(|item| write(item, out));
        }
        Json::Object(members) => {
            out.push(6);
            out.extend_from_slice(&(members.len() as u32).to_be_bytes());
            for (key, value) in members {
                sized(out, key);
                write(value, out);
            }
        }
    }
}

/// The tree of a stored value; bytes that are none read as null.
pub fn decode(bytes: &[u8]) -> Json {
    read(&mut &bytes[..]).unwrap_or(Json::Null)
}

fn read(rest: &mut &[u8]) -> Option<Json> {
    let (tag, tail) = rest.split_first()?;
    *rest = tail;
    Some(match tag {
        0 => Json::Null,
        1 => Json::Bool(false),
        2 => Json::Bool(true),
        3 => Json::Number(Numeric::parse(&read_text(rest)?).ok()?),
        4 => Json::String(read_text(rest)?),
        5 => {
            let count = read_count(rest)?;
            Json::Array((0..count).map(|_| read(rest)).collect::<Option<_>>()?)
        }
        6 => {
            let count = read_count(rest)?;
            Json::Object((0..count).map(|_| Some((read_text(rest)?, read(rest)?))).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn read_count(rest: &mut &[u8]) -> Option<u32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_be_bytes(*head))
}

fn read_text(rest: &mut &[u8]) -> Option<String> {
    let len = read_count(rest)? as usize;
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    String::from_utf8(head.to_vec()).ok()
}

/// Appends the text of a stored value.
pub(super) fn to_text(bytes: &[u8], out: &mut Vec<u8>) {
    print(&decode(bytes), out);
}

/// Appends a value as jsonb prints: `{"a": 1, "b": [1, 2]}`.
pub fn print(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => super::io::append(out, number),
        Json::String(text) => json::quote(text, out),
        Json::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                print(item, out);
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                json::quote(key, out);
                out.extend_from_slice(b": ");
                print(value, out);
            }
            out.push(b'}');
        }
    }
}

/// jsonb's btree order: Object > Array > Boolean > Number > String > Null; containers by size
/// first. A scalar at the top counts as an array of one element, below a real one of that size.
pub fn compare(a: &Json, b: &Json) -> Ordering {
    let container = |value: &Json| matches!(value, Json::Array(_) | Json::Object(_));
    match (a, b) {
        (Json::Array(items), scalar) if !container(scalar) => items.len().cmp(&1).then(Ordering::Greater),
        (scalar, Json::Array(items)) if !container(scalar) => 1.cmp(&items.len()).then(Ordering::Less),
        _ => compare_nested(a, b),
    }
}

fn compare_nested(a: &Json, b: &Json) -> Ordering {
    let rank = |value: &Json| match value {
        Json::Null => 0,
        Json::String(_) => 1,
        Json::Number(_) => 2,
        Json::Bool(_) => 3,
        Json::Array(_) => 4,
        Json::Object(_) => 5,
    };
    match (a, b) {
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => a.compare(b),
        (Json::String(a), Json::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Json::Array(a), Json::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
            a.iter().zip(b).map(|(a, b)| compare_nested(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (Json::Object(a), Json::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            a.iter()
                .zip(b)
                .map(|((ka, va), (kb, vb))| {
                    ka.as_bytes().cmp(kb.as_bytes()).then_with(|| compare_nested(va, vb))
                })
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Whether `a` contains `b` (`a @> b`).
pub fn contains(a: &Json, b: &Json) -> bool {
    match (a, b) {
        // A scalar stands in an array, at the top only.
        (Json::Array(items), scalar) if !matches!(scalar, Json::Array(_) | Json::Object(_)) => {
            items.iter().any(|item| compare_nested(item, scalar).is_eq())
        }
        _ => contains_nested(a, b),
    }
}

fn contains_nested(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => b.iter().all(|(key, value)| {
            a.iter().find(|(k, _)| k == key).is_some_and(|(_, own)| contains_nested(own, value))
        }),
        (Json::Array(a), Json::Array(b)) => {
            b.iter().all(|wanted| a.iter().any(|item| contains_nested(item, wanted)))
        }
        _ => compare_nested(a, b).is_eq(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match from_text(text) {
            Ok(bytes) => {
                let mut out = Vec::new();
                to_text(&bytes, &mut out);
                String::from_utf8(out).unwrap()
            }
            Err(error) => error.fields().detail.clone().unwrap_or_default(),
        }
    }

    #[test]
    fn reads_and_prints_as_postgres() {
        for (text, shown) in [
            (r#"{"bb":1,"a":2,"a":3}"#, r#"{"a": 3, "bb": 1}"#),
            (r#" [1.50, "x\u00e9\n", null,true] "#, "[1.50, \"xé\\n\", null, true]"),
            ("1e3", "1000"),
            ("{}", "{}"),
            (r#"{"a" 1}"#, "Expected \":\", but found \"1\"."),
            ("{a:1}", "Token \"a\" is invalid."),
            ("[1,", "The input string ended unexpectedly."),
            ("[1 2]", "Expected \",\" or \"]\", but found \"2\"."),
            ("", "The input string ended unexpectedly."),
            ("01", "Token \"01\" is invalid."),
            ("1 2", "Expected end of input, but found \"2\"."),
        ] {
            assert_eq!(show(text), shown, "{text}");
        }
    }

    #[test]
    fn orders_as_postgres() {
        let tree = |text: &str| decode(&from_text(text).unwrap());
        let sorted = [
            "[]",
            "null",
            "\"a\"",
            "\"b\"",
            "1",
            "1.5",
            "false",
            "true",
            "[0]",
            "[1, 2]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": 2}",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(&tree(pair[0]), &tree(pair[1])), Ordering::Less, "{pair:?}");
        }
        assert!(contains(&tree("{\"a\": [1, 2], \"b\": 1}"), &tree("{\"a\": [2]}")));
        assert!(contains(&tree("[1, 2]"), &tree("1")));
        assert!(!contains(&tree("[[1]]"), &tree("1")));
    }
}
