//! Arrays: `{1,2}`, `{{a,b},{c,d}}`, `[0:1]={1,2}`, `{"a b",NULL}`; binary form.
//!
//! Binary form (big-endian i32): dimensions, has-nulls flag, element OID, then length and lower
//! bound of each dimension, then length (-1: null) and binary value of each element.

use super::io::{Io, invalid_syntax, is_space};
use super::{ArrayDim, ArrayValue, Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use smallvec::SmallVec;
use std::sync::Arc;

/// Most dimensions of an array.
pub const MAX_DIMS: usize = 6;
/// Most elements of an array (an array takes at most 1 GB).
const MAX_ITEMS: i64 = 134_217_727;

/// 22P02 with a detail.
fn malformed(text: &str, detail: &str) -> SqlError {
    let error =
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\""));
    if detail.is_empty() { error } else { error.with_detail(detail) }
}

/// Element types that part their elements by another character than a comma: only `box`.
fn delimiter(element: Oid) -> char {
    crate::registry::Registry::get().type_by_oid(element).map_or(',', |row| row.delim)
}

pub(super) fn input(io: &Io<'_>, element: Oid, typmod: i32, text: &str) -> Result<Datum> {
    let mut rest = text.trim_start_matches(is_space);
    let bounds = if rest.starts_with('[') { Some(read_bounds(text, &mut rest)?) } else { None };
    if !rest.starts_with('{') {
        return Err(malformed(
            text,
            match bounds {
                Some(_) => "Array contents must start with \"{\".",
                None => "Array value must start with \"{\" or dimension information.",
            },
        ));
    }
    let mut reader = Reader {
        whole: text,
        rest,
        delimiter: delimiter(element),
        items: Vec::new(),
        lengths: SmallVec::new(),
        leaf: None,
    };
    reader.level(0)?;
    if !reader.rest.trim_start_matches(is_space).is_empty() {
        return Err(malformed(text, "Junk after closing right brace."));
    }
    let lengths = if reader.items.is_empty() { SmallVec::new() } else { reader.lengths.clone() };
    let dims = match bounds {
        Some(bounds) => {
            let same =
                bounds.len() == lengths.len() && bounds.iter().zip(&lengths).all(|(b, len)| b.len == *len);
            if !same {
                return Err(malformed(text, "Specified array dimensions do not match array contents."));
            }
            bounds
        }
        None => lengths.iter().map(|len| ArrayDim { len: *len, lower: 1 }).collect(),
    };
    let ty = TypeRef::of(element).with_typmod(typmod);
    let read = |item: &Option<String>| match item {
        None => Ok(Datum::Null),
        Some(item) => io.input(ty, item),
    };
    let items = reader.items.iter().map(read).collect::<Result<_>>()?;
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, items })))
}

/// `[l:u][n]=`: the dimensions in front of the braces.
fn read_bounds(whole: &str, rest: &mut &str) -> Result<SmallVec<[ArrayDim; 1]>> {
    let mut dims = SmallVec::new();
    while let Some(inner) = rest.strip_prefix('[') {
        let (body, after) =
            inner.split_once(']').ok_or_else(|| malformed(whole, "Missing \"]\" after array dimensions."))?;
        let number = |part: &str| {
            part.trim_matches(is_space)
                .parse::<i32>()
                .map_err(|_| malformed(whole, "\"[\" must introduce explicitly-specified array dimensions."))
        };
        let (lower, upper) = match body.split_once(':') {
            Some((lower, upper)) => (number(lower)?, number(upper)?),
            None => (1, number(body)?),
        };
        if upper < lower {
            return Err(SqlError::new(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                "upper bound cannot be less than lower bound",
            ));
        }
        let len = i64::from(upper) - i64::from(lower) + 1;
        if len > MAX_ITEMS {
            return Err(too_large());
        }
        dims.push(ArrayDim { len: len as i32, lower });
        if dims.len() > MAX_DIMS {
            return Err(too_many_dims(dims.len()));
        }
        *rest = after.trim_start_matches(is_space);
    }
    *rest = rest
        .strip_prefix('=')
        .ok_or_else(|| malformed(whole, "Missing \"=\" after array dimensions."))?
        .trim_start_matches(is_space);
    Ok(dims)
}

fn too_many_dims(dims: usize) -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions ({dims}) exceeds the maximum allowed ({MAX_DIMS})"),
    )
}

fn too_large() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("array size exceeds the maximum allowed ({MAX_ITEMS})"),
    )
}

/// Reads nested braces into a flat list of elements and the length of each level.
struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
    delimiter: char,
    items: Vec<Option<String>>,
    lengths: SmallVec<[i32; 1]>,
    /// The depth at which elements stand, once known.
    leaf: Option<usize>,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn uneven(&self) -> SqlError {
        malformed(self.whole, "Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    /// One pair of braces at a depth; the reader stands before the opening one.
    fn level(&mut self, depth: usize) -> Result<()> {
        if depth >= MAX_DIMS {
            return Err(too_many_dims(depth + 1));
        }
        self.rest = &self.rest[1..];
        let first_time = self.lengths.len() <= depth;
        if first_time {
            self.lengths.push(0);
        }
        let mut count = 0;
        self.skip_space();
        if let Some(after) = self.rest.strip_prefix('}') {
            self.rest = after;
            return self.close(depth, first_time, count);
        }
        loop {
            self.skip_space();
            if self.rest.starts_with('{') {
                if self.leaf.is_some_and(|leaf| leaf <= depth) {
                    return Err(self.uneven());
                }
                self.level(depth + 1)?;
            } else {
                if self.leaf.is_some_and(|leaf| leaf != depth) || self.lengths.len() > depth + 1 {
                    return Err(self.uneven());
                }
                self.leaf = Some(depth);
                let item = self.element()?;
                self.items.push(item);
            }
            count += 1;
            self.skip_space();
            match self.rest.chars().next() {
                Some('}') => {
                    self.rest = &self.rest[1..];
                    return self.close(depth, first_time, count);
                }
                Some(c) if c == self.delimiter => self.rest = &self.rest[c.len_utf8()..],
                Some(c) => {
                    return Err(malformed(self.whole, &format!("Unexpected \"{c}\" character.")));
                }
                None => return Err(malformed(self.whole, "Unexpected end of input.")),
            }
        }
    }

    fn close(&mut self, depth: usize, first_time: bool, count: i32) -> Result<()> {
        if first_time {
            self.lengths[depth] = count;
        } else if self.lengths[depth] != count {
            return Err(self.uneven());
        }
        Ok(())
    }

    /// An element: quoted, or up to a delimiter with blanks trimmed; `NULL` unquoted is null.
    fn element(&mut self) -> Result<Option<String>> {
        let mut out = String::new();
        let (mut quoted, mut kept) = (false, 0);
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if quoted || !out.is_empty() => {
                    return Err(malformed(self.whole, "Unexpected array element."));
                }
                '"' => {
                    quoted = true;
                    loop {
                        match chars.next() {
                            Some((_, '"')) => break,
                            Some((_, '\\')) => match chars.next() {
                                Some((_, c)) => out.push(c),
                                None => return Err(malformed(self.whole, "Unexpected end of input.")),
                            },
                            Some((_, c)) => out.push(c),
                            None => return Err(malformed(self.whole, "Unexpected end of input.")),
                        }
                    }
                    kept = out.len();
                }
                '\\' if !quoted => match chars.next() {
                    Some((_, c)) => {
                        out.push(c);
                        kept = out.len();
                    }
                    None => return Err(malformed(self.whole, "Unexpected end of input.")),
                },
                '}' => return self.finish_element(at, out, quoted, kept),
                c if c == self.delimiter => return self.finish_element(at, out, quoted, kept),
                '{' => return Err(malformed(self.whole, "Unexpected \"{\" character.")),
                c if is_space(c) => {
                    if !quoted {
                        out.push(c);
                    }
                }
                _ if quoted => return Err(malformed(self.whole, "Unexpected array element.")),
                c => {
                    out.push(c);
                    kept = out.len();
                }
            }
        }
        Err(malformed(self.whole, "Unexpected end of input."))
    }

    fn finish_element(
        &mut self,
        at: usize,
        mut out: String,
        quoted: bool,
        kept: usize,
    ) -> Result<Option<String>> {
        let raw = &self.rest[..at];
        let is_null = !quoted && raw.trim_matches(is_space).eq_ignore_ascii_case("null");
        self.rest = &self.rest[at..];
        out.truncate(kept);
        if !quoted && out.is_empty() {
            let c = self.rest.chars().next().unwrap_or('}');
            return Err(malformed(self.whole, &format!("Unexpected \"{c}\" character.")));
        }
        Ok(if is_null { None } else { Some(out) })
    }
}

pub(super) fn output(io: &Io<'_>, array: &ArrayValue, out: &mut Vec<u8>) {
    if array.items.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    if array.dims.iter().any(|dim| dim.lower != 1) {
        for dim in &array.dims {
            let upper = i64::from(dim.lower) + i64::from(dim.len) - 1;
            out.extend_from_slice(format!("[{}:{upper}]", dim.lower).as_bytes());
        }
        out.push(b'=');
    }
    let mut items = array.items.iter();
    output_level(io, array, 0, &mut items, out);
}

fn output_level(
    io: &Io<'_>,
    array: &ArrayValue,
    depth: usize,
    items: &mut std::slice::Iter<'_, Datum>,
    out: &mut Vec<u8>,
) {
    let delimiter = delimiter(array.element);
    out.push(b'{');
    let len = array.dims.get(depth).map_or(0, |dim| dim.len);
    for at in 0..len {
        if at > 0 {
            out.push(delimiter as u8);
        }
        if depth + 1 < array.dims.len() {
            output_level(io, array, depth + 1, items, out);
        } else if let Some(item) = items.next() {
            output_item(io, array.element, item, delimiter, out);
        }
    }
    out.push(b'}');
}

fn output_item(io: &Io<'_>, element: Oid, item: &Datum, delimiter: char, out: &mut Vec<u8>) {
    let Some(text) = io.to_text(element, item) else { return out.extend_from_slice(b"NULL") };
    let quoted = text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.contains(|c: char| matches!(c, '"' | '\\' | '{' | '}') || c == delimiter || is_space(c));
    if !quoted {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

pub(super) fn send(io: &Io<'_>, array: &ArrayValue, out: &mut Vec<u8>) {
    let dims = if array.items.is_empty() { &[][..] } else { &array.dims[..] };
    out.extend_from_slice(&(dims.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(array.items.iter().any(Datum::is_null)).to_be_bytes());
    out.extend_from_slice(&array.element.0.to_be_bytes());
    for dim in dims {
        out.extend_from_slice(&dim.len.to_be_bytes());
        out.extend_from_slice(&dim.lower.to_be_bytes());
    }
    for item in &array.items {
        send_item(io, array.element, item, out);
    }
}

/// Length and binary value; -1 for null.
pub(super) fn send_item(io: &Io<'_>, ty: Oid, item: &Datum, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&(-1i32).to_be_bytes());
    if !item.is_null() {
        io.send(ty, item, out);
        let len = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }
}

pub(super) fn recv(io: &Io<'_>, element: Oid, bytes: &[u8]) -> Result<Datum> {
    let mut rest = bytes;
    let mut word = || -> Result<i32> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(|| {
            SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
        })?;
        rest = tail;
        Ok(i32::from_be_bytes(*head))
    };
    let invalid = |message: String| SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message);
    let (count, flags, sent) = (word()?, word()?, Oid(word()? as u32));
    if count < 0 {
        return Err(invalid(format!("invalid number of dimensions: {count}")));
    }
    if count as usize > MAX_DIMS {
        return Err(too_many_dims(count as usize));
    }
    if flags != 0 && flags != 1 {
        return Err(invalid("invalid array flags".into()));
    }
    if sent != element {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {} ({}) instead of expected {} ({})",
                sent,
                io.type_name(sent),
                element,
                io.type_name(element)
            ),
        ));
    }
    let mut dims = SmallVec::new();
    let mut total = 1i64;
    for _ in 0..count {
        let (len, lower) = (word()?, word()?);
        if len < 0 || lower.checked_add(len).is_none() {
            return Err(too_large());
        }
        total = total.saturating_mul(i64::from(len));
        dims.push(ArrayDim { len, lower });
    }
    if total > MAX_ITEMS {
        return Err(too_large());
    }
    if count == 0 || total == 0 {
        return Ok(Datum::array(element, Vec::new()));
    }
    let mut items = Vec::with_capacity((total as usize).min(bytes.len() / 4));
    let ty = TypeRef::of(element);
    for _ in 0..total {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(|| {
            SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
        })?;
        let len = i32::from_be_bytes(*head);
        rest = tail;
        if len == -1 {
            items.push(Datum::Null);
            continue;
        }
        let value = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
        let (value, tail) = value.ok_or_else(|| invalid("insufficient data left in message".into()))?;
        items.push(io.recv(ty, value)?);
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(invalid_syntax("array", "").with_detail("Junk after the last element."));
    }
    Ok(Datum::Array(Arc::new(ArrayValue { element, dims, items })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::info::OutputFormat;

    fn round_trip(ty: Oid, text: &str) -> String {
        let fmt = OutputFormat::default();
        let io = Io::new(&fmt);
        match io.input(TypeRef::of(ty), text) {
            Ok(value) => {
                let mut bytes = Vec::new();
                io.send(ty, &value, &mut bytes);
                let back = io.recv(TypeRef::of(ty), &bytes).unwrap();
                assert_eq!(io.to_text(ty, &back), io.to_text(ty, &value));
                io.to_text(ty, &value).unwrap()
            }
            Err(error) => {
                format!("{}: {}", error.code().code(), error.fields().detail.clone().unwrap_or_default())
            }
        }
    }

    #[test]
    fn reads_and_prints_as_postgres() {
        for (ty, text, shown) in [
            (Oid::INT4_ARRAY, " { 1, 2 ,NULL} ", "{1,2,NULL}"),
            (Oid::INT4_ARRAY, "{}", "{}"),
            (Oid::INT4_ARRAY, "{{1,2},{3,4}}", "{{1,2},{3,4}}"),
            (Oid::INT4_ARRAY, "[0:1]={1,2}", "[0:1]={1,2}"),
            (Oid::INT4_ARRAY, "[2]={1,2}", "{1,2}"),
            (
                Oid::TEXT_ARRAY,
                "{a b,\"c,d\",\"\",\"NULL\",\"q\\\"q\",x\\,y}",
                "{\"a b\",\"c,d\",\"\",\"NULL\",\"q\\\"q\",\"x,y\"}",
            ),
            (Oid::TEXT_ARRAY, "{a", "22P02: Unexpected end of input."),
            (Oid::INT4_ARRAY, "1", "22P02: Array value must start with \"{\" or dimension information."),
            (Oid::INT4_ARRAY, "{1}x", "22P02: Junk after closing right brace."),
            (
                Oid::INT4_ARRAY,
                "{{1},{2,3}}",
                "22P02: Multidimensional arrays must have sub-arrays with matching dimensions.",
            ),
            (Oid::INT4_ARRAY, "{1,,2}", "22P02: Unexpected \",\" character."),
        ] {
            assert_eq!(round_trip(ty, text), shown, "{text}");
        }
    }
}
