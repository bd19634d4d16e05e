//! Aggregates, GROUP BY, HAVING and DISTINCT.

use super::{Lowerer, Rel, Scope, column};
use crate::ir::{Aggregate, ColumnRef, Expr, ExprKind, Query};
use crate::kernels;
use crate::plan::conjuncts_of;
use crate::registry::Registry;
use crate::relational::aggregate::{Call, CallOrder, Compute, aggregate_function};
use crate::relational::error::from_df;
use crate::relational::key::{KeyClass, key_class, key_expr};
use crate::relational::leaf::PlanColumn;
use crate::relational::rewrite::{self, fingerprint};
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError};
use datafusion::arrow::datatypes::DataType;
use datafusion::functions_aggregate::{
    count::count_udaf,
    min_max::{max_udaf, min_udaf},
    sum::sum_udaf,
};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, Expr as DfExpr, LogicalPlanBuilder, cast, lit};
use rustc_hash::FxHashMap;
use std::sync::Arc;

impl Lowerer {
    /// One row a group. What stands above reads grouping expressions and aggregates as columns.
    pub(super) fn group(&mut self, rel: Rel, query: &mut Query) -> Result<Rel> {
        if query.grouping_sets.is_some() {
            return Err(SqlError::not_built("GROUPING SETS, ROLLUP and CUBE"));
        }
        let mut keys = query.group_by.clone();
        let mut calls: Vec<Aggregate> = vec![];
        let mut types: Vec<TypeRef> = vec![];
        let mut known: FxHashMap<String, usize> = FxHashMap::default();
        for_each_output(query, &mut |e| {
            e.walk(&mut |e| {
                if let ExprKind::Aggregate(call) = &e.kind
                    && let Ok(print) = fingerprint(e)
                    && !known.contains_key(&print)
                {
                    known.insert(print, calls.len());
                    calls.push((**call).clone());
                    types.push(e.ty);
                }
            });
            Ok(())
        })?;
        // Arguments may hold subqueries; keys too.
        let mut args: Vec<Expr> = calls.iter().flat_map(argument_exprs).cloned().collect();
        let key_count = keys.len();
        keys.append(&mut args);
        let rel = self.subqueries(rel, &mut keys)?;
        let args = keys.split_off(key_count);
        let loose = loose_columns(query, &keys)?;
        let (rel, made) = self.aggregate(rel, &keys, &calls, &types, args, &loose)?;
        self.replace_grouped(query, &made, &known)?;
        let Some(having) = query.having.take() else { return Ok(rel) };
        let mut conjuncts: Vec<Expr> = conjuncts_of(&having).into_iter().cloned().collect();
        let rel = self.subqueries(rel, &mut conjuncts)?;
        self.filter(rel, &conjuncts)
    }

    fn aggregate(
        &mut self,
        rel: Rel,
        keys: &[Expr],
        calls: &[Aggregate],
        types: &[TypeRef],
        args: Vec<Expr>,
        loose: &[(ColumnRef, TypeRef)],
    ) -> Result<(Rel, Made)> {
        let mut input = vec![];
        let mut group = vec![];
        let mut outputs = vec![];
        let mut scope = Scope::default();
        let mut made = Made { keys: vec![], calls: vec![], loose: vec![] };
        for key in keys {
            let name = self.name("g");
            input.push(self.expr(key, &rel.scope)?.alias(&name));
            let new = match key_class(key.ty.oid, &self.env.catalog)? {
                KeyClass::Native => {
                    group.push(column(&name));
                    self.made(&name, key.ty, &mut scope)
                }
                KeyClass::Encoded => {
                    let by = self.name("k");
                    input.push(key_expr(self.expr(key, &rel.scope)?, key.ty.oid, &self.env)?.alias(&by));
                    group.push(column(&by));
                    let first = self.name("f");
                    outputs.push(self.first(&name, key.ty).alias(&first));
                    self.made(&first, key.ty, &mut scope)
                }
            };
            made.keys.push((fingerprint(key)?, new));
        }
        for (loose, ty) in loose {
            let name = self.name("l");
            input.push(DfExpr::Column(rel.scope.get(*loose)?.column.clone()).alias(&name));
            let first = self.name("f");
            outputs.push(self.first(&name, *ty).alias(&first));
            made.loose.push((*loose, self.made(&first, *ty, &mut scope)));
        }
        let mut args = args.into_iter();
        for (call, ty) in calls.iter().zip(types) {
            let name = self.name("a");
            let lowered = self.call(call, *ty, &mut args, &rel.scope, &mut input)?;
            outputs.push(lowered.alias(&name));
            made.calls.push(self.made(&name, *ty, &mut scope));
        }
        let mut builder = LogicalPlanBuilder::from(rel.plan);
        if input.is_empty() {
            input.push(lit(true).alias(self.name("x")));
        }
        builder = builder.project(input).map_err(from_df)?;
        if outputs.is_empty() && group.is_empty() {
            outputs.push(native(&count_udaf(), vec![lit(1i64)], false, None).alias(self.name("x")));
        }
        let plan = builder.aggregate(group, outputs).and_then(LogicalPlanBuilder::build).map_err(from_df)?;
        Ok((Rel { plan, scope }, made))
    }

    /// The first value of a column in each group.
    fn first(&self, name: &str, ty: TypeRef) -> DfExpr {
        let call = Call {
            compute: Compute::First,
            args: vec![ty.oid],
            returns: ty,
            distinct: false,
            order: vec![],
            env: self.env.clone(),
        };
        aggregate_function(call).call(vec![column(name)])
    }

    /// One call. Its arguments become columns of `input`, the projection below.
    fn call(
        &self,
        call: &Aggregate,
        ty: TypeRef,
        args: &mut impl Iterator<Item = Expr>,
        scope: &Scope,
        input: &mut Vec<DfExpr>,
    ) -> Result<DfExpr> {
        if !call.direct.is_empty() {
            return Err(SqlError::not_built("ordered-set aggregates"));
        }
        let mut place = |e: Option<Expr>| -> Result<(DfExpr, Oid)> {
            let e = e.ok_or_else(|| SqlError::internal("argument of an aggregate"))?;
            let name = self.name("p");
            input.push(self.expr(&e, scope)?.alias(&name));
            Ok((column(&name), e.ty.oid))
        };
        let placed = call.args.iter().map(|_| place(args.next())).collect::<Result<Vec<_>>>()?;
        let order = call.order_by.iter().map(|_| place(args.next())).collect::<Result<Vec<_>>>()?;
        let filter = call.filter.as_ref().map(|_| place(args.next())).transpose()?.map(|(f, _)| Box::new(f));
        let name = Registry::get().proc(call.function).map_or("", |p| p.name);
        let types: Vec<Oid> = placed.iter().map(|(_, ty)| *ty).collect();
        let mut exprs: Vec<DfExpr> = placed.into_iter().map(|(e, _)| e).collect();
        if let Some((function, exprs)) = self.native_call(name, call, &types, &exprs) {
            return Ok(native(&function, exprs, call.distinct && name == "count", filter));
        }
        let kernel = kernels::aggregate(call.function)
            .ok_or_else(|| SqlError::not_built(format!("aggregate {name}")))?;
        if exprs.is_empty() {
            exprs.push(lit(true));
        }
        let function = aggregate_function(Call {
            compute: Compute::Kernel(kernel),
            args: if types.is_empty() { vec![Oid::BOOL] } else { types },
            returns: ty,
            distinct: call.distinct,
            order: call
                .order_by
                .iter()
                .zip(&order)
                .map(|(key, (_, ty))| CallOrder {
                    ty: *ty,
                    descending: key.descending,
                    nulls_first: key.nulls_first,
                })
                .collect(),
            env: self.env.clone(),
        });
        exprs.extend(order.into_iter().map(|(e, _)| e));
        Ok(native(&Arc::new(function), exprs, false, filter))
    }

    /// DataFusion's own function, where it computes the same.
    fn native_call(
        &self,
        name: &str,
        call: &Aggregate,
        types: &[Oid],
        exprs: &[DfExpr],
    ) -> Option<(Arc<AggregateUDF>, Vec<DfExpr>)> {
        let is_native = |ty: &Oid| key_class(*ty, &self.env.catalog) == Ok(KeyClass::Native);
        match (name, types) {
            ("count", []) => Some((count_udaf(), vec![lit(1i64)])),
            ("count", [ty]) if !call.distinct || is_native(ty) => Some((count_udaf(), exprs.to_vec())),
            ("min" | "max", [ty]) if is_native(ty) && !matches!(*ty, Oid::BOOL | Oid::UUID) => {
                let function = if name == "min" { min_udaf() } else { max_udaf() };
                Some((function, exprs.to_vec()))
            }
            // Four billion rows of int4 fit into 64 bits.
            ("sum", [Oid::INT2 | Oid::INT4]) if !call.distinct => {
                Some((sum_udaf(), exprs.iter().map(|e| cast(e.clone(), DataType::Int64)).collect()))
            }
            _ => None,
        }
    }

    /// Puts the made columns for grouping expressions and aggregates in everything above.
    fn replace_grouped(
        &self,
        query: &mut Query,
        made: &Made,
        known: &FxHashMap<String, usize>,
    ) -> Result<()> {
        for_each_output(query, &mut |e| {
            rewrite::replace(e, &mut |e| {
                let print = fingerprint(e)?;
                if let ExprKind::Aggregate(_) = &e.kind {
                    let at =
                        known.get(&print).ok_or_else(|| SqlError::internal("aggregate out of nowhere"))?;
                    return Ok(Some(made.calls[*at].clone()));
                }
                if let Some((_, new)) = made.keys.iter().find(|(key, _)| *key == print) {
                    return Ok(Some(new.clone()));
                }
                Ok(None)
            })?;
            // Loose columns, and outer references of subqueries.
            rewrite::expr(e, 0, &mut |e, depth| {
                let ExprKind::Column(c) = &e.kind else { return Ok(()) };
                if c.levels_up != depth {
                    return Ok(());
                }
                let plain = ColumnRef { levels_up: 0, ..*c };
                let print = fingerprint(&Expr::new(ExprKind::Column(plain), e.ty))?;
                let key = made.keys.iter().find(|(key, _)| *key == print).map(|(_, new)| new);
                let loose = made.loose.iter().find(|(column, _)| *column == plain).map(|(_, new)| new);
                if let Some(Expr { kind: ExprKind::Column(new), .. }) = key.or(loose) {
                    e.kind = ExprKind::Column(ColumnRef { levels_up: depth, ..*new });
                }
                Ok(())
            })
        })
    }

    /// Distinct rows over `columns`; other columns go.
    pub(super) fn distinct(
        &self,
        builder: LogicalPlanBuilder,
        columns: &[PlanColumn],
    ) -> Result<LogicalPlanBuilder> {
        self.distinct_with(builder, columns, vec![])
    }

    /// Groups by all `columns`, which keep their names, with more aggregates.
    pub(super) fn distinct_with(
        &self,
        builder: LogicalPlanBuilder,
        columns: &[PlanColumn],
        more: Vec<DfExpr>,
    ) -> Result<LogicalPlanBuilder> {
        let mut input: Vec<DfExpr> = vec![];
        let (mut group, mut outputs, mut last) = (vec![], more, vec![]);
        for existing in builder.schema().columns() {
            input.push(DfExpr::Column(existing));
        }
        for c in columns {
            match key_class(c.ty.oid, &self.env.catalog)? {
                KeyClass::Native => {
                    group.push(column(&c.name));
                    last.push(column(&c.name));
                }
                KeyClass::Encoded => {
                    let (by, first) = (self.name("k"), self.name("f"));
                    input.push(key_expr(column(&c.name), c.ty.oid, &self.env)?.alias(&by));
                    group.push(column(&by));
                    outputs.push(self.first(&c.name, c.ty).alias(&first));
                    last.push(column(&first).alias(&c.name));
                }
            }
        }
        let kept: Vec<DfExpr> = outputs
            .iter()
            .filter_map(|e| match e {
                DfExpr::Alias(alias) if !last.iter().any(|l| reads(l, &alias.name)) => {
                    Some(column(&alias.name))
                }
                _ => None,
            })
            .collect();
        last.extend(kept);
        let builder = builder.project(input).map_err(from_df)?;
        let builder = builder.aggregate(group, outputs).map_err(from_df)?;
        builder.project(last).map_err(from_df)
    }
}

/// Whether an output is the column of that name, under an alias or not.
fn reads(e: &DfExpr, name: &str) -> bool {
    match e {
        DfExpr::Alias(alias) => reads(&alias.expr, name),
        DfExpr::Column(c) => c.name == name,
        _ => false,
    }
}

/// What replaces grouping expressions, aggregates, and columns that depend on the group.
struct Made {
    keys: Vec<(String, Expr)>,
    calls: Vec<Expr>,
    loose: Vec<(ColumnRef, Expr)>,
}

fn native(
    function: &Arc<AggregateUDF>,
    args: Vec<DfExpr>,
    distinct: bool,
    filter: Option<Box<DfExpr>>,
) -> DfExpr {
    DfExpr::AggregateFunction(AggregateFunction::new_udf(
        function.clone(),
        args,
        distinct,
        filter,
        vec![],
        None,
    ))
}

/// Arguments, sort keys, filter: the order in which `call` takes them.
fn argument_exprs(call: &Aggregate) -> impl Iterator<Item = &Expr> {
    call.args.iter().chain(call.order_by.iter().map(|k| &k.expr)).chain(&call.filter)
}

/// Everything that is computed after grouping.
fn for_each_output(query: &mut Query, visit: &mut dyn FnMut(&mut Expr) -> Result<()>) -> Result<()> {
    let targets = query.targets.iter_mut().map(|t| &mut t.expr);
    let order = query.order_by.iter_mut().map(|k| &mut k.expr);
    let mut all: Vec<&mut Expr> = targets.chain(order).chain(&mut query.having).collect();
    if let crate::ir::Distinct::On(keys) = &mut query.distinct {
        all.extend(keys.iter_mut());
    }
    for window in &mut query.windows {
        all.extend(window.partition_by.iter_mut().chain(window.order_by.iter_mut().map(|k| &mut k.expr)));
    }
    all.into_iter().try_for_each(visit)
}

/// Columns read outside aggregates that are no grouping expression: the primary key determines them.
fn loose_columns(query: &mut Query, keys: &[Expr]) -> Result<Vec<(ColumnRef, TypeRef)>> {
    let keys = keys.iter().map(fingerprint).collect::<Result<Vec<_>>>()?;
    let mut found: Vec<(ColumnRef, TypeRef)> = vec![];
    for_each_output(query, &mut |e| {
        let mut copy = e.clone();
        rewrite::replace(&mut copy, &mut |e| {
            let covered = matches!(e.kind, ExprKind::Aggregate(_)) || keys.contains(&fingerprint(e)?);
            Ok(covered.then(|| Expr::constant(crate::types::Datum::Null, e.ty)))
        })?;
        rewrite::expr(&mut copy, 0, &mut |e, depth| {
            if let ExprKind::Column(c) = &e.kind
                && c.levels_up == depth
            {
                let plain = ColumnRef { levels_up: 0, ..*c };
                let print = fingerprint(&Expr::new(ExprKind::Column(plain), e.ty))?;
                if !keys.contains(&print) && !found.iter().any(|(known, _)| *known == plain) {
                    found.push((plain, e.ty));
                }
            }
            Ok(())
        })
    })?;
    Ok(found)
}
