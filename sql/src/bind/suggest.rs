//! Errors for names that are not there, with PostgreSQL's hints.

use super::Binder;
use super::coerce::place;
use crate::ir::Offset;
use crate::{SqlError, SqlState};

/// Farthest edit distance of a suggestion.
const MAX_DISTANCE: usize = 3;

impl Binder<'_> {
    /// `column … does not exist`, with the nearest names that do.
    pub(super) fn missing_column(&self, table: Option<&str>, name: &str, at: Offset) -> SqlError {
        let message = match table {
            Some(table) => format!("column {table}.{name} does not exist"),
            None => format!("column \"{name}\" does not exist"),
        };
        let error = place(SqlError::new(SqlState::UNDEFINED_COLUMN, message), at);
        let mut best = MAX_DISTANCE + 1;
        let mut nearest: Vec<String> = Vec::new();
        for item in self.levels.iter().rev().flat_map(|l| &l.items).filter(|i| i.named) {
            let penalty = table.map_or(0, |t| distance(t, &item.alias));
            for column in &item.columns {
                let apart = distance(name, &column.name);
                if apart > column.name.len() / 2 {
                    continue;
                }
                let total = apart + penalty;
                let shown = format!("\"{}.{}\"", item.alias, column.name);
                if total < best {
                    best = total;
                    nearest = vec![shown];
                } else if total == best && best <= MAX_DISTANCE {
                    nearest.push(shown);
                }
            }
        }
        match nearest.as_slice() {
            [only] => error.with_hint(format!("Perhaps you meant to reference the column {only}.")),
            [one, two] => error
                .with_hint(format!("Perhaps you meant to reference the column {one} or the column {two}.")),
            _ => error,
        }
    }

    /// A qualified name whose table FROM does not show.
    pub(super) fn missing_from(&self, table: &str, at: Offset) -> SqlError {
        let items = || self.levels.iter().rev().flat_map(|l| &l.items);
        if let Some(renamed) = items().find(|i| i.table.as_ref().is_some_and(|t| t.name() == table)) {
            let error = SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("invalid reference to FROM-clause entry for table \"{table}\""),
            );
            let error = if renamed.alias != table {
                error.with_hint(format!(
                    "Perhaps you meant to reference the table alias \"{}\".",
                    renamed.alias
                ))
            } else {
                error.with_hint(format!(
                    "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
                ))
            };
            return place(error, at);
        }
        let hidden = items().any(|i| i.alias == table);
        let error = if hidden {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("invalid reference to FROM-clause entry for table \"{table}\""),
            )
            .with_hint(format!(
                "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
            ))
        } else {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("missing FROM-clause entry for table \"{table}\""),
            )
        };
        place(error, at)
    }
}

/// Levenshtein distance over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
