//! `pg_sequence` and `pg_sequences`.

use super::value::{flag, name, oid, optional};
use super::{CatalogCx, Row};
use crate::Result;
use crate::catalog::{Descriptor, SequenceDescriptor};
use crate::types::Datum;

/// All sequences, by OID.
pub(super) fn all<'a>(cx: &CatalogCx<'a>) -> Vec<&'a SequenceDescriptor> {
    let catalog = cx.catalog;
    let sequences = catalog.objects().filter_map(|d| match &**d {
        Descriptor::Sequence(sequence) => Some(sequence),
        _ => None,
    });
    let mut sequences: Vec<_> = sequences.collect();
    sequences.sort_unstable_by_key(|s| s.oid);
    sequences
}

pub(super) fn rows(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let row = |s: &SequenceDescriptor| {
        vec![
            oid(s.oid),
            oid(s.ty),
            Datum::Int8(s.start),
            Datum::Int8(s.increment),
            Datum::Int8(s.max),
            Datum::Int8(s.min),
            Datum::Int8(s.cache),
            flag(s.cycle),
        ]
    };
    Ok(all(cx).into_iter().map(row).collect())
}

pub(super) fn view(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let names = cx.names();
    let row = |s: &SequenceDescriptor| {
        Ok(vec![
            optional(names.schema(s.schema)),
            name(&s.name),
            optional(names.role(s.owner)),
            oid(s.ty),
            Datum::Int8(s.start),
            Datum::Int8(s.min),
            Datum::Int8(s.max),
            Datum::Int8(s.increment),
            flag(s.cycle),
            Datum::Int8(s.cache),
            cx.hooks.sequence_last_value(s.oid)?.map_or(Datum::Null, Datum::Int8),
        ])
    };
    all(cx).into_iter().map(row).collect()
}
