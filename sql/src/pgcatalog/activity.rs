//! What the running node knows and the catalog does not.

use super::value::{name, optional};
use super::{CatalogCx, Row};
use crate::types::Datum;
use crate::{Oid, Result, SqlError};

/// One session, as `pg_stat_activity` shows it. Times are microseconds since 2000-01-01 UTC.
#[derive(Clone, Debug)]
pub struct Activity {
    pub pid: i32,
    pub database: Oid,
    pub database_name: String,
    pub role: Oid,
    pub role_name: String,
    pub application_name: String,
    /// Address in text form; `None`: a local socket.
    pub client_addr: Option<String>,
    pub client_port: Option<i32>,
    pub backend_start: i64,
    pub transaction_start: Option<i64>,
    pub query_start: Option<i64>,
    pub state_change: Option<i64>,
    /// `active`, `idle`, `idle in transaction`, `idle in transaction (aborted)`.
    pub state: String,
    pub query: String,
}

/// What the node answers for the views that show its present state. What has no answer is 0A000.
pub trait NodeHooks: Sync {
    /// All sessions of the cluster.
    fn activity(&self) -> Result<Vec<Activity>> {
        Err(SqlError::not_built("relation pg_catalog.pg_stat_activity"))
    }

    /// The last value that a sequence gave; `None` before the first.
    fn sequence_last_value(&self, _sequence: Oid) -> Result<Option<i64>> {
        Err(SqlError::not_built("relation pg_catalog.pg_sequences"))
    }
}

/// A node that answers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl NodeHooks for NoHooks {}

pub(super) fn rows(cx: &CatalogCx<'_>) -> Result<Vec<Row>> {
    let time = |at: Option<i64>| at.map_or(Datum::Null, Datum::Timestamp);
    let may_see = |a: &Activity| cx.session.superuser || a.role == cx.session.role;
    let sessions = cx.hooks.activity()?;
    Ok(sessions
        .into_iter()
        .map(|a| {
            let seen = may_see(&a);
            let hidden = |value: Datum| if seen { value } else { Datum::Null };
            vec![
                Datum::Oid(a.database),
                name(&a.database_name),
                Datum::Int4(a.pid),
                Datum::Null,
                Datum::Oid(a.role),
                name(&a.role_name),
                name(&a.application_name),
                hidden(optional(a.client_addr.as_ref())),
                Datum::Null,
                hidden(a.client_port.map_or(Datum::Null, Datum::Int4)),
                hidden(Datum::Timestamp(a.backend_start)),
                hidden(time(a.transaction_start)),
                hidden(time(a.query_start)),
                hidden(time(a.state_change)),
                Datum::Null,
                Datum::Null,
                hidden(name(&a.state)),
                Datum::Null,
                Datum::Null,
                Datum::Null,
                if seen { name(&a.query) } else { name("<insufficient privilege>") },
                hidden(name("client backend")),
            ]
        })
        .collect())
}
