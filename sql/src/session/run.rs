//! The one door from the session to parser, planner and executor.

pub use crate::exec::{
    CancelReason, CancelToken, ExecContext, Execution, Notice, Savepoint, TxnHandle, start,
};
pub use crate::node::SqlNode;
pub use crate::parse::parse;
pub use crate::plan::Plan;

use super::transaction::Modes;
use crate::bind::{self, BindContext, ParamTypes};
use crate::catalog::CatalogSnapshot;
use crate::exec::{Progress, RowSink};
use crate::parse::{Isolation, Statement};
use crate::pgcatalog::Names;
use crate::plan::{self, OutputColumn, PlanContext};
use crate::registry::Registry;
use crate::session::SessionInfo;
use crate::types::Io;
use crate::types::{self, Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;
use txn::{Access, TxnOptions};

/// The committed catalog as of now.
pub fn catalog(node: &SqlNode, database: Oid) -> Result<Arc<CatalogSnapshot>> {
    node.catalog.snapshot(database).ok_or_else(|| {
        SqlError::new(SqlState::DATABASE_DROPPED, "the database of this session has been dropped")
    })
}

/// Plans everything but the session's own statements.
pub fn prepare(
    catalog: Arc<CatalogSnapshot>,
    info: Arc<SessionInfo>,
    statement: &Statement,
    declared: &[Oid],
) -> Result<Arc<Plan>> {
    plan::prepare(&PlanContext { catalog, info }, statement, declared)
}

/// The result columns of a plan, shared.
pub fn columns(plan: &Plan) -> Option<Arc<[OutputColumn]>> {
    plan.columns.as_deref().map(Arc::from)
}

/// One call of an execution.
pub async fn run(
    execution: &mut Execution,
    cx: &mut ExecContext<'_>,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    execution.run(cx, max_rows, sink).await
}

/// The store's options of a transaction. SERIALIZABLE is refused where it is chosen.
pub fn options(modes: &Modes) -> TxnOptions {
    TxnOptions {
        isolation: match modes.isolation {
            Isolation::ReadUncommitted | Isolation::ReadCommitted => txn::Isolation::ReadCommitted,
            Isolation::RepeatableRead | Isolation::Serializable => txn::Isolation::RepeatableRead,
        },
        access: if modes.read_only { Access::ReadOnly } else { Access::ReadWrite },
    }
}

/// The catalog as a transaction sees it.
pub fn snapshot(handle: &TxnHandle) -> &Arc<CatalogSnapshot> {
    handle.catalog().shared()
}

/// The type behind a type name, for PREPARE's parameter list.
pub fn resolve_type(
    catalog: &CatalogSnapshot,
    info: &Arc<SessionInfo>,
    ty: &sqlparser::ast::DataType,
) -> Result<TypeRef> {
    let mut params = ParamTypes::default();
    let search_path = &info.search_path;
    bind::resolve_type(&mut BindContext { catalog, search_path, session: info, params: &mut params }, ty)
}

/// A parameter's text form.
pub fn input(ty: Oid, text: &str, info: &SessionInfo) -> Result<Datum> {
    let names = Names { catalog: &info.catalog, session: info };
    Io { fmt: &info.format, lookup: &names, now: Some(info.transaction_start) }.input(TypeRef::of(ty), text)
}

/// A parameter's binary form.
pub fn receive(ty: Oid, bytes: &[u8]) -> Result<Datum> {
    types::recv(TypeRef::of(ty), bytes)
}

/// Appends a value's text form.
pub fn output(ty: Oid, value: &Datum, info: &SessionInfo, out: &mut Vec<u8>) {
    let names = Names { catalog: &info.catalog, session: info };
    Io { fmt: &info.format, lookup: &names, now: None }.output(ty, value, out);
}

/// Appends a value's binary form.
pub fn send(ty: Oid, value: &Datum, out: &mut Vec<u8>) {
    types::send(ty, value, out);
}

/// The size of a type as RowDescription shows it: -1 for variable sizes, -2 for C strings.
pub fn type_length(ty: Oid) -> i16 {
    // Types that are not built in are enums: four bytes, as in PostgreSQL.
    Registry::get().type_by_oid(ty).map_or(4, |row| row.len)
}

/// A type's name as SQL writes it.
pub fn type_name(ty: Oid) -> String {
    types::format_type(ty, -1)
}

/// What the catalog says of a client's role and database.
pub struct Login {
    pub role: Oid,
    pub database: Oid,
    pub superuser: bool,
    /// ALTER ROLE … SET.
    pub settings: Vec<(String, String)>,
    verifier: Option<String>,
    may_login: bool,
}

impl Login {
    /// The stored SCRAM verifier; unknown roles have none.
    pub fn verifier(&self) -> Option<&str> {
        self.verifier.as_deref()
    }

    /// After authentication: 28000 for a role that may not log in, 3D000 for an unknown database.
    pub fn checked(self, database: &str, role: &str) -> Result<Login> {
        let refused =
            |message: String| Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
        if self.role == Oid::NONE {
            return refused(format!("role \"{role}\" does not exist"));
        }
        if !self.may_login {
            return refused(format!("role \"{role}\" is not permitted to log in"));
        }
        if self.database == Oid::NONE {
            return Err(SqlError::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{database}\" does not exist"),
            ));
        }
        Ok(self)
    }
}

/// Looks up who wants to connect to what; unknown names come out in `Login::checked`.
pub fn login(node: &SqlNode, database: &str, role: &str) -> Result<Login> {
    /// The database that always exists; roles are the same in all of them.
    const POSTGRES: Oid = Oid(5);
    let found = node.catalog.database_named(database);
    let catalog = catalog(node, found.unwrap_or(POSTGRES))?;
    let known = catalog.role(role);
    Ok(Login {
        role: known.map_or(Oid::NONE, |role| role.oid),
        database: found.unwrap_or(Oid::NONE),
        superuser: known.is_some_and(|role| role.superuser),
        settings: known.map_or_else(Vec::new, |role| role.settings.clone()),
        verifier: known.and_then(|role| role.verifier.clone()),
        may_login: known.is_some_and(|role| role.login),
    })
}
