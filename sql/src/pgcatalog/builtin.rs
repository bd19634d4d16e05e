//! Rows that ship with PostgreSQL, read once from the registry's files.

use super::Row;
use super::definition::{File, VirtualTable, virtual_table};
use super::value;
use crate::Oid;
use crate::types::Datum;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// The rows of a catalog of `pg_catalog` as initdb leaves them; nothing for one without a file.
pub(super) fn rows(name: &'static str) -> &'static [Row] {
    static ROWS: OnceLock<Mutex<FxHashMap<&'static str, &'static [Row]>>> = OnceLock::new();
    let cache = ROWS.get_or_init(Mutex::default);
    if let Some(rows) = cache.lock().get(name) {
        return rows;
    }
    let read: &'static [Row] = virtual_table("pg_catalog", name).map_or(vec![], read).leak();
    cache.lock().entry(name).or_insert(read)
}

/// Those whose column at `position` is `oid`.
pub(super) fn rows_of(name: &'static str, position: usize, oid: Oid) -> Vec<Row> {
    let rows = rows(name);
    // Most files are sorted by the OID in front, which is the key that is asked for.
    if position == 0
        && let Ok(at) = rows.binary_search_by_key(&oid, key)
        && at.checked_sub(1).is_none_or(|before| key(&rows[before]) != oid)
        && rows.get(at + 1).is_none_or(|after| key(after) != oid)
    {
        return vec![rows[at].clone()];
    }
    rows.iter()
        .filter(|row| matches!(row.get(position), Some(Datum::Oid(found)) if *found == oid))
        .cloned()
        .collect()
}

fn key(row: &Row) -> Oid {
    match row.first() {
        Some(Datum::Oid(oid)) => *oid,
        _ => Oid::NONE,
    }
}

fn read(table: &VirtualTable) -> Vec<Row> {
    if crate::registry::table::catalog(table.name).is_none() {
        return Vec::new();
    }
    let file = File::open(table.name);
    let positions: Vec<_> = table.columns.iter().map(|c| (file.column(c.name), c.ty.oid)).collect();
    let field = |row: &crate::registry::table::Row, (at, ty): &(Option<usize>, Oid)| {
        let text = at.and_then(|at| row.get(at));
        text.map_or(Datum::Null, |text| value::builtin(*ty, &text))
    };
    file.rows().map(|row| positions.iter().map(|position| field(&row, position)).collect()).collect()
}
