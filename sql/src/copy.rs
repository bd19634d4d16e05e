//! COPY: rows of a table or query to the client, and from the client into a table.
//!
//! The way of a COPY, as the session's loop drives it:
//! 1. `plan_copy` checks the options (`options`), finds the table or plans the query (`plan`).
//!    `CopyPlan` says the direction, and for CopyInResponse / CopyOutResponse the number of columns
//!    and their one format code.
//! 2. In: `CopyIn::new(plan)`, `begin` before CopyInResponse goes out, `push` for every CopyData,
//!    `finish` at CopyDone. CopyFail: fail the statement with `CopyIn::failed` and drop it.
//!    - `lines` cuts the stream into lines, `fields` a line into fields, `value` reads a field;
//!      `binary` does all three for the binary format;
//!    - `insert` passes rows through the table's checks and puts them into the transaction in bulk.
//! 3. Out: `CopyOut::new(plan)`, then `next` until `CopyStep::Done`. Every call appends whole
//!    messages to a `CopyRows`: PostgreSQL sends one CopyData a row. `encode` and `binary` write them.
//!
//! Both ends answer the number of rows for the command tag `COPY n`. Dropping either half abandons the
//! statement; the rows of an abandoned `CopyIn` go away with its transaction.
//!
//! Source: PostgreSQL 15 documentation, COPY.

mod binary;
mod context;
mod encode;
mod fields;
mod input;
mod insert;
mod lines;
mod options;
mod output;
mod plan;
mod value;

pub use input::CopyIn;
pub use output::{CopyOut, CopyRows, CopyStep};
pub use plan::{CopyDirection, CopyPlan, plan_copy};
