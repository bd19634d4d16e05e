//! A message of the server as one line. What two correct servers may choose freely is left out: OIDs of tables, process
//! ids, and the source file, line and routine of an error.

use sqllogic::wire::{DbError, Message, WireError};

/// Fields of an error that name PostgreSQL's own source.
const SOURCE_FIELDS: [u8; 3] = *b"FLR";

/// The line of a message.
pub fn line(message: &Message) -> String {
    known(message).unwrap_or_else(|error| format!("{} {error}", char::from(message.tag)))
}

fn known(message: &Message) -> Result<String, WireError> {
    Ok(match message.tag {
        b'1' => "ParseComplete".into(),
        b'2' => "BindComplete".into(),
        b'3' => "CloseComplete".into(),
        b'I' => "EmptyQueryResponse".into(),
        b'n' => "NoData".into(),
        b's' => "PortalSuspended".into(),
        b'c' => "CopyDone".into(),
        b'C' => format!("CommandComplete {}", message.command_tag()?),
        b'Z' => format!("ReadyForQuery {}", message.body.first().copied().map_or('?', char::from)),
        b'D' => format!("DataRow {}", message.row()?.iter().map(value).collect::<Vec<_>>().join(" | ")),
        b'T' => row_description(message)?,
        b't' => parameter_description(message)?,
        b'S' => {
            let (name, value) = message.parameter_status()?;
            format!("ParameterStatus {name} = {}", if name == "server_version" { "15" } else { &value })
        }
        b'E' => format!("ErrorResponse {}", fields(&message.error()?)),
        b'N' => format!("NoticeResponse {}", fields(&message.error()?)),
        b'A' => format!("NotificationResponse {}", notification(message)),
        b'd' => format!("CopyData {}", bytes(&message.body)),
        b'G' | b'H' | b'W' => format!("Copy{}Response {}", char::from(message.tag), bytes(&message.body)),
        b'R' => format!("Authentication {}", message.i32_at(0)?),
        b'K' => "BackendKeyData".into(),
        other => format!("{:?} {}", char::from(other), bytes(&message.body)),
    })
}

fn row_description(message: &Message) -> Result<String, WireError> {
    let columns = message.columns()?;
    let column = |c: &sqllogic::wire::Column| {
        let origin = if c.origin.0 == 0 { "-".into() } else { format!("table.{}", c.origin.1) };
        format!(
            "{:?} from {origin} type {} len {} typmod {} format {}",
            c.name, c.type_oid, c.type_len, c.typmod, c.format
        )
    };
    Ok(format!("RowDescription {}", columns.iter().map(column).collect::<Vec<_>>().join(" | ")))
}

fn parameter_description(message: &Message) -> Result<String, WireError> {
    let oids: Result<Vec<String>, WireError> =
        (2..message.body.len()).step_by(4).map(|at| Ok(message.i32_at(at)?.to_string())).collect();
    let oids = oids?;
    if oids.len() > 20 {
        return Ok(format!("ParameterDescription {} parameters", oids.len()));
    }
    Ok(format!("ParameterDescription {}", oids.join(",")))
}

fn fields(error: &DbError) -> String {
    let shown = error.fields.iter().filter(|(code, _)| !SOURCE_FIELDS.contains(code));
    shown.map(|(code, value)| format!("{}={value:?}", char::from(*code))).collect::<Vec<_>>().join(" ")
}

fn notification(message: &Message) -> String {
    message.body.get(4..).map(bytes).unwrap_or_default()
}

fn value(value: &Option<Vec<u8>>) -> String {
    value.as_deref().map_or_else(|| "NULL".into(), bytes)
}

fn bytes(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}
