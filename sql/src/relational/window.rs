//! Window functions over a sorted input, a partition at a time, by their definition: for every row
//! its frame is found, then the call is computed over the frame's rows.

use super::aggregate::{CallOrder, Compute, compare_keys};
use super::column::ColumnReader;
use super::env::QueryEnv;
use super::error::from_df;
use crate::ir::{FrameExclude, FrameMode};
use crate::types::{self, Datum};
use crate::{Oid, Result, SqlError, SqlState};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use std::ops::Range;
use std::sync::Arc;

/// The calls over one window. The operator reads, in this order: partition columns, order columns,
/// then each call's arguments and filter.
#[derive(Debug)]
pub(super) struct WindowWork {
    pub(super) partition: Vec<Oid>,
    pub(super) order: Vec<CallOrder>,
    pub(super) frame: FrameSpec,
    pub(super) calls: Vec<WindowFunction>,
}

/// A frame whose offsets are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameSpec {
    pub(super) mode: FrameMode,
    pub(super) start: Bound,
    pub(super) end: Bound,
    pub(super) exclude: FrameExclude,
}

/// Rows or groups of peers away from the current row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bound {
    UnboundedPreceding,
    Preceding(u64),
    CurrentRow,
    Following(u64),
    UnboundedFollowing,
}

pub(super) struct WindowFunction {
    pub(super) what: What,
    /// Positions of its arguments among the columns read.
    pub(super) args: Vec<usize>,
    pub(super) filter: Option<usize>,
}

impl std::fmt::Debug for WindowFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowFunction").field("args", &self.args).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
pub(super) enum What {
    Aggregate(Compute),
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
}

impl What {
    /// The window function of that name.
    pub(super) fn named(name: &str) -> Option<What> {
        Some(match name {
            "row_number" => What::RowNumber,
            "rank" => What::Rank,
            "dense_rank" => What::DenseRank,
            "percent_rank" => What::PercentRank,
            "cume_dist" => What::CumeDist,
            "ntile" => What::Ntile,
            "lag" => What::Lag,
            "lead" => What::Lead,
            "first_value" => What::FirstValue,
            "last_value" => What::LastValue,
            "nth_value" => What::NthValue,
            _ => return None,
        })
    }
}

/// Rows with the values that the calls add to each.
pub(super) type Done = Option<(RecordBatch, Vec<Vec<Datum>>)>;

/// A running window: the batches of the partition in hand.
pub(super) struct WindowRun {
    schema: SchemaRef,
    held: Vec<RecordBatch>,
    rows: Vec<Vec<Datum>>,
    memory: MemoryReservation,
}

impl WindowRun {
    pub(super) fn new(schema: SchemaRef, context: &Arc<TaskContext>) -> WindowRun {
        let memory = MemoryConsumer::new("WindowAgg").register(context.memory_pool());
        WindowRun { schema, held: vec![], rows: vec![], memory }
    }

    /// Takes a batch; answers the rows of the partitions that it completes.
    pub(super) fn push(
        &mut self,
        work: &WindowWork,
        reads: &[(usize, Oid)],
        env: &QueryEnv,
        batch: RecordBatch,
    ) -> Result<Done> {
        self.memory.try_grow(2 * batch.get_array_memory_size()).map_err(from_df)?;
        let readers = reads
            .iter()
            .map(|(at, ty)| ColumnReader::new(batch.column(*at), *ty))
            .collect::<Result<Vec<_>>>()?;
        let fresh = self.rows.len();
        for row in 0..batch.num_rows() {
            self.rows.push(readers.iter().map(|r| r.get(row)).collect::<Result<_>>()?);
        }
        self.held.push(batch);
        // The last partition may go on in the next batch; everything before it is complete.
        let Some(last) = self.rows.last() else { return Ok(None) };
        let open = self.rows.iter().rposition(|row| !same(&work.partition, row, last)).map_or(0, |at| at + 1);
        if open == 0 || open < fresh.min(1) {
            return Ok(None);
        }
        self.complete(work, env, open).map(Some)
    }

    /// The rows of the last partition.
    pub(super) fn finish(&mut self, work: &WindowWork, _: &[(usize, Oid)], env: &QueryEnv) -> Result<Done> {
        match self.rows.len() {
            0 => Ok(None),
            rows => self.complete(work, env, rows).map(Some),
        }
    }

    fn complete(
        &mut self,
        work: &WindowWork,
        env: &QueryEnv,
        count: usize,
    ) -> Result<(RecordBatch, Vec<Vec<Datum>>)> {
        let all = concat_batches(&self.schema, &self.held).map_err(|e| from_df(e.into()))?;
        let rest: Vec<Vec<Datum>> = self.rows.split_off(count);
        let rows = std::mem::replace(&mut self.rows, rest);
        let mut values = Vec::with_capacity(count);
        let mut start = 0;
        while start < rows.len() {
            let same =
                rows[start..].iter().take_while(|row| same(&work.partition, row, &rows[start])).count();
            partition_values(work, env, &rows[start..start + same], &mut values)?;
            start += same;
        }
        self.held = vec![all.slice(count, all.num_rows() - count)];
        self.memory.try_resize(2 * self.held[0].get_array_memory_size()).map_err(from_df)?;
        Ok((all.slice(0, count), values))
    }
}

fn same(types: &[Oid], a: &[Datum], b: &[Datum]) -> bool {
    types.iter().zip(a.iter().zip(b)).all(|(ty, (a, b))| match (a.is_null(), b.is_null()) {
        (false, false) => types::compare(*ty, a, b).is_eq(),
        (a, b) => a == b,
    })
}

/// Appends the calls' values for every row of one partition.
fn partition_values(
    work: &WindowWork,
    env: &QueryEnv,
    rows: &[Vec<Datum>],
    out: &mut Vec<Vec<Datum>>,
) -> Result<()> {
    let first = out.len();
    out.resize_with(first + rows.len(), Vec::new);
    let partition = Partition { work, env, rows, peers: peers(work, rows) };
    for call in &work.calls {
        let values = partition.call(call)?;
        for (row, value) in out[first..].iter_mut().zip(values) {
            row.push(value);
        }
    }
    Ok(())
}

/// The number of every row's group of peers, from 0.
fn peers(work: &WindowWork, rows: &[Vec<Datum>]) -> Vec<usize> {
    let at = work.partition.len();
    let mut group = 0;
    let number = |(i, row): (usize, &Vec<Datum>)| {
        if i > 0 && compare_keys(&work.order, &rows[i - 1][at..], &row[at..]).is_ne() {
            group += 1;
        }
        group
    };
    rows.iter().enumerate().map(number).collect()
}

struct Partition<'p> {
    work: &'p WindowWork,
    env: &'p QueryEnv,
    rows: &'p [Vec<Datum>],
    peers: Vec<usize>,
}

impl Partition<'_> {
    fn call(&self, call: &WindowFunction) -> Result<Vec<Datum>> {
        let count = self.rows.len();
        match call.what {
            What::Aggregate(compute) => self.aggregate(call, compute),
            What::RowNumber => Ok((1..=count as i64).map(Datum::Int8).collect()),
            What::DenseRank => Ok(self.peers.iter().map(|p| Datum::Int8(*p as i64 + 1)).collect()),
            What::Rank => Ok((0..count).map(|i| Datum::Int8(self.group(i).start as i64 + 1)).collect()),
            What::PercentRank => {
                Ok((0..count).map(|i| Datum::Float8(percent(self.group(i).start, count))).collect())
            }
            What::CumeDist => {
                Ok((0..count).map(|i| Datum::Float8(self.group(i).end as f64 / count as f64)).collect())
            }
            What::Ntile => (0..count).map(|i| self.ntile(call, i)).collect(),
            What::Lag => (0..count).map(|i| self.shifted(call, i, -1)).collect(),
            What::Lead => (0..count).map(|i| self.shifted(call, i, 1)).collect(),
            What::FirstValue => self.in_frame(call, |frame, _| Ok(frame.first().copied())),
            What::LastValue => self.in_frame(call, |frame, _| Ok(frame.last().copied())),
            What::NthValue => self.in_frame(call, |frame, row| {
                let n = match &row[call.args[1]] {
                    Datum::Null => return Ok(None),
                    Datum::Int4(n) if *n > 0 => *n as usize,
                    _ => {
                        return Err(SqlError::new(
                            SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE_FUNCTION,
                            "argument of nth_value must be greater than zero",
                        ));
                    }
                };
                Ok(frame.get(n - 1).copied())
            }),
        }
    }

    /// The rows that are peers of a row.
    fn group(&self, row: usize) -> Range<usize> {
        let group = self.peers[row];
        self.peers.partition_point(|p| *p < group)..self.peers.partition_point(|p| *p <= group)
    }

    fn ntile(&self, call: &WindowFunction, row: usize) -> Result<Datum> {
        let buckets = match &self.rows[0][call.args[0]] {
            Datum::Null => return Ok(Datum::Null),
            Datum::Int4(n) if *n > 0 => *n as usize,
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_ARGUMENT_FOR_NTILE_FUNCTION,
                    "argument of ntile must be greater than zero",
                ));
            }
        };
        let (size, larger) = (self.rows.len() / buckets, self.rows.len() % buckets);
        let boundary = larger * (size + 1);
        let bucket = match row < boundary {
            true => row / (size + 1),
            false => larger + (row - boundary) / size.max(1),
        };
        Ok(Datum::Int4(bucket as i32 + 1))
    }

    /// lag and lead: (value [, offset [, default]]).
    fn shifted(&self, call: &WindowFunction, row: usize, sign: i64) -> Result<Datum> {
        let here = &self.rows[row];
        let offset = match call.args.get(1).map(|at| &here[*at]) {
            None => 1,
            Some(Datum::Int4(offset)) => i64::from(*offset),
            Some(_) => return Ok(Datum::Null),
        };
        let target = usize::try_from(row as i64 + sign * offset).ok().and_then(|at| self.rows.get(at));
        Ok(match (target, call.args.get(2)) {
            (Some(row), _) => row[call.args[0]].clone(),
            (None, Some(default)) => here[*default].clone(),
            (None, None) => Datum::Null,
        })
    }

    fn in_frame(
        &self,
        call: &WindowFunction,
        pick: impl Fn(&[usize], &[Datum]) -> Result<Option<usize>>,
    ) -> Result<Vec<Datum>> {
        (0..self.rows.len())
            .map(|i| {
                let frame: Vec<usize> = self.frame(i)?.collect();
                let picked = pick(&frame, &self.rows[i])?;
                Ok(picked.map_or(Datum::Null, |at| self.rows[at][call.args[0]].clone()))
            })
            .collect()
    }

    /// The rows of a row's frame.
    fn frame(&self, row: usize) -> Result<impl Iterator<Item = usize> + use<'_>> {
        let range = self.range(row);
        let (exclude, group) = (self.work.frame.exclude, self.group(row));
        Ok(range.filter(move |i| match exclude {
            FrameExclude::NoOthers => true,
            FrameExclude::CurrentRow => *i != row,
            FrameExclude::Group => !group.contains(i),
            FrameExclude::Ties => *i == row || !group.contains(i),
        }))
    }

    fn range(&self, row: usize) -> Range<usize> {
        let count = self.rows.len();
        let frame = &self.work.frame;
        let start = match frame.start {
            Bound::UnboundedPreceding => 0,
            Bound::UnboundedFollowing => count,
            bound => self.edge(row, bound).start,
        };
        let end = match frame.end {
            Bound::UnboundedPreceding => 0,
            Bound::UnboundedFollowing => count,
            bound => self.edge(row, bound).end,
        };
        start.min(count)..end.clamp(start.min(count), count)
    }

    /// The rows at a bound: one row in ROWS mode, a group of peers otherwise.
    fn edge(&self, row: usize, bound: Bound) -> Range<usize> {
        let groups = self.work.frame.mode != FrameMode::Rows;
        let here = if groups { self.peers[row] as i64 } else { row as i64 };
        let clamp = |n: u64| i64::try_from(n).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
        let at = match bound {
            Bound::Preceding(n) => here - clamp(n),
            Bound::Following(n) => here + clamp(n),
            _ => here,
        };
        let Ok(at) = usize::try_from(at) else { return 0..0 };
        match groups {
            false => at..at.saturating_add(1),
            true => self.peers.partition_point(|p| *p < at)..self.peers.partition_point(|p| *p <= at),
        }
    }

    /// An aggregate over every row's frame. A frame that only grows is added to, not computed again.
    fn aggregate(&self, call: &WindowFunction, compute: Compute) -> Result<Vec<Datum>> {
        let Compute::Kernel(kernel) = compute else {
            return Err(SqlError::internal("window without kernel"));
        };
        let params = [];
        let eval = self.env.eval(&params);
        let grows = matches!(self.work.frame.start, Bound::UnboundedPreceding)
            && self.work.frame.exclude == FrameExclude::NoOthers;
        let mut values: Vec<Datum> = Vec::with_capacity(self.rows.len());
        let (mut done, mut state) = (0, kernel.start());
        for row in 0..self.rows.len() {
            let end = self.range(row).end;
            if grows && row > 0 && end == done {
                values.push(values[row - 1].clone());
                continue;
            }
            if !grows {
                state = kernel.start();
            }
            for i in self.frame(row)?.skip_while(|i| grows && *i < done) {
                let there = &self.rows[i];
                if call.filter.is_some_and(|at| !matches!(there[at], Datum::Bool(true))) {
                    continue;
                }
                let args: Vec<Datum> = call.args.iter().map(|at| there[*at].clone()).collect();
                state.accumulate(&eval.call, &args)?;
            }
            done = end;
            values.push(state.finish(&eval.call)?);
            self.env.cancel.check()?;
        }
        Ok(values)
    }
}

fn percent(before: usize, count: usize) -> f64 {
    match count {
        1 => 0.0,
        _ => before as f64 / (count - 1) as f64,
    }
}
