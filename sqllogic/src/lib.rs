//! SQL answers as scripts: a runner for sqllogictest files and the suites under `sqllogic/suites`.
//!
//! A suite is a client on the wire and nothing more, so the same file runs against PhantomDB on one node, later
//! against a cluster, and against a real PostgreSQL 15, which is the judge: every record in the suites was written
//! from its answer (`sqllogic --override`).
//!
//! The way of a record: [`suite`] finds the files and gives each a schema of its own, [`runner`] turns a record into
//! a statement and its answer into text, [`wire`] is a small blocking frontend of PostgreSQL's protocol that shows
//! what drivers hide (type OIDs, command tags, every field of an error). The rigs of crate `bench` use it too.

pub mod runner;
pub mod suite;
pub mod wire;
