//! The row format `row1`: any column is reached in one step, without walking the others.
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | layout | u16 | the column layout the row was written with |
//! | flags | u8 | bit 0: a null bitmap follows · bit 1: end offsets are wide; other bits are 0 |
//! | null bitmap | ⌈columns / 8⌉ | only with flag bit 0; bit `i % 8` of byte `i / 8` set: column `i` is null |
//! | fixed area | sum of the fixed columns' sizes | in column order, no padding; the slot of a null is zero |
//! | end offsets | u16 (wide: u32) a variable column | where its bytes end in the variable area; a null has no bytes |
//! | variable area | | bytes of the variable columns in column order |
//!
//! All integers are little-endian. A layout never changes: adding or dropping a column makes a new
//! one, and old rows keep theirs. A column behind the last one of a row's layout reads as
//! `Presence::Missing`; its value is the caller's business. `layout` computes the offsets once,
//! `writer` and `reader` are the two directions.

mod layout;
mod reader;
mod writer;

pub use layout::{Layout, PhysKind};
pub use reader::{Presence, RowReader, layout_id};
pub use writer::RowWriter;

/// Longest row.
pub const MAX_ROW: usize = 64 << 20;

const HEADER: usize = 3;
const HAS_NULL: u8 = 1;
const WIDE: u8 = 2;

#[cfg(test)]
mod tests;
