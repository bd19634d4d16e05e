//! Numbers by template: the template is summed up in `Shape`, then its nodes are printed one by one
//! over the number's decimal digits, as PostgreSQL's `NUM_processor` does.

use super::pattern::{Node, Ordinal, number_template, ordinal_suffix};
use crate::kernels::{CallContext, args};
use crate::types::{Datum, Numeric};
use crate::{Result, SqlError, SqlState};

/// Where `S` puts the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignPlace {
    Before,
    After,
}

/// What the template's keywords say together.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// Digits before and after the point.
    pub(super) pre: usize,
    pub(super) post: usize,
    sign: Option<SignPlace>,
    /// Digits before the `S` that stands before.
    digits_before_sign: usize,
    /// Digits behind `V`.
    pub(super) multi: usize,
    zero_start: usize,
    zero_end: usize,
    pub(super) decimal: bool,
    zero: bool,
    blank: bool,
    fill: bool,
    /// `S`; `PR`; `MI`; `PL`.
    pub(super) signed: bool,
    pub(super) bracket: bool,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) roman: bool,
    pub(super) multiplied: bool,
    pub(super) exponent: bool,
}

fn syntax(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

/// Answers an error when the condition holds.
fn refuse(condition: bool, message: &str) -> Result<()> {
    if condition { Err(syntax(message)) } else { Ok(()) }
}

impl Shape {
    pub(super) fn of(nodes: &[Node]) -> Result<Shape> {
        let mut shape = Shape::default();
        for node in nodes {
            if let Node::Key { word, .. } = node {
                shape.add(&word.to_ascii_uppercase())?;
            }
        }
        Ok(shape)
    }

    /// A flat match over the keywords.
    fn add(&mut self, word: &str) -> Result<()> {
        refuse(self.exponent && word != "EEEE", "\"EEEE\" must be the last pattern used")?;
        match word {
            "9" => {
                refuse(self.bracket, "\"9\" must be ahead of \"PR\"")?;
                self.digit();
            }
            "0" => {
                refuse(self.bracket, "\"0\" must be ahead of \"PR\"")?;
                if !self.zero && !self.decimal {
                    self.zero = true;
                    self.zero_start = self.pre + 1;
                }
                if self.decimal {
                    self.post += 1
                } else {
                    self.pre += 1
                }
                self.zero_end = self.pre + self.post;
            }
            "B" => self.blank |= self.pre == 0 && self.post == 0 && !self.zero,
            "." | "D" => {
                refuse(self.decimal, "multiple decimal points")?;
                refuse(self.multiplied, "cannot use \"V\" and decimal point together")?;
                self.decimal = true;
            }
            "FM" => self.fill = true,
            "S" => self.add_sign()?,
            "MI" => {
                refuse(self.signed, "cannot use \"S\" and \"MI\" together")?;
                self.minus = true;
            }
            "PL" => {
                refuse(self.signed, "cannot use \"S\" and \"PL\" together")?;
                self.plus = true;
            }
            "SG" => {
                refuse(self.signed, "cannot use \"S\" and \"SG\" together")?;
                (self.minus, self.plus) = (true, true);
            }
            "PR" => {
                let other = self.signed || self.plus || self.minus;
                refuse(other, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together")?;
                self.bracket = true;
            }
            "RN" => self.roman = true,
            "V" => {
                refuse(self.decimal, "cannot use \"V\" and decimal point together")?;
                self.multiplied = true;
            }
            "EEEE" => self.add_exponent()?,
            _ => {}
        }
        Ok(())
    }

    fn digit(&mut self) {
        match (self.multiplied, self.decimal) {
            (true, _) => self.multi += 1,
            (_, true) => self.post += 1,
            _ => self.pre += 1,
        }
    }

    fn add_sign(&mut self) -> Result<()> {
        refuse(self.signed, "cannot use \"S\" twice")?;
        let other = self.plus || self.minus || self.bracket;
        refuse(other, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together")?;
        self.signed = true;
        self.sign = Some(if self.decimal { SignPlace::After } else { SignPlace::Before });
        self.digits_before_sign = self.pre;
        Ok(())
    }

    fn add_exponent(&mut self) -> Result<()> {
        refuse(self.exponent, "cannot use \"EEEE\" twice")?;
        let signs = self.signed || self.bracket || self.minus || self.plus;
        if signs || self.blank || self.fill || self.roman || self.multiplied {
            return Err(syntax("\"EEEE\" is incompatible with other formats")
                .with_detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
        }
        self.exponent = true;
        Ok(())
    }

    /// What stands for a number that has no scientific form: not a number, infinite.
    fn hashes_exponent(&self) -> String {
        let (pre, post) = (self.pre, self.post);
        format!(" {}.{}", "#".repeat(pre), "#".repeat((post + 4).max(1)))
    }
}

pub(super) fn integer_to_char(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let value = Numeric::from_i64(args::integer(&args[0])?);
    print_numeric(&value, args::text(&args[1])?)
}

pub(super) fn numeric_to_char(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    print_numeric(args::numeric(&args[0])?, args::text(&args[1])?)
}

fn print_numeric(value: &Numeric, template: &str) -> Result<Datum> {
    let nodes = number_template(template);
    let mut shape = Shape::of(&nodes)?;
    if shape.roman {
        let whole = value.round(0).to_i64();
        let overflow = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
        let whole = whole.and_then(|v| i32::try_from(v).ok()).ok_or_else(overflow)?;
        return Ok(Printer::new(&nodes, shape, &roman(whole), '+', 0).print());
    }
    if shape.exponent {
        let text = if value.is_finite() { scientific(value, shape.post) } else { shape.hashes_exponent() };
        return Ok(Datum::text(text));
    }
    let mut value = value.clone();
    if shape.multiplied {
        value = value.mul(&Numeric::parse(&format!("1e{}", shape.multi))?)?;
        shape.pre += shape.multi;
    }
    let text = value.round(shape.post as i32).to_string();
    Ok(print_digits(&nodes, shape, &text))
}

pub(super) fn float4_to_char(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    print_float(f64::from(args::float4(&args[0])?), 6, args::text(&args[1])?)
}

pub(super) fn float8_to_char(_: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    print_float(args::float8(&args[0])?, 15, args::text(&args[1])?)
}

/// `precise`: decimal digits that the type keeps.
fn print_float(value: f64, precise: usize, template: &str) -> Result<Datum> {
    let nodes = number_template(template);
    let mut shape = Shape::of(&nodes)?;
    if shape.roman {
        return Ok(Printer::new(&nodes, shape, &roman(value.round_ties_even() as i32), '+', 0).print());
    }
    if shape.exponent {
        let text =
            if value.is_finite() { scientific_float(value, shape.post) } else { shape.hashes_exponent() };
        return Ok(Datum::text(text));
    }
    let mut value = value;
    if shape.multiplied {
        value *= 10f64.powi(shape.multi as i32);
        shape.pre += shape.multi;
    }
    if !value.is_finite() {
        let word = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return Ok(print_digits(&nodes, shape, word));
    }
    let whole = format!("{:.0}", value.abs()).len();
    shape.post = shape.post.min(precise.saturating_sub(whole));
    let text = format!("{value:.post$}", post = shape.post);
    Ok(print_digits(&nodes, shape, &text))
}

/// Mantissa and exponent of at least two digits, a blank in place of a plus sign.
fn scientific_float(value: f64, post: usize) -> String {
    let text = format!("{value:.post$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = match exponent.strip_prefix('-') {
        Some(size) => ('-', size),
        None => ('+', exponent),
    };
    let blank = if mantissa.starts_with('-') { "" } else { " " };
    format!("{blank}{mantissa}e{sign}{size:0>2}")
}

fn scientific(value: &Numeric, post: usize) -> String {
    let text = value.to_string();
    let (blank, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => (" ", &text[..]),
    };
    let point = digits.find('.').unwrap_or(digits.len()) as i32;
    let plain: String = digits.chars().filter(|c| *c != '.').collect();
    let Some(first) = plain.find(|c| c != '0') else {
        let zeros = if post > 0 { format!(".{}", "0".repeat(post)) } else { String::new() };
        return format!("{blank}0{zeros}e+00");
    };
    let exponent = point - 1 - first as i32;
    let significant = plain[first..].trim_end_matches('0');
    // After a carry PostgreSQL 15 leaves the exponent and prints a mantissa of 10.
    let rounded = round_digits(significant, post + 1);
    let (whole, fraction) = rounded.split_at(rounded.len() - post);
    let point = if post > 0 { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{blank}{whole}{point}{fraction}e{sign}{:02}", exponent.abs())
}

/// Decimal digits cut or filled to `keep`, half away from zero; one more after a carry.
fn round_digits(digits: &str, keep: usize) -> String {
    if digits.len() <= keep {
        return format!("{digits:0<keep$}");
    }
    let mut kept: Vec<u8> = digits.as_bytes()[..keep].to_vec();
    if digits.as_bytes()[keep] >= b'5' {
        let nines = kept.iter().rev().take_while(|d| **d == b'9').count();
        let at = keep - nines;
        kept[at..].fill(b'0');
        match at {
            0 => kept.insert(0, b'1'),
            at => kept[at - 1] += 1,
        }
    }
    kept.into_iter().map(char::from).collect()
}

/// Roman numerals; 15 hashes outside of 1 to 3999.
fn roman(value: i32) -> String {
    const STEPS: [(i32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..=3999).contains(&value) {
        return "#".repeat(15);
    }
    let (mut left, mut out) = (value, String::new());
    for (size, letters) in STEPS {
        while left >= size {
            left -= size;
            out.push_str(letters);
        }
    }
    out
}

/// Prints a number in decimal; hashes when it has more digits than the template.
fn print_digits(nodes: &[Node], shape: Shape, text: &str) -> Datum {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', text),
    };
    let whole = digits.find('.').unwrap_or(digits.len());
    if whole > shape.pre {
        let hashes = format!("{}.{}", "#".repeat(shape.pre), "#".repeat(shape.post));
        return Printer::new(nodes, shape, &hashes, sign, 0).print();
    }
    let spaces = shape.pre - whole;
    Printer::new(nodes, shape, digits, sign, spaces).print()
}

/// One pass over the template. The names follow PostgreSQL's `NUMProc`.
struct Printer<'a> {
    nodes: &'a [Node],
    shape: Shape,
    number: &'a [u8],
    /// Next digit of `number`.
    at: usize,
    sign: char,
    sign_written: bool,
    /// Digit positions before the number's first.
    spaces: usize,
    /// The digit position in work, and the last one.
    current: usize,
    count: usize,
    /// A digit has been written: separators count from here on.
    inside: bool,
    /// With FM: the last digit behind the point that is not a trailing zero.
    last_relevant: Option<usize>,
    out: String,
}

impl<'a> Printer<'a> {
    fn new(nodes: &'a [Node], mut shape: Shape, number: &'a str, sign: char, spaces: usize) -> Printer<'a> {
        if shape.zero_start > 0 {
            shape.zero_start -= 1;
        }
        if shape.roman {
            shape = Shape { fill: shape.fill, roman: true, ..Shape::default() };
        }
        let mut sign_written = false;
        if shape.plus || shape.minus {
            sign_written = !shape.plus || shape.minus;
        } else {
            if sign != '-' && shape.fill {
                shape.bracket = false;
            }
            sign_written |= sign == '+' && shape.fill && !shape.signed;
            if shape.sign == Some(SignPlace::Before) && shape.pre == shape.digits_before_sign {
                shape.sign = Some(SignPlace::After);
            }
        }
        let mut count = (shape.post + shape.pre).saturating_sub(1);
        if !sign_written && spaces == 0 {
            count += 1;
        }
        let last_relevant = last_relevant(&shape, number, spaces);
        Printer {
            nodes,
            shape,
            number: number.as_bytes(),
            at: 0,
            sign,
            sign_written,
            spaces,
            current: 0,
            count,
            inside: false,
            last_relevant,
            out: String::new(),
        }
    }

    fn print(mut self) -> Datum {
        for node in self.nodes {
            match node {
                Node::Key { word, .. } => self.key(word),
                Node::Separator(c) | Node::Space(c) | Node::Literal(c) => self.out.push(*c),
            }
        }
        Datum::text(self.out)
    }

    fn key(&mut self, word: &str) {
        let fill = self.shape.fill;
        let blank = if fill { None } else { Some(' ') };
        match word {
            "9" | "0" | "." | "D" | "d" => self.position(word),
            "," | "G" | "g" => self.out.extend(if self.inside { Some(',') } else { blank }),
            "L" | "l" => self.out.push(' '),
            "RN" | "rn" => {
                let digits = String::from_utf8_lossy(self.number);
                let digits = if word == "rn" { digits.to_lowercase() } else { digits.into_owned() };
                let width = if fill { 0 } else { 15 };
                self.out.push_str(&format!("{digits:>width$}"));
            }
            "TH" => self.ordinal(Ordinal::Upper),
            "th" => self.ordinal(Ordinal::Lower),
            "MI" | "mi" => self.out.extend(if self.sign == '-' { Some('-') } else { blank }),
            "PL" | "pl" => self.out.extend(if self.sign == '+' { Some('+') } else { blank }),
            "SG" | "sg" => self.out.push(self.sign),
            _ => {}
        }
    }

    fn ordinal(&mut self, ordinal: Ordinal) {
        if self.shape.roman || self.number.first() == Some(&b'#') || self.sign == '-' || self.shape.decimal {
            return;
        }
        self.out.push_str(ordinal_suffix(&String::from_utf8_lossy(self.number), ordinal));
    }

    /// Whether the zero before the point gives way to a blank: `9.9` prints 0.1 as ` .1`.
    fn drops_zero(&self) -> bool {
        !self.shape.zero && self.at == 0 && self.number.first() == Some(&b'0') && self.shape.post != 0
    }

    /// Whether FM has left nothing behind the point.
    fn ends_at_point(&self) -> bool {
        self.last_relevant.is_some_and(|at| self.number[at] == b'.')
    }

    /// One digit position, or the point.
    fn position(&mut self, word: &str) {
        if self.shape.roman {
            return;
        }
        let zeros = self.shape.zero && self.shape.zero_start <= self.current;
        self.inside = false;
        self.leading_sign();
        if self.current < self.spaces && !zeros {
            if !self.shape.fill {
                self.out.push(' ');
            }
        } else if self.current < self.spaces {
            self.out.push('0');
            self.inside = true;
        } else {
            self.digit(word);
        }
        let mut end = self.count + usize::from(self.spaces > 0) + usize::from(self.shape.decimal);
        if self.last_relevant.is_some_and(|at| at == self.at) {
            end = self.current;
        }
        if self.current + 1 == end {
            self.trailing_sign();
        }
        self.current += 1;
    }

    fn leading_sign(&mut self) {
        let starts =
            self.current >= self.spaces || (self.shape.zero && self.shape.zero_start == self.current);
        if self.sign_written || !starts || (self.drops_zero() && !self.ends_at_point()) {
            return;
        }
        if self.shape.signed {
            if self.shape.sign == Some(SignPlace::Before) {
                self.out.push(self.sign);
                self.sign_written = true;
            }
        } else if self.shape.bracket {
            self.out.push(if self.sign == '+' { ' ' } else { '<' });
            self.sign_written = true;
        } else {
            if self.sign == '-' {
                self.out.push('-');
            } else if !self.shape.fill {
                self.out.push(' ');
            }
            self.sign_written = true;
        }
    }

    fn trailing_sign(&mut self) {
        if self.sign_written && self.shape.bracket {
            self.out.push(if self.sign == '+' { ' ' } else { '>' });
        } else if self.shape.signed && self.shape.sign == Some(SignPlace::After) {
            self.out.push(self.sign);
        }
    }

    fn digit(&mut self, word: &str) {
        let Some(digit) = self.number.get(self.at).copied() else { return };
        if digit == b'.' {
            if !self.ends_at_point() || self.shape.fill {
                self.out.push('.');
            }
        } else if self.last_relevant.is_some_and(|last| self.at > last) && word != "0" {
            // A trailing zero that FM takes away.
        } else if self.drops_zero() {
            if !self.shape.fill {
                self.out.push(' ');
            } else if self.ends_at_point() {
                self.out.push('0');
            }
        } else {
            self.out.push(char::from(digit));
            self.inside = true;
        }
        self.at += 1;
    }
}

/// The last digit that FM keeps: those under a `0` of the template stay.
fn last_relevant(shape: &Shape, number: &str, spaces: usize) -> Option<usize> {
    if !shape.fill || !shape.decimal {
        return None;
    }
    let point = number.find('.')?;
    let digits = &number.as_bytes()[point + 1..];
    let last = digits.iter().rposition(|d| *d != b'0').map_or(point, |at| point + 1 + at);
    if shape.zero_end <= spaces {
        return Some(last);
    }
    Some(last.max((number.len() - 1).min(shape.zero_end - spaces)))
}
