//! The session loop: messages in, answers out, one flush at Sync.
//!
//! After an error in the extended protocol messages are skipped up to Sync. While the client is
//! silent, the loop also waits for notifications, termination and the idle timeouts.

use super::auth::flush;
use super::copy::copy;
use super::decode::{self, Target};
use super::encode::{self, Severity};
use super::input::{Frame, Input};
use super::row::{FLUSH_BYTES, Rows};
use super::startup::Socket;
use sql::session::portals::Format;
use sql::session::settings::NoticeLevel;
use sql::session::{CancelReason, Phase, Portal, Session, SessionInfo, Step, run};
use sql::types::Datum;
use sql::{Oid, SqlError, SqlState};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One connection after its authentication.
pub(super) struct Connection {
    socket: Socket,
    input: Input,
    out: Vec<u8>,
    session: Session,
    /// An error happened: messages up to Sync are ignored.
    skipping: bool,
    /// The connection ends once `out` has been sent.
    ending: bool,
}

type Sql<T> = Result<T, SqlError>;

impl Connection {
    pub(super) fn new(socket: Socket, input: Input, out: Vec<u8>, session: Session) -> Connection {
        Connection { socket, input, out, session, skipping: false, ending: false }
    }

    /// Serves until the client leaves or the session is ended.
    pub(super) async fn serve(mut self) -> io::Result<()> {
        self.greet();
        self.ready().await?;
        loop {
            while !self.ending {
                match self.input.frame() {
                    Ok(Some(frame)) if frame.kind == b'X' => return Ok(()),
                    Ok(Some(frame)) => self.message(&frame).await?,
                    Ok(None) => break,
                    Err(error) => self.fatal(&error),
                }
            }
            if self.ending {
                return flush(&mut self.socket, &mut self.out).await;
            }
            if self.out.len() >= FLUSH_BYTES {
                flush(&mut self.socket, &mut self.out).await?;
            }
            if !self.wait().await? {
                return Ok(());
            }
        }
    }

    /// ParameterStatus and BackendKeyData.
    fn greet(&mut self) {
        for (name, value) in self.session.settings_mut().all_reports() {
            encode::parameter_status(&mut self.out, name, &value);
        }
        let handle = self.session.handle();
        encode::backend_key(&mut self.out, handle.pid, &handle.secret);
    }

    /// Waits for bytes; `false`: the client left.
    async fn wait(&mut self) -> io::Result<bool> {
        let timeout = self.idle_timeout();
        let handle = self.session.handle().clone();
        let expired = async {
            match &timeout {
                Some((after, _)) => tokio::time::sleep(*after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            read = self.input.read(&mut self.socket) => return Ok(read? > 0),
            () = handle.pushed() => {}
            () = expired => {
                let (_, error) = timeout.expect("it expired");
                self.fatal(&error);
                return Ok(true);
            }
        }
        if handle.is_terminated() {
            self.fatal(&SqlError::new(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            ));
        } else if self.session.txn().phase() == Phase::Idle {
            self.push_notifications();
            flush(&mut self.socket, &mut self.out).await?;
        }
        Ok(true)
    }

    fn idle_timeout(&self) -> Option<(Duration, SqlError)> {
        let live = self.session.settings().live();
        if self.session.txn().in_block() {
            let after = live.idle_in_transaction_session_timeout?;
            let error = SqlError::new(
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            );
            return Some((after, error));
        }
        let after = live.idle_session_timeout?;
        Some((
            after,
            SqlError::new(
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout",
            ),
        ))
    }

    fn fatal(&mut self, error: &SqlError) {
        encode::error(&mut self.out, Severity::Fatal, error, None);
        self.ending = true;
    }

    /// An error of a statement; the text is what its position counts in.
    fn error(&mut self, error: &SqlError, text: Option<&str>) {
        self.notices();
        self.session.fail();
        if error.code() == SqlState::ADMIN_SHUTDOWN {
            self.fatal(error);
        } else {
            encode::error(&mut self.out, Severity::Error, error, text);
        }
    }

    async fn message(&mut self, frame: &Frame) -> io::Result<()> {
        if self.skipping && frame.kind != b'S' {
            return Ok(());
        }
        let result = match frame.kind {
            b'Q' => return self.query(frame).await,
            b'P' => self.parse(frame),
            b'B' => self.bind(frame),
            b'D' => self.describe(frame),
            b'E' => self.execute(frame).await?,
            b'C' => self.close(frame),
            b'S' => return self.sync().await,
            b'H' => return flush(&mut self.socket, &mut self.out).await,
            b'F' => {
                self.error(&SqlError::not_built("the function call protocol"), None);
                return self.ready().await;
            }
            // What is left of a COPY that failed.
            b'd' | b'c' | b'f' => Ok(()),
            other => Err((
                SqlError::new(SqlState::PROTOCOL_VIOLATION, format!("unexpected message type {other}")),
                None,
            )),
        };
        if let Err((error, text)) = result {
            self.error(&error, text.as_deref());
            self.skipping = true;
            // A client may wait for the error with a Flush, which is skipped from now on.
            return flush(&mut self.socket, &mut self.out).await;
        }
        Ok(())
    }

    // ---- simple query ----

    async fn query(&mut self, frame: &Frame) -> io::Result<()> {
        let text = decode::text(self.input.body(frame));
        self.session.begin_command();
        let deadline = self.deadline();
        if let Ok(text) = text
            && let Some(portal) = self.session.open_alike(text)
        {
            if let Err(error) = self.run_portal(portal, true, deadline).await? {
                self.error(&error, None);
            }
            return self.sync_and_ready().await;
        }
        let statements = text.and_then(|text| {
            self.session.batch(text).inspect_err(|error| {
                encode_later(&mut self.out, &mut self.session, error, text);
            })
        });
        let statements = match statements {
            Ok(statements) => statements,
            Err(error) => {
                // Errors of the batch itself have been written with their position.
                if error.code() == SqlState::PROTOCOL_VIOLATION
                    || error.code() == SqlState::CHARACTER_NOT_IN_REPERTOIRE
                {
                    self.error(&error, None);
                } else {
                    self.session.fail();
                }
                return self.ready().await;
            }
        };
        if statements.is_empty() {
            encode::empty_query(&mut self.out);
        }
        let count = statements.len();
        for (at, statement) in statements.into_iter().enumerate() {
            let text = statement.text.clone();
            self.session.begin_command();
            if let Err(error) = self.statement(statement, at + 1 == count, deadline).await? {
                self.error(&error, Some(&text));
                break;
            }
        }
        self.sync_and_ready().await
    }

    /// One statement of a query string, to its CommandComplete.
    async fn statement(
        &mut self,
        statement: sql::parse::Statement,
        last: bool,
        deadline: Option<Instant>,
    ) -> io::Result<Sql<()>> {
        match self.session.open(statement) {
            Ok(portal) => self.run_portal(portal, last, deadline).await,
            Err(error) => Ok(Err(error)),
        }
    }

    async fn run_portal(
        &mut self,
        mut portal: Portal,
        last: bool,
        deadline: Option<Instant>,
    ) -> io::Result<Sql<()>> {
        if let Some(columns) = &portal.columns {
            encode::row_description(&mut self.out, columns, &portal.formats);
        }
        let step = drive(
            &mut self.session,
            &mut self.socket,
            &mut self.input,
            &mut self.out,
            &mut portal,
            None,
            deadline,
        )
        .await?;
        let finished = match step {
            Ok(step) => self.session.finish(last).await.map(|()| step),
            Err(error) => Err(error),
        };
        Ok(finished.map(|step| self.complete(step)))
    }

    fn complete(&mut self, step: Step) {
        self.notices();
        match step {
            Step::Done(tag) => encode::command_complete(&mut self.out, &tag),
            Step::Suspended | Step::Paused => encode::portal_suspended(&mut self.out),
            // `drive` runs a COPY to its tag.
            Step::Empty | Step::Copy(_) => encode::empty_query(&mut self.out),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.session.settings().live().statement_timeout.map(|after| Instant::now() + after)
    }

    // ---- extended query ----

    fn parse(&mut self, frame: &Frame) -> Result<(), Failed> {
        let message = decode::parse(self.input.body(frame)).map_err(bare)?;
        let parsed = self.session.parse(message.name, message.text, message.types);
        parsed.map_err(|error| (error, Some(Arc::from(message.text))))?;
        encode::parse_complete(&mut self.out);
        Ok(())
    }

    fn bind(&mut self, frame: &Frame) -> Result<(), Failed> {
        let mut message = decode::bind(self.input.body(frame)).map_err(bare)?;
        let prepared = self.session.statement(message.statement).map_err(bare)?;
        if message.count != prepared.params.len() {
            return Err(bare(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                    message.count,
                    message.statement,
                    prepared.params.len()
                ),
            )));
        }
        let info = self.session.info().map_err(bare)?;
        let mut values = Vec::with_capacity(message.count);
        let portal = message.portal;
        for (at, ty) in prepared.params.iter().enumerate() {
            let format = message.formats.of(at);
            let value = message.value().and_then(|bytes| parameter(*ty, bytes, format, &info));
            values.push(value.map_err(|error| bare(at_parameter(error, portal, at, format)))?);
        }
        drop(info);
        let formats = message.result_formats().map_err(bare)?;
        self.session.bind(portal, prepared, values, formats).map_err(bare)?;
        encode::bind_complete(&mut self.out);
        Ok(())
    }

    fn describe(&mut self, frame: &Frame) -> Result<(), Failed> {
        match decode::target(self.input.body(frame), "DESCRIBE").map_err(bare)? {
            Target::Statement(name) => {
                let prepared = self.session.statement(name).map_err(bare)?;
                encode::parameter_description(&mut self.out, &prepared.params);
                match &prepared.columns {
                    Some(columns) => encode::row_description(&mut self.out, columns, &Default::default()),
                    None => encode::no_data(&mut self.out),
                }
            }
            Target::Portal(name) => {
                self.session.check_portal(name).map_err(bare)?;
                let portal = self.session.portals().get(name).map_err(bare)?;
                match &portal.columns {
                    Some(columns) => encode::row_description(&mut self.out, columns, &portal.formats),
                    None => encode::no_data(&mut self.out),
                }
            }
        }
        Ok(())
    }

    async fn execute(&mut self, frame: &Frame) -> io::Result<Result<(), Failed>> {
        let (name, max_rows) = match decode::execute(self.input.body(frame)) {
            // The unnamed portal's name allocates nothing.
            Ok((name, max_rows)) => (name.to_owned(), max_rows),
            Err(error) => return Ok(Err(bare(error))),
        };
        let deadline = self.session.settings().live().statement_timeout.map(|after| Instant::now() + after);
        let mut portal = match self.session.begin_execute(&name) {
            Ok(portal) => portal,
            Err(error) => return Ok(Err(bare(error))),
        };
        let step = drive(
            &mut self.session,
            &mut self.socket,
            &mut self.input,
            &mut self.out,
            &mut portal,
            max_rows,
            deadline,
        )
        .await?;
        match step {
            Ok(step) => {
                self.session.end_execute(&name, portal);
                self.complete(step);
                Ok(Ok(()))
            }
            Err(error) => {
                let text = portal.prepared.statement.as_ref().map(|statement| statement.text.clone());
                Ok(Err((error, text)))
            }
        }
    }

    fn close(&mut self, frame: &Frame) -> Result<(), Failed> {
        match decode::target(self.input.body(frame), "CLOSE").map_err(bare)? {
            Target::Statement(name) => self.session.close_statement(name),
            Target::Portal(name) => drop(self.session.portals().remove(name)),
        }
        encode::close_complete(&mut self.out);
        Ok(())
    }

    async fn sync(&mut self) -> io::Result<()> {
        self.skipping = false;
        self.sync_and_ready().await
    }

    async fn sync_and_ready(&mut self) -> io::Result<()> {
        if let Err(error) = self.session.sync().await {
            self.error(&error, None);
        }
        self.ready().await
    }

    // ---- both ----

    /// Reports, notifications and ReadyForQuery, then the flush.
    async fn ready(&mut self) -> io::Result<()> {
        self.notices();
        if self.session.settings().has_reports() {
            for (name, value) in self.session.settings_mut().take_reports() {
                encode::parameter_status(&mut self.out, name, &value);
            }
        }
        if self.session.txn().phase() == Phase::Idle {
            self.push_notifications();
        }
        if !self.ending {
            self.session.idle();
            encode::ready(&mut self.out, self.session.txn().status());
        }
        flush(&mut self.socket, &mut self.out).await
    }

    fn push_notifications(&mut self) {
        if !self.session.handle().has_mail() {
            return;
        }
        for notification in self.session.handle().take_notifications() {
            encode::notification(&mut self.out, &notification);
        }
    }

    fn notices(&mut self) {
        if !self.session.has_notices() {
            return;
        }
        let least = self.session.settings().live().notice_level;
        for notice in self.session.take_notices() {
            let level = match notice.severity {
                "WARNING" => NoticeLevel::Warning,
                "LOG" => NoticeLevel::Log,
                "DEBUG" => NoticeLevel::Debug,
                // INFO is always shown.
                "INFO" => NoticeLevel::Error,
                _ => NoticeLevel::Notice,
            };
            if level >= least {
                encode::notice(&mut self.out, notice.severity, &notice.error);
            }
        }
    }
}

/// A parameter's value from its bytes; no bytes are NULL.
fn parameter(ty: Oid, bytes: Option<&[u8]>, format: Format, info: &SessionInfo) -> Sql<Datum> {
    match (bytes, format) {
        (None, _) => Ok(Datum::Null),
        (Some(bytes), Format::Binary) => run::receive(ty, bytes),
        (Some(bytes), Format::Text) => run::input(ty, decode::utf8(bytes)?, info),
    }
}

/// Says which parameter was at fault. Values are not shown, as under PostgreSQL's default of
/// `log_parameter_max_length_on_error`.
fn at_parameter(error: SqlError, portal: &str, at: usize, format: Format) -> SqlError {
    let portal = match portal {
        "" => "unnamed portal".to_owned(),
        name => format!("portal \"{name}\""),
    };
    let unread = [SqlState::PROTOCOL_VIOLATION, SqlState::CHARACTER_NOT_IN_REPERTOIRE];
    let read = !unread.contains(&error.code());
    let value = if read && format == Format::Text { " = '...'" } else { "" };
    error.with_context(format!("{portal} parameter ${}{value}", at + 1))
}

/// An error and the text its position counts in.
type Failed = (SqlError, Option<Arc<str>>);

fn bare(error: SqlError) -> Failed {
    (error, None)
}

/// Writes a syntax error of a query string while its text is still at hand.
fn encode_later(out: &mut Vec<u8>, session: &mut Session, error: &SqlError, text: &str) {
    session.fail();
    encode::error(out, Severity::Error, error, Some(text));
}

/// Runs a portal, emptying the output whenever it is full, until it is done or suspended.
async fn drive(
    session: &mut Session,
    socket: &mut Socket,
    input: &mut Input,
    out: &mut Vec<u8>,
    portal: &mut Portal,
    max_rows: Option<u64>,
    deadline: Option<Instant>,
) -> io::Result<Sql<Step>> {
    let info = match session.info() {
        Ok(info) => info,
        Err(error) => return Ok(Err(error)),
    };
    let (columns, formats) = (portal.columns.clone(), portal.formats.clone());
    let columns = columns.as_deref().unwrap_or(&[]);
    let mut left = max_rows;
    loop {
        let mut rows = Rows { out, columns, formats: &formats, info: &info, count: 0 };
        let step = match deadline {
            None => session.run(portal, left, &mut rows).await,
            Some(deadline) => {
                let handle = session.handle().clone();
                let running = session.run(portal, left, &mut rows);
                tokio::pin!(running);
                tokio::select! {
                    biased;
                    step = &mut running => step,
                    () = tokio::time::sleep_until(deadline) => {
                        handle.interrupt(CancelReason::StatementTimeout);
                        running.await
                    }
                }
            }
        };
        let sent = rows.count;
        match step {
            Ok(Step::Paused) => {
                left = left.map(|n| n.saturating_sub(sent));
                flush(socket, out).await?;
                if left == Some(0) {
                    return Ok(Ok(Step::Suspended));
                }
            }
            Ok(Step::Copy(plan)) => return Box::pin(copy(session, socket, input, out, plan)).await,
            other => return Ok(other),
        }
    }
}
