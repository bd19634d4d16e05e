//! The compiled-in TSV files: a header line of column names, then rows in COPY's text format
//! (`\N` null, backslash escapes).

use std::borrow::Cow;

/// A catalog as its file: column names, then one line a row.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    header: &'static str,
    body: &'static str,
}

macro_rules! catalogs {
    ($($name:literal),* $(,)?) => {
        /// The rows of a built-in catalog as PostgreSQL 15's initdb leaves them; `None` when the
        /// registry holds no such file.
        pub fn catalog(name: &str) -> Option<Table> {
            match name {
                $($name => Some(Table::new(include_str!(concat!("data/", $name, ".tsv")))),)*
                _ => None,
            }
        }
    };
}

catalogs!(
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attribute",
    "pg_authid",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_description",
    "pg_index",
    "pg_language",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_proc",
    "pg_range",
    "pg_settings",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
);

impl Table {
    fn new(text: &'static str) -> Table {
        let (header, body) = text.split_once('\n').unwrap_or((text, ""));
        Table { header, body }
    }

    /// The column names, in order.
    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.header.split('\t')
    }

    /// The position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns().position(|column| column == name)
    }

    /// The rows, in file order.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.body.lines().map(|line| Row(line.split('\t').collect()))
    }
}

/// One row: the fields still in COPY's escapes.
#[derive(Clone, Debug)]
pub struct Row(Vec<&'static str>);

impl Row {
    /// A field's text; `None` for null or a column the file does not have.
    pub fn get(&self, column: usize) -> Option<Cow<'static, str>> {
        self.0.get(column).filter(|field| **field != "\\N").map(|field| unescape(field))
    }
}

/// COPY's text escapes, of those that COPY TO writes.
fn unescape(field: &'static str) -> Cow<'static, str> {
    if !field.contains('\\') {
        return Cow::Borrowed(field);
    }
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_copy_escapes_and_nulls() {
        assert_eq!(unescape("a\\tb\\\\n"), "a\tb\\n");
        let types = catalog("pg_type").unwrap();
        let row = types.rows().next().unwrap();
        assert_eq!(row.get(types.column("typname").unwrap()).as_deref(), Some("bool"));
        assert_eq!(row.get(types.column("typacl").unwrap()), None);
        assert!(catalog("pg_nothing").is_none());
    }
}
