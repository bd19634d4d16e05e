//! A template's text as nodes: keywords with their prefixes and suffixes, and everything else.

/// How an ordinal suffix is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordinal {
    Upper,
    Lower,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Key {
        word: &'static str,
        fill: bool,
        localized: bool,
        ordinal: Option<Ordinal>,
    },
    /// Punctuation outside quotes: date templates match it loosely.
    Separator(char),
    Space(char),
    Literal(char),
}

/// Keywords of dates and times, longer before shorter. Only these spellings count.
const DATE_WORDS: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2",
    "FF3", "FF4", "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I",
    "J", "MI", "MM", "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS",
    "SS", "TZH", "TZM", "TZ", "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.", "ad", "am",
    "b.c.", "bc", "cc", "day", "ddd", "dd", "dy", "d", "ff1", "ff2", "ff3", "ff4", "ff5", "ff6", "fx",
    "hh24", "hh12", "hh", "iddd", "id", "iw", "iyyy", "iyy", "iy", "i", "j", "mi", "mm", "month", "mon",
    "ms", "of", "p.m.", "pm", "q", "rm", "sssss", "ssss", "ss", "tzh", "tzm", "tz", "us", "ww", "w", "y,yyy",
    "yyyy", "yyy", "yy", "y",
];

const NUMBER_WORDS: &[&str] = &[
    ",", ".", "0", "9", "B", "C", "D", "EEEE", "FM", "G", "L", "MI", "PL", "PR", "RN", "SG", "SP", "S", "TH",
    "V", "b", "c", "d", "eeee", "fm", "g", "l", "mi", "pl", "pr", "rn", "sg", "sp", "s", "th", "v",
];

/// A template of `to_char(timestamp)`, `to_date` and their like.
pub(super) fn date_template(text: &str) -> Vec<Node> {
    template(text, DATE_WORDS, true)
}

/// A template of `to_char(numeric)` and `to_number`.
pub(super) fn number_template(text: &str) -> Vec<Node> {
    template(text, NUMBER_WORDS, false)
}

fn template(text: &str, words: &[&'static str], dates: bool) -> Vec<Node> {
    let mut nodes = vec![];
    let mut rest = text;
    while !rest.is_empty() {
        let (mut fill, mut localized) = (false, false);
        if dates {
            if let Some(tail) = strip_either(rest, "FM", "fm") {
                (fill, rest) = (true, tail);
            } else if let Some(tail) = strip_either(rest, "TM", "tm") {
                (localized, rest) = (true, tail);
            }
        }
        if let Some(word) = words.iter().find(|word| rest.starts_with(**word)) {
            rest = &rest[word.len()..];
            let ordinal = if dates { take_suffix(&mut rest) } else { None };
            nodes.push(Node::Key { word, fill, localized, ordinal });
        } else if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted_text(quoted, &mut nodes);
        } else {
            if rest.starts_with("\\\"") {
                rest = &rest[1..];
            }
            let Some(c) = rest.chars().next() else { break };
            rest = &rest[c.len_utf8()..];
            nodes.push(match c {
                c if dates && c.is_ascii_punctuation() => Node::Separator(c),
                c if c.is_ascii_whitespace() || c == '\x0b' => Node::Space(c),
                c => Node::Literal(c),
            });
        }
    }
    nodes
}

fn strip_either<'t>(text: &'t str, upper: &str, lower: &str) -> Option<&'t str> {
    text.strip_prefix(upper).or_else(|| text.strip_prefix(lower))
}

/// `TH`, `th`, or `SP`, which PostgreSQL reads and ignores.
fn take_suffix(rest: &mut &str) -> Option<Ordinal> {
    for (suffix, ordinal) in [("TH", Some(Ordinal::Upper)), ("th", Some(Ordinal::Lower)), ("SP", None)] {
        if let Some(tail) = rest.strip_prefix(suffix) {
            *rest = tail;
            return ordinal;
        }
    }
    None
}

/// Reads up to the closing quote; a backslash takes the next character as it is.
fn quoted_text<'t>(text: &'t str, nodes: &mut Vec<Node>) -> &'t str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return &text[at + 1..],
            '\\' => nodes.push(Node::Literal(chars.next().map_or('\\', |(_, c)| c))),
            c => nodes.push(Node::Literal(c)),
        }
    }
    ""
}

/// The ordinal suffix of a number in decimal.
pub(super) fn ordinal_suffix(number: &str, ordinal: Ordinal) -> &'static str {
    let digits = number.as_bytes();
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let lower = match digits.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    };
    match (ordinal, lower) {
        (Ordinal::Lower, suffix) => suffix,
        (Ordinal::Upper, "st") => "ST",
        (Ordinal::Upper, "nd") => "ND",
        (Ordinal::Upper, "rd") => "RD",
        (Ordinal::Upper, _) => "TH",
    }
}
