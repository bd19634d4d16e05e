//! COPY TO: the rows of a plan, encoded.

use super::binary;
use super::encode::{csv_value, header_line, text_value};
use super::options::{Format, TextFormat};
use super::plan::{CopyColumn, CopyPlan};
use crate::exec::{self, ExecContext, Execution, Progress, RowSink};
use crate::parse::CopyHeader;
use crate::types::{Datum, Io};
use crate::{Result, SqlError};
use std::sync::Arc;

/// Bytes of messages after which `CopyOut::next` lets the session send.
const FULL: usize = 64 << 10;

/// Encoded rows: the contents of CopyData messages, one behind the other.
#[derive(Debug, Default)]
pub struct CopyRows {
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
}

impl CopyRows {
    /// The messages in order.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// Bytes of all messages.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets the messages, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn end_message(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

/// How far one call of `CopyOut::next` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// Send the messages and call again.
    More,
    /// The last messages, if any, are in; the number of rows for the tag `COPY n`.
    Done(u64),
}

/// A running COPY TO. It holds no borrow of the session.
pub struct CopyOut {
    plan: Arc<CopyPlan>,
    execution: Execution,
    begun: bool,
    rows: u64,
}

impl CopyOut {
    pub fn new(plan: Arc<CopyPlan>) -> CopyOut {
        let execution = exec::start(&plan.plan, vec![]);
        CopyOut { plan, execution, begun: false, rows: 0 }
    }

    /// Appends whole messages to `out` until about 64 KiB are there or the rows end.
    pub async fn next(&mut self, cx: &mut ExecContext<'_>, out: &mut CopyRows) -> Result<CopyStep> {
        let plan = self.plan.clone();
        if !self.begun {
            begin(&plan, out);
            self.begun = true;
        }
        let info = cx.info;
        let io = Io { fmt: &info.format, lookup: &*plan.plan.catalog, now: None };
        let mut sink = Encoder { plan: &plan, io, out, value: vec![], rows: 0 };
        let progress = self.execution.run(cx, None, &mut sink).await?;
        self.rows += sink.rows;
        match progress {
            Progress::Paused | Progress::Suspended => Ok(CopyStep::More),
            Progress::Done(_) => {
                if plan.format == Format::Binary {
                    binary::trailer(&mut out.bytes);
                    out.end_message();
                }
                Ok(CopyStep::Done(self.rows))
            }
        }
    }
}

/// The header: a line of its own, or, in the binary format, a part of the first message.
fn begin(plan: &CopyPlan, out: &mut CopyRows) {
    match &plan.format {
        Format::Binary => binary::header(&mut out.bytes),
        Format::Text(format) if format.header != CopyHeader::No => {
            header_line(&mut out.bytes, plan.columns.iter().map(|c| c.name.as_str()), format);
            out.end_message();
        }
        Format::Text(_) => {}
    }
}

struct Encoder<'a> {
    plan: &'a CopyPlan,
    io: Io<'a>,
    out: &'a mut CopyRows,
    /// A value's text form before it is escaped.
    value: Vec<u8>,
    rows: u64,
}

impl RowSink for Encoder<'_> {
    fn row(&mut self, row: &[Datum]) -> Result<()> {
        if row.len() != self.plan.columns.len() {
            return Err(SqlError::internal("COPY row of another width"));
        }
        match &self.plan.format {
            Format::Binary => self.binary_row(row),
            Format::Text(format) => self.text_row(row, format),
        }
        self.out.end_message();
        self.rows += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.out.len() >= FULL
    }
}

impl Encoder<'_> {
    fn binary_row(&mut self, row: &[Datum]) {
        let out = &mut self.out.bytes;
        binary::begin_tuple(out, row.len());
        for (value, column) in row.iter().zip(&self.plan.columns) {
            let write = |out: &mut Vec<u8>| self.io.send(column.ty.oid, value, out);
            binary::field(out, (!value.is_null()).then_some(write));
        }
    }

    fn text_row(&mut self, row: &[Datum], format: &TextFormat) {
        for (i, (value, column)) in row.iter().zip(&self.plan.columns).enumerate() {
            if i > 0 {
                self.out.bytes.push(format.delimiter);
            }
            match value {
                Datum::Null => self.out.bytes.extend_from_slice(&format.null),
                value => self.text_value(value, column, format, row.len() == 1),
            }
        }
        self.out.bytes.push(b'\n');
    }

    fn text_value(&mut self, value: &Datum, column: &CopyColumn, format: &TextFormat, alone: bool) {
        self.value.clear();
        let text: &[u8] = match value {
            Datum::Text(text) => text.as_bytes(),
            value => {
                self.io.output(column.ty.oid, value, &mut self.value);
                &self.value
            }
        };
        let out = &mut self.out.bytes;
        match format.csv {
            Some(csv) => csv_value(out, text, format, csv, column.force_quote, alone),
            None => text_value(out, text, format.delimiter),
        }
    }
}
