//! SELECT on the point path: a cursor, a filter, a projection, straight into the sink.

use super::read::{Cursor, lookup, whole_key};
use super::sequence::fetch_for_row;
use super::{ExecContext, Progress, RowSink};
use crate::expr::{Compiled, EvalContext};
use crate::kernels::CallContext;
use crate::plan::{Access, Bound, Plan, SelectPlan, TableRead};
use crate::types::{self, Datum};
use crate::{Oid, Result, SqlError, SqlState};

/// Rows between two looks at the cancel token.
const CANCEL_EVERY: u64 = 256;

#[derive(Default)]
pub(super) enum SelectState {
    #[default]
    Start,
    Running(Box<Running>),
    /// The only row went out under a row limit of one.
    Exhausted,
}

pub(super) struct Running {
    cursor: Option<Cursor>,
    /// The table's row, then the output row: reused from row to row.
    values: Vec<Datum>,
    output: Vec<Datum>,
    skip: u64,
    /// `None`: no LIMIT.
    left: Option<u64>,
    /// Rows since the portal was last suspended: what the command tag counts.
    sent: u64,
}

/// Runs or goes on.
pub(super) async fn run(
    state: &mut SelectState,
    plan: &Plan,
    select: &SelectPlan,
    params: &[Datum],
    cx: &mut ExecContext<'_>,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    let info = cx.info;
    let eval = EvalContext { call: CallContext::new(info, &plan.catalog), params };
    if let SelectState::Start = state {
        if let (Some(read), None, None) = (&select.read, &select.limit, &select.offset)
            && let Access::Key(bounds) = &read.access
        {
            let progress = point(read, bounds, select, &eval, cx, max_rows, sink).await;
            *state = SelectState::Exhausted;
            return progress;
        }
        *state = SelectState::Running(Box::new(Box::pin(open(select, &eval, cx)).await?));
    }
    let SelectState::Running(running) = state else { return Ok(Progress::Done("SELECT 0".into())) };
    match (&select.read, running.cursor.is_some()) {
        (Some(read), true) => Box::pin(scan(running, read, select, &eval, cx, max_rows, sink)).await,
        _ => constant_row(running, select, &eval, cx, sink).await,
    }
}

/// One row by its key: the shortest way, without cursor or state.
async fn point(
    read: &TableRead,
    bounds: &[Bound],
    select: &SelectPlan,
    eval: &EvalContext<'_>,
    cx: &mut ExecContext<'_>,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    let none = || Ok(Progress::Done("SELECT 0".into()));
    let view = cx.txn.view(cx.node);
    let Some(key) = whole_key(&read.codec, bounds, eval)? else { return none() };
    let Some(row) = lookup(&view, &key).await? else { return none() };
    let mut values = vec![Datum::Null; read.codec.width()];
    read.codec.decode(&key, &row, &read.wanted, &mut values)?;
    if let Some(filter) = &read.filter
        && !filter.passes(eval, &values)?
    {
        return none();
    }
    let mut output = Vec::with_capacity(select.targets.len());
    fetch_for_row(cx, eval, &select.sequences).await?;
    project(&select.targets, eval, &values, &mut output)?;
    cx.info.nap.wait().await;
    sink.row(&output)?;
    // With a row limit of one, PostgreSQL stops at the limit before it learns that there is no more.
    Ok(if max_rows == Some(1) { Progress::Suspended } else { Progress::Done("SELECT 1".into()) })
}

async fn open(select: &SelectPlan, eval: &EvalContext<'_>, cx: &mut ExecContext<'_>) -> Result<Running> {
    let left = row_count(select.limit.as_ref(), eval, "LIMIT")?;
    let skip = row_count(select.offset.as_ref(), eval, "OFFSET")?.unwrap_or(0);
    let (cursor, width) = match &select.read {
        Some(read) => {
            let view = cx.txn.view(cx.node);
            (Some(Cursor::open(read, view, eval).await?), read.codec.width())
        }
        None => (None, 0),
    };
    Ok(Running {
        cursor,
        values: vec![Datum::Null; width],
        output: Vec::with_capacity(select.targets.len()),
        skip,
        left,
        sent: 0,
    })
}

/// The value of LIMIT or OFFSET; null means none.
fn row_count(expr: Option<&Compiled>, eval: &EvalContext<'_>, clause: &str) -> Result<Option<u64>> {
    let Some(expr) = expr else { return Ok(None) };
    let count = match expr.eval(eval, &[])? {
        Datum::Null => return Ok(None),
        Datum::Int8(v) => v,
        Datum::Int4(v) => i64::from(v),
        other => return Err(SqlError::internal(format!("{clause} of {other:?}"))),
    };
    let code = match clause {
        "LIMIT" => SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
        _ => SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
    };
    u64::try_from(count).map(Some).map_err(|_| SqlError::new(code, format!("{clause} must not be negative")))
}

/// SELECT without FROM: one row, or none.
async fn constant_row(
    running: &mut Running,
    select: &SelectPlan,
    eval: &EvalContext<'_>,
    cx: &ExecContext<'_>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    let passes = select.filter.as_ref().map_or(Ok(true), |f| f.passes(eval, &[]))?;
    if passes && running.skip == 0 && running.left != Some(0) && running.sent == 0 {
        fetch_for_row(cx, eval, &select.sequences).await?;
        project(&select.targets, eval, &[], &mut running.output)?;
        cx.info.nap.wait().await;
        sink.row(&running.output)?;
        running.sent = 1;
    }
    Ok(Progress::Done(format!("SELECT {}", running.sent)))
}

async fn scan(
    running: &mut Running,
    read: &TableRead,
    select: &SelectPlan,
    eval: &EvalContext<'_>,
    cx: &mut ExecContext<'_>,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    let Running { cursor: Some(cursor), values, output, skip, left, sent } = running else {
        return Err(SqlError::internal("select without cursor"));
    };
    let mut now = 0;
    loop {
        while let Some((key, row)) = cursor.next_in_block() {
            if *left == Some(0) {
                return Ok(Progress::Done(format!("SELECT {sent}")));
            }
            read.codec.decode(key, row, &read.wanted, values)?;
            if let Some(filter) = &read.filter
                && !filter.passes(eval, values)?
            {
                continue;
            }
            if *skip > 0 {
                *skip -= 1;
                continue;
            }
            fetch_for_row(cx, eval, &select.sequences).await?;
            project(&select.targets, eval, values, output)?;
            cx.info.nap.wait().await;
            sink.row(output)?;
            now += 1;
            *sent += 1;
            *left = left.map(|n| n - 1);
            if max_rows == Some(now) {
                *sent = 0;
                return Ok(Progress::Suspended);
            }
            if sent.is_multiple_of(CANCEL_EVERY) {
                cx.cancel.check()?;
            }
            if sink.is_full() {
                return Ok(Progress::Paused);
            }
        }
        cx.cancel.check()?;
        if *left == Some(0) || !cursor.refill(&read.codec).await? {
            return Ok(Progress::Done(format!("SELECT {sent}")));
        }
    }
}

pub(super) fn project(
    targets: &[Compiled],
    eval: &EvalContext<'_>,
    row: &[Datum],
    out: &mut Vec<Datum>,
) -> Result<()> {
    out.clear();
    for target in targets {
        out.push(target.eval(eval, row)?);
    }
    Ok(())
}

/// The text of a row for error details: `(1, abc, null)`.
pub(super) fn row_text(values: impl Iterator<Item = (Oid, Datum)>, eval: &EvalContext<'_>) -> String {
    let texts: Vec<String> = values
        .map(|(ty, value)| match value {
            Datum::Null => "null".to_owned(),
            value => {
                let mut text = vec![];
                types::output(ty, &value, eval.call.fmt, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            }
        })
        .collect();
    format!("({})", texts.join(", "))
}
