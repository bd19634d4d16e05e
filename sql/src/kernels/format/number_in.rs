//! `to_number`: a number read by template, node by node as PostgreSQL does.

use super::number::Shape;
use super::pattern::{Node, number_template};
use crate::kernels::{CallContext, args};
use crate::types::{Datum, Numeric};
use crate::{Result, SqlError};

pub(super) fn to_number(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (text, template) = (args::text(&args[0])?, args::text(&args[1])?);
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let nodes = number_template(template);
    let shape = Shape::of(&nodes)?;
    for (used, word) in [(shape.exponent, "EEEE"), (shape.roman, "RN")] {
        if used {
            return Err(SqlError::not_built(format!("\"{word}\" for input")));
        }
    }
    let multi = shape.multi;
    let mut reader = Reader { shape, rest: text, sign: ' ', number: String::new(), after: 0, point: false };
    reader.read(&nodes);
    let number = reader.number.strip_suffix('.').unwrap_or(&reader.number);
    let value = Numeric::parse(&format!("{}{number}", reader.sign))?;
    if multi == 0 {
        return Ok(Datum::Numeric(value));
    }
    Ok(Datum::Numeric(value.mul(&Numeric::from_i64(10).power(&Numeric::from_i64(-(multi as i64)))?)?))
}

struct Reader<'t> {
    shape: Shape,
    rest: &'t str,
    /// A blank until one has been read.
    sign: char,
    number: String,
    /// Digits read behind the point.
    after: usize,
    point: bool,
}

impl Reader<'_> {
    fn read(&mut self, nodes: &[Node]) {
        for node in nodes {
            if self.rest.is_empty() {
                return;
            }
            // A node that matched takes its last character here.
            let matched = match node {
                Node::Key { word, .. } => self.key(word),
                _ => true,
            };
            if matched {
                self.skip();
            }
        }
    }

    fn next(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    fn key(&mut self, word: &str) -> bool {
        match word {
            "9" | "0" | "." | "D" | "d" => {
                self.position(word);
                true
            }
            "," | "G" | "g" => self.next() == Some(','),
            "MI" | "mi" => self.sign_or_eat("-"),
            "PL" | "pl" => self.sign_or_eat("+"),
            "SG" | "sg" => self.sign_or_eat("+-"),
            "L" | "l" => self.eat(1),
            "TH" | "th" => self.eat(2),
            _ => false,
        }
    }

    fn sign_or_eat(&mut self, signs: &str) -> bool {
        match self.next() {
            Some(c) if signs.contains(c) => {
                self.sign = c;
                true
            }
            _ => self.eat(1),
        }
    }

    /// Skips characters that cannot be part of a number.
    fn eat(&mut self, count: usize) -> bool {
        for _ in 0..count {
            if self.next().is_none_or(|c| "0123456789.,+-".contains(c)) {
                break;
            }
            self.skip();
        }
        false
    }

    /// A digit position: a sign before it, the digit or the point, a sign behind it.
    fn position(&mut self, word: &str) {
        if self.next() == Some(' ') {
            self.skip();
        }
        if self.sign == ' ' && matches!(word, "0" | "9") && !self.has_digits() {
            self.sign_before();
        }
        let mut read = false;
        match self.next() {
            Some(c) if c.is_ascii_digit() => {
                if self.point && self.after == self.shape.post {
                    return;
                }
                self.number.push(c);
                self.after += usize::from(self.point);
                read = true;
            }
            Some('.') if self.shape.decimal && !self.point => {
                self.number.push('.');
                self.point = true;
                read = true;
            }
            _ => {}
        }
        if self.sign == ' ' && self.has_digits() {
            self.sign_behind(read);
        }
    }

    fn has_digits(&self) -> bool {
        self.number.bytes().any(|b| b.is_ascii_digit())
    }

    fn sign_before(&mut self) {
        match self.next() {
            Some('-') => self.sign = '-',
            Some('<') if self.shape.bracket => self.sign = '-',
            Some('+') => self.sign = '+',
            _ => return,
        }
        self.skip();
    }

    fn sign_behind(&mut self, read: bool) {
        if self.shape.signed && read {
            let mut behind = self.rest.chars().skip(1);
            if let Some(sign @ ('-' | '+')) = behind.next() {
                self.sign = sign;
                self.skip();
            }
        } else if !read
            && (self.shape.plus || self.shape.minus)
            && let Some(sign @ ('-' | '+')) = self.next()
        {
            self.sign = sign;
        }
    }
}
