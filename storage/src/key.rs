//! Keys that sort as bytes the way their columns sort as values.
//!
//! A table key is `0x03 · ouv(table sid) · ouv(index number) · columns…`. `ouv` is a varint that keeps
//! its order: one byte up to `0xEF`, else `0xEF + n` and `n` big-endian bytes, shortest form only.
//! Every column encoding ends itself, so no key of an index is a proper prefix of another one: a
//! version suffix never mixes two keys. `column` has the table of encodings, `writer` and `reader`
//! the two directions, `prefix` the table prefix.

mod column;
mod prefix;
mod reader;
mod writer;

pub use column::{ColumnOrder, DecimalClass, DecimalParts, KeyDatum, KeyKind, Nulls, SortOrder};
pub use prefix::{TABLE_BYTE, TablePrefix, prefix_end, prefix_span, split_table_prefix, table_prefix};
pub use reader::KeyReader;
pub use writer::KeyWriter;

#[cfg(test)]
mod tests;
