//! What every operator and function of one running query shares.

use crate::catalog::CatalogSnapshot;
use crate::exec::{CancelToken, sequence};
use crate::expr::EvalContext;
use crate::kernels::CallContext;
use crate::node::SqlNode;
use crate::session::SessionInfo;
use crate::types::Datum;
use crate::{Oid, Result};
use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use txn::ReadView;

/// One execution of a query, or of a subquery inside it. A subquery's parameters are those of the
/// query around it, then the values of the outer columns that it reads: they change between its runs.
pub(super) struct QueryEnv {
    pub(super) info: Arc<SessionInfo>,
    pub(super) catalog: Arc<CatalogSnapshot>,
    pub(super) view: ReadView,
    pub(super) cancel: CancelToken,
    /// Where `nextval` gets its values; `None` in a read-only transaction.
    sequences: Option<Arc<SqlNode>>,
    params: RwLock<Arc<[Datum]>>,
}

impl QueryEnv {
    pub(super) fn new(
        info: Arc<SessionInfo>,
        catalog: Arc<CatalogSnapshot>,
        view: ReadView,
        cancel: CancelToken,
        sequences: Option<Arc<SqlNode>>,
        params: Arc<[Datum]>,
    ) -> Arc<QueryEnv> {
        Arc::new(QueryEnv { info, catalog, view, cancel, sequences, params: RwLock::new(params) })
    }

    /// The environment of a subquery: same snapshot, parameters of its own.
    pub(super) fn nested(&self) -> Arc<QueryEnv> {
        QueryEnv::new(
            self.info.clone(),
            self.catalog.clone(),
            self.view.clone(),
            self.cancel.clone(),
            self.sequences.clone(),
            self.params(),
        )
    }

    pub(super) fn params(&self) -> Arc<[Datum]> {
        self.params.read().clone()
    }

    pub(super) fn set_params(&self, params: Arc<[Datum]>) {
        *self.params.write() = params;
    }

    /// Fetches the values of `calls`, one sequence a call, for `rows` rows that are about to be computed.
    pub(super) async fn fetch_sequences(&self, calls: &[Oid], rows: usize) -> Result<()> {
        let node = self.sequences.as_ref().ok_or_else(|| sequence::read_only("nextval"))?;
        for call in calls {
            sequence::fetch(node, &self.info, &self.catalog, *call, rows).await?;
        }
        Ok(())
    }

    pub(super) fn eval<'a>(&'a self, params: &'a [Datum]) -> EvalContext<'a> {
        EvalContext { call: CallContext::new(&self.info, &self.catalog), params }
    }
}

impl fmt::Debug for QueryEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueryEnv")
    }
}
