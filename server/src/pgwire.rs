//! PostgreSQL's wire protocol, version 3 (PostgreSQL 15, chapter 55): one task a connection.
//!
//! The way of a connection: `listener` accepts, `startup` negotiates TLS and reads the startup packet,
//! `auth` asks for the password (`scram`), `connection` runs the session loop. Bytes come in through
//! `input` (framing, limits) and `decode` (checked reading of a message), and go out through `encode`
//! into one buffer that is flushed at Sync, Flush, ReadyForQuery or above 64 KiB; `row` is the sink of
//! result rows.

mod auth;
mod connection;
mod copy;
mod decode;
mod encode;
mod input;
mod listener;
mod row;
mod scram;
mod startup;

pub use listener::{Listener, Shared};
