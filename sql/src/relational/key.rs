//! Columns that compare as PostgreSQL compares: bytes in order, equal exactly for equal values.
//!
//! Where Arrow's own order is PostgreSQL's, the column itself is the key. For the rest the key is the
//! store's key form (see `storage::key`); an array is its elements, each after a byte that says there
//! is one more (1: a value, 2: null, which sorts last), then 0, then its shape; a row is its fields.

use super::column::{ColumnReader, arrow_type};
use super::env::QueryEnv;
use super::error::to_df;
use crate::catalog::{CatalogSnapshot, Descriptor, TypeDefinition};
use crate::registry::Registry;
use crate::table::{key_kind, push_key};
use crate::types::{ArrayValue, Datum, format_type};
use crate::{Oid, Result, SqlError, SqlState};
use datafusion::arrow::array::BinaryViewBuilder;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use storage::key::{ColumnOrder, KeyWriter};

/// How values of a type are compared inside a running query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyClass {
    /// Arrow's order of the column is PostgreSQL's.
    Native,
    /// Through `key_of`.
    Encoded,
}

/// Fails for a type that has no order, or none yet.
pub(super) fn key_class(ty: Oid, catalog: &CatalogSnapshot) -> Result<KeyClass> {
    match ty {
        Oid::BOOL
        | Oid::INT2
        | Oid::INT4
        | Oid::INT8
        | Oid::DATE
        | Oid::TIME
        | Oid::TIMESTAMP
        | Oid::TIMESTAMPTZ
        | Oid::TEXT
        | Oid::VARCHAR
        | Oid::NAME
        | Oid::CHAR
        | Oid::UNKNOWN
        | Oid::BYTEA
        | Oid::UUID => return Ok(KeyClass::Native),
        Oid::RECORD => return Ok(KeyClass::Encoded),
        Oid::JSON | Oid::XML => {
            return Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("could not identify an ordering operator for type {}", format_type(ty, -1)),
            ));
        }
        _ => {}
    }
    if arrow_type(ty) == DataType::UInt32 {
        return Ok(KeyClass::Native);
    }
    let encoded = match element_of(ty, catalog) {
        Some(element) => key_class(element, catalog).is_ok(),
        None => key_kind(ty).is_some() || enum_labels(ty, catalog).is_some(),
    };
    if !encoded {
        return Err(SqlError::not_built(format!(
            "grouping or sorting values of type {}",
            format_type(ty, -1)
        )));
    }
    Ok(KeyClass::Encoded)
}

fn element_of(ty: Oid, _catalog: &CatalogSnapshot) -> Option<Oid> {
    let row = Registry::get().type_by_oid(ty)?;
    (row.elem != Oid::NONE && row.category == 'A').then_some(row.elem)
}

fn enum_labels(ty: Oid, catalog: &CatalogSnapshot) -> Option<&[String]> {
    match catalog.get(ty).map(|d| &**d) {
        Some(Descriptor::Type(t)) => match &t.definition {
            TypeDefinition::Enum { labels } => Some(labels),
        },
        _ => None,
    }
}

/// Appends the key of a value that is not null.
pub(super) fn key_of(value: &Datum, ty: Oid, catalog: &CatalogSnapshot, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Array(array) => array_key(array, catalog, out),
        Datum::Record(fields) => fields.iter().try_for_each(|(ty, field)| item_key(field, *ty, catalog, out)),
        Datum::Text(label) if ty >= Oid::FIRST_USER => {
            let labels = enum_labels(ty, catalog).unwrap_or_default();
            let rank = labels.iter().position(|l| l == label.as_str());
            let rank = rank.ok_or_else(|| SqlError::internal("enum label that its type does not have"))?;
            out.extend((rank as u32).to_be_bytes());
            Ok(())
        }
        value => {
            let mut writer = KeyWriter::after(std::mem::take(out));
            let pushed = push_key(&mut writer, value, ty, ColumnOrder::KEY);
            *out = writer.finish();
            pushed
        }
    }
}

fn item_key(item: &Datum, ty: Oid, catalog: &CatalogSnapshot, out: &mut Vec<u8>) -> Result<()> {
    if item.is_null() {
        out.push(2);
        return Ok(());
    }
    out.push(1);
    key_of(item, ty, catalog, out)
}

fn array_key(array: &ArrayValue, catalog: &CatalogSnapshot, out: &mut Vec<u8>) -> Result<()> {
    for item in &array.items {
        item_key(item, array.element, catalog, out)?;
    }
    out.extend([0, array.dims.len() as u8]);
    for dim in &array.dims {
        out.extend(dim.len.to_be_bytes());
        out.extend(dim.lower.to_be_bytes());
    }
    Ok(())
}

/// A key over several values, nulls equal: for DISTINCT, hash tables and set operations.
pub(super) fn row_key(values: &[(Oid, &Datum)], catalog: &CatalogSnapshot, out: &mut Vec<u8>) -> Result<()> {
    values.iter().try_for_each(|(ty, value)| item_key(value, *ty, catalog, out))
}

/// The expression to compare `expr` by.
pub(super) fn key_expr(expr: Expr, ty: Oid, env: &Arc<QueryEnv>) -> Result<Expr> {
    Ok(match key_class(ty, &env.catalog)? {
        KeyClass::Native => expr,
        KeyClass::Encoded => ScalarUDF::new_from_impl(KeyFunction::new(ty, env)).call(vec![expr]),
    })
}

/// The key of a column, as a function of DataFusion.
#[derive(Debug)]
struct KeyFunction {
    ty: Oid,
    env: Arc<QueryEnv>,
    signature: Signature,
}

impl KeyFunction {
    fn new(ty: Oid, env: &Arc<QueryEnv>) -> KeyFunction {
        KeyFunction { ty, env: env.clone(), signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl PartialEq for KeyFunction {
    fn eq(&self, other: &KeyFunction) -> bool {
        self.ty == other.ty
    }
}

impl Eq for KeyFunction {}

impl Hash for KeyFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ty.hash(state);
    }
}

impl ScalarUDFImpl for KeyFunction {
    fn name(&self) -> &str {
        "key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::BinaryView)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [array] = &arrays[..] else { return Err(to_df(SqlError::internal("key of several columns"))) };
        let reader = ColumnReader::new(array, self.ty).map_err(to_df)?;
        let mut builder = BinaryViewBuilder::with_capacity(array.len());
        let mut key = vec![];
        for row in 0..array.len() {
            match reader.get(row).map_err(to_df)? {
                Datum::Null => builder.append_null(),
                value => {
                    key.clear();
                    key_of(&value, self.ty, &self.env.catalog, &mut key).map_err(to_df)?;
                    builder.append_value(&key);
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(builder.finish())))
    }
}
