//! Who is there: trust or SCRAM-SHA-256, against the role's stored verifier.

use super::encode::{self, Severity};
use super::input::Input;
use super::listener::Shared;
use super::scram::{Binding, Exchange, Failure, Verifier};
use super::startup::{Socket, Startup};
use crate::config::Authentication;
use sql::session::run::{self, Login};
use sql::{SqlError, SqlState};
use std::io;
use tokio::io::AsyncWriteExt;

const PLAIN: &str = "SCRAM-SHA-256";
const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The role and database of an authenticated client, or why not.
pub(super) async fn authenticate(
    socket: &mut Socket,
    input: &mut Input,
    out: &mut Vec<u8>,
    shared: &Shared,
    startup: &Startup,
) -> io::Result<Result<Login, SqlError>> {
    let login = match run::login(&shared.node, &startup.database, &startup.user) {
        Ok(login) => login,
        Err(error) => return Ok(Err(error)),
    };
    if shared.authentication == Authentication::Password
        && let Err(error) = scram(socket, input, out, shared, startup, login.verifier()).await?
    {
        return Ok(Err(error));
    }
    Ok(login.checked(&startup.database, &startup.user))
}

fn refused(user: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}

fn malformed(message: &str) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// The exchange of RFC 5802 in the messages of the wire protocol.
async fn scram(
    socket: &mut Socket,
    input: &mut Input,
    out: &mut Vec<u8>,
    shared: &Shared,
    startup: &Startup,
    verifier: Option<&str>,
) -> io::Result<Result<(), SqlError>> {
    let binding = match (&*socket, &shared.certificate_hash) {
        (Socket::Tls(_), Some(hash)) => Binding::Certificate(hash.clone()),
        _ => Binding::None,
    };
    let mut mechanisms = Vec::new();
    if binding != Binding::None {
        mechanisms.extend_from_slice(PLUS.as_bytes());
        mechanisms.push(0);
    }
    mechanisms.extend_from_slice(PLAIN.as_bytes());
    mechanisms.extend_from_slice(&[0, 0]);
    encode::authentication(out, 10, &mechanisms);
    flush(socket, out).await?;

    let Some(first) = password_message(socket, input).await?? else { return Ok(Err(gone())) };
    let Some((mechanism, client_first)) = sasl_initial(&first) else {
        return Ok(Err(malformed("invalid SASL message")));
    };
    let plus = mechanism == PLUS;
    if !plus && mechanism != PLAIN {
        return Ok(Err(malformed("client selected an invalid SASL authentication mechanism")));
    }
    let known = verifier.and_then(Verifier::parse);
    let verifier = known.unwrap_or_else(|| Verifier::mock(&shared.mock_secret, &startup.user));
    let exchange = match Exchange::begin(verifier, client_first, plus, &binding) {
        Ok(exchange) => exchange,
        Err(failure) => return Ok(Err(error(failure, &startup.user))),
    };
    encode::authentication(out, 11, exchange.server_first().as_bytes());
    flush(socket, out).await?;

    let Some(last) = password_message(socket, input).await?? else { return Ok(Err(gone())) };
    let Ok(client_final) = std::str::from_utf8(&last) else {
        return Ok(Err(malformed("malformed SCRAM message")));
    };
    Ok(match exchange.finish(client_final) {
        Ok(signature) => {
            encode::authentication(out, 12, signature.as_bytes());
            Ok(())
        }
        Err(failure) => Err(error(failure, &startup.user)),
    })
}

fn error(failure: Failure, user: &str) -> SqlError {
    match failure {
        Failure::Malformed(message) => malformed(message),
        Failure::WrongPassword => refused(user),
    }
}

fn gone() -> SqlError {
    SqlError::new(SqlState::CONNECTION_FAILURE, "connection lost during authentication")
}

fn sasl_initial(body: &[u8]) -> Option<(&str, &str)> {
    let end = body.iter().position(|b| *b == 0)?;
    let mechanism = std::str::from_utf8(&body[..end]).ok()?;
    let (length, data) = body[end + 1..].split_at_checked(4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    (length == data.len()).then_some((mechanism, std::str::from_utf8(data).ok()?))
}

/// The next message, which must be of the password family; `None`: the client left.
async fn password_message(socket: &mut Socket, input: &mut Input) -> io::Result<io::Result<Option<Vec<u8>>>> {
    loop {
        match input.frame() {
            Ok(Some(frame)) if frame.kind == b'p' => return Ok(Ok(Some(input.body(&frame).to_vec()))),
            Ok(Some(_)) | Err(_) => {
                return Ok(Err(io::Error::new(io::ErrorKind::InvalidData, "expected a password message")));
            }
            Ok(None) => {}
        }
        if input.read(socket).await? == 0 {
            return Ok(Ok(None));
        }
    }
}

/// Tells the client why it may not stay.
pub(super) async fn refuse(socket: &mut Socket, out: &mut Vec<u8>, error: &SqlError) -> io::Result<()> {
    encode::error(out, Severity::Fatal, error, None);
    flush(socket, out).await
}

pub(super) async fn flush(socket: &mut Socket, out: &mut Vec<u8>) -> io::Result<()> {
    socket.write_all(out).await?;
    out.clear();
    socket.flush().await
}
