//! `to_char` and its way back: PostgreSQL's templates for dates, times and numbers.
//!
//! - `pattern`: a template's text as nodes.
//! - `datetime`: dates, times and intervals out. `parse`: dates and times in.
//! - `number`: numbers out. `number_in`: numbers in.
//!
//! Names of months and days are English: the locale is always C.

mod datetime;
mod number;
mod number_in;
mod parse;
mod pattern;

use super::Table;

/// The lines of `datetime`, `number`, `number_in` and `parse`.
pub(crate) const TABLE: Table = &[
    ("timestamp_to_char", datetime::timestamp_to_char),
    ("timestamptz_to_char", datetime::timestamptz_to_char),
    ("interval_to_char", datetime::interval_to_char),
    ("int4_to_char", number::integer_to_char),
    ("int8_to_char", number::integer_to_char),
    ("numeric_to_char", number::numeric_to_char),
    ("float4_to_char", number::float4_to_char),
    ("float8_to_char", number::float8_to_char),
    ("numeric_to_number", number_in::to_number),
    ("to_date", parse::to_date),
    ("to_timestamp", parse::to_timestamp),
];
