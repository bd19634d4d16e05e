//! What a running statement may know about its session: an immutable picture, taken when the
//! statement starts, so that kernels, executors and remote fragments need no session lock.

use crate::Oid;
use crate::catalog::CatalogSnapshot;
use crate::node::SequenceState;
use std::sync::Arc;

/// Shared by every part of one statement's execution.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Process id as the client sees it (BackendKeyData).
    pub pid: i32,
    /// The catalog as of the statement: values that name objects are read and printed through it.
    pub catalog: Arc<CatalogSnapshot>,
    pub database: Oid,
    pub database_name: Arc<str>,
    pub role: Oid,
    pub role_name: Arc<str>,
    pub session_role_name: Arc<str>,
    pub superuser: bool,
    /// Schemas of `search_path` that exist, in order, without the implicit `pg_catalog`.
    pub search_path: Arc<[Oid]>,
    /// Start of the transaction, microseconds since 2000-01-01 UTC: `now()`.
    pub transaction_start: i64,
    /// Start of the statement, same unit: `statement_timestamp()`.
    pub statement_start: i64,
    pub format: OutputFormat,
    /// `None`: wait for locks without limit.
    pub lock_timeout: Option<std::time::Duration>,
    /// What `currval` and `lastval` answer.
    pub sequences: Arc<SessionSequences>,
    /// What `pg_sleep` asked for and the executor has still to wait.
    pub nap: Arc<Nap>,
    /// What `set_config` asked for and the session has still to do.
    pub changes: Arc<SettingChanges>,
    /// Every setting by lower-case name, for `current_setting` and `pg_settings`.
    pub settings: Arc<std::collections::HashMap<String, String>>,
}

/// Settings that decide how values read and print.
#[derive(Clone, Debug)]
pub struct OutputFormat {
    pub date_style: DateStyle,
    pub date_order: DateOrder,
    pub interval_style: IntervalStyle,
    pub bytea_output: ByteaOutput,
    pub extra_float_digits: i32,
    pub time_zone: jiff::tz::TimeZone,
}

impl Default for OutputFormat {
    fn default() -> OutputFormat {
        OutputFormat {
            date_style: DateStyle::Iso,
            date_order: DateOrder::Mdy,
            interval_style: IntervalStyle::Postgres,
            bytea_output: ByteaOutput::Hex,
            extra_float_digits: 1,
            time_zone: jiff::tz::TimeZone::UTC,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateStyle {
    Iso,
    Sql,
    Postgres,
    German,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    Mdy,
    Dmy,
    Ymd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalStyle {
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteaOutput {
    Hex,
    Escape,
}

/// Time that a statement has still to sleep. Kernels do not wait; they ask here, and the executor
/// waits before the rows go out, where a cancel or a timeout reaches it.
#[derive(Debug, Default)]
pub struct Nap(std::sync::atomic::AtomicU64);

impl Nap {
    pub fn ask(&self, time: std::time::Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let add = |sum: u64| Some(sum.saturating_add(micros));
        let order = std::sync::atomic::Ordering::Relaxed;
        // The closure always answers: there is no failure to look at.
        let _ = self.0.fetch_update(order, order, add);
    }

    /// Waits for what was asked so far.
    pub async fn wait(&self) {
        if self.0.load(std::sync::atomic::Ordering::Relaxed) == 0 {
            return;
        }
        let micros = self.0.swap(0, std::sync::atomic::Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_micros(micros)).await;
    }

    /// A new statement owes nothing.
    pub fn clear(&self) {
        self.0.store(0, std::sync::atomic::Ordering::Relaxed);
    }
}

/// `set_config`: one setting's new value, checked already.
#[derive(Debug)]
pub struct SettingChange {
    pub name: String,
    pub value: String,
    /// Until the end of the transaction only.
    pub local: bool,
}

/// Changes of settings that a statement asked for; the session makes them when its rows are out.
#[derive(Debug, Default)]
pub struct SettingChanges(parking_lot::Mutex<Vec<SettingChange>>);

impl SettingChanges {
    pub fn ask(&self, change: SettingChange) {
        self.0.lock().push(change);
    }

    pub fn take(&self) -> Vec<SettingChange> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The values that `nextval` gave to this session.
#[derive(Debug, Default)]
pub struct SessionSequences(parking_lot::Mutex<SequenceValues>);

#[derive(Debug, Default)]
struct SequenceValues {
    by_sequence: std::collections::HashMap<Oid, i64>,
    last: Option<Oid>,
    /// Values fetched for calls of `nextval` that are still to come.
    fetched: std::collections::HashMap<Oid, std::collections::VecDeque<i64>>,
    /// What `setval` asked for and the statement has still to store.
    unstored: Vec<(Oid, SequenceState)>,
}

impl SessionSequences {
    pub fn record(&self, sequence: Oid, value: i64) {
        let mut values = self.0.lock();
        values.by_sequence.insert(sequence, value);
        values.last = Some(sequence);
    }

    /// `currval`; `None`: not yet defined in this session.
    pub fn current(&self, sequence: Oid) -> Option<i64> {
        self.0.lock().by_sequence.get(&sequence).copied()
    }

    /// `lastval`.
    pub fn last(&self) -> Option<i64> {
        let values = self.0.lock();
        values.last.and_then(|sequence| values.by_sequence.get(&sequence).copied())
    }

    /// `nextval` inside an expression: a value that was fetched for it. `None`: there is none left.
    pub fn give(&self, sequence: Oid) -> Option<i64> {
        let value = self.0.lock().fetched.get_mut(&sequence)?.pop_front()?;
        self.record(sequence, value);
        Some(value)
    }

    /// How many values are fetched and not given yet.
    pub fn fetched(&self, sequence: Oid) -> usize {
        self.0.lock().fetched.get(&sequence).map_or(0, std::collections::VecDeque::len)
    }

    pub fn add_fetched(&self, sequence: Oid, values: Vec<i64>) {
        self.0.lock().fetched.entry(sequence).or_default().extend(values);
    }

    /// `setval` inside an expression: `currval` answers at once, the statement stores it at its end.
    pub fn set(&self, sequence: Oid, state: SequenceState) {
        let mut values = self.0.lock();
        values.fetched.remove(&sequence);
        if state.called {
            values.by_sequence.insert(sequence, state.last);
        }
        values.unstored.push((sequence, state));
    }

    /// Whether the statement has set the sequence and not stored it.
    pub fn is_unstored(&self, sequence: Oid) -> bool {
        self.0.lock().unstored.iter().any(|(oid, _)| *oid == sequence)
    }

    /// What is to be stored, in the order of the calls.
    pub fn take_unstored(&self) -> Vec<(Oid, SequenceState)> {
        std::mem::take(&mut self.0.lock().unstored)
    }

    /// DISCARD SEQUENCES.
    pub fn clear(&self) {
        *self.0.lock() = SequenceValues::default();
    }
}
