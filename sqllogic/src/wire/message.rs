//! Messages from the server. Each read checks its bounds: the bytes come from outside.

use std::fmt;

use super::WireError;

/// One message: its type byte and its body without the length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Type byte.
    pub tag: u8,
    /// Everything after the length.
    pub body: Vec<u8>,
}

/// One column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name as the client sees it.
    pub name: String,
    /// Table OID and column number, zero if it is not a table's column.
    pub origin: (u32, i16),
    /// Type OID.
    pub type_oid: u32,
    /// Length of the type in bytes, negative if variable.
    pub type_len: i16,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// An ErrorResponse or NoticeResponse: its fields in the server's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbError {
    /// Field code and value.
    pub fields: Vec<(u8, String)>,
}

impl DbError {
    /// A field by its code (`C` SQLSTATE, `M` message, ...); empty if it was not sent.
    pub fn field(&self, code: u8) -> &str {
        self.fields.iter().find(|(found, _)| *found == code).map_or("", |(_, value)| value)
    }
}

/// SQLSTATE on the first line, the message on the second, a detail on the third: the form of the suites.
impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.field(b'C'), self.field(b'M'))?;
        if !self.field(b'D').is_empty() {
            write!(f, "\nDETAIL: {}", self.field(b'D'))?;
        }
        Ok(())
    }
}

impl std::error::Error for DbError {}

impl Message {
    /// A big-endian i32 at `at`.
    pub fn i32_at(&self, at: usize) -> Result<i32, WireError> {
        Cursor { bytes: &self.body, at }.i32()
    }

    /// BackendKeyData: process id and secret.
    pub fn backend_key(&self) -> Result<(i32, i32), WireError> {
        Ok((self.i32_at(0)?, self.i32_at(4)?))
    }

    /// ParameterStatus: name and value.
    pub fn parameter_status(&self) -> Result<(String, String), WireError> {
        let mut cursor = Cursor::new(&self.body);
        Ok((cursor.string()?, cursor.string()?))
    }

    /// CommandComplete's tag.
    pub fn command_tag(&self) -> Result<String, WireError> {
        Cursor::new(&self.body).string()
    }

    /// RowDescription's columns.
    pub fn columns(&self) -> Result<Vec<Column>, WireError> {
        let mut cursor = Cursor::new(&self.body);
        let count = cursor.i16()?;
        (0..count)
            .map(|_| {
                Ok(Column {
                    name: cursor.string()?,
                    origin: (cursor.i32()? as u32, cursor.i16()?),
                    type_oid: cursor.i32()? as u32,
                    type_len: cursor.i16()?,
                    typmod: cursor.i32()?,
                    format: cursor.i16()?,
                })
            })
            .collect()
    }

    /// DataRow's values as bytes.
    pub fn row(&self) -> Result<Vec<Option<Vec<u8>>>, WireError> {
        let mut cursor = Cursor::new(&self.body);
        let count = cursor.i16()?;
        (0..count)
            .map(|_| match cursor.i32()? {
                -1 => Ok(None),
                length => Ok(Some(cursor.take(length as u32 as usize)?.to_vec())),
            })
            .collect()
    }

    /// DataRow's values as text.
    pub fn text_row(&self) -> Result<Vec<Option<String>>, WireError> {
        let text = |bytes| String::from_utf8(bytes).map_err(|_| malformed("a value that is not UTF-8"));
        self.row()?.into_iter().map(|value| value.map(text).transpose()).collect()
    }

    /// ErrorResponse or NoticeResponse.
    pub fn error(&self) -> Result<DbError, WireError> {
        let mut cursor = Cursor::new(&self.body);
        let mut fields = Vec::new();
        loop {
            match cursor.take(1)?[0] {
                0 => return Ok(DbError { fields }),
                code => fields.push((code, cursor.string()?)),
            }
        }
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.checked_add(length).ok_or_else(|| malformed("a length beyond memory"))?;
        let slice = self.bytes.get(self.at..end).ok_or_else(|| malformed("a message that ends early"))?;
        self.at = end;
        Ok(slice)
    }

    fn i16(&mut self) -> Result<i16, WireError> {
        let bytes = self.take(2)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn i32(&mut self) -> Result<i32, WireError> {
        let bytes = self.take(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn string(&mut self) -> Result<String, WireError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(|| malformed("a string without end"))?;
        self.at += end + 1;
        String::from_utf8(rest[..end].to_vec()).map_err(|_| malformed("a string that is not UTF-8"))
    }
}

fn malformed(what: &str) -> WireError {
    WireError::Protocol(format!("the server sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_fields_in_order() {
        let message = Message { tag: b'E', body: b"SERROR\0C42P01\0Mno table\0Dwhy\0\0".to_vec() };
        let error = message.error().expect("well-formed");
        assert_eq!(error.field(b'C'), "42P01");
        assert_eq!(error.to_string(), "42P01\nno table\nDETAIL: why");
    }

    #[test]
    fn a_cut_message_is_an_error() {
        let cut = Message { tag: b'E', body: b"SERROR\0C42P".to_vec() };
        assert!(matches!(cut.error(), Err(WireError::Protocol(_))));
        let lying = Message { tag: b'D', body: vec![0, 1, 0x7f, 0xff, 0xff, 0xff] };
        assert!(matches!(lying.row(), Err(WireError::Protocol(_))));
    }
}
