//! Rows: `(a,"b c",)`.

use super::Datum;
use super::io::Io;
use crate::Oid;

/// Fields with commas between, quoted where reading back needs it; nothing for null.
pub(super) fn output(io: &Io<'_>, fields: &[(Oid, Datum)], out: &mut Vec<u8>) {
    out.push(b'(');
    for (at, (ty, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let Some(text) = io.to_text(*ty, value) else { continue };
        let quoted = text.is_empty()
            || text.contains(|c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || super::io::is_space(c));
        if !quoted {
            out.extend_from_slice(text.as_bytes());
            continue;
        }
        out.push(b'"');
        for byte in text.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(byte);
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    out.push(b')');
}

/// Field count, then type OID, length (-1: null) and binary value of each.
pub(super) fn send(io: &Io<'_>, fields: &[(Oid, Datum)], out: &mut Vec<u8>) {
    out.extend_from_slice(&(fields.len() as i32).to_be_bytes());
    for (ty, value) in fields {
        out.extend_from_slice(&ty.0.to_be_bytes());
        super::array::send_item(io, *ty, value, out);
    }
}
