//! COPY planned: the table or query, its columns, the checks of new rows.

use super::options::{Format, format_of};
use crate::bind::{self, BindContext, ParamTypes};
use crate::catalog::{Column, Descriptor, TableDescriptor};
use crate::expr::{Compiled, compile};
use crate::ir::{
    ColumnRef, Expr, ExprKind, FromItem, InsertSource, Modify, ModifyKind, Overriding, Query, RangeColumn,
    RangeEntry, RangeIndex, RangeKind, Target,
};
use crate::parse::{self, Copy, CopyEndpoint, CopyTarget, Statement};
use crate::plan::{self, Plan, PlanContext, PlanKind};
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;

/// Which way the rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyDirection {
    /// COPY FROM STDIN: the client sends.
    In,
    /// COPY TO STDOUT: the server sends.
    Out,
}

/// A COPY ready to run. Immutable; good for as long as its catalog is (`CopyPlan::fits`).
#[derive(Debug)]
pub struct CopyPlan {
    pub(super) format: Format,
    pub(super) direction: CopyDirection,
    /// The table's name in error contexts; the target of a query has none.
    pub(super) table: String,
    pub(super) columns: Vec<CopyColumn>,
    /// In: the insertion, with the given columns as its input. Out: the query.
    pub(super) plan: Arc<Plan>,
    /// COPY FROM ... WHERE, over the table's row.
    pub(super) filter: Option<Compiled>,
}

/// One column of the copied rows.
#[derive(Clone, Debug)]
pub(super) struct CopyColumn {
    pub(super) name: String,
    pub(super) ty: TypeRef,
    pub(super) force_quote: bool,
    pub(super) force_not_null: bool,
    pub(super) force_null: bool,
}

impl CopyPlan {
    pub fn direction(&self) -> CopyDirection {
        self.direction
    }

    /// Number of columns, for CopyInResponse and CopyOutResponse.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// The format code of the whole and of every column: 0 text (csv as well), 1 binary.
    pub fn format_code(&self) -> i16 {
        i16::from(self.format == Format::Binary)
    }

    /// Whether the plan still fits the catalog that a statement sees now.
    pub fn fits(&self, catalog: &crate::catalog::CatalogSnapshot) -> bool {
        self.plan.fits(catalog)
    }
}

/// Checks and plans a COPY. `statement` is the statement that `copy` is the body of: error positions
/// and the WHERE clause refer to its text.
pub fn plan_copy(cx: &PlanContext, copy: &Copy, statement: &Statement) -> Result<Arc<CopyPlan>> {
    check_endpoint(cx, copy)?;
    let format = format_of(copy)?;
    let planned = match &copy.target {
        CopyTarget::Query(query) => plan_query(cx, query)?,
        CopyTarget::Table { name, columns, .. } => {
            let descriptor = relation(cx, name)?;
            let table = table_of(&descriptor, copy.from)?;
            let chosen = chosen_columns(table, columns)?;
            match copy.from {
                true => plan_in(cx, copy, statement, &descriptor, table, chosen)?,
                false => plan_out(cx, &descriptor, table, &chosen)?,
            }
        }
    };
    let Planned { table, known, columns, plan, filter } = planned;
    let columns = forced(copy, table.as_deref(), &known, columns)?;
    let direction = if copy.from { CopyDirection::In } else { CopyDirection::Out };
    let table = table.unwrap_or_default();
    Ok(Arc::new(CopyPlan { format, direction, table, columns, plan, filter }))
}

struct Planned {
    table: Option<String>,
    /// Names of all columns that the table has, copied or not; empty for a query.
    known: Vec<String>,
    columns: Vec<(String, TypeRef)>,
    plan: Arc<Plan>,
    filter: Option<Compiled>,
}

/// Files and programs of the server's machine: the client's end only is built.
fn check_endpoint(cx: &PlanContext, copy: &Copy) -> Result<()> {
    let (role, way, what) = match (&copy.endpoint, copy.from) {
        (CopyEndpoint::Client, _) => return Ok(()),
        (CopyEndpoint::Program(_), _) => {
            ("pg_execute_server_program", "to or from an external program", "COPY with a program")
        }
        (CopyEndpoint::File(_), true) => {
            ("pg_read_server_files", "from a file", "COPY from a file of the server")
        }
        (CopyEndpoint::File(_), false) => {
            ("pg_write_server_files", "to a file", "COPY to a file of the server")
        }
    };
    if cx.info.superuser {
        return Err(SqlError::not_built(what));
    }
    let message = format!("must be superuser or have privileges of the {role} role to COPY {way}");
    Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
        .with_hint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone."))
}

fn relation(cx: &PlanContext, name: &[String]) -> Result<Arc<Descriptor>> {
    let missing = || {
        let message = format!("relation \"{}\" does not exist", name.join("."));
        SqlError::new(SqlState::UNDEFINED_TABLE, message)
    };
    let in_schema = |schema: &str, relation: &str| {
        cx.catalog.schema(schema).and_then(|schema| cx.catalog.relation(schema, relation)).cloned()
    };
    match name {
        [relation] => cx.info.search_path.iter().find_map(|s| cx.catalog.relation(*s, relation)).cloned(),
        [schema, relation] => in_schema(schema, relation),
        [database, schema, relation] if **database == *cx.info.database_name => in_schema(schema, relation),
        _ => {
            let message = format!("cross-database references are not implemented: \"{}\"", name.join("."));
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
    }
    .ok_or_else(missing)
}

fn table_of(descriptor: &Descriptor, from: bool) -> Result<&TableDescriptor> {
    let name = descriptor.name();
    let way = if from { "to" } else { "from" };
    let wrong = |message: String| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
    match descriptor {
        Descriptor::Table(table) => Ok(table),
        Descriptor::Index(_) => Err(wrong(format!("\"{name}\" is an index"))),
        Descriptor::Sequence(_) => Err(wrong(format!("cannot copy {way} sequence \"{name}\""))),
        Descriptor::View(_) => {
            Err(wrong(format!("cannot copy {way} view \"{name}\"")).with_hint(match from {
                true => "To enable copying to a view, provide an INSTEAD OF INSERT trigger.",
                false => "Try the COPY (SELECT ...) TO variant.",
            }))
        }
        _ => Err(wrong(format!("cannot copy {way} non-table relation \"{name}\""))),
    }
}

/// The columns of a list, or all that can be copied.
fn chosen_columns<'t>(table: &'t TableDescriptor, names: &[String]) -> Result<Vec<&'t Column>> {
    if names.is_empty() {
        return Ok(table.live_columns().filter(|c| c.generated.is_none()).collect());
    }
    let mut chosen: Vec<&Column> = vec![];
    for name in names {
        let column = table.column_named(name).ok_or_else(|| unknown_column(name, Some(&table.name)))?;
        if column.generated.is_some() {
            let message = format!("column \"{name}\" is a generated column");
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                .with_detail("Generated columns cannot be used in COPY."));
        }
        if chosen.iter().any(|c| c.number == column.number) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        chosen.push(column);
    }
    Ok(chosen)
}

fn unknown_column(name: &str, table: Option<&str>) -> SqlError {
    let message = match table {
        Some(table) => format!("column \"{name}\" of relation \"{table}\" does not exist"),
        None => format!("column \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}

/// Marks the columns that the FORCE_ options name.
fn forced(
    copy: &Copy,
    table: Option<&str>,
    known: &[String],
    columns: Vec<(String, TypeRef)>,
) -> Result<Vec<CopyColumn>> {
    let options = &copy.options;
    let all = options.force_quote.as_ref().is_some_and(Vec::is_empty);
    let quoted = options.force_quote.as_deref().unwrap_or_default();
    let copied = |name: &String| columns.iter().any(|(column, _)| column == name);
    let lists = [
        ("FORCE_QUOTE", quoted),
        ("FORCE_NOT_NULL", &options.force_not_null[..]),
        ("FORCE_NULL", &options.force_null[..]),
    ];
    for (option, names) in lists {
        for name in names {
            if !copied(name) && !known.contains(name) {
                return Err(unknown_column(name, table));
            }
            if !copied(name) {
                let message = format!("{option} column \"{name}\" not referenced by COPY");
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
            }
        }
    }
    let marked = |(name, ty): (String, TypeRef)| CopyColumn {
        force_quote: all || quoted.contains(&name),
        force_not_null: options.force_not_null.contains(&name),
        force_null: options.force_null.contains(&name),
        name,
        ty,
    };
    Ok(columns.into_iter().map(marked).collect())
}

fn known_names(table: &TableDescriptor) -> Vec<String> {
    table.live_columns().map(|c| c.name.clone()).collect()
}

fn names_and_types(columns: &[&Column]) -> Vec<(String, TypeRef)> {
    columns.iter().map(|c| (c.name.clone(), c.ty)).collect()
}

/// COPY (query) TO.
fn plan_query(cx: &PlanContext, query: &Statement) -> Result<Planned> {
    let plan = plan::prepare(cx, query, &[])?;
    let Some(output) = &plan.columns else {
        let message = "COPY query must have a RETURNING clause";
        return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    };
    let columns = output.iter().map(|c| (c.name.clone(), c.ty)).collect();
    Ok(Planned { table: None, known: vec![], columns, plan, filter: None })
}

/// COPY table TO: a SELECT of the chosen columns.
fn plan_out(
    cx: &PlanContext,
    descriptor: &Arc<Descriptor>,
    table: &TableDescriptor,
    chosen: &[&Column],
) -> Result<Planned> {
    let range_column = |c: &Column| RangeColumn { name: c.name.clone(), ty: c.ty, number: c.number };
    let target = |c: &&Column| Target {
        expr: Expr::new(
            ExprKind::Column(ColumnRef { levels_up: 0, range: RangeIndex(0), column: c.number }),
            c.ty,
        ),
        name: c.name.clone(),
        origin: Some((table.oid, c.number)),
        junk: false,
    };
    let query = Query {
        ranges: vec![RangeEntry {
            kind: RangeKind::Table(descriptor.clone()),
            alias: table.name.clone(),
            columns: table.live_columns().map(range_column).collect(),
        }],
        from: vec![FromItem::Range(RangeIndex(0))],
        targets: chosen.iter().map(target).collect(),
        ..Query::default()
    };
    let select = plan::plan_select(&query, &cx.catalog)?;
    let select = select.ok_or_else(|| SqlError::internal("COPY of a table that cannot be read"))?;
    let plan =
        Plan { params: vec![], columns: None, kind: PlanKind::Select(select), catalog: cx.catalog.clone() };
    let columns = names_and_types(chosen);
    Ok(Planned {
        table: Some(table.name.clone()),
        known: known_names(table),
        columns,
        plan: Arc::new(plan),
        filter: None,
    })
}

/// COPY table FROM: an INSERT that takes the chosen columns; a value for an identity column is taken
/// as OVERRIDING SYSTEM VALUE would.
fn plan_in(
    cx: &PlanContext,
    copy: &Copy,
    statement: &Statement,
    descriptor: &Arc<Descriptor>,
    table: &TableDescriptor,
    chosen: Vec<&Column>,
) -> Result<Planned> {
    let modify = Modify {
        table: descriptor.clone(),
        kind: ModifyKind::Insert {
            columns: chosen.iter().map(|c| c.number).collect(),
            source: InsertSource::Values(vec![]),
            on_conflict: None,
            overriding: Some(Overriding::System),
        },
        query: Query::default(),
        returning: vec![],
    };
    let (modify, _) = plan::plan_modify(cx, &modify)?;
    let filter = copy.filter.as_ref().map(|tree| filter_of(cx, tree, statement, table)).transpose()?;
    let kind = PlanKind::Modify(Box::new(modify));
    let plan = Plan { params: vec![], columns: None, kind, catalog: cx.catalog.clone() };
    let columns = names_and_types(&chosen);
    Ok(Planned {
        table: Some(table.name.clone()),
        known: known_names(table),
        columns,
        plan: Arc::new(plan),
        filter,
    })
}

fn filter_of(
    cx: &PlanContext,
    tree: &sqlparser::ast::Expr,
    statement: &Statement,
    table: &TableDescriptor,
) -> Result<Compiled> {
    let mut params = ParamTypes::default();
    let mut bind_cx = BindContext {
        catalog: &cx.catalog,
        search_path: &cx.info.search_path,
        session: &cx.info,
        params: &mut params,
    };
    let expr = parse::with_deep_stack(statement.nesting, || {
        bind::bind_expr(&mut bind_cx, &statement.text, tree, Some(table), None)
    })?;
    if expr.ty.oid != Oid::BOOL {
        let ty = crate::types::format_type(expr.ty.oid, -1);
        let message = format!("argument of WHERE must be type boolean, not type {ty}");
        let error = SqlError::new(SqlState::DATATYPE_MISMATCH, message);
        return Err(expr.at.map_or(error.clone(), |at| error.at(at)));
    }
    let mut generated = None;
    expr.walk(&mut |e| {
        if let ExprKind::Column(c) = &e.kind {
            let column = table.column(c.column).filter(|c| c.generated.is_some());
            generated = generated.or(column);
        }
    });
    if let Some(column) = generated {
        let message = "generated columns are not supported in COPY FROM WHERE conditions";
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
            .with_detail(format!("Column \"{}\" is a generated column.", column.name)));
    }
    let width = table.columns.len();
    compile(&expr, &|c| {
        usize::try_from(c.column - 1).ok().filter(|slot| c.range == RangeIndex(0) && *slot < width)
    })
}
