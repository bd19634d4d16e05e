//! COPY as the front end drives it: the session lends its transaction to each step.

use super::lifecycle::Session;
use super::run;
use crate::Result;
use crate::copy::{CopyIn, CopyOut, CopyPlan, CopyRows, CopyStep};
use crate::parse::{Copy, Statement};
use crate::plan::PlanContext;
use std::sync::Arc;

impl Session {
    /// Plans a COPY in the session's transaction.
    pub(super) fn plan_copy(&mut self, copy: &Copy, statement: &Statement) -> Result<Arc<CopyPlan>> {
        self.ensure_handle()?;
        let info = self.info()?;
        let catalog = run::snapshot(self.txn.handle.as_ref().expect("ensured above")).clone();
        crate::copy::plan_copy(&PlanContext { catalog, info }, copy, statement)
    }

    /// Begins COPY FROM STDIN; to be called before the client is asked for data.
    pub async fn copy_in(&mut self, plan: Arc<CopyPlan>) -> Result<CopyIn> {
        let mut copy = CopyIn::new(plan)?;
        self.with_context(async |cx| copy.begin(cx).await).await?;
        Ok(copy)
    }

    /// A CopyData of the client.
    pub async fn copy_push(&mut self, copy: &mut CopyIn, data: &[u8]) -> Result<()> {
        self.with_context(async |cx| copy.push(cx, data).await).await
    }

    /// CopyDone: the number of rows.
    pub async fn copy_finish(&mut self, copy: CopyIn) -> Result<u64> {
        self.with_context(async |cx| copy.finish(cx).await).await
    }

    /// More rows of COPY TO STDOUT.
    pub async fn copy_next(&mut self, copy: &mut CopyOut, rows: &mut CopyRows) -> Result<CopyStep> {
        self.with_context(async |cx| copy.next(cx, rows).await).await
    }
}
