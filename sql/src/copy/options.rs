//! COPY's options: defaults filled in, combinations checked as PostgreSQL checks them.

use crate::parse::{Copy, CopyFormat, CopyHeader, CopyOptions};
use crate::{Result, SqlError, SqlState};

/// The format with everything that reading and writing it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Binary,
    Text(TextFormat),
}

/// The text and csv formats: lines of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextFormat {
    pub(super) delimiter: u8,
    pub(super) null: Vec<u8>,
    pub(super) header: CopyHeader,
    /// `None`: the text format with its backslash sequences.
    pub(super) csv: Option<Quoting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quoting {
    pub(super) quote: u8,
    pub(super) escape: u8,
}

/// Checks the options that do not depend on the columns. The order of the checks is PostgreSQL's: it
/// decides which of several errors is told.
pub(super) fn format_of(copy: &Copy) -> Result<Format> {
    let options = &copy.options;
    check_encoding(options)?;
    if options.header == CopyHeader::Match && !copy.from {
        return Err(unsupported("cannot use \"match\" with HEADER in COPY TO"));
    }
    let binary = options.format == CopyFormat::Binary;
    if binary && options.delimiter.is_some() {
        return Err(syntax("cannot specify DELIMITER in BINARY mode"));
    }
    if binary && options.null.is_some() {
        return Err(syntax("cannot specify NULL in BINARY mode"));
    }
    let csv = options.format == CopyFormat::Csv;
    let delimiter = single(options.delimiter.as_deref().unwrap_or(if csv { "," } else { "\t" }))
        .ok_or_else(|| unsupported("COPY delimiter must be a single one-byte character"))?;
    if matches!(delimiter, b'\r' | b'\n') {
        return Err(invalid("COPY delimiter cannot be newline or carriage return"));
    }
    let null = options.null.as_deref().unwrap_or(if csv { "" } else { "\\N" }).as_bytes().to_vec();
    if null.iter().any(|b| matches!(b, b'\r' | b'\n')) {
        return Err(invalid("COPY null representation cannot use newline or carriage return"));
    }
    if !csv && matches!(delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9') {
        return Err(invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
    }
    if binary && options.header != CopyHeader::No {
        return Err(unsupported("cannot specify HEADER in BINARY mode"));
    }
    let quoting = quoting(options, csv, delimiter)?;
    check_force(copy, csv)?;
    if null.contains(&delimiter) {
        return Err(unsupported("COPY delimiter must not appear in the NULL specification"));
    }
    if quoting.is_some_and(|q| null.contains(&q.quote)) {
        return Err(unsupported("CSV quote character must not appear in the NULL specification"));
    }
    Ok(match binary {
        true => Format::Binary,
        false => Format::Text(TextFormat { delimiter, null, header: options.header, csv: quoting }),
    })
}

fn quoting(options: &CopyOptions, csv: bool, delimiter: u8) -> Result<Option<Quoting>> {
    if !csv && options.quote.is_some() {
        return Err(unsupported("COPY quote available only in CSV mode"));
    }
    let quote = single(options.quote.as_deref().unwrap_or("\""));
    let quote = quote.ok_or_else(|| unsupported("COPY quote must be a single one-byte character"))?;
    if csv && delimiter == quote {
        return Err(invalid("COPY delimiter and quote must be different"));
    }
    if !csv && options.escape.is_some() {
        return Err(unsupported("COPY escape available only in CSV mode"));
    }
    let escape = match options.escape.as_deref() {
        None => quote,
        Some(text) => {
            single(text).ok_or_else(|| unsupported("COPY escape must be a single one-byte character"))?
        }
    };
    Ok(csv.then_some(Quoting { quote, escape }))
}

fn check_force(copy: &Copy, csv: bool) -> Result<()> {
    let options = &copy.options;
    let lists = [
        ("force quote", options.force_quote.is_some(), false),
        ("force not null", !options.force_not_null.is_empty(), true),
        ("force null", !options.force_null.is_empty(), true),
    ];
    for (name, given, for_input) in lists {
        if given && !csv {
            return Err(unsupported(format!("COPY {name} available only in CSV mode")));
        }
        if given && copy.from != for_input {
            let command = if for_input { "COPY FROM" } else { "COPY TO" };
            return Err(unsupported(format!("COPY {name} only available using {command}")));
        }
    }
    Ok(())
}

/// Only UTF8 is built; SQL_ASCII of PostgreSQL is "no conversion", which text columns here cannot hold.
fn check_encoding(options: &CopyOptions) -> Result<()> {
    let Some(name) = &options.encoding else { return Ok(()) };
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(()),
        plain if ENCODINGS.contains(&plain) => {
            Err(SqlError::not_built(format!("COPY in encoding \"{name}\"")))
        }
        _ => Err(invalid("argument to option \"encoding\" must be a valid encoding name")),
    }
}

/// PostgreSQL's other encodings and their aliases, letters and digits only.
const ENCODINGS: &[&str] = &[
    "abc",
    "alt",
    "big5",
    "euccn",
    "eucjis2004",
    "eucjp",
    "euckr",
    "euctw",
    "gb18030",
    "gbk",
    "iso88591",
    "iso885910",
    "iso885913",
    "iso885914",
    "iso885915",
    "iso885916",
    "iso88592",
    "iso88593",
    "iso88594",
    "iso88595",
    "iso88596",
    "iso88597",
    "iso88598",
    "iso88599",
    "johab",
    "koi8",
    "koi8r",
    "koi8u",
    "latin1",
    "latin10",
    "latin2",
    "latin3",
    "latin4",
    "latin5",
    "latin6",
    "latin7",
    "latin8",
    "latin9",
    "mskanji",
    "muleinternal",
    "shiftjis",
    "shiftjis2004",
    "sjis",
    "sqlascii",
    "tcvn",
    "tcvn5712",
    "uhc",
    "vscii",
    "win",
    "win1250",
    "win1251",
    "win1252",
    "win1253",
    "win1254",
    "win1255",
    "win1256",
    "win1257",
    "win1258",
    "win866",
    "win874",
    "win932",
    "win936",
    "win949",
    "win950",
    "windows1250",
    "windows1251",
    "windows1252",
    "windows1253",
    "windows1254",
    "windows1255",
    "windows1256",
    "windows1257",
    "windows1258",
    "windows866",
    "windows874",
    "windows932",
    "windows936",
    "windows949",
    "windows950",
];

/// The byte of a one-byte string.
fn single(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] => Some(*byte),
        _ => None,
    }
}

fn unsupported(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn syntax(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

#[cfg(test)]
mod tests {
    use crate::parse::{self, Body};

    fn checked(options: &str) -> String {
        let sql = format!("copy t {options}");
        let statement = parse::parse(&sql).unwrap().remove(0);
        let Body::Copy(copy) = statement.body else { panic!("not COPY") };
        match super::format_of(&copy) {
            Ok(_) => "ok".into(),
            Err(e) => format!("{:?}: {e}", e.code()),
        }
    }

    /// Answers of PostgreSQL 15.
    #[test]
    fn combinations_are_refused_as_postgresql_does() {
        let cases = [
            ("from stdin (format binary, delimiter ',')", "42601: cannot specify DELIMITER in BINARY mode"),
            ("from stdin (format binary, null 'x')", "42601: cannot specify NULL in BINARY mode"),
            ("from stdin (format binary, header)", "0A000: cannot specify HEADER in BINARY mode"),
            ("from stdin (delimiter 'xx')", "0A000: COPY delimiter must be a single one-byte character"),
            ("from stdin (delimiter E'\\n')", "22023: COPY delimiter cannot be newline or carriage return"),
            (
                "from stdin (null E'a\\n')",
                "22023: COPY null representation cannot use newline or carriage return",
            ),
            ("from stdin (delimiter 'a')", "22023: COPY delimiter cannot be \"a\""),
            ("from stdin (quote 'a')", "0A000: COPY quote available only in CSV mode"),
            ("from stdin (format csv, quote 'aa')", "0A000: COPY quote must be a single one-byte character"),
            ("from stdin (format csv, quote ',')", "22023: COPY delimiter and quote must be different"),
            ("from stdin (escape 'a')", "0A000: COPY escape available only in CSV mode"),
            (
                "from stdin (format csv, escape 'aa')",
                "0A000: COPY escape must be a single one-byte character",
            ),
            ("from stdin (force_quote *)", "0A000: COPY force quote available only in CSV mode"),
            (
                "from stdin (format csv, force_quote *)",
                "0A000: COPY force quote only available using COPY TO",
            ),
            ("to stdout (force_not_null (a))", "0A000: COPY force not null available only in CSV mode"),
            (
                "to stdout (format csv, force_null (a))",
                "0A000: COPY force null only available using COPY FROM",
            ),
            (
                "to stdout (format csv, null ',')",
                "0A000: COPY delimiter must not appear in the NULL specification",
            ),
            (
                "to stdout (format csv, null '\"')",
                "0A000: CSV quote character must not appear in the NULL specification",
            ),
            (
                "to stdout (encoding 'nosuch')",
                "22023: argument to option \"encoding\" must be a valid encoding name",
            ),
            ("to stdout (header match)", "0A000: cannot use \"match\" with HEADER in COPY TO"),
            ("to stdout (encoding 'utf-8')", "ok"),
            ("from stdin csv header", "ok"),
        ];
        for (options, expected) in cases {
            assert_eq!(checked(options), expected, "{options}");
        }
    }
}
