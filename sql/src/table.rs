//! How a table's rows and index entries lie in the store: descriptors compiled to codecs.
//!
//! - A row: key `table prefix (index number 0) · key columns` (or the hidden row id), value `row1`.
//!   Key columns whose key form gives the value back are not repeated in the value.
//! - An index entry: key `index prefix · index columns [· row key]`. The row key is part of the key
//!   unless the index is unique and no column is null; then it is the entry's value.
//!
//! `value` maps types to physical kinds, `codec` is the table, `index` its indexes.

mod codec;
mod index;
mod value;

pub use codec::TableCodec;
pub(crate) use codec::layout_columns;
pub use index::{Entry, IndexCodec, IndexPart, IndexSource};
pub(crate) use value::is_oid_like;
pub use value::{key_kind, push_key, storable};
