//! Statements that change the catalog. Every one is transactional: descriptors are rows of the
//! store, written by the session's transaction, and seen by it through its own `TxnCatalog`.
//!
//! - `change`: writing descriptors and their names; waiting for users of a table.
//! - one file a kind of object; `rewrite` fills new storage and new indexes from existing rows.

mod alter;
mod change;
mod constraint;
mod database;
mod drop;
mod index;
mod names;
mod rewrite;
mod role;
mod schema;
mod sequence;
mod table;
mod truncate;

use crate::exec::ExecContext;
use crate::parse::{Body, Statement};
use crate::{Result, SqlError};
use sqlparser::ast::Statement as Ast;

/// Runs one DDL statement; its command tag.
pub(crate) async fn run(statement: &Statement, cx: &mut ExecContext<'_>) -> Result<String> {
    let Body::Ddl(ast) = &statement.body else { return Err(SqlError::internal("not a DDL statement")) };
    let tag = match &**ast {
        Ast::CreateTable(create) => return table::create(create, cx).await,
        Ast::CreateIndex(create) => return index::create(create, cx).await,
        Ast::CreateSequence { .. } => sequence::create(ast, cx).await?,
        Ast::CreateSchema { schema_name, if_not_exists, .. } => {
            schema::create(schema_name, *if_not_exists, cx).await?
        }
        Ast::CreateDatabase { db_name, .. } => database::create(db_name, cx).await?,
        Ast::CreateRole(create) => role::create(create, cx).await?,
        Ast::AlterRole { name, operation } => role::alter(name, operation, cx).await?,
        Ast::AlterTable(alter) => alter::table(alter, cx).await?,
        Ast::Drop { object_type, if_exists, names, cascade, .. } => {
            return drop::objects(object_type, *if_exists, names, *cascade, cx).await;
        }
        Ast::Truncate(truncate) => truncate::tables(truncate, cx).await?,
        other => return Err(SqlError::not_built(statement_kind(other))),
    };
    Ok(tag.into())
}

/// The first words of a statement, for errors.
fn statement_kind(ast: &Ast) -> String {
    ast.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" ").to_uppercase()
}
