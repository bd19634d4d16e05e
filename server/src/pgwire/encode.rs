//! Messages to the client, appended to one output buffer.

use sql::plan::OutputColumn;
use sql::session::{Formats, Notification, run};
use sql::{Oid, SqlError};

/// Appends a message: type, length (filled in afterwards), body.
pub(super) fn message(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

pub(super) fn parse_complete(out: &mut Vec<u8>) {
    out.extend_from_slice(b"1\0\0\0\x04");
}

pub(super) fn bind_complete(out: &mut Vec<u8>) {
    out.extend_from_slice(b"2\0\0\0\x04");
}

pub(super) fn close_complete(out: &mut Vec<u8>) {
    out.extend_from_slice(b"3\0\0\0\x04");
}

pub(super) fn no_data(out: &mut Vec<u8>) {
    out.extend_from_slice(b"n\0\0\0\x04");
}

pub(super) fn portal_suspended(out: &mut Vec<u8>) {
    out.extend_from_slice(b"s\0\0\0\x04");
}

pub(super) fn empty_query(out: &mut Vec<u8>) {
    out.extend_from_slice(b"I\0\0\0\x04");
}

pub(super) fn ready(out: &mut Vec<u8>, status: u8) {
    out.extend_from_slice(&[b'Z', 0, 0, 0, 5, status]);
}

pub(super) fn command_complete(out: &mut Vec<u8>, tag: &str) {
    message(out, b'C', |out| string(out, tag));
}

pub(super) fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    message(out, b'S', |out| {
        string(out, name);
        string(out, value);
    });
}

pub(super) fn backend_key(out: &mut Vec<u8>, pid: i32, secret: &[u8]) {
    message(out, b'K', |out| {
        out.extend_from_slice(&pid.to_be_bytes());
        out.extend_from_slice(secret);
    });
}

pub(super) fn notification(out: &mut Vec<u8>, n: &Notification) {
    message(out, b'A', |out| {
        out.extend_from_slice(&n.pid.to_be_bytes());
        string(out, &n.channel);
        string(out, &n.payload);
    });
}

pub(super) fn authentication(out: &mut Vec<u8>, code: u32, data: &[u8]) {
    message(out, b'R', |out| {
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(data);
    });
}

pub(super) fn parameter_description(out: &mut Vec<u8>, params: &[Oid]) {
    message(out, b't', |out| {
        out.extend_from_slice(&(params.len() as u16).to_be_bytes());
        params.iter().for_each(|oid| out.extend_from_slice(&oid.0.to_be_bytes()));
    });
}

pub(super) fn row_description(out: &mut Vec<u8>, columns: &[OutputColumn], formats: &Formats) {
    message(out, b'T', |out| {
        out.extend_from_slice(&(columns.len() as u16).to_be_bytes());
        for (at, column) in columns.iter().enumerate() {
            string(out, &column.name);
            let (table, number) = column.origin.unwrap_or((Oid::NONE, 0));
            out.extend_from_slice(&table.0.to_be_bytes());
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&column.ty.oid.0.to_be_bytes());
            out.extend_from_slice(&run::type_length(column.ty.oid).to_be_bytes());
            out.extend_from_slice(&column.ty.typmod.to_be_bytes());
            out.extend_from_slice(&(formats.of(at) as u16).to_be_bytes());
        }
    });
}

/// How bad an ErrorResponse is: FATAL ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Fatal,
}

pub(super) fn error(out: &mut Vec<u8>, severity: Severity, error: &SqlError, text: Option<&str>) {
    let word = if severity == Severity::Fatal { "FATAL" } else { "ERROR" };
    message(out, b'E', |out| fields(out, word, error, text));
}

pub(super) fn notice(out: &mut Vec<u8>, severity: &str, error: &SqlError) {
    message(out, b'N', |out| fields(out, severity, error, None));
}

fn fields(out: &mut Vec<u8>, severity: &str, error: &SqlError, text: Option<&str>) {
    let fields = error.fields();
    let mut field = |kind: u8, value: &str| {
        out.push(kind);
        // A zero byte would end the field early.
        out.extend(value.bytes().map(|b| if b == 0 { b'?' } else { b }));
        out.push(0);
    };
    field(b'S', severity);
    field(b'V', severity);
    field(b'C', fields.code.code());
    field(b'M', &fields.message);
    let optional = [
        (b'D', &fields.detail),
        (b'H', &fields.hint),
        (b'W', &fields.context),
        (b's', &fields.schema),
        (b't', &fields.table),
        (b'c', &fields.column),
        (b'd', &fields.data_type),
        (b'n', &fields.constraint),
    ];
    for (kind, value) in optional {
        if let Some(value) = value {
            field(kind, value);
        }
    }
    if let (Some(at), Some(text)) = (fields.at, text) {
        // Clients count characters from 1.
        let characters = text.bytes().take(at).filter(|b| (b & 0xc0) != 0x80).count();
        field(b'P', &(characters + 1).to_string());
    }
    out.push(0);
}
