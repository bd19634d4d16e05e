//! COPY FROM: chunks of input become rows of the table.

use super::binary::Tuples;
use super::context::{at_column, at_line, at_text, at_value};
use super::fields::{Fields, text_of};
use super::insert::BulkInsert;
use super::lines::{Lines, bad};
use super::options::{Format, TextFormat};
use super::plan::{CopyDirection, CopyPlan};
use super::value;
use crate::exec::{ExecContext, constraint};
use crate::expr::EvalContext;
use crate::kernels::CallContext;
use crate::parse::CopyHeader;
use crate::plan::PlanKind;
use crate::types::{Datum, Io};
use crate::{Result, SqlError, SqlState};
use std::ops::Range;
use std::sync::Arc;

/// A running COPY FROM. It holds no borrow of the session; dropped, it leaves what it wrote to its
/// transaction, which has to be rolled back.
pub struct CopyIn {
    plan: Arc<CopyPlan>,
    reader: Reader,
    /// Values of the row in work, a slot a copied column.
    input: Vec<Datum>,
    insert: BulkInsert,
    begun: bool,
    rows: u64,
}

impl CopyIn {
    pub fn new(plan: Arc<CopyPlan>) -> Result<CopyIn> {
        if plan.direction != CopyDirection::In {
            return Err(SqlError::internal("COPY TO takes no input"));
        }
        let reader = match &plan.format {
            Format::Binary => Reader::Binary(Tuples::default()),
            Format::Text(format) => Reader::Text(TextReader {
                lines: Lines::new(format.csv),
                fields: Fields::default(),
                header: format.header != CopyHeader::No,
                line: 0..0,
            }),
        };
        let input = vec![Datum::Null; plan.columns.len()];
        let insert = BulkInsert::new(plan.clone())?;
        Ok(CopyIn { reader, input, insert, begun: false, rows: 0, plan })
    }

    /// Refuses a read-only transaction and holds the table's schema. To be called before the client
    /// is asked for data; `push` does it otherwise.
    pub async fn begin(&mut self, cx: &mut ExecContext<'_>) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        cx.txn.write(cx.node, "COPY FROM")?;
        let PlanKind::Modify(modify) = &self.plan.plan.kind else {
            return Err(SqlError::internal("COPY FROM without insertion"));
        };
        constraint::pin_schema(&self.plan.plan, modify, cx).await?;
        self.begun = true;
        Ok(())
    }

    /// Takes a chunk of input, cut anywhere. After an error the COPY is over.
    pub async fn push(&mut self, cx: &mut ExecContext<'_>, data: &[u8]) -> Result<()> {
        self.begin(cx).await?;
        match &mut self.reader {
            Reader::Text(text) => text.lines.feed(data),
            Reader::Binary(tuples) => tuples.feed(data),
        }
        self.run(cx, Input::Open).await
    }

    /// The client has sent everything: the number of rows that are in the table now.
    pub async fn finish(mut self, cx: &mut ExecContext<'_>) -> Result<u64> {
        self.begin(cx).await?;
        match &mut self.reader {
            Reader::Text(text) => text.lines.complete(),
            Reader::Binary(tuples) => tuples.complete(),
        }
        self.run(cx, Input::Ended).await?;
        Ok(self.rows)
    }

    /// The error of a client that gave up (CopyFail).
    pub fn failed(&self, message: &str) -> SqlError {
        let line = match &self.reader {
            Reader::Text(text) => text.lines.line_in_work(),
            Reader::Binary(tuples) => tuples.line() + 1,
        };
        at_line(copy_failed(message), &self.plan.table, line)
    }

    async fn run(&mut self, cx: &mut ExecContext<'_>, state: Input) -> Result<()> {
        let plan = self.plan.clone();
        let info = cx.info;
        let lookup = &*plan.plan.catalog;
        let io = Io { fmt: &info.format, lookup, now: Some(info.transaction_start) };
        let call = CallContext::new(info, &plan.plan.catalog);
        let eval = EvalContext { call, params: &[] };
        while self.reader.next_row(&plan, &io, &mut self.input)? {
            let added = self.insert.add(cx, &eval, &mut self.input, self.reader.line()).await;
            self.rows += u64::from(added.map_err(|e| self.reader.at_row(e, &plan.table))?);
            if self.insert.is_full() {
                self.insert.flush(cx, &eval).await?;
            }
        }
        match state {
            Input::Open => Ok(()),
            Input::Ended => self.insert.finish(cx, &eval).await,
        }
    }
}

/// Whether more input may come.
#[derive(Clone, Copy)]
enum Input {
    Open,
    Ended,
}

/// 57014 for CopyFail with the client's message.
fn copy_failed(message: &str) -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {message}"))
}

enum Reader {
    Text(TextReader),
    Binary(Tuples),
}

struct TextReader {
    lines: Lines,
    fields: Fields,
    /// The header line is still to come.
    header: bool,
    /// The line of the row in work.
    line: Range<usize>,
}

impl Reader {
    /// Reads the next row into `input`; `false`: more data is needed, or there is no more.
    fn next_row(&mut self, plan: &CopyPlan, io: &Io<'_>, input: &mut [Datum]) -> Result<bool> {
        match (self, &plan.format) {
            (Reader::Text(text), Format::Text(format)) => text.next_row(plan, format, io, input),
            (Reader::Binary(tuples), _) => binary_row(tuples, plan, io, input),
            (Reader::Text(_), Format::Binary) => Err(SqlError::internal("COPY reader of another format")),
        }
    }

    fn line(&self) -> u64 {
        match self {
            Reader::Text(text) => text.lines.line(),
            Reader::Binary(tuples) => tuples.line(),
        }
    }

    /// An error of the row as a whole.
    fn at_row(&self, error: SqlError, table: &str) -> SqlError {
        match self {
            Reader::Text(text) => {
                at_text(error, table, text.lines.line(), text.lines.bytes(text.line.clone()))
            }
            Reader::Binary(tuples) => at_line(error, table, tuples.line()),
        }
    }
}

impl TextReader {
    fn next_row(
        &mut self,
        plan: &CopyPlan,
        format: &TextFormat,
        io: &Io<'_>,
        input: &mut [Datum],
    ) -> Result<bool> {
        let table = &plan.table;
        loop {
            let range = self.lines.next_line().map_err(|e| at_line(e, table, self.lines.line()))?;
            let Some(range) = range else { return Ok(false) };
            let number = self.lines.line();
            let bytes = self.lines.bytes(range.clone());
            let line = text_of(bytes).map_err(|e| at_line(e, table, number))?;
            let of_line = |e: SqlError| at_text(e, table, number, bytes);
            if std::mem::take(&mut self.header) {
                if format.header == CopyHeader::Match {
                    self.fields.cut(line, format).map_err(of_line)?;
                    match_header(&self.fields, line, plan, format).map_err(of_line)?;
                }
                continue;
            }
            if input.is_empty() {
                let extra = || of_line(bad("extra data after last expected column"));
                return if line.is_empty() { Ok(true) } else { Err(extra()) };
            }
            self.fields.cut(line, format).map_err(of_line)?;
            read_fields(&self.fields, line, plan, format, io, input, number)?;
            self.line = range;
            return Ok(true);
        }
    }
}

fn read_fields(
    fields: &Fields,
    line: &str,
    plan: &CopyPlan,
    format: &TextFormat,
    io: &Io<'_>,
    input: &mut [Datum],
    number: u64,
) -> Result<()> {
    let table = &plan.table;
    let of_line = |message: String| at_text(bad(message), table, number, line.as_bytes());
    if fields.len() > plan.columns.len() {
        return Err(of_line("extra data after last expected column".into()));
    }
    for (i, (column, slot)) in plan.columns.iter().zip(input).enumerate() {
        if i >= fields.len() {
            return Err(of_line(format!("missing data for column \"{}\"", column.name)));
        }
        let null = || std::str::from_utf8(&format.null).unwrap_or_default();
        let text = match fields.get(line, i) {
            None if column.force_not_null => Some(null()),
            Some(text) if column.force_null && text.as_bytes() == &format.null[..] => None,
            text => text,
        };
        *slot = match text {
            None => Datum::Null,
            Some(text) => value::read(io, column.ty, text)
                .map_err(|e| at_value(e, table, number, &column.name, text.as_bytes()))?,
        };
    }
    Ok(())
}

/// HEADER MATCH: the names must be the copied columns', in order.
fn match_header(fields: &Fields, line: &str, plan: &CopyPlan, format: &TextFormat) -> Result<()> {
    let (got, expected) = (fields.len(), plan.columns.len());
    if got != expected {
        return Err(bad(format!("wrong number of fields in header line: got {got}, expected {expected}")));
    }
    for (i, column) in plan.columns.iter().enumerate() {
        let (field, name) = (i + 1, &column.name);
        let found = match fields.get(line, i) {
            Some(text) if text == name => continue,
            Some(text) => format!("got \"{text}\""),
            None => format!("got null value (\"{}\")", String::from_utf8_lossy(&format.null)),
        };
        let message =
            format!("column name mismatch in header line field {field}: {found}, expected \"{name}\"");
        return Err(bad(message));
    }
    Ok(())
}

fn binary_row(tuples: &mut Tuples, plan: &CopyPlan, io: &Io<'_>, input: &mut [Datum]) -> Result<bool> {
    let table = &plan.table;
    let more = tuples.next_tuple(input.len()).map_err(|(error, field)| {
        let column = field.and_then(|i| plan.columns.get(i));
        match (column, tuples.line()) {
            (Some(column), line) => at_column(error, table, line, &column.name),
            (None, 0) => error,
            (None, line) => at_line(error, table, line),
        }
    });
    if !more? {
        return Ok(false);
    }
    for (i, (column, slot)) in plan.columns.iter().zip(input).enumerate() {
        *slot = match tuples.field(i) {
            None => Datum::Null,
            Some(bytes) => {
                io.recv(column.ty, bytes).map_err(|e| at_column(e, table, tuples.line(), &column.name))?
            }
        };
    }
    Ok(true)
}
