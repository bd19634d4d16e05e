//! A simple statement without its literals: the key under which its plan is kept.
//!
//! Clients of the simple protocol send `… WHERE id = 17`, then `… WHERE id = 18`. Taking integer and
//! string literals out gives one text with parameters, planned once. A typed parameter means what the
//! literal meant: an integer literal is int4 or int8 by its size, a string literal is of unknown type.
//! Where that is not so (ordinals, type modifiers, casts, typed literals) the statement has no
//! fingerprint and takes the whole way; the lists below err on that side.

use crate::Oid;
use smol_str::SmolStr;

/// Longest text worth a look; longer statements are rarely repeated.
const LONGEST: usize = 4096;
/// Most literals of one statement.
const MOST_LITERALS: usize = 64;

/// Words after which a number or string is not a plain value, or which change what parameters mean.
const EXCLUDED: &[&str] = &[
    "all",
    "analyze",
    "any",
    "array",
    "as",
    "at",
    "between",
    "bit",
    "by",
    "case",
    "cast",
    "char",
    "character",
    "collate",
    "copy",
    "cube",
    "date",
    "dec",
    "decimal",
    "default",
    "distinct",
    "double",
    "escape",
    "except",
    "extract",
    "fetch",
    "float",
    "for",
    "from_hex",
    "group",
    "having",
    "ilike",
    "intersect",
    "interval",
    "join",
    "like",
    "national",
    "nchar",
    "null",
    "numeric",
    "on",
    "order",
    "over",
    "overlay",
    "partition",
    "position",
    "precision",
    "real",
    "recursive",
    "returning",
    "row",
    "similar",
    "some",
    "substring",
    "tablesample",
    "time",
    "timestamp",
    "timestamptz",
    "trim",
    "union",
    "using",
    "varchar",
    "varying",
    "window",
    "with",
    "within",
];

/// A literal taken out of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    Int4(i32),
    Int8(i64),
    /// A string of unknown type.
    Text(SmolStr),
}

impl Literal {
    /// The parameter's declared type; `Oid::NONE`: to be inferred.
    pub fn declared(&self) -> Oid {
        match self {
            Literal::Int4(_) => Oid::INT4,
            Literal::Int8(_) => Oid::INT8,
            Literal::Text(_) => Oid::NONE,
        }
    }
}

/// A statement with `$n` in the place of its literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The statement with parameters. The key of a plan is this text and the literals' types.
    pub text: String,
    pub literals: Vec<Literal>,
}

impl Fingerprint {
    /// The key of the plan: the text, then a letter for each literal's type.
    pub fn key(&self) -> String {
        let mut key = String::with_capacity(self.text.len() + 1 + self.literals.len());
        key.push_str(&self.text);
        key.push('\0');
        key.extend(self.literals.iter().map(|literal| match literal {
            Literal::Int4(_) => '4',
            Literal::Int8(_) => '8',
            Literal::Text(_) => 's',
        }));
        key
    }
}

/// The fingerprint of a single SELECT, INSERT, UPDATE or DELETE of the plain kind; `None` otherwise.
pub fn fingerprint(text: &str) -> Option<Fingerprint> {
    if text.len() > LONGEST {
        return None;
    }
    let mut scanner = Scanner { text, at: 0, out: String::with_capacity(text.len()), literals: vec![] };
    scanner.run()?;
    Some(Fingerprint { text: scanner.out, literals: scanner.literals })
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    out: String,
    literals: Vec<Literal>,
}

impl Scanner<'_> {
    fn run(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let mut first_word = true;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    let word = self.word();
                    if first_word
                        && !["select", "insert", "update", "delete"]
                            .iter()
                            .any(|w| word.eq_ignore_ascii_case(w))
                    {
                        return None;
                    }
                    first_word = false;
                    if is_excluded(word) || bytes.get(self.at) == Some(&b'\'') {
                        return None;
                    }
                }
                _ if first_word && !byte.is_ascii_whitespace() => return None,
                b'0'..=b'9' => self.number()?,
                b'\'' => self.string()?,
                b';' => return self.end(),
                // Quoted names, dollar quotes, parameters, casts, comments, other scripts.
                b'"' | b'$' | b':' | 0x80.. => return None,
                b'-' | b'/' if bytes.get(self.at + 1).is_some_and(|next| matches!(next, b'-' | b'*')) => {
                    return None;
                }
                _ => {
                    self.out.push(byte as char);
                    self.at += 1;
                }
            }
        }
        (!first_word).then_some(())
    }

    fn word(&mut self) -> &str {
        let rest = &self.text.as_bytes()[self.at..];
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let word = &self.text[self.at..self.at + len];
        self.at += len;
        self.out.push_str(word);
        word
    }

    fn number(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let follows = rest.get(len);
        if follows.is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'.' | b'_'))
            || self.out.ends_with('.')
        {
            return None;
        }
        let value: i64 = self.text[self.at..self.at + len].parse().ok()?;
        self.at += len;
        self.literal(i32::try_from(value).map_or(Literal::Int8(value), Literal::Int4))
    }

    fn string(&mut self) -> Option<()> {
        let rest = &self.text[self.at + 1..];
        let len = rest.find('\'')?;
        let value = &rest[..len];
        // A doubled quote, or a continuation on the next line.
        let after = rest[len + 1..].trim_start().as_bytes().first();
        if value.contains('\\') || after == Some(&b'\'') {
            return None;
        }
        self.at += len + 2;
        self.literal(Literal::Text(SmolStr::new(value)))
    }

    fn literal(&mut self, literal: Literal) -> Option<()> {
        if self.literals.len() == MOST_LITERALS {
            return None;
        }
        self.literals.push(literal);
        self.out.push('$');
        self.out.push_str(&self.literals.len().to_string());
        Some(())
    }

    /// A semicolon: only white space may follow.
    fn end(&mut self) -> Option<()> {
        self.text[self.at + 1..].trim().is_empty().then_some(())
    }
}

fn is_excluded(word: &str) -> bool {
    let longest = 12;
    if word.len() > longest {
        return false;
    }
    let mut lower = [0u8; 12];
    for (to, from) in lower.iter_mut().zip(word.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    let lower = std::str::from_utf8(&lower[..word.len()]).unwrap_or_default();
    EXCLUDED.binary_search(&lower).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(text: &str) -> Option<(String, Vec<Literal>)> {
        fingerprint(text).map(|f| (f.text, f.literals))
    }

    #[test]
    fn literals_become_parameters() {
        let (text, literals) = print("UPDATE t SET a = a + -5 WHERE id = 3000000000 AND s = 'x y';").unwrap();
        assert_eq!(text, "UPDATE t SET a = a + -$1 WHERE id = $2 AND s = $3");
        assert_eq!(literals, [Literal::Int4(5), Literal::Int8(3_000_000_000), Literal::Text("x y".into())]);
        assert!(print("insert into t1 (a2) values (7, '')").is_some());
    }

    #[test]
    fn types_are_part_of_the_key() {
        let key = |text| fingerprint(text).unwrap().key();
        assert_eq!(key("select f(1)"), key("select f(2)"));
        assert_ne!(key("select f(1)"), key("select f(3000000000)"));
        assert_ne!(key("select f(1)"), key("select f('1')"));
    }

    #[test]
    fn what_is_not_plain_has_none() {
        for text in [
            "select a from t order by 1",
            "select 1::text",
            "select E'x'",
            "select 'it''s'",
            "select 'a\\b'",
            "select 1.5",
            "select 1e3",
            "select $1",
            "select date '2020-01-01'",
            "select 1; select 2",
            "select 1 -- c",
            "select /* c */ 1",
            "create table t (a varchar(10))",
            "begin",
            "",
            "select \"a\" from t where x = 1",
            "select 99999999999999999999",
            "select a1b from t where f = B'1'",
            "select 'ä'",
        ] {
            let found = print(text);
            let harmless = text == "select 'ä'" && found.is_some();
            assert!(found.is_none() || harmless, "{text}: {found:?}");
        }
    }

    #[test]
    fn the_excluded_words_are_sorted_and_fit() {
        assert!(EXCLUDED.is_sorted());
        assert!(EXCLUDED.iter().all(|w| w.len() <= 12));
    }
}
