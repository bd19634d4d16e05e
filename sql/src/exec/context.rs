//! What an executor gets from the session: the open transaction, the catalog it sees, cancellation.

use crate::catalog::{CatalogSnapshot, TxnCatalog};
use crate::kernels::CallContext;
use crate::node::SqlNode;
use crate::session::SessionInfo;
use crate::{Result, SqlError, SqlState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use txn::{Access, Isolation, ReadView, SavepointId, Transaction, TxnOptions};

/// Why a statement has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CancelReason {
    UserRequest = 1,
    StatementTimeout = 2,
    LockTimeout = 3,
    Shutdown = 4,
}

/// Set from outside (CancelRequest, timeouts, shutdown), asked between rows.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicU8>);

impl CancelToken {
    pub fn cancel(&self, reason: CancelReason) {
        self.0.store(reason as u8, Ordering::Release);
    }

    /// Forgets a request that came too late for the statement it meant.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// 57014 or 57P01 when cancelled.
    pub fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            2 => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")),
            3 => Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")),
            4 => Err(SqlError::new(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            )),
            _ => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
        }
    }
}

/// A message to the client beside the result: NOTICE, WARNING, INFO.
#[derive(Clone, Debug)]
pub struct Notice {
    pub severity: &'static str,
    pub error: SqlError,
}

/// One transaction of a session, as executors see it. A transaction handle of the store is opened
/// by the first statement that needs one: an autocommit read never does.
pub struct TxnHandle {
    open: Option<Transaction>,
    options: TxnOptions,
    catalog: TxnCatalog,
    view: Option<ReadView>,
}

/// A place to roll back to.
pub struct Savepoint {
    id: Option<SavepointId>,
    catalog: TxnCatalog,
}

impl TxnHandle {
    pub fn new(options: TxnOptions, catalog: Arc<CatalogSnapshot>) -> TxnHandle {
        TxnHandle { open: None, options, catalog: TxnCatalog::new(catalog), view: None }
    }

    pub fn options(&self) -> TxnOptions {
        self.options
    }

    /// Changes isolation or access before the first query.
    pub fn set_options(&mut self, options: TxnOptions) -> Result<()> {
        if self.open.is_some() && self.options.isolation != options.isolation {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION ISOLATION LEVEL must be called before any query",
            ));
        }
        self.options = options;
        Ok(())
    }

    /// Begins a statement: under READ COMMITTED it gets a snapshot of its own.
    pub fn start_statement(&mut self) {
        self.view = None;
        if let Some(txn) = &mut self.open {
            txn.start_statement();
        }
    }

    /// Opens the store's transaction now, so that its snapshot lasts over statements.
    pub fn open(&mut self, node: &SqlNode) -> &mut Transaction {
        if self.open.is_none() {
            let mut txn = node.db.begin(self.options);
            txn.start_statement();
            self.open = Some(txn);
            self.view = None;
        }
        self.open.as_mut().expect("opened above")
    }

    /// The snapshot of the running statement, with the writes of earlier statements.
    pub fn view(&mut self, node: &SqlNode) -> ReadView {
        if self.options.isolation == Isolation::RepeatableRead {
            self.open(node);
        }
        let view = self.view.get_or_insert_with(|| match &self.open {
            Some(txn) => txn.view(),
            None => node.db.view(node.db.snapshot_ts()),
        });
        view.clone()
    }

    /// The transaction for a write; refuses in a read-only one.
    pub fn write(&mut self, node: &SqlNode, command: &str) -> Result<&mut Transaction> {
        if self.options.access == Access::ReadOnly {
            return Err(SqlError::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {command} in a read-only transaction"),
            ));
        }
        Ok(self.open(node))
    }

    pub fn catalog(&self) -> &TxnCatalog {
        &self.catalog
    }

    pub fn catalog_mut(&mut self) -> &mut TxnCatalog {
        &mut self.catalog
    }

    /// Replaces the catalog by a newer committed one, unless the transaction changed its own.
    pub fn refresh_catalog(&mut self, catalog: Arc<CatalogSnapshot>) {
        if self.catalog.changes().is_empty() {
            self.catalog = TxnCatalog::new(catalog);
        }
    }

    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint { id: self.open.as_mut().map(|txn| txn.savepoint()), catalog: self.catalog.clone() }
    }

    /// Undoes everything since the savepoint, which stays.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) -> Result<()> {
        self.catalog = savepoint.catalog.clone();
        self.view = None;
        match (&mut self.open, savepoint.id) {
            (Some(txn), Some(id)) => txn.rollback_to(id).map_err(crate::exec::txn_error),
            (open, None) => {
                // The store's transaction began after the savepoint: all of it is undone.
                if let Some(txn) = open.take() {
                    txn.rollback();
                }
                Ok(())
            }
            (None, Some(_)) => Err(SqlError::internal("savepoint of a transaction that ended")),
        }
    }

    /// Commits; the catalog changes become visible to new statements of every session.
    pub async fn commit(mut self, node: &SqlNode) -> Result<()> {
        let Some(txn) = self.open.take() else { return Ok(()) };
        let committed =
            Box::pin(txn.commit()).await.map_err(|e| node.commit_error(e, self.catalog.snapshot()))?;
        if let (Some(ts), false) = (committed.ts, self.catalog.changes().is_empty()) {
            node.catalog.publish(self.catalog.changes(), ts);
        }
        Ok(())
    }

    pub fn rollback(mut self) {
        if let Some(txn) = self.open.take() {
            txn.rollback();
        }
    }
}

/// Everything one statement's execution may use.
pub struct ExecContext<'a> {
    pub node: &'a Arc<SqlNode>,
    pub txn: &'a mut TxnHandle,
    pub info: &'a Arc<SessionInfo>,
    pub cancel: &'a CancelToken,
    pub notices: &'a mut Vec<Notice>,
}

impl ExecContext<'_> {
    /// For kernels: the session and the catalog as this statement sees it.
    pub fn call(&self) -> CallContext<'_> {
        CallContext::new(self.info, self.txn.catalog().snapshot())
    }

    pub fn notice(&mut self, error: SqlError) {
        self.notices.push(Notice { severity: "NOTICE", error });
    }
}
