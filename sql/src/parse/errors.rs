//! Syntax errors in PostgreSQL's words: the token at fault, or the end of the input.

use super::lexer::{end_of, offset_of};
use crate::{SqlError, SqlState};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::TokenWithSpan;

/// `syntax error at or near "token"`.
pub(super) fn near(token: &str, at: usize) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{token}\"")).at(at)
}

/// A syntax error at a token of `text`; `None`: at the end of the statement, which ends at `end`.
pub(super) fn syntax(text: &str, token: Option<&TokenWithSpan>, end: usize) -> SqlError {
    let place = token.and_then(|t| offset_of(t.span).zip(end_of(t.span)));
    match place {
        Some((start, stop)) => near(&text[start..stop], start),
        None if text[end..].starts_with(';') => near(";", end),
        None => SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input").at(end),
    }
}

/// What the `sqlparser` crate said, as PostgreSQL would: its message names the place only.
pub(super) fn from_parser(
    error: &ParserError,
    text: &str,
    tokens: &[TokenWithSpan],
    current: usize,
    end: usize,
) -> SqlError {
    match error {
        ParserError::RecursionLimitExceeded => too_deep(),
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
            if let Some(offset) = column_of(message) {
                let token = tokens.iter().find(|t| offset_of(t.span) == Some(offset));
                return syntax(text, token, end);
            }
            let at_end = message.contains("found: EOF");
            syntax(text, if at_end { None } else { tokens.get(current) }, end)
        }
    }
}

/// 54001, as PostgreSQL words it.
pub fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_hint("Split the statement, or nest it less deeply.")
}

/// The byte offset in a message that ends in `at Line: 1, Column: n`.
fn column_of(message: &str) -> Option<usize> {
    let (_, column) = message.rsplit_once(" at Line: 1, Column: ")?;
    column.trim().parse::<usize>().ok()?.checked_sub(1)
}
