//! What one connection keeps: settings, transaction, portals, prepared statements.
//!
//! The front end (the server's pgwire loop) calls a `Session` and writes what it answers:
//! - simple query: `batch` splits the text, then per statement `open` → `run` until done → `finish`;
//!   `end_batch` commits what is left.
//! - extended query: `parse`, `bind`, `describe_…`, `run` with a portal, `close_…`, `sync`.
//! - any error goes to `fail`, which rolls back or marks the block as failed.
//!
//! Files: `settings` (the GUC table), `transaction` (the state machine), `statements` and `portals`
//! (the stores of both protocols and of SQL's PREPARE and DECLARE), `utility` (statements the session
//! answers itself), `cursor` (FETCH, MOVE), `copy`, `notify` and `hub` (LISTEN/NOTIFY, the list of
//! sessions, cancel, terminate), `run` (the one door to planner and executor).

mod copy;
pub mod cursor;
pub mod hub;
pub mod info;
pub mod portals;
pub mod run;
pub mod settings;
pub mod statements;
pub mod transaction;
mod utility;

mod lifecycle;

pub use hub::{Notification, SessionHandle, Sessions};
pub use info::SessionInfo;
pub use portals::{Formats, Portal};
pub use run::{CancelReason, Notice};
pub use settings::Settings;
pub use statements::Prepared;
pub use transaction::{Phase, SessionTxn};

pub use lifecycle::{Session, SessionStart, Step};
