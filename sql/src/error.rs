//! The error a client sees: PostgreSQL's fields, kept small so that results stay cheap to pass.

use crate::sqlstate::SqlState;
use std::fmt;

pub type Result<T, E = SqlError> = std::result::Result<T, E>;

/// One error (or notice) with PostgreSQL's fields. Built with `SqlError::new` and the `with_…`
/// methods; `Display` is the message alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlError(Box<Fields>);

/// The fields of an ErrorResponse (PostgreSQL 15, "Error and Notice Message Fields").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    pub code: SqlState,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Byte offset (from 0) of the token at fault in the statement's text; the wire sends a
    /// character position from 1.
    pub at: Option<usize>,
    pub context: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub data_type: Option<String>,
    pub constraint: Option<String>,
}

impl SqlError {
    pub fn new(code: SqlState, message: impl Into<String>) -> SqlError {
        SqlError(Box::new(Fields {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            at: None,
            context: None,
            schema: None,
            table: None,
            column: None,
            data_type: None,
            constraint: None,
        }))
    }

    /// A feature that is not built yet: 0A000, with the hint every such error carries.
    pub fn not_built(what: impl fmt::Display) -> SqlError {
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported yet"))
            .with_hint("See docs/limits.md for what PhantomDB does not support yet.")
    }

    /// A broken invariant inside the server.
    pub fn internal(message: impl Into<String>) -> SqlError {
        SqlError::new(SqlState::INTERNAL_ERROR, message)
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> SqlError {
        self.0.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> SqlError {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets the byte offset of the token at fault, unless one is already known.
    pub fn at(mut self, offset: usize) -> SqlError {
        self.0.at.get_or_insert(offset);
        self
    }

    pub fn with_context(mut self, context: impl Into<String>) -> SqlError {
        self.0.context = Some(context.into());
        self
    }

    pub fn with_table(mut self, schema: impl Into<String>, table: impl Into<String>) -> SqlError {
        self.0.schema = Some(schema.into());
        self.0.table = Some(table.into());
        self
    }

    pub fn with_column(mut self, column: impl Into<String>) -> SqlError {
        self.0.column = Some(column.into());
        self
    }

    pub fn with_constraint(mut self, constraint: impl Into<String>) -> SqlError {
        self.0.constraint = Some(constraint.into());
        self
    }

    pub fn with_data_type(mut self, data_type: impl Into<String>) -> SqlError {
        self.0.data_type = Some(data_type.into());
        self
    }

    pub fn code(&self) -> SqlState {
        self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn fields(&self) -> &Fields {
        &self.0
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for SqlError {}

impl From<storage::Error> for SqlError {
    fn from(error: storage::Error) -> SqlError {
        let code = match &error {
            storage::Error::DiskFull { .. } => SqlState::DISK_FULL,
            storage::Error::Corruption { .. } | storage::Error::Malformed { .. } => SqlState::DATA_CORRUPTED,
            _ => SqlState::SYSTEM_ERROR,
        };
        SqlError::new(code, error.to_string())
    }
}
