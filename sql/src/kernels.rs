//! Kernels: what the built-in functions and operators compute, one scalar definition a function.
//!
//! A family's file holds its functions and a table of (PostgreSQL's internal name `prosrc`,
//! kernel); the registry joins the names to `pg_proc`'s OIDs, so that one line serves every
//! signature PostgreSQL implements with the same function. `BY_OID` holds the few that PostgreSQL
//! writes in SQL. What stands in no table is not built: `scalar` answers `None`.
//!
//! - `compare`, `integer`, `float`, `numeric`, `cast`, `text`, `pattern`, `datetime`, `array`,
//!   `json`, `system`, `format` (`to_char`, `to_date`): the scalar families.
//! - `aggregate`: states of the aggregates.

pub mod aggregate;
pub mod args;
pub mod array;
pub mod cast;
pub mod compare;
pub mod datetime;
pub mod float;
mod format;
pub mod integer;
pub mod json;
pub mod numeric;
pub mod pattern;
pub mod system;
pub mod text;

pub use aggregate::{AggregateKernel, AggregateState, aggregate};

use crate::catalog::{CatalogSnapshot, Descriptor, TypeDefinition};
use crate::pgcatalog::{Names, functions};
use crate::registry::Registry;
use crate::session::info::{OutputFormat, SessionInfo};
use crate::types::{Datum, Io, TypeLookup};
use crate::{Oid, Result};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// What a call may know beside its arguments.
#[derive(Clone, Copy, Debug)]
pub struct CallContext<'a> {
    pub session: &'a SessionInfo,
    pub fmt: &'a OutputFormat,
    pub catalog: &'a CatalogSnapshot,
    /// The actual types of the arguments, for functions over `any` and `anyelement`.
    pub args: &'a [Oid],
    /// The actual result type.
    pub result: Oid,
}

/// A scalar function. The caller answers NULL for a strict function with a NULL argument, so such
/// a kernel never sees one.
pub type ScalarFn = fn(&CallContext<'_>, &[Datum]) -> Result<Datum>;

/// A family's table: PostgreSQL's internal function name and the kernel.
pub(crate) type Table = &'static [(&'static str, ScalarFn)];

const FAMILIES: &[Table] = &[
    compare::TABLE,
    integer::TABLE,
    float::TABLE,
    numeric::TABLE,
    cast::TABLE,
    text::TABLE,
    pattern::TABLE,
    datetime::TABLE,
    format::TABLE,
    array::TABLE,
    json::TABLE,
    system::TABLE,
];

/// Functions that PostgreSQL defines in SQL, and internal names that mean different things by
/// signature.
const BY_OID: &[(u32, ScalarFn)] = &[
    (879, text::lpad2),
    (880, text::rpad2),
    (1285, text::quote_literal_any),
    (1290, text::quote_nullable_any),
    (1708, numeric::round1),
    (1710, numeric::trunc1),
    (1741, numeric::log10),
    (1481, numeric::log10),
    (1810, text::bit_length),
    (1811, text::bit_length),
    (2003, text::concat_any),
    (2004, text::concat_any),
    (1386, datetime::age1),
    (2059, datetime::age1),
    (1384, datetime::date_part_date),
    (1848, datetime::swap_pl_interval),
    (2546, datetime::swap_pl_interval),
    (2547, datetime::swap_pl_interval),
    (2548, datetime::swap_pl_interval),
    (2549, datetime::swap_pl_interval),
    (2550, datetime::integer_pl_date),
];

/// The kernel of a function; `None` when it is not built.
pub fn scalar(function: Oid) -> Option<ScalarFn> {
    static KERNELS: OnceLock<FxHashMap<Oid, ScalarFn>> = OnceLock::new();
    let kernels = KERNELS.get_or_init(|| {
        let by_name: FxHashMap<&str, ScalarFn> =
            FAMILIES.iter().chain(functions::TABLES).flat_map(|table| table.iter().copied()).collect();
        let internal = Registry::get().procs().iter().filter(|row| row.lang == INTERNAL);
        internal
            .filter_map(|row| by_name.get(row.src).map(|kernel| (row.oid, *kernel)))
            .chain(BY_OID.iter().chain(functions::BY_OID).map(|(oid, kernel)| (Oid(*oid), *kernel)))
            .collect()
    });
    kernels.get(&function).copied()
}

/// `nextval(regclass)`: column defaults that are nothing but it are run by INSERT itself.
pub const NEXTVAL: Oid = Oid(1574);

/// The language of functions written in C inside the server.
const INTERNAL: Oid = Oid(12);

impl<'a> CallContext<'a> {
    /// The context of a statement; a call adds the types of its arguments.
    pub fn new(session: &'a SessionInfo, catalog: &'a CatalogSnapshot) -> CallContext<'a> {
        CallContext { session, fmt: &session.format, catalog, args: &[], result: Oid::UNKNOWN }
    }
}

impl CallContext<'_> {
    /// Reads and prints values under the call's settings and catalog.
    pub fn io(&self) -> Io<'_> {
        Io { fmt: self.fmt, lookup: self, now: Some(self.session.transaction_start) }
    }

    /// The actual type of an argument; `unknown` when the caller gave none.
    pub fn arg_type(&self, at: usize) -> Oid {
        self.args.get(at).copied().unwrap_or(Oid::UNKNOWN)
    }
}

impl TypeLookup for CatalogSnapshot {
    fn enum_labels(&self, ty: Oid) -> Option<&[String]> {
        match self.get(ty).map(|descriptor| &**descriptor) {
            Some(Descriptor::Type(ty)) => match &ty.definition {
                TypeDefinition::Enum { labels } => Some(labels),
            },
            _ => None,
        }
    }

    fn array_element(&self, ty: Oid) -> Option<Oid> {
        if ty < Oid::FIRST_USER {
            return None;
        }
        self.objects().find_map(|descriptor| match &**descriptor {
            Descriptor::Type(element) if element.array_oid == ty => Some(element.oid),
            _ => None,
        })
    }

    fn type_name(&self, ty: Oid) -> Option<String> {
        if ty < Oid::FIRST_USER {
            return None;
        }
        match self.get(ty).map(|descriptor| &**descriptor) {
            Some(Descriptor::Type(ty)) => Some(text::quote_identifier(&ty.name)),
            _ => self.array_element(ty).and_then(|element| self.type_name(element)).map(|name| name + "[]"),
        }
    }
}

impl<'a> CallContext<'a> {
    fn names(&self) -> Names<'a> {
        Names { catalog: self.catalog, session: self.session }
    }
}

impl TypeLookup for CallContext<'_> {
    fn enum_labels(&self, ty: Oid) -> Option<&[String]> {
        self.catalog.enum_labels(ty)
    }

    fn array_element(&self, ty: Oid) -> Option<Oid> {
        self.catalog.array_element(ty)
    }

    fn type_name(&self, ty: Oid) -> Option<String> {
        self.catalog.type_name(ty)
    }

    fn reg_input(&self, ty: Oid, name: &str) -> Result<Option<Oid>> {
        self.names().reg_input(ty, name)
    }

    fn reg_output(&self, ty: Oid, value: Oid) -> Option<String> {
        self.names().reg_output(ty, value)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::types::TypeRef;
    use std::sync::Arc;

    pub(crate) fn session() -> SessionInfo {
        SessionInfo {
            catalog: Default::default(),
            pid: 1,
            database: Oid(5),
            database_name: Arc::from("postgres"),
            role: Oid::BOOTSTRAP_ROLE,
            role_name: Arc::from("postgres"),
            session_role_name: Arc::from("postgres"),
            superuser: true,
            search_path: Arc::from([Oid::PUBLIC]),
            transaction_start: 0,
            statement_start: 0,
            format: OutputFormat::default(),
            lock_timeout: None,
            sequences: Default::default(),
            nap: Default::default(),
            changes: Default::default(),
            settings: Arc::default(),
        }
    }

    /// Calls a function by signature with arguments in text form; the answer in text form, or the
    /// error's code and message.
    pub(crate) fn call(signature: &str, args: &[&str]) -> String {
        let registry = Registry::get();
        let (name, types) = signature.trim_end_matches(')').split_once('(').unwrap();
        let types: Vec<Oid> = types
            .split(',')
            .filter(|ty| !ty.is_empty())
            .map(|ty| crate::types::builtin_type_named(ty).unwrap_or_else(|| panic!("type {ty}")))
            .collect();
        let matches = |p: &&&crate::registry::ProcRow| {
            p.args.len() == types.len()
                && p.args.iter().zip(&types).all(|(a, b)| a == b || registry.binary_coercible(*b, *a))
        };
        let exact = registry.procs_named(name).iter().find(|p| *p.args == types[..]);
        let row = exact.or_else(|| registry.procs_named(name).iter().find(matches));
        let variadic = || registry.procs_named(name).iter().find(|p| p.variadic != Oid::NONE);
        let row = row.or_else(variadic).unwrap_or_else(|| panic!("no {signature}"));
        let kernel = scalar(row.oid).unwrap_or_else(|| panic!("{signature} has no kernel"));
        let (session, catalog) = (session(), CatalogSnapshot::default());
        let cx = CallContext {
            session: &session,
            fmt: &session.format,
            catalog: &catalog,
            args: &types,
            result: row.ret,
        };
        let io = cx.io();
        let read = |(ty, text): (&Oid, &&str)| match *text {
            "NULL" => Datum::Null,
            text => io.input(TypeRef::of(*ty), text).unwrap(),
        };
        let values: Vec<_> = types.iter().zip(args).map(read).collect();
        match kernel(&cx, &values) {
            Ok(value) => {
                let ret = match row.ret {
                    Oid::ANYELEMENT | Oid::ANYARRAY | Oid::ANYCOMPATIBLEARRAY => types[0],
                    ret => ret,
                };
                io.to_text(ret, &value).unwrap_or_else(|| "NULL".to_owned())
            }
            Err(error) => format!("!{} {}", error.code().code(), error.message()),
        }
    }

    #[test]
    fn every_table_line_names_a_function() {
        let registry = Registry::get();
        let sources: std::collections::HashSet<_> =
            registry.procs().iter().filter(|row| row.lang == INTERNAL).map(|row| row.src).collect();
        let mut seen = std::collections::HashSet::new();
        for (name, _) in FAMILIES.iter().flat_map(|table| table.iter()) {
            assert!(sources.contains(name), "{name} is no internal function of PostgreSQL 15");
            assert!(seen.insert(*name), "{name} stands in two tables");
        }
        for (oid, _) in BY_OID {
            assert!(registry.proc(Oid(*oid)).is_some(), "{oid}");
        }
    }

    /// Each line of `kernels/cases.txt`: a call, `=>`, and PostgreSQL 15's answer.
    #[test]
    fn answers_as_postgres() {
        let mut wrong = Vec::new();
        for line in include_str!("kernels/cases.txt").lines().filter(|line| !line.is_empty()) {
            let (call_text, answer) = line.split_once(" => ").unwrap();
            let mut parts = call_text.split(" | ");
            let signature = parts.next().unwrap();
            let args: Vec<_> = parts.collect();
            let ours = call(signature, &args);
            if ours != answer {
                wrong.push(format!("{line}, not {ours}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
