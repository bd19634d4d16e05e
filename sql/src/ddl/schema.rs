//! CREATE SCHEMA.

use super::change;
use super::names::{fold, parts};
use crate::catalog::{Descriptor, SchemaDescriptor};
use crate::exec::ExecContext;
use crate::{Result, SqlError, SqlState};
use sqlparser::ast::SchemaName;

pub(super) async fn create(
    name: &SchemaName,
    if_not_exists: bool,
    cx: &mut ExecContext<'_>,
) -> Result<&'static str> {
    let (name, owner) = match name {
        SchemaName::Simple(name) => (parts(name)?.pop().unwrap_or_default(), None),
        SchemaName::UnnamedAuthorization(role) => (fold(role), Some(fold(role))),
        SchemaName::NamedAuthorization(name, role) => {
            (parts(name)?.pop().unwrap_or_default(), Some(fold(role)))
        }
    };
    if name.starts_with("pg_") {
        return Err(SqlError::new(SqlState::RESERVED_NAME, format!("unacceptable schema name \"{name}\""))
            .with_detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    let catalog = cx.txn.catalog().snapshot();
    if if_not_exists && catalog.schema(&name).is_some() {
        let message = format!("schema \"{name}\" already exists, skipping");
        cx.notice(SqlError::new(SqlState::DUPLICATE_SCHEMA, message));
        return Ok("CREATE SCHEMA");
    }
    let owner = match owner {
        None => cx.info.role,
        Some(role) => super::role::find(&role, cx)?.oid,
    };
    let oid = cx.node.next_oid().await?;
    let schema = SchemaDescriptor { oid, database: cx.info.database, name, owner, acl: None };
    change::create(cx, Descriptor::Schema(schema)).await?;
    Ok("CREATE SCHEMA")
}
