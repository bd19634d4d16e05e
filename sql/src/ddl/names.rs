//! Names in DDL: folding, qualification, and names that PostgreSQL makes up.

use crate::catalog::{CatalogSnapshot, Descriptor, TableDescriptor};
use crate::exec::ExecContext;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use std::sync::Arc;

/// Bytes of an identifier that count (NAMEDATALEN - 1).
const LONGEST: usize = 63;

/// An identifier as PostgreSQL reads it: folded unless quoted, cut to 63 bytes.
pub(super) fn fold(ident: &Ident) -> String {
    let mut name = match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    cut(&mut name, LONGEST);
    name
}

fn cut(name: &mut String, longest: usize) {
    let mut end = longest.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
}

/// The folded parts of a possibly qualified name.
pub(super) fn parts(name: &ObjectName) -> Result<Vec<String>> {
    let ident = |part: &ObjectNamePart| match part {
        ObjectNamePart::Identifier(ident) => Ok(fold(ident)),
        ObjectNamePart::Function(_) => Err(SqlError::new(SqlState::SYNTAX_ERROR, "syntax error in a name")),
    };
    name.0.iter().map(ident).collect()
}

/// Schema (if given) and name; a database in front must be the current one.
fn qualified(name: &ObjectName, cx: &ExecContext<'_>) -> Result<(Option<String>, String)> {
    let mut parts = parts(name)?;
    let last = parts.pop().ok_or_else(|| SqlError::internal("empty name"))?;
    let schema = parts.pop();
    if let Some(database) = parts.pop()
        && (*database != *cx.info.database_name || !parts.is_empty())
    {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("cross-database references are not implemented: {name}"),
        ));
    }
    Ok((schema, last))
}

fn no_schema(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
}

/// Where a new object goes: the schema named, or the first of the search path.
pub(super) fn target(name: &ObjectName, cx: &ExecContext<'_>) -> Result<(Oid, String)> {
    let (schema, name) = qualified(name, cx)?;
    let catalog = cx.txn.catalog().snapshot();
    let oid = match schema {
        Some(schema) => catalog.schema(&schema).ok_or_else(|| no_schema(&schema))?,
        None => *cx.info.search_path.first().ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in")
        })?,
    };
    if oid == Oid::PG_CATALOG && !cx.info.superuser {
        return Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "permission denied for schema pg_catalog",
        ));
    }
    Ok((oid, name))
}

/// An existing relation by name, along the search path; `None`: there is none.
pub(super) fn find(name: &ObjectName, cx: &ExecContext<'_>) -> Result<Option<Arc<Descriptor>>> {
    let (schema, last) = qualified(name, cx)?;
    let catalog = cx.txn.catalog().snapshot();
    match schema {
        Some(schema) => {
            let oid = catalog.schema(&schema).ok_or_else(|| no_schema(&schema))?;
            Ok(catalog.relation(oid, &last).cloned())
        }
        None => Ok(cx.info.search_path.iter().find_map(|oid| catalog.relation(*oid, &last)).cloned()),
    }
}

/// An existing table, or 42P01 / 42809.
pub(super) fn table(name: &ObjectName, cx: &ExecContext<'_>) -> Result<TableDescriptor> {
    match find(name, cx)?.as_deref() {
        Some(Descriptor::Table(table)) => Ok(table.clone()),
        Some(other) => {
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a table", other.name())))
        }
        None => Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{}\" does not exist", display(name)),
        )),
    }
}

/// A name as error messages show it: unquoted, dotted.
pub(super) fn display(name: &ObjectName) -> String {
    parts(name).map_or_else(|_| name.to_string(), |parts| parts.join("."))
}

/// `table_columns_suffix` as PostgreSQL makes it, with a number when the name is taken.
pub(super) fn made_up(
    catalog: &CatalogSnapshot,
    schema: Oid,
    table: &str,
    columns: &[&str],
    suffix: &str,
    taken: impl Fn(&str) -> bool,
) -> String {
    let middle = columns.join("_");
    for n in 0.. {
        let suffix = if n == 0 { suffix.to_owned() } else { format!("{suffix}{n}") };
        let name = fit(table, &middle, &suffix);
        if catalog.relation(schema, &name).is_none() && !taken(&name) {
            return name;
        }
    }
    unreachable!("some number is free")
}

/// Cuts the longer of the first two parts until the whole name fits.
fn fit(first: &str, second: &str, suffix: &str) -> String {
    let (mut first, mut second) = (first.to_owned(), second.to_owned());
    let overhead = suffix.len() + 1 + usize::from(!second.is_empty());
    while first.len() + second.len() + overhead > LONGEST {
        let longer = if first.len() > second.len() { &mut first } else { &mut second };
        longer.pop();
    }
    let parts = [&*first, &*second, suffix];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_fit_in_63_bytes() {
        assert_eq!(fit("t", "a_b", "key"), "t_a_b_key");
        assert_eq!(fit("t", "", "pkey"), "t_pkey");
        let long = fit(&"x".repeat(60), &"y".repeat(20), "fkey");
        assert_eq!(long.len(), LONGEST);
        assert!(long.ends_with("_fkey"));
    }
}
