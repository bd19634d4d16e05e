//! Scripted conversations with a server, message by message.
//!
//! [`script`] reads the cases under `bench/protocol/cases`, [`play`] sends them and [`show`] writes each message of
//! the server as one line: what differs between two servers in such a line is a difference that a driver can see.

pub mod play;
pub mod script;
pub mod show;
