//! OIDs of objects that have no descriptor of their own. They are computed, so that every node
//! gives the same answer without storing anything; the counter of real OIDs stays below them all.
//!
//! | object | OID |
//! |---|---|
//! | row type of relation `r` | `2^31 + r` |
//! | array type of that row type | `2^31 + 2^30 + r` |
//! | default of column `n` of `r`, label `n` of enum `r` | `2^30 + (r · 1664 + n) mod 2^30` |
//!
//! The last kind is unique among relations whose OIDs are less than 645 277 apart.

use crate::Oid;

const MEMBERS: u32 = 1 << 30;
const ROW_TYPES: u32 = 1 << 31;
const ARRAYS: u32 = ROW_TYPES | MEMBERS;
/// More than PostgreSQL's limit of columns.
const STRIDE: u32 = 1664;

/// The row type of a relation.
pub fn row_type(relation: Oid) -> Oid {
    Oid(ROW_TYPES | relation.0)
}

/// The array type of a relation's row type.
pub fn row_array(relation: Oid) -> Oid {
    Oid(ARRAYS | relation.0)
}

/// The relation of a row type; `None` for any other type.
pub fn relation_of_row_type(ty: Oid) -> Option<Oid> {
    (ty.0 & ARRAYS == ROW_TYPES).then_some(Oid(ty.0 & !ARRAYS))
}

/// The relation whose row type an array type holds.
pub fn relation_of_row_array(ty: Oid) -> Option<Oid> {
    (ty.0 & ARRAYS == ARRAYS).then_some(Oid(ty.0 & !ARRAYS))
}

/// The row of `pg_attrdef` of a column, or of `pg_enum` of a label.
pub fn member(of: Oid, number: u32) -> Oid {
    Oid(MEMBERS | (of.0.wrapping_mul(STRIDE).wrapping_add(number) & (MEMBERS - 1)))
}
