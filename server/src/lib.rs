//! The outside of PhantomDB: the PostgreSQL wire protocol, HTTP, the command line, configuration.
//!
//! - `config`: flags over environment over a TOML file over defaults, as one checked value.
//! - `demo`: the sample data of `phantomdb demo`.
//! - `node`: a data directory, then storage, cluster, txn and sql on top of each other.
//! - `pgwire`: a task a connection: startup, authentication, the session loop, rows to bytes.
//! - `tls`: certificates made or read, the acceptor; `http`: health, readiness, metrics.
//! - `start`: everything together, the status block, the drain at the end.

pub mod config;
pub mod demo;
pub mod http;
pub mod node;
pub mod pgwire;
pub mod start;
pub mod telemetry;
pub mod tls;
