//! Text to syntax: the `sqlparser` crate under our own dialect, and the statements it does not know.
//!
//! - `lexer`: PostgreSQL's lexical rules; names arrive folded, spans are byte offsets.
//! - `split`: cuts a query string into statements and sends each to its reader.
//! - `dialect`: precedence, reserved words and expression forms for the crate.
//! - `session`, `explain`, `copy`: the statements read by hand, over a `cursor`.
//!
//! A `Statement` is classified once, here: what the binder binds, what changes the catalog, what the
//! session answers itself, COPY. Session statements and COPY are parsed into the small enums below.

mod copy;
mod cursor;
mod dialect;
mod errors;
mod explain;
pub mod fingerprint;
pub mod keywords;
pub mod lexer;
mod session;
mod split;

pub use errors::too_deep;
pub use split::{expression, parse, with_deep_stack};
use split::{statement, with_parser};
use std::sync::Arc;

/// One statement of a query string.
#[derive(Clone, Debug)]
pub struct Statement {
    pub body: Body,
    /// The whole query string that it came in: error positions are offsets into it.
    pub text: Arc<str>,
    /// Where the statement stands in `text`, without the semicolon.
    pub range: std::ops::Range<usize>,
    /// Deepest nesting of parentheses and the like: how much stack its trees need.
    pub nesting: usize,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE (with WITH): goes to the binder.
    Bindable(Box<sqlparser::ast::Statement>),
    /// CREATE, ALTER, DROP, TRUNCATE, COMMENT, GRANT, REVOKE, …
    Ddl(Box<sqlparser::ast::Statement>),
    Explain(Box<Explain>),
    Session(Box<SessionStatement>),
    Copy(Box<Copy>),
}

#[derive(Clone, Debug)]
pub struct Explain {
    pub analyze: bool,
    pub verbose: bool,
    pub costs: bool,
    pub timing: bool,
    pub format: ExplainFormat,
    pub statement: Statement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainFormat {
    Text,
    Json,
}

/// Statements that the session answers itself.
#[derive(Clone, Debug)]
pub enum SessionStatement {
    Begin {
        modes: TransactionModes,
        start: bool,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    SetTransaction {
        modes: TransactionModes,
        session: bool,
    },
    /// `SET TRANSACTION SNAPSHOT`, `PREPARE TRANSACTION`, … : known, answered 0A000 with this name.
    NotBuilt(&'static str),
    SetConstraints {
        names: Option<Vec<String>>,
        deferred: bool,
    },
    /// `values` is `None` for DEFAULT.
    Set {
        scope: SetScope,
        name: String,
        values: Option<Vec<String>>,
    },
    Reset {
        name: Option<String>,
    },
    Show {
        name: Option<String>,
    },
    Prepare {
        name: String,
        types: Vec<sqlparser::ast::DataType>,
        statement: Box<Statement>,
    },
    Execute {
        name: String,
        args: Vec<sqlparser::ast::Expr>,
    },
    Deallocate {
        name: Option<String>,
    },
    Declare {
        name: String,
        binary: bool,
        scroll: Option<bool>,
        hold: bool,
        statement: Box<Statement>,
    },
    Fetch {
        name: String,
        direction: FetchDirection,
        move_only: bool,
    },
    Close {
        name: Option<String>,
    },
    Discard(Discard),
    Listen(String),
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: String,
    },
    /// LOCK TABLE, CHECKPOINT, VACUUM, ANALYZE, …: accepted where they can do what they say.
    Checkpoint,
    Vacuum {
        analyze: bool,
        tables: Vec<Vec<String>>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionModes {
    pub isolation: Option<Isolation>,
    pub read_only: Option<bool>,
    pub deferrable: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetScope {
    Session,
    Local,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

/// How far FETCH and MOVE go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDirection {
    /// NEXT is `Forward(Some(1))`, FORWARD ALL `Forward(None)`.
    Forward(Option<i64>),
    Backward(Option<i64>),
    Absolute(i64),
    Relative(i64),
}

/// COPY, both ways.
#[derive(Clone, Debug)]
pub struct Copy {
    pub target: CopyTarget,
    pub from: bool,
    pub endpoint: CopyEndpoint,
    pub options: CopyOptions,
    /// COPY … FROM … WHERE.
    pub filter: Option<sqlparser::ast::Expr>,
}

#[derive(Clone, Debug)]
pub enum CopyTarget {
    Table { name: Vec<String>, at: usize, columns: Vec<String> },
    Query(Box<Statement>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyEndpoint {
    Client,
    File(String),
    Program(String),
}

/// Options as written; the defaults depend on the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    pub format: CopyFormat,
    pub freeze: bool,
    pub delimiter: Option<String>,
    pub null: Option<String>,
    pub header: CopyHeader,
    pub quote: Option<String>,
    pub escape: Option<String>,
    /// `None`: not given; empty: `*`.
    pub force_quote: Option<Vec<String>>,
    pub force_not_null: Vec<String>,
    pub force_null: Vec<String>,
    pub encoding: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyFormat {
    #[default]
    Text,
    Csv,
    Binary,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    #[default]
    No,
    Yes,
    Match,
}
