//! A bound statement becomes a plan: what clients may ask of it before it runs, and the way to run it.
//!
//! - `table_read`: how to reach the rows of one table: by key, by index, by range, all.
//! - `select`: SELECT on the point path. What does not fit there goes to the relational path.
//! - `modify`: INSERT, UPDATE, DELETE with defaults, checks and foreign keys compiled in.
//! - `prepare`: statement in, plan out; `cache` keeps plans by statement text.

mod modify;
mod prepare;
mod select;
mod table_read;

pub(crate) use modify::plan_modify;
pub use modify::{
    ColumnSource, ConflictPlan, ConflictUpdate, ForeignKeyPlan, InsertRows, ModifyAction, ModifyPlan,
};
pub use prepare::{PlanContext, prepare};
pub use select::SelectPlan;
pub(crate) use select::plan_select;
pub(crate) use select::sequence_calls;
pub use table_read::{Access, Bound, Inclusive, RangeBound, TableRead};
pub(crate) use table_read::{choose, conjuncts_of};

use crate::Oid;
use crate::catalog::CatalogSnapshot;
use crate::parse::Statement;
use crate::relational::RelationalPlan;
use crate::types::TypeRef;
use std::sync::Arc;

/// A column of a result, as RowDescription shows it.
#[derive(Clone, Debug)]
pub struct OutputColumn {
    pub name: String,
    pub ty: TypeRef,
    /// Table OID and column number of a plain column.
    pub origin: Option<(Oid, i16)>,
}

/// A statement ready to run, for any values of its parameters. Immutable; shared by executions,
/// portals and sessions.
#[derive(Debug)]
pub struct Plan {
    pub params: Vec<Oid>,
    /// `None`: the statement returns no rows.
    pub columns: Option<Vec<OutputColumn>>,
    pub kind: PlanKind,
    /// The catalog it was bound against. A newer one makes the plan stale.
    pub catalog: Arc<CatalogSnapshot>,
}

#[derive(Debug)]
pub enum PlanKind {
    Select(SelectPlan),
    /// What the point path does not take.
    Relational(Box<RelationalPlan>),
    Modify(Box<ModifyPlan>),
    Ddl(Box<Statement>),
}

impl Plan {
    /// Whether the plan runs on the point path whatever its parameters are.
    pub fn is_point(&self) -> bool {
        matches!(self.kind, PlanKind::Select(_) | PlanKind::Modify(_))
    }

    /// Whether the plan still fits the catalog that a statement sees now.
    pub fn fits(&self, catalog: &CatalogSnapshot) -> bool {
        self.catalog.database == catalog.database
            && self.catalog.version == catalog.version
            && self.catalog.local_version == catalog.local_version
    }
}
