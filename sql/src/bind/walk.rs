//! Walking bound expressions: children, and equality apart from positions.

use crate::ir::{Expr, ExprKind, Frame, FrameBound, SubqueryKind, Subscript};

/// The expressions directly inside; queries inside are not entered.
pub(super) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Const(_)
        | ExprKind::Column(_)
        | ExprKind::Param(_)
        | ExprKind::CaseOperand
        | ExprKind::Grouping(_)
        | ExprKind::Session(_)
        | ExprKind::Default => Vec::new(),
        ExprKind::Call { args, .. }
        | ExprKind::SetCall { args, .. }
        | ExprKind::And(args)
        | ExprKind::Or(args)
        | ExprKind::Coalesce(args)
        | ExprKind::MinMax { args, .. }
        | ExprKind::Array { items: args, .. }
        | ExprKind::Row(args) => args.iter().collect(),
        ExprKind::Cast { arg, .. }
        | ExprKind::IsNull { arg, .. }
        | ExprKind::BoolTest { arg, .. }
        | ExprKind::Field { arg, .. }
        | ExprKind::Collate { arg }
        | ExprKind::Not(arg) => vec![arg],
        ExprKind::Distinct { left, right, .. } | ExprKind::NullIf { left, right, .. } => vec![left, right],
        ExprKind::Case { operand, arms, otherwise } => {
            let arms = arms.iter().flat_map(|(when, then)| [when, then]);
            operand.iter().map(|o| &**o).chain(arms).chain(otherwise.iter().map(|o| &**o)).collect()
        }
        ExprKind::RowCompare { left, right, .. } => left.iter().chain(right).collect(),
        ExprKind::ArrayOp { left, array, .. } => vec![left, array],
        ExprKind::Subscript { arg, subscripts } => {
            let mut inside = vec![&**arg];
            for subscript in subscripts {
                match subscript {
                    Subscript::Index(index) => inside.push(index),
                    Subscript::Slice { lower, upper } => inside.extend(lower.iter().chain(upper)),
                }
            }
            inside
        }
        ExprKind::Subquery(subquery) => match &subquery.kind {
            SubqueryKind::Quantified { left, .. } => left.iter().collect(),
            _ => Vec::new(),
        },
        ExprKind::Aggregate(a) => {
            let keys = a.order_by.iter().map(|k| &k.expr);
            a.args.iter().chain(keys).chain(&a.filter).chain(&a.direct).collect()
        }
        ExprKind::Window(w) => w.args.iter().chain(&w.filter).collect(),
    }
}

/// Whether any part of the expression answers `test`.
pub(super) fn any(expr: &Expr, test: &dyn Fn(&Expr) -> bool) -> bool {
    test(expr) || children(expr).into_iter().any(|c| any(c, test))
}

/// The outermost part of the expression that answers `test`.
pub(super) fn find<'e>(expr: &'e Expr, test: &dyn Fn(&Expr) -> bool) -> Option<&'e Expr> {
    if test(expr) {
        return Some(expr);
    }
    children(expr).into_iter().find_map(|c| find(c, test))
}

/// Equal but for positions in the text. Expressions with queries inside are never equal.
pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    if a.ty != b.ty || head(a) != head(b) {
        return false;
    }
    let (left, right) = (children(a), children(b));
    left.len() == right.len() && left.iter().zip(&right).all(|(l, r)| same(l, r))
}

/// Whether two window frames are the same.
pub(super) fn same_frame(a: &Frame, b: &Frame) -> bool {
    let bound = |a: &FrameBound, b: &FrameBound| match (a, b) {
        (FrameBound::Preceding(a), FrameBound::Preceding(b))
        | (FrameBound::Following(a), FrameBound::Following(b)) => same(a, b),
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    };
    a.mode == b.mode && a.exclude == b.exclude && bound(&a.start, &b.start) && bound(&a.end, &b.end)
}

/// All of an expression's own fields but its children.
fn head(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Const(value) => format!("const {value:?}"),
        ExprKind::Column(c) => format!("column {c:?}"),
        ExprKind::Param(n) => format!("param {n}"),
        ExprKind::Call { function, operator, .. } => format!("call {function} {operator}"),
        ExprKind::SetCall { function, .. } => format!("set {function}"),
        ExprKind::Cast { kind, .. } => format!("cast {kind:?}"),
        ExprKind::And(_) => "and".into(),
        ExprKind::Or(_) => "or".into(),
        ExprKind::Not(_) => "not".into(),
        ExprKind::IsNull { negated, .. } => format!("null {negated}"),
        ExprKind::BoolTest { test, .. } => format!("test {test:?}"),
        ExprKind::Distinct { function, negated, .. } => format!("distinct {function} {negated}"),
        ExprKind::Case { operand, arms, otherwise } => {
            format!("case {} {} {}", operand.is_some(), arms.len(), otherwise.is_some())
        }
        ExprKind::CaseOperand => "operand".into(),
        ExprKind::Coalesce(_) => "coalesce".into(),
        ExprKind::NullIf { function, .. } => format!("nullif {function}"),
        ExprKind::MinMax { greatest, function, .. } => format!("minmax {greatest} {function}"),
        ExprKind::Array { element, nested, .. } => format!("array {element} {nested}"),
        ExprKind::Row(_) => "row".into(),
        ExprKind::RowCompare { op, functions, .. } => format!("rows {op:?} {functions:?}"),
        ExprKind::ArrayOp { function, all, .. } => format!("arrayop {function} {all}"),
        ExprKind::Subscript { subscripts, .. } => format!("subscript {}", subscripts.len()),
        ExprKind::Field { field, .. } => format!("field {field}"),
        ExprKind::Aggregate(a) => {
            format!("aggregate {} {} {} {}", a.function, a.distinct, a.star, a.filter.is_some())
        }
        ExprKind::Window(w) => format!("window {} {}", w.function, w.window),
        ExprKind::Grouping(positions) => format!("grouping {positions:?}"),
        ExprKind::Session(value) => format!("session {value:?}"),
        ExprKind::Collate { .. } => "collate".into(),
        ExprKind::Default => "default".into(),
        ExprKind::Subquery(subquery) => format!("query {:p}", &**subquery),
    }
}
