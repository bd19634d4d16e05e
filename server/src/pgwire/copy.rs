//! The COPY sub-protocols: CopyData both ways around a session's COPY.

use super::auth::flush;
use super::decode;
use super::encode::message;
use super::input::Input;
use super::row::FLUSH_BYTES;
use super::startup::Socket;
use sql::copy::{CopyDirection, CopyOut, CopyPlan, CopyRows, CopyStep};
use sql::session::{Session, Step};
use sql::{SqlError, SqlState};
use std::io;
use std::sync::Arc;

/// Runs a COPY to its command tag.
pub(super) async fn copy(
    session: &mut Session,
    socket: &mut Socket,
    input: &mut Input,
    out: &mut Vec<u8>,
    plan: Arc<CopyPlan>,
) -> io::Result<Result<Step, SqlError>> {
    let rows = match plan.direction() {
        CopyDirection::In => copy_in(session, socket, input, out, plan).await?,
        CopyDirection::Out => copy_out(session, socket, out, plan).await?,
    };
    Ok(rows.map(|rows| Step::Done(format!("COPY {rows}"))))
}

/// CopyInResponse (`G`) or CopyOutResponse (`H`).
fn response(out: &mut Vec<u8>, kind: u8, plan: &CopyPlan) {
    message(out, kind, |out| {
        out.push(plan.format_code() as u8);
        out.extend_from_slice(&(plan.columns() as u16).to_be_bytes());
        for _ in 0..plan.columns() {
            out.extend_from_slice(&plan.format_code().to_be_bytes());
        }
    });
}

async fn copy_in(
    session: &mut Session,
    socket: &mut Socket,
    input: &mut Input,
    out: &mut Vec<u8>,
    plan: Arc<CopyPlan>,
) -> io::Result<Result<u64, SqlError>> {
    let mut copy = match session.copy_in(plan.clone()).await {
        Ok(copy) => copy,
        Err(error) => return Ok(Err(error)),
    };
    response(out, b'G', &plan);
    flush(socket, out).await?;
    loop {
        let frame = match input.frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                let handle = session.handle().clone();
                match handle.or_interrupt(input.read(socket)).await {
                    Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(read) => drop(read?),
                    Err(error) => return Ok(Err(error)),
                }
                continue;
            }
            Err(error) => return Ok(Err(error)),
        };
        match frame.kind {
            b'd' => {
                if let Err(error) = session.copy_push(&mut copy, input.body(&frame)).await {
                    return Ok(Err(error));
                }
            }
            b'c' => return Ok(session.copy_finish(copy).await),
            b'f' => {
                let words = decode::text(input.body(&frame));
                return Ok(Err(words.map_or_else(|error| error, |words| copy.failed(words))));
            }
            // A client may have sent these before it knew that a COPY begins.
            b'H' | b'S' => {}
            b'X' => return Err(io::ErrorKind::UnexpectedEof.into()),
            other => {
                return Ok(Err(SqlError::new(
                    SqlState::PROTOCOL_VIOLATION,
                    format!("unexpected message type 0x{other:02X} during COPY from stdin"),
                )));
            }
        }
    }
}

async fn copy_out(
    session: &mut Session,
    socket: &mut Socket,
    out: &mut Vec<u8>,
    plan: Arc<CopyPlan>,
) -> io::Result<Result<u64, SqlError>> {
    response(out, b'H', &plan);
    let mut copy = CopyOut::new(plan);
    let mut rows = CopyRows::default();
    loop {
        let step = match session.copy_next(&mut copy, &mut rows).await {
            Ok(step) => step,
            Err(error) => return Ok(Err(error)),
        };
        for row in rows.messages() {
            message(out, b'd', |out| out.extend_from_slice(row));
        }
        rows.clear();
        if out.len() >= FLUSH_BYTES {
            flush(socket, out).await?;
        }
        if let CopyStep::Done(count) = step {
            out.extend_from_slice(b"c\0\0\0\x04");
            return Ok(Ok(count));
        }
    }
}
