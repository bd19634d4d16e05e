//! Columns of values: PostgreSQL's types on Arrow's, and the way between `Datum` and arrays.
//!
//! | type | Arrow | Arrow's order is PostgreSQL's |
//! |---|---|---|
//! | bool, int2/4/8 | Boolean, Int16/32/64 | yes |
//! | oid and reg* | UInt32 | yes |
//! | date | Int32 (days since 2000-01-01) | yes |
//! | time, timestamp, timestamptz | Int64 (microseconds) | yes |
//! | text, varchar, name, "char", unknown | Utf8View | yes (collation C) |
//! | bytea | BinaryView | yes |
//! | uuid | FixedSizeBinary(16) | yes |
//! | float4/8 | Float32/64 | no: -0 and NaN |
//! | bpchar, json, xml | Utf8View | no |
//! | jsonb | BinaryView | no |
//! | numeric, interval, timetz, arrays, rows, user types | BinaryView (`opaque`) | no |
//!
//! numeric stays in its own digits: 1.0 and 1.00 are one group and still print their scale, NaN and
//! infinities exist, and no value is too long. Where the order is not PostgreSQL's, `key` gives a
//! column that can be compared.

use super::opaque;
use crate::table::is_oid_like;
use crate::types::Datum;
use crate::{Oid, Result, SqlError};
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryViewArray, BinaryViewBuilder, BooleanArray,
    BooleanBuilder, FixedSizeBinaryArray, FixedSizeBinaryBuilder, PrimitiveArray, PrimitiveBuilder,
    StringViewArray, StringViewBuilder,
};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt32Type,
};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// Bytes of a uuid.
const UUID: i32 = 16;

/// How values of a type lie in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Oid,
    Date,
    Time,
    Timestamp,
    Text,
    Bytes,
    Uuid,
    Opaque,
}

fn form(ty: Oid) -> Form {
    match ty {
        Oid::BOOL => Form::Bool,
        Oid::INT2 => Form::Int2,
        Oid::INT4 => Form::Int4,
        Oid::INT8 => Form::Int8,
        Oid::FLOAT4 => Form::Float4,
        Oid::FLOAT8 => Form::Float8,
        Oid::DATE => Form::Date,
        Oid::TIME => Form::Time,
        Oid::TIMESTAMP | Oid::TIMESTAMPTZ => Form::Timestamp,
        Oid::TEXT
        | Oid::VARCHAR
        | Oid::BPCHAR
        | Oid::NAME
        | Oid::CHAR
        | Oid::UNKNOWN
        | Oid::JSON
        | Oid::XML => Form::Text,
        Oid::BYTEA | Oid::JSONB => Form::Bytes,
        Oid::UUID => Form::Uuid,
        ty if is_oid_like(ty) => Form::Oid,
        _ => Form::Opaque,
    }
}

/// The Arrow type of a column of type `ty`.
pub(super) fn arrow_type(ty: Oid) -> DataType {
    match form(ty) {
        Form::Bool => DataType::Boolean,
        Form::Int2 => DataType::Int16,
        Form::Int4 | Form::Date => DataType::Int32,
        Form::Int8 | Form::Time | Form::Timestamp => DataType::Int64,
        Form::Float4 => DataType::Float32,
        Form::Float8 => DataType::Float64,
        Form::Oid => DataType::UInt32,
        Form::Text => DataType::Utf8View,
        Form::Uuid => DataType::FixedSizeBinary(UUID),
        Form::Bytes | Form::Opaque => DataType::BinaryView,
    }
}

/// Builds one column from values.
pub(super) enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int2(PrimitiveBuilder<Int16Type>),
    Int4(PrimitiveBuilder<Int32Type>),
    Int8(PrimitiveBuilder<Int64Type>),
    Float4(PrimitiveBuilder<Float32Type>),
    Float8(PrimitiveBuilder<Float64Type>),
    Oid(PrimitiveBuilder<UInt32Type>),
    Text(StringViewBuilder),
    Bytes(BinaryViewBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Opaque(BinaryViewBuilder, Vec<u8>),
}

impl ColumnBuilder {
    pub(super) fn new(ty: Oid, rows: usize) -> ColumnBuilder {
        match form(ty) {
            Form::Bool => ColumnBuilder::Bool(BooleanBuilder::with_capacity(rows)),
            Form::Int2 => ColumnBuilder::Int2(PrimitiveBuilder::with_capacity(rows)),
            Form::Int4 | Form::Date => ColumnBuilder::Int4(PrimitiveBuilder::with_capacity(rows)),
            Form::Int8 | Form::Time | Form::Timestamp => {
                ColumnBuilder::Int8(PrimitiveBuilder::with_capacity(rows))
            }
            Form::Float4 => ColumnBuilder::Float4(PrimitiveBuilder::with_capacity(rows)),
            Form::Float8 => ColumnBuilder::Float8(PrimitiveBuilder::with_capacity(rows)),
            Form::Oid => ColumnBuilder::Oid(PrimitiveBuilder::with_capacity(rows)),
            Form::Text => ColumnBuilder::Text(StringViewBuilder::with_capacity(rows)),
            Form::Bytes => ColumnBuilder::Bytes(BinaryViewBuilder::with_capacity(rows)),
            Form::Uuid => ColumnBuilder::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, UUID)),
            Form::Opaque => ColumnBuilder::Opaque(BinaryViewBuilder::with_capacity(rows), vec![]),
        }
    }

    /// Appends a value. Fails when it is not of the column's type.
    pub(super) fn push(&mut self, value: &Datum) -> Result<()> {
        match (self, value) {
            (ColumnBuilder::Bool(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Bool(b), Datum::Bool(v)) => b.append_value(*v),
            (ColumnBuilder::Int2(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Int2(b), Datum::Int2(v)) => b.append_value(*v),
            (ColumnBuilder::Int4(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Int4(b), Datum::Int4(v) | Datum::Date(v)) => b.append_value(*v),
            (ColumnBuilder::Int8(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Int8(b), Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v)) => {
                b.append_value(*v)
            }
            (ColumnBuilder::Float4(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Float4(b), Datum::Float4(v)) => b.append_value(*v),
            (ColumnBuilder::Float8(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Float8(b), Datum::Float8(v)) => b.append_value(*v),
            (ColumnBuilder::Oid(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Oid(b), Datum::Oid(v)) => b.append_value(v.0),
            (ColumnBuilder::Text(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Text(b), Datum::Text(v)) => b.append_value(v.as_str()),
            (ColumnBuilder::Bytes(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Bytes(b), Datum::Bytes(v)) => b.append_value(v),
            (ColumnBuilder::Uuid(b), Datum::Null) => b.append_null(),
            (ColumnBuilder::Uuid(b), Datum::Uuid(v)) => {
                b.append_value(v).map_err(|e| SqlError::internal(e.to_string()))?
            }
            (ColumnBuilder::Opaque(b, _), Datum::Null) => b.append_null(),
            (ColumnBuilder::Opaque(b, buffer), value) => {
                buffer.clear();
                opaque::encode(value, buffer);
                b.append_value(&buffer[..]);
            }
            (_, value) => {
                return Err(SqlError::internal(format!("value {value:?} in a column of another type")));
            }
        }
        Ok(())
    }

    /// The column; the builder is empty afterwards.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Bool(b) => Arc::new(b.finish()),
            ColumnBuilder::Int2(b) => Arc::new(b.finish()),
            ColumnBuilder::Int4(b) => Arc::new(b.finish()),
            ColumnBuilder::Int8(b) => Arc::new(b.finish()),
            ColumnBuilder::Float4(b) => Arc::new(b.finish()),
            ColumnBuilder::Float8(b) => Arc::new(b.finish()),
            ColumnBuilder::Oid(b) => Arc::new(b.finish()),
            ColumnBuilder::Text(b) => Arc::new(b.finish()),
            ColumnBuilder::Bytes(b) | ColumnBuilder::Opaque(b, _) => Arc::new(b.finish()),
            ColumnBuilder::Uuid(b) => Arc::new(b.finish()),
        }
    }
}

/// Reads values of one column.
pub(super) enum ColumnReader<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a PrimitiveArray<Int16Type>),
    Int4(&'a PrimitiveArray<Int32Type>),
    Date(&'a PrimitiveArray<Int32Type>),
    Int8(&'a PrimitiveArray<Int64Type>),
    Time(&'a PrimitiveArray<Int64Type>),
    Timestamp(&'a PrimitiveArray<Int64Type>),
    Float4(&'a PrimitiveArray<Float32Type>),
    Float8(&'a PrimitiveArray<Float64Type>),
    Oid(&'a PrimitiveArray<UInt32Type>),
    Text(&'a StringViewArray),
    Bytes(&'a BinaryViewArray),
    Uuid(&'a FixedSizeBinaryArray),
    Opaque(&'a BinaryViewArray),
}

impl<'a> ColumnReader<'a> {
    /// Fails when the array is not of the type's Arrow type.
    pub(super) fn new(array: &'a dyn Array, ty: Oid) -> Result<ColumnReader<'a>> {
        let reader = match form(ty) {
            Form::Bool => array.as_boolean_opt().map(ColumnReader::Bool),
            Form::Int2 => primitive(array).map(ColumnReader::Int2),
            Form::Int4 => primitive(array).map(ColumnReader::Int4),
            Form::Date => primitive(array).map(ColumnReader::Date),
            Form::Int8 => primitive(array).map(ColumnReader::Int8),
            Form::Time => primitive(array).map(ColumnReader::Time),
            Form::Timestamp => primitive(array).map(ColumnReader::Timestamp),
            Form::Float4 => primitive(array).map(ColumnReader::Float4),
            Form::Float8 => primitive(array).map(ColumnReader::Float8),
            Form::Oid => primitive(array).map(ColumnReader::Oid),
            Form::Text => array.as_string_view_opt().map(ColumnReader::Text),
            Form::Bytes => array.as_binary_view_opt().map(ColumnReader::Bytes),
            Form::Uuid => array.as_fixed_size_binary_opt().map(ColumnReader::Uuid),
            Form::Opaque => array.as_binary_view_opt().map(ColumnReader::Opaque),
        };
        reader.ok_or_else(|| {
            SqlError::internal(format!("column of type {ty} came as Arrow type {}", array.data_type()))
        })
    }

    pub(super) fn get(&self, row: usize) -> Result<Datum> {
        Ok(match self {
            ColumnReader::Bool(a) if a.is_valid(row) => Datum::Bool(a.value(row)),
            ColumnReader::Int2(a) if a.is_valid(row) => Datum::Int2(a.value(row)),
            ColumnReader::Int4(a) if a.is_valid(row) => Datum::Int4(a.value(row)),
            ColumnReader::Date(a) if a.is_valid(row) => Datum::Date(a.value(row)),
            ColumnReader::Int8(a) if a.is_valid(row) => Datum::Int8(a.value(row)),
            ColumnReader::Time(a) if a.is_valid(row) => Datum::Time(a.value(row)),
            ColumnReader::Timestamp(a) if a.is_valid(row) => Datum::Timestamp(a.value(row)),
            ColumnReader::Float4(a) if a.is_valid(row) => Datum::Float4(a.value(row)),
            ColumnReader::Float8(a) if a.is_valid(row) => Datum::Float8(a.value(row)),
            ColumnReader::Oid(a) if a.is_valid(row) => Datum::Oid(Oid(a.value(row))),
            ColumnReader::Text(a) if a.is_valid(row) => Datum::text(a.value(row)),
            ColumnReader::Bytes(a) if a.is_valid(row) => {
                Datum::Bytes(bytes::Bytes::copy_from_slice(a.value(row)))
            }
            ColumnReader::Uuid(a) if a.is_valid(row) => Datum::Uuid(
                a.value(row).try_into().map_err(|_| SqlError::internal("uuid of another length"))?,
            ),
            ColumnReader::Opaque(a) if a.is_valid(row) => opaque::decode(a.value(row))?,
            _ => Datum::Null,
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<&PrimitiveArray<T>> {
    array.as_primitive_opt::<T>()
}

/// One value as DataFusion holds a constant.
pub(super) fn scalar(value: &Datum, ty: Oid) -> Result<ScalarValue> {
    let mut builder = ColumnBuilder::new(ty, 1);
    builder.push(value)?;
    ScalarValue::try_from_array(&builder.finish(), 0).map_err(super::error::from_df)
}
