//! `pg_depend`: what belongs to what, of the kinds that clients follow: sequences and their columns,
//! defaults, constraints, indexes.

use super::constraint::tables;
use super::relation::PG_CLASS;
use super::value::{letter, oid};
use super::{CatalogCx, Row, derived};
use crate::catalog::Descriptor;
use crate::types::Datum;
use crate::{Oid, Result};

const PG_CONSTRAINT: Oid = Oid(2606);
const PG_ATTRDEF: Oid = Oid(2604);

/// An object: catalog, OID, column or 0.
type Object = (Oid, Oid, i16);

fn row(of: Object, on: Object, kind: char) -> Row {
    vec![
        oid(of.0),
        oid(of.1),
        Datum::Int4(i32::from(of.2)),
        oid(on.0),
        oid(on.1),
        Datum::Int4(i32::from(on.2)),
        letter(kind),
    ]
}

pub(super) fn rows(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for descriptor in cx.catalog.objects() {
        if let Descriptor::Sequence(s) = &**descriptor
            && let Some((table, number)) = s.owned_by
        {
            let column = cx.catalog.table(table).and_then(|t| t.column(number));
            let kind = if column.is_some_and(|c| c.identity.is_some()) { 'i' } else { 'a' };
            rows.push(row((PG_CLASS, s.oid, 0), (PG_CLASS, table, number), kind));
        }
    }
    for table in tables(cx) {
        let column = |number: i16| (PG_CLASS, table.oid, number);
        for c in table.live_columns().filter(|c| c.default.is_some() || c.generated.is_some()) {
            let default = derived::member(table.oid, c.number as u32);
            rows.push(row((PG_ATTRDEF, default, 0), column(c.number), 'a'));
        }
        for index in cx.catalog.indexes_of(table.oid) {
            let own = (PG_CLASS, index.oid, 0);
            let constraint = (PG_CONSTRAINT, index.constraint, 0);
            let dependent = if index.constraint == Oid::NONE { own } else { constraint };
            if index.constraint != Oid::NONE {
                rows.push(row(own, constraint, 'i'));
            }
            rows.extend(index.columns.iter().map(|c| row(dependent, column(c.column), 'a')));
        }
        for check in &table.checks {
            rows.push(row((PG_CONSTRAINT, check.oid, 0), column(0), 'a'));
        }
        for key in &table.foreign_keys {
            let own = (PG_CONSTRAINT, key.oid, 0);
            rows.extend(key.columns.iter().map(|n| row(own, column(*n), 'a')));
            let parent = |n: i16| (PG_CLASS, key.referenced_table, n);
            rows.extend(key.referenced_columns.iter().map(|n| row(own, parent(*n), 'n')));
            rows.push(row(own, (PG_CLASS, key.referenced_index, 0), 'n'));
        }
    }
    Ok(rows)
}
