//! `grammar-judge FILE…`: for each statement line of the files, prints `ok` or PostgreSQL's syntax
//! error, tab, the statement. The output is the golden file of `sql/tests/parse_grammar.rs`.

fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let statement = line.strip_prefix("!known ").unwrap_or(line);
            let verdict = match pg_query::parse(statement, pg_query::ParserOptions::default()) {
                Ok(_) => "ok".to_owned(),
                Err(error) => error.to_string().replace(['\t', '\n'], " "),
            };
            println!("{verdict}\t{statement}");
        }
    }
}
