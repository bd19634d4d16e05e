//! Typed rows of `pg_type`, `pg_proc`, `pg_operator`, `pg_cast` and `pg_aggregate`.
//!
//! The files are our own, so a malformed one is a broken build: reading panics, and the registry's
//! tests load every file.

use super::table::{self, Row, Table};
use crate::Oid;
use std::borrow::Cow;

/// `typtype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    Base,
    Composite,
    Domain,
    Enum,
    Multirange,
    Pseudo,
    Range,
}

/// A row of `pg_type`.
#[derive(Clone, Debug)]
pub struct TypeRow {
    pub oid: Oid,
    pub name: &'static str,
    pub namespace: Oid,
    /// Bytes, -1 for variable length, -2 for a C string.
    pub len: i16,
    pub byval: bool,
    pub kind: TypeKind,
    /// `typcategory`: N numeric, S string, D date/time, A array, …
    pub category: char,
    /// The preferred type of its category.
    pub preferred: bool,
    pub delim: char,
    /// The relation of a composite type.
    pub relation: Oid,
    pub elem: Oid,
    pub array: Oid,
    pub input: Oid,
    pub output: Oid,
    pub receive: Oid,
    pub send: Oid,
    pub typmod_in: Oid,
    pub typmod_out: Oid,
    pub align: char,
    pub storage: char,
    /// Base type of a domain.
    pub base: Oid,
    pub typmod: i32,
    pub collation: Oid,
}

impl TypeRow {
    /// `oidvector` and `int2vector`: subscriptable, but no true arrays.
    pub fn is_vector(&self) -> bool {
        matches!(self.oid, Oid::OIDVECTOR | Oid::INT2VECTOR)
    }
}

/// `prokind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcKind {
    Function,
    Procedure,
    Aggregate,
    Window,
}

/// `provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// A row of `pg_proc`.
#[derive(Clone, Debug)]
pub struct ProcRow {
    pub oid: Oid,
    pub name: &'static str,
    pub namespace: Oid,
    pub kind: ProcKind,
    pub ret: Oid,
    /// Input arguments; a VARIADIC one is last and has its array type.
    pub args: Box<[Oid]>,
    /// Element type of the variadic argument, `Oid::NONE` without one.
    pub variadic: Oid,
    /// How many trailing arguments have defaults.
    pub defaults: u16,
    /// The defaults as one comma-separated SQL text, as `pg_get_expr` prints them.
    pub default_text: Option<&'static str>,
    pub strict: bool,
    pub returns_set: bool,
    pub volatility: Volatility,
    /// Names of all arguments (empty strings where unnamed), or nothing when none has a name.
    pub arg_names: Box<[&'static str]>,
    /// All arguments with OUT ones; empty when every argument is IN.
    pub all_arg_types: Box<[Oid]>,
    /// i, o, b, v, t; empty when every argument is IN.
    pub arg_modes: Box<[char]>,
    pub src: &'static str,
    pub lang: Oid,
    pub cost: f32,
    pub rows: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorKind {
    Infix,
    Prefix,
}

/// A row of `pg_operator`.
#[derive(Clone, Debug)]
pub struct OperatorRow {
    pub oid: Oid,
    pub name: &'static str,
    pub kind: OperatorKind,
    /// `Oid::NONE` for a prefix operator.
    pub left: Oid,
    pub right: Oid,
    pub result: Oid,
    pub commutator: Oid,
    pub negator: Oid,
    pub can_merge: bool,
    pub can_hash: bool,
    /// The `pg_proc` row that carries it out.
    pub function: Oid,
}

/// `castcontext`: ordered, an earlier one is allowed wherever a later one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    Implicit,
    Assignment,
    Explicit,
}

/// `castmethod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastMethod {
    Function,
    InOut,
    Binary,
}

/// A row of `pg_cast`.
#[derive(Clone, Debug)]
pub struct CastRow {
    pub source: Oid,
    pub target: Oid,
    /// `Oid::NONE` unless the method is `Function`.
    pub function: Oid,
    pub context: CastContext,
    pub method: CastMethod,
}

/// `aggkind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    Normal,
    OrderedSet,
    Hypothetical,
}

/// A row of `pg_aggregate`.
#[derive(Clone, Debug)]
pub struct AggregateRow {
    pub function: Oid,
    pub kind: AggregateKind,
    pub direct_args: u16,
    pub transition: Oid,
    pub finish: Oid,
    pub combine: Oid,
    /// The sort operator of min and max.
    pub sort_operator: Oid,
    pub transition_type: Oid,
    pub init: Option<&'static str>,
}

/// Reads named columns of a row.
struct Reader {
    table: Table,
}

impl Reader {
    fn open(name: &str) -> Reader {
        Reader { table: table::catalog(name).expect("the registry holds this catalog") }
    }

    fn map<T>(&self, build: impl Fn(Fields<'_>) -> T) -> Vec<T> {
        self.table.rows().map(|row| build(Fields { table: &self.table, row })).collect()
    }
}

struct Fields<'a> {
    table: &'a Table,
    row: Row,
}

impl Fields<'_> {
    fn optional(&self, column: &str) -> Option<&'static str> {
        let at = self.table.column(column).unwrap_or_else(|| panic!("no column {column}"));
        self.row.get(at).map(|field| match field {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => &*text.leak(),
        })
    }

    fn str(&self, column: &str) -> &'static str {
        self.optional(column).unwrap_or("")
    }

    fn number<T: std::str::FromStr>(&self, column: &str) -> T {
        let text = self.str(column);
        text.parse().unwrap_or_else(|_| panic!("{column}: {text:?} is no number"))
    }

    fn oid(&self, column: &str) -> Oid {
        Oid(self.number(column))
    }

    fn bool(&self, column: &str) -> bool {
        self.str(column) == "t"
    }

    fn char(&self, column: &str) -> char {
        self.str(column).chars().next().unwrap_or('\0')
    }

    /// An `oidvector` (`1 2`) or `oid[]` (`{1,2}`).
    fn oids(&self, column: &str) -> Box<[Oid]> {
        self.str(column)
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map(|part| Oid(part.parse().expect("an OID")))
            .collect()
    }

    /// A one-dimensional array of words; the catalogs hold none with commas or quotes but `""`.
    fn words(&self, column: &str) -> Vec<&'static str> {
        let Some(text) = self.optional(column) else { return Vec::new() };
        let inner = text.trim_start_matches('{').trim_end_matches('}');
        inner.split(',').map(|word| word.trim_matches('"')).collect()
    }
}

pub(super) fn types() -> Vec<TypeRow> {
    Reader::open("pg_type").map(|f| TypeRow {
        oid: f.oid("oid"),
        name: f.str("typname"),
        namespace: f.oid("typnamespace"),
        len: f.number("typlen"),
        byval: f.bool("typbyval"),
        kind: match f.char("typtype") {
            'b' => TypeKind::Base,
            'c' => TypeKind::Composite,
            'd' => TypeKind::Domain,
            'e' => TypeKind::Enum,
            'm' => TypeKind::Multirange,
            'p' => TypeKind::Pseudo,
            'r' => TypeKind::Range,
            other => panic!("typtype {other:?}"),
        },
        category: f.char("typcategory"),
        preferred: f.bool("typispreferred"),
        delim: f.char("typdelim"),
        relation: f.oid("typrelid"),
        elem: f.oid("typelem"),
        array: f.oid("typarray"),
        input: f.oid("typinput"),
        output: f.oid("typoutput"),
        receive: f.oid("typreceive"),
        send: f.oid("typsend"),
        typmod_in: f.oid("typmodin"),
        typmod_out: f.oid("typmodout"),
        align: f.char("typalign"),
        storage: f.char("typstorage"),
        base: f.oid("typbasetype"),
        typmod: f.number("typtypmod"),
        collation: f.oid("typcollation"),
    })
}

pub(super) fn procs() -> Vec<ProcRow> {
    Reader::open("pg_proc").map(|f| ProcRow {
        oid: f.oid("oid"),
        name: f.str("proname"),
        namespace: f.oid("pronamespace"),
        kind: match f.char("prokind") {
            'f' => ProcKind::Function,
            'p' => ProcKind::Procedure,
            'a' => ProcKind::Aggregate,
            'w' => ProcKind::Window,
            other => panic!("prokind {other:?}"),
        },
        ret: f.oid("prorettype"),
        args: f.oids("proargtypes"),
        variadic: f.oid("provariadic"),
        defaults: f.number("pronargdefaults"),
        default_text: f.optional("proargdefaults"),
        strict: f.bool("proisstrict"),
        returns_set: f.bool("proretset"),
        volatility: match f.char("provolatile") {
            'i' => Volatility::Immutable,
            's' => Volatility::Stable,
            'v' => Volatility::Volatile,
            other => panic!("provolatile {other:?}"),
        },
        arg_names: f.words("proargnames").into(),
        all_arg_types: f.oids("proallargtypes"),
        arg_modes: f.words("proargmodes").iter().filter_map(|word| word.chars().next()).collect(),
        src: f.str("prosrc"),
        lang: f.oid("prolang"),
        cost: f.number("procost"),
        rows: f.number("prorows"),
    })
}

pub(super) fn operators() -> Vec<OperatorRow> {
    Reader::open("pg_operator").map(|f| OperatorRow {
        oid: f.oid("oid"),
        name: f.str("oprname"),
        kind: match f.char("oprkind") {
            'b' => OperatorKind::Infix,
            'l' => OperatorKind::Prefix,
            other => panic!("oprkind {other:?}"),
        },
        left: f.oid("oprleft"),
        right: f.oid("oprright"),
        result: f.oid("oprresult"),
        commutator: f.oid("oprcom"),
        negator: f.oid("oprnegate"),
        can_merge: f.bool("oprcanmerge"),
        can_hash: f.bool("oprcanhash"),
        function: f.oid("oprcode"),
    })
}

pub(super) fn casts() -> Vec<CastRow> {
    Reader::open("pg_cast").map(|f| CastRow {
        source: f.oid("castsource"),
        target: f.oid("casttarget"),
        function: f.oid("castfunc"),
        context: match f.char("castcontext") {
            'i' => CastContext::Implicit,
            'a' => CastContext::Assignment,
            'e' => CastContext::Explicit,
            other => panic!("castcontext {other:?}"),
        },
        method: match f.char("castmethod") {
            'f' => CastMethod::Function,
            'i' => CastMethod::InOut,
            'b' => CastMethod::Binary,
            other => panic!("castmethod {other:?}"),
        },
    })
}

pub(super) fn aggregates() -> Vec<AggregateRow> {
    Reader::open("pg_aggregate").map(|f| AggregateRow {
        function: f.oid("aggfnoid"),
        kind: match f.char("aggkind") {
            'n' => AggregateKind::Normal,
            'o' => AggregateKind::OrderedSet,
            'h' => AggregateKind::Hypothetical,
            other => panic!("aggkind {other:?}"),
        },
        direct_args: f.number("aggnumdirectargs"),
        transition: f.oid("aggtransfn"),
        finish: f.oid("aggfinalfn"),
        combine: f.oid("aggcombinefn"),
        sort_operator: f.oid("aggsortop"),
        transition_type: f.oid("aggtranstype"),
        init: f.optional("agginitval"),
    })
}

/// The default operator class of each indexed type for an access method: (type, class family).
pub(super) fn default_classes(method: Oid) -> Vec<(Oid, Oid)> {
    Reader::open("pg_opclass")
        .map(|f| (f.oid("opcmethod"), f.bool("opcdefault"), f.oid("opcintype"), f.oid("opcfamily")))
        .into_iter()
        .filter(|(m, default, ..)| *m == method && *default)
        .map(|(_, _, ty, family)| (ty, family))
        .collect()
}

/// (family, left, right, strategy) -> operator, of search operators.
pub(super) fn family_operators() -> Vec<((Oid, Oid, Oid, i16), Oid)> {
    Reader::open("pg_amop").map(|f| {
        let key =
            (f.oid("amopfamily"), f.oid("amoplefttype"), f.oid("amoprighttype"), f.number("amopstrategy"));
        (key, f.oid("amopopr"))
    })
}

/// (family, left, right, support number) -> function.
pub(super) fn family_functions() -> Vec<((Oid, Oid, Oid, i16), Oid)> {
    Reader::open("pg_amproc").map(|f| {
        let key =
            (f.oid("amprocfamily"), f.oid("amproclefttype"), f.oid("amprocrighttype"), f.number("amprocnum"));
        (key, f.oid("amproc"))
    })
}
