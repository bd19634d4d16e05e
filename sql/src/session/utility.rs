//! The statements that a session answers itself.

use super::cursor::{Counted, Cursor};
use super::lifecycle::{Session, Step};
use super::portals::{Fetch, Format, Formats, Portal, PortalState, no_cursor_error};
use super::run::{self, Notice};
use super::settings::{self, Source};
use super::transaction::{Deferred, NamedSavepoint, Phase};
use crate::exec::{Progress, RowSink};
use crate::parse::{
    Body, Discard, FetchDirection, Isolation, SessionStatement, SetScope, Statement, TransactionModes,
};
use crate::plan::OutputColumn;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use std::sync::Arc;

/// The longest channel name and payload of NOTIFY, as PostgreSQL has them.
const MAX_CHANNEL: usize = 63;
const MAX_PAYLOAD: usize = 7999;

/// What a session's statement leads to.
pub(super) enum Outcome {
    Done(String),
    /// The portal goes on in this state: rows to hand out, another statement to run.
    Next(PortalState),
}

fn done(tag: &str) -> Result<Outcome> {
    Ok(Outcome::Done(tag.to_owned()))
}

fn column(name: &str) -> OutputColumn {
    OutputColumn { name: name.to_owned(), ty: TypeRef::of(Oid::TEXT), origin: None }
}

impl Session {
    /// The result columns of a session's statement, as they are now.
    pub(super) fn utility_columns(&self, statement: &SessionStatement) -> Option<Arc<[OutputColumn]>> {
        match statement {
            SessionStatement::Show { name: Some(name) } => {
                let known = settings::find(name).map(|id| id.definition().name);
                Some(Arc::from(vec![column(known.unwrap_or(name))]))
            }
            SessionStatement::Show { name: None } => {
                Some(Arc::from(vec![column("name"), column("setting"), column("description")]))
            }
            SessionStatement::Execute { name, .. } => {
                self.statements.get(name).ok().and_then(|prepared| prepared.columns.clone())
            }
            SessionStatement::Fetch { name, move_only: false, .. } => {
                self.portals.get(name).ok().and_then(|portal| portal.columns.clone())
            }
            _ => None,
        }
    }

    /// Runs the statement of a portal.
    pub(super) async fn utility(&mut self, portal: &mut Portal, _sink: &mut dyn RowSink) -> Result<Outcome> {
        let prepared = portal.prepared.clone();
        let Some(Statement { body: Body::Session(statement), .. }) = &prepared.statement else {
            return Err(SqlError::internal("a portal without a statement of the session"));
        };
        match &**statement {
            SessionStatement::Begin { modes, start } => self.begin(modes, *start),
            SessionStatement::Commit { chain } => self.commit_block(*chain).await,
            SessionStatement::Rollback { chain } => self.rollback_block(*chain),
            SessionStatement::Savepoint(name) => self.savepoint(name),
            SessionStatement::Release(name) => self.release(name),
            SessionStatement::RollbackTo(name) => self.rollback_to(name),
            SessionStatement::SetTransaction { modes, session } => self.set_transaction(modes, *session),
            SessionStatement::NotBuilt(what) => Err(SqlError::not_built(what)),
            SessionStatement::SetConstraints { names, deferred } => {
                self.set_constraints(names.as_deref(), *deferred)
            }
            SessionStatement::Set { scope, name, values } => self.set(*scope, name, values.as_deref()),
            SessionStatement::Reset { name } => self.reset(name.as_deref()),
            SessionStatement::Show { name } => self.show(name.as_deref()),
            SessionStatement::Prepare { name, types, statement } => self.prepare(name, types, statement),
            SessionStatement::Execute { name, args } => self.execute_prepared(name, args).await,
            SessionStatement::Deallocate { name } => self.deallocate(name.as_deref()),
            SessionStatement::Declare { .. } => self.declare(statement),
            SessionStatement::Fetch { name, direction, move_only } => {
                self.fetch(name, *direction, *move_only).await
            }
            SessionStatement::Close { name } => self.close_cursor(name.as_deref()),
            SessionStatement::Discard(what) => self.discard(*what),
            SessionStatement::Listen(channel) => self.listen(channel),
            SessionStatement::Unlisten(channel) => {
                self.txn.defer(Deferred::Unlisten(channel.as_deref().map(Arc::from)));
                done("UNLISTEN")
            }
            SessionStatement::Notify { channel, payload } => self.notify(channel, payload),
            // The raft log is durable at every commit: there is nothing to wait for.
            SessionStatement::Checkpoint => self.checkpoint(),
            SessionStatement::Vacuum { analyze, .. } => self.vacuum(*analyze),
        }
    }

    fn warn(&mut self, code: SqlState, message: impl Into<String>) {
        self.notices.push(Notice { severity: "WARNING", error: SqlError::new(code, message) });
    }

    // ---- transactions ----

    fn begin(&mut self, modes: &TransactionModes, start: bool) -> Result<Outcome> {
        if self.txn.phase == Phase::Block {
            self.warn(SqlState::ACTIVE_SQL_TRANSACTION, "there is already a transaction in progress");
        }
        // A BEGIN that fails leaves no block behind.
        self.apply_modes(modes)?;
        self.txn.phase = Phase::Block;
        done(if start { "START TRANSACTION" } else { "BEGIN" })
    }

    fn apply_modes(&mut self, modes: &TransactionModes) -> Result<()> {
        if let Some(isolation) = modes.isolation {
            refuse_serializable(isolation)?;
            // READ UNCOMMITTED reads committed rows here, as in PostgreSQL.
            if self.txn.has_queried && isolation != self.txn.modes.isolation {
                return Err(SqlError::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                ));
            }
            self.txn.modes.isolation = isolation;
        }
        if let Some(read_only) = modes.read_only {
            if !read_only && self.txn.modes.read_only && self.txn.has_queried {
                return Err(SqlError::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "transaction read-write mode must be set before any query",
                ));
            }
            self.txn.modes.read_only = read_only;
        }
        if let Some(deferrable) = modes.deferrable {
            self.txn.modes.deferrable = deferrable;
        }
        let options = run::options(&self.txn.modes);
        match &mut self.txn.handle {
            Some(handle) => handle.set_options(options),
            None => Ok(()),
        }
    }

    fn set_transaction(&mut self, modes: &TransactionModes, session: bool) -> Result<Outcome> {
        if !session {
            if !self.txn.in_block() {
                self.warn(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "SET TRANSACTION can only be used in transaction blocks",
                );
            }
            self.apply_modes(modes)?;
            return done("SET");
        }
        let on_off = |on: bool| if on { "on" } else { "off" };
        let source = self.source();
        let isolation = modes.isolation.map(isolation_name);
        let defaults = [
            ("default_transaction_isolation", isolation),
            ("default_transaction_read_only", modes.read_only.map(on_off)),
            ("default_transaction_deferrable", modes.deferrable.map(on_off)),
        ];
        for (name, value) in defaults {
            if value.is_some() {
                self.settings.set(name, value, false, source)?;
            }
        }
        done("SET")
    }

    fn set_constraints(&mut self, names: Option<&[String]>, _deferred: bool) -> Result<Outcome> {
        if !self.txn.in_block() {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET CONSTRAINTS can only be used in transaction blocks",
            );
        }
        match names {
            // No constraint is deferrable yet, so ALL names none of them.
            None => done("SET CONSTRAINTS"),
            Some(_) => Err(SqlError::not_built("SET CONSTRAINTS for named constraints")),
        }
    }

    async fn commit_block(&mut self, chain: bool) -> Result<Outcome> {
        if chain {
            self.txn.require_block("COMMIT AND CHAIN")?;
        }
        let modes = self.txn.modes;
        let tag = match self.txn.phase {
            Phase::Failed => {
                self.rollback();
                "ROLLBACK"
            }
            Phase::Block => {
                self.commit().await?;
                "COMMIT"
            }
            Phase::Idle | Phase::Implicit => {
                self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
                self.commit().await?;
                "COMMIT"
            }
        };
        if chain {
            self.begin_transaction(Phase::Block);
            self.txn.modes = modes;
        }
        done(tag)
    }

    fn rollback_block(&mut self, chain: bool) -> Result<Outcome> {
        if chain {
            self.txn.require_block("ROLLBACK AND CHAIN")?;
        }
        let modes = self.txn.modes;
        if !self.txn.in_block() {
            self.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, "there is no transaction in progress");
        }
        self.rollback();
        if chain {
            self.begin_transaction(Phase::Block);
            self.txn.modes = modes;
        }
        done("ROLLBACK")
    }

    fn savepoint(&mut self, name: &str) -> Result<Outcome> {
        self.txn.require_block("SAVEPOINT")?;
        self.ensure_handle()?;
        let mark = self.txn.handle.as_mut().map(|handle| handle.savepoint());
        self.txn.savepoints.push(NamedSavepoint {
            name: name.to_owned(),
            mark,
            settings: self.settings.layers(),
            deferred: self.txn.deferred.len(),
            modes: self.txn.modes,
        });
        done("SAVEPOINT")
    }

    fn release(&mut self, name: &str) -> Result<Outcome> {
        self.txn.require_block("RELEASE SAVEPOINT")?;
        let at = self.txn.find_savepoint(name)?;
        self.txn.savepoints.truncate(at);
        self.portals.lift_to(at);
        done("RELEASE")
    }

    fn rollback_to(&mut self, name: &str) -> Result<Outcome> {
        self.txn.require_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.txn.find_savepoint(name)?;
        self.txn.savepoints.truncate(at + 1);
        self.portals.undo_to(at + 1);
        let savepoint = &self.txn.savepoints[at];
        if let (Some(handle), Some(mark)) = (&mut self.txn.handle, &savepoint.mark) {
            handle.rollback_to(mark)?;
        }
        self.txn.deferred.truncate(savepoint.deferred);
        self.txn.modes = savepoint.modes;
        self.settings.restore(savepoint.settings.clone());
        self.txn.phase = Phase::Block;
        done("ROLLBACK")
    }

    fn checkpoint(&mut self) -> Result<Outcome> {
        if !self.superuser() {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                "must be superuser or have privileges of pg_checkpoint to do CHECKPOINT",
            ));
        }
        done("CHECKPOINT")
    }

    /// Old versions go by themselves: VACUUM has nothing left to do; ANALYZE waits for statistics.
    fn vacuum(&mut self, analyze: bool) -> Result<Outcome> {
        if analyze {
            return done("ANALYZE");
        }
        self.txn.prevent_block("VACUUM")?;
        done("VACUUM")
    }

    // ---- settings ----

    fn set(&mut self, scope: SetScope, name: &str, values: Option<&[String]>) -> Result<Outcome> {
        let local = scope == SetScope::Local;
        if local && !self.txn.in_block() {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
        }
        let value = values.map(|values| joined(name, values)).transpose()?;
        if self.set_special(name, value.as_deref(), local)? {
            return done("SET");
        }
        let source = self.source();
        self.settings.set(name, value.as_deref(), local, source)?;
        done("SET")
    }

    /// Settings that are state of the transaction or the role; says whether `name` is one.
    pub(super) fn set_special(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<bool> {
        let modes = match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" => TransactionModes {
                isolation: Some(match value {
                    Some(text) => parse_isolation(text)?,
                    None => self.settings.live().default_isolation,
                }),
                ..TransactionModes::default()
            },
            "transaction_read_only" => TransactionModes {
                read_only: Some(self.boolean(name, value)?),
                ..TransactionModes::default()
            },
            "transaction_deferrable" => TransactionModes {
                deferrable: Some(self.boolean(name, value)?),
                ..TransactionModes::default()
            },
            "role" => return self.change_role(value, local).map(|()| true),
            "session_authorization" => return self.change_authorization(value).map(|()| true),
            _ => return Ok(false),
        };
        self.apply_modes(&modes)?;
        Ok(true)
    }

    fn boolean(&self, name: &str, value: Option<&str>) -> Result<bool> {
        let Some(value) = value else { return Ok(false) };
        settings::boolean(value).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{name}\" requires a Boolean value"),
            )
        })
    }

    fn change_role(&mut self, value: Option<&str>, local: bool) -> Result<()> {
        let info = self.info()?;
        let wanted = value.unwrap_or("none");
        let target = if wanted == "none" { info.session_role_name.to_string() } else { wanted.to_owned() };
        self.ensure_handle()?;
        let catalog = run::snapshot(self.txn.handle.as_ref().expect("ensured above")).clone();
        let Some(role) = catalog.role(&target) else {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("role \"{target}\" does not exist"),
            ));
        };
        let session_role = catalog.role(&info.session_role_name);
        let may = session_role.is_some_and(|own| {
            own.superuser || own.oid == role.oid || is_member(&catalog, own.oid, role.oid)
        });
        if !may {
            return Err(SqlError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to set role \"{target}\""),
            ));
        }
        if local {
            return Err(SqlError::not_built("SET LOCAL ROLE"));
        }
        self.settings.set("role", Some(wanted), false, Source::Server)?;
        let on = if role.superuser { "on" } else { "off" };
        self.settings.set("is_superuser", Some(on), false, Source::Server)?;
        self.set_role(role.oid, &target, role.superuser);
        Ok(())
    }

    fn change_authorization(&mut self, value: Option<&str>) -> Result<()> {
        let info = self.info()?;
        match value {
            None => Ok(()),
            Some(name) if name == &*info.session_role_name => Ok(()),
            Some(_) => Err(SqlError::not_built("SET SESSION AUTHORIZATION to another role")),
        }
    }

    fn reset(&mut self, name: Option<&str>) -> Result<Outcome> {
        match name {
            None => self.settings.reset_all(),
            Some(name) => {
                if !self.set_special(name, None, false)? {
                    let source = self.source();
                    self.settings.set(name, None, false, source)?;
                }
            }
        }
        done("RESET")
    }

    fn show(&mut self, name: Option<&str>) -> Result<Outcome> {
        let rows = match name {
            Some(name) => vec![vec![Datum::text(self.show_value(name)?)]],
            None => self
                .settings
                .all()
                .into_iter()
                .map(|(name, value)| vec![Datum::text(name), Datum::text(value), Datum::text("")])
                .collect(),
        };
        Ok(Outcome::Next(PortalState::Rows { rows: rows.into_iter(), tag: "SHOW".to_owned() }))
    }

    fn show_value(&self, name: &str) -> Result<String> {
        let on_off = |on: bool| if on { "on" } else { "off" }.to_owned();
        match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" => Ok(isolation_name(self.txn.modes.isolation).to_owned()),
            "transaction_read_only" => Ok(on_off(self.txn.modes.read_only)),
            "transaction_deferrable" => Ok(on_off(self.txn.modes.deferrable)),
            _ => self.settings.show(name),
        }
    }

    fn discard(&mut self, what: Discard) -> Result<Outcome> {
        match what {
            Discard::All => {
                self.txn.prevent_block("DISCARD ALL")?;
                self.portals.remove_named();
                self.statements.remove_named();
                self.settings.reset_all();
                self.change_role(None, false)?;
                self.forget_sequences();
                self.txn.defer(Deferred::Unlisten(None));
                done("DISCARD ALL")
            }
            // Plans are checked against the catalog at every use.
            Discard::Plans => done("DISCARD PLANS"),
            Discard::Sequences => {
                self.forget_sequences();
                done("DISCARD SEQUENCES")
            }
            // There are no temporary tables yet: none are left.
            Discard::Temp => done("DISCARD TEMP"),
        }
    }

    // ---- LISTEN, NOTIFY ----

    fn listen(&mut self, channel: &str) -> Result<Outcome> {
        check_channel(channel)?;
        self.txn.defer(Deferred::Listen(Arc::from(channel)));
        done("LISTEN")
    }

    fn notify(&mut self, channel: &str, payload: &str) -> Result<Outcome> {
        check_channel(channel)?;
        if payload.len() > MAX_PAYLOAD {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "payload string too long"));
        }
        self.txn.defer(Deferred::Notify { channel: Arc::from(channel), payload: Arc::from(payload) });
        done("NOTIFY")
    }

    // ---- prepared statements ----

    fn prepare(
        &mut self,
        name: &str,
        types: &[sqlparser::ast::DataType],
        statement: &Statement,
    ) -> Result<Outcome> {
        self.statements.check_free(name)?;
        self.ensure_handle()?;
        let info = self.info()?;
        let catalog = run::snapshot(self.txn.handle.as_ref().expect("ensured above")).clone();
        let declared = types
            .iter()
            .map(|ty| run::resolve_type(&catalog, &info, ty).map(|ty| ty.oid))
            .collect::<Result<Vec<_>>>()?;
        let mut prepared = self.analyse(Some(statement.clone()), declared)?;
        prepared.from_sql = true;
        self.statements.put(name, Arc::new(prepared));
        done("PREPARE")
    }

    async fn execute_prepared(&mut self, name: &str, args: &[sqlparser::ast::Expr]) -> Result<Outcome> {
        let prepared = self.statement_again(name)?;
        let Some(plan) = prepared.plan.clone() else {
            return Err(SqlError::not_built("EXECUTE of this kind of statement"));
        };
        if args.len() != prepared.params.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .with_detail(format!(
                "Expected {} parameters but got {}.",
                prepared.params.len(),
                args.len()
            )));
        }
        let params = if args.is_empty() { Vec::new() } else { self.evaluate(args, &prepared.params).await? };
        Ok(Outcome::Next(PortalState::Ready { plan, params }))
    }

    /// The values of EXECUTE's arguments: they are planned as a query of their own.
    async fn evaluate(&mut self, args: &[sqlparser::ast::Expr], types: &[Oid]) -> Result<Vec<Datum>> {
        let list: Vec<String> = args
            .iter()
            .zip(types)
            .map(|(arg, ty)| format!("CAST(({arg}) AS {})", run::type_name(*ty)))
            .collect();
        let text = format!("SELECT {}", list.join(", "));
        let statement = run::parse(&text)?.pop().ok_or_else(|| SqlError::internal("no statement"))?;
        let prepared = self.analyse(Some(statement), Vec::new())?;
        let plan = prepared.plan.ok_or_else(|| SqlError::internal("a SELECT without a plan"))?;
        let mut execution = run::start(&plan, Vec::new());
        let mut row = OneRow(Vec::new());
        match self.execute(&mut execution, None, &mut row).await? {
            Progress::Done(_) => Ok(row.0),
            _ => Err(SqlError::internal("one row did not fit")),
        }
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<Outcome> {
        match name {
            Some(name) if self.statements.remove(name) => done("DEALLOCATE"),
            Some(name) => Err(super::statements::no_statement(name)),
            None => {
                self.statements.remove_named();
                done("DEALLOCATE ALL")
            }
        }
    }

    // ---- cursors ----

    fn declare(&mut self, statement: &SessionStatement) -> Result<Outcome> {
        let SessionStatement::Declare { name, binary, scroll, hold, statement } = statement else {
            return Err(SqlError::internal("not a DECLARE"));
        };
        if !hold {
            self.txn.require_block("DECLARE CURSOR")?;
        }
        if name.is_empty() {
            return Err(SqlError::new(
                SqlState::INVALID_CURSOR_NAME,
                "invalid cursor name: must not be empty",
            ));
        }
        self.portals.check_free(name)?;
        let prepared = Arc::new(self.analyse(Some((**statement).clone()), Vec::new())?);
        let Some(plan) = &prepared.plan else {
            return Err(SqlError::new(
                SqlState::INVALID_CURSOR_DEFINITION,
                "DECLARE CURSOR needs a SELECT or VALUES",
            ));
        };
        let cursor = Cursor::new(run::start(plan, Vec::new()), *scroll == Some(true) || *hold);
        let format = if *binary { Format::Binary } else { Format::Text };
        let portal = Portal {
            columns: prepared.columns.clone(),
            prepared: prepared.clone(),
            formats: Formats(smallvec::smallvec![format]),
            state: PortalState::Cursor(Box::new(cursor)),
            hold: *hold,
            depth: self.txn.savepoints.len(),
        };
        self.start_cursor()?;
        self.portals.put(name, portal);
        done("DECLARE CURSOR")
    }

    async fn fetch(&mut self, name: &str, direction: FetchDirection, move_only: bool) -> Result<Outcome> {
        let mut portal = self.portals.take_cursor(name)?;
        let result = self.fetch_from(name, &mut portal, direction, move_only).await;
        self.portals.put(name, portal);
        result
    }

    async fn fetch_from(
        &mut self,
        name: &str,
        portal: &mut Portal,
        direction: FetchDirection,
        move_only: bool,
    ) -> Result<Outcome> {
        let PortalState::Cursor(cursor) = &mut portal.state else { return Err(no_cursor_error(name)) };
        if !cursor.scroll {
            let forward = cursor.forward(direction)?;
            return Ok(Outcome::Next(PortalState::Fetch(Box::new(Fetch {
                cursor: name.to_owned(),
                skip: forward.skip,
                take: forward.take,
                sent: 0,
                move_only,
            }))));
        }
        let rows = self.with_context(async |cx| cursor.scroll(cx, direction).await).await?;
        let word = if move_only { "MOVE" } else { "FETCH" };
        let tag = format!("{word} {}", rows.len());
        let rows = if move_only { Vec::new() } else { rows };
        Ok(Outcome::Next(PortalState::Rows { rows: rows.into_iter(), tag }))
    }

    /// Goes on with a FETCH of a cursor that only moves forward.
    pub(super) async fn fetch_forward(
        &mut self,
        fetch: &mut Fetch,
        max_rows: Option<u64>,
        sink: &mut dyn RowSink,
    ) -> Result<Step> {
        let mut portal = self.portals.take_cursor(&fetch.cursor)?;
        let PortalState::Cursor(cursor) = &mut portal.state else {
            return Err(no_cursor_error(&fetch.cursor));
        };
        let result = self.fetch_rows(cursor, fetch, max_rows, sink).await;
        self.portals.put(&fetch.cursor, portal);
        result
    }

    async fn fetch_rows(
        &mut self,
        cursor: &mut Cursor,
        fetch: &mut Fetch,
        max_rows: Option<u64>,
        sink: &mut dyn RowSink,
    ) -> Result<Step> {
        let word = if fetch.move_only { "MOVE" } else { "FETCH" };
        let mut allowed = max_rows;
        loop {
            let skipping = fetch.skip > 0;
            let wanted = if skipping { Some(fetch.skip) } else { min(fetch.take, allowed) };
            if wanted == Some(0) {
                let ended = fetch.take == Some(0);
                return Ok(if ended {
                    Step::Done(format!("{word} {}", fetch.sent))
                } else {
                    Step::Suspended
                });
            }
            let Some(execution) = &mut cursor.execution else {
                return Ok(Step::Done(format!("{word} {}", fetch.sent)));
            };
            let hidden = skipping || fetch.move_only;
            let shown: Option<&mut dyn RowSink> = if hidden { None } else { Some(&mut *sink) };
            let mut counted = Counted { sink: shown, rows: 0 };
            let progress = self.execute(execution, wanted, &mut counted).await?;
            let rows = counted.rows;
            cursor.position += rows as usize;
            if skipping {
                fetch.skip -= rows;
            } else {
                fetch.sent += rows;
                fetch.take = fetch.take.map(|n| n - rows);
                allowed = allowed.map(|n| n - rows);
            }
            match progress {
                Progress::Done(_) => cursor.execution = None,
                Progress::Paused => return Ok(Step::Paused),
                Progress::Suspended => {}
            }
        }
    }

    fn close_cursor(&mut self, name: Option<&str>) -> Result<Outcome> {
        match name {
            Some(name) if self.portals.remove(name) => done("CLOSE CURSOR"),
            Some(name) => Err(no_cursor_error(name)),
            None => {
                self.portals.remove_named();
                done("CLOSE CURSOR ALL")
            }
        }
    }
}

/// Keeps the one row of EXECUTE's arguments.
struct OneRow(Vec<Datum>);

impl RowSink for OneRow {
    fn row(&mut self, row: &[Datum]) -> Result<()> {
        self.0 = row.to_vec();
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }
}

fn min(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

fn refuse_serializable(isolation: Isolation) -> Result<()> {
    if isolation == Isolation::Serializable {
        return Err(SqlError::not_built("transaction isolation level SERIALIZABLE"));
    }
    Ok(())
}

fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "read uncommitted",
        Isolation::ReadCommitted => "read committed",
        Isolation::RepeatableRead => "repeatable read",
        Isolation::Serializable => "serializable",
    }
}

fn parse_isolation(text: &str) -> Result<Isolation> {
    let all = [
        Isolation::Serializable,
        Isolation::RepeatableRead,
        Isolation::ReadCommitted,
        Isolation::ReadUncommitted,
    ];
    all.into_iter().find(|level| isolation_name(*level).eq_ignore_ascii_case(text)).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"transaction_isolation\": \"{text}\""),
        )
        .with_hint("Available values: serializable, repeatable read, read committed, read uncommitted.")
    })
}

/// The values of a SET as one text: only list settings take several.
fn joined(name: &str, values: &[String]) -> Result<String> {
    const LISTS: [&str; 3] = ["search_path", "datestyle", "temp_tablespaces"];
    let lower = name.to_ascii_lowercase();
    match values {
        [one] if lower != "search_path" => Ok(one.clone()),
        _ if !LISTS.contains(&lower.as_str()) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("SET {name} takes only one argument"),
        )),
        _ if lower == "search_path" => Ok(values.iter().map(|v| quoted(v)).collect::<Vec<_>>().join(", ")),
        _ => Ok(values.join(", ")),
    }
}

/// An identifier as `quote_identifier` writes it (reserved words are quoted by the caller's text).
fn quoted(name: &str) -> String {
    let is_plain = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn check_channel(channel: &str) -> Result<()> {
    if channel.is_empty() {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "channel name cannot be empty"));
    }
    if channel.len() > MAX_CHANNEL {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "channel name too long"));
    }
    Ok(())
}

/// Whether `role` is a member of `of`, directly or through others.
fn is_member(catalog: &crate::catalog::CatalogSnapshot, role: Oid, of: Oid) -> bool {
    let mut seen = vec![role];
    let mut at = 0;
    while let Some(oid) = seen.get(at).copied() {
        at += 1;
        for parent in catalog.role_by_oid(oid).into_iter().flat_map(|r| &r.member_of) {
            if *parent == of {
                return true;
            }
            if !seen.contains(parent) {
                seen.push(*parent);
            }
        }
    }
    false
}
