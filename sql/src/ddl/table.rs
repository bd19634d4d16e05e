//! CREATE TABLE.

use super::names::{fold, made_up, target};
use super::{change, constraint, sequence};
use crate::catalog::{
    Column, Descriptor, Identity, Persistence, RowLayout, SequenceDescriptor, TableDescriptor,
};
use crate::exec::ExecContext;
use crate::table::storable;
use crate::types::{self, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, CreateTableOptions, DataType, GeneratedAs, Ident, SequenceOptions,
    TableConstraint,
};

/// PostgreSQL's limit of columns.
const MOST_COLUMNS: usize = 1600;

/// A table being defined: its descriptor, and what has to be made with it.
pub(super) struct Definition {
    pub(super) table: TableDescriptor,
    pub(super) constraints: Vec<TableConstraint>,
    pub(super) sequences: Vec<SequenceDescriptor>,
}

pub(super) async fn create(create: &CreateTable, cx: &mut ExecContext<'_>) -> Result<String> {
    refuse_unbuilt(create)?;
    let (schema, name) = target(&create.name, cx)?;
    if create.if_not_exists && cx.txn.catalog().snapshot().relation(schema, &name).is_some() {
        cx.notice(SqlError::new(
            SqlState::DUPLICATE_TABLE,
            format!("relation \"{name}\" already exists, skipping"),
        ));
        return Ok("CREATE TABLE".into());
    }
    let mut definition = begin(create, schema, name, cx).await?;
    for column in &create.columns {
        add_column(&mut definition, column, cx).await?;
    }
    if definition.table.columns.len() > MOST_COLUMNS {
        return Err(SqlError::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("tables can have at most {MOST_COLUMNS} columns"),
        ));
    }
    definition.constraints.extend(create.constraints.iter().cloned());
    let Definition { mut table, constraints, sequences } = definition;
    set_layout(&mut table);
    change::create(cx, Descriptor::Table(table.clone())).await?;
    for sequence in sequences {
        sequence::create_row(cx, sequence).await?;
    }
    constraint::add_all(cx, table.oid, &constraints).await?;
    Ok("CREATE TABLE".into())
}

fn refuse_unbuilt(create: &CreateTable) -> Result<()> {
    let unbuilt = [
        (create.temporary, "CREATE TEMPORARY TABLE"),
        (create.query.is_some(), "CREATE TABLE AS"),
        (create.like.is_some(), "CREATE TABLE ... LIKE"),
        (create.partition_by.is_some(), "CREATE TABLE ... PARTITION BY"),
        (create.on_commit.is_some(), "CREATE TABLE ... ON COMMIT"),
        (create.inherits.is_some(), "CREATE TABLE ... INHERITS"),
        (create.unlogged, "CREATE UNLOGGED TABLE"),
        (create.partition_of.is_some(), "CREATE TABLE ... PARTITION OF"),
    ];
    match unbuilt.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(SqlError::not_built(what)),
        None => Ok(()),
    }
}

async fn begin(
    create: &CreateTable,
    schema: Oid,
    name: String,
    cx: &mut ExecContext<'_>,
) -> Result<Definition> {
    let oid = cx.node.next_oid().await?;
    let options = match &create.table_options {
        CreateTableOptions::None => vec![],
        CreateTableOptions::With(options) | CreateTableOptions::Options(options) => {
            options.iter().map(storage_option).collect::<Result<_>>()?
        }
        _ => return Err(SqlError::not_built("this table option")),
    };
    let table = TableDescriptor {
        oid,
        database: cx.info.database,
        name,
        schema,
        owner: cx.info.role,
        storage_id: u64::from(oid.0),
        persistence: Persistence::Permanent,
        columns: vec![],
        primary_key: Oid::NONE,
        key_columns: vec![],
        layouts: vec![],
        next_index_number: 1,
        checks: vec![],
        foreign_keys: vec![],
        acl: None,
        options,
        comment: None,
    };
    Ok(Definition { table, constraints: vec![], sequences: vec![] })
}

/// A storage parameter. `fillfactor` and the autovacuum family steer PostgreSQL's heap: they are
/// kept and shown, and there is nothing here for them to steer.
fn storage_option(option: &sqlparser::ast::SqlOption) -> Result<(String, String)> {
    let sqlparser::ast::SqlOption::KeyValue { key, value } = option else {
        return Err(SqlError::not_built(format!("table option {option}")));
    };
    let name = fold(key);
    if name == "fillfactor" || name.starts_with("autovacuum_") {
        return Ok((name, value.to_string()));
    }
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized parameter \"{name}\"")))
}

/// Adds one column; its constraints join the table's, its sequence the definition's.
pub(super) async fn add_column(
    definition: &mut Definition,
    column: &ColumnDef,
    cx: &mut ExecContext<'_>,
) -> Result<()> {
    let name = fold(&column.name);
    if definition.table.column_named(&name).is_some() {
        return Err(SqlError::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column \"{name}\" specified more than once"),
        ));
    }
    let serial = serial_type(&column.data_type);
    let ty = match serial {
        Some(oid) => TypeRef::of(oid),
        None => super::rewrite::resolve_type(cx, &column.data_type)?,
    };
    if !storable(ty.oid) {
        return Err(SqlError::new(
            SqlState::INVALID_TABLE_DEFINITION,
            format!("column \"{name}\" has pseudo-type {}", types::format_type(ty.oid, -1)),
        ));
    }
    let number = i16::try_from(definition.table.columns.len() + 1)
        .map_err(|_| SqlError::new(SqlState::TOO_MANY_COLUMNS, "too many columns"))?;
    definition.table.columns.push(Column {
        number,
        name: name.clone(),
        ty,
        not_null: serial.is_some(),
        default: None,
        identity: None,
        generated: None,
        missing: None,
        dropped: false,
        comment: None,
    });
    if let Some(ty) = serial {
        let sequence = owned_sequence(definition, number, ty, &[], cx).await?;
        let default = format!("nextval('{sequence}'::regclass)");
        column_mut(definition, number).default = Some(default);
    }
    for option in &column.options {
        apply_option(definition, number, option.name.as_ref(), &option.option, cx).await?;
    }
    Ok(())
}

fn column_mut(definition: &mut Definition, number: i16) -> &mut Column {
    &mut definition.table.columns[number as usize - 1]
}

/// The integer type behind serial, or `None`.
fn serial_type(ty: &DataType) -> Option<Oid> {
    let DataType::Custom(name, modifiers) = ty else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    match name.to_string().to_lowercase().as_str() {
        "smallserial" | "serial2" => Some(Oid::INT2),
        "serial" | "serial4" => Some(Oid::INT4),
        "bigserial" | "serial8" => Some(Oid::INT8),
        _ => None,
    }
}

/// Plans the sequence of a serial or identity column; its OID.
async fn owned_sequence(
    definition: &mut Definition,
    number: i16,
    ty: Oid,
    options: &[SequenceOptions],
    cx: &mut ExecContext<'_>,
) -> Result<Oid> {
    let (table, column) = (&definition.table, definition.table.columns[number as usize - 1].name.clone());
    let planned = &definition.sequences;
    let catalog = cx.txn.catalog().snapshot();
    let taken = |name: &str| planned.iter().any(|s| s.name == name);
    let name = made_up(catalog, table.schema, &table.name, &[&column], "seq", taken);
    let oid = cx.node.next_oid().await?;
    let mut sequence = SequenceDescriptor {
        oid,
        database: definition.table.database,
        name,
        schema: definition.table.schema,
        owner: definition.table.owner,
        owned_by: Some((definition.table.oid, number)),
        ..sequence::of_type(ty)
    };
    sequence::apply_options(&mut sequence, options)?;
    definition.sequences.push(sequence);
    Ok(oid)
}

/// Binds a default to see that it can be; columns are out of its reach.
fn check_default(cx: &ExecContext<'_>, text: &str, ty: TypeRef) -> Result<()> {
    match super::rewrite::bind_text(cx, text, None, ty) {
        Ok(_) => Ok(()),
        Err(error) if error.code() == SqlState::UNDEFINED_COLUMN => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot use column reference in DEFAULT expression",
        )),
        Err(error) => Err(error),
    }
}

async fn apply_option(
    definition: &mut Definition,
    number: i16,
    name: Option<&Ident>,
    option: &ColumnOption,
    cx: &mut ExecContext<'_>,
) -> Result<()> {
    let column = column_mut(definition, number);
    match option {
        ColumnOption::Null => {}
        ColumnOption::NotNull => column.not_null = true,
        ColumnOption::Default(expr) => {
            let (text, ty) = (expr.to_string(), column.ty);
            // Bound now, so that a default that cannot be is refused here.
            check_default(cx, &text, ty)?;
            column.default = Some(text);
        }
        ColumnOption::Collation(collation) => {
            let collation = collation.to_string();
            if !matches!(collation.trim_matches('"'), "C" | "POSIX" | "default" | "pg_catalog.\"default\"") {
                return Err(SqlError::not_built(format!("collation {collation}")));
            }
        }
        ColumnOption::Generated { generated_as, sequence_options, generation_expr, .. } => {
            if let Some(expr) = generation_expr {
                column.generated = Some(expr.to_string());
                return Ok(());
            }
            column.identity = Some(match generated_as {
                GeneratedAs::Always => Identity::Always,
                _ => Identity::ByDefault,
            });
            column.not_null = true;
            let ty = column.ty.oid;
            if !matches!(ty, Oid::INT2 | Oid::INT4 | Oid::INT8) {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "identity column type must be smallint, integer, or bigint",
                ));
            }
            owned_sequence(definition, number, ty, sequence_options.as_deref().unwrap_or(&[]), cx).await?;
        }
        option => {
            let own = column.name.clone();
            let constraint = constraint::of_column(option, &own, name)
                .ok_or_else(|| SqlError::not_built(format!("column option {option}")))?;
            definition.constraints.push(constraint);
        }
    }
    Ok(())
}

/// Makes the row layout of the columns as they are now the newest one.
pub(super) fn set_layout(table: &mut TableDescriptor) {
    let columns = crate::table::layout_columns(table);
    if table.layouts.last().is_some_and(|l| l.columns == columns) {
        return;
    }
    let id = table.layouts.last().map_or(1, |l| l.id + 1);
    table.layouts.push(RowLayout { id, columns });
}
