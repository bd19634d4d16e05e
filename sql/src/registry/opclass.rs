//! Default operator classes (how a type sorts, compares and hashes) and binary coercion.

use super::rows::{self, CastContext, CastMethod, OperatorRow, TypeKind};
use super::{Registry, find};
use crate::Oid;
use rustc_hash::FxHashMap;

/// The btree access method.
const BTREE: Oid = Oid(403);
/// The hash access method.
const HASH: Oid = Oid(405);
const ANYMULTIRANGE: Oid = Oid(4537);
const ANYCOMPATIBLERANGE: Oid = Oid(5080);
const ANYCOMPATIBLEMULTIRANGE: Oid = Oid(4538);

/// The operators of a btree class over one type, with the functions behind them, and the three-way
/// comparison function (`bt…cmp`).
#[derive(Clone, Copy, Debug)]
pub struct BtreeClass {
    /// The operator family; operators of the same family agree on the order.
    pub family: Oid,
    /// The type the class is declared for.
    pub input: Oid,
    pub lt: Oid,
    pub le: Oid,
    pub eq: Oid,
    pub ge: Oid,
    pub gt: Oid,
    pub lt_function: Oid,
    pub le_function: Oid,
    pub eq_function: Oid,
    pub ge_function: Oid,
    pub gt_function: Oid,
    pub compare: Oid,
}

/// The equality of a hash class with its hash function.
#[derive(Clone, Copy, Debug)]
pub struct HashClass {
    pub family: Oid,
    pub input: Oid,
    pub eq: Oid,
    pub eq_function: Oid,
    pub hash: Oid,
}

pub(super) fn btree_classes(operators: &'static [OperatorRow]) -> FxHashMap<Oid, BtreeClass> {
    let members: FxHashMap<_, _> = rows::family_operators().into_iter().collect();
    let support: FxHashMap<_, _> = rows::family_functions().into_iter().collect();
    let function = |operator| find(operators, operator, |row| row.oid).map_or(Oid::NONE, |row| row.function);
    let class = |(ty, family): (Oid, Oid)| {
        let member = |strategy| members.get(&(family, ty, ty, strategy)).copied();
        let (lt, le, eq, ge, gt) = (member(1)?, member(2)?, member(3)?, member(4)?, member(5)?);
        let class = BtreeClass {
            family,
            input: ty,
            lt,
            le,
            eq,
            ge,
            gt,
            lt_function: function(lt),
            le_function: function(le),
            eq_function: function(eq),
            ge_function: function(ge),
            gt_function: function(gt),
            compare: *support.get(&(family, ty, ty, 1))?,
        };
        Some((ty, class))
    };
    rows::default_classes(BTREE).into_iter().filter_map(class).collect()
}

pub(super) fn hash_classes(operators: &'static [OperatorRow]) -> FxHashMap<Oid, HashClass> {
    let members: FxHashMap<_, _> = rows::family_operators().into_iter().collect();
    let support: FxHashMap<_, _> = rows::family_functions().into_iter().collect();
    let class = |(ty, family): (Oid, Oid)| {
        let eq = *members.get(&(family, ty, ty, 1))?;
        let eq_function = find(operators, eq, |row| row.oid)?.function;
        let hash = *support.get(&(family, ty, ty, 1))?;
        Some((ty, HashClass { family, input: ty, eq, eq_function, hash }))
    };
    rows::default_classes(HASH).into_iter().filter_map(class).collect()
}

/// The types whose default class serves `ty`, best first: itself, its domain's base, then what it
/// is binary-coercible to.
pub(super) fn candidates(registry: &Registry, ty: Oid) -> impl Iterator<Item = Oid> {
    let base = base_type(registry, ty);
    let row = registry.type_by_oid(base);
    let general = match row.map(|row| row.kind) {
        Some(TypeKind::Range) => Some(Oid::ANYRANGE),
        Some(TypeKind::Multirange) => Some(ANYMULTIRANGE),
        Some(TypeKind::Composite) => Some(Oid::RECORD),
        Some(TypeKind::Enum) => Some(Oid::ANYENUM),
        _ if registry.array_element(base).is_some() => Some(Oid::ANYARRAY),
        _ => None,
    };
    let relabels = registry
        .casts()
        .iter()
        .filter(move |c| {
            c.source == base && c.method == CastMethod::Binary && c.context == CastContext::Implicit
        })
        .map(|c| c.target);
    [Some(base), general].into_iter().flatten().chain(relabels)
}

/// The base type under any domains.
fn base_type(registry: &Registry, ty: Oid) -> Oid {
    let mut ty = ty;
    while let Some(row) = registry.type_by_oid(ty).filter(|row| row.kind == TypeKind::Domain) {
        ty = row.base;
    }
    ty
}

pub(super) fn binary_coercible(registry: &Registry, from: Oid, to: Oid) -> bool {
    if from == to || matches!(to, Oid::ANY | Oid::ANYELEMENT | Oid::ANYCOMPATIBLE) {
        return true;
    }
    let from = base_type(registry, from);
    if from == to {
        return true;
    }
    let kind = registry.type_by_oid(from).map(|row| row.kind);
    match to {
        Oid::ANYARRAY | Oid::ANYCOMPATIBLEARRAY => registry.array_element(from).is_some(),
        Oid::ANYENUM => kind == Some(TypeKind::Enum),
        Oid::ANYRANGE | ANYCOMPATIBLERANGE => kind == Some(TypeKind::Range),
        ANYMULTIRANGE | ANYCOMPATIBLEMULTIRANGE => kind == Some(TypeKind::Multirange),
        Oid::RECORD if kind == Some(TypeKind::Composite) => true,
        _ => registry
            .cast(from, to)
            .is_some_and(|c| c.method == CastMethod::Binary && c.context == CastContext::Implicit),
    }
}
