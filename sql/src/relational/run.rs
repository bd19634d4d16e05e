//! Running a relational plan: planned at its first call for the values of its parameters, then
//! batches come in and rows go out until the sink is full.

use super::RelationalPlan;
use super::column::ColumnReader;
use super::env::QueryEnv;
use super::error::from_df;
use super::leaf::PlanColumn;
use super::lower::Lowerer;
use crate::Result;
use crate::exec::{ExecContext, Progress, RowSink};
use crate::plan::Plan;
use crate::types::Datum;
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::execution_plan::execute_stream;
use futures::StreamExt;
use std::time::Duration;
use txn::Access;

/// How often a waiting query looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// A relational query between two calls.
#[derive(Default)]
pub(crate) struct RelationalState {
    running: Option<Running>,
}

struct Running {
    stream: SendableRecordBatchStream,
    columns: Vec<PlanColumn>,
    batch: Option<RecordBatch>,
    /// Next row of the batch.
    at: usize,
    sent: u64,
}

/// Runs or goes on.
pub(crate) async fn run(
    state: &mut RelationalState,
    plan: &Plan,
    relational: &RelationalPlan,
    params: &[Datum],
    cx: &mut ExecContext<'_>,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Progress> {
    if state.running.is_none() {
        state.running = Some(open(plan, relational, params, cx).await?);
    }
    let Some(running) = &mut state.running else { return Ok(Progress::Done("SELECT 0".into())) };
    let mut now = 0;
    loop {
        if let Some(progress) = running.send(&mut now, max_rows, sink)? {
            return Ok(progress);
        }
        cx.cancel.check()?;
        match running.next_batch(cx).await? {
            Some(batch) => {
                running.batch = Some(batch);
                running.at = 0;
            }
            None => return Ok(Progress::Done(format!("SELECT {}", running.sent))),
        }
    }
}

async fn open(
    plan: &Plan,
    relational: &RelationalPlan,
    params: &[Datum],
    cx: &mut ExecContext<'_>,
) -> Result<Running> {
    let view = cx.txn.view(cx.node);
    let sequences = (cx.txn.options().access != Access::ReadOnly).then(|| cx.node.clone());
    let (info, catalog) = (cx.info.clone(), plan.catalog.clone());
    let env = QueryEnv::new(info, catalog, view, cx.cancel.clone(), sequences, params.into());
    let lowered = Lowerer::new(env).query(&relational.query)?;
    let engine = &cx.node.relational;
    let physical = engine.plan(&lowered.plan).await?;
    let stream = execute_stream(physical, engine.context()).map_err(from_df)?;
    Ok(Running { stream, columns: lowered.columns, batch: None, at: 0, sent: 0 })
}

impl Running {
    /// The next batch; the wait ends when the query is cancelled.
    async fn next_batch(&mut self, cx: &ExecContext<'_>) -> Result<Option<RecordBatch>> {
        loop {
            match tokio::time::timeout(CANCEL_POLL, self.stream.next()).await {
                Ok(batch) => {
                    cx.info.nap.wait().await;
                    return batch.transpose().map_err(from_df);
                }
                Err(_) => cx.cancel.check()?,
            }
        }
    }

    /// Sends rows of the batch in hand; `None`: all are out.
    fn send(
        &mut self,
        now: &mut u64,
        max_rows: Option<u64>,
        sink: &mut dyn RowSink,
    ) -> Result<Option<Progress>> {
        let Some(batch) = &self.batch else { return Ok(None) };
        let readers = self
            .columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| ColumnReader::new(array, column.ty.oid))
            .collect::<Result<Vec<_>>>()?;
        let mut row = vec![Datum::Null; readers.len()];
        while self.at < batch.num_rows() {
            for (slot, reader) in row.iter_mut().zip(&readers) {
                *slot = reader.get(self.at)?;
            }
            sink.row(&row)?;
            self.at += 1;
            self.sent += 1;
            *now += 1;
            if max_rows == Some(*now) {
                self.sent = 0;
                return Ok(Some(Progress::Suspended));
            }
            if sink.is_full() {
                return Ok(Some(Progress::Paused));
            }
        }
        self.batch = None;
        Ok(None)
    }
}
