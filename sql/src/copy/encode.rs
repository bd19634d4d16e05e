//! Rows in the text and csv formats.

use super::options::{Quoting, TextFormat};

/// Appends a value in its text form: delimiters, backslashes and control characters escaped.
pub(super) fn text_value(out: &mut Vec<u8>, value: &[u8], delimiter: u8) {
    let mut plain = 0;
    for (at, byte) in value.iter().enumerate() {
        let letter = match *byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            b'\\' => b'\\',
            other if other == delimiter => other,
            _ => continue,
        };
        out.extend_from_slice(&value[plain..at]);
        out.extend_from_slice(&[b'\\', letter]);
        plain = at + 1;
    }
    out.extend_from_slice(&value[plain..]);
}

/// Appends a value of the csv format: quoted where reading it back needs quotes, or `always`.
/// `alone`: it is the row's only field.
pub(super) fn csv_value(
    out: &mut Vec<u8>,
    value: &[u8],
    format: &TextFormat,
    csv: Quoting,
    always: bool,
    alone: bool,
) {
    let special = |b: &u8| *b == format.delimiter || *b == csv.quote || matches!(b, b'\n' | b'\r');
    // A lone `\.` would end the data.
    let quoted =
        always || value == &format.null[..] || (alone && value == b"\\.") || value.iter().any(special);
    if !quoted {
        out.extend_from_slice(value);
        return;
    }
    out.push(csv.quote);
    for byte in value {
        if *byte == csv.quote || *byte == csv.escape {
            out.push(csv.escape);
        }
        out.push(*byte);
    }
    out.push(csv.quote);
}

/// Appends the header line.
pub(super) fn header_line<'n>(
    out: &mut Vec<u8>,
    names: impl ExactSizeIterator<Item = &'n str>,
    format: &TextFormat,
) {
    let alone = names.len() == 1;
    for (i, name) in names.enumerate() {
        if i > 0 {
            out.push(format.delimiter);
        }
        match format.csv {
            Some(csv) => csv_value(out, name.as_bytes(), format, csv, false, alone),
            None => text_value(out, name.as_bytes(), format.delimiter),
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::fields::Fields;
    use super::*;
    use crate::parse::CopyHeader;

    fn format(delimiter: u8, null: &str, csv: Option<Quoting>) -> TextFormat {
        TextFormat { delimiter, null: null.into(), header: CopyHeader::No, csv }
    }

    fn write(format: &TextFormat, value: &str, alone: bool) -> String {
        let mut out = vec![];
        match format.csv {
            Some(csv) => csv_value(&mut out, value.as_bytes(), format, csv, false, alone),
            None => text_value(&mut out, value.as_bytes(), format.delimiter),
        }
        String::from_utf8(out).unwrap()
    }

    /// As PostgreSQL 15 prints them.
    #[test]
    fn values_print() {
        let text = format(b'\t', "\\N", None);
        assert_eq!(
            write(&text, "a\tb\\c\u{8}\u{c}\n\r\u{b}\u{1}é", false),
            "a\\tb\\\\c\\b\\f\\n\\r\\v\u{1}é"
        );
        assert_eq!(write(&format(b'|', "\\N", None), "a|b", false), "a\\|b");
        let csv = format(b',', "", Some(Quoting { quote: b'"', escape: b'"' }));
        assert_eq!(write(&csv, "", false), "\"\"");
        assert_eq!(write(&csv, "a,b", false), "\"a,b\"");
        assert_eq!(write(&csv, "a\"b", false), "\"a\"\"b\"");
        assert_eq!(write(&csv, "\\.", true), "\"\\.\"");
        assert_eq!(write(&csv, "\\.", false), "\\.");
        let escaped = format(b',', "N", Some(Quoting { quote: b'\'', escape: b'\\' }));
        assert_eq!(write(&escaped, "a'b\\", false), "'a\\'b\\\\'");
        assert_eq!(write(&escaped, "N", false), "'N'");
    }

    /// What is written reads back, in every format.
    #[test]
    fn values_round_trip() {
        let formats = [
            format(b'\t', "\\N", None),
            format(b',', "", Some(Quoting { quote: b'"', escape: b'"' })),
            format(b';', "nil", Some(Quoting { quote: b'\'', escape: b'\\' })),
        ];
        let values = [
            "",
            "\\N",
            "\\",
            "\\.",
            "a\tb",
            "a,b;c",
            "\"",
            "'",
            "\\'",
            "nil",
            "x\n\ry",
            "\u{b}\u{7f}é",
            "\\x41",
        ];
        for format in &formats {
            for first in values {
                for second in values {
                    let line = format!(
                        "{}{}{}",
                        write(format, first, false),
                        char::from(format.delimiter),
                        write(format, second, false)
                    );
                    let mut fields = Fields::default();
                    fields.cut(&line, format).unwrap();
                    assert_eq!(fields.len(), 2, "{line}");
                    assert_eq!(fields.get(&line, 0), Some(first), "{line}");
                    assert_eq!(fields.get(&line, 1), Some(second), "{line}");
                }
            }
        }
    }
}
