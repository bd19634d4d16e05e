//! Rows into a table in bulk: every check of an INSERT, a batch at a time.
//!
//! - A row is completed (defaults, generated columns), filtered and checked when it comes, encoded
//!   once, and staged. Its unique keys are not locked: validation at commit is the truth.
//! - A batch is looked up before it is written: one scan an index over the span of its keys tells of
//!   duplicates in the batch, in the transaction and in the table, so that the line is known.
//! - Foreign keys are looked up a batch at a time, each distinct key once. A key that a row of the same
//!   table may still bring is asked again at the end.

use super::context::at_line;
use super::plan::CopyPlan;
use crate::exec::sequence::fetch_for_row;
use crate::exec::{ExecContext, constraint, integer_of, txn_error};
use crate::expr::EvalContext;
use crate::node::duplicate_key;
use crate::plan::{ColumnSource, ForeignKeyPlan, ModifyAction, ModifyPlan, PlanKind};
use crate::table::push_key;
use crate::types::Datum;
use crate::{Oid, Result, SqlError, SqlState};
use bytes::Bytes;
use rustc_hash::FxHashSet;
use std::sync::Arc;
use storage::engine::{Direction, Span};
use storage::key::{ColumnOrder, KeyWriter};
use txn::{Key, KvBlock, LatestSource, LockMode, ReadView, WaitPolicy};

/// Rows, and bytes of encoded rows and entries, that a batch holds at most.
const BATCH_ROWS: usize = 2048;
const BATCH_BYTES: usize = 4 << 20;
/// Referenced rows that are locked; those beyond are validated at commit only.
const MOST_LOCKS: usize = 100_000;
/// Verified foreign keys that are remembered, a foreign key.
const MOST_KNOWN: usize = 65_536;
/// Keys of a self-referencing table that may wait for their row at once.
const MOST_WAITING: usize = 1 << 20;

/// One encoded row or index entry.
struct Write {
    key: Key,
    value: Bytes,
    /// The unique index whose key must be new; `None`: any key may be written.
    unique: Option<Oid>,
    /// The input line it comes from.
    line: u64,
}

/// The foreign key values of a batch, and what is known of earlier ones.
#[derive(Default)]
struct Parents {
    known: FxHashSet<Vec<u8>>,
    fresh: Vec<(Vec<u8>, Vec<Datum>)>,
    /// Not found yet: a later row of this very COPY may be the referenced one.
    waiting: Vec<Vec<Datum>>,
}

pub(super) struct BulkInsert {
    plan: Arc<CopyPlan>,
    /// The row in work, a slot a column of the table.
    values: Vec<Datum>,
    scratch: Vec<u8>,
    writes: Vec<Write>,
    staged_rows: usize,
    staged_bytes: usize,
    parents: Vec<Parents>,
    locks: usize,
    /// The keys lie so thin between existing ones that single look-ups are cheaper than a scan.
    look_up: bool,
}

impl BulkInsert {
    pub(super) fn new(plan: Arc<CopyPlan>) -> Result<BulkInsert> {
        let modify = modify_of(&plan)?;
        let values = vec![Datum::Null; modify.codec.width()];
        let parents = modify.references.iter().map(|_| Parents::default()).collect();
        Ok(BulkInsert {
            values,
            parents,
            scratch: vec![],
            writes: vec![],
            staged_rows: 0,
            staged_bytes: 0,
            locks: 0,
            look_up: false,
            plan,
        })
    }

    /// Completes, filters, checks and stages one row; `false`: WHERE keeps it out.
    pub(super) async fn add(
        &mut self,
        cx: &mut ExecContext<'_>,
        eval: &EvalContext<'_>,
        input: &mut [Datum],
        line: u64,
    ) -> Result<bool> {
        let plan = self.plan.clone();
        let modify = modify_of(&plan)?;
        let ModifyAction::Insert { columns, .. } = &modify.action else { return Err(not_an_insert()) };
        for (column, source) in columns {
            self.values[*column] = match source {
                ColumnSource::Input(i) => std::mem::replace(&mut input[*i], Datum::Null),
                ColumnSource::Expr(expr) => expr.eval(eval, &[])?,
                ColumnSource::WithSequences { expr, sequences } => {
                    fetch_for_row(cx, eval, sequences).await?;
                    expr.eval(eval, &[])?
                }
                ColumnSource::Sequence { sequence, ty } => {
                    let descriptor = plan.plan.catalog.sequence(*sequence);
                    let descriptor = descriptor
                        .ok_or_else(|| SqlError::internal("default of a sequence that does not exist"))?;
                    let value = cx.node.sequences.next(&cx.node.db, descriptor).await?;
                    cx.info.sequences.record(*sequence, value);
                    integer_of(ty.oid, value)?
                }
            };
        }
        if let Some(filter) = &plan.filter
            && !filter.passes(eval, &self.values)?
        {
            return Ok(false);
        }
        constraint::complete_row(modify, eval, &mut self.values)?;
        let row_id = if modify.codec.has_row_id() { cx.node.next_row_id().await? } else { 0 };
        self.stage(modify, row_id, line)?;
        Ok(true)
    }

    /// Encodes the row in work and its index entries.
    fn stage(&mut self, modify: &ModifyPlan, row_id: i64, line: u64) -> Result<()> {
        let codec = &modify.codec;
        let key = codec.row_key(&self.values, row_id)?;
        self.scratch.clear();
        codec.encode_row(&self.values, &mut self.scratch)?;
        for index in &codec.indexes {
            let entry = index.entry(&self.values, codec.key_suffix(&key))?;
            let unique = entry.exclusive.then_some(index.oid);
            self.push(Write { key: entry.key.into(), value: entry.value.into(), unique, line });
        }
        let unique = (!codec.has_row_id()).then_some(codec.table.primary_key);
        let value = Bytes::copy_from_slice(&self.scratch);
        self.push(Write { key: key.into(), value, unique, line });
        for (reference, parents) in modify.references.iter().zip(&mut self.parents) {
            parents.note(reference, &self.values)?;
        }
        self.staged_rows += 1;
        Ok(())
    }

    fn push(&mut self, write: Write) {
        self.staged_bytes += write.key.len() + write.value.len();
        self.writes.push(write);
    }

    pub(super) fn is_full(&self) -> bool {
        self.staged_rows >= BATCH_ROWS || self.staged_bytes >= BATCH_BYTES
    }

    /// Looks the staged rows up and writes them into the transaction.
    pub(super) async fn flush(&mut self, cx: &mut ExecContext<'_>, eval: &EvalContext<'_>) -> Result<()> {
        if self.writes.is_empty() {
            return Ok(());
        }
        cx.cancel.check()?;
        // In key order the transaction's buffer is filled cheapest, and the look-up needs it as well.
        self.writes.sort_by(|a, b| a.key.cmp(&b.key));
        self.refuse_duplicates(cx).await?;
        let txn = cx.txn.open(cx.node);
        for write in self.writes.drain(..) {
            match write.unique {
                Some(index) => txn.insert(write.key, write.value, index.0),
                None => txn.put(write.key, write.value),
            }
        }
        self.staged_rows = 0;
        self.staged_bytes = 0;
        self.check_parents(cx, eval).await
    }

    /// After the last batch: keys that waited for their row must be there now.
    pub(super) async fn finish(&mut self, cx: &mut ExecContext<'_>, eval: &EvalContext<'_>) -> Result<()> {
        self.flush(cx, eval).await?;
        let plan = self.plan.clone();
        for (at, reference) in modify_of(&plan)?.references.iter().enumerate() {
            for key in std::mem::take(&mut self.parents[at].waiting) {
                if !self.parent_holds(reference, &key, cx).await? {
                    return Err(missing(reference, eval, &key));
                }
            }
        }
        Ok(())
    }

    /// 23505 at the first line whose key is taken. `writes` are in key order.
    async fn refuse_duplicates(&mut self, cx: &mut ExecContext<'_>) -> Result<()> {
        let unique: Vec<&Write> = self.writes.iter().filter(|w| w.unique.is_some()).collect();
        let mut taken: Vec<&Write> = vec![];
        for pair in unique.windows(2) {
            if pair[0].key == pair[1].key {
                // The sort is stable: the second one comes later in the input.
                taken.push(pair[1]);
            }
        }
        if !unique.is_empty() {
            let view = cx.txn.open(cx.node).fresh_view();
            for of_index in unique.chunk_by(|a, b| a.unique == b.unique) {
                let enough = probe(&view, of_index, self.look_up, &mut taken).await?;
                self.look_up |= !enough;
            }
        }
        let Some(first) = taken.iter().min_by_key(|w| w.line) else { return Ok(()) };
        let error = first.unique.and_then(|index| duplicate_key(&self.plan.plan.catalog, index, &first.key));
        let error = error.unwrap_or_else(|| SqlError::internal("duplicate key of an unknown index"));
        Err(at_line(error, &self.plan.table, first.line))
    }

    async fn check_parents(&mut self, cx: &mut ExecContext<'_>, eval: &EvalContext<'_>) -> Result<()> {
        let plan = self.plan.clone();
        for (at, reference) in modify_of(&plan)?.references.iter().enumerate() {
            let mut fresh = std::mem::take(&mut self.parents[at].fresh);
            fresh.sort_by(|a, b| a.0.cmp(&b.0));
            for (encoded, key) in fresh.drain(..) {
                if key.iter().any(Datum::is_null) {
                    return Err(missing(reference, eval, &key));
                }
                if !self.parent_holds(reference, &key, cx).await? {
                    if reference.parent.table.oid != reference.child.table.oid {
                        return Err(missing(reference, eval, &key));
                    }
                    self.parents[at].wait(key)?;
                    continue;
                }
                let known = &mut self.parents[at].known;
                if known.len() >= MOST_KNOWN {
                    known.clear();
                }
                known.insert(encoded);
            }
        }
        Ok(())
    }

    /// Whether the referenced row is there; it stays there until this transaction ends, or the commit
    /// fails.
    async fn parent_holds(
        &mut self,
        reference: &ForeignKeyPlan,
        key: &[Datum],
        cx: &mut ExecContext<'_>,
    ) -> Result<bool> {
        let borrowed: Vec<&Datum> = key.iter().collect();
        let Some(row_key) = constraint::parent_row_key(reference, &borrowed, cx).await? else {
            return Ok(false);
        };
        let wait = WaitPolicy::Wait { timeout: cx.info.lock_timeout };
        let txn = cx.txn.open(cx.node);
        if self.locks < MOST_LOCKS {
            txn.lock(std::slice::from_ref(&row_key), LockMode::KeyShare, wait).await.map_err(txn_error)?;
            self.locks += 1;
            return Ok(txn.get_latest(&row_key).await.map_err(txn_error)?.is_some());
        }
        let latest = txn.latest(&row_key).await.map_err(txn_error)?;
        if let (Some(_), LatestSource::Committed(ts)) = (&latest.row, latest.source) {
            txn.require(row_key, ts);
        }
        Ok(latest.row.is_some())
    }
}

impl Parents {
    /// Remembers the key of a row, unless it is null or known.
    fn note(&mut self, reference: &ForeignKeyPlan, values: &[Datum]) -> Result<()> {
        let columns = &reference.child_columns;
        let nulls = columns.iter().filter(|c| values[**c].is_null()).count();
        if nulls > 0 && (!reference.key.match_full || nulls == columns.len()) {
            return Ok(());
        }
        let mut encoded = KeyWriter::after(vec![]);
        for column in columns {
            let ty = reference.child.column_type(*column).oid;
            push_key(&mut encoded, &values[*column], ty, ColumnOrder::KEY)?;
        }
        let encoded = encoded.finish();
        // Neighbours often share their parent.
        let again = self.fresh.last().is_some_and(|(last, _)| *last == encoded);
        if !again && !self.known.contains(&encoded) {
            self.fresh.push((encoded, columns.iter().map(|c| values[*c].clone()).collect()));
        }
        Ok(())
    }

    fn wait(&mut self, key: Vec<Datum>) -> Result<()> {
        if self.waiting.len() >= MOST_WAITING {
            let message = "too many rows of COPY refer to rows that have not come yet";
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, message)
                .with_hint("Put referenced rows before the rows that refer to them."));
        }
        self.waiting.push(key);
        Ok(())
    }
}

fn missing(reference: &ForeignKeyPlan, eval: &EvalContext<'_>, key: &[Datum]) -> SqlError {
    constraint::missing_parent(reference, eval, &key.iter().collect::<Vec<_>>())
}

/// Adds the writes whose keys exist. `false`: a scan met far more rows than there are keys.
async fn probe<'w>(
    view: &ReadView,
    writes: &[&'w Write],
    look_up: bool,
    taken: &mut Vec<&'w Write>,
) -> Result<bool> {
    let (Some(first), Some(last)) = (writes.first(), writes.last()) else { return Ok(true) };
    let mut rest = writes;
    if !look_up {
        // Just behind the last key.
        let hi = [&last.key[..], &[0]].concat();
        let mut scan = view.scan(Span { lo: first.key.to_vec(), hi }, Direction::Forward);
        let mut block = KvBlock::default();
        let mut seen = 0;
        while seen <= 2 * writes.len() {
            block.clear();
            let more = scan.next_block(1024, 1 << 20, &mut block).await.map_err(txn_error)?;
            seen += block.len();
            for (key, _) in block.iter() {
                rest = &rest[rest.partition_point(|w| w.key[..] < *key)..];
                taken.extend(rest.iter().take_while(|w| w.key[..] == *key).take(1));
            }
            if !more || rest.is_empty() {
                return Ok(true);
            }
        }
    }
    for write in rest {
        if view.get(&write.key).await.map_err(txn_error)?.is_some() {
            taken.push(write);
        }
    }
    Ok(look_up)
}

fn modify_of(plan: &CopyPlan) -> Result<&ModifyPlan> {
    match &plan.plan.kind {
        PlanKind::Modify(modify) => Ok(modify),
        _ => Err(not_an_insert()),
    }
}

fn not_an_insert() -> SqlError {
    SqlError::internal("COPY FROM without insertion")
}
