//! The binary format.
//!
//! | bytes | meaning |
//! |---|---|
//! | 11 | `PGCOPY\n\xff\r\n\0` |
//! | 4 | flags; bits 16-31 are critical, none is known |
//! | 4 | length of an extension, which is skipped |
//! | | then tuples: |
//! | 2 | number of fields; -1: the end |
//! | 4 + n | each field: length (-1: null) and the type's binary form |
//!
//! Integers are big-endian.

use super::lines::bad;
use crate::Result;
use std::ops::Range;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER: usize = 19;
const CRITICAL: u32 = 0xffff_0000;
const WITH_OIDS: u32 = 1 << 16;

/// What comes before the first tuple.
pub(super) fn header(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// What comes after the last tuple.
pub(super) fn trailer(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i16).to_be_bytes());
}

/// Begins a tuple.
pub(super) fn begin_tuple(out: &mut Vec<u8>, fields: usize) {
    out.extend_from_slice(&(fields as i16).to_be_bytes());
}

/// Appends a field; `write` appends its value, `None` is null.
pub(super) fn field(out: &mut Vec<u8>, write: Option<impl FnOnce(&mut Vec<u8>)>) {
    let at = out.len();
    out.extend_from_slice(&(-1i32).to_be_bytes());
    if let Some(write) = write {
        write(out);
        let length = (out.len() - at - 4) as i32;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// Cuts a stream into tuples.
#[derive(Default)]
pub(super) struct Tuples {
    buffer: Vec<u8>,
    at: usize,
    /// The header has been read.
    begun: bool,
    /// The end marker was seen.
    ended: bool,
    complete: bool,
    /// Number of the tuple handed out last or in work.
    line: u64,
    /// A tuple has been begun, and counted, that is not whole yet.
    in_tuple: bool,
    /// Fields of the tuple in work.
    fields: Vec<Option<Range<usize>>>,
}

/// What went wrong, and at which field of the tuple.
pub(super) type AtField<E> = (E, Option<usize>);

impl Tuples {
    pub(super) fn feed(&mut self, data: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(data);
    }

    pub(super) fn complete(&mut self) {
        self.complete = true;
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The binary form of field `i` of the tuple handed out last.
    pub(super) fn field(&self, i: usize) -> Option<&[u8]> {
        self.fields[i].clone().map(|range| &self.buffer[range])
    }

    /// Moves to the next whole tuple of `width` fields; `false`: more input is needed, or there is no
    /// more.
    pub(super) fn next_tuple(&mut self, width: usize) -> Result<bool, AtField<crate::SqlError>> {
        if !self.begun && !self.read_header().map_err(|e| (e, None))? {
            return Ok(false);
        }
        let rest = &self.buffer[self.at..];
        if self.ended {
            return if rest.is_empty() {
                Ok(false)
            } else {
                Err((bad("received copy data after EOF marker"), None))
            };
        }
        if !self.in_tuple && !rest.is_empty() {
            self.in_tuple = true;
            self.line += 1;
        }
        let Some(count) = rest.first_chunk() else {
            // A missing end marker is let pass; half of a count is as well.
            return Ok(false);
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.at += 2;
            self.ended = true;
            if self.at < self.buffer.len() {
                return Err((bad("received copy data after EOF marker"), None));
            }
            return Ok(false);
        }
        if usize::try_from(count).ok() != Some(width) {
            return Err((bad(format!("row field count is {count}, expected {width}")), None));
        }
        self.read_fields(width)
    }

    fn read_fields(&mut self, width: usize) -> Result<bool, AtField<crate::SqlError>> {
        self.fields.clear();
        let mut at = self.at + 2;
        for i in 0..width {
            let Some(length) = self.buffer[at..].first_chunk() else { return self.short(i) };
            at += 4;
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                self.fields.push(None);
                continue;
            }
            let length = usize::try_from(length).map_err(|_| (bad("invalid field size"), Some(i)))?;
            if self.buffer.len() - at < length {
                return self.short(i);
            }
            self.fields.push(Some(at..at + length));
            at += length;
        }
        self.at = at;
        self.in_tuple = false;
        Ok(true)
    }

    /// The tuple goes on in the next chunk, if there is one.
    fn short(&self, field: usize) -> Result<bool, AtField<crate::SqlError>> {
        if self.complete { Err((bad("unexpected EOF in COPY data"), Some(field))) } else { Ok(false) }
    }

    fn read_header(&mut self) -> Result<bool> {
        let known = self.buffer.len().min(SIGNATURE.len());
        if self.buffer[..known] != SIGNATURE[..known] || (self.complete && known < SIGNATURE.len()) {
            return Err(bad("COPY file signature not recognized"));
        }
        let word = |at: usize| self.buffer.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b));
        if let Some(flags) = word(SIGNATURE.len()) {
            if flags & WITH_OIDS != 0 {
                return Err(bad("invalid COPY file header (WITH OIDS)"));
            }
            if flags & CRITICAL != 0 {
                return Err(bad("unrecognized critical flags in COPY file header"));
            }
        } else if self.complete {
            return Err(bad("invalid COPY file header (missing flags)"));
        }
        let Some(extension) = word(SIGNATURE.len() + 4) else {
            let missing = || bad("invalid COPY file header (missing length)");
            return if self.complete { Err(missing()) } else { Ok(false) };
        };
        let wrong = || bad("invalid COPY file header (wrong length)");
        let extension = i32::try_from(extension).map_err(|_| wrong())? as usize;
        if self.buffer.len() < HEADER + extension {
            return if self.complete { Err(wrong()) } else { Ok(false) };
        }
        self.at = HEADER + extension;
        self.begun = true;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tuple of two fields as text, or the error.
    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut tuples = Tuples::default();
        let mut out = vec![];
        for (i, chunk) in chunks.iter().chain([&&[][..]]).enumerate() {
            tuples.feed(chunk);
            if i == chunks.len() {
                tuples.complete();
            }
            loop {
                match tuples.next_tuple(2) {
                    Ok(true) => {
                        out.push(format!("{}: {:?} {:?}", tuples.line(), tuples.field(0), tuples.field(1)))
                    }
                    Ok(false) => break,
                    Err((e, field)) => {
                        out.push(format!("{} {field:?}: {e}", tuples.line()));
                        return out;
                    }
                }
            }
        }
        out
    }

    fn check(input: &[u8], expected: &[&str]) {
        for at in 0..=input.len() {
            assert_eq!(read(&[&input[..at], &input[at..]]), expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(read(&bytes), expected, "byte by byte");
    }

    fn stream(tuples: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        header(&mut out);
        out.extend_from_slice(tuples);
        out
    }

    #[test]
    fn tuples_come_back_wherever_the_input_is_cut() {
        let mut input = stream(&[]);
        begin_tuple(&mut input, 2);
        field(&mut input, Some(|out: &mut Vec<u8>| out.push(7)));
        field(&mut input, None::<fn(&mut Vec<u8>)>);
        let unended = input.clone();
        trailer(&mut input);
        check(&input, &["1: Some([7]) None"]);
        check(&unended, &["1: Some([7]) None"]);
        check(&unended[..unended.len() - 2], &["1 Some(1): unexpected EOF in COPY data"]);
        input.push(b'x');
        assert_eq!(read(&[&input]).last().unwrap(), "2 None: received copy data after EOF marker");
    }

    #[test]
    fn damage_is_told() {
        check(b"PGCOPYx", &["0 None: COPY file signature not recognized"]);
        check(b"PGC", &["0 None: COPY file signature not recognized"]);
        check(&stream(&[])[..11], &["0 None: invalid COPY file header (missing flags)"]);
        check(&stream(&[])[..16], &["0 None: invalid COPY file header (missing length)"]);
        check(&stream(&[0, 3]), &["1 None: row field count is 3, expected 2"]);
        check(&stream(&[0, 2, 255, 255, 255, 254]), &["1 Some(0): invalid field size"]);
        let mut oids = stream(&[]);
        oids[12] = 1;
        check(&oids, &["0 None: invalid COPY file header (WITH OIDS)"]);
    }
}
