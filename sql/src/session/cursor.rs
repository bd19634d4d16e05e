//! Cursors of SQL's DECLARE: a plan under way, a position, and, for those that scroll or outlive
//! their transaction, the rows so far.

use super::run::{ExecContext, Execution, run};
use crate::exec::{Progress, RowSink};
use crate::parse::FetchDirection;
use crate::types::Datum;
use crate::{Result, SqlError, SqlState};

/// Rows a scrolling or holding cursor keeps in memory before it gives up with 53200.
const MAX_KEPT_ROWS: usize = 10_000_000;

/// A declared cursor. Positions count rows from 1; 0 is before the first, one past the last is after.
pub struct Cursor {
    /// `None` once every row has been read.
    pub(super) execution: Option<Box<Execution>>,
    pub(super) scroll: bool,
    pub(super) kept: Vec<Vec<Datum>>,
    pub(super) position: usize,
}

/// What a FETCH has to do on a cursor that only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forward {
    /// Rows to pass over first.
    pub skip: u64,
    /// Rows to hand out; `None`: all.
    pub take: Option<u64>,
}

impl Cursor {
    pub(super) fn new(execution: Execution, scroll: bool) -> Cursor {
        Cursor { execution: Some(Box::new(execution)), scroll, kept: Vec::new(), position: 0 }
    }

    /// The part of a FETCH that a forward-only cursor can do; 55000 for the rest.
    pub(super) fn forward(&self, direction: FetchDirection) -> Result<Forward> {
        let refused = || {
            SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
                .with_hint("Declare it with SCROLL option to enable backward scan.")
        };
        let one = |skip: u64| Ok(Forward { skip, take: Some(1) });
        match direction {
            FetchDirection::Forward(None) => Ok(Forward { skip: 0, take: None }),
            FetchDirection::Forward(Some(n)) if n > 0 => Ok(Forward { skip: 0, take: Some(n as u64) }),
            FetchDirection::Relative(n) if n > 0 => one(n as u64 - 1),
            FetchDirection::Absolute(n) if n > 0 && n as u64 > self.position as u64 => {
                one(n as u64 - 1 - self.position as u64)
            }
            _ => Err(refused()),
        }
    }

    /// The rows of a FETCH on a cursor that keeps its rows; moves the position.
    pub(super) async fn scroll(
        &mut self,
        cx: &mut ExecContext<'_>,
        direction: FetchDirection,
    ) -> Result<Vec<Vec<Datum>>> {
        let at = self.position as i64;
        match direction {
            FetchDirection::Forward(Some(0)) | FetchDirection::Backward(Some(0)) => self.current(),
            FetchDirection::Relative(0) => self.current(),
            FetchDirection::Forward(Some(n)) if n < 0 => self.backward(Some(n.unsigned_abs())),
            FetchDirection::Backward(Some(n)) if n < 0 => self.ahead(cx, Some(n.unsigned_abs())).await,
            FetchDirection::Forward(n) => self.ahead(cx, n.map(|n| n as u64)).await,
            FetchDirection::Backward(n) => self.backward(n.map(|n| n as u64)),
            FetchDirection::Absolute(n) if n >= 0 => self.jump(cx, n).await,
            FetchDirection::Absolute(n) => {
                self.fill(cx, usize::MAX).await?;
                self.jump(cx, (self.kept.len() as i64 + 1).saturating_add(n)).await
            }
            FetchDirection::Relative(n) => self.jump(cx, at.saturating_add(n)).await,
        }
    }

    fn current(&self) -> Result<Vec<Vec<Datum>>> {
        Ok(self.position.checked_sub(1).and_then(|i| self.kept.get(i)).cloned().into_iter().collect())
    }

    async fn ahead(&mut self, cx: &mut ExecContext<'_>, count: Option<u64>) -> Result<Vec<Vec<Datum>>> {
        let count = count.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let end = self.position.saturating_add(count);
        self.fill(cx, end).await?;
        let from = self.position.min(self.kept.len());
        let to = end.min(self.kept.len());
        self.position = if to < end { self.kept.len() + 1 } else { end };
        Ok(self.kept[from..to].to_vec())
    }

    fn backward(&mut self, count: Option<u64>) -> Result<Vec<Vec<Datum>>> {
        let count = count.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let to = self.position.saturating_sub(1);
        let from = to.saturating_sub(count);
        let rows = self.kept[from..to].iter().rev().cloned().collect();
        self.position = self.position.saturating_sub(count);
        Ok(rows)
    }

    async fn jump(&mut self, cx: &mut ExecContext<'_>, to: i64) -> Result<Vec<Vec<Datum>>> {
        let to = usize::try_from(to.max(0)).unwrap_or(usize::MAX - 1);
        self.fill(cx, to).await?;
        self.position = to.min(self.kept.len() + 1);
        self.current()
    }

    /// Reads until `rows` rows are kept or there are no more.
    pub(super) async fn fill(&mut self, cx: &mut ExecContext<'_>, rows: usize) -> Result<()> {
        while self.kept.len() < rows {
            let Some(execution) = &mut self.execution else { return Ok(()) };
            let wanted = u64::try_from(rows - self.kept.len()).ok().filter(|_| rows != usize::MAX);
            let mut keep = Keep(&mut self.kept);
            match run(execution, cx, wanted, &mut keep).await? {
                Progress::Done(_) => self.execution = None,
                Progress::Paused | Progress::Suspended => {}
            }
        }
        Ok(())
    }
}

/// Keeps rows.
struct Keep<'a>(&'a mut Vec<Vec<Datum>>);

impl RowSink for Keep<'_> {
    fn row(&mut self, row: &[Datum]) -> Result<()> {
        if self.0.len() >= MAX_KEPT_ROWS {
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
                .with_detail(format!("A cursor keeps at most {MAX_KEPT_ROWS} rows.")));
        }
        self.0.push(row.to_vec());
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }
}

/// Counts rows on their way, or swallows them.
pub(super) struct Counted<'a> {
    pub sink: Option<&'a mut dyn RowSink>,
    pub rows: u64,
}

impl RowSink for Counted<'_> {
    fn row(&mut self, row: &[Datum]) -> Result<()> {
        self.rows += 1;
        match &mut self.sink {
            Some(sink) => sink.row(row),
            None => Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.is_full())
    }
}
