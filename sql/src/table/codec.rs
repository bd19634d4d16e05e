//! A table's rows: values to key and row bytes, and back.

use super::index::IndexCodec;
use super::value::{
    any_from_key, from_key, from_row, key_kind, key_round_trips, phys_kind, push_key, set_row,
};
use crate::catalog::{CatalogSnapshot, Column, RowLayout, TableDescriptor};
use crate::types::{self, Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;
use storage::engine::Span;
use storage::key::{ColumnOrder, KeyKind, KeyReader, KeyWriter, prefix_span, table_prefix};
use storage::row::{Layout, Presence, RowReader, RowWriter, layout_id};

/// A column of the row's key.
#[derive(Clone, Copy, Debug)]
struct KeyColumn {
    /// Position among the table's columns.
    column: usize,
    kind: KeyKind,
}

/// A row layout with the place of every column in it.
#[derive(Debug)]
struct CompiledLayout {
    layout: Layout,
    /// By column position: index in the layout.
    place: Vec<Option<usize>>,
}

/// Everything needed to read and write the rows of one table version, and the entries of its
/// indexes. Rows of values have one slot a column number, dropped columns included.
#[derive(Debug)]
pub struct TableCodec {
    pub table: TableDescriptor,
    types: Vec<TypeRef>,
    /// What a row older than the column shows.
    missing: Vec<Datum>,
    prefix: Vec<u8>,
    key: Vec<KeyColumn>,
    layouts: Vec<CompiledLayout>,
    pub indexes: Vec<IndexCodec>,
}

impl TableCodec {
    /// Compiles a descriptor. Fails on a key column of a type without key form.
    pub fn new(table: &TableDescriptor, catalog: &CatalogSnapshot) -> Result<Arc<TableCodec>> {
        let types: Vec<TypeRef> = table.columns.iter().map(|c| c.ty).collect();
        let key = table
            .key_columns
            .iter()
            .map(|number| {
                let column = position(*number);
                let ty = types[column].oid;
                let kind = key_kind(ty).ok_or_else(|| no_key_form(ty))?;
                Ok(KeyColumn { column, kind })
            })
            .collect::<Result<Vec<_>>>()?;
        let indexes = catalog
            .indexes_of(table.oid)
            .filter(|index| !index.primary)
            .map(|index| IndexCodec::new(index, table))
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(TableCodec {
            missing: table.columns.iter().map(missing_value).collect::<Result<_>>()?,
            prefix: table_prefix(table.storage_id, 0),
            layouts: table.layouts.iter().map(|layout| compile_layout(layout, &types)).collect(),
            table: table.clone(),
            types,
            key,
            indexes,
        }))
    }

    /// Number of slots in a row of values.
    pub fn width(&self) -> usize {
        self.types.len()
    }

    pub fn column_type(&self, column: usize) -> TypeRef {
        self.types[column]
    }

    /// Positions of the key columns, in key order; empty for a hidden row id.
    pub fn key_columns(&self) -> impl ExactSizeIterator<Item = usize> {
        self.key.iter().map(|k| k.column)
    }

    pub fn has_row_id(&self) -> bool {
        self.key.is_empty()
    }

    /// All rows of the table.
    pub fn span(&self) -> Span {
        prefix_span(&self.prefix)
    }

    /// Rows and index entries together.
    pub fn storage_span(&self) -> Span {
        let mut lo = self.prefix.clone();
        // The prefix ends with the index number 0, one byte.
        lo.pop();
        prefix_span(&lo)
    }

    /// `(a, b)=(1, x)` for a key of the primary key or of a secondary index, for error details.
    pub fn describe_key(&self, index: Oid, key: &[u8]) -> Result<String> {
        let mut texts = vec![];
        let mut names = vec![];
        let mut show = |column: usize, value: Datum| {
            names.push(self.table.columns[column].name.clone());
            texts.push(text_of(self.types[column].oid, &value));
        };
        if index == self.table.primary_key {
            let mut reader = KeyReader::new(&key[self.prefix.len()..]);
            for part in &self.key {
                show(
                    part.column,
                    any_from_key(reader.read(part.kind, ColumnOrder::KEY)?, self.types[part.column].oid)?,
                );
            }
        } else {
            let codec = self.indexes.iter().find(|i| i.oid == index);
            let codec = codec.ok_or_else(|| SqlError::internal("key of an unknown index"))?;
            for (column, value) in codec.values(key)? {
                show(column, any_from_key(value, self.types[column].oid)?);
            }
        }
        Ok(format!("({})=({})", names.join(", "), texts.join(", ")))
    }

    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The key of a row with these values. `row_id` is used when the table has no primary key.
    pub fn row_key(&self, values: &[Datum], row_id: i64) -> Result<Vec<u8>> {
        let mut key = KeyWriter::after(self.prefix.clone());
        if self.key.is_empty() {
            key.push_i64(row_id, ColumnOrder::KEY);
        }
        for part in &self.key {
            push_key(&mut key, &values[part.column], self.types[part.column].oid, ColumnOrder::KEY)?;
        }
        Ok(key.finish())
    }

    /// The row id of a table without primary key.
    pub fn row_id(&self, key: &[u8]) -> Result<i64> {
        let mut reader = KeyReader::new(&key[self.prefix.len()..]);
        reader.read_i64(ColumnOrder::KEY)?.ok_or_else(|| SqlError::internal("row key without row id"))
    }

    /// The key of a row from its row key's columns alone, as index entries hold them.
    pub fn key_from_suffix(&self, suffix: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + suffix.len());
        key.extend_from_slice(&self.prefix);
        key.extend_from_slice(suffix);
        key
    }

    /// The columns' part of a row key.
    pub fn key_suffix<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        &key[self.prefix.len()..]
    }

    /// Appends the row bytes of the newest layout.
    pub fn encode_row(&self, values: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        let current = self.layouts.last().ok_or_else(|| SqlError::internal("table without row layout"))?;
        let mut writer = RowWriter::new(&current.layout);
        for (column, place) in current.place.iter().enumerate() {
            if let Some(i) = *place {
                set_row(&mut writer, i, &values[column], self.types[column].oid);
            }
        }
        writer.finish(out).map_err(|_| {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "row is too big: the limit is 64 MB")
        })
    }

    /// Reads the `wanted` columns (positions, ascending not required) of a row into their slots of `out`.
    pub fn decode(&self, key: &[u8], row: &[u8], wanted: &[usize], out: &mut [Datum]) -> Result<()> {
        let id = layout_id(row)?;
        let compiled = self.layout(id)?;
        let reader = RowReader::new(&compiled.layout, row)?;
        let mut from_key_wanted = false;
        for &column in wanted {
            match compiled.place.get(column).copied().flatten() {
                Some(i) => {
                    out[column] = match reader.presence(i) {
                        Presence::Value => from_row(&reader, i, self.types[column])?,
                        Presence::Null => Datum::Null,
                        Presence::Missing => self.missing[column].clone(),
                    }
                }
                None if self.key.iter().any(|k| k.column == column) => from_key_wanted = true,
                None => out[column] = self.missing[column].clone(),
            }
        }
        if from_key_wanted {
            self.decode_key(key, wanted, compiled, out)?;
        }
        Ok(())
    }

    fn decode_key(
        &self,
        key: &[u8],
        wanted: &[usize],
        compiled: &CompiledLayout,
        out: &mut [Datum],
    ) -> Result<()> {
        let columns = key.get(self.prefix.len()..).ok_or_else(|| SqlError::internal("row key too short"))?;
        let mut reader = KeyReader::new(columns);
        for part in &self.key {
            if wanted.contains(&part.column) && compiled.place[part.column].is_none() {
                out[part.column] =
                    from_key(reader.read(part.kind, ColumnOrder::KEY)?, self.types[part.column].oid)?;
            } else {
                reader.skip(part.kind, ColumnOrder::KEY)?;
            }
        }
        Ok(())
    }

    fn layout(&self, id: u16) -> Result<&CompiledLayout> {
        // Rows of the newest layout are by far the most.
        self.layouts.iter().rev().find(|l| l.layout.id() == id).ok_or_else(|| {
            SqlError::new(
                SqlState::DATA_CORRUPTED,
                format!("row of table \"{}\" has unknown layout {id}", self.table.name),
            )
        })
    }
}

/// The layout that a table's rows need: every live column but the key columns that the key gives back.
pub(crate) fn layout_columns(table: &TableDescriptor) -> Vec<i16> {
    table
        .live_columns()
        .filter(|c| !(table.key_columns.contains(&c.number) && key_round_trips(c.ty.oid)))
        .map(|c| c.number)
        .collect()
}

fn text_of(ty: Oid, value: &Datum) -> String {
    let mut text = vec![];
    match value {
        Datum::Null => return "null".into(),
        value => types::output(ty, value, &Default::default(), &mut text),
    }
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn position(number: i16) -> usize {
    usize::try_from(number - 1).expect("column numbers of descriptors start at 1")
}

pub(super) fn no_key_form(ty: Oid) -> SqlError {
    SqlError::not_built(format!("an index on a column of type {}", types::format_type(ty, -1)))
}

fn missing_value(column: &Column) -> Result<Datum> {
    match &column.missing {
        None => Ok(Datum::Null),
        Some(text) => types::input(column.ty, text, &Default::default()),
    }
}

fn compile_layout(stored: &RowLayout, types: &[TypeRef]) -> CompiledLayout {
    let mut place = vec![None; types.len()];
    for (i, number) in stored.columns.iter().enumerate() {
        place[position(*number)] = Some(i);
    }
    let kinds = stored.columns.iter().map(|number| phys_kind(types[position(*number)].oid));
    CompiledLayout { layout: Layout::new(stored.id, kinds), place }
}
