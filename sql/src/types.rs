//! Types and values: a family a file under `types/`, each with its text and binary form, order and
//! storage kind; `datum` is a value, `TypeRef` what an expression's type is.
//!
//! - `types::input` / `types::output`: text form; `types::recv` / `types::send`: binary form. They
//!   know built-in types; `Io` carries the run-time types (`TypeLookup`) and the current time too.
//! - `compare`, `equal`, `hash`: the default btree and hash order (`order`).
//! - `apply_typmod`, `typmod_in`, `format_type`: modifiers (`typmod`).
//!
//! What the built-in types are (length, array and element types) stands in the registry.

pub mod array;
pub mod bytea;
pub mod datetime;
pub mod datum;
pub mod float;
pub mod io;
pub mod json;
pub mod jsonb;
pub mod numeric;
pub mod order;
pub mod record;
pub mod scalar;
pub mod text;
pub mod typmod;

pub use datum::{ArrayDim, ArrayValue, Datum, Interval, Numeric, NumericSign, TimeTz};
pub use io::{BuiltinTypes, Io, TypeLookup, relabel};
pub use order::{compare, compare_with, equal, hash};
pub use typmod::{apply_typmod, builtin_type_named, format_type, format_type_be, typmod_in, typmod_out};

use crate::session::info::OutputFormat;
use crate::{Oid, Result};
use serde::{Deserialize, Serialize};

/// An expression's type: OID, modifier (-1: none) and collation (`Oid::NONE`: not collatable).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeRef {
    pub oid: Oid,
    pub typmod: i32,
    pub collation: Oid,
}

impl TypeRef {
    /// A type without modifier; text-like built-in types get the default collation.
    pub const fn of(oid: Oid) -> TypeRef {
        let collation = match oid {
            Oid::TEXT | Oid::VARCHAR | Oid::BPCHAR => Oid::DEFAULT_COLLATION,
            Oid::NAME => Oid::C_COLLATION,
            _ => Oid::NONE,
        };
        TypeRef { oid, typmod: -1, collation }
    }

    pub const fn with_typmod(self, typmod: i32) -> TypeRef {
        TypeRef { typmod, ..self }
    }
}

/// Under which rule a value comes to a type with a modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coercion {
    /// Reading text or binary input.
    Input,
    /// Storing into a column.
    Assignment,
    /// CAST or `::`: strings are cut.
    Explicit,
}

/// Reads a built-in type's text form; errors as PostgreSQL 15's input functions.
pub fn input(ty: TypeRef, text: &str, fmt: &OutputFormat) -> Result<Datum> {
    Io::new(fmt).input(ty, text)
}

/// Appends a value's text form; nothing for null.
pub fn output(ty: Oid, value: &Datum, fmt: &OutputFormat, out: &mut Vec<u8>) {
    Io::new(fmt).output(ty, value, out);
}

/// Reads a built-in type's binary form.
pub fn recv(ty: TypeRef, bytes: &[u8]) -> Result<Datum> {
    Io::new(&OutputFormat::default()).recv(ty, bytes)
}

/// Appends a value's binary form; nothing for null.
pub fn send(ty: Oid, value: &Datum, out: &mut Vec<u8>) {
    Io::new(&OutputFormat::default()).send(ty, value, out);
}
