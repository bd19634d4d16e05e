//! Writing descriptors: the row, the name's row, the transaction's own catalog.

use crate::catalog::store::{descriptor_key, encode, name_key};
use crate::catalog::{Descriptor, TableDescriptor};
use crate::exec::{ExecContext, txn_error};
use crate::{Oid, Result, SqlError, SqlState};
use txn::{Key, LockMode, WaitPolicy};

/// Adds a new object; 42P07 and its like when the name is taken.
pub(super) async fn create(cx: &mut ExecContext<'_>, descriptor: Descriptor) -> Result<()> {
    let name = Key::from(name_key(&descriptor)?);
    let key = Key::from(descriptor_key(descriptor.database(), descriptor.oid()));
    lock(cx, &name).await?;
    let txn = cx.txn.write(cx.node, "CREATE")?;
    if txn.get_latest(&name).await.map_err(txn_error)?.is_some() {
        return Err(taken(&descriptor));
    }
    txn.insert(name, descriptor.oid().0.to_le_bytes().to_vec().into(), 0);
    txn.insert(key, encode(&descriptor)?.into(), 0);
    cx.txn.catalog_mut().put(descriptor);
    Ok(())
}

/// Writes a changed object. Whoever uses it through the old descriptor finishes first.
pub(super) async fn replace(cx: &mut ExecContext<'_>, descriptor: Descriptor) -> Result<()> {
    let key = Key::from(descriptor_key(descriptor.database(), descriptor.oid()));
    lock(cx, &key).await?;
    let old = cx.txn.catalog().snapshot().get(descriptor.oid()).cloned();
    if let Some(old) = old.filter(|old| name_key(old).ok() != name_key(&descriptor).ok()) {
        rename(cx, &old, &descriptor).await?;
    }
    cx.txn.write(cx.node, "ALTER")?.put(key, encode(&descriptor)?.into());
    cx.txn.catalog_mut().put(descriptor);
    Ok(())
}

async fn rename(cx: &mut ExecContext<'_>, old: &Descriptor, new: &Descriptor) -> Result<()> {
    let name = Key::from(name_key(new)?);
    lock(cx, &name).await?;
    let txn = cx.txn.write(cx.node, "ALTER")?;
    if txn.get_latest(&name).await.map_err(txn_error)?.is_some() {
        return Err(taken(new));
    }
    txn.delete(name_key(old)?.into());
    txn.insert(name, new.oid().0.to_le_bytes().to_vec().into(), 0);
    Ok(())
}

/// Removes an object.
pub(super) async fn remove(cx: &mut ExecContext<'_>, descriptor: &Descriptor) -> Result<()> {
    let key = Key::from(descriptor_key(descriptor.database(), descriptor.oid()));
    lock(cx, &key).await?;
    let txn = cx.txn.write(cx.node, "DROP")?;
    txn.delete(key);
    txn.delete(name_key(descriptor)?.into());
    cx.txn.catalog_mut().remove(descriptor.database(), descriptor.oid());
    Ok(())
}

/// Waits until no transaction uses the table's descriptor, and keeps new ones waiting.
pub(super) async fn exclude_users(cx: &mut ExecContext<'_>, table: &TableDescriptor) -> Result<()> {
    cx.txn.write(cx.node, "ALTER TABLE")?;
    lock(cx, &Key::from(descriptor_key(table.database, table.oid))).await
}

async fn lock(cx: &mut ExecContext<'_>, key: &Key) -> Result<()> {
    let wait = WaitPolicy::Wait { timeout: cx.info.lock_timeout };
    let txn = cx.txn.write(cx.node, "DDL")?;
    txn.lock(std::slice::from_ref(key), LockMode::Update, wait).await.map_err(txn_error)?;
    Ok(())
}

/// The error for a name that exists already.
pub(super) fn taken(descriptor: &Descriptor) -> SqlError {
    let name = descriptor.name();
    let (code, what) = match descriptor {
        Descriptor::Database(_) => (SqlState::DUPLICATE_DATABASE, "database"),
        Descriptor::Role(_) => (SqlState::DUPLICATE_OBJECT, "role"),
        Descriptor::Schema(_) => (SqlState::DUPLICATE_SCHEMA, "schema"),
        Descriptor::Type(_) => (SqlState::DUPLICATE_OBJECT, "type"),
        _ => (SqlState::DUPLICATE_TABLE, "relation"),
    };
    SqlError::new(code, format!("{what} \"{name}\" already exists"))
}

/// Only a superuser or the owner may change an object: 42501.
pub(super) fn require_owner(cx: &ExecContext<'_>, what: &str, name: &str, owner: Oid) -> Result<()> {
    if cx.info.superuser || cx.info.role == owner {
        return Ok(());
    }
    Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of {what} {name}")))
}
