//! json: validation of text; the parsed tree that jsonb and the JSON functions share.

use super::{Datum, Numeric};
use crate::{Result, SqlError, SqlState};

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 2000;

/// A JSON value. Object members stand in the order of the text, or in jsonb's.
#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// A JSON text is kept as it is.
pub(super) fn input(text: &str) -> Result<Datum> {
    parse(text)?;
    Ok(Datum::text(text))
}

/// The tree of a JSON text.
pub fn parse(text: &str) -> Result<Json> {
    let mut parser = Parser { text, at: 0, spans: None };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.expected("Expected end of input, but found"));
    }
    Ok(value)
}

/// The members of an object text, or the elements of an array text, each as its raw text.
pub enum Parts<'a> {
    Object(Vec<(String, &'a str)>),
    Array(Vec<&'a str>),
    Scalar,
}

/// The outermost level of a JSON text.
pub fn parts(text: &str) -> Result<Parts<'_>> {
    let mut parser = Parser { text, at: 0, spans: Some(Vec::new()) };
    let value = parser.value(0)?;
    let spans = parser.spans.unwrap_or_default();
    let slices = spans.into_iter().map(|(from, to)| &text[from..to]);
    Ok(match value {
        Json::Object(members) => Parts::Object(members.into_iter().map(|(key, _)| key).zip(slices).collect()),
        Json::Array(_) => Parts::Array(slices.collect()),
        _ => Parts::Scalar,
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Where the values of the outermost level stand, when wanted.
    spans: Option<Vec<(usize, usize)>>,
}

impl Parser<'_> {
    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, detail: String) -> SqlError {
        let line = self.text[..self.at.min(self.text.len())].matches('\n').count() + 1;
        let start = self.text[..self.at.min(self.text.len())].rfind('\n').map_or(0, |at| at + 1);
        let token_end = self.token_end();
        let rest = &self.text[token_end..];
        let line_end = rest.find('\n').map_or(self.text.len(), |at| token_end + at);
        let dots = if line_end > token_end { "..." } else { "" };
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .with_detail(detail)
            .with_context(format!("JSON data, line {line}: {}{dots}", &self.text[start..token_end]))
    }

    /// The end of the token at the cursor.
    fn token_end(&self) -> usize {
        let rest = &self.text[self.at..];
        let width = match rest.chars().next() {
            None => 0,
            Some('"') => string_width(rest),
            Some(c)
                if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$' | '.' | '+') || !c.is_ascii() =>
            {
                rest.find(|c: char| {
                    !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$' | '.' | '+') || !c.is_ascii())
                })
                .unwrap_or(rest.len())
            }
            Some(c) => c.len_utf8(),
        };
        self.at + width
    }

    /// "<what> "token"." or the end of the input.
    fn expected(&self, what: &str) -> SqlError {
        if self.at >= self.text.len() {
            return self.error("The input string ended unexpectedly.".to_owned());
        }
        let token = &self.text[self.at..self.token_end()];
        if self.is_bad_token(token) {
            return self.error(format!("Token \"{token}\" is invalid."));
        }
        self.error(format!("{what} \"{token}\"."))
    }

    fn is_bad_token(&self, token: &str) -> bool {
        match token.as_bytes().first() {
            Some(b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"') => false,
            Some(b'-' | b'0'..=b'9') => number_width(token) != Some(token.len()),
            _ => !matches!(token, "true" | "false" | "null"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > MAX_DEPTH {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
                .with_hint("Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after ensuring the platform's stack depth limit is adequate."));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let token = &self.text[self.at..self.token_end()];
                let value = match token {
                    "true" => Json::Bool(true),
                    "false" => Json::Bool(false),
                    "null" => Json::Null,
                    _ => return Err(self.expected("Expected JSON value, but found")),
                };
                self.at += token.len();
                Ok(value)
            }
        }
    }

    /// A value inside the outermost container: its place is noted when wanted.
    fn member(&mut self, depth: usize) -> Result<Json> {
        self.skip_space();
        let start = self.at;
        let value = self.value(depth + 1)?;
        let end = self.at;
        if depth == 0
            && let Some(spans) = &mut self.spans
        {
            spans.push((start, end));
        }
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                let what = if members.is_empty() {
                    "Expected string or \"}\", but found"
                } else {
                    "Expected string, but found"
                };
                return Err(self.expected(what));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.expected("Expected \":\", but found"));
            }
            self.at += 1;
            let value = self.member(depth)?;
            members.push((key, value));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.expected("Expected \",\" or \"}\", but found")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            let item = self.member(depth)?;
            items.push(item);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.expected("Expected \",\" or \"]\", but found")),
            }
        }
    }

    fn number(&mut self) -> Result<Json> {
        let token_end = self.token_end();
        let token = &self.text[self.at..token_end];
        if number_width(token) != Some(token.len()) {
            return Err(self.expected("Expected JSON value, but found"));
        }
        let value = Numeric::parse(token)?;
        self.at = token_end;
        Ok(Json::Number(value))
    }

    fn string(&mut self) -> Result<String> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(c) = rest.chars().next() else {
                let token = self.text[start..].to_owned();
                self.at = start;
                return Err(self.error(format!("Token \"{token}\" is invalid.")));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => self.escape(&mut out)?,
                c if (c as u32) < 0x20 => {
                    let error =
                        self.error(format!("Character with value 0x{:02x} must be escaped.", c as u32));
                    return Err(error);
                }
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<()> {
        let Some(c) = self.text[self.at..].chars().next() else {
            return Err(self.error("The input string ended unexpectedly.".to_owned()));
        };
        self.at += c.len_utf8();
        out.push(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(out),
            c => return Err(self.error(format!("Escape sequence \"\\{c}\" is invalid."))),
        });
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            return Err(self.error("\"\\u\" must be followed by four hexadecimal digits.".to_owned()));
        };
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| SqlError::internal("four hexadecimal digits"))
    }

    fn unicode(&mut self, out: &mut String) -> Result<()> {
        let high = self.hex4()?;
        let code = match high {
            0xd800..=0xdbff => {
                let low = if self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    self.hex4()?
                } else {
                    0
                };
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.error("Unicode low surrogate must follow a high surrogate.".to_owned()));
                }
                0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
            }
            0xdc00..=0xdfff => {
                return Err(self.error("Unicode low surrogate must follow a high surrogate.".to_owned()));
            }
            code => code,
        };
        // `\u0000` is valid json; jsonb refuses it when it stores the string.
        out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
        Ok(())
    }
}

/// Bytes of a quoted string at the start, up to the end where it is not closed.
fn string_width(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Bytes of a JSON number at the start.
fn number_width(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let part = digits(at + 1);
        if part == 0 {
            return None;
        }
        at += 1 + part;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let part = digits(at + 1 + sign);
        if part == 0 {
            return None;
        }
        at += 1 + sign + part;
    }
    Some(at)
}

/// Appends a string in JSON's quotes.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if (c as u32) < 0x20 => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
