//! What the catalog stores of each object, as JSON in the value of its row. Fields are only added,
//! with a default; a field never changes its meaning.

use crate::Oid;
use crate::types::TypeRef;
use serde::{Deserialize, Serialize};

/// One object of the catalog.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Descriptor {
    Database(DatabaseDescriptor),
    Role(RoleDescriptor),
    Schema(SchemaDescriptor),
    Table(TableDescriptor),
    Index(IndexDescriptor),
    Sequence(SequenceDescriptor),
    View(ViewDescriptor),
    Type(TypeDescriptor),
}

impl Descriptor {
    pub fn oid(&self) -> Oid {
        match self {
            Descriptor::Database(d) => d.oid,
            Descriptor::Role(d) => d.oid,
            Descriptor::Schema(d) => d.oid,
            Descriptor::Table(d) => d.oid,
            Descriptor::Index(d) => d.oid,
            Descriptor::Sequence(d) => d.oid,
            Descriptor::View(d) => d.oid,
            Descriptor::Type(d) => d.oid,
        }
    }

    /// The database it belongs to; `Oid::NONE` for what all databases share.
    pub fn database(&self) -> Oid {
        match self {
            Descriptor::Database(_) | Descriptor::Role(_) => Oid::NONE,
            Descriptor::Schema(d) => d.database,
            Descriptor::Table(d) => d.database,
            Descriptor::Index(d) => d.database,
            Descriptor::Sequence(d) => d.database,
            Descriptor::View(d) => d.database,
            Descriptor::Type(d) => d.database,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Descriptor::Database(d) => &d.name,
            Descriptor::Role(d) => &d.name,
            Descriptor::Schema(d) => &d.name,
            Descriptor::Table(d) => &d.name,
            Descriptor::Index(d) => &d.name,
            Descriptor::Sequence(d) => &d.name,
            Descriptor::View(d) => &d.name,
            Descriptor::Type(d) => &d.name,
        }
    }
}

/// A privilege list: grantee (`Oid::NONE` is PUBLIC), grantor, PostgreSQL's privilege letters, and
/// the letters that carry the grant option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclItem {
    pub grantee: Oid,
    pub grantor: Oid,
    pub privileges: String,
    #[serde(default)]
    pub grant_options: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatabaseDescriptor {
    pub oid: Oid,
    pub name: String,
    pub owner: Oid,
    #[serde(default)]
    pub acl: Option<Vec<AclItem>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoleDescriptor {
    pub oid: Oid,
    pub name: String,
    pub superuser: bool,
    pub login: bool,
    #[serde(default)]
    pub create_db: bool,
    #[serde(default)]
    pub create_role: bool,
    #[serde(default)]
    pub inherit: bool,
    /// SCRAM-SHA-256 verifier as in `pg_authid.rolpassword`; never the password.
    #[serde(default)]
    pub verifier: Option<String>,
    /// -1: no limit.
    #[serde(default)]
    pub connection_limit: i32,
    /// Roles this one is a member of.
    #[serde(default)]
    pub member_of: Vec<Oid>,
    /// `ALTER ROLE … SET name = value`.
    #[serde(default)]
    pub settings: Vec<(String, String)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SchemaDescriptor {
    pub oid: Oid,
    pub database: Oid,
    pub name: String,
    pub owner: Oid,
    #[serde(default)]
    pub acl: Option<Vec<AclItem>>,
}

/// A column; `number` (attnum, from 1) is its identity for ever.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Column {
    pub number: i16,
    pub name: String,
    pub ty: TypeRef,
    pub not_null: bool,
    /// SQL text of the default expression, bound when used.
    #[serde(default)]
    pub default: Option<String>,
    #[serde(default)]
    pub identity: Option<Identity>,
    /// `GENERATED ALWAYS AS (…) STORED`: the expression's SQL text.
    #[serde(default)]
    pub generated: Option<String>,
    /// The value that rows written before the column existed show, in text form.
    #[serde(default)]
    pub missing: Option<String>,
    #[serde(default)]
    pub dropped: bool,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Identity {
    Always,
    ByDefault,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckConstraint {
    pub oid: Oid,
    pub name: String,
    /// SQL text of the expression.
    pub expr: String,
    #[serde(default)]
    pub not_valid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForeignKey {
    pub oid: Oid,
    pub name: String,
    /// Column numbers of this table.
    pub columns: Vec<i16>,
    pub referenced_table: Oid,
    /// The unique index of the referenced table that it relies on.
    pub referenced_index: Oid,
    pub referenced_columns: Vec<i16>,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
    #[serde(default)]
    pub match_full: bool,
    #[serde(default)]
    pub not_valid: bool,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
}

/// An immutable row layout: which columns a row of that layout stores, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLayout {
    pub id: u16,
    /// Column numbers stored in the row value. Primary-key columns whose key form gives the value
    /// back are not repeated.
    pub columns: Vec<i16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Persistence {
    Permanent,
    Unlogged,
    Temporary,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableDescriptor {
    pub oid: Oid,
    pub database: Oid,
    pub name: String,
    pub schema: Oid,
    pub owner: Oid,
    /// Identity of the stored data (PostgreSQL's relfilenode): TRUNCATE takes a new one.
    pub storage_id: u64,
    pub persistence: Persistence,
    /// All columns ever, by number; dropped ones stay as holes.
    pub columns: Vec<Column>,
    /// Primary index, `Oid::NONE` when the table has none and rows are keyed by a hidden row id.
    pub primary_key: Oid,
    /// Column numbers that form the row's key, empty: hidden row id.
    pub key_columns: Vec<i16>,
    /// Newest last.
    pub layouts: Vec<RowLayout>,
    pub next_index_number: u32,
    #[serde(default)]
    pub checks: Vec<CheckConstraint>,
    #[serde(default)]
    pub foreign_keys: Vec<ForeignKey>,
    #[serde(default)]
    pub acl: Option<Vec<AclItem>>,
    #[serde(default)]
    pub options: Vec<(String, String)>,
    #[serde(default)]
    pub comment: Option<String>,
}

impl TableDescriptor {
    /// Live columns in order.
    pub fn live_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| !c.dropped)
    }

    pub fn column(&self, number: i16) -> Option<&Column> {
        usize::try_from(number).ok()?.checked_sub(1).and_then(|i| self.columns.get(i))
    }

    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.live_columns().find(|c| c.name == name)
    }
}

/// One column of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexColumn {
    /// Column number; 0: `expr`.
    pub column: i16,
    #[serde(default)]
    pub expr: Option<String>,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexState {
    /// Takes writes, answers no reads: being built.
    WriteOnly,
    Public,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexDescriptor {
    pub oid: Oid,
    pub database: Oid,
    pub name: String,
    pub schema: Oid,
    pub table: Oid,
    /// Number within the table's storage; 0 is the primary index (the rows themselves).
    pub number: u32,
    pub columns: Vec<IndexColumn>,
    /// INCLUDE columns.
    #[serde(default)]
    pub include: Vec<i16>,
    pub unique: bool,
    pub primary: bool,
    /// OID of the constraint that owns it, `Oid::NONE`: a plain index.
    pub constraint: Oid,
    /// WHERE of a partial index.
    #[serde(default)]
    pub predicate: Option<String>,
    pub state: IndexState,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SequenceDescriptor {
    pub oid: Oid,
    pub database: Oid,
    pub name: String,
    pub schema: Oid,
    pub owner: Oid,
    pub ty: Oid,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    /// (table, column number) of `OWNED BY`.
    #[serde(default)]
    pub owned_by: Option<(Oid, i16)>,
    #[serde(default)]
    pub acl: Option<Vec<AclItem>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ViewDescriptor {
    pub oid: Oid,
    pub database: Oid,
    pub name: String,
    pub schema: Oid,
    pub owner: Oid,
    pub columns: Vec<Column>,
    /// SQL text of the query.
    pub query: String,
    #[serde(default)]
    pub acl: Option<Vec<AclItem>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TypeDescriptor {
    pub oid: Oid,
    pub database: Oid,
    pub name: String,
    pub schema: Oid,
    pub owner: Oid,
    pub array_oid: Oid,
    pub definition: TypeDefinition,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TypeDefinition {
    /// Labels in order.
    Enum { labels: Vec<String> },
}
