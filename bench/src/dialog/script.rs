//! The language of the cases. A line is a step; fields are separated by `|`; `\n`, `\t`, `\\` and `\0` are escapes.
//!
//! ```text
//! == name of the case
//! Query|select 1                              Parse|name|sql|oid,oid       Bind|portal|statement|formats|values|formats
//! Describe|S or P|name                        Close|S or P|name            Execute|portal|rows (0 all)
//! Sync   Flush   Terminate                    CopyData|text   CopyDone     CopyFail|reason     Raw|hex bytes
//! Parameters|n      Parse and Bind a statement with n parameters
//! Cancel            CancelRequest for this connection, on another socket
//! On|name           go on with another connection (made at its first use); the first is `a`
//! Wait              read up to ReadyForQuery     Until|tag   read up to this message
//! Quiet             read until nothing has come for a moment
//! ```
//! `\N` alone among the values of Bind is NULL; values are separated by `;`.

use sqllogic::wire::frontend;

/// One conversation.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name, unique in its file.
    pub name: String,
    /// What is done, with the line as it stands in the file.
    pub steps: Vec<(String, Step)>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Read up to a message of this type, or the end of the connection.
    Until(u8),
    /// Read until nothing comes.
    Quiet,
    /// Cancel what this connection does.
    Cancel,
    /// Use this connection from now on.
    On(String),
}

/// Parses a file of cases; an error names the line.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            cases.push(Case { name: name.to_owned(), steps: Vec::new() });
            continue;
        }
        let step = step(line).ok_or_else(|| format!("line {}: {line}", number + 1))?;
        let case =
            cases.last_mut().ok_or_else(|| format!("line {}: a step before the first case", number + 1))?;
        case.steps.push((line.to_owned(), step));
    }
    Ok(cases)
}

fn step(line: &str) -> Option<Step> {
    let fields: Vec<String> = line.split('|').map(unescape).collect();
    let field = |at: usize| fields.get(at).map_or("", String::as_str);
    let kind = |at: usize| field(at).bytes().next();
    let send = |bytes| Some(Step::Send(bytes));
    match field(0) {
        "Query" => send(frontend::query(&unescape(line.split_once('|')?.1))),
        "Parse" => send(frontend::parse(field(1), field(2), &numbers(field(3))?)),
        "Bind" => bind(&line.split('|').collect::<Vec<_>>()),
        "Describe" => send(frontend::describe(kind(1)?, field(2))),
        "Close" => send(frontend::close(kind(1)?, field(2))),
        "Execute" => send(frontend::execute(field(1), field(2).parse().ok()?)),
        "Sync" => send(frontend::sync()),
        "Flush" => send(frontend::flush()),
        "Terminate" => send(frontend::terminate()),
        "CopyData" => send(frontend::copy_data(field(1).as_bytes())),
        "CopyDone" => send(frontend::copy_done()),
        "CopyFail" => send(frontend::copy_fail(field(1))),
        "Raw" => send(hex(field(1))?),
        "Parameters" => send(parameters(field(1).parse().ok()?)),
        "Cancel" => Some(Step::Cancel),
        "On" => Some(Step::On(field(1).to_owned())),
        "Wait" => Some(Step::Until(b'Z')),
        "Until" => Some(Step::Until(kind(1)?)),
        "Quiet" => Some(Step::Quiet),
        _ => None,
    }
}

fn bind(fields: &[&str]) -> Option<Step> {
    let field = |at: usize| fields.get(at).copied().unwrap_or("");
    let values: Vec<Option<String>> = match field(4) {
        "" => Vec::new(),
        list => list.split(';').map(|value| (value != "\\N").then(|| unescape(value))).collect(),
    };
    let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
    let (formats, results) = (numbers(field(3))?, numbers(field(5))?);
    Some(Step::Send(frontend::bind(field(1), field(2), &formats, &values, &results)))
}

/// `select $n` with n values, all but the last unused.
fn parameters(count: usize) -> Vec<u8> {
    let oids = vec![23; count];
    let values = vec![Some("7"); count];
    let mut out = frontend::parse("", &format!("select ${}", count.clamp(1, 65_535)), &oids);
    out.extend(frontend::bind("", "", &[], &values, &[]));
    out.extend(frontend::execute("", 0));
    out
}

fn numbers<N: std::str::FromStr>(list: &str) -> Option<Vec<N>> {
    list.split(',').filter(|number| !number.is_empty()).map(|number| number.parse().ok()).collect()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (letter, false) => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(parse("== x\nQuery|select 1\nWhat|ever").err(), Some("line 3: What|ever".into()));
        let cases = parse("# note\n== x\nQuery|select 'a|b'\nWait\n").expect("good");
        assert_eq!(cases[0].steps[0].1, Step::Send(frontend::query("select 'a|b'")));
        assert_eq!(cases[0].steps[1].1, Step::Until(b'Z'));
    }
}
