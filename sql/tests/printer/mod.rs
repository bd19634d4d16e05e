//! Bound trees in a compact form: functions by name with their argument types, types after `:`.

use sql::Oid;
use sql::ir::{
    Bound, CastKind, ConflictAction, Expr, ExprKind, FromItem, InsertSource, Modify, ModifyKind, Query,
    RangeKind, SortKey, SubqueryKind, Target,
};
use sql::registry::Registry;
use sql::types::{Datum, TypeRef};

pub(crate) fn type_name(oid: Oid) -> String {
    Registry::get().type_by_oid(oid).map_or_else(|| oid.to_string(), |row| row.name.to_owned())
}

fn ty(ty: TypeRef) -> String {
    let name = type_name(ty.oid);
    if ty.typmod >= 0 { format!("{name}({})", ty.typmod) } else { name }
}

fn function(oid: Oid) -> String {
    Registry::get().proc(oid).map_or_else(|| oid.to_string(), |row| row.name.to_owned())
}

pub(crate) fn bound(bound: &Bound) -> String {
    match bound {
        Bound::Query(q) => query(q, 0),
        Bound::Modify(m) => modify(m, 0),
    }
}

fn line(out: &mut String, depth: usize, text: &str) {
    out.push_str(&"  ".repeat(depth));
    out.push_str(text);
    out.push('\n');
}

fn query(q: &Query, depth: usize) -> String {
    let mut out = String::new();
    for cte in &q.ctes {
        line(&mut out, depth, &format!("with {} recursive={}", cte.name, cte.recursive));
        match &cte.body {
            sql::ir::CteBody::Query(q) => out.push_str(&query(q, depth + 1)),
            sql::ir::CteBody::Modify(m) => out.push_str(&modify(m, depth + 1)),
        }
    }
    if let Some(set) = &q.set_op {
        line(&mut out, depth, &format!("{:?} all={}", set.kind, set.all));
        out.push_str(&query(&set.left, depth + 1));
        out.push_str(&query(&set.right, depth + 1));
    }
    for (i, range) in q.ranges.iter().enumerate() {
        let kind = match &range.kind {
            RangeKind::Table(t) => format!("table {}", t.name()),
            RangeKind::Virtual(oid) => format!("virtual {oid}"),
            RangeKind::Subquery { lateral, .. } => format!("subquery lateral={lateral}"),
            RangeKind::Values(rows) => {
                let rows: Vec<String> = rows.iter().map(|r| format!("({})", list(r))).collect();
                format!("values {}", rows.join(" "))
            }
            RangeKind::Functions { calls, ordinality, .. } => {
                format!("functions {} ordinality={ordinality}", list(calls))
            }
            RangeKind::Cte { levels_up, index } => format!("cte {levels_up}.{index}"),
            RangeKind::WorkTable { levels_up, index } => format!("work table {levels_up}.{index}"),
            RangeKind::Join { .. } => "join".to_owned(),
        };
        line(&mut out, depth, &format!("range {i} {}: {kind}", range.alias));
        if let RangeKind::Subquery { query: inner, .. } = &range.kind {
            out.push_str(&query(inner, depth + 1));
        }
    }
    for item in &q.from {
        line(&mut out, depth, &format!("from {}", from(item)));
    }
    if let Some(filter) = &q.filter {
        line(&mut out, depth, &format!("where {}", expr(filter)));
    }
    if !q.group_by.is_empty() || q.aggregated {
        line(&mut out, depth, &format!("group by {} sets={:?}", list(&q.group_by), q.grouping_sets));
    }
    if let Some(having) = &q.having {
        line(&mut out, depth, &format!("having {}", expr(having)));
    }
    for w in &q.windows {
        let text = format!("window partition {} order {}", list(&w.partition_by), keys(&w.order_by));
        line(&mut out, depth, &text);
    }
    targets(&mut out, depth, &q.targets);
    match &q.distinct {
        sql::ir::Distinct::No => {}
        sql::ir::Distinct::All => line(&mut out, depth, "distinct"),
        sql::ir::Distinct::On(on) => line(&mut out, depth, &format!("distinct on {}", list(on))),
    }
    if !q.order_by.is_empty() {
        line(&mut out, depth, &format!("order by {}", keys(&q.order_by)));
    }
    for (label, value) in [("limit", &q.limit), ("offset", &q.offset)] {
        if let Some(value) = value {
            line(&mut out, depth, &format!("{label} {}", expr(value)));
        }
    }
    for lock in &q.locking {
        line(&mut out, depth, &format!("lock {:?} {:?} {:?}", lock.strength, lock.ranges, lock.wait));
    }
    out
}

fn targets(out: &mut String, depth: usize, targets: &[Target]) {
    for t in targets {
        let text = format!("target {} = {} : {}", t.name, expr(&t.expr), ty(t.expr.ty));
        line(out, depth, &text);
    }
}

fn modify(m: &Modify, depth: usize) -> String {
    let mut out = String::new();
    match &m.kind {
        ModifyKind::Insert { columns, source, on_conflict, overriding } => {
            line(&mut out, depth, &format!("insert {} {columns:?} {overriding:?}", m.table.name()));
            match source {
                InsertSource::DefaultValues => line(&mut out, depth, "default values"),
                InsertSource::Values(rows) => {
                    for row in rows {
                        line(&mut out, depth, &format!("row {}", list(row)));
                    }
                }
                InsertSource::Query(q) => out.push_str(&query(q, depth + 1)),
            }
            if let Some(conflict) = on_conflict {
                line(&mut out, depth, &format!("on conflict {:?}", conflict.arbiter));
                if let ConflictAction::Update { set, filter } = &conflict.action {
                    sets(&mut out, depth, set);
                    if let Some(filter) = filter {
                        line(&mut out, depth, &format!("where {}", expr(filter)));
                    }
                }
            }
        }
        ModifyKind::Update { set } => {
            line(&mut out, depth, &format!("update {}", m.table.name()));
            sets(&mut out, depth, set);
        }
        ModifyKind::Delete => line(&mut out, depth, &format!("delete {}", m.table.name())),
    }
    out.push_str(&query(&m.query, depth + 1));
    for t in &m.returning {
        line(&mut out, depth, &format!("returning {} = {} : {}", t.name, expr(&t.expr), ty(t.expr.ty)));
    }
    out
}

fn sets(out: &mut String, depth: usize, set: &[(i16, Expr)]) {
    for (number, value) in set {
        line(out, depth, &format!("set {number} = {}", expr(value)));
    }
}

fn from(item: &FromItem) -> String {
    match item {
        FromItem::Range(r) => r.0.to_string(),
        FromItem::Join { kind, left, right, on, range } => {
            let on = on.as_ref().map(|e| format!(" on {}", expr(e))).unwrap_or_default();
            let range = range.map(|r| format!(" as {}", r.0)).unwrap_or_default();
            format!("({} {kind:?} {}{on}{range})", from(left), from(right))
        }
    }
}

fn keys(keys: &[SortKey]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|k| format!("{} desc={} nulls_first={}", expr(&k.expr), k.descending, k.nulls_first))
        .collect();
    keys.join(", ")
}

fn list(exprs: &[Expr]) -> String {
    exprs.iter().map(expr).collect::<Vec<_>>().join(", ")
}

fn datum(value: &Datum) -> String {
    match value {
        Datum::Null => "null".into(),
        Datum::Bool(b) => b.to_string(),
        Datum::Int2(v) => v.to_string(),
        Datum::Int4(v) => v.to_string(),
        Datum::Int8(v) => v.to_string(),
        Datum::Text(s) => format!("'{s}'"),
        other => format!("{other:?}"),
    }
}

fn expr(e: &Expr) -> String {
    match &e.kind {
        ExprKind::Const(value) => format!("{}:{}", datum(value), ty(e.ty)),
        ExprKind::Column(c) => format!("{}{}.{}", "^".repeat(usize::from(c.levels_up)), c.range.0, c.column),
        ExprKind::Param(n) => format!("${n}:{}", ty(e.ty)),
        ExprKind::Call { function: f, args, .. } => format!("{}({})", function(*f), list(args)),
        ExprKind::SetCall { function: f, args } => format!("set {}({})", function(*f), list(args)),
        ExprKind::Cast { kind, arg, .. } => {
            let how = match kind {
                CastKind::Function(f) => function(*f),
                other => format!("{other:?}"),
            };
            format!("{}::{}[{how}]", expr(arg), ty(e.ty))
        }
        ExprKind::And(parts) => format!("and({})", list(parts)),
        ExprKind::Or(parts) => format!("or({})", list(parts)),
        ExprKind::Not(arg) => format!("not({})", expr(arg)),
        ExprKind::IsNull { arg, negated } => format!("isnull({}, {negated})", expr(arg)),
        ExprKind::Case { operand, arms, otherwise } => {
            let arms: Vec<String> = arms.iter().map(|(w, t)| format!("{} -> {}", expr(w), expr(t))).collect();
            let operand = operand.as_ref().map(|o| expr(o)).unwrap_or_default();
            let otherwise = otherwise.as_ref().map(|o| expr(o)).unwrap_or_default();
            format!("case({operand}; {}; {otherwise})", arms.join(", "))
        }
        ExprKind::CaseOperand => "operand".into(),
        ExprKind::Coalesce(args) => format!("coalesce({})", list(args)),
        ExprKind::Array { items, .. } => format!("array[{}]:{}", list(items), ty(e.ty)),
        ExprKind::ArrayOp { function: f, all, left, array, .. } => {
            format!("{}({} {} {})", function(*f), expr(left), if *all { "all" } else { "any" }, expr(array))
        }
        ExprKind::Aggregate(a) => {
            let star = if a.star { "*" } else { "" };
            let distinct = if a.distinct { "distinct " } else { "" };
            format!("agg {}({distinct}{star}{})", function(a.function), list(&a.args))
        }
        ExprKind::Window(w) => {
            format!("window {}({}) over {}", function(w.function), list(&w.args), w.window)
        }
        ExprKind::Subquery(s) => {
            let kind = match &s.kind {
                SubqueryKind::Quantified { left, functions, negated, all } => {
                    let functions: Vec<String> = functions.iter().map(|f| function(*f)).collect();
                    format!("quantified {} {} all={all} negated={negated}", list(left), functions.join(","))
                }
                other => format!("{other:?}").to_lowercase(),
            };
            format!("({kind}: {})", query(&s.query, 0).trim_end().replace('\n', "; "))
        }
        ExprKind::Default => "default".into(),
        other => {
            let text = format!("{other:?}");
            text.chars().take(60).collect()
        }
    }
}
