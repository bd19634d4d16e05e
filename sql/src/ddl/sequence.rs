//! CREATE SEQUENCE, and the sequences of serial and identity columns.

use super::names::{parts, target};
use super::{change, names};
use crate::catalog::store::sequence_key;
use crate::catalog::{Descriptor, SequenceDescriptor};
use crate::exec::ExecContext;
use crate::node::SequenceState;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{Expr, ObjectName, SequenceOptions, Statement as Ast, UnaryOperator, Value};

pub(super) async fn create(ast: &Ast, cx: &mut ExecContext<'_>) -> Result<&'static str> {
    let Ast::CreateSequence { temporary, if_not_exists, name, data_type, sequence_options, owned_by } = ast
    else {
        return Err(SqlError::internal("not CREATE SEQUENCE"));
    };
    if *temporary {
        return Err(SqlError::not_built("CREATE TEMPORARY SEQUENCE"));
    }
    let (schema, name) = target(name, cx)?;
    if *if_not_exists && cx.txn.catalog().snapshot().relation(schema, &name).is_some() {
        let message = format!("relation \"{name}\" already exists, skipping");
        cx.notice(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        return Ok("CREATE SEQUENCE");
    }
    let ty = match data_type {
        Some(ty) => super::rewrite::resolve_type(cx, ty)?.oid,
        None => Oid::INT8,
    };
    if !matches!(ty, Oid::INT2 | Oid::INT4 | Oid::INT8) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "sequence type must be smallint, integer, or bigint",
        ));
    }
    let mut sequence = SequenceDescriptor {
        oid: cx.node.next_oid().await?,
        database: cx.info.database,
        name,
        schema,
        owner: cx.info.role,
        owned_by: owned_by.as_ref().map(|o| owner_column(o, cx)).transpose()?.flatten(),
        ..of_type(ty)
    };
    apply_options(&mut sequence, sequence_options)?;
    create_row(cx, sequence).await?;
    Ok("CREATE SEQUENCE")
}

/// `OWNED BY table.column`; NONE is no owner.
fn owner_column(name: &ObjectName, cx: &ExecContext<'_>) -> Result<Option<(Oid, i16)>> {
    let mut all = parts(name)?;
    if all == ["none"] {
        return Ok(None);
    }
    let column = all.pop().unwrap_or_default();
    let mut table = name.clone();
    table.0.pop();
    let table = names::table(&table, cx)?;
    let column = table.column_named(&column).ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{}\" does not exist", table.name),
        )
    })?;
    Ok(Some((table.oid, column.number)))
}

/// Writes the descriptor and the sequence's first state.
pub(super) async fn create_row(cx: &mut ExecContext<'_>, sequence: SequenceDescriptor) -> Result<()> {
    let (oid, start) = (sequence.oid, sequence.start);
    change::create(cx, Descriptor::Sequence(sequence)).await?;
    let state = SequenceState::fresh(start).encode();
    cx.txn.write(cx.node, "CREATE SEQUENCE")?.put(sequence_key(oid).into(), state.into());
    Ok(())
}

/// An ascending sequence with the defaults of its type.
pub(super) fn of_type(ty: Oid) -> SequenceDescriptor {
    SequenceDescriptor {
        oid: Oid::NONE,
        database: Oid::NONE,
        name: String::new(),
        schema: Oid::NONE,
        owner: Oid::NONE,
        ty,
        start: 1,
        increment: 1,
        min: 1,
        max: type_bounds(ty).1,
        cache: 1,
        cycle: false,
        owned_by: None,
        acl: None,
    }
}

fn type_bounds(ty: Oid) -> (i64, i64) {
    match ty {
        Oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

/// Applies options in PostgreSQL's order: increment, bounds, start; checks them against each other.
pub(super) fn apply_options(sequence: &mut SequenceDescriptor, options: &[SequenceOptions]) -> Result<()> {
    let invalid = |message: String| SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let (low, high) = type_bounds(sequence.ty);
    let (mut min, mut max, mut start) = (None, None, None);
    for option in options {
        match option {
            SequenceOptions::IncrementBy(value, _) => sequence.increment = integer(value)?,
            SequenceOptions::MinValue(value) => min = value.as_ref().map(integer).transpose()?,
            SequenceOptions::MaxValue(value) => max = value.as_ref().map(integer).transpose()?,
            SequenceOptions::StartWith(value, _) => start = Some(integer(value)?),
            SequenceOptions::Cache(value) => sequence.cache = integer(value)?,
            // The crate says whether NO stands before the word.
            SequenceOptions::Cycle(no) => sequence.cycle = !*no,
        }
    }
    if sequence.increment == 0 {
        return Err(invalid("INCREMENT must not be zero".into()));
    }
    if sequence.cache <= 0 {
        return Err(invalid(format!("CACHE ({}) must be greater than zero", sequence.cache)));
    }
    let ascending = sequence.increment > 0;
    sequence.min = min.unwrap_or(if ascending { 1 } else { low });
    sequence.max = max.unwrap_or(if ascending { high } else { -1 });
    if sequence.min >= sequence.max {
        let (min, max) = (sequence.min, sequence.max);
        return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
    }
    for (bound, word) in [(sequence.max, "MAXVALUE"), (sequence.min, "MINVALUE")] {
        if !(low..=high).contains(&bound) {
            let name = crate::types::format_type(sequence.ty, -1);
            return Err(invalid(format!("{word} ({bound}) is out of range for sequence data type {name}")));
        }
    }
    sequence.start = start.unwrap_or(if ascending { sequence.min } else { sequence.max });
    if sequence.start < sequence.min {
        let (start, min) = (sequence.start, sequence.min);
        return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
    }
    if sequence.start > sequence.max {
        let (start, max) = (sequence.start, sequence.max);
        return Err(invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})")));
    }
    Ok(())
}

/// A signed integer literal.
fn integer(expr: &Expr) -> Result<i64> {
    let parse = |text: String| {
        text.parse().map_err(|_| {
            SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type bigint"),
            )
        })
    };
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => parse(text.clone()),
            _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{expr}\""))),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => parse(format!("-{expr}")),
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => integer(expr),
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{expr}\""))),
    }
}
