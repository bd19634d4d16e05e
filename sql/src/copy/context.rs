//! Where in the input an error happened: PostgreSQL's CONTEXT lines.

use crate::SqlError;

/// Longest piece of input that a context shows, in bytes.
const MOST_SHOWN: usize = 100;

/// `COPY t, line 3`.
pub(super) fn at_line(error: SqlError, table: &str, line: u64) -> SqlError {
    error.with_context(format!("COPY {table}, line {line}"))
}

/// `COPY t, line 3: "1<tab>x"`.
pub(super) fn at_text(error: SqlError, table: &str, line: u64, text: &[u8]) -> SqlError {
    error.with_context(format!("COPY {table}, line {line}: \"{}\"", shown(text)))
}

/// `COPY t, line 3, column b: "x"`.
pub(super) fn at_value(error: SqlError, table: &str, line: u64, column: &str, value: &[u8]) -> SqlError {
    error.with_context(format!("COPY {table}, line {line}, column {column}: \"{}\"", shown(value)))
}

/// `COPY t, line 3, column b`: values of the binary format are not shown.
pub(super) fn at_column(error: SqlError, table: &str, line: u64, column: &str) -> SqlError {
    error.with_context(format!("COPY {table}, line {line}, column {column}"))
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.len() <= MOST_SHOWN {
        return text.into_owned();
    }
    let end = (0..=MOST_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", &text[..end])
}
