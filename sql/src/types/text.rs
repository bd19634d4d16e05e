//! text, varchar(n), bpchar(n), name, "char".

use super::{Coercion, Datum};
use crate::{Result, SqlError, SqlState};

/// Bytes of a `name` without its terminating zero.
pub const NAME_LEN: usize = 63;

/// Cut to 63 bytes, between characters.
pub(crate) fn name_in(text: &str) -> Datum {
    Datum::text(clip(text, NAME_LEN))
}

pub(super) fn name_recv(text: &str) -> Result<Datum> {
    if text.len() > NAME_LEN {
        return Err(SqlError::new(SqlState::NAME_TOO_LONG, "identifier too long")
            .with_detail("Identifier must be less than 64 characters."));
    }
    Ok(Datum::text(text))
}

/// The longest prefix of at most `bytes` bytes that ends between characters.
pub(crate) fn clip(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// One byte: itself, or `\ooo` for one above 127.
pub(super) fn char_in(text: &str) -> Datum {
    let bytes = text.as_bytes();
    let octal = |b: u8| (b'0'..=b'7').contains(&b);
    if let [b'\\', a, b, c] = bytes
        && octal(*a)
        && octal(*b)
        && octal(*c)
    {
        return char_recv(a.wrapping_sub(b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
    }
    bytes.first().map_or_else(|| Datum::text(""), |byte| char_recv(*byte))
}

/// The datum of a `"char"`: its text form.
pub(crate) fn char_recv(byte: u8) -> Datum {
    match byte {
        0 => Datum::text(""),
        1..=127 => Datum::text(char::from(byte).to_string()),
        _ => Datum::text(format!("\\{byte:03o}")),
    }
}

/// The byte behind a `"char"`'s text form.
pub(crate) fn char_byte(text: &str) -> u8 {
    match text.as_bytes() {
        [] => 0,
        [b'\\', a, b, c] => (a.wrapping_sub(b'0')) << 6 | (b.wrapping_sub(b'0')) << 3 | c.wrapping_sub(b'0'),
        [first, ..] => *first,
    }
}

/// A binary text value: UTF-8 without zero bytes.
pub(crate) fn check_utf8(bytes: &[u8]) -> Result<&str> {
    let invalid = |bytes: &[u8]| {
        let shown: Vec<_> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let width = match bytes.get(at) {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf7) => 4,
            _ => 1,
        };
        invalid(&bytes[at..(at + width).min(bytes.len())])
    })?;
    if text.contains('\0') { Err(invalid(&[0])) } else { Ok(text) }
}

/// `varchar(n)`: cuts on an explicit cast; otherwise only blanks may be cut.
pub(super) fn apply_varchar(text: &str, length: usize, coercion: Coercion) -> Result<Option<Datum>> {
    let Some((at, _)) = text.char_indices().nth(length) else { return Ok(None) };
    if coercion != Coercion::Explicit && text[at..].bytes().any(|b| b != b' ') {
        return Err(too_long("character varying", length));
    }
    Ok(Some(Datum::text(&text[..at])))
}

/// `char(n)`: as `varchar(n)`, padded with blanks.
pub(super) fn apply_bpchar(text: &str, length: usize, coercion: Coercion) -> Result<Option<Datum>> {
    let characters = text.chars().count();
    if characters < length {
        let mut padded = text.to_owned();
        padded.extend(std::iter::repeat_n(' ', length - characters));
        return Ok(Some(Datum::text(padded)));
    }
    match text.char_indices().nth(length) {
        None => Ok(None),
        Some((at, _)) if coercion != Coercion::Explicit && text[at..].bytes().any(|b| b != b' ') => {
            Err(too_long("character", length))
        }
        Some((at, _)) => Ok(Some(Datum::text(&text[..at]))),
    }
}

fn too_long(ty: &str, length: usize) -> SqlError {
    SqlError::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {ty}({length})"))
}
