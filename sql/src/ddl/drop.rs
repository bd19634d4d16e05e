//! DROP TABLE, INDEX, SEQUENCE, SCHEMA, VIEW, ROLE, DATABASE.

use super::names::{display, find, parts};
use super::{change, index, role};
use crate::catalog::{CatalogSnapshot, Descriptor};
use crate::exec::ExecContext;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{ObjectName, ObjectType};
use std::sync::Arc;

pub(super) async fn objects(
    kind: &ObjectType,
    if_exists: bool,
    names: &[ObjectName],
    cascade: bool,
    cx: &mut ExecContext<'_>,
) -> Result<String> {
    for name in names {
        match lookup(kind, name, cx)? {
            Some(object) => one(object, cascade, cx).await?,
            None if if_exists => {
                let message = format!("{} does not exist, skipping", described(kind, name));
                cx.notice(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message));
            }
            None => return Err(missing(kind, name)),
        }
    }
    let word = if matches!(kind, ObjectType::User) { "ROLE".to_owned() } else { kind.to_string() };
    Ok(format!("DROP {word}"))
}

fn described(kind: &ObjectType, name: &ObjectName) -> String {
    let word = match kind {
        ObjectType::User => "role".to_owned(),
        kind => kind.to_string().to_lowercase(),
    };
    format!("{word} \"{}\"", display(name))
}

fn missing(kind: &ObjectType, name: &ObjectName) -> SqlError {
    let code = match kind {
        ObjectType::Schema => SqlState::INVALID_SCHEMA_NAME,
        ObjectType::Database => SqlState::INVALID_CATALOG_NAME,
        ObjectType::Role | ObjectType::User | ObjectType::Type | ObjectType::Index => {
            SqlState::UNDEFINED_OBJECT
        }
        _ => SqlState::UNDEFINED_TABLE,
    };
    SqlError::new(code, format!("{} does not exist", described(kind, name)))
}

fn lookup(kind: &ObjectType, name: &ObjectName, cx: &ExecContext<'_>) -> Result<Option<Arc<Descriptor>>> {
    let catalog = cx.txn.catalog().snapshot();
    let last = || parts(name).map(|mut p| p.pop().unwrap_or_default());
    match kind {
        ObjectType::Schema => Ok(catalog.schema(&last()?).and_then(|oid| catalog.get(oid)).cloned()),
        ObjectType::Role | ObjectType::User => {
            Ok(catalog.role(&last()?).and_then(|r| catalog.get(r.oid)).cloned())
        }
        ObjectType::Database => Ok(catalog.database(&last()?).and_then(|d| catalog.get(d.oid)).cloned()),
        ObjectType::Table | ObjectType::Index | ObjectType::Sequence | ObjectType::View => {
            relation(kind, name, cx)
        }
        other => Err(SqlError::not_built(format!("DROP {other}"))),
    }
}

fn relation(kind: &ObjectType, name: &ObjectName, cx: &ExecContext<'_>) -> Result<Option<Arc<Descriptor>>> {
    let Some(found) = find(name, cx)? else { return Ok(None) };
    let (right, word) = match kind {
        ObjectType::Index => (matches!(*found, Descriptor::Index(_)), "an index"),
        ObjectType::Sequence => (matches!(*found, Descriptor::Sequence(_)), "a sequence"),
        ObjectType::View => (matches!(*found, Descriptor::View(_)), "a view"),
        _ => (matches!(*found, Descriptor::Table(_)), "a table"),
    };
    if right {
        return Ok(Some(found));
    }
    let hint = match &*found {
        Descriptor::Table(_) => "Use DROP TABLE to remove a table.",
        Descriptor::Index(_) => "Use DROP INDEX to remove an index.",
        Descriptor::Sequence(_) => "Use DROP SEQUENCE to remove a sequence.",
        _ => "Use DROP VIEW to remove a view.",
    };
    let message = format!("\"{}\" is not {word}", found.name());
    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).with_hint(hint))
}

async fn one(object: Arc<Descriptor>, cascade: bool, cx: &mut ExecContext<'_>) -> Result<()> {
    check_owner(&object, cx)?;
    match &*object {
        Descriptor::Table(table) => drop_table(table.oid, cascade, cx).await,
        Descriptor::Index(found) => {
            if found.constraint != Oid::NONE {
                let catalog = cx.txn.catalog().snapshot();
                let table = catalog.table(found.table).map_or("", |t| &t.name);
                let message = format!(
                    "cannot drop index {0} because constraint {0} on table {table} requires it",
                    found.name
                );
                return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
                    .with_hint(format!("You can drop constraint {} on table {table} instead.", found.name)));
            }
            drop_index(found.oid, cx).await
        }
        Descriptor::Sequence(sequence) => {
            refuse_used_sequence(sequence.oid, &sequence.name, cascade, cx)?;
            cx.node.sequences.forget(sequence.oid);
            let key = crate::catalog::store::sequence_key(sequence.oid).into();
            cx.txn.write(cx.node, "DROP SEQUENCE")?.delete(key);
            change::remove(cx, &object).await
        }
        Descriptor::Schema(schema) => drop_schema(schema.oid, &schema.name, cascade, cx).await,
        Descriptor::Role(found) => drop_role(found.oid, &found.name, cx).await,
        Descriptor::Database(database) => {
            if database.oid == cx.info.database {
                return Err(SqlError::new(
                    SqlState::OBJECT_IN_USE,
                    "cannot drop the currently open database",
                ));
            }
            Err(SqlError::not_built("DROP DATABASE"))
        }
        Descriptor::View(_) | Descriptor::Type(_) => change::remove(cx, &object).await,
    }
}

fn check_owner(object: &Descriptor, cx: &ExecContext<'_>) -> Result<()> {
    let (what, owner) = match object {
        Descriptor::Table(d) => ("table", d.owner),
        Descriptor::Sequence(d) => ("sequence", d.owner),
        Descriptor::Schema(d) => ("schema", d.owner),
        Descriptor::View(d) => ("view", d.owner),
        Descriptor::Type(d) => ("type", d.owner),
        Descriptor::Database(d) => ("database", d.owner),
        Descriptor::Index(d) => {
            let table = cx.txn.catalog().snapshot().table(d.table);
            ("index", table.map_or(Oid::NONE, |t| t.owner))
        }
        Descriptor::Role(_) => return Ok(()),
    };
    change::require_owner(cx, what, object.name(), owner)
}

/// Drops a table with its indexes and owned sequences; foreign keys of other tables at it need CASCADE.
async fn drop_table(oid: Oid, cascade: bool, cx: &mut ExecContext<'_>) -> Result<()> {
    let table = index::current(cx, oid)?;
    change::exclude_users(cx, &table).await?;
    drop_references_to(oid, &table.name, cascade, cx).await?;
    let span = super::rewrite::codec(cx, oid)?.storage_span();
    for found in owned_objects(cx.txn.catalog().snapshot(), oid) {
        if let Descriptor::Sequence(sequence) = &*found {
            cx.node.sequences.forget(sequence.oid);
            let key = crate::catalog::store::sequence_key(sequence.oid).into();
            cx.txn.write(cx.node, "DROP TABLE")?.delete(key);
        }
        change::remove(cx, &found).await?;
    }
    change::remove(cx, &Descriptor::Table(table)).await?;
    super::truncate::drop_storage(cx, span).await
}

/// Indexes of a table and sequences that its columns own.
fn owned_objects(catalog: &CatalogSnapshot, table: Oid) -> Vec<Arc<Descriptor>> {
    let owned = |d: &&Arc<Descriptor>| match &***d {
        Descriptor::Index(i) => i.table == table,
        Descriptor::Sequence(s) => s.owned_by.is_some_and(|(t, _)| t == table),
        _ => false,
    };
    catalog.objects().filter(owned).cloned().collect()
}

/// Foreign keys of other tables at `oid`: dropped under CASCADE, else 2BP01.
async fn drop_references_to(oid: Oid, name: &str, cascade: bool, cx: &mut ExecContext<'_>) -> Result<()> {
    let children: Vec<_> =
        cx.txn.catalog().snapshot().referencing(oid).filter(|t| t.oid != oid).cloned().collect();
    if children.is_empty() {
        return Ok(());
    }
    let keys = children.iter().flat_map(|child| {
        let own = child.foreign_keys.iter().filter(|k| k.referenced_table == oid);
        own.map(|k| format!("constraint {} on table {}", k.name, child.name))
    });
    if !cascade {
        let lines: Vec<String> = keys.map(|k| format!("{k} depends on table {name}")).collect();
        return Err(dependents(&format!("table {name}"), &lines));
    }
    for key in keys.collect::<Vec<_>>() {
        cx.notice(SqlError::new(SqlState::SUCCESSFUL_COMPLETION, format!("drop cascades to {key}")));
    }
    for mut child in children {
        change::exclude_users(cx, &child).await?;
        child.foreign_keys.retain(|k| k.referenced_table != oid);
        change::replace(cx, Descriptor::Table(child)).await?;
    }
    Ok(())
}

fn dependents(what: &str, lines: &[String]) -> SqlError {
    SqlError::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop {what} because other objects depend on it"),
    )
    .with_detail(lines.join("\n"))
    .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

/// Drops a secondary index.
pub(super) async fn drop_index(oid: Oid, cx: &mut ExecContext<'_>) -> Result<()> {
    let catalog = cx.txn.catalog().snapshot();
    let found = catalog.get(oid).cloned().ok_or_else(|| SqlError::internal("index vanished during DDL"))?;
    let Descriptor::Index(index) = &*found else { return Err(SqlError::internal("not an index")) };
    let table = index::current(cx, index.table)?;
    change::exclude_users(cx, &table).await?;
    let codec = super::rewrite::codec(cx, table.oid)?;
    let span = codec.indexes.iter().find(|i| i.oid == oid).map(|i| i.span());
    change::remove(cx, &found).await?;
    // The table's descriptor is written again so that plans over the old set of indexes go stale.
    change::replace(cx, Descriptor::Table(table)).await?;
    match span {
        Some(span) => super::truncate::drop_storage(cx, span).await,
        None => Ok(()),
    }
}

/// A sequence that a column's default uses: 2BP01 (CASCADE is not built).
fn refuse_used_sequence(oid: Oid, name: &str, cascade: bool, cx: &ExecContext<'_>) -> Result<()> {
    let needle = format!("nextval('{oid}'::regclass)");
    let catalog = cx.txn.catalog().snapshot();
    let users = catalog.objects().filter_map(|d| match &**d {
        Descriptor::Table(table) => Some(table),
        _ => None,
    });
    let lines: Vec<String> = users
        .flat_map(|t| t.live_columns().map(move |c| (t, c)))
        .filter(|(_, c)| c.default.as_deref() == Some(needle.as_str()))
        .map(|(t, c)| {
            format!("default value for column {} of table {} depends on sequence {name}", c.name, t.name)
        })
        .collect();
    match (lines.is_empty(), cascade) {
        (true, _) => Ok(()),
        (false, true) => Err(SqlError::not_built("DROP SEQUENCE ... CASCADE")),
        (false, false) => Err(dependents(&format!("sequence {name}"), &lines)),
    }
}

async fn drop_schema(oid: Oid, name: &str, cascade: bool, cx: &mut ExecContext<'_>) -> Result<()> {
    if oid < Oid::FIRST_USER && oid != Oid::PUBLIC {
        let message = format!("cannot drop schema {name} because it is required by the database system");
        return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
    }
    let catalog = cx.txn.catalog().snapshot();
    let inside: Vec<Arc<Descriptor>> = catalog.relations_in(oid).cloned().collect();
    if !inside.is_empty() && !cascade {
        let lines: Vec<String> = inside
            .iter()
            .filter(|d| !matches!(***d, Descriptor::Index(_)))
            .map(|d| format!("{} {}.{} depends on schema {name}", kind_of(d), name, d.name()))
            .collect();
        return Err(dependents(&format!("schema {name}"), &lines));
    }
    for object in inside {
        // Indexes and owned sequences went with their tables.
        if cx.txn.catalog().snapshot().get(object.oid()).is_some() && !matches!(*object, Descriptor::Index(_))
        {
            Box::pin(one(object, true, cx)).await?;
        }
    }
    let schema = cx.txn.catalog().snapshot().get(oid).cloned();
    change::remove(cx, &*schema.ok_or_else(|| SqlError::internal("schema vanished"))?).await
}

fn kind_of(descriptor: &Descriptor) -> &'static str {
    match descriptor {
        Descriptor::Table(_) => "table",
        Descriptor::Sequence(_) => "sequence",
        Descriptor::View(_) => "view",
        Descriptor::Index(_) => "index",
        _ => "object",
    }
}

async fn drop_role(oid: Oid, name: &str, cx: &mut ExecContext<'_>) -> Result<()> {
    let allowed = cx.txn.catalog().snapshot().role_by_oid(cx.info.role).is_some_and(|r| r.create_role);
    if !cx.info.superuser && !allowed {
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to drop role"));
    }
    if oid == cx.info.role {
        return Err(SqlError::new(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
    }
    let owned = owned_by(cx.txn.catalog().snapshot(), oid);
    if !owned.is_empty() {
        let message = format!("role \"{name}\" cannot be dropped because some objects depend on it");
        return Err(
            SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).with_detail(owned.join("\n"))
        );
    }
    let role = role::find(name, cx)?;
    change::remove(cx, &Descriptor::Role(role)).await
}

fn owned_by(catalog: &CatalogSnapshot, role: Oid) -> Vec<String> {
    let owner = |d: &Descriptor| match d {
        Descriptor::Table(d) => d.owner,
        Descriptor::Sequence(d) => d.owner,
        Descriptor::Schema(d) => d.owner,
        Descriptor::View(d) => d.owner,
        Descriptor::Database(d) => d.owner,
        Descriptor::Type(d) => d.owner,
        Descriptor::Index(_) | Descriptor::Role(_) => Oid::NONE,
    };
    let owned = catalog.objects().filter(|d| owner(d) == role);
    owned.map(|d| format!("owner of {} {}", kind_of(d), d.name())).collect()
}
