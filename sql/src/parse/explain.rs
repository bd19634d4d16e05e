//! EXPLAIN: its options in both syntaxes, and the statement it explains.

use super::cursor::Cursor;
use super::{Body, Explain, ExplainFormat, statement};
use crate::{Result, SqlError, SqlState};
use sqlparser::tokenizer::Token;

pub(super) fn explain(c: &mut Cursor<'_>) -> Result<Explain> {
    c.expect(&["explain"])?;
    let mut options =
        Options { analyze: false, verbose: false, costs: true, timing: None, format: ExplainFormat::Text };
    if c.peek() == Some(&Token::LParen) && is_option_list(c) {
        c.at += 1;
        loop {
            option(c, &mut options)?;
            if c.take_token(&Token::RParen) {
                break;
            }
            c.expect_token(&Token::Comma)?;
        }
    } else {
        options.analyze = c.take(&["analyze"]) || c.take(&["analyse"]);
        options.verbose = c.take(&["verbose"]);
    }
    if options.timing == Some(true) && !options.analyze {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "EXPLAIN option TIMING requires ANALYZE",
        ));
    }
    let start = c.at;
    let inner = statement(c.text, c.tokens[start..].to_vec(), c.end)?;
    let explainable = match &inner.body {
        Body::Bindable(_) | Body::Ddl(_) => true,
        Body::Session(session) => {
            matches!(
                **session,
                super::SessionStatement::Execute { .. } | super::SessionStatement::Declare { .. }
            )
        }
        _ => false,
    };
    if !explainable {
        return Err(c.error());
    }
    Ok(Explain {
        analyze: options.analyze,
        verbose: options.verbose,
        costs: options.costs,
        timing: options.timing.unwrap_or(options.analyze),
        format: options.format,
        statement: inner,
    })
}

struct Options {
    analyze: bool,
    verbose: bool,
    costs: bool,
    timing: Option<bool>,
    format: ExplainFormat,
}

/// `(` opens options unless a query stands inside.
fn is_option_list(c: &Cursor<'_>) -> bool {
    !matches!(c.word_at(1), None | Some("select" | "values" | "with" | "table"))
}

fn option(c: &mut Cursor<'_>, options: &mut Options) -> Result<()> {
    let at = c.offset();
    let name = c.label()?;
    let value = match c.peek() {
        Some(Token::Comma | Token::RParen) => None,
        Some(Token::SingleQuotedString(_)) => Some(c.string()?),
        Some(Token::Number(..)) => c.integer()?.map(|n| n.to_string()),
        _ => Some(c.label()?),
    };
    let on = || match value.as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => {
            Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value")).at(at))
        }
    };
    match name.as_str() {
        "analyze" => options.analyze = on()?,
        "verbose" => options.verbose = on()?,
        "costs" => options.costs = on()?,
        "timing" => options.timing = Some(on()?),
        // Accepted: what they would add is not shown.
        "buffers" | "wal" | "summary" | "settings" => drop(on()?),
        "format" => {
            options.format = match value.as_deref() {
                Some("text") => ExplainFormat::Text,
                Some("json") => ExplainFormat::Json,
                Some(other @ ("xml" | "yaml")) => {
                    return Err(SqlError::not_built(format!("EXPLAIN format \"{other}\"")).at(at));
                }
                other => {
                    let message = format!(
                        "unrecognized value for EXPLAIN option \"format\": \"{}\"",
                        other.unwrap_or_default()
                    );
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(at));
                }
            }
        }
        _ => {
            let message = format!("unrecognized EXPLAIN option \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at));
        }
    }
    Ok(())
}
