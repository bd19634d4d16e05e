//! The statements that the session answers: transactions, settings, prepared statements, cursors.

use super::cursor::Cursor;
use super::{
    Body, Discard, FetchDirection, Isolation, SessionStatement, SetScope, Statement, TransactionModes,
    statement, with_parser,
};
use crate::Result;
use sqlparser::tokenizer::Token;

/// Statements that are known and answered 0A000, by their first words.
const NOT_BUILT: &[(&[&str], &str)] = &[
    (&["prepare", "transaction"], "PREPARE TRANSACTION"),
    (&["commit", "prepared"], "COMMIT PREPARED"),
    (&["rollback", "prepared"], "ROLLBACK PREPARED"),
    (&["set", "transaction", "snapshot"], "SET TRANSACTION SNAPSHOT"),
    (&["set", "xml"], "SET XML OPTION"),
    (&["do"], "DO"),
    (&["call"], "CALL"),
    (&["merge"], "MERGE"),
    (&["lock"], "LOCK TABLE"),
    (&["cluster"], "CLUSTER"),
    (&["reindex"], "REINDEX"),
    (&["refresh"], "REFRESH MATERIALIZED VIEW"),
    (&["load"], "LOAD"),
    (&["security"], "SECURITY LABEL"),
    (&["import"], "IMPORT FOREIGN SCHEMA"),
    (&["reassign"], "REASSIGN OWNED"),
];

/// The session's reading of a statement, `None` when it is not one of the session's.
pub(super) fn session(c: &mut Cursor<'_>) -> Result<Option<SessionStatement>> {
    if let Some((_, name)) = NOT_BUILT.iter().find(|(words, _)| starts_with(c, words)) {
        return Ok(Some(SessionStatement::NotBuilt(name)));
    }
    let Some(first) = c.word() else { return Ok(None) };
    let parsed = match first {
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            transaction(c)?
        }
        "set" => set(c)?,
        "reset" => {
            c.at += 1;
            SessionStatement::Reset { name: setting_or_all(c)? }
        }
        "show" => {
            c.at += 1;
            SessionStatement::Show { name: setting_or_all(c)? }
        }
        "prepare" => prepare(c)?,
        "execute" => execute(c)?,
        "deallocate" => {
            c.at += 1;
            c.take(&["prepare"]);
            let name = if c.take(&["all"]) { None } else { Some(c.name()?) };
            SessionStatement::Deallocate { name }
        }
        "declare" => declare(c)?,
        "fetch" | "move" => fetch(c)?,
        "close" => {
            c.at += 1;
            let name = if c.take(&["all"]) { None } else { Some(c.name()?) };
            SessionStatement::Close { name }
        }
        "discard" => discard(c)?,
        "listen" => {
            c.at += 1;
            SessionStatement::Listen(c.name()?)
        }
        "unlisten" => {
            c.at += 1;
            let channel = if c.take_token(&Token::Mul) { None } else { Some(c.name()?) };
            SessionStatement::Unlisten(channel)
        }
        "notify" => {
            c.at += 1;
            let channel = c.name()?;
            let payload = if c.take_token(&Token::Comma) { c.string()? } else { String::new() };
            SessionStatement::Notify { channel, payload }
        }
        "checkpoint" => {
            c.at += 1;
            SessionStatement::Checkpoint
        }
        "vacuum" | "analyze" | "analyse" => vacuum(c)?,
        _ => return Ok(None),
    };
    c.finish()?;
    Ok(Some(parsed))
}

fn starts_with(c: &Cursor<'_>, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(i, w)| c.word_at(i) == Some(w))
}

fn transaction(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    let work = |c: &mut Cursor<'_>| c.take(&["work"]) || c.take(&["transaction"]);
    let word = c.label()?;
    Ok(match word.as_str() {
        "begin" => {
            work(c);
            SessionStatement::Begin { modes: modes(c)?, start: false }
        }
        "start" => {
            c.expect(&["transaction"])?;
            SessionStatement::Begin { modes: modes(c)?, start: true }
        }
        "commit" | "end" => {
            work(c);
            SessionStatement::Commit { chain: chain(c)? }
        }
        "savepoint" => SessionStatement::Savepoint(c.name()?),
        "release" => {
            c.take(&["savepoint"]);
            SessionStatement::Release(c.name()?)
        }
        _ => {
            work(c);
            if word == "rollback" && c.take(&["to"]) {
                c.take(&["savepoint"]);
                SessionStatement::RollbackTo(c.name()?)
            } else {
                SessionStatement::Rollback { chain: chain(c)? }
            }
        }
    })
}

fn chain(c: &mut Cursor<'_>) -> Result<bool> {
    if !c.take(&["and"]) {
        return Ok(false);
    }
    let no = c.take(&["no"]);
    c.expect(&["chain"])?;
    Ok(!no)
}

fn modes(c: &mut Cursor<'_>) -> Result<TransactionModes> {
    let mut modes = TransactionModes::default();
    let mut first = true;
    while !c.at_end() {
        if !first {
            c.take_token(&Token::Comma);
        }
        first = false;
        if c.take(&["isolation", "level"]) {
            modes.isolation = Some(isolation(c)?);
        } else if c.take(&["read", "only"]) {
            modes.read_only = Some(true);
        } else if c.take(&["read", "write"]) {
            modes.read_only = Some(false);
        } else if c.take(&["deferrable"]) {
            modes.deferrable = Some(true);
        } else if c.take(&["not", "deferrable"]) {
            modes.deferrable = Some(false);
        } else {
            return Err(c.error());
        }
    }
    Ok(modes)
}

fn isolation(c: &mut Cursor<'_>) -> Result<Isolation> {
    Ok(if c.take(&["read", "uncommitted"]) {
        Isolation::ReadUncommitted
    } else if c.take(&["read", "committed"]) {
        Isolation::ReadCommitted
    } else if c.take(&["repeatable", "read"]) {
        Isolation::RepeatableRead
    } else if c.take(&["serializable"]) {
        Isolation::Serializable
    } else {
        if matches!(c.word(), Some("read" | "repeatable")) {
            c.at += 1;
        }
        return Err(c.error());
    })
}

fn set(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    c.expect(&["set"])?;
    if c.take(&["constraints"]) {
        return set_constraints(c);
    }
    if c.take(&["transaction"]) {
        return set_modes(c, false);
    }
    if c.take(&["session", "characteristics", "as", "transaction"]) {
        return set_modes(c, true);
    }
    let scope = if c.word() == Some("local")
        && !matches!(c.tokens.get(c.at + 1).map(|t| &t.token), Some(Token::Eq))
    {
        c.at += 1;
        SetScope::Local
    } else {
        let _ = c.word() == Some("session") && c.word_at(1) != Some("authorization") && c.take(&["session"]);
        SetScope::Session
    };
    if scope == SetScope::Local && c.take(&["transaction"]) {
        return set_modes(c, false);
    }
    let (name, values) = assignment(c)?;
    Ok(SessionStatement::Set { scope, name, values })
}

fn set_modes(c: &mut Cursor<'_>, session: bool) -> Result<SessionStatement> {
    if c.at_end() {
        return Err(c.error());
    }
    Ok(SessionStatement::SetTransaction { modes: modes(c)?, session })
}

fn set_constraints(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    let names = if c.take(&["all"]) {
        None
    } else {
        let mut names = vec![c.qualified()?.join(".")];
        while c.take_token(&Token::Comma) {
            names.push(c.qualified()?.join("."));
        }
        Some(names)
    };
    let deferred = c.take(&["deferred"]);
    if !deferred {
        c.expect(&["immediate"])?;
    }
    Ok(SessionStatement::SetConstraints { names, deferred })
}

/// Setting name and values after SET [LOCAL].
fn assignment(c: &mut Cursor<'_>) -> Result<(String, Option<Vec<String>>)> {
    if c.take(&["time", "zone"]) {
        let value = if c.take(&["default"]) || c.take(&["local"]) { None } else { Some(time_zone(c)?) };
        return Ok(("timezone".into(), value.map(|v| vec![v])));
    }
    if c.take(&["names"]) {
        let value = if c.at_end() || c.take(&["default"]) { None } else { Some(vec![c.string()?]) };
        return Ok(("client_encoding".into(), value));
    }
    if c.take(&["session", "authorization"]) {
        let value = if c.take(&["default"]) { None } else { Some(vec![name_or_string(c)?]) };
        return Ok(("session_authorization".into(), value));
    }
    if c.word() == Some("role") && !matches!(c.tokens.get(c.at + 1).map(|t| &t.token), Some(Token::Eq)) {
        c.at += 1;
        return Ok(("role".into(), Some(vec![name_or_string(c)?])));
    }
    if c.word() == Some("schema") {
        c.at += 1;
        return Ok(("search_path".into(), Some(vec![c.string()?])));
    }
    let name = setting_name(c)?;
    if !c.take_token(&Token::Eq) {
        c.expect(&["to"])?;
    }
    if c.take(&["default"]) {
        return Ok((name, None));
    }
    let mut values = vec![setting_value(c)?];
    while c.take_token(&Token::Comma) {
        values.push(setting_value(c)?);
    }
    Ok((name, Some(values)))
}

fn setting_name(c: &mut Cursor<'_>) -> Result<String> {
    let mut name = c.name()?;
    while c.take_token(&Token::Period) {
        name.push('.');
        name.push_str(&c.name()?);
    }
    Ok(name)
}

fn name_or_string(c: &mut Cursor<'_>) -> Result<String> {
    match c.peek() {
        Some(Token::SingleQuotedString(_)) => c.string(),
        _ => c.label(),
    }
}

fn setting_value(c: &mut Cursor<'_>) -> Result<String> {
    match c.peek() {
        Some(Token::Minus | Token::Plus | Token::Number(..)) => {
            let sign = if c.take_token(&Token::Minus) { "-" } else { "" };
            c.take_token(&Token::Plus);
            let Some(Token::Number(digits, _)) = c.peek() else { return Err(c.error()) };
            c.at += 1;
            Ok(format!("{sign}{digits}"))
        }
        Some(Token::Word(_)) => match c.word() {
            Some("true" | "false" | "on") => c.label(),
            _ => c.name(),
        },
        _ => c.string(),
    }
}

fn time_zone(c: &mut Cursor<'_>) -> Result<String> {
    if c.take(&["interval"]) {
        let value = c.string()?;
        c.take(&["hour", "to", "minute"]);
        return Ok(format!("INTERVAL '{value}'"));
    }
    setting_value(c)
}

fn setting_or_all(c: &mut Cursor<'_>) -> Result<Option<String>> {
    Ok(if c.take(&["all"]) {
        None
    } else if c.take(&["time", "zone"]) {
        Some("timezone".into())
    } else if c.take(&["transaction", "isolation", "level"]) {
        Some("transaction_isolation".into())
    } else if c.take(&["session", "authorization"]) {
        Some("session_authorization".into())
    } else {
        Some(setting_name(c)?)
    })
}

/// The statement in the rest of the tokens.
fn rest(c: &mut Cursor<'_>, allowed: fn(&Body) -> bool) -> Result<Box<Statement>> {
    let start = c.at;
    let inner = statement(c.text, c.tokens[start..].to_vec(), c.end)?;
    if !allowed(&inner.body) {
        return Err(c.error());
    }
    c.at = c.tokens.len();
    Ok(Box::new(inner))
}

fn prepare(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    c.expect(&["prepare"])?;
    let name = c.name()?;
    let mut types = Vec::new();
    if c.take_token(&Token::LParen) {
        let (inner, end) = in_parentheses(c)?;
        types = with_parser(c.text, inner, end, |p| {
            p.parse_comma_separated(sqlparser::parser::Parser::parse_data_type)
        })?;
    }
    c.expect(&["as"])?;
    let statement = rest(c, |body| matches!(body, Body::Bindable(_)))?;
    Ok(SessionStatement::Prepare { name, types, statement })
}

fn execute(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    c.expect(&["execute"])?;
    let name = c.name()?;
    let mut args = Vec::new();
    if c.take_token(&Token::LParen) {
        let (inner, end) = in_parentheses(c)?;
        args = with_parser(c.text, inner, end, |p| {
            p.parse_comma_separated(sqlparser::parser::Parser::parse_expr)
        })?;
    }
    Ok(SessionStatement::Execute { name, args })
}

/// The tokens up to the parenthesis that closes the one just taken, and that one's offset.
fn in_parentheses(c: &mut Cursor<'_>) -> Result<(Vec<sqlparser::tokenizer::TokenWithSpan>, usize)> {
    let start = c.at;
    let mut depth = 1_u32;
    loop {
        match c.peek() {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth -= 1,
            Some(_) => {}
            None => return Err(c.error()),
        }
        if depth == 0 {
            let end = c.offset();
            let inner = c.tokens[start..c.at].to_vec();
            c.at += 1;
            return Ok((inner, end));
        }
        c.at += 1;
    }
}

fn declare(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    c.expect(&["declare"])?;
    let name = c.name()?;
    let (mut binary, mut scroll) = (false, None);
    loop {
        if c.take(&["binary"]) {
            binary = true;
        } else if c.take(&["no", "scroll"]) {
            scroll = Some(false);
        } else if c.take(&["scroll"]) {
            scroll = Some(true);
        } else if !(c.take(&["insensitive"]) || c.take(&["asensitive"])) {
            break;
        }
    }
    c.expect(&["cursor"])?;
    let hold = c.take(&["with", "hold"]);
    if !hold {
        c.take(&["without", "hold"]);
    }
    c.expect(&["for"])?;
    let statement = rest(c, is_query)?;
    Ok(SessionStatement::Declare { name, binary, scroll, hold, statement })
}

fn is_query(body: &Body) -> bool {
    matches!(body, Body::Bindable(s) if matches!(**s, sqlparser::ast::Statement::Query(_)))
}

fn fetch(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    let move_only = c.label()? == "move";
    let direction = direction(c)?;
    let _ = c.take(&["from"]) || c.take(&["in"]);
    let name = c.name()?;
    Ok(SessionStatement::Fetch { name, direction, move_only })
}

fn direction(c: &mut Cursor<'_>) -> Result<FetchDirection> {
    use FetchDirection::{Absolute, Backward, Forward, Relative};
    if let Some(count) = c.integer()? {
        return Ok(counted(count));
    }
    // A word alone, or before a bare name's end, is the cursor's name.
    if c.at + 1 >= c.tokens.len() {
        return Ok(Forward(Some(1)));
    }
    Ok(if c.take(&["next"]) {
        Forward(Some(1))
    } else if c.take(&["prior"]) {
        Backward(Some(1))
    } else if c.take(&["first"]) {
        Absolute(1)
    } else if c.take(&["last"]) {
        Absolute(-1)
    } else if c.take(&["absolute"]) {
        Absolute(c.integer()?.ok_or_else(|| c.error())?)
    } else if c.take(&["relative"]) {
        Relative(c.integer()?.ok_or_else(|| c.error())?)
    } else if c.take(&["all"]) {
        Forward(None)
    } else if c.take(&["forward"]) {
        if c.take(&["all"]) { Forward(None) } else { counted(c.integer()?.unwrap_or(1)) }
    } else if c.take(&["backward"]) {
        if c.take(&["all"]) { Backward(None) } else { counted(c.integer()?.unwrap_or(1).saturating_neg()) }
    } else {
        Forward(Some(1))
    })
}

/// FETCH with a negative count goes backward.
fn counted(count: i64) -> FetchDirection {
    if count < 0 {
        FetchDirection::Backward(Some(count.saturating_neg()))
    } else {
        FetchDirection::Forward(Some(count))
    }
}

fn discard(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    c.expect(&["discard"])?;
    let what = match c.word() {
        Some("all") => Discard::All,
        Some("plans") => Discard::Plans,
        Some("sequences") => Discard::Sequences,
        Some("temp" | "temporary") => Discard::Temp,
        _ => return Err(c.error()),
    };
    c.at += 1;
    Ok(SessionStatement::Discard(what))
}

fn vacuum(c: &mut Cursor<'_>) -> Result<SessionStatement> {
    let mut analyze = c.label()? != "vacuum";
    if c.take_token(&Token::LParen) {
        let (inner, _) = in_parentheses(c)?;
        analyze |= inner.iter().any(|t| matches!(&t.token, Token::Word(w) if w.value == "analyze"));
    } else {
        loop {
            if c.take(&["analyze"]) || c.take(&["analyse"]) {
                analyze = true;
            } else if !(c.take(&["full"]) || c.take(&["freeze"]) || c.take(&["verbose"])) {
                break;
            }
        }
    }
    let mut tables = Vec::new();
    while !c.at_end() {
        if !tables.is_empty() {
            c.expect_token(&Token::Comma)?;
        }
        tables.push(c.qualified()?);
        if c.take_token(&Token::LParen) {
            c.names()?;
            c.expect_token(&Token::RParen)?;
        }
    }
    Ok(SessionStatement::Vacuum { analyze, tables })
}
