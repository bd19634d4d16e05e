//! CREATE DATABASE.

use super::{change, names};
use crate::catalog::store::insert;
use crate::catalog::{DatabaseDescriptor, Descriptor};
use crate::exec::ExecContext;
use crate::node::schemas;
use crate::{Result, SqlError, SqlState};
use sqlparser::ast::ObjectName;

pub(super) async fn create(name: &ObjectName, cx: &mut ExecContext<'_>) -> Result<&'static str> {
    let role = cx.txn.catalog().snapshot().role_by_oid(cx.info.role);
    if !cx.info.superuser && !role.is_some_and(|r| r.create_db) {
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to create database"));
    }
    let name = names::parts(name)?.pop().unwrap_or_default();
    let oid = cx.node.next_oid().await?;
    let database = DatabaseDescriptor { oid, name, owner: cx.info.role, acl: None };
    change::create(cx, Descriptor::Database(database)).await?;
    for schema in schemas(oid).into_iter().map(Descriptor::Schema) {
        insert(cx.txn.write(cx.node, "CREATE DATABASE")?, &schema)?;
        cx.txn.catalog_mut().put_elsewhere(schema);
    }
    Ok("CREATE DATABASE")
}
