//! TRUNCATE: the table takes fresh storage; the old one is deleted with the same commit.

use super::{change, index, names, table};
use crate::catalog::{Descriptor, TableDescriptor};
use crate::exec::ExecContext;
use crate::node::SequenceState;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{CascadeOption, Truncate, TruncateIdentityOption};
use storage::engine::Span;

pub(super) async fn tables(truncate: &Truncate, cx: &mut ExecContext<'_>) -> Result<&'static str> {
    let mut tables = vec![];
    for target in &truncate.table_names {
        tables.push(names::table(&target.name, cx)?);
    }
    let cascade = matches!(truncate.cascade, Some(CascadeOption::Cascade));
    add_referencing(&mut tables, cascade, cx)?;
    for descriptor in tables {
        change::require_owner(cx, "table", &descriptor.name, descriptor.owner)?;
        let restart = matches!(truncate.identity, Some(TruncateIdentityOption::Restart));
        empty(cx, descriptor.oid, restart).await?;
    }
    Ok("TRUNCATE TABLE")
}

/// Referencing tables come along under CASCADE; else they are refused.
fn add_referencing(tables: &mut Vec<TableDescriptor>, cascade: bool, cx: &ExecContext<'_>) -> Result<()> {
    let catalog = cx.txn.catalog().snapshot();
    let mut at = 0;
    while at < tables.len() {
        let (oid, name) = (tables[at].oid, tables[at].name.clone());
        for child in catalog.referencing(oid) {
            if tables.iter().any(|t| t.oid == child.oid) {
                continue;
            }
            if !cascade {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "cannot truncate a table referenced in a foreign key constraint",
                )
                .with_detail(format!("Table \"{}\" references \"{name}\".", child.name))
                .with_hint(format!(
                    "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                    child.name
                )));
            }
            tables.push(child.clone());
        }
        at += 1;
    }
    Ok(())
}

async fn empty(cx: &mut ExecContext<'_>, oid: Oid, restart_identity: bool) -> Result<()> {
    let mut descriptor = index::current(cx, oid)?;
    change::exclude_users(cx, &descriptor).await?;
    let old = super::rewrite::codec(cx, oid)?.storage_span();
    descriptor.storage_id = u64::from(cx.node.next_oid().await?.0);
    table::set_layout(&mut descriptor);
    change::replace(cx, Descriptor::Table(descriptor)).await?;
    drop_storage(cx, old).await?;
    if restart_identity {
        restart_sequences(cx, oid)?;
    }
    Ok(())
}

fn restart_sequences(cx: &mut ExecContext<'_>, table: Oid) -> Result<()> {
    let catalog = cx.txn.catalog().snapshot();
    let owned: Vec<(Oid, i64)> = catalog
        .objects()
        .filter_map(|d| match &**d {
            Descriptor::Sequence(s) if s.owned_by.is_some_and(|(t, _)| t == table) => Some((s.oid, s.start)),
            _ => None,
        })
        .collect();
    for (sequence, start) in owned {
        let state = SequenceState::fresh(start).encode();
        let key = crate::catalog::store::sequence_key(sequence).into();
        cx.txn.write(cx.node, "TRUNCATE")?.put(key, state.into());
        cx.node.sequences.forget(sequence);
    }
    Ok(())
}

/// Gives up storage that nothing refers to once this transaction commits. Snapshots taken before may
/// still read it, so the keys themselves stay until garbage collection of abandoned storage.
pub(super) async fn drop_storage(cx: &mut ExecContext<'_>, span: Span) -> Result<()> {
    let key = crate::catalog::store::abandoned_key(&span);
    cx.txn.write(cx.node, "DROP")?.put(key.into(), span.hi.into());
    Ok(())
}
