//! From a parsed statement to a plan.

use super::modify::plan_modify;
use super::select::plan_select;
use super::{OutputColumn, Plan, PlanKind};
use crate::bind::{self, BindContext, ParamTypes};
use crate::catalog::CatalogSnapshot;
use crate::ir::{Bound, Query, Target};
use crate::parse::{Body, Statement};
use crate::relational::RelationalPlan;
use crate::session::SessionInfo;
use crate::{Oid, Result, SqlError};
use std::sync::Arc;

/// What planning depends on besides the statement.
#[derive(Clone)]
pub struct PlanContext {
    pub catalog: Arc<CatalogSnapshot>,
    pub info: Arc<SessionInfo>,
}

impl PlanContext {
    /// What binding sees, with the parameter types that it fills in.
    pub(crate) fn bind_context<'a>(&'a self, params: &'a mut ParamTypes) -> BindContext<'a> {
        BindContext {
            catalog: &self.catalog,
            search_path: &self.info.search_path,
            session: &self.info,
            params,
        }
    }
}

/// Binds and plans one statement. `params` are the types that the client declared; the plan tells
/// all of them, inferred ones included.
pub fn prepare(cx: &PlanContext, statement: &Statement, params: &[Oid]) -> Result<Arc<Plan>> {
    let mut types = ParamTypes::declared(params);
    let (kind, columns) = match &statement.body {
        Body::Bindable(_) => match bind::bind(&mut cx.bind_context(&mut types), statement)? {
            Bound::Query(query) => {
                let columns = output_columns(&query.targets);
                (plan_query(cx, query)?, Some(columns))
            }
            Bound::Modify(modify) => {
                let (plan, columns) = plan_modify(cx, &modify)?;
                (PlanKind::Modify(Box::new(plan)), columns)
            }
        },
        Body::Ddl(_) => (PlanKind::Ddl(Box::new(statement.clone())), None),
        Body::Explain(_) => return Err(SqlError::not_built("EXPLAIN")),
        Body::Copy(_) | Body::Session(_) => {
            return Err(SqlError::internal("session statements and COPY are not planned"));
        }
    };
    Ok(Arc::new(Plan { params: types.types().to_vec(), columns, kind, catalog: cx.catalog.clone() }))
}

/// The path of a query: the point path where it can, unless `phantom.executor` names one.
fn plan_query(cx: &PlanContext, query: Query) -> Result<PlanKind> {
    let executor = cx.info.settings.get("phantom.executor").map_or("auto", String::as_str);
    let relational = |query| PlanKind::Relational(Box::new(RelationalPlan::new(query)));
    if executor == "relational" {
        return Ok(relational(query));
    }
    match plan_select(&query, &cx.catalog)? {
        Some(plan) => Ok(PlanKind::Select(plan)),
        None if executor == "point" => Err(SqlError::not_built("a query of this shape on the point path")),
        None => Ok(relational(query)),
    }
}

/// The visible columns of a target list.
pub(super) fn output_columns(targets: &[Target]) -> Vec<OutputColumn> {
    let visible = targets.iter().filter(|t| !t.junk);
    visible.map(|t| OutputColumn { name: t.name.clone(), ty: t.expr.ty, origin: t.origin }).collect()
}
