//! Checked reading of one message's body. Every count is checked against the bytes that are there
//! before anything is allocated; anything left over or missing is 08P01.

use sql::session::Formats;
use sql::session::portals::Format;
use sql::{Oid, SqlError, SqlState};

type Result<T> = std::result::Result<T, SqlError>;

/// What is left of a message's body.
pub(super) struct Reader<'a>(&'a [u8]);

fn insufficient() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Reader<'a> {
        Reader(body)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(insufficient)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        let bytes = self.bytes(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A zero-terminated string, which must be UTF-8.
    pub(super) fn string(&mut self) -> Result<&'a str> {
        let end = self
            .0
            .iter()
            .position(|b| *b == 0)
            .ok_or_else(|| SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid string in message"))?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        utf8(text)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The body must be used up.
    pub(super) fn end(self) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "invalid message format"))
    }

    /// A count of items that take at least `size` bytes each.
    fn count(&mut self, size: usize) -> Result<usize> {
        let count = usize::from(self.u16()?);
        if self.0.len() < count * size {
            return Err(insufficient());
        }
        Ok(count)
    }

    fn formats(&mut self) -> Result<Formats> {
        let count = self.count(2)?;
        let mut formats = Formats::default();
        for _ in 0..count {
            formats.0.push(match self.u16()? {
                0 => Format::Text,
                1 => Format::Binary,
                other => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("unsupported format code: {other}"),
                    ));
                }
            });
        }
        Ok(formats)
    }
}

/// Text from the client; 22021 names the first bytes that are not UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let bad: Vec<String> = bytes[at..].iter().take(4).map(|b| format!("0x{b:02x}")).collect();
        let shown = bad[..error.error_len().unwrap_or(bad.len()).min(bad.len())].join(" ");
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {shown}"),
        )
    })
}

/// Parse.
pub(super) struct Parse<'a> {
    pub name: &'a str,
    pub text: &'a str,
    pub types: Vec<Oid>,
}

pub(super) fn parse(body: &[u8]) -> Result<Parse<'_>> {
    let mut reader = Reader::new(body);
    let (name, text) = (reader.string()?, reader.string()?);
    let count = reader.count(4)?;
    let mut types = Vec::with_capacity(count);
    for _ in 0..count {
        types.push(Oid(reader.i32()? as u32));
    }
    reader.end()?;
    Ok(Parse { name, text, types })
}

/// Bind, up to the parameter values; `values` yields them.
pub(super) struct Bind<'a> {
    pub portal: &'a str,
    pub statement: &'a str,
    pub formats: Formats,
    pub count: usize,
    rest: Reader<'a>,
}

pub(super) fn bind(body: &[u8]) -> Result<Bind<'_>> {
    let mut reader = Reader::new(body);
    let (portal, statement) = (reader.string()?, reader.string()?);
    let formats = reader.formats()?;
    let count = reader.count(4)?;
    if formats.0.len() > 1 && formats.0.len() != count {
        return Err(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            format!("bind message has {} parameter formats but {count} parameters", formats.0.len()),
        ));
    }
    Ok(Bind { portal, statement, formats, count, rest: reader })
}

impl<'a> Bind<'a> {
    /// The next parameter; `None` is NULL.
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>> {
        match self.rest.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| insufficient())?;
                self.rest.bytes(length).map(Some)
            }
        }
    }

    /// The result formats, once every value has been read.
    pub(super) fn result_formats(mut self) -> Result<Formats> {
        let formats = self.rest.formats()?;
        self.rest.end()?;
        Ok(formats)
    }
}

/// What Describe and Close name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    Statement(&'a str),
    Portal(&'a str),
}

pub(super) fn target<'a>(body: &'a [u8], message: &str) -> Result<Target<'a>> {
    let mut reader = Reader::new(body);
    let kind = reader.u8()?;
    let name = reader.string()?;
    reader.end()?;
    match kind {
        b'S' => Ok(Target::Statement(name)),
        b'P' => Ok(Target::Portal(name)),
        other => Err(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            format!("invalid {message} message subtype {other}"),
        )),
    }
}

/// Execute: the portal and the most rows to return (`None`: all).
pub(super) fn execute(body: &[u8]) -> Result<(&str, Option<u64>)> {
    let mut reader = Reader::new(body);
    let name = reader.string()?;
    let rows = reader.i32()?;
    reader.end()?;
    Ok((name, u64::try_from(rows).ok().filter(|rows| *rows > 0)))
}

/// A message that is one string: Query, CopyFail.
pub(super) fn text(body: &[u8]) -> Result<&str> {
    let mut reader = Reader::new(body);
    let text = reader.string()?;
    reader.end()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(result: Result<T>) -> SqlState {
        result.err().expect("refused").code()
    }

    #[test]
    fn a_bind_yields_its_parts() {
        let mut bind = bind(b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\0").unwrap();
        assert_eq!((bind.portal, bind.statement, bind.count), ("p", "s", 2));
        assert_eq!(bind.formats, Formats::binary());
        assert_eq!(bind.value().unwrap(), Some(&b"ab"[..]));
        assert_eq!(bind.value().unwrap(), None);
        assert_eq!(bind.result_formats().unwrap().of(3), Format::Text);
    }

    #[test]
    fn malformed_messages_are_protocol_violations() {
        let violation = SqlState::PROTOCOL_VIOLATION;
        assert_eq!(code(parse(b"a\0b")), violation, "no terminator");
        assert_eq!(code(parse(b"a\0b\0\xff\xff")), violation, "65535 types announced, none there");
        assert_eq!(code(parse(b"\0\0\0\0x")), violation, "something left over");
        assert_eq!(code(bind(b"\0\0\0\0\xff\xff")), violation);
        assert_eq!(code(bind(b"\0\0\0\x02\0\0\0\0\0\x01\0\0\0\0")), violation, "2 formats, 1 value");
        let mut negative = bind(b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0").unwrap();
        assert_eq!(code(negative.value()), violation);
        let mut long = bind(b"\0\0\0\0\0\x01\x7f\xff\xff\xff\0\0").unwrap();
        assert_eq!(code(long.value()), violation);
        assert_eq!(code(target(b"Xname\0", "DESCRIBE")), violation);
        assert_eq!(code(execute(b"\0\0\0")), violation);
        assert_eq!(code(text(b"")), violation);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let error = text(b"select '\xc3\x28'\0").unwrap_err();
        assert_eq!(error.code(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(error.message(), "invalid byte sequence for encoding \"UTF8\": 0xc3");
    }
}
