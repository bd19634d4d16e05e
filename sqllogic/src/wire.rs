//! A small blocking frontend of PostgreSQL's protocol 3.0, for tests only.
//!
//! It shows what drivers hide: raw messages, type OIDs, command tags and all fields of an error. It knows trust and
//! clear-text password authentication and no TLS; the drivers under `clients/` cover SCRAM and TLS.
//!
//! [`target`] parses connection strings, [`message`] frames and decodes messages, [`frontend`] builds what is sent.

pub mod frontend;
pub mod message;
pub mod target;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub use message::{Column, DbError, Message};
pub use target::Target;

/// The largest message accepted from a server: 1 GiB, PostgreSQL's own limit.
const MAX_MESSAGE: usize = 1 << 30;

/// What can go wrong while talking to a server.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The socket failed or was closed; the outcome of a running statement is unknown.
    #[error("connection: {0}")]
    Io(#[from] io::Error),
    /// The server answered with an ErrorResponse.
    #[error("{0}")]
    Db(Box<DbError>),
    /// The server sent something that the protocol does not allow here.
    #[error("protocol: {0}")]
    Protocol(String),
}

impl WireError {
    /// The SQLSTATE, if the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            WireError::Db(error) => Some(error.field(b'C')),
            _ => None,
        }
    }
}

/// The answer to one statement.
#[derive(Debug, Default, Clone)]
pub struct Answer {
    /// Columns, if the statement returns rows.
    pub columns: Option<Vec<Column>>,
    /// Values in text form.
    pub rows: Vec<Vec<Option<String>>>,
    /// The command tag; empty for an empty query.
    pub tag: String,
}

impl Answer {
    /// The value of the first column of the first row.
    pub fn single(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// Process id and secret of BackendKeyData, for cancelling.
    pub cancel_key: Option<(i32, i32)>,
    /// Settings the server reported while connecting, in its order.
    pub parameters: Vec<(String, String)>,
}

impl Wire {
    /// Connects, authenticates and waits for the first ReadyForQuery. `timeout` bounds every later read as well.
    pub fn connect(target: &Target, timeout: Duration) -> Result<Wire, WireError> {
        let mut wire = Wire::open(target, timeout)?;
        wire.send(&frontend::startup(&target.user, &target.database))?;
        loop {
            let message = wire.receive()?;
            match message.tag {
                b'R' => wire.authenticate(&message, target)?,
                b'S' => wire.parameters.push(message.parameter_status()?),
                b'K' => wire.cancel_key = Some(message.backend_key()?),
                b'E' => return Err(WireError::Db(Box::new(message.error()?))),
                b'Z' => return Ok(wire),
                b'N' => {}
                other => return Err(unexpected(other, "while connecting")),
            }
        }
    }

    /// Opens the socket and sends nothing.
    pub fn open(target: &Target, timeout: Duration) -> Result<Wire, WireError> {
        let stream = TcpStream::connect((target.host.as_str(), target.port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Wire { stream, inbox: Vec::new(), cancel_key: None, parameters: Vec::new() })
    }

    fn authenticate(&mut self, message: &Message, target: &Target) -> Result<(), WireError> {
        match message.i32_at(0)? {
            0 => Ok(()),
            3 => {
                let password = target.password.as_deref().unwrap_or("");
                self.send(&frontend::password(password)).map_err(WireError::from)
            }
            kind => Err(WireError::Protocol(format!(
                "the server asks for authentication method {kind}; this test client knows trust and clear text"
            ))),
        }
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Changes the time that a read may take.
    pub fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))
    }

    /// Reads one message. A read that times out loses nothing: the next call goes on where it stopped.
    pub fn receive(&mut self) -> Result<Message, WireError> {
        loop {
            if let Some(message) = self.take_message()? {
                return Ok(message);
            }
            let mut chunk = [0u8; 16 * 1024];
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.inbox.extend_from_slice(&chunk[..read]);
        }
    }

    fn take_message(&mut self) -> Result<Option<Message>, WireError> {
        let Some(head) = self.inbox.first_chunk::<5>() else { return Ok(None) };
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if !(4..=MAX_MESSAGE).contains(&length) {
            return Err(WireError::Protocol(format!("message {:?} of length {length}", char::from(head[0]))));
        }
        if self.inbox.len() < length + 1 {
            return Ok(None);
        }
        let rest = self.inbox.split_off(length + 1);
        let whole = std::mem::replace(&mut self.inbox, rest);
        Ok(Some(Message { tag: whole[0], body: whole[5..].to_vec() }))
    }

    /// Runs a Query message and returns the answer of every statement in it, or the first error.
    pub fn simple(&mut self, sql: &str) -> Result<Vec<Answer>, WireError> {
        self.send(&frontend::query(sql))?;
        self.answers()
    }

    /// Runs one statement through Parse, Bind, Describe, Execute and Sync, values as text both ways.
    pub fn extended(&mut self, sql: &str, values: &[Option<&str>]) -> Result<Answer, WireError> {
        let mut out = frontend::parse("", sql, &[]);
        out.extend(frontend::bind("", "", &[], values, &[]));
        out.extend(frontend::describe(b'P', ""));
        out.extend(frontend::execute("", 0));
        out.extend(frontend::sync());
        self.send(&out)?;
        Ok(self.answers()?.pop().unwrap_or_default())
    }

    /// Reads up to ReadyForQuery. After an error it still reads to there, so that the connection stays usable.
    pub fn answers(&mut self) -> Result<Vec<Answer>, WireError> {
        let mut done = Vec::new();
        let mut current = Answer::default();
        let mut error = None;
        loop {
            let message = self.receive()?;
            match message.tag {
                b'T' => current.columns = Some(message.columns()?),
                b'D' => current.rows.push(message.text_row()?),
                b'C' => {
                    current.tag = message.command_tag()?;
                    done.push(std::mem::take(&mut current));
                }
                b'I' => done.push(std::mem::take(&mut current)),
                b'E' if error.is_none() => error = Some(message.error()?),
                // COPY is not for this path: refuse its data so that the statement ends with an error.
                b'G' => self.send(&frontend::copy_fail("not supported by this client"))?,
                b'Z' => break,
                _ => {}
            }
        }
        match error {
            Some(error) => Err(WireError::Db(Box::new(error))),
            None => Ok(done),
        }
    }
}

fn unexpected(tag: u8, place: &str) -> WireError {
    WireError::Protocol(format!("unexpected message {:?} {place}", char::from(tag)))
}
