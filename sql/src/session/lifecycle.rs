//! A session from its start: statements of both protocols, and the ends of transactions.

use super::hub::{Notification, SessionEntry, SessionHandle};
use super::portals::{Formats, Portal, PortalState, Portals};
use super::run::{self, ExecContext, Notice, SqlNode, TxnHandle};
use super::settings::{Settings, Source};
use super::statements::{Alike, Prepared, Statements};
use super::transaction::{Deferred, Modes, Phase, SessionTxn};
use super::{SessionInfo, utility};
use crate::catalog::CatalogSnapshot;
use crate::exec::{Progress, RowSink};
use crate::parse::fingerprint::{Fingerprint, Literal, fingerprint};
use crate::parse::{Body, Isolation, SessionStatement, Statement};
use crate::types::Datum;
use crate::{Oid, Result, SqlError};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who connected to what.
pub struct SessionStart {
    pub node: Arc<SqlNode>,
    pub entry: SessionEntry,
    pub database: Oid,
    pub database_name: Arc<str>,
    pub role: Oid,
    pub role_name: Arc<str>,
    pub superuser: bool,
}

/// How far a portal came.
#[derive(Clone, Debug)]
pub enum Step {
    /// The sink is full: empty it and go on.
    Paused,
    /// `max_rows` rows went out.
    Suspended,
    /// Finished, with the command tag.
    Done(String),
    /// The query string was empty.
    Empty,
    /// A COPY begins: the front end drives it.
    Copy(Arc<crate::copy::CopyPlan>),
}

/// One connection's state.
pub struct Session {
    pub(super) node: Arc<SqlNode>,
    pub(super) entry: SessionEntry,
    pub(super) settings: Settings,
    pub(super) txn: SessionTxn,
    pub(super) statements: Statements,
    pub(super) portals: Portals,
    alike: Alike,
    pub(super) notices: Vec<Notice>,
    info: Arc<SessionInfo>,
    /// What `info` was made from: settings and catalog versions.
    info_key: (u64, storage::Ts, u32),
    statement_start: i64,
}

impl Session {
    pub fn new(start: SessionStart) -> Session {
        let mut settings = Settings::default();
        let server = [
            ("session_authorization", &*start.role_name),
            ("is_superuser", if start.superuser { "on" } else { "off" }),
        ];
        for (name, value) in server {
            settings.set_base(name, value, Source::Server).expect("the server's own settings are valid");
        }
        let info = SessionInfo {
            catalog: Arc::default(),
            pid: start.entry.handle.pid,
            database: start.database,
            database_name: start.database_name,
            role: start.role,
            role_name: start.role_name.clone(),
            session_role_name: start.role_name,
            superuser: start.superuser,
            search_path: Arc::from(vec![Oid::PUBLIC]),
            transaction_start: 0,
            statement_start: 0,
            format: settings.live().format.clone(),
            lock_timeout: None,
            sequences: Arc::default(),
            nap: Arc::default(),
            changes: Arc::default(),
            settings: settings.picture(),
        };
        Session {
            node: start.node,
            entry: start.entry,
            settings,
            txn: SessionTxn::default(),
            statements: Statements::default(),
            portals: Portals::default(),
            alike: Alike::default(),
            notices: Vec::new(),
            info: Arc::new(info),
            info_key: (u64::MAX, storage::Ts::default(), 0),
            statement_start: 0,
        }
    }

    pub fn handle(&self) -> &Arc<SessionHandle> {
        &self.entry.handle
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    pub fn txn(&self) -> &SessionTxn {
        &self.txn
    }

    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }

    pub fn superuser(&self) -> bool {
        self.info.superuser
    }

    pub(super) fn source(&self) -> Source {
        Source::Session { superuser: self.info.superuser }
    }

    /// The picture of the session for a statement; made anew only when something changed.
    pub fn info(&mut self) -> Result<Arc<SessionInfo>> {
        let key = match &self.txn.handle {
            Some(handle) => {
                let catalog = run::snapshot(handle);
                (self.settings.live().version, catalog.version, catalog.local_version)
            }
            None => (self.settings.live().version, self.info_key.1, self.info_key.2),
        };
        let (transaction_start, statement_start) = (self.txn.start, self.statement_start);
        if key == self.info_key {
            let same = (self.info.transaction_start, self.info.statement_start)
                == (transaction_start, statement_start);
            if same {
                return Ok(self.info.clone());
            }
            if let Some(info) = Arc::get_mut(&mut self.info) {
                info.transaction_start = transaction_start;
                info.statement_start = statement_start;
            } else {
                let info =
                    SessionInfo { transaction_start, statement_start, ..SessionInfo::clone(&self.info) };
                self.info = Arc::new(info);
            }
            return Ok(self.info.clone());
        }
        let catalog = match &self.txn.handle {
            Some(handle) => run::snapshot(handle).clone(),
            None => run::catalog(&self.node, self.info.database)?,
        };
        let search_path = self.schemas(&catalog);
        self.info = Arc::new(SessionInfo {
            catalog,
            search_path,
            transaction_start,
            statement_start,
            format: self.settings.live().format.clone(),
            lock_timeout: self.settings.live().lock_timeout,
            settings: self.settings.picture(),
            ..SessionInfo::clone(&self.info)
        });
        self.info_key = key;
        Ok(self.info.clone())
    }

    /// The schemas of `search_path` that exist.
    fn schemas(&self, catalog: &CatalogSnapshot) -> Arc<[Oid]> {
        let mut found = Vec::new();
        for name in &self.settings.live().search_path {
            let name = if name == "$user" { &*self.info.role_name } else { name.as_str() };
            if let Some(oid) = catalog.schema(name)
                && !found.contains(&oid)
            {
                found.push(oid);
            }
        }
        found.into()
    }

    /// DISCARD SEQUENCES: `currval` and `lastval` know nothing any more.
    pub(super) fn forget_sequences(&mut self) {
        Arc::make_mut(&mut self.info).sequences = Arc::default();
    }

    pub(super) fn set_role(&mut self, role: Oid, name: &str, superuser: bool) {
        let info = Arc::make_mut(&mut self.info);
        info.role = role;
        info.role_name = Arc::from(name);
        info.superuser = superuser;
        self.info_key.0 = u64::MAX;
    }

    /// The session waits for its client: a cancel from now on comes too late.
    pub fn idle(&self) {
        self.entry.handle.cancel.reset();
    }

    /// Settings of the role, then of the startup packet.
    pub fn apply_startup(&mut self, role: &[(String, String)], client: &[(String, String)]) -> Result<()> {
        let source = Source::Startup { superuser: self.info.superuser };
        for (name, value) in role.iter().chain(client) {
            self.settings.set_base(name, value, source)?;
        }
        Ok(())
    }

    /// Begins a command: takes its time, opens the implicit transaction.
    pub fn begin_command(&mut self) {
        if self.entry.handle.is_terminated() {
            self.entry.handle.interrupt(run::CancelReason::Shutdown);
        }
        self.statement_start = now();
        if self.txn.phase == Phase::Idle {
            self.begin_transaction(Phase::Implicit);
        }
    }

    pub(super) fn begin_transaction(&mut self, phase: Phase) {
        let live = self.settings.live();
        self.txn.modes = Modes {
            isolation: live.default_isolation,
            read_only: live.default_read_only,
            deferrable: live.default_deferrable,
        };
        self.txn.phase = phase;
        self.txn.start = self.statement_start;
        self.txn.undo = Some(self.settings.layers());
        self.txn.has_queried = false;
    }

    /// The store's transaction for a statement that is about to run or to be planned.
    pub(super) fn ensure_handle(&mut self) -> Result<()> {
        if self.txn.handle.is_none() {
            let catalog = run::catalog(&self.node, self.info.database)?;
            self.txn.handle = Some(TxnHandle::new(run::options(&self.txn.modes), catalog));
        }
        Ok(())
    }

    /// Begins a query in the transaction: a new snapshot under READ COMMITTED.
    fn start_query(&mut self) -> Result<()> {
        let is_first = self.txn.handle.is_none();
        self.ensure_handle()?;
        let fresh = !is_first && self.txn.modes.isolation != Isolation::RepeatableRead;
        let catalog = if fresh { Some(run::catalog(&self.node, self.info.database)?) } else { None };
        let keeps = self.txn.modes.isolation == Isolation::RepeatableRead && self.txn.in_block();
        let handle = self.txn.handle.as_mut().expect("ensured above");
        if let Some(catalog) = catalog {
            handle.refresh_catalog(catalog);
        }
        if keeps {
            handle.open(&self.node);
        }
        handle.start_statement();
        self.info.nap.clear();
        self.txn.has_queried = true;
        Ok(())
    }

    /// Fixes the snapshot that a cursor reads.
    pub(super) fn start_cursor(&mut self) -> Result<()> {
        self.start_query()
    }

    // ---- simple protocol ----

    /// Splits a query string; syntax errors concern the whole of it.
    pub fn batch(&mut self, text: &str) -> Result<Vec<Statement>> {
        let statements = run::parse(text);
        if let Err(error) = &statements
            && self.txn.phase == Phase::Failed
            && error.code() != crate::SqlState::SYNTAX_ERROR
        {
            self.txn.check_not_failed()?;
        }
        self.portals.remove("");
        statements
    }

    /// A portal for a plain statement whose like was planned before: its literals become parameters
    /// of the kept plan. `None`: it takes the whole way, which also words its errors.
    pub fn open_alike(&mut self, text: &str) -> Option<Portal> {
        let found = fingerprint(text)?;
        let settings = self.settings.live().version;
        let prepared = match self.alike.get(&found, settings) {
            Some(prepared) => prepared,
            None => {
                let prepared = self.prepare_alike(&found)?;
                self.alike.put(&found, settings, prepared.clone());
                prepared
            }
        };
        let statement = prepared.statement.as_ref()?;
        self.check_allowed(statement).ok()?;
        self.ensure_handle().ok()?;
        let plan = prepared.plan.as_ref()?;
        if !plan.fits(run::snapshot(self.txn.handle.as_ref()?)) {
            self.alike.forget(&found);
            return None;
        }
        let info = self.info().ok()?;
        let mut params = Vec::with_capacity(found.literals.len());
        for (literal, ty) in found.literals.iter().zip(&prepared.params) {
            params.push(match literal {
                Literal::Int4(value) => Datum::Int4(*value),
                Literal::Int8(value) => Datum::Int8(*value),
                Literal::Text(text) => run::input(*ty, text, &info).ok()?,
            });
        }
        self.portals.remove("");
        self.portal(prepared, params, Formats::default()).ok()
    }

    fn prepare_alike(&mut self, found: &Fingerprint) -> Option<Arc<Prepared>> {
        let mut statements = run::parse(&found.text).ok()?;
        let statement = statements.pop().filter(|_| statements.is_empty())?;
        let declared: Vec<Oid> = found.literals.iter().map(Literal::declared).collect();
        let prepared = self.analyse(Some(statement), declared).ok()?;
        let kept = prepared.plan.as_ref().is_some_and(|plan| plan.is_point())
            && prepared.params.len() == found.literals.len();
        kept.then(|| Arc::new(prepared))
    }

    /// Makes the portal of one statement of a query string.
    pub fn open(&mut self, statement: Statement) -> Result<Portal> {
        self.check_allowed(&statement)?;
        let prepared = self.analyse(Some(statement), Vec::new())?;
        self.portal(Arc::new(prepared), Vec::new(), Formats::default())
    }

    /// A statement of a batch has run: `last` commits the batch's transaction.
    pub async fn finish(&mut self, last: bool) -> Result<()> {
        if last && self.txn.phase == Phase::Implicit { self.commit().await } else { Ok(()) }
    }

    /// Sync, or the end of a query string.
    pub async fn sync(&mut self) -> Result<()> {
        if self.txn.phase == Phase::Implicit { self.commit().await } else { Ok(()) }
    }

    // ---- extended protocol ----

    /// Parse. `declared` are the type OIDs the client gave, 0 for those to infer.
    pub fn parse(&mut self, name: &str, text: &str, declared: Vec<Oid>) -> Result<()> {
        self.begin_command();
        if name.is_empty() {
            self.statements.clear_unnamed();
        } else {
            self.statements.check_free(name)?;
        }
        let mut statements = run::parse(text)?;
        if statements.len() > 1 {
            return Err(SqlError::new(
                crate::SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        let statement = statements.pop();
        if let Some(statement) = &statement {
            self.check_allowed(statement)?;
        }
        let prepared = self.analyse(statement, declared)?;
        self.statements.put(name, Arc::new(prepared));
        Ok(())
    }

    /// The statement that a Bind or Describe names, planned again if the catalog moved on.
    pub fn statement(&mut self, name: &str) -> Result<Arc<Prepared>> {
        self.begin_command();
        let prepared = self.statements.get(name)?.clone();
        if let Some(statement) = &prepared.statement {
            self.check_allowed(statement)?;
        }
        self.statement_again(name)
    }

    /// `statement` within a running command.
    pub(super) fn statement_again(&mut self, name: &str) -> Result<Arc<Prepared>> {
        let prepared = self.statements.get(name)?.clone();
        if prepared.plan.is_none() && prepared.copy.is_none() {
            return Ok(prepared);
        }
        self.ensure_handle()?;
        let handle = self.txn.handle.as_ref().expect("ensured above");
        let catalog = run::snapshot(handle);
        let fits = match (&prepared.plan, &prepared.copy) {
            (Some(plan), _) => plan.fits(catalog),
            (None, Some(copy)) => copy.fits(catalog),
            (None, None) => true,
        };
        if fits {
            return Ok(prepared);
        }
        self.replan(name, &prepared)
    }

    fn replan(&mut self, name: &str, old: &Arc<Prepared>) -> Result<Arc<Prepared>> {
        // The types inferred at first are the client's contract from then on.
        let mut fresh = self.analyse(old.statement.clone(), old.params.clone())?;
        let shape = |columns: &Option<Arc<[crate::plan::OutputColumn]>>| {
            columns.as_ref().map(|c| c.iter().map(|c| (c.name.clone(), c.ty)).collect::<Vec<_>>())
        };
        if shape(&fresh.columns) != shape(&old.columns) {
            return Err(SqlError::new(
                crate::SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            ));
        }
        fresh.from_sql = old.from_sql;
        let fresh = Arc::new(fresh);
        self.statements.put(name, fresh.clone());
        Ok(fresh)
    }

    /// Bind: parameters are already values.
    pub fn bind(
        &mut self,
        name: &str,
        prepared: Arc<Prepared>,
        params: Vec<Datum>,
        formats: Formats,
    ) -> Result<()> {
        self.portals.check_free(name)?;
        let portal = self.portal(prepared, params, formats)?;
        self.portals.put(name, portal);
        Ok(())
    }

    /// 25P02 for a portal that a failed block does not let run.
    pub fn check_portal(&mut self, name: &str) -> Result<()> {
        self.begin_command();
        match &self.portals.get(name)?.prepared.statement {
            Some(statement) => self.check_allowed(statement),
            None => Ok(()),
        }
    }

    /// Takes a portal out to run it.
    pub fn begin_execute(&mut self, name: &str) -> Result<Portal> {
        self.check_portal(name)?;
        self.portals.take(name)
    }

    /// Puts a portal back, unless its transaction has ended meanwhile.
    pub fn end_execute(&mut self, name: &str, portal: Portal) {
        if self.txn.phase != Phase::Idle {
            self.portals.put(name, portal);
        }
    }

    pub fn portals(&mut self) -> &mut Portals {
        &mut self.portals
    }

    /// Close of a statement: its portals go too.
    pub fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    // ---- both ----

    /// 25P02 in a failed block, but for the statements that leave it.
    fn check_allowed(&self, statement: &Statement) -> Result<()> {
        if self.txn.phase != Phase::Failed {
            return Ok(());
        }
        let leaves = matches!(&statement.body, Body::Session(session) if matches!(**session,
            SessionStatement::Commit { .. } | SessionStatement::Rollback { .. } | SessionStatement::RollbackTo(_)));
        if leaves { Ok(()) } else { self.txn.check_not_failed() }
    }

    pub(super) fn analyse(&mut self, statement: Option<Statement>, declared: Vec<Oid>) -> Result<Prepared> {
        let Some(statement) = statement else { return Ok(Prepared::empty(declared)) };
        if let Body::Session(session) = &statement.body {
            let columns = self.utility_columns(session);
            return Ok(Prepared {
                plan: None,
                copy: None,
                params: Vec::new(),
                columns,
                statement: Some(statement),
                declared,
                from_sql: false,
            });
        }
        if let Body::Copy(copy) = &statement.body {
            let plan = self.plan_copy(copy, &statement)?;
            let mut prepared = Prepared::empty(declared);
            prepared.copy = Some(plan);
            prepared.statement = Some(statement);
            return Ok(prepared);
        }
        self.ensure_handle()?;
        let info = self.info()?;
        let catalog = run::snapshot(self.txn.handle.as_ref().expect("ensured above")).clone();
        let plan = run::prepare(catalog, info, &statement, &declared)?;
        Ok(Prepared::planned(statement, plan, declared))
    }

    pub(super) fn portal(
        &mut self,
        prepared: Arc<Prepared>,
        params: Vec<Datum>,
        formats: Formats,
    ) -> Result<Portal> {
        let mut columns = prepared.columns.clone();
        let state = match (&prepared.statement, &prepared.plan) {
            (None, _) => PortalState::Empty,
            (Some(_), None) if prepared.copy.is_some() => {
                let plan = prepared.copy.clone().expect("just seen");
                PortalState::Copy(plan)
            }
            (Some(_), Some(plan)) => PortalState::Ready { plan: plan.clone(), params },
            (Some(statement), None) => {
                // What FETCH and EXECUTE return may have changed since the statement was prepared.
                if let Body::Session(session) = &statement.body {
                    columns = self.utility_columns(session);
                }
                PortalState::Session
            }
        };
        formats.check(columns.as_ref().map_or(0, |c| c.len()))?;
        let depth = self.txn.savepoints.len();
        Ok(Portal { prepared, columns, formats, state, hold: false, depth })
    }

    /// Runs a portal until it is done, `max_rows` rows went out, or the sink is full.
    pub async fn run(
        &mut self,
        portal: &mut Portal,
        max_rows: Option<u64>,
        sink: &mut dyn RowSink,
    ) -> Result<Step> {
        loop {
            match std::mem::replace(&mut portal.state, PortalState::Done) {
                PortalState::Ready { plan, params } => {
                    self.start_query()?;
                    portal.state = PortalState::Running(Box::new(run::start(&plan, params)));
                }
                PortalState::Running(mut execution) => {
                    let progress = self.execute(&mut execution, max_rows, sink).await?;
                    if !matches!(progress, Progress::Done(_)) {
                        portal.state = PortalState::Running(execution);
                    }
                    return Ok(match progress {
                        Progress::Paused => Step::Paused,
                        Progress::Suspended => Step::Suspended,
                        Progress::Done(tag) => Step::Done(tag),
                    });
                }
                PortalState::Session => match Box::pin(self.utility(portal, sink)).await? {
                    utility::Outcome::Done(tag) => return Ok(Step::Done(tag)),
                    utility::Outcome::Next(state) => portal.state = state,
                },
                PortalState::Fetch(mut fetch) => {
                    let step = Box::pin(self.fetch_forward(&mut fetch, max_rows, sink)).await?;
                    if !matches!(step, Step::Done(_)) {
                        portal.state = PortalState::Fetch(fetch);
                    }
                    return Ok(step);
                }
                PortalState::Rows { mut rows, tag } => {
                    let step = hand_out(&mut rows, max_rows, sink)?;
                    if !matches!(step, Step::Empty) {
                        portal.state = PortalState::Rows { rows, tag };
                        return Ok(step);
                    }
                    return Ok(Step::Done(tag));
                }
                PortalState::Cursor(_) => {
                    return Err(SqlError::not_built("Execute of a cursor of DECLARE CURSOR"));
                }
                PortalState::Copy(plan) => {
                    self.start_query()?;
                    return Ok(Step::Copy(plan));
                }
                PortalState::Empty => return Ok(Step::Empty),
                // PostgreSQL answers a second Execute of a finished query with no more rows.
                PortalState::Done if portal.columns.is_some() => {
                    return Ok(Step::Done("SELECT 0".to_owned()));
                }
                PortalState::Done => {
                    return Err(SqlError::new(
                        crate::SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        "portal cannot be run",
                    ));
                }
            }
        }
    }

    /// One call of an execution, stopped by a cancel even while it waits.
    pub(super) async fn execute(
        &mut self,
        execution: &mut run::Execution,
        max_rows: Option<u64>,
        sink: &mut dyn RowSink,
    ) -> Result<Progress> {
        let info = self.info()?;
        self.ensure_handle()?;
        let handle = self.txn.handle.as_mut().expect("ensured above");
        let session = &self.entry.handle;
        let mut cx = ExecContext {
            node: &self.node,
            txn: handle,
            info: &info,
            cancel: &session.cancel,
            notices: &mut self.notices,
        };
        let progress = session.or_interrupt(run::run(execution, &mut cx, max_rows, sink)).await??;
        for change in info.changes.take() {
            if !self.set_special(&change.name, Some(&change.value), change.local)? {
                let source = self.source();
                self.settings.set(&change.name, Some(&change.value), change.local, source)?;
            }
        }
        Ok(progress)
    }

    /// What a cursor needs to read on.
    pub(super) async fn with_context<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut ExecContext<'_>) -> Result<T>,
    ) -> Result<T> {
        let info = self.info()?;
        self.ensure_handle()?;
        let handle = self.txn.handle.as_mut().expect("ensured above");
        let session = &self.entry.handle;
        let mut cx = ExecContext {
            node: &self.node,
            txn: handle,
            info: &info,
            cancel: &session.cancel,
            notices: &mut self.notices,
        };
        session.or_interrupt(work(&mut cx)).await?
    }

    // ---- ends of transactions ----

    /// Commits. On an error everything of the transaction is gone and the session is idle.
    pub(super) async fn commit(&mut self) -> Result<()> {
        let result = self.commit_store().await;
        if let Err(error) = result {
            self.rollback();
            return Err(error);
        }
        self.send_deferred();
        self.settings.end_transaction(None);
        self.end();
        Ok(())
    }

    async fn commit_store(&mut self) -> Result<()> {
        for name in self.portals.holding() {
            let mut portal = self.portals.take(&name)?;
            if let PortalState::Cursor(cursor) = &mut portal.state {
                self.with_context(async |cx| cursor.fill(cx, usize::MAX).await).await?;
            }
            self.portals.put(&name, portal);
        }
        match self.txn.handle.take() {
            // Not interruptible: once proposed, a commit's outcome has to be waited for.
            Some(handle) => handle.commit(&self.node).await,
            None => Ok(()),
        }
    }

    fn send_deferred(&mut self) {
        if self.txn.deferred.is_empty() {
            return;
        }
        let database = self.info.database.0;
        let sessions = self.entry.sessions.clone();
        for deferred in std::mem::take(&mut self.txn.deferred) {
            match deferred {
                Deferred::Listen(channel) => sessions.listen(database, &channel, &self.entry.handle),
                Deferred::Unlisten(channel) => sessions.unlisten(channel.as_deref(), &self.entry.handle),
                Deferred::Notify { channel, payload } => {
                    let pid = self.entry.handle.pid;
                    sessions.notify(database, &Notification { pid, channel, payload });
                }
            }
        }
    }

    /// Rolls back and forgets the transaction.
    pub(super) fn rollback(&mut self) {
        if let Some(handle) = self.txn.handle.take() {
            handle.rollback();
        }
        self.txn.deferred.clear();
        self.settings.end_transaction(self.txn.undo.take());
        self.end();
    }

    fn end(&mut self) {
        self.txn.phase = Phase::Idle;
        self.txn.undo = None;
        self.txn.savepoints.clear();
        self.portals.end_transaction();
    }

    /// A statement failed: an implicit transaction is rolled back, a block goes to its failed state.
    pub fn fail(&mut self) {
        drop(self.info.changes.take());
        match self.txn.phase {
            Phase::Idle => {}
            Phase::Implicit => self.rollback(),
            Phase::Block | Phase::Failed => self.fail_block(),
        }
    }

    /// Undoes what came after the newest savepoint (or all of it) and waits for the client to
    /// roll back.
    fn fail_block(&mut self) {
        if self.txn.phase == Phase::Failed {
            return;
        }
        self.txn.phase = Phase::Failed;
        self.portals.undo_to(self.txn.savepoints.len());
        match self.txn.savepoints.last() {
            Some(savepoint) => {
                self.settings.restore(savepoint.settings.clone());
                self.txn.deferred.truncate(savepoint.deferred);
                if let (Some(handle), Some(mark)) = (&mut self.txn.handle, &savepoint.mark) {
                    // A savepoint the store has lost stays failed: the client can only roll back.
                    let _ = handle.rollback_to(mark);
                }
            }
            None => {
                if let Some(undo) = self.txn.undo.clone() {
                    self.settings.restore(undo);
                }
                self.txn.deferred.clear();
                if let Some(handle) = self.txn.handle.take() {
                    handle.rollback();
                }
            }
        }
    }
}

/// Gives rows to the sink; `Empty` when none are left.
fn hand_out(
    rows: &mut std::vec::IntoIter<Vec<Datum>>,
    max_rows: Option<u64>,
    sink: &mut dyn RowSink,
) -> Result<Step> {
    let mut sent = 0;
    for row in rows.by_ref() {
        sink.row(&row)?;
        sent += 1;
        if Some(sent) == max_rows {
            return Ok(Step::Suspended);
        }
        if sink.is_full() {
            return Ok(Step::Paused);
        }
    }
    Ok(Step::Empty)
}

/// Microseconds since 2000-01-01 UTC.
#[expect(clippy::disallowed_methods, reason = "the one place where statements get their time")]
fn now() -> i64 {
    const EPOCH_2000_SECONDS: u64 = 946_684_800;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64 - (EPOCH_2000_SECONDS * 1_000_000) as i64
}
