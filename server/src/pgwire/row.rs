//! Result rows straight into the output buffer.

use sql::exec::RowSink;
use sql::plan::OutputColumn;
use sql::session::portals::Format;
use sql::session::{Formats, SessionInfo, run};
use sql::types::Datum;

/// Bytes of output after which rows wait for the socket.
pub(super) const FLUSH_BYTES: usize = 64 * 1024;

/// Writes DataRow messages.
pub(super) struct Rows<'a> {
    pub out: &'a mut Vec<u8>,
    pub columns: &'a [OutputColumn],
    pub formats: &'a Formats,
    pub info: &'a SessionInfo,
    /// Rows written.
    pub count: u64,
}

impl RowSink for Rows<'_> {
    fn row(&mut self, row: &[Datum]) -> sql::Result<()> {
        self.count += 1;
        let out = &mut *self.out;
        out.push(b'D');
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(row.len() as u16).to_be_bytes());
        for (at, (value, column)) in row.iter().zip(self.columns).enumerate() {
            if value.is_null() {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            let from = out.len();
            out.extend_from_slice(&[0; 4]);
            match self.formats.of(at) {
                Format::Text => run::output(column.ty.oid, value, self.info, out),
                Format::Binary => run::send(column.ty.oid, value, out),
            }
            let length = (out.len() - from - 4) as u32;
            out[from..from + 4].copy_from_slice(&length.to_be_bytes());
        }
        let length = (out.len() - start) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.out.len() >= FLUSH_BYTES
    }
}
