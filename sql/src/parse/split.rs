//! From a query string to its statements: the token pass, cutting at semicolons, classification.

use super::cursor::Cursor;
use super::dialect::PhantomDialect;
use super::errors::{from_parser, syntax, too_deep};
use super::lexer::{end_of, offset_of, tokens};
use super::{Body, Statement, copy, explain, session};
use crate::{Result, SqlError, SqlState};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;

/// Longest query string in bytes.
const MAX_TEXT: usize = 256 << 20;

/// Deepest nesting that is read at all; beyond it 54001.
const MAX_NESTING: usize = 1000;

/// Longest chain of operators in one expression (`a + b + …`, `x OR y OR …`); beyond it 54001: its
/// tree must also be dropped on an ordinary stack.
const MAX_CHAIN: usize = 5000;

/// Operators of a chain that need as much stack as a level of nesting.
const CHAIN_PER_LEVEL: usize = 8;

/// From this nesting on, trees are built and walked on a stack of their own.
const SHALLOW: usize = 16;

/// Stack for the deepest statement: about 32 KiB a level.
const DEEP_STACK: usize = 64 << 20;

/// Reads a query string: its statements in order, none for an empty string.
///
/// Fails with 42601 at the first syntax error, as PostgreSQL words it, and with 54001 for
/// statements nested too deeply.
pub fn parse(text: &str) -> Result<Vec<Statement>> {
    if text.len() > MAX_TEXT {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "query string is too long"));
    }
    let text: Arc<str> = text.into();
    let mut statements = Vec::new();
    let mut current = Vec::new();
    for token in tokens(&text)? {
        if token.token == Token::SemiColon {
            let end = offset_of(token.span).unwrap_or(text.len());
            if !current.is_empty() {
                statements.push(statement(&text, std::mem::take(&mut current), end)?);
            }
        } else {
            current.push(token);
        }
    }
    if !current.is_empty() {
        statements.push(statement(&text, current, text.len())?);
    }
    Ok(statements)
}

/// Reads a lone expression: a default, a check, an index expression, stored as SQL text.
/// Fails as `parse` does.
pub fn expression(text: &str) -> Result<sqlparser::ast::Expr> {
    let text: Arc<str> = text.into();
    with_parser(&text, tokens(&text)?, text.len(), |p| p.parse_expr())
}

/// Runs `work` with stack enough for trees of that nesting.
pub fn with_deep_stack<T: Send>(nesting: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if nesting < SHALLOW {
        return work();
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("deep-statement".into())
            .stack_size(DEEP_STACK)
            .spawn_scoped(scope, work)
            .map_err(|e| SqlError::internal(format!("cannot start a thread for a deep statement: {e}")))?
            .join()
            .unwrap_or_else(|_| Err(SqlError::internal("a deep statement failed")))
    })
}

/// Reads one statement out of its tokens; it ends at byte `end`.
pub(super) fn statement(text: &Arc<str>, tokens: Vec<TokenWithSpan>, end: usize) -> Result<Statement> {
    let start = tokens.first().and_then(|t| offset_of(t.span)).unwrap_or(end);
    let stop = tokens.last().and_then(|t| end_of(t.span)).unwrap_or(end);
    let nesting = nesting(&tokens);
    if nesting > MAX_NESTING {
        return Err(too_deep());
    }
    let body = body(text, tokens, end)?;
    Ok(Statement { body, text: text.clone(), range: start..stop, nesting })
}

fn body(text: &Arc<str>, tokens: Vec<TokenWithSpan>, end: usize) -> Result<Body> {
    let mut cursor = Cursor::new(text, &tokens, end);
    match cursor.word() {
        Some("explain") => return Ok(Body::Explain(Box::new(explain::explain(&mut cursor)?))),
        Some("copy") => return Ok(Body::Copy(Box::new(copy::copy(&mut cursor)?))),
        Some("select" | "values" | "with" | "table" | "insert" | "update" | "delete") => {}
        Some(
            "create" | "alter" | "drop" | "truncate" | "comment" | "grant" | "revoke" | "merge" | "set"
            | "call" | "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release"
            | "reset" | "show" | "prepare" | "execute" | "deallocate" | "declare" | "fetch" | "move"
            | "close" | "discard" | "listen" | "unlisten" | "notify" | "checkpoint" | "vacuum" | "analyze"
            | "analyse" | "do" | "lock" | "cluster" | "reindex" | "refresh" | "load" | "security" | "import"
            | "reassign",
        ) => {
            if let Some(statement) = session::session(&mut cursor)? {
                return Ok(Body::Session(Box::new(statement)));
            }
        }
        _ if cursor.peek() == Some(&Token::LParen) => {}
        _ => return Err(syntax(text, tokens.first(), end)),
    }
    check_shape(text, &tokens, end)?;
    let is_table = cursor.word() == Some("table");
    let (tokens, overriding) = rewritten(tokens);
    let mut parsed = with_parser(text, tokens, end, |p| {
        if is_table { p.parse_query().map(sqlparser::ast::Statement::Query) } else { p.parse_statement() }
    })?;
    use sqlparser::ast::Statement as S;
    if let (Some(system), Some(insert)) = (overriding, insert_of(&mut parsed)) {
        insert.overwrite = system;
        insert.ignore = !system;
    }
    Ok(match parsed {
        S::Query(_) | S::Insert(_) | S::Update(_) | S::Delete(_) => Body::Bindable(Box::new(parsed)),
        _ => Body::Ddl(Box::new(parsed)),
    })
}

/// Refuses what the crate would take but the grammar does not: DELETE without FROM, and two
/// literals side by side.
fn check_shape(text: &str, tokens: &[TokenWithSpan], end: usize) -> Result<()> {
    let word = |n: usize| match tokens.get(n).map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_none() => w.value.as_str(),
        _ => "",
    };
    if word(0) == "delete" && word(1) != "from" {
        return Err(syntax(text, tokens.get(1), end));
    }
    let literals = |pair: &[TokenWithSpan]| {
        matches!(pair[0].token, Token::SingleQuotedString(_) | Token::Number(..))
            && matches!(pair[1].token, Token::SingleQuotedString(_))
    };
    match tokens.windows(2).position(literals) {
        Some(at) => Err(syntax(text, tokens.get(at + 1), end)),
        None => Ok(()),
    }
}

/// Takes out what the crate's trees have no place for: `OVERRIDING SYSTEM | USER VALUE` (told apart
/// by the second result and kept in `Insert::overwrite` and `Insert::ignore`), `ONLY` before a
/// table, which has no meaning without inheritance, and the weaker row locks, which are taken as the
/// next stronger ones. The options of CREATE SEQUENCE come in the crate's order.
fn rewritten(mut tokens: Vec<TokenWithSpan>) -> (Vec<TokenWithSpan>, Option<bool>) {
    order_sequence_options(&mut tokens);
    let mut overriding = None;
    let mut i = 0;
    while i < tokens.len() {
        let word = |n: usize| match tokens.get(i + n).map(|t| &t.token) {
            Some(Token::Word(w)) if w.quote_style.is_none() => w.value.as_str(),
            _ => "",
        };
        match (word(0), word(1), word(2)) {
            ("overriding", kind @ ("system" | "user"), "value") => {
                overriding = Some(kind == "system");
                tokens.drain(i..i + 3);
            }
            ("for", "no", "key") if word(3) == "update" => {
                tokens.drain(i + 1..i + 3);
            }
            ("for", "key", "share") => {
                tokens.remove(i + 1);
            }
            ("from" | "update" | "join" | "table" | "truncate", "only", next) if !next.is_empty() => {
                tokens.remove(i + 1);
            }
            _ => {}
        }
        i += 1;
    }
    (tokens, overriding)
}

/// PostgreSQL takes the options of CREATE SEQUENCE in any order, the crate in one.
fn order_sequence_options(tokens: &mut Vec<TokenWithSpan>) {
    let word = |at: usize| match tokens.get(at).map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_none() => w.value.as_str(),
        _ => "",
    };
    let kind = if matches!(word(1), "temp" | "temporary" | "unlogged") { 2 } else { 1 };
    if word(0) != "create" || word(kind) != "sequence" {
        return;
    }
    let mut at = kind + if word(kind + 1) == "if" { 5 } else { 2 };
    while matches!(tokens.get(at).map(|t| &t.token), Some(Token::Period)) {
        at += 2;
    }
    // A group of tokens begins at each option's first word; OWNED BY is the last in any case.
    let mut starts: Vec<(usize, u8)> = vec![];
    while at < tokens.len() {
        let rank = match (word(at), word(at + 1)) {
            ("increment", _) => 0,
            ("minvalue", _) | ("no", "minvalue") => 1,
            ("maxvalue", _) | ("no", "maxvalue") => 2,
            ("start", _) => 3,
            ("cache", _) => 4,
            ("cycle", _) | ("no", "cycle") => 5,
            ("owned", _) => break,
            _ => {
                at += 1;
                continue;
            }
        };
        starts.push((at, rank));
        at += if word(at) == "no" { 2 } else { 1 };
    }
    let Some((first, _)) = starts.first().copied() else { return };
    let tail = tokens.split_off(at.min(tokens.len()));
    let mut rest = tokens.split_off(first);
    let mut groups = vec![];
    for (start, rank) in starts.into_iter().rev() {
        groups.push((rank, rest.split_off(start - first)));
    }
    groups.sort_by_key(|(rank, _)| *rank);
    tokens.extend(groups.into_iter().flat_map(|(_, group)| group));
    tokens.extend(tail);
}

/// The INSERT that a statement is, WITH or not.
fn insert_of(statement: &mut sqlparser::ast::Statement) -> Option<&mut sqlparser::ast::Insert> {
    use sqlparser::ast::{SetExpr, Statement as S};
    match statement {
        S::Insert(insert) => Some(insert),
        S::Query(query) => match &mut *query.body {
            SetExpr::Insert(inner) => insert_of(inner),
            _ => None,
        },
        _ => None,
    }
}

/// Runs the `sqlparser` crate over tokens that it must use up.
pub(super) fn with_parser<T: Send>(
    text: &Arc<str>,
    tokens: Vec<TokenWithSpan>,
    end: usize,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError> + Send,
) -> Result<T> {
    let nesting = nesting(&tokens);
    with_deep_stack(nesting, move || {
        let dialect = PhantomDialect;
        let mut parser = Parser::new(&dialect)
            .with_recursion_limit(4 * MAX_NESTING)
            .with_tokens_with_locations(tokens.clone());
        let parsed = read(&mut parser);
        let current = parser.index_of_next();
        match parsed {
            Ok(parsed) if parser.peek_token_ref().token == Token::EOF => Ok(parsed),
            Ok(_) => Err(syntax(text, tokens.get(current), end)),
            Err(error) => Err(from_parser(&error, text, &tokens, current, end)),
        }
    })
}

trait NextIndex {
    /// Index of the token that is read next.
    fn index_of_next(&self) -> usize;
}

impl NextIndex for Parser<'_> {
    fn index_of_next(&self) -> usize {
        match offset_of(self.peek_token_ref().span) {
            Some(_) => self.get_current_index() + usize::from(self.get_current_token().token != Token::EOF),
            None => usize::MAX,
        }
    }
}

/// How deep the trees of these tokens get: nesting of parentheses, brackets, CASE and prefixes, and
/// chains of operators, whose trees lean left and are cheap to a level.
fn nesting(tokens: &[TokenWithSpan]) -> usize {
    let (mut deepest, mut prefixes, mut longest) = (0_usize, 0_usize, 0_usize);
    // Operators since the last comma, a count for each open parenthesis.
    let mut chains = vec![0_usize];
    for token in tokens {
        let word = match &token.token {
            Token::Word(w) if w.quote_style.is_none() => w.value.as_str(),
            _ => "",
        };
        let opens = matches!(token.token, Token::LParen | Token::LBracket) || word == "case";
        let closes = matches!(token.token, Token::RParen | Token::RBracket) || word == "end";
        let is_operator =
            is_operator(&token.token) || matches!(word, "and" | "or" | "not" | "union" | "join");
        if opens {
            chains.push(0);
        } else if closes && chains.len() > 1 {
            chains.pop();
        } else if let Some(chain) = chains.last_mut() {
            match token.token {
                Token::Comma => *chain = 0,
                _ if is_operator => *chain += 1,
                _ => {}
            }
            longest = longest.max(*chain);
        }
        prefixes = if is_operator { prefixes + 1 } else { 0 };
        deepest = deepest.max(chains.len() - 1 + prefixes);
    }
    if longest > MAX_CHAIN { usize::MAX } else { deepest.max(longest / CHAIN_PER_LEVEL) }
}

fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Minus
            | Token::Plus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::Caret
            | Token::Tilde
            | Token::DoubleColon
            | Token::CustomBinaryOperator(_)
    )
}
