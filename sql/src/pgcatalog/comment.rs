//! `pg_description`.

use super::relation::PG_CLASS;
use super::value::{name, oid};
use super::{CatalogCx, Row, builtin};
use crate::catalog::Descriptor;
use crate::types::Datum;
use crate::{Oid, Result};

/// All comments, or those of the object of that OID.
pub(super) fn rows(cx: &CatalogCx<'_>, only: Oid) -> Result<Vec<Row>> {
    let mut rows = match only {
        Oid::NONE => builtin::rows("pg_description").to_vec(),
        only => builtin::rows_of("pg_description", 0, only),
    };
    let mut objects: Vec<_> = match only {
        Oid::NONE => cx.catalog.objects().collect(),
        only => cx.catalog.get(only).into_iter().collect(),
    };
    objects.sort_unstable_by_key(|d| d.oid());
    for descriptor in objects {
        of(descriptor, &mut rows);
    }
    Ok(rows)
}

fn of(descriptor: &Descriptor, rows: &mut Vec<Row>) {
    let mut add = |object: Oid, column: i16, comment: &Option<String>| {
        if let Some(text) = comment {
            rows.push(vec![oid(object), oid(PG_CLASS), Datum::Int4(i32::from(column)), name(text)]);
        }
    };
    match descriptor {
        Descriptor::Table(t) => {
            add(t.oid, 0, &t.comment);
            t.live_columns().for_each(|c| add(t.oid, c.number, &c.comment));
        }
        Descriptor::View(v) => v.columns.iter().for_each(|c| add(v.oid, c.number, &c.comment)),
        Descriptor::Index(i) => add(i.oid, 0, &i.comment),
        _ => {}
    }
}

/// The comment on an object of a catalog, or on its column.
pub(super) fn find(cx: &CatalogCx<'_>, object: Oid, class: Option<Oid>, column: i32) -> Result<Datum> {
    let matches = |row: &Row| {
        class.is_none_or(|class| matches!(row[1], Datum::Oid(found) if found == class))
            && matches!(row[2], Datum::Int4(found) if found == column)
    };
    let found = rows(cx, object)?.into_iter().find(matches);
    Ok(found.and_then(|mut row| row.pop()).unwrap_or(Datum::Null))
}
