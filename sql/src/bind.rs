//! From syntax to the typed tree: names, types, functions and coercions as PostgreSQL's analyser
//! finds them.
//!
//! - `scope`: what names are visible where; `suggest`: the hints for misspelt ones.
//! - `expr` and `special`: expressions; `call`: functions, aggregates and windows.
//! - `resolve`: overload resolution of functions and operators; `coerce`: casts and common types.
//! - `typename`: type names; `literal`: constants.
//! - `select`, `from`, `group`, `dml`: whole statements.
//!
//! One `Binder` serves one statement. Query levels nest on a stack; a column says how many levels
//! up its query stands.

mod call;
mod coerce;
mod column_name;
mod dml;
mod expr;
mod from;
mod group;
mod literal;
mod order;
mod resolve;
mod scope;
mod select;
mod special;
mod suggest;
mod typename;
mod walk;

use crate::catalog::{CatalogSnapshot, Descriptor, TableDescriptor};
use crate::ir::{Bound, Expr};
use crate::parse::{self, Statement};
use crate::session::info::SessionInfo;
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use scope::{Clause, Level};
use sqlparser::ast;
use std::sync::Arc;

/// What binding needs to know of its session.
pub struct BindContext<'a> {
    pub catalog: &'a CatalogSnapshot,
    /// Schemas to look for unqualified names in, without the implicit `pg_catalog`.
    pub search_path: &'a [Oid],
    pub session: &'a SessionInfo,
    pub params: &'a mut ParamTypes,
}

/// Types of `$n`: declared by the client, or found by the first use that tells.
#[derive(Clone, Debug, Default)]
pub struct ParamTypes {
    types: Vec<Oid>,
}

impl ParamTypes {
    /// Types as a client declared them; `Oid::NONE` and `unknown` leave the type open.
    pub fn declared(types: &[Oid]) -> ParamTypes {
        let types = types.iter().map(|t| if *t == Oid::UNKNOWN { Oid::NONE } else { *t }).collect();
        ParamTypes { types }
    }

    /// The type of parameter `n` (from 1), `Oid::UNKNOWN` while it is open.
    fn get(&mut self, n: u16) -> Oid {
        let at = usize::from(n) - 1;
        if self.types.len() <= at {
            self.types.resize(at + 1, Oid::NONE);
        }
        if self.types[at] == Oid::NONE { Oid::UNKNOWN } else { self.types[at] }
    }

    /// The types after binding, in order.
    pub fn types(&self) -> &[Oid] {
        &self.types
    }

    /// Fails with 42P18 when a parameter's type is still open.
    fn check(&self) -> Result<()> {
        match self.types.iter().position(|t| *t == Oid::NONE) {
            Some(at) => Err(SqlError::new(
                SqlState::INDETERMINATE_DATATYPE,
                format!("could not determine data type of parameter ${}", at + 1),
            )),
            None => Ok(()),
        }
    }
}

/// Binds one statement of the bindable kind.
///
/// Errors carry PostgreSQL's SQLSTATE, message, hint and the byte offset in the query string.
pub fn bind(cx: &mut BindContext<'_>, statement: &Statement) -> Result<Bound> {
    let parse::Body::Bindable(tree) = &statement.body else {
        return Err(SqlError::internal("only queries and modifications are bound"));
    };
    let mut params = std::mem::take(cx.params);
    let (catalog, search_path, session) = (cx.catalog, cx.search_path, cx.session);
    let bound = parse::with_deep_stack(statement.nesting, || {
        let mut binder = Binder::new(catalog, search_path, session, &mut params, &statement.text);
        binder.statement(tree)
    });
    let checked = bound.and_then(|bound| params.check().map(|()| bound));
    *cx.params = params;
    checked
}

/// Binds an expression kept as SQL text: a default, CHECK, index or generated expression. Columns
/// are those of `table` as range 0; `want` is the type to assign to, if any.
pub fn bind_expr_text(
    cx: &mut BindContext<'_>,
    text: &str,
    table: Option<&TableDescriptor>,
    want: Option<TypeRef>,
) -> Result<Expr> {
    let tree = parse::expression(text)?;
    bind_expr(cx, text, &tree, table, want)
}

/// As `bind_expr_text`, for an expression already parsed out of `text`.
pub fn bind_expr(
    cx: &mut BindContext<'_>,
    text: &str,
    tree: &ast::Expr,
    table: Option<&TableDescriptor>,
    want: Option<TypeRef>,
) -> Result<Expr> {
    let mut binder = Binder::new(cx.catalog, cx.search_path, cx.session, cx.params, text);
    binder.push_level();
    if let Some(table) = table {
        let descriptor = Arc::new(Descriptor::Table(table.clone()));
        binder.add_table(&descriptor, table.name.clone(), true)?;
    }
    let expr = binder.expr_in(Clause::Default, tree)?;
    match want {
        Some(want) => binder.assign(expr, want, None),
        None => Ok(binder.unknown_to_text(expr)),
    }
}

/// The type that a type name means.
pub fn resolve_type(cx: &mut BindContext<'_>, name: &ast::DataType) -> Result<TypeRef> {
    Binder::new(cx.catalog, cx.search_path, cx.session, cx.params, "").type_name(name)
}

/// The relation that a name means: 42P01 with the name's place when there is none.
pub fn resolve_relation(cx: &mut BindContext<'_>, name: &ast::ObjectName) -> Result<Arc<Descriptor>> {
    Binder::new(cx.catalog, cx.search_path, cx.session, cx.params, "").relation(name)
}

struct Binder<'a> {
    catalog: &'a CatalogSnapshot,
    search_path: &'a [Oid],
    session: &'a SessionInfo,
    params: &'a mut ParamTypes,
    text: &'a str,
    levels: Vec<Level>,
    clause: Clause,
}

impl<'a> Binder<'a> {
    fn new(
        catalog: &'a CatalogSnapshot,
        search_path: &'a [Oid],
        session: &'a SessionInfo,
        params: &'a mut ParamTypes,
        text: &'a str,
    ) -> Binder<'a> {
        Binder { catalog, search_path, session, params, text, levels: Vec::new(), clause: Clause::Select }
    }

    fn statement(&mut self, tree: &ast::Statement) -> Result<Bound> {
        match tree {
            ast::Statement::Query(query) => match &*query.body {
                ast::SetExpr::Insert(inner) | ast::SetExpr::Update(inner) | ast::SetExpr::Delete(inner) => {
                    self.modify_with(inner, query.with.as_ref()).map(Bound::Modify)
                }
                _ => {
                    let mut bound = self.query(query)?;
                    self.finish_unknown_targets(&mut bound);
                    Ok(Bound::Query(bound))
                }
            },
            other => self.modify_with(other, None).map(Bound::Modify),
        }
    }
}
