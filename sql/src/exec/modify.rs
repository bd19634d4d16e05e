//! INSERT, UPDATE and DELETE: rows change in the transaction's buffer, with every check passed.
//!
//! A row is locked before it is changed, and its newest version decides: when it is newer than the
//! statement's snapshot, the WHERE clause is asked again and SET sees the newest row, as PostgreSQL's
//! READ COMMITTED does. Unique keys are locked and probed when the row is written, so that a second
//! inserter waits for the first one; validation at commit stays the truth.

use super::constraint;
use super::read::{Cursor, whole_key};
use super::select::{self, SelectState, project};
use super::sequence::fetch_for_row;
use super::{ExecContext, Progress, RowSink, txn_error};
use crate::expr::EvalContext;
use crate::kernels::CallContext;
use crate::node::duplicate_key;
use crate::plan::{
    Access, ColumnSource, ConflictPlan, ConflictUpdate, InsertRows, ModifyAction, ModifyPlan, Plan, TableRead,
};
use crate::relational::{self, RelationalState};
use crate::table::{Entry, TableCodec};
use crate::types::Datum;
use crate::{Oid, Result, SqlError};
use std::collections::VecDeque;
use txn::{Key, LockMode, WaitPolicy};

/// Row locks that one transaction takes before it stops taking more and relies on validation alone:
/// a change of millions of rows must not hold millions of locks in memory.
const MOST_LOCKS: usize = 100_000;
/// Rows between two looks at the size of the write buffer and at the cancel token.
const SPILL_EVERY: u64 = 256;
/// Rows that are read before they are locked and changed together.
const BATCH: usize = 256;

/// Progress of a modification: all rows change in the first call; RETURNING rows then go out.
#[derive(Default)]
pub(super) struct ModifyState {
    done: Option<u64>,
    returning: VecDeque<Vec<Datum>>,
}

/// Everything one modification carries through its functions.
struct Change<'e, 'c> {
    plan: &'e Plan,
    modify: &'e ModifyPlan,
    eval: EvalContext<'e>,
    cx: &'e mut ExecContext<'c>,
    /// Index of the primary key, for duplicate-key errors; also the tag of row keys.
    row_tag: Oid,
    affected: u64,
    span_required: bool,
    /// Referenced rows before and after, while foreign keys point at the table.
    referenced: Vec<(Vec<Datum>, Option<Vec<Datum>>)>,
    returning: VecDeque<Vec<Datum>>,
}

pub(super) async fn run(
    state: &mut ModifyState,
    plan: &Plan,
    modify: &ModifyPlan,
    params: &[Datum],
    cx: &mut ExecContext<'_>,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    if state.done.is_none() {
        let info = cx.info;
        let eval = EvalContext { call: CallContext::new(info, &plan.catalog), params };
        cx.txn.write(cx.node, modify.command())?;
        constraint::pin_schema(plan, modify, cx).await?;
        let row_tag = modify.codec.table.primary_key;
        let mut change = Change {
            plan,
            modify,
            eval,
            cx,
            row_tag,
            affected: 0,
            span_required: false,
            referenced: vec![],
            returning: VecDeque::new(),
        };
        match &modify.action {
            ModifyAction::Insert { rows, columns, on_conflict } => {
                change.insert(rows, columns, on_conflict.as_ref()).await?;
            }
            ModifyAction::Update { read, set, sequences } => change.update(read, set, sequences).await?,
            ModifyAction::Delete { read } => change.delete(read).await?,
        }
        let Change { affected, returning, .. } = change;
        state.done = Some(affected);
        state.returning = returning;
    }
    drain(state, modify, max_rows, sink)
}

/// Sends RETURNING rows.
fn drain(
    state: &mut ModifyState,
    modify: &ModifyPlan,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    let mut now = 0;
    while let Some(row) = state.returning.pop_front() {
        sink.row(&row)?;
        now += 1;
        if max_rows == Some(now) {
            return Ok(Progress::Suspended);
        }
        if sink.is_full() {
            return Ok(Progress::Paused);
        }
    }
    Ok(Progress::Done(modify.tag(state.done.unwrap_or(0))))
}

impl ModifyPlan {
    /// The command's name in PostgreSQL's messages.
    pub fn command(&self) -> &'static str {
        match self.action {
            ModifyAction::Insert { .. } => "INSERT",
            ModifyAction::Update { .. } => "UPDATE",
            ModifyAction::Delete { .. } => "DELETE",
        }
    }

    /// The command tag for a number of rows.
    pub fn tag(&self, rows: u64) -> String {
        match self.action {
            ModifyAction::Insert { .. } => format!("INSERT 0 {rows}"),
            ModifyAction::Update { .. } => format!("UPDATE {rows}"),
            ModifyAction::Delete { .. } => format!("DELETE {rows}"),
        }
    }
}

/// A sequence's value as its column's type.
pub(crate) fn integer_of(ty: Oid, value: i64) -> Result<Datum> {
    let overflow = |what: &str| {
        SqlError::new(crate::SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
    };
    match ty {
        Oid::INT2 => i16::try_from(value).map(Datum::Int2).map_err(|_| overflow("smallint")),
        Oid::INT4 => i32::try_from(value).map(Datum::Int4).map_err(|_| overflow("integer")),
        _ => Ok(Datum::Int8(value)),
    }
}

/// A conflict as PostgreSQL words it: a row that is gone was deleted, any other was updated.
async fn conflict_error(txn: &txn::Transaction, error: txn::Error) -> SqlError {
    if let txn::Error::WriteConflict { key } = &error
        && let Ok(None) = txn.get_latest(key).await
    {
        let message = "could not serialize access due to concurrent delete";
        return SqlError::new(crate::SqlState::SERIALIZATION_FAILURE, message);
    }
    txn_error(error)
}

/// The rows that a SELECT gives to an INSERT.
#[derive(Default)]
struct Collected {
    rows: Vec<Vec<Datum>>,
}

impl RowSink for Collected {
    fn row(&mut self, row: &[Datum]) -> Result<()> {
        self.rows.push(row.to_vec());
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH
    }
}

impl Change<'_, '_> {
    fn codec(&self) -> &TableCodec {
        &self.modify.codec
    }

    async fn insert(
        &mut self,
        rows: &InsertRows,
        columns: &[(usize, ColumnSource)],
        on_conflict: Option<&ConflictPlan>,
    ) -> Result<()> {
        match rows {
            InsertRows::Values(rows) => {
                for row in rows {
                    let mut input = Vec::with_capacity(row.len());
                    for source in row {
                        input.push(self.source_value(source, &[]).await?);
                    }
                    self.insert_row(&input, columns, on_conflict).await?;
                }
            }
            InsertRows::Select(query) => {
                let mut state = SelectState::default();
                loop {
                    let mut batch = Collected::default();
                    let params = self.eval.params;
                    let progress =
                        select::run(&mut state, self.plan, query, params, self.cx, None, &mut batch).await?;
                    for row in &batch.rows {
                        self.insert_row(row, columns, on_conflict).await?;
                    }
                    if matches!(progress, Progress::Done(_)) {
                        break;
                    }
                }
            }
            InsertRows::Relational(query) => {
                let mut state = RelationalState::default();
                loop {
                    let mut batch = Collected::default();
                    let params = self.eval.params;
                    let progress =
                        relational::run(&mut state, self.plan, query, params, self.cx, None, &mut batch)
                            .await?;
                    for row in &batch.rows {
                        self.insert_row(row, columns, on_conflict).await?;
                    }
                    if matches!(progress, Progress::Done(_)) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn source_value(&self, source: &ColumnSource, input: &[Datum]) -> Result<Datum> {
        match source {
            ColumnSource::Input(i) => {
                input.get(*i).cloned().ok_or_else(|| SqlError::internal("INSERT source has too few columns"))
            }
            ColumnSource::Expr(expr) => expr.eval(&self.eval, &[]),
            ColumnSource::WithSequences { expr, sequences } => {
                fetch_for_row(self.cx, &self.eval, sequences).await?;
                expr.eval(&self.eval, &[])
            }
            ColumnSource::Sequence { sequence, ty } => {
                let descriptor = self
                    .plan
                    .catalog
                    .sequence(*sequence)
                    .ok_or_else(|| SqlError::internal("default of a sequence that does not exist"))?;
                let value = self.cx.node.sequences.next(&self.cx.node.db, descriptor).await?;
                self.cx.info.sequences.record(*sequence, value);
                integer_of(ty.oid, value)
            }
        }
    }

    async fn insert_row(
        &mut self,
        input: &[Datum],
        columns: &[(usize, ColumnSource)],
        on_conflict: Option<&ConflictPlan>,
    ) -> Result<()> {
        let mut values = vec![Datum::Null; self.codec().width()];
        for (column, source) in columns {
            values[*column] = self.source_value(source, input).await?;
        }
        constraint::complete_row(self.modify, &self.eval, &mut values)?;
        let row_id = if self.codec().has_row_id() { self.cx.node.next_row_id().await? } else { 0 };
        let key = Key::from(self.codec().row_key(&values, row_id)?);
        if let Some(on_conflict) = on_conflict
            && let Some(existing) = self.find_conflict(&key, &values, on_conflict).await?
        {
            return self.on_conflict(&values, existing, on_conflict).await;
        }
        self.write_new(&key, &values).await?;
        constraint::check_references(self.modify, &self.eval, self.cx, None, &values).await?;
        self.changed(&values).await
    }

    /// Counts a row and computes its RETURNING row; a buffer that grew too large goes to the range.
    async fn changed(&mut self, values: &[Datum]) -> Result<()> {
        self.affected += 1;
        if let Some(targets) = &self.modify.returning {
            let mut row = Vec::with_capacity(targets.len());
            project(targets, &self.eval, values, &mut row)?;
            self.returning.push_back(row);
        }
        if self.affected.is_multiple_of(SPILL_EVERY) {
            self.cx.cancel.check()?;
            self.cx.txn.open(self.cx.node).spill_if_needed().await.map_err(txn_error)?;
        }
        Ok(())
    }

    /// Writes a new row and its index entries; 23505 when a unique key is taken.
    async fn write_new(&mut self, key: &Key, values: &[Datum]) -> Result<()> {
        let mut row = vec![];
        self.codec().encode_row(values, &mut row)?;
        if self.codec().has_row_id() {
            self.cx.txn.open(self.cx.node).put(key.clone(), row.into());
        } else {
            self.insert_unique(key.clone(), row, self.row_tag).await?;
        }
        for at in 0..self.codec().indexes.len() {
            let entry = self.entry(at, values, key)?;
            self.write_entry(at, entry).await?;
        }
        Ok(())
    }

    fn entry(&self, index: usize, values: &[Datum], key: &[u8]) -> Result<Entry> {
        let codec = self.codec();
        codec.indexes[index].entry(values, codec.key_suffix(key))
    }

    async fn write_entry(&mut self, index: usize, entry: Entry) -> Result<()> {
        if entry.exclusive {
            let tag = self.codec().indexes[index].oid;
            return self.insert_unique(entry.key.into(), entry.value, tag).await;
        }
        self.cx.txn.open(self.cx.node).put(entry.key.into(), entry.value.into());
        Ok(())
    }

    /// Buffers a key that must be new. It is locked first, so that a concurrent inserter of the same
    /// key is waited for and a taken key is reported here, not at COMMIT.
    async fn insert_unique(&mut self, key: Key, row: Vec<u8>, index: Oid) -> Result<()> {
        if self.lock_room() {
            self.lock(&key, LockMode::Update).await?;
        }
        let txn = self.cx.txn.open(self.cx.node);
        if txn.get_latest(&key).await.map_err(txn_error)?.is_some() {
            let error = duplicate_key(&self.plan.catalog, index, &key);
            return Err(error.unwrap_or_else(|| SqlError::internal("duplicate key of an unknown index")));
        }
        txn.insert(key, row.into(), index.0);
        Ok(())
    }

    fn lock_room(&self) -> bool {
        (self.affected as usize) < MOST_LOCKS
    }

    async fn lock(&mut self, key: &Key, mode: LockMode) -> Result<txn::Locked> {
        let wait = WaitPolicy::Wait { timeout: self.cx.info.lock_timeout };
        let txn = self.cx.txn.open(self.cx.node);
        let locked = match txn.lock(std::slice::from_ref(key), mode, wait).await {
            Ok(locked) => locked,
            Err(error) => return Err(conflict_error(txn, error).await),
        };
        locked.into_iter().next().ok_or_else(|| SqlError::internal("lock without answer"))
    }

    /// The row that stands in the way of a new one, if ON CONFLICT handles it: key and values.
    async fn find_conflict(
        &mut self,
        key: &Key,
        values: &[Datum],
        on_conflict: &ConflictPlan,
    ) -> Result<Option<(Key, Vec<Datum>)>> {
        let handles = |index: Oid| on_conflict.arbiter.is_none_or(|arbiter| arbiter == index);
        if !self.codec().has_row_id() && handles(self.row_tag) && self.taken(key).await?.is_some() {
            return self.existing_row(key.clone()).await.map(Some);
        }
        for at in 0..self.codec().indexes.len() {
            if !handles(self.codec().indexes[at].oid) {
                continue;
            }
            let entry = self.entry(at, values, key)?;
            if !entry.exclusive {
                continue;
            }
            if let Some(suffix) = self.taken(&entry.key.into()).await? {
                let row_key = Key::from(self.codec().key_from_suffix(&suffix));
                return self.existing_row(row_key).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Locks a unique key; what is stored under it, if anything.
    async fn taken(&mut self, key: &Key) -> Result<Option<bytes::Bytes>> {
        self.lock(key, LockMode::Update).await?;
        self.cx.txn.open(self.cx.node).get_latest(key).await.map_err(txn_error)
    }

    async fn existing_row(&mut self, key: Key) -> Result<(Key, Vec<Datum>)> {
        let row = self.taken(&key).await?;
        let row = row.ok_or_else(|| SqlError::internal("unique entry without row"))?;
        let values = self.decode(&key, &row)?;
        Ok((key, values))
    }

    fn decode(&self, key: &[u8], row: &[u8]) -> Result<Vec<Datum>> {
        let codec = self.codec();
        let mut values = vec![Datum::Null; codec.width()];
        let all: Vec<usize> = codec.table.live_columns().map(|c| c.number as usize - 1).collect();
        codec.decode(key, row, &all, &mut values)?;
        Ok(values)
    }

    async fn on_conflict(
        &mut self,
        proposed: &[Datum],
        (key, existing): (Key, Vec<Datum>),
        on_conflict: &ConflictPlan,
    ) -> Result<()> {
        let ConflictUpdate::Update { set, filter } = &on_conflict.action else { return Ok(()) };
        if self.wrote(&key) {
            return Err(SqlError::new(
                crate::SqlState::CARDINALITY_VIOLATION,
                "ON CONFLICT DO UPDATE command cannot affect row a second time",
            )
            .with_hint(
                "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
            ));
        }
        let both: Vec<Datum> = existing.iter().chain(proposed).cloned().collect();
        if let Some(filter) = filter
            && !filter.passes(&self.eval, &both)?
        {
            return Ok(());
        }
        let mut values = existing.clone();
        for (column, expr) in set {
            values[*column] = expr.eval(&self.eval, &both)?;
        }
        self.replace(&key, &existing, values).await?;
        self.check_referencing().await
    }

    /// Whether this very statement wrote the key already.
    fn wrote(&mut self, key: &Key) -> bool {
        self.cx.txn.open(self.cx.node).wrote_in_statement(key)
    }

    async fn update(
        &mut self,
        read: &TableRead,
        set: &[(usize, crate::expr::Compiled)],
        sequences: &[crate::expr::Compiled],
    ) -> Result<()> {
        let mut rows = Targets::open(self, read).await?;
        while let Some(batch) = rows.next(self, read).await? {
            for (key, old) in batch {
                let mut values = old.clone();
                fetch_for_row(self.cx, &self.eval, sequences).await?;
                for (column, expr) in set {
                    values[*column] = expr.eval(&self.eval, &old)?;
                }
                self.replace(&key, &old, values).await?;
            }
        }
        self.check_referencing().await
    }

    async fn delete(&mut self, read: &TableRead) -> Result<()> {
        let mut rows = Targets::open(self, read).await?;
        while let Some(batch) = rows.next(self, read).await? {
            for (key, old) in batch {
                self.erase(&key, &old).await?;
                self.changed(&old).await?;
                self.left_behind(old, None);
            }
        }
        self.check_referencing().await
    }

    /// Removes a row and its index entries.
    async fn erase(&mut self, key: &Key, old: &[Datum]) -> Result<()> {
        for at in 0..self.codec().indexes.len() {
            let entry = self.entry(at, old, key)?;
            self.cx.txn.open(self.cx.node).delete(entry.key.into());
        }
        self.cx.txn.open(self.cx.node).delete(key.clone());
        Ok(())
    }

    /// Writes `values` in place of `old`: only what changed is written again.
    async fn replace(&mut self, key: &Key, old: &[Datum], mut values: Vec<Datum>) -> Result<()> {
        constraint::complete_row(self.modify, &self.eval, &mut values)?;
        let codec = self.codec();
        let new_key = match codec.has_row_id() {
            true => key.clone(),
            false => Key::from(codec.row_key(&values, 0)?),
        };
        if new_key == *key {
            let mut row = vec![];
            codec.encode_row(&values, &mut row)?;
            self.cx.txn.open(self.cx.node).put(key.clone(), row.into());
            self.replace_entries(key, old, &values).await?;
        } else {
            self.erase(key, old).await?;
            self.write_new(&new_key, &values).await?;
        }
        constraint::check_references(self.modify, &self.eval, self.cx, Some(old), &values).await?;
        self.changed(&values).await?;
        self.left_behind(old.to_vec(), Some(values));
        Ok(())
    }

    /// Keeps what a referenced row was, and became, for the check at the statement's end.
    fn left_behind(&mut self, old: Vec<Datum>, new: Option<Vec<Datum>>) {
        if !self.modify.referenced_by.is_empty() {
            self.referenced.push((old, new));
        }
    }

    /// Rows that refer to a key that this statement took away: asked when all its rows are changed,
    /// since it may take the referring rows away too.
    async fn check_referencing(&mut self) -> Result<()> {
        for (old, new) in std::mem::take(&mut self.referenced) {
            match new {
                None => constraint::on_delete(self.modify, &self.eval, self.cx, &old).await?,
                Some(new) => constraint::on_update(self.modify, &self.eval, self.cx, &old, &new).await?,
            }
        }
        Ok(())
    }

    async fn replace_entries(&mut self, key: &Key, old: &[Datum], values: &[Datum]) -> Result<()> {
        for at in 0..self.codec().indexes.len() {
            let (before, after) = (self.entry(at, old, key)?, self.entry(at, values, key)?);
            if before != after {
                self.cx.txn.open(self.cx.node).delete(before.key.into());
                self.write_entry(at, after).await?;
            }
        }
        Ok(())
    }
}

/// The rows that an UPDATE or DELETE changes, locked, in batches.
enum Targets {
    /// One row by its key: it is locked before it is read.
    Key(Option<Key>),
    Cursor(Box<Cursor>),
}

type Batch = Vec<(Key, Vec<Datum>)>;

impl Targets {
    async fn open(change: &mut Change<'_, '_>, read: &TableRead) -> Result<Targets> {
        if let Access::Key(bounds) = &read.access {
            return Ok(Targets::Key(whole_key(&read.codec, bounds, &change.eval)?));
        }
        let view = change.cx.txn.view(change.cx.node);
        Ok(Targets::Cursor(Box::new(Cursor::open(read, view, &change.eval).await?)))
    }

    /// The next rows to change; `None` at the end.
    async fn next(&mut self, change: &mut Change<'_, '_>, read: &TableRead) -> Result<Option<Batch>> {
        match self {
            Targets::Key(key) => {
                let Some(key) = key.take() else { return Ok(None) };
                change.lock(&key, LockMode::Update).await?;
                let row = change.cx.txn.open(change.cx.node).get_latest(&key).await.map_err(txn_error)?;
                let Some(row) = row else { return Ok(Some(vec![])) };
                let values = change.decode(&key, &row)?;
                let passes = passes(read, &change.eval, &values)?;
                Ok(Some(if passes { vec![(key, values)] } else { vec![] }))
            }
            Targets::Cursor(cursor) => {
                let mut batch = vec![];
                loop {
                    while let Some((key, row)) = cursor.next_in_block() {
                        let values = change.decode(key, row)?;
                        if passes(read, &change.eval, &values)? {
                            batch.push((Key::copy_from_slice(key), values));
                        }
                        if batch.len() == BATCH {
                            return change.lock_batch(read, batch).await.map(Some);
                        }
                    }
                    change.cx.cancel.check()?;
                    if !cursor.refill(&read.codec).await? {
                        break;
                    }
                }
                if batch.is_empty() { Ok(None) } else { change.lock_batch(read, batch).await.map(Some) }
            }
        }
    }
}

fn passes(read: &TableRead, eval: &EvalContext<'_>, values: &[Datum]) -> Result<bool> {
    read.filter.as_ref().map_or(Ok(true), |filter| filter.passes(eval, values))
}

impl Change<'_, '_> {
    /// Locks rows found by a scan. Rows that changed meanwhile are asked again; rows that went away
    /// drop out.
    async fn lock_batch(&mut self, read: &TableRead, batch: Batch) -> Result<Batch> {
        let mut kept = Vec::with_capacity(batch.len());
        for (key, values) in batch {
            if !self.lock_room() {
                self.require_whole_table();
                kept.push((key, values));
                continue;
            }
            let locked = self.lock(&key, LockMode::Update).await?;
            if !locked.changed_since_snapshot {
                kept.push((key, values));
                continue;
            }
            let latest = self.cx.txn.open(self.cx.node).get_latest(&key).await.map_err(txn_error)?;
            if let Some(row) = latest {
                let values = self.decode(&key, &row)?;
                if self.matches_whole_filter(read, &values)? {
                    kept.push((key, values));
                }
            }
        }
        Ok(kept)
    }

    /// In place of more row locks: at commit nobody else may have changed the table.
    fn require_whole_table(&mut self) {
        if !self.span_required {
            self.span_required = true;
            let span = self.codec().span();
            let txn = self.cx.txn.open(self.cx.node);
            let read_at = txn.statement_ts();
            txn.require_span(span, read_at);
        }
    }

    /// The filter on a changed row; an index access guaranteed some conjuncts of the old row only.
    fn matches_whole_filter(&self, read: &TableRead, values: &[Datum]) -> Result<bool> {
        let recheck = read.recheck.as_ref().or(read.filter.as_ref());
        recheck.map_or(Ok(true), |filter| filter.passes(&self.eval, values))
    }
}
