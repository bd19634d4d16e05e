//! The text and csv formats' input, cut into lines.
//!
//! The first line end decides what ends all lines: LF, CR or CR LF; another one is then an error. A
//! backslash (text) takes the next byte with it, quotes (csv) take line ends into a field. `\.` ends
//! the data. Chunks may be cut anywhere: where a decision needs a byte that is not there yet, the
//! scan stops before the byte that asks and goes on with more data.

use super::options::Quoting;
use crate::{Result, SqlError, SqlState};
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Lf,
    Cr,
    CrLf,
}

pub(super) struct Lines {
    csv: Option<Quoting>,
    line_end: LineEnd,
    buffer: Vec<u8>,
    /// Start of the line in work, and the next byte to look at.
    start: usize,
    at: usize,
    /// The scan stands inside of a line, which has been counted.
    in_line: bool,
    in_quote: bool,
    /// The byte before is an escape inside of quotes that is not escaped itself.
    after_escape: bool,
    /// Number of the line handed out last or in work, from 1; line ends inside of quotes count.
    line: u64,
    /// `\.` was seen: the rest of the input is ignored.
    ended: bool,
    /// There is no more input.
    complete: bool,
}

/// What the scan makes of a byte that may mean more than itself.
enum Step {
    /// An ordinary part of the line, this many bytes.
    Data(usize),
    /// The line ends here; its end is this many bytes.
    End(usize),
    /// `\.`: what stands before it is the last line.
    Marker,
    /// More input is needed to tell.
    Wait,
}

impl Lines {
    pub(super) fn new(csv: Option<Quoting>) -> Lines {
        Lines {
            csv,
            line_end: LineEnd::Unknown,
            buffer: vec![],
            start: 0,
            at: 0,
            in_line: false,
            in_quote: false,
            after_escape: false,
            line: 0,
            ended: false,
            complete: false,
        }
    }

    /// Appends input. Ranges handed out before are no longer valid.
    pub(super) fn feed(&mut self, data: &[u8]) {
        if self.ended {
            return;
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.at -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(data);
    }

    /// There is no more input: an unfinished last line counts as one.
    pub(super) fn complete(&mut self) {
        self.complete = true;
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Number of the line that the input stands in.
    pub(super) fn line_in_work(&self) -> u64 {
        self.line + u64::from(!self.in_line)
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// The next whole line, without its end; `None`: more input is needed, or there is no more.
    pub(super) fn next_line(&mut self) -> Result<Option<Range<usize>>> {
        if self.ended || (!self.in_line && self.start == self.buffer.len()) {
            return Ok(None);
        }
        if !self.in_line {
            self.in_line = true;
            self.in_quote = false;
            self.after_escape = false;
            self.line += 1;
        }
        while self.at < self.buffer.len() {
            match self.step()? {
                Step::Data(bytes) => self.at += bytes,
                Step::End(bytes) => {
                    let line = self.start..self.at;
                    self.at += bytes;
                    self.start = self.at;
                    self.in_line = false;
                    return Ok(Some(line));
                }
                Step::Marker => {
                    self.ended = true;
                    let line = self.start..self.at;
                    return Ok((!line.is_empty()).then_some(line));
                }
                Step::Wait => return Ok(None),
            }
        }
        if !self.complete {
            return Ok(None);
        }
        self.ended = true;
        Ok((self.start < self.buffer.len()).then_some(self.start..self.buffer.len()))
    }

    fn step(&mut self) -> Result<Step> {
        let plain = self.plain_bytes();
        if plain > 0 {
            return Ok(Step::Data(plain));
        }
        let byte = self.buffer[self.at];
        if matches!(byte, b'\r' | b'\\') && !self.complete && self.at + 1 == self.buffer.len() {
            return Ok(Step::Wait);
        }
        if let Some(csv) = self.csv {
            self.quote(byte, csv);
        }
        match byte {
            b'\r' if !self.in_quote => self.carriage_return(),
            b'\n' if !self.in_quote => self.newline(),
            b'\\' if self.csv.is_none() || self.at == self.start => self.backslash(byte),
            _ => Ok(Step::Data(1)),
        }
    }

    /// Bytes from here that mean nothing but themselves.
    fn plain_bytes(&self) -> usize {
        let rest = &self.buffer[self.at..];
        let end = match self.csv {
            None => rest.iter().position(|b| matches!(b, b'\n' | b'\r' | b'\\')),
            Some(csv) if !self.after_escape => rest
                .iter()
                .position(|b| matches!(b, b'\n' | b'\r' | b'\\') || *b == csv.quote || *b == csv.escape),
            Some(_) => Some(0),
        };
        end.unwrap_or(rest.len())
    }

    /// Follows quotes. An escape other than the quote counts inside of quotes only, and not behind
    /// another escape.
    fn quote(&mut self, byte: u8, csv: Quoting) {
        let escape = (csv.escape != csv.quote).then_some(csv.escape);
        if self.in_quote && Some(byte) == escape {
            self.after_escape = !self.after_escape;
        }
        if byte == csv.quote && !self.after_escape {
            self.in_quote = !self.in_quote;
        }
        if Some(byte) != escape {
            self.after_escape = false;
        }
        let counted = if self.line_end == LineEnd::Lf { b'\n' } else { b'\r' };
        if self.in_quote && byte == counted {
            self.line += 1;
        }
    }

    fn carriage_return(&mut self) -> Result<Step> {
        match self.line_end {
            LineEnd::Lf => Err(self.stray("carriage return", 'r')),
            LineEnd::Cr => Ok(Step::End(1)),
            LineEnd::Unknown | LineEnd::CrLf => {
                if self.buffer.get(self.at + 1) == Some(&b'\n') {
                    self.line_end = LineEnd::CrLf;
                    return Ok(Step::End(2));
                }
                if self.line_end == LineEnd::CrLf {
                    return Err(self.stray("carriage return", 'r'));
                }
                self.line_end = LineEnd::Cr;
                Ok(Step::End(1))
            }
        }
    }

    fn newline(&mut self) -> Result<Step> {
        match self.line_end {
            LineEnd::Cr | LineEnd::CrLf => Err(self.stray("newline", 'n')),
            LineEnd::Unknown | LineEnd::Lf => {
                self.line_end = LineEnd::Lf;
                Ok(Step::End(1))
            }
        }
    }

    fn stray(&self, name: &str, letter: char) -> SqlError {
        let (kind, hint) = match self.csv {
            None => ("literal", format!("Use \"\\{letter}\" to represent {name}.")),
            Some(_) => ("unquoted", format!("Use quoted CSV field to represent {name}.")),
        };
        bad(format!("{kind} {name} found in data")).with_hint(hint)
    }

    /// `\.` and other backslash sequences.
    fn backslash(&mut self, byte: u8) -> Result<Step> {
        // In csv only a line of its own is a marker; all else is data.
        let not_a_marker = |error: SqlError, csv: bool| if csv { Ok(Step::Data(1)) } else { Err(error) };
        let csv = self.csv.is_some();
        let Some(next) = self.buffer.get(self.at + 1) else { return Ok(Step::Data(1)) };
        if *next != b'.' {
            // The second byte belongs to the sequence, a line end included.
            return Ok(Step::Data(if csv { 1 } else { 2 }));
        }
        let mut at = self.at + 2;
        if !self.complete && at >= self.buffer.len() {
            return Ok(self.wait(byte));
        }
        if self.line_end == LineEnd::CrLf {
            match self.buffer.get(at) {
                Some(b'\n') => return not_a_marker(mismatch(), csv),
                Some(b'\r') => at += 1,
                _ => return not_a_marker(corrupt(), csv),
            }
            if !self.complete && at >= self.buffer.len() {
                return Ok(self.wait(byte));
            }
        }
        match (self.buffer.get(at), self.line_end) {
            (Some(b'\n'), LineEnd::Lf | LineEnd::CrLf | LineEnd::Unknown)
            | (Some(b'\r'), LineEnd::Cr | LineEnd::Unknown) => Ok(Step::Marker),
            (Some(b'\n' | b'\r'), _) => Err(mismatch()),
            _ => not_a_marker(corrupt(), csv),
        }
    }

    /// The byte will be looked at again: its effect on the quotes is taken back.
    fn wait(&mut self, byte: u8) -> Step {
        if self.csv.is_some_and(|csv| csv.quote == byte) {
            self.in_quote = !self.in_quote;
        }
        Step::Wait
    }
}

fn mismatch() -> SqlError {
    bad("end-of-copy marker does not match previous newline style")
}

fn corrupt() -> SqlError {
    bad("end-of-copy marker corrupt")
}

/// 22P04.
pub(super) fn bad(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: Option<Quoting> = Some(Quoting { quote: b'"', escape: b'"' });
    const ESCAPED: Option<Quoting> = Some(Quoting { quote: b'"', escape: b'\\' });

    /// Every line with its number, or the error, for input in the given chunks.
    fn cut(csv: Option<Quoting>, chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(csv);
        let mut out = vec![];
        let mut take = |lines: &mut Lines| loop {
            match lines.next_line() {
                Ok(Some(range)) => {
                    let text = String::from_utf8_lossy(lines.bytes(range)).into_owned();
                    out.push(format!("{}:{text}", lines.line()));
                }
                Ok(None) => return true,
                Err(e) => {
                    out.push(format!("{}! {e}", lines.line()));
                    return false;
                }
            }
        };
        for chunk in chunks {
            lines.feed(chunk);
            if !take(&mut lines) {
                return out;
            }
        }
        lines.complete();
        take(&mut lines);
        out
    }

    /// The same lines come out wherever the input is cut.
    fn check(csv: Option<Quoting>, input: &str, expected: &[&str]) {
        let input = input.as_bytes();
        assert_eq!(cut(csv, &[input]), expected);
        for at in 0..=input.len() {
            assert_eq!(cut(csv, &[&input[..at], &input[at..]]), expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(cut(csv, &bytes), expected, "byte by byte");
    }

    #[test]
    fn the_first_line_end_decides() {
        check(None, "a\nb\n", &["1:a", "2:b"]);
        check(None, "a\r\nb\r\nc", &["1:a", "2:b", "3:c"]);
        check(None, "a\rb\r\rc\r", &["1:a", "2:b", "3:", "4:c"]);
        check(None, "a\nb\rc\n", &["1:a", "2! literal carriage return found in data"]);
        check(None, "a\r\nb\nc", &["1:a", "2! literal newline found in data"]);
        check(CSV, "a\r\nb\rc", &["1:a", "2! unquoted carriage return found in data"]);
        check(None, "", &[]);
        check(None, "\n\n", &["1:", "2:"]);
    }

    #[test]
    fn a_backslash_takes_the_next_byte_along() {
        check(None, "a\\\nb\nc\\\\\nd\\", &["1:a\\\nb", "2:c\\\\", "3:d\\"]);
    }

    #[test]
    fn the_marker_ends_the_data() {
        check(None, "a\n\\.\nb\n", &["1:a"]);
        check(None, "a\\.\nb\n", &["1:a"]);
        check(None, "a\r\n\\.\r\nb", &["1:a"]);
        check(None, "a\r\n\\.\nb", &["1:a", "2! end-of-copy marker does not match previous newline style"]);
        check(None, "a\n\\.\r\n", &["1:a", "2! end-of-copy marker does not match previous newline style"]);
        check(None, "a\n\\.b\n", &["1:a", "2! end-of-copy marker corrupt"]);
        check(None, "a\n\\.", &["1:a", "2! end-of-copy marker corrupt"]);
        check(CSV, "a\n\\.\nb\n", &["1:a"]);
        check(CSV, "a\\.\n\\.b\nc\n", &["1:a\\.", "2:\\.b", "3:c"]);
    }

    #[test]
    fn quotes_take_line_ends_along() {
        check(CSV, "x\n\"a\nb\",\"\"\"\n\"\nc\n", &["1:x", "4:\"a\nb\",\"\"\"\n\"", "5:c"]);
        check(ESCAPED, "\"a\\\"\nb\\\\\"\nc\n", &["1:\"a\\\"\nb\\\\\"", "2:c"]);
        check(CSV, "\"a\nb", &["1:\"a\nb"]);
    }
}
