//! A line of the text or csv format, cut into fields.

use super::lines::bad;
use super::options::{Quoting, TextFormat};
use crate::{Result, SqlError, types};

/// The fields of one line. Fields without escapes and quotes stay where they are in the line; others
/// are built in an arena, which is reused from line to line.
#[derive(Default)]
pub(super) struct Fields {
    spans: Vec<Span>,
    arena: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Span {
    Null,
    Line(usize, usize),
    Arena(usize, usize),
}

impl Fields {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Field `i` of the line that was cut last; `None` is null.
    pub(super) fn get<'f>(&'f self, line: &'f str, i: usize) -> Option<&'f str> {
        match self.spans[i] {
            Span::Null => None,
            Span::Line(start, end) => Some(&line[start..end]),
            // Checked when it was built.
            Span::Arena(start, end) => std::str::from_utf8(&self.arena[start..end]).ok(),
        }
    }

    /// Cuts a line.
    pub(super) fn cut(&mut self, line: &str, format: &TextFormat) -> Result<()> {
        self.spans.clear();
        self.arena.clear();
        let mut at = 0;
        while let Some(start) = (at <= line.len()).then_some(at) {
            let (span, end) = match format.csv {
                None => self.text_field(line.as_bytes(), start, format)?,
                Some(csv) => self.csv_field(line.as_bytes(), start, format, csv)?,
            };
            self.spans.push(span);
            at = end + 1;
        }
        Ok(())
    }

    /// One field of the text format from `start`; its place and where its delimiter stands.
    fn text_field(&mut self, line: &[u8], start: usize, format: &TextFormat) -> Result<(Span, usize)> {
        let mut at = start;
        while at < line.len() && line[at] != format.delimiter && line[at] != b'\\' {
            at += 1;
        }
        if at == line.len() || line[at] == format.delimiter {
            let null = line[start..at] == format.null[..];
            return Ok((if null { Span::Null } else { Span::Line(start, at) }, at));
        }
        let from = self.arena.len();
        self.arena.extend_from_slice(&line[start..at]);
        let mut check = false;
        while at < line.len() && line[at] != format.delimiter {
            if line[at] != b'\\' {
                self.arena.push(line[at]);
                at += 1;
                continue;
            }
            let Some(next) = line.get(at + 1) else {
                // A lone backslash at the end of the input stands for nothing.
                at += 1;
                break;
            };
            let (byte, length) = escape(*next, &line[at + 2..]);
            check |= byte == 0 || byte > 127;
            self.arena.push(byte);
            at += 1 + length;
        }
        if line[start..at] == format.null[..] {
            return Ok((Span::Null, at));
        }
        if check {
            types::text::check_utf8(&self.arena[from..])?;
        }
        Ok((Span::Arena(from, self.arena.len()), at))
    }

    /// One field of the csv format. Quotes may begin and end anywhere in it; a quoted field is never
    /// null.
    fn csv_field(
        &mut self,
        line: &[u8],
        start: usize,
        format: &TextFormat,
        csv: Quoting,
    ) -> Result<(Span, usize)> {
        let mut at = start;
        while at < line.len() && line[at] != format.delimiter && line[at] != csv.quote {
            at += 1;
        }
        if at == line.len() || line[at] == format.delimiter {
            let null = line[start..at] == format.null[..];
            return Ok((if null { Span::Null } else { Span::Line(start, at) }, at));
        }
        let from = self.arena.len();
        self.arena.extend_from_slice(&line[start..at]);
        let mut in_quote = false;
        while at < line.len() && (in_quote || line[at] != format.delimiter) {
            let byte = line[at];
            let next = line.get(at + 1).copied();
            if in_quote && byte == csv.escape && next.is_some_and(|n| n == csv.quote || n == csv.escape) {
                self.arena.extend(next);
                at += 2;
                continue;
            }
            match byte == csv.quote {
                true => in_quote = !in_quote,
                false => self.arena.push(byte),
            }
            at += 1;
        }
        if in_quote {
            return Err(bad("unterminated CSV quoted field"));
        }
        Ok((Span::Arena(from, self.arena.len()), at))
    }
}

/// The byte that a backslash sequence stands for, and its length without the backslash. `first` is
/// the byte behind the backslash, `rest` what follows it.
fn escape(first: u8, rest: &[u8]) -> (u8, usize) {
    let digits = |radix: u32, most: usize| {
        let digits = rest.iter().take(most).map_while(|b| char::from(*b).to_digit(radix));
        // Only the low eight bits of \777 count, as in PostgreSQL.
        digits.fold((0u32, 0), |(value, n), digit| (value * radix + digit, n + 1))
    };
    match first {
        b'0'..=b'7' => {
            let (value, n) = digits(8, 2);
            let value = (u32::from(first - b'0') << (3 * n)) + value;
            ((value & 0xff) as u8, 1 + n)
        }
        b'x' => match digits(16, 2) {
            (_, 0) => (b'x', 1),
            (value, n) => (value as u8, 1 + n),
        },
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (0x0b, 1),
        other => (other, 1),
    }
}

/// A line as text: 22021 for bytes that are not UTF-8.
pub(super) fn text_of(line: &[u8]) -> Result<&str, SqlError> {
    types::text::check_utf8(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::CopyHeader;

    fn text(delimiter: u8, null: &str) -> TextFormat {
        TextFormat { delimiter, null: null.into(), header: CopyHeader::No, csv: None }
    }

    fn csv(quote: u8, escape: u8, null: &str) -> TextFormat {
        let csv = Some(Quoting { quote, escape });
        TextFormat { delimiter: b',', null: null.into(), header: CopyHeader::No, csv }
    }

    fn cut(format: &TextFormat, line: &str) -> Vec<String> {
        let mut fields = Fields::default();
        match fields.cut(line, format) {
            Ok(()) => (0..fields.len())
                .map(|i| fields.get(line, i).map_or("NULL".into(), |f| format!("[{f}]")))
                .collect(),
            Err(e) => vec![format!("{:?}: {e}", e.code())],
        }
    }

    /// As PostgreSQL 15 reads them.
    #[test]
    fn text_escapes() {
        let format = text(b'\t', "\\N");
        assert_eq!(cut(&format, "a\t\\N\t\tb"), ["[a]", "NULL", "[]", "[b]"]);
        assert_eq!(cut(&format, "\\b\\f\\n\\r\\t\\v\\\\"), ["[\u{8}\u{c}\n\r\t\u{b}\\]"]);
        assert_eq!(cut(&format, "\\101\\1018\\60\\x41\\x4\\xg\\q"), ["[AA80A\u{4}xgq]"]);
        assert_eq!(cut(&format, "a\\\tb\t\\\\N"), ["[a\tb]", "[\\N]"]);
        assert_eq!(cut(&format, "\\xc3\\xa9 \\303\\251"), ["[é é]"]);
        assert_eq!(cut(&format, "\\xff"), ["22021: invalid byte sequence for encoding \"UTF8\": 0xff"]);
        assert_eq!(cut(&format, "\\0"), ["22021: invalid byte sequence for encoding \"UTF8\": 0x00"]);
        assert_eq!(cut(&format, "a\\"), ["[a]"]);
        assert_eq!(cut(&format, ""), ["[]"]);
        assert_eq!(cut(&text(b'|', ""), "|x|"), ["NULL", "[x]", "NULL"]);
    }

    #[test]
    fn csv_quotes() {
        let format = csv(b'"', b'"', "");
        assert_eq!(cut(&format, "a,\"b\",,\"\""), ["[a]", "[b]", "NULL", "[]"]);
        assert_eq!(cut(&format, "\"a,\"\"b\"\"\",x\"y,z\"w"), ["[a,\"b\"]", "[xy,zw]"]);
        assert_eq!(cut(&format, "\"a"), ["22P04: unterminated CSV quoted field"]);
        assert_eq!(cut(&format, "\\N,a\\b"), ["[\\N]", "[a\\b]"]);
        let escaped = csv(b'\'', b'\\', "N");
        assert_eq!(cut(&escaped, "'a\\'b\\\\c\\d',N,'N'"), ["[a'b\\c\\d]", "NULL", "[N]"]);
    }
}
