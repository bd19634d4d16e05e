//! Entries of secondary indexes.

use super::codec::{no_key_form, position};
use super::value::{key_kind, push_key};
use crate::catalog::{IndexDescriptor, IndexState, TableDescriptor};
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError};
use storage::engine::Span;
use storage::key::{
    ColumnOrder, KeyDatum, KeyKind, KeyReader, KeyWriter, Nulls, SortOrder, prefix_span, table_prefix,
};

/// Where the value of an index column comes from.
#[derive(Clone, Debug)]
pub enum IndexSource {
    /// Position among the table's columns.
    Column(usize),
    /// SQL text of the expression, evaluated by the caller.
    Expression(String),
}

#[derive(Clone, Debug)]
pub struct IndexPart {
    pub source: IndexSource,
    pub ty: TypeRef,
    pub kind: KeyKind,
    pub order: ColumnOrder,
}

/// An index compiled for writing and reading entries.
#[derive(Clone, Debug)]
pub struct IndexCodec {
    pub oid: Oid,
    pub name: String,
    pub unique: bool,
    pub state: IndexState,
    pub constraint: Oid,
    pub parts: Vec<IndexPart>,
    prefix: Vec<u8>,
}

/// One entry as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// No other row may have this key.
    pub exclusive: bool,
}

impl IndexCodec {
    pub(super) fn new(index: &IndexDescriptor, table: &TableDescriptor) -> Result<IndexCodec> {
        if index.predicate.is_some() {
            return Err(SqlError::not_built("a partial index"));
        }
        let parts = index
            .columns
            .iter()
            .map(|column| {
                if column.expr.is_some() {
                    return Err(SqlError::not_built("an index on an expression"));
                }
                let at = position(column.column);
                let ty = table.columns[at].ty;
                let kind = key_kind(ty.oid).ok_or_else(|| no_key_form(ty.oid))?;
                let sort = if column.descending { SortOrder::Descending } else { SortOrder::Ascending };
                let nulls = if column.nulls_first { Nulls::First } else { Nulls::Last };
                Ok(IndexPart {
                    source: IndexSource::Column(at),
                    ty,
                    kind,
                    order: ColumnOrder { sort, nulls },
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(IndexCodec {
            oid: index.oid,
            name: index.name.clone(),
            unique: index.unique,
            state: index.state,
            constraint: index.constraint,
            parts,
            prefix: table_prefix(table.storage_id, index.number),
        })
    }

    pub fn span(&self) -> Span {
        prefix_span(&self.prefix)
    }

    /// A key writer positioned after the index prefix, for building search keys.
    pub fn search_key(&self) -> KeyWriter {
        KeyWriter::after(self.prefix.clone())
    }

    /// The entry of a row: its values, and the columns' part of its row key.
    pub fn entry(&self, values: &[Datum], row_suffix: &[u8]) -> Result<Entry> {
        let mut key = self.search_key();
        let mut has_null = false;
        for part in &self.parts {
            let IndexSource::Column(column) = &part.source else {
                return Err(SqlError::not_built("an index on an expression"));
            };
            has_null |= values[*column].is_null();
            push_key(&mut key, &values[*column], part.ty.oid, part.order)?;
        }
        let mut key = key.finish();
        let exclusive = self.unique && !has_null;
        if exclusive {
            return Ok(Entry { key, value: row_suffix.to_vec(), exclusive });
        }
        key.extend_from_slice(row_suffix);
        Ok(Entry { key, value: vec![], exclusive })
    }

    /// Position and key form of each column of an entry's key.
    pub(super) fn values<'k>(&self, key: &'k [u8]) -> Result<Vec<(usize, KeyDatum<'k>)>> {
        let mut reader = KeyReader::new(&key[self.prefix.len()..]);
        let mut values = vec![];
        for part in &self.parts {
            let value = reader.read(part.kind, part.order)?;
            if let IndexSource::Column(column) = part.source {
                values.push((column, value));
            }
        }
        Ok(values)
    }

    /// The columns' part of the row key that an entry points at.
    pub fn row_suffix<'e>(&self, key: &'e [u8], value: &'e [u8]) -> Result<&'e [u8]> {
        if !value.is_empty() {
            return Ok(value);
        }
        let mut reader = KeyReader::new(&key[self.prefix.len()..]);
        for part in &self.parts {
            reader.skip(part.kind, part.order)?;
        }
        Ok(reader.rest())
    }
}
