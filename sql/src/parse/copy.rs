//! COPY with every option of PostgreSQL 15, in the new syntax `WITH (…)` and the two old ones.

use super::cursor::Cursor;
use super::{Copy, CopyEndpoint, CopyFormat, CopyHeader, CopyOptions, CopyTarget, statement, with_parser};
use crate::{Result, SqlError, SqlState};
use sqlparser::tokenizer::Token;

pub(super) fn copy(c: &mut Cursor<'_>) -> Result<Copy> {
    c.expect(&["copy"])?;
    let mut options = Options::default();
    let target = if c.peek() == Some(&Token::LParen) {
        query_target(c)?
    } else {
        if c.take(&["binary"]) {
            options.format("binary", c.offset())?;
        }
        table_target(c)?
    };
    let from = c.take(&["from"]);
    if !from {
        c.expect(&["to"])?;
    }
    if from && matches!(target, CopyTarget::Query(_)) {
        c.at -= 1;
        return Err(c.error());
    }
    let endpoint = endpoint(c)?;
    if c.take(&["using"]) || c.word() == Some("delimiters") {
        let at = c.offset();
        c.expect(&["delimiters"])?;
        options.set("delimiter", Value::Text(c.string()?), Some(at))?;
    }
    let with = c.take(&["with"]);
    if c.take_token(&Token::LParen) {
        new_options(c, &mut options)?;
    } else {
        let before = c.at;
        while old_option(c, &mut options)? {}
        if with && c.at == before && !c.at_end() && c.word() != Some("where") {
            return Err(c.error());
        }
    }
    let filter = copy_filter(c, from)?;
    c.finish()?;
    Ok(Copy { target, from, endpoint, options: options.values, filter })
}

fn query_target(c: &mut Cursor<'_>) -> Result<CopyTarget> {
    c.expect_token(&Token::LParen)?;
    let start = c.at;
    let mut depth = 1_u32;
    while depth > 0 {
        match c.peek() {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth -= 1,
            Some(_) => {}
            None => return Err(c.error()),
        }
        c.at += 1;
    }
    let inner = &c.tokens[start..c.at - 1];
    let end = super::lexer::offset_of(c.tokens[c.at - 1].span).unwrap_or(c.end);
    let query = statement(c.text, inner.to_vec(), end)?;
    if !matches!(query.body, super::Body::Bindable(_)) {
        c.at = start;
        return Err(c.error());
    }
    Ok(CopyTarget::Query(Box::new(query)))
}

fn table_target(c: &mut Cursor<'_>) -> Result<CopyTarget> {
    let at = c.offset();
    let name = c.qualified()?;
    let mut columns = Vec::new();
    if c.take_token(&Token::LParen) {
        columns = c.names()?;
        c.expect_token(&Token::RParen)?;
    }
    Ok(CopyTarget::Table { name, at, columns })
}

fn endpoint(c: &mut Cursor<'_>) -> Result<CopyEndpoint> {
    if c.take(&["stdin"]) || c.take(&["stdout"]) {
        Ok(CopyEndpoint::Client)
    } else if c.take(&["program"]) {
        Ok(CopyEndpoint::Program(c.string()?))
    } else {
        Ok(CopyEndpoint::File(c.string()?))
    }
}

fn copy_filter(c: &mut Cursor<'_>, from: bool) -> Result<Option<sqlparser::ast::Expr>> {
    if c.word() != Some("where") {
        return Ok(None);
    }
    if !from {
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, "WHERE clause not allowed with COPY TO")
            .with_hint("Try the COPY (SELECT ... WHERE ...) TO variant.")
            .at(c.offset()));
    }
    c.at += 1;
    let rest = c.tokens[c.at..].to_vec();
    c.at = c.tokens.len();
    with_parser(c.text, rest, c.end, |p| p.parse_expr()).map(Some)
}

/// The argument of an option as written.
enum Value {
    None,
    Text(String),
    Star,
    List(Vec<String>),
}

#[derive(Default)]
struct Options {
    values: CopyOptions,
    seen: Vec<String>,
}

impl Options {
    fn format(&mut self, name: &str, at: usize) -> Result<()> {
        self.set("format", Value::Text(name.to_owned()), Some(at))
    }

    fn set(&mut self, name: &str, value: Value, at: Option<usize>) -> Result<()> {
        let at = at.unwrap_or_default();
        if self.seen.iter().any(|s| s == name) {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options").at(at));
        }
        self.seen.push(name.to_owned());
        let values = &mut self.values;
        match name {
            "format" => {
                values.format = match value.text(name)?.as_str() {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    other => {
                        let message = format!("COPY format \"{other}\" not recognized");
                        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(at));
                    }
                }
            }
            "freeze" => values.freeze = value.boolean(name)?,
            "delimiter" => values.delimiter = Some(value.text(name)?),
            "null" => values.null = Some(value.text(name)?),
            "header" => values.header = value.header()?,
            "quote" => values.quote = Some(value.text(name)?),
            "escape" => values.escape = Some(value.text(name)?),
            "force_quote" => values.force_quote = Some(value.columns(name, at)?),
            "force_not_null" => values.force_not_null = value.columns(name, at)?,
            "force_null" => values.force_null = value.columns(name, at)?,
            "encoding" => values.encoding = Some(value.text(name)?),
            _ => {
                let message = format!("option \"{name}\" not recognized");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(at));
            }
        }
        Ok(())
    }
}

impl Value {
    fn text(self, name: &str) -> Result<String> {
        match self {
            Value::Text(text) => Ok(text),
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{name} requires a parameter"))),
        }
    }

    fn boolean(&self, name: &str) -> Result<bool> {
        let text = match self {
            Value::None => return Ok(true),
            Value::Text(text) => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        match text.as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value"))),
        }
    }

    fn header(&self) -> Result<CopyHeader> {
        if matches!(self, Value::Text(text) if text.eq_ignore_ascii_case("match")) {
            return Ok(CopyHeader::Match);
        }
        match self.boolean("header") {
            Ok(true) => Ok(CopyHeader::Yes),
            Ok(false) => Ok(CopyHeader::No),
            Err(_) => {
                Err(SqlError::new(SqlState::SYNTAX_ERROR, "header requires a Boolean value or \"match\""))
            }
        }
    }

    fn columns(self, name: &str, at: usize) -> Result<Vec<String>> {
        match self {
            Value::List(columns) => Ok(columns),
            Value::Star if name == "force_quote" => Ok(Vec::new()),
            _ => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("argument to option \"{name}\" must be a list of column names"),
            )
            .at(at)),
        }
    }
}

fn new_options(c: &mut Cursor<'_>, options: &mut Options) -> Result<()> {
    loop {
        let at = c.offset();
        let name = c.label()?;
        let value = new_value(c)?;
        options.set(&name, value, Some(at))?;
        if c.take_token(&Token::RParen) {
            return Ok(());
        }
        c.expect_token(&Token::Comma)?;
    }
}

fn new_value(c: &mut Cursor<'_>) -> Result<Value> {
    Ok(match c.peek() {
        Some(Token::Comma | Token::RParen) => Value::None,
        Some(Token::Mul) => {
            c.at += 1;
            Value::Star
        }
        Some(Token::LParen) => {
            c.at += 1;
            let mut list = vec![c.label()?];
            while c.take_token(&Token::Comma) {
                list.push(c.label()?);
            }
            c.expect_token(&Token::RParen)?;
            Value::List(list)
        }
        Some(Token::SingleQuotedString(_)) => Value::Text(c.string()?),
        Some(Token::Word(_)) => Value::Text(c.label()?),
        Some(Token::Number(..) | Token::Minus | Token::Plus) => {
            Value::Text(c.integer()?.map(|n| n.to_string()).unwrap_or_default())
        }
        _ => return Err(c.error()),
    })
}

/// One option of the syntax before 9.0: `CSV HEADER DELIMITER AS ','`.
fn old_option(c: &mut Cursor<'_>, options: &mut Options) -> Result<bool> {
    let at = c.offset();
    let Some(word) = c.word() else { return Ok(false) };
    match word {
        "binary" | "csv" => {
            c.at += 1;
            options.format(word, at)?;
        }
        "freeze" | "header" => {
            c.at += 1;
            options.set(word, Value::None, Some(at))?;
        }
        "delimiter" | "null" | "quote" | "escape" => {
            c.at += 1;
            c.take(&["as"]);
            let text = c.string()?;
            options.set(word, Value::Text(text), Some(at))?;
        }
        "encoding" => {
            c.at += 1;
            let text = c.string()?;
            options.set(word, Value::Text(text), Some(at))?;
        }
        "force" => {
            c.at += 1;
            let name = if c.take(&["quote"]) {
                "force_quote"
            } else if c.take(&["not", "null"]) {
                "force_not_null"
            } else {
                c.expect(&["null"])?;
                "force_null"
            };
            let value = if name == "force_quote" && c.take_token(&Token::Mul) {
                Value::Star
            } else {
                Value::List(c.names()?)
            };
            options.set(name, value, Some(at))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
