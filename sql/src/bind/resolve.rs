//! Overload resolution: which function or operator a call means (PostgreSQL 15, sections 10.2 and
//! 10.3), and what its polymorphic types stand for.

use super::Binder;
use super::coerce::{is_any_family, is_compatible_family, is_polymorphic, place};
use crate::ir::{Expr, Offset};
use crate::registry::{CastContext, OperatorKind, OperatorRow, ProcRow, Registry};
use crate::{Oid, Result, SqlError, SqlState};

/// A function that fits a call by number of arguments: its argument types as called, with a
/// variadic one repeated.
#[derive(Clone)]
pub(super) struct Candidate<T: Clone> {
    pub(super) row: T,
    pub(super) args: Vec<Oid>,
    /// Number of trailing actual arguments that form the variadic array.
    pub(super) variadic: usize,
    /// Number of arguments left to their defaults.
    pub(super) defaulted: usize,
}

/// The outcome for a function name.
pub(super) enum Found {
    Function(Candidate<&'static ProcRow>),
    None,
    Ambiguous,
}

impl Binder<'_> {
    /// Finds the function of that name for arguments of those types.
    pub(super) fn find_function(&self, name: &str, types: &[Oid], variadic_array: bool) -> Found {
        let candidates: Vec<Candidate<&'static ProcRow>> = Registry::get()
            .procs_named(name)
            .iter()
            .filter_map(|row| fit_arguments(row, types.len(), variadic_array))
            .collect();
        if let Some(exact) =
            candidates.iter().filter(|c| c.args == types).min_by_key(|c| (c.variadic, c.defaulted))
        {
            return Found::Function(exact.clone());
        }
        let matching: Vec<_> = candidates
            .into_iter()
            .filter(|c| {
                types
                    .iter()
                    .zip(&c.args)
                    .all(|(have, want)| self.can_coerce(*have, *want, CastContext::Implicit))
                    && self.is_consistent(types, &c.args)
            })
            .collect();
        // A variadic form that expands to the same types as another loses to it.
        let kept: Vec<_> = matching
            .iter()
            .filter(|c| {
                !matching.iter().any(|d| {
                    d.args == c.args
                        && (d.variadic, d.defaulted, d.row.oid) < (c.variadic, c.defaulted, c.row.oid)
                })
            })
            .cloned()
            .collect();
        self.choose(types, kept)
            .map_or_else(|none| if none { Found::None } else { Found::Ambiguous }, Found::Function)
    }

    /// The rules that choose among several that fit (`Err(true)`: none, `Err(false)`: ambiguous).
    fn choose<T: Clone>(
        &self,
        types: &[Oid],
        mut candidates: Vec<Candidate<T>>,
    ) -> Result<Candidate<T>, bool> {
        if candidates.is_empty() {
            return Err(true);
        }
        if candidates.len() == 1 {
            return Ok(candidates.remove(0));
        }
        keep_best(&mut candidates, |c| {
            types.iter().zip(&c.args).filter(|(have, want)| have == want && **have != Oid::UNKNOWN).count()
        });
        if candidates.len() == 1 {
            return Ok(candidates.remove(0));
        }
        keep_best(&mut candidates, |c| {
            types
                .iter()
                .zip(&c.args)
                .filter(|(have, want)| {
                    **have != Oid::UNKNOWN && (have == want || self.is_preferred_for(**have, **want))
                })
                .count()
        });
        if candidates.len() == 1 {
            return Ok(candidates.remove(0));
        }
        if !types.contains(&Oid::UNKNOWN) {
            return Err(false);
        }
        self.by_category_of_unknowns(types, &mut candidates);
        if candidates.len() == 1 {
            return Ok(candidates.remove(0));
        }
        self.by_known_type(types, candidates)
    }

    fn is_preferred_for(&self, have: Oid, want: Oid) -> bool {
        let (category, preferred) = self.category(want);
        preferred && self.category(have).0 == category
    }

    /// Unknown arguments: a string category if any candidate takes one, else the category that all
    /// agree on; within it the preferred type.
    fn by_category_of_unknowns<T: Clone>(&self, types: &[Oid], candidates: &mut Vec<Candidate<T>>) {
        let mut wanted = Vec::new();
        for (i, _) in types.iter().enumerate().filter(|(_, t)| **t == Oid::UNKNOWN) {
            let categories: Vec<(char, bool)> = candidates.iter().map(|c| self.category(c.args[i])).collect();
            let category = if categories.iter().any(|c| c.0 == 'S') {
                'S'
            } else {
                let first = categories[0].0;
                if categories.iter().any(|c| c.0 != first) {
                    return;
                }
                first
            };
            let preferred = categories.contains(&(category, true));
            wanted.push((i, category, preferred));
        }
        let fits = |c: &Candidate<T>| {
            wanted.iter().all(|(i, category, preferred)| {
                let (its, is_preferred) = self.category(c.args[*i]);
                its == *category && (!preferred || is_preferred)
            })
        };
        if candidates.iter().any(fits) {
            candidates.retain(fits);
        }
    }

    /// When all known arguments have one type, unknown ones are taken to have it too.
    fn by_known_type<T: Clone>(
        &self,
        types: &[Oid],
        candidates: Vec<Candidate<T>>,
    ) -> Result<Candidate<T>, bool> {
        let mut known = types.iter().filter(|t| **t != Oid::UNKNOWN);
        let Some(first) = known.next() else { return Err(false) };
        if known.any(|t| t != first) {
            return Err(false);
        }
        let mut fitting = candidates
            .into_iter()
            .filter(|c| c.args.iter().all(|want| self.can_coerce(*first, *want, CastContext::Implicit)));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(false),
        }
    }

    /// Finds an operator; its row and the types its polymorphic arguments stand for follow.
    pub(super) fn find_operator(
        &self,
        name: &str,
        left: Option<Oid>,
        right: Oid,
        at: Offset,
    ) -> Result<&'static OperatorRow> {
        let rows = Registry::get().operators_named(name);
        let kind = if left.is_some() { OperatorKind::Infix } else { OperatorKind::Prefix };
        let rows = rows.iter().copied().filter(|r| r.kind == kind);
        let types: Vec<Oid> = left.into_iter().chain([right]).collect();
        // An unknown operand is first tried as the other's type.
        let tried: Vec<Oid> = match types.as_slice() {
            [Oid::UNKNOWN, known] | [known, Oid::UNKNOWN] if *known != Oid::UNKNOWN => vec![*known, *known],
            _ => types.clone(),
        };
        let candidates: Vec<Candidate<&'static OperatorRow>> = rows
            .map(|row| Candidate {
                args: if kind == OperatorKind::Infix { vec![row.left, row.right] } else { vec![row.right] },
                row,
                variadic: 0,
                defaulted: 0,
            })
            .collect();
        for wanted in [&types, &tried] {
            if let Some(exact) = candidates.iter().find(|c| c.args == **wanted) {
                return Ok(exact.row);
            }
        }
        let fitting: Vec<_> = candidates
            .into_iter()
            .filter(|c| {
                types
                    .iter()
                    .zip(&c.args)
                    .all(|(have, want)| self.can_coerce(*have, *want, CastContext::Implicit))
                    && self.is_consistent(&types, &c.args)
            })
            .collect();
        self.choose(&types, fitting).map(|c| c.row).map_err(|none| {
            let shown = match left {
                Some(left) => format!("{} {name} {}", self.type_label(left), self.type_label(right)),
                None => format!("{name} {}", self.type_label(right)),
            };
            let error = if none {
                let plural = if left.is_some() { "types" } else { "type" };
                SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {shown}"))
                    .with_hint(format!(
                        "No operator matches the given name and argument {plural}. You might need to add explicit type casts."
                    ))
            } else {
                SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {shown}")).with_hint(
                    "Could not choose a best candidate operator. You might need to add explicit type casts.",
                )
            };
            place(error, at)
        })
    }

    /// Whether the polymorphic arguments can all stand for one type.
    fn is_consistent(&self, have: &[Oid], want: &[Oid]) -> bool {
        !want.iter().any(|w| is_polymorphic(*w)) || self.polymorphic(have, want).is_some()
    }

    /// What polymorphic arguments stand for; `None` when they contradict each other.
    pub(super) fn polymorphic(&self, have: &[Oid], want: &[Oid]) -> Option<Bindings> {
        let mut bindings = Bindings::default();
        for (have, want) in have.iter().zip(want).filter(|(h, _)| **h != Oid::UNKNOWN) {
            let element = match *want {
                Oid::ANYARRAY | Oid::ANYCOMPATIBLEARRAY => {
                    if *have == Oid::ANYARRAY {
                        Some(Oid::ANYELEMENT)
                    } else {
                        Some(self.element_of(*have)?)
                    }
                }
                Oid::ANYELEMENT
                | Oid::ANYNONARRAY
                | Oid::ANYENUM
                | Oid::ANYCOMPATIBLE
                | Oid::ANYCOMPATIBLENONARRAY => Some(*have),
                _ => None,
            };
            let Some(element) = element else { continue };
            if is_any_family(*want) {
                if bindings.any.is_some_and(|known| known != element) {
                    return None;
                }
                bindings.any = Some(element);
            } else {
                bindings.compatible = Some(match bindings.compatible {
                    None => element,
                    Some(known) if known == element => known,
                    Some(known) if self.can_coerce(element, known, CastContext::Implicit) => known,
                    Some(known) if self.can_coerce(known, element, CastContext::Implicit) => element,
                    Some(_) => return None,
                });
            }
        }
        Some(bindings)
    }

    /// The concrete type of a declared one.
    pub(super) fn concrete(&self, declared: Oid, bindings: &Bindings) -> Option<Oid> {
        let element = if is_any_family(declared) {
            bindings.any
        } else if is_compatible_family(declared) {
            Some(bindings.compatible.unwrap_or(Oid::TEXT))
        } else {
            return Some(declared);
        };
        let element = element?;
        match declared {
            Oid::ANYARRAY if element == Oid::ANYELEMENT => Some(Oid::ANYARRAY),
            Oid::ANYARRAY | Oid::ANYCOMPATIBLEARRAY => self.array_of(element),
            _ => Some(element),
        }
    }

    /// Coerces actual arguments to declared types and says what the result type is.
    pub(super) fn coerce_args(
        &mut self,
        args: Vec<Expr>,
        declared: &[Oid],
        result: Oid,
        at: Offset,
    ) -> Result<(Vec<Expr>, Oid)> {
        let have: Vec<Oid> = args.iter().map(|a| a.ty.oid).collect();
        let bindings = self.polymorphic(&have, declared).unwrap_or_default();
        let undetermined = || {
            place(
                SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    "could not determine polymorphic type because input has type unknown",
                ),
                at,
            )
        };
        let mut coerced = Vec::with_capacity(args.len());
        for (arg, want) in args.into_iter().zip(declared) {
            let to = self.concrete(*want, &bindings).ok_or_else(undetermined)?;
            coerced.push(self.coerce(arg, to, CastContext::Implicit)?);
        }
        let result = self.concrete(result, &bindings).ok_or_else(undetermined)?;
        Ok((coerced, result))
    }
}

/// What the two families of polymorphic types stand for, as element types.
#[derive(Clone, Copy, Default)]
pub(super) struct Bindings {
    any: Option<Oid>,
    compatible: Option<Oid>,
}

/// A function as called with `count` arguments.
fn fit_arguments(
    row: &'static ProcRow,
    count: usize,
    variadic_array: bool,
) -> Option<Candidate<&'static ProcRow>> {
    let declared = row.args.len();
    if count == declared && (variadic_array || row.variadic == Oid::NONE || row.variadic == Oid::ANY) {
        return Some(Candidate { row, args: row.args.to_vec(), variadic: 0, defaulted: 0 });
    }
    if !variadic_array && row.variadic != Oid::NONE && count >= declared {
        let mut args = row.args[..declared - 1].to_vec();
        let extra = count - (declared - 1);
        args.extend(std::iter::repeat_n(row.variadic, extra));
        let variadic = if row.variadic == Oid::ANY { 0 } else { extra };
        return Some(Candidate { row, args, variadic, defaulted: 0 });
    }
    if count < declared && declared - count <= usize::from(row.defaults) && row.variadic == Oid::NONE {
        let args = row.args[..count].to_vec();
        return Some(Candidate { row, args, variadic: 0, defaulted: declared - count });
    }
    None
}

fn keep_best<T: Clone>(candidates: &mut Vec<Candidate<T>>, score: impl Fn(&Candidate<T>) -> usize) {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.retain(|c| score(c) == best);
}
