//! Names of objects as a session sees them: in and out of the `reg…` types, search path, visibility.

use super::definition::{File, virtual_table, virtual_table_by_oid};
use super::derived;
use crate::catalog::{CatalogSnapshot, Descriptor, TypeDefinition};
use crate::kernels::text::quote_identifier;
use crate::registry::{ProcRow, Registry};
use crate::session::info::SessionInfo;
use crate::types::{self, TypeLookup};
use crate::{Oid, Result, SqlError, SqlState};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// Looks names up and prints them.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    pub catalog: &'a CatalogSnapshot,
    pub session: &'a SessionInfo,
}

/// An index of the built-in catalogs: a relation without rows of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct BuiltinIndex {
    pub(super) oid: Oid,
    pub(super) schema: Oid,
    pub(super) name: &'static str,
    pub(super) shared: bool,
}

pub(super) fn builtin_indexes() -> &'static [BuiltinIndex] {
    static INDEXES: OnceLock<Vec<BuiltinIndex>> = OnceLock::new();
    INDEXES.get_or_init(|| {
        let file = File::open("pg_class");
        let indexes = file.rows().filter(|row| file.text(row, "relkind") == "i");
        indexes
            .map(|row| BuiltinIndex {
                oid: file.oid(&row, "oid"),
                schema: file.oid(&row, "relnamespace"),
                name: file.text(&row, "relname"),
                shared: file.text(&row, "relisshared") == "t",
            })
            .collect()
    })
}

pub(super) fn builtin_index(oid: Oid) -> Option<&'static BuiltinIndex> {
    builtin_indexes().iter().find(|index| index.oid == oid)
}

fn builtin_roles() -> &'static FxHashMap<Oid, &'static str> {
    static ROLES: OnceLock<FxHashMap<Oid, &'static str>> = OnceLock::new();
    ROLES.get_or_init(|| {
        let file = File::open("pg_authid");
        file.rows().map(|row| (file.oid(&row, "oid"), file.text(&row, "rolname"))).collect()
    })
}

/// The schema of a relation's descriptor; `None` for anything else.
pub(super) fn schema_of(descriptor: &Descriptor) -> Option<Oid> {
    match descriptor {
        Descriptor::Table(d) => Some(d.schema),
        Descriptor::Index(d) => Some(d.schema),
        Descriptor::Sequence(d) => Some(d.schema),
        Descriptor::View(d) => Some(d.schema),
        _ => None,
    }
}

impl Names<'_> {
    /// The schemas that unqualified names are looked for in, `pg_catalog` included.
    pub fn path(&self) -> Vec<Oid> {
        let mut path = self.session.search_path.to_vec();
        if !path.contains(&Oid::PG_CATALOG) {
            path.insert(0, Oid::PG_CATALOG);
        }
        path
    }

    pub fn schema(&self, oid: Oid) -> Option<&str> {
        self.catalog.get(oid).map(|d| d.name()).or((oid == Oid(99)).then_some("pg_toast"))
    }

    /// A role's name; built-in roles included.
    pub fn role(&self, oid: Oid) -> Option<&str> {
        self.catalog.role_by_oid(oid).map(|role| role.name.as_str()).or(builtin_roles().get(&oid).copied())
    }

    pub fn role_named(&self, name: &str) -> Option<Oid> {
        let builtin = || builtin_roles().iter().find(|(_, role)| **role == name).map(|(oid, _)| *oid);
        self.catalog.role(name).map(|role| role.oid).or_else(builtin)
    }

    /// Schema and name of a relation: the user's, a virtual table, or an index of one.
    pub fn relation(&self, oid: Oid) -> Option<(Oid, &str)> {
        if let Some(descriptor) = self.catalog.get(oid) {
            return Some((schema_of(descriptor)?, descriptor.name()));
        }
        if let Some(table) = virtual_table_by_oid(oid) {
            return Some((table.schema, table.name));
        }
        builtin_index(oid).map(|index| (index.schema, index.name))
    }

    /// The relation of that name in a schema.
    pub fn relation_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        let own = || self.catalog.relation(schema, name).map(|found| found.oid());
        match self.schema(schema)? {
            builtin @ ("pg_catalog" | "information_schema") => virtual_table(builtin, name)
                .map(|table| table.oid)
                .or_else(|| {
                    builtin_indexes().iter().find(|i| i.schema == schema && i.name == name).map(|i| i.oid)
                })
                .or_else(own),
            _ => own(),
        }
    }

    /// The relation that an unqualified name finds.
    pub fn visible_relation(&self, name: &str) -> Option<Oid> {
        self.path().into_iter().find_map(|schema| self.relation_in(schema, name))
    }

    /// The relation that a possibly qualified name in SQL's spelling means. `None`: there is none;
    /// 42602 for a text that is no name.
    pub fn find_relation(&self, text: &str) -> Result<Option<Oid>> {
        let parts = split(text)?;
        Ok(match &parts[..] {
            [name] => self.visible_relation(name),
            [schema, name] => self.catalog.schema(schema).and_then(|s| self.relation_in(s, name)),
            [database, schema, name] if **database == *self.session.database_name => {
                self.catalog.schema(schema).and_then(|s| self.relation_in(s, name))
            }
            _ => None,
        })
    }

    /// A relation's name, qualified unless the search path finds it.
    pub fn relation_shown(&self, oid: Oid) -> Option<String> {
        let (schema, name) = self.relation(oid)?;
        let quoted = quote_identifier(name);
        if self.visible_relation(name) == Some(oid) {
            return Some(quoted);
        }
        Some(format!("{}.{quoted}", quote_identifier(self.schema(schema)?)))
    }

    /// A relation's name with its schema.
    pub fn relation_qualified(&self, oid: Oid) -> Option<String> {
        let (schema, name) = self.relation(oid)?;
        Some(format!("{}.{}", quote_identifier(self.schema(schema)?), quote_identifier(name)))
    }

    /// Schema and name of a type that is not built in: an enum, a row type, or an array of them.
    pub(super) fn user_type(&self, oid: Oid) -> Option<(Oid, String)> {
        if let Some(relation) = derived::relation_of_row_type(oid) {
            let (schema, name) = self.relation(relation)?;
            return Some((schema, name.to_owned()));
        }
        if let Some(relation) = derived::relation_of_row_array(oid) {
            let (schema, name) = self.relation(relation)?;
            return Some((schema, format!("_{name}")));
        }
        if let Some(Descriptor::Type(ty)) = self.catalog.get(oid).map(|d| &**d) {
            return Some((ty.schema, ty.name.clone()));
        }
        let element = self.element_descriptor(oid)?;
        Some((element.schema, format!("_{}", element.name)))
    }

    fn element_descriptor(&self, array: Oid) -> Option<&crate::catalog::TypeDescriptor> {
        if array < Oid::FIRST_USER {
            return None;
        }
        self.catalog.objects().find_map(|d| match &**d {
            Descriptor::Type(ty) if ty.array_oid == array => Some(ty),
            _ => None,
        })
    }

    /// The user-defined type of that name in a schema, row types included.
    fn user_type_in(&self, schema: Oid, name: &str) -> Option<Oid> {
        if let Some(ty) = self.catalog.user_type(schema, name) {
            return Some(ty);
        }
        match self.catalog.relation(schema, name).map(|d| &**d) {
            Some(Descriptor::Table(_) | Descriptor::View(_)) => {
                self.catalog.relation(schema, name).map(|d| derived::row_type(d.oid()))
            }
            _ => None,
        }
    }

    /// The type that an unqualified catalog name finds.
    pub fn visible_type(&self, name: &str) -> Option<Oid> {
        self.path().into_iter().find_map(|schema| match schema {
            Oid::PG_CATALOG => Registry::get().type_by_name(name).map(|row| row.oid),
            schema => self.user_type_in(schema, name),
        })
    }

    /// A type's name as `format_type` prints it.
    pub fn format_type(&self, oid: Oid, typmod: i32) -> String {
        self.type_name(oid).unwrap_or_else(|| types::format_type(oid, typmod))
    }

    /// A function's name, qualified unless the search path finds it.
    pub(super) fn function_shown(&self, row: &ProcRow) -> String {
        if row.namespace == Oid::PG_CATALOG {
            return quote_identifier(row.name);
        }
        format!("information_schema.{}", quote_identifier(row.name))
    }
}

impl TypeLookup for Names<'_> {
    fn enum_labels(&self, ty: Oid) -> Option<&[String]> {
        match self.catalog.get(ty).map(|d| &**d) {
            Some(Descriptor::Type(ty)) => match &ty.definition {
                TypeDefinition::Enum { labels } => Some(labels),
            },
            _ => None,
        }
    }

    fn array_element(&self, ty: Oid) -> Option<Oid> {
        let rows = derived::relation_of_row_array(ty).map(derived::row_type);
        rows.or_else(|| self.element_descriptor(ty).map(|element| element.oid))
    }

    fn type_name(&self, ty: Oid) -> Option<String> {
        if ty < Oid::FIRST_USER {
            return None;
        }
        if let Some(element) = self.array_element(ty) {
            return self.type_name(element).map(|name| name + "[]");
        }
        let (schema, name) = self.user_type(ty)?;
        let quoted = quote_identifier(&name);
        if self.visible_type(&name) == Some(ty) {
            return Some(quoted);
        }
        Some(format!("{}.{quoted}", quote_identifier(self.schema(schema)?)))
    }

    fn reg_input(&self, ty: Oid, name: &str) -> Result<Option<Oid>> {
        match ty {
            Oid::REGCLASS => self.find_relation(name)?.map(Some).ok_or_else(|| {
                let shown = split(name).map_or_else(|_| name.to_owned(), |parts| parts.join("."));
                SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist"))
            }),
            Oid::REGTYPE => Ok(self.find_type(name)),
            Oid::REGNAMESPACE => {
                let parts = split(name)?;
                let [schema] = &parts[..] else {
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid name syntax"));
                };
                match self.catalog.schema(schema) {
                    Some(oid) => Ok(Some(oid)),
                    None => Err(SqlError::new(
                        SqlState::INVALID_SCHEMA_NAME,
                        format!("schema \"{schema}\" does not exist"),
                    )),
                }
            }
            Oid::REGROLE => {
                let parts = split(name)?;
                let [role] = &parts[..] else {
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid name syntax"));
                };
                match self.role_named(role) {
                    Some(oid) => Ok(Some(oid)),
                    None => Err(SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("role \"{role}\" does not exist"),
                    )),
                }
            }
            Oid::REGPROCEDURE => self.find_procedure(name),
            _ => Ok(None),
        }
    }

    fn reg_output(&self, ty: Oid, value: Oid) -> Option<String> {
        match ty {
            Oid::REGCLASS => self.relation_shown(value),
            Oid::REGTYPE => self.type_name(value),
            Oid::REGNAMESPACE => self.schema(value).map(quote_identifier),
            Oid::REGROLE => self.role(value).map(quote_identifier),
            _ => None,
        }
    }
}

impl Names<'_> {
    /// A user-defined type by the name that SQL writes; `None` leaves it to the built-in ones.
    pub fn find_type(&self, text: &str) -> Option<Oid> {
        let (element, is_array) = match text.trim().strip_suffix("[]") {
            Some(element) => (element, true),
            None => (text, false),
        };
        if types::builtin_type_named(element).is_some() {
            return None;
        }
        let parts = split(element).ok()?;
        let found = match &parts[..] {
            [name] => self.path().into_iter().find_map(|schema| self.user_type_in(schema, name)),
            [schema, name] => self.catalog.schema(schema).and_then(|schema| self.user_type_in(schema, name)),
            _ => None,
        }?;
        if !is_array {
            return Some(found);
        }
        match self.catalog.get(found).map(|d| &**d) {
            Some(Descriptor::Type(ty)) => Some(ty.array_oid),
            _ => derived::relation_of_row_type(found).map(derived::row_array),
        }
    }

    /// `name(type, …)`.
    fn find_procedure(&self, text: &str) -> Result<Option<Oid>> {
        let missing =
            || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"));
        let Some((name, args)) = text.strip_suffix(')').and_then(|t| t.split_once('(')) else {
            let message = "expected a left parenthesis";
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
        };
        let args: Vec<&str> = args.split(',').map(str::trim).filter(|arg| !arg.is_empty()).collect();
        let types: Vec<Oid> = args
            .iter()
            .map(|arg| {
                self.find_type(arg).or_else(|| types::builtin_type_named(arg)).ok_or_else(|| {
                    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{arg}\" does not exist"))
                })
            })
            .collect::<Result<_>>()?;
        let parts = split(name)?;
        let name = match &parts[..] {
            [name] => name,
            [schema, name] if schema == "pg_catalog" => name,
            _ => return Err(missing()),
        };
        let found = Registry::get().procs_named(name).iter().find(|row| *row.args == types[..]);
        found.map(|row| Some(row.oid)).ok_or_else(missing)
    }
}

/// The parts of a dotted name in SQL's spelling: folded unless quoted. 42602 for no name.
pub fn split(text: &str) -> Result<Vec<String>> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted).ok_or_else(invalid)?,
            None => {
                let end =
                    rest.find(|c: char| c == '.' || c == '"' || c.is_whitespace()).unwrap_or(rest.len());
                (rest[..end].to_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        let tail = tail.trim_start();
        match tail.strip_prefix('.') {
            Some(tail) => rest = tail.trim_start(),
            None if tail.is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

/// A quoted identifier after its opening quote, and what follows the closing one.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let (mut part, mut rest) = (String::new(), text);
    loop {
        let end = rest.find('"')?;
        part.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return Some((part, rest)),
        }
    }
}
