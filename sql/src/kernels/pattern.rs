//! LIKE, ILIKE and the regular-expression operators.
//!
//! PostgreSQL's advanced regular expressions are rewritten for the `fancy-regex` crate
//! (`translate`). Whether a text matches does not depend on how matches are preferred, so the
//! operators are exact; functions that hand out *which* part matched follow POSIX's longest match,
//! which the crate does not have: they are built for patterns without alternation only.

use super::args::{bytes, invalid, text};
use super::{CallContext, Table};
use crate::types::Datum;
use crate::{Result, SqlError, SqlState};
use fancy_regex::Regex;
use std::cell::RefCell;
use std::sync::Arc;

/// Compiled patterns kept by a thread.
const CACHE_SIZE: usize = 32;

/// Whether a text matches a LIKE pattern over bytes; 22025 for a pattern that ends in its escape.
fn like_bytes(value: &[u8], pattern: &[u8]) -> Result<bool> {
    let (mut v, mut p) = (0, 0);
    // The place to try again at: behind the last `%`, one character further into the value.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let matched = match pattern.get(p) {
            None => v == value.len(),
            Some(b'%') => {
                retry = Some((v, p + 1));
                p += 1;
                continue;
            }
            Some(b'_') if v < value.len() => {
                v += character_width(&value[v..]);
                p += 1;
                continue;
            }
            Some(b'_') => false,
            Some(first) => {
                let escaped = *first == b'\\';
                let literal = if escaped { pattern.get(p + 1) } else { Some(first) };
                let Some(literal) = literal else {
                    // Only a pattern that still has a value to match, or follows a `%`, is refused.
                    if v >= value.len() && retry.is_none_or(|(_, at)| at != p) {
                        return Ok(false);
                    }
                    return Err(SqlError::new(
                        SqlState::INVALID_ESCAPE_SEQUENCE,
                        "LIKE pattern must not end with escape character",
                    ));
                };
                if value.get(v) == Some(literal) {
                    v += 1;
                    p += 1 + usize::from(escaped);
                    continue;
                }
                false
            }
        };
        if matched {
            return Ok(true);
        }
        match retry {
            Some((from, pattern_at)) if from < value.len() => {
                let next = from + character_width(&value[from..]);
                retry = Some((next, pattern_at));
                (v, p) = (next, pattern_at);
            }
            _ => return Ok(false),
        }
    }
}

/// Bytes of the UTF-8 character at the start; 1 for a byte that starts none.
fn character_width(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    }
    .min(bytes.len())
}

/// Whether `value LIKE pattern`, with backslash as the escape.
pub fn like(value: &str, pattern: &str) -> Result<bool> {
    like_bytes(value.as_bytes(), pattern.as_bytes())
}

fn like_args(args: &[Datum]) -> Result<bool> {
    like(text(&args[0])?, text(&args[1])?)
}

fn ilike_args(args: &[Datum]) -> Result<bool> {
    like(&text(&args[0])?.to_ascii_lowercase(), &text(&args[1])?.to_ascii_lowercase())
}

fn bytea_like(args: &[Datum]) -> Result<bool> {
    let (value, pattern) = (bytes(&args[0])?, bytes(&args[1])?);
    // `_` stands for one byte here: no value byte may look like a longer character.
    if value.iter().any(|b| *b >= 0x80) && pattern.contains(&b'_') {
        return Err(SqlError::not_built("LIKE with \"_\" over bytea that is not ASCII"));
    }
    like_bytes(value, pattern)
}

/// `pattern ESCAPE e`: the pattern with backslash for its escape.
fn like_escape(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (pattern, escape) = (text(&args[0])?, text(&args[1])?);
    let mut chars = escape.chars();
    let escape = match (chars.next(), chars.next()) {
        (None, _) => return Ok(Datum::text(pattern.replace('\\', "\\\\"))),
        (Some(c), None) => c,
        _ => {
            return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .with_hint("Escape string must be empty or one character."));
        }
    };
    if escape == '\\' {
        return Ok(args[0].clone());
    }
    let mut out = String::new();
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            c if c == escape && !escaped => {
                out.push('\\');
                escaped = true;
                continue;
            }
            '\\' if !escaped => out.push_str("\\\\"),
            c => out.push(c),
        }
        escaped = false;
    }
    Ok(Datum::text(out))
}

fn regex_error(detail: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, format!("invalid regular expression: {detail}"))
}

/// Options of a pattern: case, newlines, blanks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    pub ignore_case: bool,
    /// `.` and brackets do not match a newline (n, p).
    pub dot_excludes_newline: bool,
    /// `^` and `$` match at line ends (n, w).
    pub line_anchors: bool,
    /// Blanks and comments are skipped (x).
    pub extended: bool,
    /// The pattern is a plain string (q).
    pub literal: bool,
    /// Replace or return every match (g), where the function allows it.
    pub global: bool,
}

/// Reads an options argument.
pub fn flags(options: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for c in options.chars() {
        match c {
            'g' => flags.global = true,
            'i' => flags.ignore_case = true,
            'c' => flags.ignore_case = false,
            'm' | 'n' => (flags.dot_excludes_newline, flags.line_anchors) = (true, true),
            's' => (flags.dot_excludes_newline, flags.line_anchors) = (false, false),
            'p' => (flags.dot_excludes_newline, flags.line_anchors) = (true, false),
            'w' => (flags.dot_excludes_newline, flags.line_anchors) = (false, true),
            'x' => flags.extended = true,
            't' => flags.extended = false,
            'q' => flags.literal = true,
            'e' => {}
            'b' => return Err(SqlError::not_built("regular expression option \"b\"")),
            other => {
                return Err(invalid(format!("invalid regular expression option: \"{other}\"")));
            }
        }
    }
    Ok(flags)
}

/// Rewrites an advanced regular expression for `fancy-regex`.
fn translate(pattern: &str, mut flags: Flags) -> Result<String> {
    let mut pattern = pattern;
    if let Some(rest) = pattern.strip_prefix("***=") {
        (pattern, flags.literal) = (rest, true);
    } else if let Some(rest) = pattern.strip_prefix("***:") {
        pattern = rest;
    }
    // `(?letters)` at the start sets options.
    if !flags.literal
        && let Some(rest) = pattern.strip_prefix("(?")
        && let Some((letters, after)) = rest.split_once(')')
        && !letters.is_empty()
        && letters.bytes().all(|b| b.is_ascii_alphabetic())
    {
        let own = self::flags(letters)?;
        flags = Flags { ignore_case: own.ignore_case || flags.ignore_case, global: flags.global, ..own };
        pattern = after;
    }
    let mut out = String::from("(?");
    if flags.ignore_case {
        out.push('i');
    }
    if !flags.dot_excludes_newline {
        out.push('s');
    }
    if flags.line_anchors {
        out.push('m');
    }
    if flags.extended && !flags.literal {
        out.push('x');
    }
    if out.len() == 2 {
        out.clear();
    } else {
        out.push(')');
    }
    if flags.literal {
        out.push_str(&fancy_regex::escape(pattern));
        return Ok(out);
    }
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(&mut chars, &mut out)?,
            '[' => bracket(&mut chars, flags, &mut out)?,
            '$' if !flags.line_anchors => out.push_str("\\z"),
            '^' if !flags.line_anchors => out.push_str("\\A"),
            '#' if !flags.extended => out.push_str("\\#"),
            '{' if !chars.peek().is_some_and(char::is_ascii_digit) => out.push_str("\\{"),
            '{' => {
                let bounds: String = chars.clone().take_while(|c| *c != '}').collect();
                if bounds.len() == chars.clone().map(char::len_utf8).sum::<usize>() {
                    return Err(regex_error("braces {} not balanced"));
                }
                out.push('{');
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// An escape outside brackets.
fn escape(chars: &mut Chars<'_>, out: &mut String) -> Result<()> {
    let Some(c) = chars.next() else { return Err(regex_error("invalid escape \\ sequence")) };
    match c {
        'm' => out.push_str("\\b(?=\\w)"),
        'M' => out.push_str("\\b(?<=\\w)"),
        'y' => out.push_str("\\b"),
        'Y' => out.push_str("\\B"),
        'A' => out.push_str("\\A"),
        'Z' => out.push_str("\\z"),
        'd' => out.push_str("[[:digit:]]"),
        'D' => out.push_str("[^[:digit:]]"),
        's' => out.push_str("[[:space:]]"),
        'S' => out.push_str("[^[:space:]]"),
        'w' => out.push_str("[[:alnum:]_]"),
        'W' => out.push_str("[^[:alnum:]_]"),
        '1'..='9' => {
            out.push('\\');
            out.push(c);
        }
        c => out.push_str(&plain_escape(c, chars)?),
    }
    Ok(())
}

/// An escape that means one character, in the target's notation.
fn plain_escape(c: char, chars: &mut Chars<'_>) -> Result<String> {
    let mut hex = |least: usize, most: usize| -> Result<String> {
        let mut digits = String::new();
        while digits.len() < most && chars.peek().is_some_and(char::is_ascii_hexdigit) {
            digits.extend(chars.next());
        }
        if digits.len() < least {
            Err(regex_error("invalid escape \\ sequence"))
        } else {
            Ok(format!("\\x{{{digits}}}"))
        }
    };
    Ok(match c {
        'a' => "\\x07".to_owned(),
        'b' => "\\x08".to_owned(),
        'B' => "\\\\".to_owned(),
        'e' => "\\x1B".to_owned(),
        'f' | 'n' | 'r' | 't' | 'v' => format!("\\{c}"),
        '0' => "\\x00".to_owned(),
        'x' => hex(1, 255)?,
        'u' => hex(4, 4)?,
        'U' => hex(8, 8)?,
        c if c.is_alphanumeric() => return Err(regex_error("invalid escape \\ sequence")),
        c if c.is_ascii_punctuation() => format!("\\{c}"),
        c => c.to_string(),
    })
}

/// A bracket expression; the opening bracket is read.
fn bracket(chars: &mut Chars<'_>, flags: Flags, out: &mut String) -> Result<()> {
    let unbalanced = || regex_error("brackets [] not balanced");
    // `[[:<:]]` and `[[:>:]]` are word boundaries.
    let rest: String = chars.clone().take(6).collect();
    for (text, boundary) in [("[:<:]]", "\\b(?=\\w)"), ("[:>:]]", "\\b(?<=\\w)")] {
        if rest == text {
            chars.nth(5);
            out.push_str(boundary);
            return Ok(());
        }
    }
    out.push('[');
    let negated = chars.peek() == Some(&'^');
    if negated {
        chars.next();
        out.push('^');
        if flags.dot_excludes_newline {
            out.push_str("\\n");
        }
    }
    let mut first = true;
    loop {
        match chars.next().ok_or_else(unbalanced)? {
            ']' if !first => break,
            '[' if chars.peek() == Some(&':') => {
                chars.next();
                let mut name = String::new();
                loop {
                    match chars.next().ok_or_else(unbalanced)? {
                        ':' => break,
                        c => name.push(c),
                    }
                }
                if chars.next() != Some(']') {
                    return Err(unbalanced());
                }
                let known = [
                    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
                    "space", "upper", "xdigit", "word",
                ];
                if !known.contains(&name.as_str()) {
                    return Err(regex_error("invalid character class"));
                }
                out.push_str(&format!("[:{name}:]"));
            }
            '[' if matches!(chars.peek(), Some('.' | '=')) => {
                return Err(SqlError::not_built("a collating element in a regular expression"));
            }
            '\\' => match chars.next().ok_or_else(unbalanced)? {
                'd' => out.push_str("[:digit:]"),
                's' => out.push_str("[:space:]"),
                'w' => out.push_str("[:alnum:]_"),
                'D' | 'S' | 'W' => return Err(regex_error("invalid escape \\ sequence")),
                c => out.push_str(&plain_escape(c, chars)?),
            },
            '-' if first || chars.peek() == Some(&']') => out.push_str("\\-"),
            '-' => out.push('-'),
            c if c.is_ascii_punctuation() => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_whitespace() => out.push_str(&format!("\\x{:02X}", c as u32)),
            c => out.push(c),
        }
        first = false;
    }
    out.push(']');
    Ok(())
}

thread_local! {
    static CACHE: RefCell<Vec<((String, Flags), Arc<Regex>)>> = const { RefCell::new(Vec::new()) };
}

/// The compiled pattern, from the thread's cache of recent ones.
pub fn compile(pattern: &str, flags: Flags) -> Result<Arc<Regex>> {
    let found = CACHE.with_borrow_mut(|cache| {
        let at = cache.iter().position(|((text, own), _)| text == pattern && *own == flags)?;
        let entry = cache.remove(at);
        let regex = entry.1.clone();
        cache.push(entry);
        Some(regex)
    });
    if let Some(regex) = found {
        return Ok(regex);
    }
    let translated = translate(pattern, flags)?;
    let regex = Regex::new(&translated).map_err(|error| regex_error(&explain(&format!("{error:?}"))))?;
    let regex = Arc::new(regex);
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHE_SIZE {
            cache.remove(0);
        }
        cache.push(((pattern.to_owned(), flags), regex.clone()));
    });
    Ok(regex)
}

/// PostgreSQL's words for the usual mistakes.
fn explain(error: &str) -> String {
    let lower = error.to_ascii_lowercase();
    let known = [
        ("rangeinvalid", "invalid character range"),
        ("paren", "parentheses () not balanced"),
        ("unclosed group", "parentheses () not balanced"),
        ("unopened group", "parentheses () not balanced"),
        ("repeat", "quantifier operand invalid"),
        ("repetition", "quantifier operand invalid"),
        ("class", "brackets [] not balanced"),
        ("range", "invalid character range"),
        ("backref", "invalid backreference number"),
    ];
    known
        .iter()
        .find(|(part, _)| lower.contains(part))
        .map_or_else(|| error.to_owned(), |(_, words)| (*words).to_owned())
}

fn is_match(value: &str, pattern: &str, flags: Flags) -> Result<bool> {
    compile(pattern, flags)?.is_match(value).map_err(too_complex)
}

fn too_complex(_: fancy_regex::Error) -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "regular expression is too complex")
}

fn matches(args: &[Datum], ignore_case: bool) -> Result<bool> {
    is_match(text(&args[0])?, text(&args[1])?, Flags { ignore_case, ..Flags::default() })
}

/// The compiled pattern of a function that depends on which match is preferred.
fn compile_exact(pattern: &str, flags: Flags) -> Result<Arc<Regex>> {
    if pattern.contains('|') && !flags.literal {
        return Err(SqlError::not_built("a regular expression with alternation in this function"));
    }
    compile(pattern, flags)
}

/// `substring(text from pattern)`: the first group, or the whole match without one.
fn regex_substring(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let regex = compile_exact(text(&args[1])?, Flags::default())?;
    let captures = regex.captures(text(&args[0])?).map_err(too_complex)?;
    let Some(captures) = captures else { return Ok(Datum::Null) };
    let group = captures.get(usize::from(captures.len() > 1));
    Ok(group.map_or(Datum::Null, |group| Datum::text(group.as_str())))
}

fn regexp_replace(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let options = args.get(3).map(text).transpose()?.unwrap_or("");
    if options.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(invalid(format!("invalid regular expression option: \"{}\"", &options[..1]))
            .with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
    }
    let flags = flags(options)?;
    let (value, replacement) = (text(&args[0])?, text(&args[2])?);
    let regex = compile_exact(text(&args[1])?, Flags { global: false, ..flags })?;
    let mut out = String::new();
    let mut from = 0;
    let mut start = 0;
    while start <= value.len() {
        // An empty match counts right behind the match before it, so the crate's own iteration
        // does not serve.
        let Some(captures) = regex.captures_from_pos(value, start).map_err(too_complex)? else { break };
        let Some(whole) = captures.get(0) else { break };
        out.push_str(&value[from..whole.start()]);
        let mut chars = replacement.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('&') => out.push_str(whole.as_str()),
                    Some(d @ '1'..='9') => {
                        let group = captures.get(d as usize - '0' as usize);
                        out.push_str(group.map_or("", |group| group.as_str()));
                    }
                    Some('\\') => out.push('\\'),
                    Some(c) => {
                        out.push('\\');
                        out.push(c);
                    }
                    None => out.push('\\'),
                },
                c => out.push(c),
            }
        }
        from = whole.end();
        start = if whole.start() == whole.end() {
            from + value[from..].chars().next().map_or(1, char::len_utf8)
        } else {
            from
        };
        if !flags.global {
            break;
        }
    }
    out.push_str(&value[from..]);
    Ok(Datum::text(out))
}

/// The groups of the first match, or the whole match without groups.
fn regexp_match(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let flags = flags(args.get(2).map(text).transpose()?.unwrap_or(""))?;
    if flags.global {
        return Err(invalid("regexp_match() does not support the \"global\" option")
            .with_hint("Use the regexp_matches function instead."));
    }
    let regex = compile_exact(text(&args[1])?, flags)?;
    let captures = regex.captures(text(&args[0])?).map_err(too_complex)?;
    let Some(captures) = captures else { return Ok(Datum::Null) };
    let first = usize::from(captures.len() > 1);
    let groups = (first..captures.len())
        .map(|at| captures.get(at).map_or(Datum::Null, |group| Datum::text(group.as_str())));
    Ok(Datum::array(crate::Oid::TEXT, groups.collect()))
}

macro_rules! test {
    ($yes:literal, $no:literal, $of:expr) => {
        [
            ($yes, |_, args| {
                let of: fn(&[Datum]) -> Result<bool> = $of;
                Ok(Datum::Bool(of(args)?))
            }),
            ($no, |_, args| {
                let of: fn(&[Datum]) -> Result<bool> = $of;
                Ok(Datum::Bool(!of(args)?))
            }),
        ]
    };
}

const TESTS: [[(&str, super::ScalarFn); 2]; 9] = [
    test!("textlike", "textnlike", like_args),
    test!("namelike", "namenlike", like_args),
    test!("texticlike", "texticnlike", ilike_args),
    test!("nameiclike", "nameicnlike", ilike_args),
    test!("bytealike", "byteanlike", bytea_like),
    test!("textregexeq", "textregexne", |args| matches(args, false)),
    test!("texticregexeq", "texticregexne", |args| matches(args, true)),
    test!("nameregexeq", "nameregexne", |args| matches(args, false)),
    test!("nameicregexeq", "nameicregexne", |args| matches(args, true)),
];

pub(crate) const TABLE: Table = &[
    TESTS[0][0],
    TESTS[0][1],
    TESTS[1][0],
    TESTS[1][1],
    TESTS[2][0],
    TESTS[2][1],
    TESTS[3][0],
    TESTS[3][1],
    TESTS[4][0],
    TESTS[4][1],
    TESTS[5][0],
    TESTS[5][1],
    TESTS[6][0],
    TESTS[6][1],
    TESTS[7][0],
    TESTS[7][1],
    TESTS[8][0],
    TESTS[8][1],
    ("like_escape", like_escape),
    ("textregexsubstr", regex_substring),
    ("textregexreplace_noopt", regexp_replace),
    ("textregexreplace", regexp_replace),
    ("regexp_match", regexp_match),
    ("regexp_match_no_flags", regexp_match),
];
