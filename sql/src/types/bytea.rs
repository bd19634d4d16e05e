//! bytea: hex and escape forms.

use super::io::invalid_syntax;
use crate::session::info::ByteaOutput;
use crate::{Result, SqlError, SqlState};
use bytes::Bytes;

pub(crate) fn input(text: &str) -> Result<Bytes> {
    match text.strip_prefix("\\x") {
        Some(hex) => decode_hex(hex).map(Bytes::from),
        None => unescape(text).map(Bytes::from),
    }
}

/// Hex digits in pairs; blanks between pairs.
pub(crate) fn decode_hex(hex: &str) -> Result<Vec<u8>> {
    let invalid = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let digit =
        |c: char| c.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")));
    let mut out = Vec::with_capacity(hex.len() / 2);
    let mut chars = hex.chars();
    while let Some(high) = chars.next() {
        if matches!(high, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = digit(high)?;
        let low =
            chars.next().ok_or_else(|| invalid("invalid hexadecimal data: odd number of digits".into()))?;
        out.push((high * 16 + digit(low)?) as u8);
    }
    Ok(out)
}

/// `\\` a backslash, `\ooo` a byte.
fn unescape(text: &str) -> Result<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'\\', b'\\', ..] => {
                out.push(b'\\');
                at += 2;
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                at += 4;
            }
            [b'\\', ..] => {
                return Err(SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    invalid_syntax("bytea", "").message().trim_end_matches(": \"\"").to_owned(),
                ));
            }
            [byte, ..] => {
                out.push(*byte);
                at += 1;
            }
            [] => break,
        }
    }
    Ok(out)
}

pub(crate) fn output(value: &[u8], style: ByteaOutput, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match style {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            for byte in value {
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
        ByteaOutput::Escape => {
            for byte in value {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(*byte),
                    _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_both_forms() {
        assert_eq!(&input("\\xDE ad").unwrap()[..], [0xde, 0xad]);
        assert_eq!(&input("a\\\\b\\001").unwrap()[..], [b'a', b'\\', b'b', 1]);
        assert_eq!(input("\\xg0").unwrap_err().message(), "invalid hexadecimal digit: \"g\"");
        assert_eq!(input("\\x1").unwrap_err().message(), "invalid hexadecimal data: odd number of digits");
        assert_eq!(input("a\\b").unwrap_err().message(), "invalid input syntax for type bytea");
        let show = |style| {
            let mut out = Vec::new();
            output(&[0, b'a', b'\\', 0xff], style, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(ByteaOutput::Hex), "\\x00615cff");
        assert_eq!(show(ByteaOutput::Escape), "\\000a\\\\\\377");
    }
}
