//! The parser against PostgreSQL's own grammar: both accept or both reject, errors worded alike.
//!
//! `grammar/*.verdicts` hold what the real grammar says; `make grammar-verdicts` writes them again.

/// Statements of every kind, one a line; `#` starts a comment line, `!known ` marks a difference that
/// is known and listed in docs/limits.md.
const STATEMENTS: &str = include_str!("grammar/statements.sql");
const VERDICTS: &str = include_str!("grammar/statements.verdicts");
const ERRORS: &str = include_str!("grammar/errors.sql");
const ERROR_VERDICTS: &str = include_str!("grammar/errors.verdicts");

/// Statement lines beside their verdicts; both files must be of the same making.
fn judged(statements: &'static str, verdicts: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines = statements.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let pairs: Vec<_> = lines.zip(verdicts.lines()).collect();
    assert_eq!(pairs.len(), verdicts.lines().count(), "run `make grammar-verdicts`");
    for (line, verdict) in &pairs {
        assert!(
            verdict.ends_with(line.strip_prefix("!known ").unwrap_or(line)),
            "run `make grammar-verdicts`"
        );
    }
    pairs
}

fn verdict_of(line: &str) -> &str {
    line.split('\t').next().unwrap_or_default()
}

#[test]
fn accepts_what_the_grammar_accepts() {
    let mut differing = Vec::new();
    for (line, verdict) in judged(STATEMENTS, VERDICTS) {
        let (expect_known, text) = match line.strip_prefix("!known ") {
            Some(text) => (true, text),
            None => (false, line),
        };
        let theirs = verdict_of(verdict);
        let ours = sql::parse::parse(text).map(drop).map_err(|e| e.to_string());
        if ((theirs == "ok") != ours.is_ok()) != expect_known {
            differing.push(format!("{text}\n  grammar: {theirs}\n  ours:    {ours:?}"));
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

/// Both must reject with the same message and place.
#[test]
fn words_syntax_errors_alike() {
    let mut differing = Vec::new();
    for (text, verdict) in judged(ERRORS, ERROR_VERDICTS) {
        let theirs = verdict_of(verdict);
        let ours = sql::parse::parse(text).map(drop).map_err(|e| e.to_string());
        match &ours {
            Err(ours) if theirs != "ok" && theirs.ends_with(ours.as_str()) => {}
            _ => differing.push(format!("{text}\n  grammar: {theirs}\n  ours:    {ours:?}")),
        }
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

#[test]
fn two_hundred_levels_answer_and_deep_ones_are_refused() {
    let nested = |n: usize| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(sql::parse::parse(&nested(200)).map(|s| s.len()).unwrap_or(0), 1);
    let queries = |n: usize| format!("SELECT 1 FROM {}SELECT 1{}", "(".repeat(n), ") t".repeat(n));
    assert!(sql::parse::parse(&queries(1)).is_ok());
    let refused = sql::parse::parse(&nested(20_000)).expect_err("too deep");
    assert_eq!(refused.code(), sql::SqlState::STATEMENT_TOO_COMPLEX);
}

#[test]
fn statements_know_their_place() {
    let text = " select 1 ; /* a ; b */ select ';', $$;$$ ; -- end ;\n";
    let statements = sql::parse::parse(text).expect("valid");
    let parts: Vec<&str> = statements.iter().map(|s| &text[s.range.clone()]).collect();
    assert_eq!(parts, ["select 1", "select ';', $$;$$"]);
    assert!(sql::parse::parse(" ; -- nothing\n;").expect("valid").is_empty());
}
