//! The token pass: PostgreSQL's lexical rules (scan.l), giving the `sqlparser` crate's tokens.
//!
//! Every span is on "line" 1 and its column is the byte offset in the query string plus one, so an
//! AST node's span is a byte offset. Unquoted words arrive folded to lower case, strings with their
//! escapes resolved; comments and white space leave no token.

use super::errors::near;
use super::keywords;
use crate::{Result, SqlError, SqlState};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Word};

/// Longest identifier in bytes (NAMEDATALEN − 1); longer ones are cut.
pub const MAX_IDENTIFIER: usize = 63;

/// The span of a byte range.
pub(super) fn span(start: usize, end: usize) -> Span {
    Span::new(Location::new(1, start as u64 + 1), Location::new(1, end as u64 + 1))
}

/// Byte offset of a span's start; `None` for a span that stands for nothing.
pub fn offset_of(span: Span) -> Option<usize> {
    (span.start.line != 0).then(|| span.start.column as usize - 1)
}

/// Byte offset of a span's end.
pub fn end_of(span: Span) -> Option<usize> {
    (span.end.line != 0).then(|| span.end.column as usize - 1)
}

/// All tokens of a query string, without an end marker.
pub fn tokens(text: &str) -> Result<Vec<TokenWithSpan>> {
    let mut lexer =
        Lexer { text, bytes: text.as_bytes(), at: 0, out: Vec::with_capacity(text.len() / 4 + 4) };
    while lexer.step()? {}
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    out: Vec<TokenWithSpan>,
}

const OPERATOR_CHARS: &[u8] = b"~!@#^&|`?+-*/%<>=";

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, token: Token, start: usize) {
        self.out.push(TokenWithSpan::new(token, span(start, self.at)));
    }

    /// Reads one token; false at the end.
    fn step(&mut self) -> Result<bool> {
        self.skip_blank()?;
        let start = self.at;
        let Some(&byte) = self.bytes.get(start) else { return Ok(false) };
        match byte {
            b'\'' => {
                self.at += 1;
                let value = self.quoted(start, false)?;
                self.push(Token::SingleQuotedString(value), start);
            }
            b'"' => {
                self.at += 1;
                let name = self.quoted_identifier(start)?;
                self.push_word(name, Some('"'), start);
            }
            b'e' | b'E' if self.peek(1) == b'\'' => {
                self.at += 2;
                let value = self.quoted(start, true)?;
                self.push(Token::SingleQuotedString(value), start);
            }
            b'b' | b'B' if self.peek(1) == b'\'' => {
                self.at += 2;
                let value = self.quoted(start, false)?;
                self.push(Token::SingleQuotedByteStringLiteral(value), start);
            }
            b'x' | b'X' if self.peek(1) == b'\'' => {
                self.at += 2;
                let value = self.quoted(start, false)?;
                self.push(Token::HexStringLiteral(value), start);
            }
            b'n' | b'N' if self.peek(1) == b'\'' => {
                self.at += 2;
                let value = self.quoted(start, false)?;
                self.push(Token::NationalStringLiteral(value), start);
            }
            b'u' | b'U' if self.peek(1) == b'&' && matches!(self.peek(2), b'\'' | b'"') => {
                self.unicode_literal(start)?
            }
            b'$' => self.dollar(start)?,
            b'0'..=b'9' => self.number(start)?,
            b'.' if self.peek(1).is_ascii_digit() => self.number(start)?,
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => {
                let word = self.take_word();
                self.push_word(word, None, start);
            }
            b':' if self.peek(1) == b':' => self.simple(Token::DoubleColon, 2),
            b':' if self.peek(1) == b'=' => self.simple(Token::Assignment, 2),
            b',' => self.simple(Token::Comma, 1),
            b'(' => self.simple(Token::LParen, 1),
            b')' => self.simple(Token::RParen, 1),
            b'[' => self.simple(Token::LBracket, 1),
            b']' => self.simple(Token::RBracket, 1),
            b'.' => self.simple(Token::Period, 1),
            b';' => self.simple(Token::SemiColon, 1),
            b':' => self.simple(Token::Colon, 1),
            _ if OPERATOR_CHARS.contains(&byte) => self.operator(start),
            _ => {
                let end = start + self.text[start..].chars().next().map_or(1, char::len_utf8);
                return Err(near(&self.text[start..end], start));
            }
        }
        Ok(true)
    }

    fn simple(&mut self, token: Token, len: usize) {
        let start = self.at;
        self.at += len;
        self.push(token, start);
    }

    /// White space and comments; block comments nest.
    fn skip_blank(&mut self) -> Result<()> {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b if self.at < self.bytes.len() => self.at += 1,
                b'-' if self.peek(1) == b'-' => {
                    let rest = &self.bytes[self.at..];
                    self.at += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
                }
                b'/' if self.peek(1) == b'*' => self.skip_block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_block_comment(&mut self) -> Result<()> {
        let start = self.at;
        let mut depth = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ if self.at >= self.bytes.len() => {
                    return Err(self.unterminated("unterminated /* comment", start));
                }
                _ => self.at += 1,
            }
        }
    }

    fn unterminated(&self, what: &str, start: usize) -> SqlError {
        let text = &self.text[start..];
        SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} at or near \"{text}\"")).at(start)
    }

    /// The rest of a string literal after its opening quote, and its continuations on later lines.
    fn quoted(&mut self, start: usize, escapes: bool) -> Result<String> {
        let mut value = Vec::new();
        let mut surrogate = None;
        loop {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.unterminated("unterminated quoted string", start));
            };
            match byte {
                b'\'' if self.peek(1) == b'\'' => {
                    value.push(b'\'');
                    self.at += 2;
                }
                b'\'' => {
                    self.at += 1;
                    if !self.continues_on_next_line() {
                        break;
                    }
                }
                b'\\' if escapes => self.escape(&mut value, &mut surrogate, start)?,
                _ => {
                    value.push(byte);
                    self.at += 1;
                }
            }
        }
        String::from_utf8(value).map_err(|_| {
            SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\" in a string with escapes",
            )
            .at(start)
        })
    }

    /// SQL joins literals separated by white space with a line break.
    fn continues_on_next_line(&mut self) -> bool {
        let mut i = self.at;
        let mut newline = false;
        while let Some(&byte) = self.bytes.get(i) {
            match byte {
                b'\n' | b'\r' => newline = true,
                b' ' | b'\t' | 0x0c | 0x0b => {}
                b'-' if self.bytes.get(i + 1) == Some(&b'-') => {
                    while self.bytes.get(i + 1).is_some_and(|b| !matches!(b, b'\n' | b'\r')) {
                        i += 1;
                    }
                }
                b'\'' if newline => {
                    self.at = i + 1;
                    return true;
                }
                _ => return false,
            }
            i += 1;
        }
        false
    }

    /// One backslash escape of an `E''` string.
    fn escape(&mut self, value: &mut Vec<u8>, surrogate: &mut Option<u32>, start: usize) -> Result<()> {
        let at = self.at;
        let byte = self.peek(1);
        self.at += 2;
        match byte {
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(11),
            b'0'..=b'7' => {
                let digits = self.digits_at(at + 1, 3, 8);
                self.at = at + 1 + digits.len();
                value.push((u32::from_str_radix(digits, 8).unwrap_or(0) & 0xff) as u8);
            }
            b'x' if self.peek(0).is_ascii_hexdigit() => {
                let digits = self.digits_at(at + 2, 2, 16);
                self.at = at + 2 + digits.len();
                value.push(u8::from_str_radix(digits, 16).unwrap_or(0));
            }
            b'u' | b'U' => {
                let want = if byte == b'u' { 4 } else { 8 };
                let digits = self.digits_at(at + 2, want, 16);
                if digits.len() != want {
                    return Err(SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape")
                        .with_hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                        .at(at));
                }
                self.at = at + 2 + want;
                let code = u32::from_str_radix(digits, 16).unwrap_or(0);
                push_code_point(value, surrogate, code, at)?;
            }
            0 if self.at > self.bytes.len() => {
                return Err(self.unterminated("unterminated quoted string", start));
            }
            _ => {
                // The byte itself; the following bytes of a multi-byte character come as they are.
                value.push(byte);
            }
        }
        Ok(())
    }

    fn digits_at(&self, start: usize, most: usize, radix: u32) -> &'a str {
        let len = self.bytes[start.min(self.bytes.len())..]
            .iter()
            .take(most)
            .take_while(|b| char::from(**b).is_digit(radix))
            .count();
        &self.text[start..start + len]
    }

    fn quoted_identifier(&mut self, start: usize) -> Result<String> {
        let mut name = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = rest.find('"') else {
                return Err(self.unterminated("unterminated quoted identifier", start));
            };
            name.push_str(&rest[..end]);
            self.at += end + 1;
            if self.peek(0) != b'"' {
                break;
            }
            name.push('"');
            self.at += 1;
        }
        if name.is_empty() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("zero-length delimited identifier at or near \"{}\"", &self.text[start..self.at]),
            )
            .at(start));
        }
        Ok(name)
    }

    /// `U&'…'` and `U&"…"`, with an optional UESCAPE.
    fn unicode_literal(&mut self, start: usize) -> Result<()> {
        let is_string = self.peek(2) == b'\'';
        self.at += 3;
        let raw = if is_string { self.quoted(start, false)? } else { self.quoted_identifier(start)? };
        let body_end = self.at;
        self.skip_blank()?;
        let mut escape = '\\';
        if self.text[self.at..].get(..7).is_some_and(|w| w.eq_ignore_ascii_case("uescape")) {
            self.at += 7;
            self.skip_blank()?;
            let quote_at = self.at;
            self.at += 1;
            let given = self.quoted(quote_at, false)?;
            escape = given.chars().next().filter(|_| given.chars().count() == 1).ok_or_else(|| {
                SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape character").at(quote_at)
            })?;
        } else {
            self.at = body_end;
        }
        let value = resolve_unicode(&raw, escape, start)?;
        if is_string {
            self.push(Token::SingleQuotedString(value), start);
        } else {
            self.push_word(value, Some('"'), start);
        }
        Ok(())
    }

    /// `$1`, `$tag$ … $tag$`.
    fn dollar(&mut self, start: usize) -> Result<()> {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            if is_word_start(self.peek(0)) {
                return Err(self.trailing_junk("parameter", start));
            }
            let name = self.text[start..self.at].to_owned();
            self.push(Token::Placeholder(name), start);
            return Ok(());
        }
        let tag_len = self.bytes[start + 1..].iter().take_while(|b| is_word_part(**b) && **b != b'$').count();
        if self.bytes.get(start + 1 + tag_len) != Some(&b'$') {
            return Err(near("$", start));
        }
        let tag = &self.text[start..start + tag_len + 2];
        let body = start + tag.len();
        let Some(len) = self.text[body..].find(tag) else {
            return Err(self.unterminated("unterminated dollar-quoted string", start));
        };
        self.at = body + len + tag.len();
        let value = self.text[body..body + len].to_owned();
        self.push(Token::SingleQuotedString(value), start);
        Ok(())
    }

    fn trailing_junk(&mut self, after: &str, start: usize) -> SqlError {
        self.take_word();
        SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("trailing junk after {after} at or near \"{}\"", &self.text[start..self.at]),
        )
        .at(start)
    }

    fn take_digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
    }

    fn number(&mut self, start: usize) -> Result<()> {
        self.take_digits();
        // `1..10` is two integers with a range between.
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.at += 1;
            self.take_digits();
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.take_digits();
            }
        }
        if is_word_start(self.peek(0)) {
            return Err(self.trailing_junk("numeric literal", start));
        }
        let digits = self.text[start..self.at].to_owned();
        self.push(Token::Number(digits, false), start);
        Ok(())
    }

    /// An unquoted word, folded to lower case (ASCII only, as in a UTF-8 database).
    fn take_word(&mut self) -> String {
        let start = self.at;
        while is_word_part(self.peek(0)) {
            self.at += 1;
        }
        self.text[start..self.at].to_ascii_lowercase()
    }

    fn push_word(&mut self, mut value: String, quote_style: Option<char>, start: usize) {
        if value.len() > MAX_IDENTIFIER {
            value.truncate(value.floor_char_boundary(MAX_IDENTIFIER));
        }
        let keyword = if quote_style.is_none() && keywords::is_parser_keyword(&value) {
            match Token::make_keyword(&value) {
                Token::Word(word) => word.keyword,
                _ => Keyword::NoKeyword,
            }
        } else {
            Keyword::NoKeyword
        };
        self.push(Token::Word(Word { value, quote_style, keyword }), start);
    }

    fn operator(&mut self, start: usize) {
        let mut len = self.bytes[start..].iter().take_while(|b| OPERATOR_CHARS.contains(b)).count();
        let run = &self.bytes[start..start + len];
        // A comment ends the operator.
        if let Some(comment) = run.windows(2).position(|w| w == b"--" || w == b"/*") {
            len = comment;
        }
        // Only an operator with one of these characters may end in + or -.
        if !self.bytes[start..start + len].iter().any(|b| b"~!@#^&|`?%".contains(b)) {
            while len > 1 && matches!(self.bytes[start + len - 1], b'+' | b'-') {
                len -= 1;
            }
        }
        self.at = start + len;
        self.push(operator_token(&self.text[start..start + len]), start);
    }
}

fn is_word_start(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphabetic() || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn operator_token(text: &str) -> Token {
    match text {
        "=" => Token::Eq,
        "<>" | "!=" => Token::Neq,
        "<" => Token::Lt,
        ">" => Token::Gt,
        "<=" => Token::LtEq,
        ">=" => Token::GtEq,
        "=>" => Token::RArrow,
        "+" => Token::Plus,
        "-" => Token::Minus,
        "*" => Token::Mul,
        "/" => Token::Div,
        "%" => Token::Mod,
        "^" => Token::Caret,
        "~" => Token::Tilde,
        "~*" => Token::TildeAsterisk,
        "!~" => Token::ExclamationMarkTilde,
        "!~*" => Token::ExclamationMarkTildeAsterisk,
        "~~" => Token::DoubleTilde,
        "~~*" => Token::DoubleTildeAsterisk,
        "!~~" => Token::ExclamationMarkDoubleTilde,
        "!~~*" => Token::ExclamationMarkDoubleTildeAsterisk,
        other => Token::CustomBinaryOperator(other.to_owned()),
    }
}

fn push_code_point(value: &mut Vec<u8>, surrogate: &mut Option<u32>, code: u32, at: usize) -> Result<()> {
    let invalid = || SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape value").at(at);
    let code = match (surrogate.take(), code) {
        (Some(high), 0xDC00..=0xDFFF) => 0x10000 + ((high & 0x3ff) << 10) + (code & 0x3ff),
        (Some(_), _) => {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair").at(at));
        }
        (None, 0xD800..=0xDBFF) => {
            *surrogate = Some(code);
            return Ok(());
        }
        (None, _) => code,
    };
    let c = char::from_u32(code).filter(|c| *c != '\0').ok_or_else(invalid)?;
    value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(())
}

fn resolve_unicode(raw: &str, escape: char, at: usize) -> Result<String> {
    let mut value = Vec::with_capacity(raw.len());
    let mut surrogate = None;
    let mut rest = raw;
    let invalid = || {
        SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
            .with_hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
            .at(at)
    };
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != escape {
            value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else if let Some(after) = rest.strip_prefix(escape) {
            value.extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
            rest = after;
        } else {
            let (digits, len) = match rest.strip_prefix('+') {
                Some(after) => (after.get(..6), 7),
                None => (rest.get(..4), 4),
            };
            let digits = digits.ok_or_else(invalid)?;
            let code = u32::from_str_radix(digits, 16).map_err(|_| invalid())?;
            push_code_point(&mut value, &mut surrogate, code, at)?;
            rest = &rest[len..];
        }
    }
    String::from_utf8(value).map_err(|_| invalid())
}
