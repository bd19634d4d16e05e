//! Text functions. Lengths and positions count characters; case follows collation C: ASCII only.

use super::args::{self, bytes, int4, integer_range, invalid, text};
use super::{CallContext, Table};
use crate::types::{Datum, order};
use crate::{Result, SqlError, SqlState};
use bytes::Bytes;

/// Words that PostgreSQL quotes when they are identifiers: every keyword that is not unreserved,
/// sorted.
const QUOTED_WORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// Longest result of a text function, PostgreSQL's 1 GB limit on a value.
const MAX_BYTES: usize = 0x3fff_ffff;

fn too_large() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// A function of one text.
macro_rules! function {
    ($name:literal, $of:expr) => {
        ($name, |_, args| {
            let of: fn(&str) -> Datum = $of;
            Ok(of(text(&args[0])?))
        })
    };
}

/// `"name"` where the parser would not read it back as it is.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && QUOTED_WORDS.binary_search(&name).is_err();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// `'text'`, `E'te\\xt'` with backslashes.
pub fn quote_literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if value.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

pub(super) fn quote_literal_any(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let shown = cx.io().to_text(cx.arg_type(0), &args[0]);
    Ok(shown.map_or(Datum::Null, |shown| Datum::text(quote_literal(&shown))))
}

pub(super) fn quote_nullable_any(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let shown = cx.io().to_text(cx.arg_type(0), &args[0]);
    Ok(Datum::text(shown.map_or_else(|| "NULL".to_owned(), |shown| quote_literal(&shown))))
}

/// `text || anything`.
pub(super) fn concat_any(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let io = cx.io();
    let part = |at: usize| io.to_text(cx.arg_type(at), &args[at]).unwrap_or_default();
    Ok(Datum::text(part(0) + &part(1)))
}

pub(super) fn bit_length(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let bytes = match &args[0] {
        Datum::Bytes(bytes) => bytes.len(),
        other => text(other)?.len(),
    };
    Ok(Datum::Int4((bytes * 8) as i32))
}

/// Characters `start..start + length` counted from 1; positions before the text count.
fn substring(value: &str, start: i32, length: Option<i32>) -> Result<&str> {
    let start = i64::from(start);
    let end = match length {
        None => i64::MAX,
        Some(length) if length < 0 => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => start + i64::from(length),
    };
    let first = start.max(1) as usize - 1;
    if end <= first as i64 + 1 {
        return Ok("");
    }
    Ok(slice(value, first, usize::try_from(end - 1).unwrap_or(usize::MAX)))
}

/// Characters from `first` (from 0) up to `end`.
fn slice(value: &str, first: usize, end: usize) -> &str {
    let at = |n: usize| {
        if value.is_ascii() {
            n.min(value.len())
        } else {
            value.char_indices().nth(n).map_or(value.len(), |(at, _)| at)
        }
    };
    let (from, to) = (at(first), at(end));
    &value[from..to.max(from)]
}

fn substr(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let length = args.get(2).map(int4).transpose()?;
    Ok(Datum::text(substring(text(&args[0])?, int4(&args[1])?, length)?))
}

fn bytea_substr(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = bytes(&args[0])?;
    let start = i64::from(int4(&args[1])?);
    let end = match args.get(2).map(int4).transpose()? {
        None => i64::MAX,
        Some(length) if length < 0 => {
            return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
        }
        Some(length) => start + i64::from(length),
    };
    let clamp = |at: i64| (at - 1).clamp(0, value.len() as i64) as usize;
    let (from, to) = (clamp(start), clamp(end));
    Ok(Datum::Bytes(Bytes::copy_from_slice(&value[from..to.max(from)])))
}

fn overlay(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, new, start) = (text(&args[0])?, text(&args[1])?, int4(&args[2])?);
    let length = match args.get(3) {
        Some(length) => int4(length)?,
        None => new.chars().count() as i32,
    };
    if start <= 0 {
        return Err(SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed"));
    }
    let after = start.checked_add(length).ok_or_else(|| integer_range("integer"))?;
    let mut out = substring(value, 1, Some(start - 1))?.to_owned();
    out.push_str(new);
    out.push_str(substring(value, after, None)?);
    Ok(Datum::text(out))
}

fn position(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, wanted) = (text(&args[0])?, text(&args[1])?);
    let at = value.find(wanted).map_or(0, |at| value[..at].chars().count() as i32 + 1);
    Ok(Datum::Int4(at))
}

fn initcap(value: &str) -> Datum {
    let mut inside = false;
    let capital = |c: char| {
        let shown = if inside { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
        inside = c.is_ascii_alphanumeric();
        shown
    };
    Datum::text(value.chars().map(capital).collect::<String>())
}

fn pad(value: &str, length: i32, fill: &str, left: bool) -> Result<Datum> {
    let length = length.max(0) as usize;
    if length * 4 > MAX_BYTES {
        return Err(too_large());
    }
    let own = value.chars().count();
    if own >= length || fill.is_empty() {
        return Ok(Datum::text(slice(value, 0, length)));
    }
    let padding: String = fill.chars().cycle().take(length - own).collect();
    Ok(Datum::text(if left { padding + value } else { value.to_owned() + &padding }))
}

pub(super) fn lpad2(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    pad(text(&args[0])?, int4(&args[1])?, " ", true)
}

pub(super) fn rpad2(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    pad(text(&args[0])?, int4(&args[1])?, " ", false)
}

/// Cuts the given characters (blanks without a second argument) off the ends.
fn trim(args: &[Datum], left: bool, right: bool) -> Result<Datum> {
    let value = text(&args[0])?;
    let set: Vec<char> = match args.get(1) {
        Some(set) => text(set)?.chars().collect(),
        None => vec![' '],
    };
    let value = if left { value.trim_start_matches(&set[..]) } else { value };
    Ok(Datum::text(if right { value.trim_end_matches(&set[..]) } else { value }))
}

fn replace(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, from) = (text(&args[0])?, text(&args[1])?);
    if from.is_empty() {
        return Ok(args[0].clone());
    }
    Ok(Datum::text(value.replace(from, text(&args[2])?)))
}

fn translate(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, from, to) = (text(&args[0])?, text(&args[1])?, text(&args[2])?);
    let to: Vec<char> = to.chars().collect();
    let map = |c: char| match from.chars().position(|f| f == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    Ok(Datum::text(value.chars().filter_map(map).collect::<String>()))
}

fn split_part(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, delimiter, field) = (text(&args[0])?, text(&args[1])?, int4(&args[2])?);
    if field == 0 {
        return Err(invalid("field position must not be zero"));
    }
    let parts: Vec<&str> = match (value, delimiter) {
        ("", _) => Vec::new(),
        (value, "") => vec![value],
        _ => value.split(delimiter).collect(),
    };
    let at = if field > 0 { field as i64 - 1 } else { parts.len() as i64 + i64::from(field) };
    let part = usize::try_from(at).ok().and_then(|at| parts.get(at)).copied().unwrap_or("");
    Ok(Datum::text(part))
}

/// The first n characters; all but the last -n for a negative n.
fn left(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, n) = (text(&args[0])?, i64::from(int4(&args[1])?));
    let end = if n < 0 { value.chars().count() as i64 + n } else { n };
    Ok(Datum::text(slice(value, 0, end.max(0) as usize)))
}

fn right(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, n) = (text(&args[0])?, i64::from(int4(&args[1])?));
    let start = if n < 0 { -n } else { value.chars().count() as i64 - n };
    Ok(Datum::text(slice(value, start.max(0) as usize, usize::MAX)))
}

fn repeat(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, count) = (text(&args[0])?, int4(&args[1])?.max(0) as usize);
    if value.len().checked_mul(count).is_none_or(|bytes| bytes > MAX_BYTES) {
        return Err(too_large());
    }
    Ok(Datum::text(value.repeat(count)))
}

fn chr(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let code = int4(&args[0])?;
    let limit = |message: String| Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    match code {
        0 => limit("null character not permitted".to_owned()),
        code if code < 0 => limit("character number must be positive".to_owned()),
        code if code > 0x10_ffff => limit(format!("requested character too large for encoding: {code}")),
        code => match char::from_u32(code as u32) {
            Some(c) => Ok(Datum::text(c.encode_utf8(&mut [0; 4]))),
            None => limit(format!("requested character not valid for encoding: {code}")),
        },
    }
}

/// Every argument's text, nulls left out.
fn concat(cx: &CallContext<'_>, args: &[Datum], from: usize, separator: &str) -> Result<Datum> {
    let io = cx.io();
    let mut parts = Vec::new();
    for (at, value) in args.iter().enumerate().skip(from) {
        parts.extend(io.to_text(cx.arg_type(at), value));
    }
    Ok(Datum::text(parts.join(separator)))
}

fn concat_ws(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    match &args[0] {
        Datum::Null => Ok(Datum::Null),
        separator => concat(cx, args, 1, text(separator)?),
    }
}

/// `format(template, …)`: `%[n$][-][width]type` with types s, I, L.
fn format(cx: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Datum::Text(template) = &args[0] else { return Ok(Datum::Null) };
    let io = cx.io();
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    let mut next = 1usize;
    let short =
        || invalid("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".");
    let value = |at: usize| -> Result<Option<String>> {
        let value = args.get(at).ok_or_else(|| invalid("too few arguments for format()"))?;
        Ok(io.to_text(cx.arg_type(at), value))
    };
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> Result<Option<usize>> {
            let mut value = None;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                chars.next();
                let sum = value.unwrap_or(0usize) * 10 + digit as usize;
                if sum > i32::MAX as usize {
                    return Err(SqlError::new(
                        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                        "number is out of range",
                    ));
                }
                value = Some(sum);
            }
            Ok(value)
        };
        let mut width = number(&mut chars)?;
        let mut position = None;
        if width.is_some() && chars.peek() == Some(&'$') {
            chars.next();
            position = width.take();
            if position == Some(0) {
                return Err(invalid("format specifies argument 0, but arguments are numbered from 1"));
            }
        }
        let mut minus = false;
        if width.is_none() {
            while chars.peek() == Some(&'-') {
                chars.next();
                minus = true;
            }
            width = number(&mut chars)?;
            if width.is_none() && chars.peek() == Some(&'*') {
                chars.next();
                let at = match number(&mut chars)? {
                    Some(at) if chars.peek() == Some(&'$') => {
                        chars.next();
                        at
                    }
                    Some(_) => return Err(invalid("width argument position must be ended by \"$\"")),
                    None => {
                        next += 1;
                        next - 1
                    }
                };
                let given = value(at)?.map_or(Ok(0), |text| text.parse::<i32>());
                let given = given.map_err(|_| invalid("width is no integer"))?;
                minus |= given < 0;
                width = Some(given.unsigned_abs() as usize);
            }
        }
        let kind = chars.next().ok_or_else(short)?;
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(invalid(format!("unrecognized format() type specifier \"{kind}\""))
                .with_hint("For a single \"%\" use \"%%\"."));
        }
        let at = match position {
            Some(at) => at,
            None => {
                next += 1;
                next - 1
            }
        };
        // A position sets the place that the next specifier counts from.
        next = at + 1;
        let shown = match (value(at)?, kind) {
            (None, 's') => String::new(),
            (None, 'L') => "NULL".to_owned(),
            (None, _) => {
                return Err(SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            (Some(text), 's') => text,
            (Some(text), 'I') => quote_identifier(&text),
            (Some(text), _) => quote_literal(&text),
        };
        let padding = " ".repeat(width.unwrap_or(0).saturating_sub(shown.chars().count()));
        if minus {
            out.push_str(&shown);
            out.push_str(&padding);
        } else {
            out.push_str(&padding);
            out.push_str(&shown);
        }
    }
    Ok(Datum::text(out))
}

/// MD5 (RFC 1321) in hex.
fn md5(data: &[u8]) -> String {
    const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let mut message = data.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(data.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in message.chunks_exact(64) {
        let word = |at: usize| {
            u32::from_le_bytes([block[at * 4], block[at * 4 + 1], block[at * 4 + 2], block[at * 4 + 3]])
        };
        let [mut a, mut b, mut c, mut d] = state;
        for step in 0..64usize {
            let (mixed, at) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
                2 => (b ^ c ^ d, (3 * step + 5) % 16),
                _ => (c ^ (b | !d), (7 * step) % 16),
            };
            let constant = ((step as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a.wrapping_add(mixed).wrapping_add(constant).wrapping_add(word(at));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (slot, value) in state.iter_mut().zip([a, b, c, d]) {
            *slot = slot.wrapping_add(value);
        }
    }
    state.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

fn encode(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (data, format) = (bytes(&args[0])?, text(&args[1])?);
    let mut out = Vec::new();
    match format.to_ascii_lowercase().as_str() {
        "hex" => data.iter().for_each(|b| out.extend_from_slice(format!("{b:02x}").as_bytes())),
        "base64" => encode_base64(data, &mut out),
        "escape" => {
            for byte in data {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0 | 0x80.. => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
                    _ => out.push(*byte),
                }
            }
        }
        _ => return Err(invalid(format!("unrecognized encoding: \"{format}\""))),
    }
    Ok(Datum::text(String::from_utf8_lossy(&out)))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines of 76 characters, as PostgreSQL breaks them.
fn encode_base64(data: &[u8], out: &mut Vec<u8>) {
    let mut line = 0;
    for chunk in data.chunks(3) {
        if line == 76 {
            out.push(b'\n');
            line = 0;
        }
        let bits = chunk.iter().enumerate().fold(0u32, |sum, (at, b)| sum | u32::from(*b) << (16 - 8 * at));
        for at in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { digit } else { b'=' });
        }
        line += 4;
    }
}

fn decode(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (value, format) = (text(&args[0])?, text(&args[1])?);
    let data = match format.to_ascii_lowercase().as_str() {
        "hex" => crate::types::bytea::decode_hex(value)?,
        "base64" => decode_base64(value)?,
        "escape" if !value.starts_with("\\x") => crate::types::bytea::input(value)?.to_vec(),
        _ => return Err(invalid(format!("unrecognized encoding: \"{format}\""))),
    };
    Ok(Datum::Bytes(Bytes::from(data)))
}

fn decode_base64(value: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count, mut padding) = (0u32, 0, 0);
    for c in value.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        if c == '=' {
            padding += 1;
            if count < 2 || count + padding > 4 {
                return Err(invalid("unexpected \"=\" while decoding base64 sequence"));
            }
            continue;
        }
        let digit = BASE64.iter().position(|d| char::from(*d) == c && padding == 0);
        let digit = digit
            .ok_or_else(|| invalid(format!("invalid symbol \"{c}\" found while decoding base64 sequence")))?;
        bits = bits << 6 | digit as u32;
        count += 1;
        if count == 4 {
            out.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match (count, padding) {
        (0, 0) => {}
        (3, 1) => out.extend_from_slice(&(bits << 6).to_be_bytes()[1..3]),
        (2, 2) => out.extend_from_slice(&(bits << 12).to_be_bytes()[1..2]),
        _ => {
            return Err(invalid("invalid base64 end sequence")
                .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
        }
    }
    Ok(out)
}

pub(crate) const TABLE: Table = &[
    ("textcat", |_, args| Ok(Datum::text([text(&args[0])?, text(&args[1])?].concat()))),
    ("byteacat", |_, args| Ok(Datum::Bytes([bytes(&args[0])?, bytes(&args[1])?].concat().into()))),
    function!("textlen", |v| Datum::Int4(v.chars().count() as i32)),
    function!("bpcharlen", |v| Datum::Int4(order::trim_blanks(v).chars().count() as i32)),
    function!("textoctetlen", |v| Datum::Int4(v.len() as i32)),
    function!("bpcharoctetlen", |v| Datum::Int4(v.len() as i32)),
    ("byteaoctetlen", |_, args| Ok(Datum::Int4(bytes(&args[0])?.len() as i32))),
    function!("lower", |v| Datum::text(v.to_ascii_lowercase())),
    function!("upper", |v| Datum::text(v.to_ascii_uppercase())),
    function!("initcap", initcap),
    ("text_substr", substr),
    ("text_substr_no_len", substr),
    ("bytea_substr", bytea_substr),
    ("bytea_substr_no_len", bytea_substr),
    ("textoverlay", overlay),
    ("textoverlay_no_len", overlay),
    ("textpos", position),
    ("lpad", |_, args| pad(text(&args[0])?, int4(&args[1])?, text(&args[2])?, true)),
    ("rpad", |_, args| pad(text(&args[0])?, int4(&args[1])?, text(&args[2])?, false)),
    ("btrim", |_, args| trim(args, true, true)),
    ("btrim1", |_, args| trim(args, true, true)),
    ("ltrim", |_, args| trim(args, true, false)),
    ("ltrim1", |_, args| trim(args, true, false)),
    ("rtrim", |_, args| trim(args, false, true)),
    ("rtrim1", |_, args| trim(args, false, true)),
    ("replace_text", replace),
    ("translate", translate),
    ("split_part", split_part),
    ("text_left", left),
    ("text_right", right),
    function!("text_reverse", |v| Datum::text(v.chars().rev().collect::<String>())),
    ("repeat", repeat),
    function!("ascii", |v| Datum::Int4(v.chars().next().map_or(0, |c| c as i32))),
    ("chr", chr),
    ("to_hex32", |_, args| Ok(Datum::text(format!("{:x}", int4(&args[0])?)))),
    ("to_hex64", |_, args| Ok(Datum::text(format!("{:x}", args::int8(&args[0])?)))),
    function!("md5_text", |v| Datum::text(md5(v.as_bytes()))),
    ("md5_bytea", |_, args| Ok(Datum::text(md5(bytes(&args[0])?)))),
    ("text_concat", |cx, args| concat(cx, args, 0, "")),
    ("text_concat_ws", concat_ws),
    ("text_format", format),
    ("text_format_nv", format),
    function!("quote_ident", |v| Datum::text(quote_identifier(v))),
    function!("quote_literal", |v| Datum::text(quote_literal(v))),
    ("quote_nullable", |_, args| match &args[0] {
        Datum::Null => Ok(Datum::text("NULL")),
        value => Ok(Datum::text(quote_literal(text(value)?))),
    }),
    ("text_starts_with", |_, args| Ok(Datum::Bool(text(&args[0])?.starts_with(text(&args[1])?)))),
    ("binary_encode", encode),
    ("binary_decode", decode),
];
