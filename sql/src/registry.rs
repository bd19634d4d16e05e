//! PostgreSQL 15's built-in types, functions, operators, casts, aggregates and operator classes:
//! the rows that name and type resolution, execution and `pg_catalog` all read.
//!
//! `sql/registry/generate.sh` writes `registry/data/*.tsv` from a fresh PostgreSQL 15 cluster;
//! they are compiled in and parsed once, on first use.
//! - `table`: the TSV files as columns and rows, for `pg_catalog` too (`table::catalog`).
//! - `rows`: the typed rows.
//! - `opclass`: default operator classes and binary coercion.

pub mod opclass;
pub mod rows;
pub mod table;

pub use opclass::{BtreeClass, HashClass};
pub use rows::{
    AggregateKind, AggregateRow, CastContext, CastMethod, CastRow, OperatorKind, OperatorRow, ProcKind,
    ProcRow, TypeKind, TypeRow, Volatility,
};

use crate::Oid;
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// All built-in objects. Rows live as long as the process.
#[derive(Debug)]
pub struct Registry {
    types: &'static [TypeRow],
    types_by_name: FxHashMap<&'static str, &'static TypeRow>,
    procs: &'static [ProcRow],
    procs_by_name: FxHashMap<&'static str, Vec<&'static ProcRow>>,
    operators: &'static [OperatorRow],
    operators_by_name: FxHashMap<&'static str, Vec<&'static OperatorRow>>,
    casts: FxHashMap<(Oid, Oid), &'static CastRow>,
    cast_rows: &'static [CastRow],
    aggregates: FxHashMap<Oid, &'static AggregateRow>,
    btree: FxHashMap<Oid, BtreeClass>,
    hash: FxHashMap<Oid, HashClass>,
}

impl Registry {
    /// The registry; parses the compiled-in catalogs on the first call (a few milliseconds).
    pub fn get() -> &'static Registry {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        REGISTRY.get_or_init(Registry::load)
    }

    fn load() -> Registry {
        let types = leak(rows::types());
        let procs = leak(rows::procs());
        let operators = leak(rows::operators());
        let cast_rows = leak(rows::casts());
        let aggregates = leak(rows::aggregates());
        let mut procs_by_name: FxHashMap<_, Vec<_>> = FxHashMap::default();
        for row in procs.iter().filter(|row| row.namespace == Oid::PG_CATALOG) {
            procs_by_name.entry(row.name).or_default().push(row);
        }
        let mut operators_by_name: FxHashMap<_, Vec<_>> = FxHashMap::default();
        for row in operators {
            operators_by_name.entry(row.name).or_default().push(row);
        }
        Registry {
            types,
            types_by_name: types
                .iter()
                .filter(|row| row.namespace == Oid::PG_CATALOG)
                .map(|row| (row.name, row))
                .collect(),
            procs,
            procs_by_name,
            operators,
            operators_by_name,
            casts: cast_rows.iter().map(|row| ((row.source, row.target), row)).collect(),
            cast_rows,
            aggregates: aggregates.iter().map(|row| (row.function, row)).collect(),
            btree: opclass::btree_classes(operators),
            hash: opclass::hash_classes(operators),
        }
    }

    /// A built-in type by OID.
    pub fn type_by_oid(&self, oid: Oid) -> Option<&'static TypeRow> {
        find(self.types, oid, |row| row.oid)
    }

    /// A type of `pg_catalog` by its catalog name (`int4`, `_text`, `"char"` without quotes).
    pub fn type_by_name(&self, name: &str) -> Option<&'static TypeRow> {
        self.types_by_name.get(name).copied()
    }

    /// Every built-in type, by OID.
    pub fn types(&self) -> &'static [TypeRow] {
        self.types
    }

    /// The functions, procedures, aggregates and window functions of `pg_catalog` of that name.
    pub fn procs_named(&self, name: &str) -> &[&'static ProcRow] {
        self.procs_by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// A built-in function by OID, `information_schema`'s included.
    pub fn proc(&self, oid: Oid) -> Option<&'static ProcRow> {
        find(self.procs, oid, |row| row.oid)
    }

    /// Every built-in function, by OID.
    pub fn procs(&self) -> &'static [ProcRow] {
        self.procs
    }

    /// The operators of that name, prefix and infix.
    pub fn operators_named(&self, name: &str) -> &[&'static OperatorRow] {
        self.operators_by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// An operator by OID.
    pub fn operator(&self, oid: Oid) -> Option<&'static OperatorRow> {
        find(self.operators, oid, |row| row.oid)
    }

    /// Every built-in operator, by OID.
    pub fn operators(&self) -> &'static [OperatorRow] {
        self.operators
    }

    /// The row of `pg_cast` from one type to another. A row of a type to itself is its
    /// length-coercion function.
    pub fn cast(&self, source: Oid, target: Oid) -> Option<&'static CastRow> {
        self.casts.get(&(source, target)).copied()
    }

    /// Every cast, by OID of its row.
    pub fn casts(&self) -> &'static [CastRow] {
        self.cast_rows
    }

    /// What `pg_aggregate` says of an aggregate function.
    pub fn aggregate(&self, function: Oid) -> Option<&'static AggregateRow> {
        self.aggregates.get(&function).copied()
    }

    /// Operators and comparison function of the type's default btree class, found for the type
    /// itself or one that it is binary-coercible to (varchar: `text_ops`; any array: `array_ops`).
    /// Types outside the registry: pass `Oid::ANYENUM` for an enum, `Oid::RECORD` for a row.
    pub fn default_btree_opclass(&self, ty: Oid) -> Option<&BtreeClass> {
        opclass::candidates(self, ty).find_map(|ty| self.btree.get(&ty))
    }

    /// As `default_btree_opclass`, for the hash access method.
    pub fn default_hash_opclass(&self, ty: Oid) -> Option<&HashClass> {
        opclass::candidates(self, ty).find_map(|ty| self.hash.get(&ty))
    }

    /// Whether a value of one type can stand for the other as it is, without a function, where an
    /// implicit coercion is allowed; domains and polymorphic types as PostgreSQL's own rule.
    pub fn binary_coercible(&self, from: Oid, to: Oid) -> bool {
        opclass::binary_coercible(self, from, to)
    }

    /// The array's element type, for true arrays (`int4[]`) and the two vector types' absence:
    /// `None` for `oidvector`, `int2vector`, `name` and everything that is no array.
    pub fn array_element(&self, ty: Oid) -> Option<Oid> {
        let row = self.type_by_oid(ty)?;
        (row.category == 'A' && row.elem != Oid::NONE && row.len == -1 && !row.is_vector())
            .then_some(row.elem)
    }

    /// The type's array type.
    pub fn array_of(&self, ty: Oid) -> Option<Oid> {
        self.type_by_oid(ty).map(|row| row.array).filter(|array| *array != Oid::NONE)
    }
}

fn leak<T>(rows: Vec<T>) -> &'static [T] {
    Vec::leak(rows)
}

/// The row with that OID in rows sorted by it.
fn find<T>(rows: &'static [T], oid: Oid, key: impl Fn(&T) -> Oid) -> Option<&'static T> {
    rows.binary_search_by_key(&oid, key).ok().map(|at| &rows[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_every_row_of_postgres_15() {
        let registry = Registry::get();
        assert_eq!(registry.types().len(), 611);
        assert_eq!(registry.procs().len(), 3244);
        assert_eq!(registry.operators().len(), 799);
        assert_eq!(registry.casts().len(), 229);
    }

    #[test]
    fn resolves_rows_by_name_and_oid() {
        let registry = Registry::get();
        assert_eq!(registry.type_by_name("int4").unwrap().oid, Oid::INT4);
        assert_eq!(registry.type_by_oid(Oid::TEXT_ARRAY).unwrap().elem, Oid::TEXT);
        assert_eq!(registry.procs_named("abs").len(), 6);
        let plus = registry.operators_named("+").iter().find(|o| o.left == Oid::INT4 && o.right == Oid::INT4);
        assert_eq!(plus.unwrap().function, Oid(177));
        assert_eq!(registry.cast(Oid::INT4, Oid::INT8).unwrap().context, CastContext::Implicit);
        assert_eq!(registry.aggregate(Oid(2108)).unwrap().transition, Oid(1841));
        let substring = registry.procs_named("substring");
        assert!(substring.iter().any(|p| *p.args == [Oid::TEXT, Oid::INT4]));
        let make_interval = registry.procs_named("make_interval")[0];
        assert_eq!((make_interval.defaults, make_interval.arg_names.len()), (7, 7));
    }

    #[test]
    fn finds_default_operator_classes() {
        let registry = Registry::get();
        let int4 = registry.default_btree_opclass(Oid::INT4).unwrap();
        assert_eq!((int4.lt, int4.eq, int4.compare), (Oid(97), Oid(96), Oid(351)));
        assert_eq!(int4.eq_function, Oid(65));
        let varchar = registry.default_btree_opclass(Oid::VARCHAR).unwrap();
        assert_eq!(varchar.compare, Oid(360));
        assert_eq!(registry.default_btree_opclass(Oid::INT4_ARRAY).unwrap().compare, Oid(382));
        assert!(registry.default_btree_opclass(Oid::JSON).is_none());
        assert_eq!(registry.default_hash_opclass(Oid::UUID).unwrap().hash, Oid(2963));
    }

    #[test]
    fn knows_binary_coercion() {
        let registry = Registry::get();
        assert!(registry.binary_coercible(Oid::VARCHAR, Oid::TEXT));
        assert!(!registry.binary_coercible(Oid::NAME, Oid::TEXT));
        assert!(registry.binary_coercible(Oid::INT4, Oid::OID));
        assert!(!registry.binary_coercible(Oid::OID, Oid::INT4));
        assert!(registry.binary_coercible(Oid::INT4_ARRAY, Oid::ANYARRAY));
        assert!(!registry.binary_coercible(Oid::INT4, Oid::ANYARRAY));
    }
}
