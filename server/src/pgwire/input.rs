//! Bytes from the socket to whole messages.
//!
//! A message is a type byte (not in startup packets), a length that counts itself, and a body.

use sql::{SqlError, SqlState};
use std::io;
use std::ops::Range;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest message body, as PostgreSQL bounds it (1 GiB).
const MAX_MESSAGE: usize = 0x3fff_ffff;
/// The largest message before authentication, as in PostgreSQL.
const MAX_STARTUP: usize = 10_000;
/// Messages without user data stay small; PostgreSQL has the same two classes.
const MAX_SMALL_MESSAGE: usize = 10_000;
/// Room that is read into at once.
const READ_ROOM: usize = 16 * 1024;
/// A buffer that grew beyond this is given back once it is empty.
const KEEP_ROOM: usize = 1024 * 1024;

/// A message in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub kind: u8,
    pub body: Range<usize>,
}

/// What has been read and not yet handled.
#[derive(Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
}

fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

impl Input {
    pub(super) fn body(&self, frame: &Frame) -> &[u8] {
        &self.bytes[frame.body.clone()]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// Drops what was read: bytes before TLS must not count after it.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// The next whole message, or `None` until more has been read. The announced length is checked
    /// before anything is allocated for it.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>, SqlError> {
        let rest = &self.bytes[self.start..];
        let [kind, a, b, c, d, ..] = *rest else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let limit = match kind {
            b'Q' | b'P' | b'B' | b'd' | b'F' => MAX_MESSAGE,
            b'E' | b'D' | b'C' | b'S' | b'H' | b'X' | b'c' | b'f' | b'p' => MAX_SMALL_MESSAGE,
            other => return Err(violation(format!("invalid frontend message type {other}"))),
        };
        if length < 4 || length - 4 > limit {
            return Err(violation("invalid message length"));
        }
        if rest.len() < 1 + length {
            self.reserve(1 + length);
            return Ok(None);
        }
        let body = self.start + 5..self.start + 1 + length;
        self.start = body.end;
        Ok(Some(Frame { kind, body }))
    }

    /// The next packet without a type byte: startup, SSLRequest, CancelRequest.
    pub(super) fn startup(&mut self) -> Result<Option<Range<usize>>, SqlError> {
        let rest = &self.bytes[self.start..];
        let [a, b, c, d, ..] = *rest else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(8..=MAX_STARTUP).contains(&length) {
            return Err(violation("invalid length of startup packet"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let body = self.start + 4..self.start + length;
        self.start = body.end;
        Ok(Some(body))
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    fn reserve(&mut self, message: usize) {
        self.compact();
        // Room grows with what really arrives: a length alone must not make the server allocate it.
        let known = self.bytes.len();
        let wanted = message.saturating_sub(known).min(known.max(READ_ROOM));
        self.bytes.reserve(wanted);
    }

    fn compact(&mut self) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
            if self.bytes.capacity() > KEEP_ROOM {
                self.bytes = Vec::new();
            }
        } else if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Reads more; 0 means the client closed the connection. Safe to drop while it waits.
    pub(super) async fn read(&mut self, socket: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.compact();
        if self.bytes.capacity() - self.bytes.len() < READ_ROOM / 4 {
            self.bytes.reserve(READ_ROOM);
        }
        socket.read_buf(&mut self.bytes).await
    }

    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Input {
        Input { bytes: bytes.to_vec(), start: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_and_in_order() {
        let mut input = Input::of(b"Q\0\0\0\x06a\0S\0\0\0\x04H\0\0");
        let query = input.frame().unwrap().unwrap();
        assert_eq!((query.kind, input.body(&query)), (b'Q', &b"a\0"[..]));
        let sync = input.frame().unwrap().unwrap();
        assert_eq!((sync.kind, input.body(&sync).len()), (b'S', 0));
        assert_eq!(input.frame().unwrap(), None, "half a message waits for the rest");
    }

    #[test]
    fn bad_lengths_and_types_are_refused_before_any_allocation() {
        for bytes in
            [&b"Q\0\0\0\x03"[..], b"Q\x7f\xff\xff\xff", b"S\0\x01\0\0", b"z\0\0\0\x04", b"B\xff\xff\xff\xff"]
        {
            let mut input = Input::of(bytes);
            let before = input.bytes.capacity();
            let error = input.frame().unwrap_err();
            assert_eq!(error.code(), SqlState::PROTOCOL_VIOLATION);
            assert_eq!(input.bytes.capacity(), before);
        }
        let mut large = Input::of(b"Q\x3f\xff\xff\xff");
        assert_eq!(large.frame().unwrap(), None);
        assert!(large.bytes.capacity() < 64 * 1024, "an announced gigabyte is not allocated");
        assert!(Input::of(b"\0\0\0\x04").startup().is_err());
        assert!(Input::of(b"\0\x0f\xff\xff").startup().is_err());
    }
}
