//! Expressions: columns, operators, conditions, CASE, arrays, rows and subqueries.

use super::Binder;
use super::coerce::place;
use super::scope::Clause;
use super::walk::any;
use crate::ir::{BoolTest, Expr, ExprKind, Offset, RowCompareOp, Subquery, SubqueryKind, Subscript};
use crate::parse::lexer::{end_of, offset_of};
use crate::registry::{CastContext, Registry};
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{self, AccessExpr, BinaryOperator, Spanned, UnaryOperator};

impl Binder<'_> {
    /// An expression as part of that clause.
    pub(super) fn expr_in(&mut self, clause: Clause, tree: &ast::Expr) -> Result<Expr> {
        let around = std::mem::replace(&mut self.clause, clause);
        let bound = self.expr(tree);
        self.clause = around;
        bound
    }

    /// A condition as part of that clause.
    pub(super) fn condition(&mut self, clause: Clause, label: &str, tree: &ast::Expr) -> Result<Expr> {
        let bound = self.expr_in(clause, tree)?;
        self.boolean(bound, label)
    }

    pub(super) fn expr(&mut self, tree: &ast::Expr) -> Result<Expr> {
        match tree {
            ast::Expr::Value(v) => self.value(&v.value, false, offset_of(v.span)),
            ast::Expr::Identifier(name) => self.identifier(name),
            ast::Expr::CompoundIdentifier(parts) => self.qualified_column(parts),
            ast::Expr::Nested(inner) => self.expr(inner),
            ast::Expr::BinaryOp { left, op, right } => self.binary(tree, left, op, right),
            ast::Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            ast::Expr::Function(call) => self.function(call),
            ast::Expr::Cast { expr, data_type, .. } => self.cast_to(expr, data_type),
            ast::Expr::TypedString(literal) => {
                let target = self.type_name(&literal.data_type)?;
                let value = self.value(&literal.value.value, false, offset_of(literal.value.span))?;
                self.cast(value, target)
            }
            ast::Expr::IsNull(e) => self.is_null(e, false),
            ast::Expr::IsNotNull(e) => self.is_null(e, true),
            ast::Expr::IsTrue(e) => self.bool_test(e, BoolTest::True, "IS TRUE"),
            ast::Expr::IsNotTrue(e) => self.bool_test(e, BoolTest::NotTrue, "IS NOT TRUE"),
            ast::Expr::IsFalse(e) => self.bool_test(e, BoolTest::False, "IS FALSE"),
            ast::Expr::IsNotFalse(e) => self.bool_test(e, BoolTest::NotFalse, "IS NOT FALSE"),
            ast::Expr::IsUnknown(e) => self.bool_test(e, BoolTest::Unknown, "IS UNKNOWN"),
            ast::Expr::IsNotUnknown(e) => self.bool_test(e, BoolTest::NotUnknown, "IS NOT UNKNOWN"),
            ast::Expr::IsDistinctFrom(l, r) => self.distinct_from(l, r, false),
            ast::Expr::IsNotDistinctFrom(l, r) => self.distinct_from(l, r, true),
            ast::Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            ast::Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            ast::Expr::InSubquery { expr, subquery, negated } => {
                self.quantified(expr, "=", subquery, false, *negated)
            }
            ast::Expr::AnyOp { left, compare_op, right, .. } => self.any_all(left, compare_op, right, false),
            ast::Expr::AllOp { left, compare_op, right } => self.any_all(left, compare_op, right, true),
            ast::Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let operator = if *negated { "!~~" } else { "~~" };
                self.like(expr, pattern, escape_char.as_deref(), operator, "like_escape")
            }
            ast::Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let operator = if *negated { "!~~*" } else { "~~*" };
                self.like(expr, pattern, escape_char.as_deref(), operator, "like_escape")
            }
            ast::Expr::Like { negated, expr, pattern, .. } => {
                self.any_array(expr, if *negated { "!~~" } else { "~~" }, pattern, false)
            }
            ast::Expr::ILike { negated, expr, pattern, .. } => {
                self.any_array(expr, if *negated { "!~~*" } else { "~~*" }, pattern, false)
            }
            ast::Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                let operator = if *negated { "!~" } else { "~" };
                self.similar(expr, pattern, escape_char.as_deref(), operator)
            }
            ast::Expr::Case { operand, conditions, else_result, case_token, .. } => {
                let at = offset_of(case_token.0.span);
                self.case(operand.as_deref(), conditions, else_result.as_deref(), at)
            }
            ast::Expr::Exists { subquery, negated } => self.exists(subquery, *negated),
            ast::Expr::Subquery(query) => self.scalar_subquery(query),
            ast::Expr::Array(array) => self.array(&array.elem, offset_of(tree.span())),
            ast::Expr::Tuple(fields) => self.row(fields),
            ast::Expr::Prefixed { prefix, value } if prefix.value == "row" => match &**value {
                ast::Expr::Tuple(fields) => self.row(fields),
                other => self.expr(other),
            },
            ast::Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            ast::Expr::Collate { expr, collation } => self.collate(expr, collation),
            other => self.special(other),
        }
    }

    fn identifier(&mut self, name: &ast::Ident) -> Result<Expr> {
        if name.quote_style.is_none()
            && let Some(value) = super::special::session_word(&name.value)
        {
            return self.session_value(value, None, offset_of(name.span));
        }
        if name.quote_style.is_none() && name.value == "default" {
            let message = "DEFAULT is not allowed in this context";
            return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), offset_of(name.span)));
        }
        self.column(name)
    }

    fn cast_to(&mut self, inner: &ast::Expr, data_type: &ast::DataType) -> Result<Expr> {
        let target = self.type_name(data_type)?;
        // ARRAY[…]::type[] gives the elements their type.
        if let (ast::Expr::Array(array), Some(element)) = (inner, self.element_of(target.oid)) {
            let at = offset_of(inner.span());
            return self.array_of_type(&array.elem, element, target, at);
        }
        let bound = self.expr(inner)?;
        let from = bound.ty.oid;
        if !self.can_coerce(from, target.oid, CastContext::Explicit) {
            let at = end_of(inner.span()).and_then(|end| self.text.get(end..)?.find("::").map(|i| end + i));
            return Err(self.cannot_cast(from, target.oid, at.or(bound.at)));
        }
        self.cast(bound, target)
    }

    /// A chain of AND or OR, flat, however deep the tree leans left.
    fn logic(&mut self, tree: &ast::Expr, wanted: &BinaryOperator) -> Result<Expr> {
        let mut parts = Vec::new();
        let mut at = tree;
        while let ast::Expr::BinaryOp { left, op, right } = at
            && op == wanted
        {
            parts.push(&**right);
            at = left;
        }
        parts.push(at);
        let label = if *wanted == BinaryOperator::And { "AND" } else { "OR" };
        let mut bound = Vec::with_capacity(parts.len());
        for part in parts.into_iter().rev() {
            let part = self.expr(part)?;
            bound.push(self.boolean(part, label)?);
        }
        let place = bound.first().and_then(|b| b.at);
        let kind = if *wanted == BinaryOperator::And { ExprKind::And(bound) } else { ExprKind::Or(bound) };
        Ok(Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(place))
    }

    fn binary(
        &mut self,
        tree: &ast::Expr,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
    ) -> Result<Expr> {
        match op {
            BinaryOperator::And | BinaryOperator::Or => return self.logic(tree, op),
            BinaryOperator::Overlaps => return self.overlaps(left, right),
            _ => {}
        }
        let name = operator_name(op);
        if let Some(compare) = row_compare_op(&name)
            && let (Some(l), Some(r)) = (row_fields(left), row_fields(right))
        {
            return self.row_comparison(l, compare, &name, r, end_of(left.span()));
        }
        let at = self.operator_place(left, &name);
        let left = self.expr(left)?;
        let right = self.expr(right)?;
        self.operator(&name, left, right, at)
    }

    /// Where an operator stands: after its left operand.
    fn operator_place(&self, left: &ast::Expr, name: &str) -> Offset {
        let end = end_of(left.span())?;
        let written = if name == "<>" && !self.text[end.min(self.text.len())..].trim_start().starts_with("<>")
        {
            "!="
        } else {
            name
        };
        self.text.get(end..)?.find(written).map(|i| end + i)
    }

    /// An infix operator over bound operands.
    pub(super) fn operator(&mut self, name: &str, left: Expr, right: Expr, at: Offset) -> Result<Expr> {
        let row = self.find_operator(name, Some(left.ty.oid), right.ty.oid, at)?;
        let start = left.at.or(at);
        let (args, result) = self.coerce_args(vec![left, right], &[row.left, row.right], row.result, at)?;
        if row.function == Oid::NONE {
            return Err(place(SqlError::not_built(format!("operator {name}")), at));
        }
        let kind = ExprKind::Call { function: row.function, operator: row.oid, args };
        Ok(Expr::new(kind, self.ty(result)).with_at(start))
    }

    fn unary(&mut self, op: UnaryOperator, inner: &ast::Expr) -> Result<Expr> {
        let at = offset_of(inner.span()).and_then(|i| self.text[..i].rfind(&op.to_string()));
        match op {
            UnaryOperator::Not => {
                let bound = self.expr(inner)?;
                let bound = self.boolean(bound, "NOT")?;
                Ok(Expr::new(ExprKind::Not(Box::new(bound)), TypeRef::of(Oid::BOOL)).with_at(at))
            }
            UnaryOperator::Minus if matches!(inner, ast::Expr::Value(v) if matches!(v.value, ast::Value::Number(..))) =>
            {
                let ast::Expr::Value(v) = inner else { return Err(SqlError::internal("not a value")) };
                self.value(&v.value, true, at)
            }
            _ => {
                let bound = self.expr(inner)?;
                let name = op.to_string();
                let row = self.find_operator(&name, None, bound.ty.oid, at)?;
                let (args, result) = self.coerce_args(vec![bound], &[row.right], row.result, at)?;
                let kind = ExprKind::Call { function: row.function, operator: row.oid, args };
                Ok(Expr::new(kind, self.ty(result)).with_at(at))
            }
        }
    }

    fn is_null(&mut self, inner: &ast::Expr, negated: bool) -> Result<Expr> {
        let arg = self.expr(inner)?;
        let at = arg.at;
        let kind = ExprKind::IsNull { arg: Box::new(arg), negated };
        Ok(Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(at))
    }

    fn bool_test(&mut self, inner: &ast::Expr, test: BoolTest, label: &str) -> Result<Expr> {
        let arg = self.expr(inner)?;
        let arg = self.boolean(arg, label)?;
        let at = arg.at;
        let kind = ExprKind::BoolTest { arg: Box::new(arg), test };
        Ok(Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(at))
    }

    fn distinct_from(&mut self, left: &ast::Expr, right: &ast::Expr, negated: bool) -> Result<Expr> {
        let is_null = |e: &ast::Expr| matches!(e, ast::Expr::Value(v) if v.value == ast::Value::Null);
        if is_null(right) {
            return self.is_null(left, !negated);
        }
        if is_null(left) {
            return self.is_null(right, !negated);
        }
        let at = end_of(left.span());
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        let (function, left, right) = self.equality(left, right, at)?;
        let start = left.at;
        let kind = ExprKind::Distinct { function, left: Box::new(left), right: Box::new(right), negated };
        Ok(Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(start))
    }

    /// The function of `=` and its coerced operands.
    pub(super) fn equality(&mut self, left: Expr, right: Expr, at: Offset) -> Result<(Oid, Expr, Expr)> {
        let row = self.find_operator("=", Some(left.ty.oid), right.ty.oid, at)?;
        let (mut args, _) = self.coerce_args(vec![left, right], &[row.left, row.right], row.result, at)?;
        match (args.pop(), args.pop()) {
            (Some(right), Some(left)) => Ok((row.function, left, right)),
            _ => Err(SqlError::internal("an operator lost its operands")),
        }
    }

    fn between(
        &mut self,
        inner: &ast::Expr,
        negated: bool,
        low: &ast::Expr,
        high: &ast::Expr,
    ) -> Result<Expr> {
        let at = end_of(inner.span());
        let value = self.expr(inner)?;
        let (low, high) = (self.expr(low)?, self.expr(high)?);
        let (above, below) = if negated { ("<", ">") } else { (">=", "<=") };
        let start = value.at;
        let parts =
            vec![self.operator(above, value.clone(), low, at)?, self.operator(below, value, high, at)?];
        let kind = if negated { ExprKind::Or(parts) } else { ExprKind::And(parts) };
        Ok(Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(start))
    }

    fn in_list(&mut self, inner: &ast::Expr, list: &[ast::Expr], negated: bool) -> Result<Expr> {
        let name = if negated { "<>" } else { "=" };
        let at = end_of(inner.span());
        if let Some(fields) = row_fields(inner) {
            let compare = if negated { RowCompareOp::Ne } else { RowCompareOp::Eq };
            let mut parts = Vec::with_capacity(list.len());
            for item in list {
                let Some(values) = row_fields(item) else {
                    return Err(place(SqlError::not_built("a row compared with a scalar"), at));
                };
                parts.push(self.row_comparison(fields, compare, name, values, at)?);
            }
            return Ok(join(parts, negated));
        }
        let value = self.expr(inner)?;
        let items: Vec<Expr> = list.iter().map(|i| self.expr(i)).collect::<Result<_>>()?;
        let has_column =
            |e: &Expr| any(e, &|e| matches!(e.kind, ExprKind::Column(_) | ExprKind::Subquery(_)));
        let (with_columns, plain): (Vec<Expr>, Vec<Expr>) = items.into_iter().partition(has_column);
        let mut parts = Vec::new();
        let mut separate = with_columns;
        if plain.len() > 1 {
            let around: Vec<&Expr> = [&value].into_iter().chain(&plain).collect();
            let common = self.common_type("IN", &around).ok().filter(|t| self.array_of(*t).is_some());
            match common {
                Some(common) => {
                    let plain: Vec<Expr> =
                        plain.into_iter().map(|p| self.to_common(p, common, "IN")).collect::<Result<_>>()?;
                    parts.push(self.array_op(name, value.clone(), plain, common, negated, at)?);
                }
                None => separate.extend(plain),
            }
        } else {
            separate.extend(plain);
        }
        for item in separate {
            parts.push(self.operator(name, value.clone(), item, at)?);
        }
        Ok(join(parts, negated))
    }

    fn array_op(
        &mut self,
        name: &str,
        left: Expr,
        items: Vec<Expr>,
        element: Oid,
        all: bool,
        at: Offset,
    ) -> Result<Expr> {
        let Some(array) = self.array_of(element) else {
            return Err(SqlError::internal("the element type has no array type"));
        };
        let kind = ExprKind::Array { element, items, nested: false };
        let array = Expr::new(kind, self.ty(array)).with_at(at);
        self.scalar_array(name, left, array, all, at)
    }

    /// `left op ANY/ALL (array)` over bound operands.
    fn scalar_array(&mut self, name: &str, left: Expr, array: Expr, all: bool, at: Offset) -> Result<Expr> {
        let element = if array.ty.oid == Oid::UNKNOWN {
            Oid::UNKNOWN
        } else {
            self.element_of(array.ty.oid).ok_or_else(|| {
                let message = "op ANY/ALL (array) requires array on right side";
                place(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message), at)
            })?
        };
        let row = self.find_operator(name, Some(left.ty.oid), element, at)?;
        if row.result != Oid::BOOL {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(place(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message), at));
        }
        let bindings = self.polymorphic(&[left.ty.oid, element], &[row.left, row.right]).unwrap_or_default();
        let right = self.concrete(row.right, &bindings).unwrap_or(Oid::TEXT);
        let wanted = self.array_of(right).ok_or_else(|| {
            let label = self.type_label(right);
            let message = format!("could not find array type for data type {label}");
            place(SqlError::new(SqlState::UNDEFINED_OBJECT, message), at)
        })?;
        let start = left.at;
        let to = self.concrete(row.left, &bindings).unwrap_or(row.left);
        let left = self.coerce(left, to, CastContext::Implicit)?;
        let array = self.coerce(array, wanted, CastContext::Implicit)?;
        let kind = ExprKind::ArrayOp {
            function: row.function,
            operator: row.oid,
            all,
            left: Box::new(left),
            array: Box::new(array),
        };
        Ok(Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(start))
    }

    fn any_all(
        &mut self,
        left: &ast::Expr,
        op: &BinaryOperator,
        right: &ast::Expr,
        all: bool,
    ) -> Result<Expr> {
        let name = operator_name(op);
        match right {
            ast::Expr::Subquery(query) => self.quantified(left, &name, query, all, false),
            _ => self.any_array(left, &name, right, all),
        }
    }

    fn any_array(&mut self, left: &ast::Expr, name: &str, right: &ast::Expr, all: bool) -> Result<Expr> {
        let at = self.operator_place(left, name);
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        self.scalar_array(name, left, right, all, at)
    }

    /// `left op ANY/ALL (query)`, IN and NOT IN.
    fn quantified(
        &mut self,
        left: &ast::Expr,
        name: &str,
        query: &ast::Query,
        all: bool,
        negated: bool,
    ) -> Result<Expr> {
        let at = self.operator_place(left, name).or_else(|| end_of(left.span()));
        let left: Vec<Expr> = match row_fields(left) {
            Some(fields) => fields.iter().map(|f| self.expr(f)).collect::<Result<_>>()?,
            None => vec![self.expr(left)?],
        };
        let mut query = self.query(query)?;
        let outputs: Vec<usize> = (0..query.targets.len()).filter(|i| !query.targets[*i].junk).collect();
        if outputs.len() != left.len() {
            let message = if outputs.len() > left.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
        }
        self.finish_unknown_targets(&mut query);
        let (mut operands, mut functions) = (Vec::new(), Vec::new());
        for (left, output) in left.into_iter().zip(outputs) {
            let target = query.targets[output].expr.clone();
            let row = self.find_operator(name, Some(left.ty.oid), target.ty.oid, at)?;
            let declared = [row.left, row.right];
            let (mut args, _) = self.coerce_args(vec![left, target], &declared, row.result, at)?;
            if let (Some(right), Some(left)) = (args.pop(), args.pop()) {
                self.retype_target(&mut query, output, right);
                operands.push(left);
            }
            functions.push(row.function);
        }
        let start = operands.first().and_then(|l| l.at);
        let kind = SubqueryKind::Quantified { all, left: operands, functions, negated };
        let subquery = Box::new(Subquery { kind, query });
        Ok(Expr::new(ExprKind::Subquery(subquery), TypeRef::of(Oid::BOOL)).with_at(start))
    }

    fn like(
        &mut self,
        value: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        operator: &str,
        escape_function: &str,
    ) -> Result<Expr> {
        let at = end_of(value.span()).map(|end| {
            let rest = &self.text[end..];
            end + (rest.len() - rest.trim_start().len())
        });
        let value = self.expr(value)?;
        let mut pattern = self.expr(pattern)?;
        if let Some(escape) = escape {
            let escape = self.expr(escape)?;
            pattern = self.call_named(escape_function, vec![pattern, escape], at)?;
        }
        self.operator(operator, value, pattern, at)
    }

    fn similar(
        &mut self,
        value: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        operator: &str,
    ) -> Result<Expr> {
        let at = end_of(value.span());
        let value = self.expr(value)?;
        let mut args = vec![self.expr(pattern)?];
        if let Some(escape) = escape {
            args.push(self.expr(escape)?);
        }
        let pattern = self.call_named("similar_to_escape", args, at)?;
        self.operator(operator, value, pattern, at)
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        at: Offset,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(operand) => {
                let bound = self.expr(operand)?;
                Some(self.unknown_to_text(bound))
            }
            None => None,
        };
        let mut whens = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for arm in conditions {
            let condition = self.expr(&arm.condition)?;
            whens.push(match &operand {
                Some(operand) => {
                    let placeholder = Expr::new(ExprKind::CaseOperand, operand.ty).with_at(operand.at);
                    let at = condition.at;
                    let compared = self.operator("=", placeholder, condition, at)?;
                    self.boolean(compared, "CASE/WHEN")?
                }
                None => self.boolean(condition, "CASE/WHEN")?,
            });
            results.push(self.expr(&arm.result)?);
        }
        // The ELSE result leads when types are compared, as in PostgreSQL.
        let has_else = otherwise.is_some();
        if let Some(otherwise) = otherwise {
            let bound = self.expr(otherwise)?;
            results.insert(0, bound);
        }
        let (mut results, ty) = self.unify(results, "CASE")?;
        let otherwise = if has_else { Some(Box::new(results.remove(0))) } else { None };
        let arms = whens.into_iter().zip(results).collect();
        let kind = ExprKind::Case { operand: operand.map(Box::new), arms, otherwise };
        Ok(Expr::new(kind, ty).with_at(at))
    }

    fn exists(&mut self, query: &ast::Query, negated: bool) -> Result<Expr> {
        let at = offset_of(query.span());
        let mut query = self.query(query)?;
        self.finish_unknown_targets(&mut query);
        let subquery = Box::new(Subquery { kind: SubqueryKind::Exists, query });
        let exists = Expr::new(ExprKind::Subquery(subquery), TypeRef::of(Oid::BOOL)).with_at(at);
        if !negated {
            return Ok(exists);
        }
        Ok(Expr::new(ExprKind::Not(Box::new(exists)), TypeRef::of(Oid::BOOL)).with_at(at))
    }

    fn scalar_subquery(&mut self, tree: &ast::Query) -> Result<Expr> {
        let at = offset_of(tree.span()).map(|at| self.text[..at].rfind('(').unwrap_or(at));
        let mut query = self.query(tree)?;
        self.finish_unknown_targets(&mut query);
        let mut outputs = query.targets.iter().filter(|t| !t.junk);
        let (Some(only), None) = (outputs.next(), outputs.next()) else {
            let message = "subquery must return only one column";
            return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
        };
        let ty = only.expr.ty;
        let subquery = Box::new(Subquery { kind: SubqueryKind::Scalar, query });
        Ok(Expr::new(ExprKind::Subquery(subquery), ty).with_at(at))
    }

    fn array(&mut self, items: &[ast::Expr], at: Offset) -> Result<Expr> {
        if items.is_empty() {
            return Err(place(
                SqlError::new(SqlState::INDETERMINATE_DATATYPE, "cannot determine type of empty array")
                    .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."),
                at,
            ));
        }
        let bound: Vec<Expr> = items.iter().map(|i| self.expr(i)).collect::<Result<_>>()?;
        let (bound, ty) = self.unify(bound, "ARRAY")?;
        let nested = self.element_of(ty.oid).is_some();
        let element = self.element_of(ty.oid).unwrap_or(ty.oid);
        let Some(array) = self.array_of(element) else {
            let message = format!("could not find array type for data type {}", self.type_label(element));
            return Err(place(SqlError::new(SqlState::UNDEFINED_OBJECT, message), at));
        };
        let kind = ExprKind::Array { element, items: bound, nested };
        Ok(Expr::new(kind, self.ty(array)).with_at(at))
    }

    /// `ARRAY[…]::type[]`: every element is cast to the element type.
    fn array_of_type(
        &mut self,
        items: &[ast::Expr],
        element: Oid,
        target: TypeRef,
        at: Offset,
    ) -> Result<Expr> {
        let nested = items.iter().any(|i| matches!(i, ast::Expr::Array(_)));
        let to = TypeRef { oid: element, ..target };
        let mut bound = Vec::with_capacity(items.len());
        for item in items {
            bound.push(match item {
                ast::Expr::Array(inner) => self.array_of_type(&inner.elem, element, target, at)?,
                other => {
                    let other = self.expr(other)?;
                    let is_array = self.element_of(other.ty.oid).is_some();
                    self.cast(other, if is_array { target } else { to })?
                }
            });
        }
        let nested = nested || bound.iter().any(|b| b.ty.oid == target.oid);
        Ok(Expr::new(ExprKind::Array { element, items: bound, nested }, target).with_at(at))
    }

    fn row(&mut self, fields: &[ast::Expr]) -> Result<Expr> {
        let mut bound = Vec::with_capacity(fields.len());
        for field in fields {
            let field = self.expr(field)?;
            bound.push(self.unknown_to_text(field));
        }
        let at = bound.first().and_then(|b| b.at);
        Ok(Expr::new(ExprKind::Row(bound), TypeRef::of(Oid::RECORD)).with_at(at))
    }

    fn row_comparison(
        &mut self,
        left: &[ast::Expr],
        op: RowCompareOp,
        name: &str,
        right: &[ast::Expr],
        at: Offset,
    ) -> Result<Expr> {
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
        }
        if left.is_empty() {
            let message = "cannot compare rows of zero length";
            return Err(place(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message), at));
        }
        let (mut lefts, mut rights, mut functions) = (Vec::new(), Vec::new(), Vec::new());
        for (l, r) in left.iter().zip(right) {
            let (l, r) = (self.expr(l)?, self.expr(r)?);
            let row = self.find_operator(name, Some(l.ty.oid), r.ty.oid, at)?;
            let (mut args, _) = self.coerce_args(vec![l, r], &[row.left, row.right], row.result, at)?;
            rights.extend(args.pop());
            lefts.extend(args.pop());
            functions.push(row.function);
        }
        let start = lefts.first().and_then(|l| l.at);
        let kind = ExprKind::RowCompare { op, functions, left: lefts, right: rights };
        Ok(Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(start))
    }

    /// Subscripts and fields after an expression.
    fn access(&mut self, root: &ast::Expr, chain: &[AccessExpr]) -> Result<Expr> {
        let bound = self.expr(root)?;
        let mut subscripts = Vec::new();
        for step in chain {
            match step {
                AccessExpr::Subscript(ast::Subscript::Index { index }) => {
                    subscripts.push(Subscript::Index(self.expr(index)?));
                }
                AccessExpr::Subscript(ast::Subscript::Slice { lower_bound, upper_bound, .. }) => {
                    let mut bind = |b: &Option<ast::Expr>| b.as_ref().map(|b| self.expr(b)).transpose();
                    let (lower, upper) = (bind(lower_bound)?, bind(upper_bound)?);
                    subscripts.push(Subscript::Slice { lower, upper });
                }
                AccessExpr::Dot(field) => {
                    let at = offset_of(field.span());
                    return Err(place(SqlError::not_built(format!("field access .{field}")), at));
                }
            }
        }
        self.subscript(bound, subscripts)
    }

    fn subscript(&mut self, arg: Expr, subscripts: Vec<Subscript>) -> Result<Expr> {
        if subscripts.is_empty() {
            return Ok(arg);
        }
        let at = arg.at;
        let container = arg.ty.oid;
        let is_slice = subscripts.iter().any(|s| matches!(s, Subscript::Slice { .. }));
        let element = match container {
            Oid::JSONB => return Err(place(SqlError::not_built("subscripting of jsonb"), at)),
            Oid::OIDVECTOR => Oid::OID,
            Oid::INT2VECTOR => Oid::INT2,
            _ => self.element_of(container).ok_or_else(|| {
                let message = format!(
                    "cannot subscript type {} because it does not support subscripting",
                    self.type_label(container)
                );
                place(SqlError::new(SqlState::DATATYPE_MISMATCH, message), at)
            })?,
        };
        let mut index = |e: Expr| {
            if !self.can_coerce(e.ty.oid, Oid::INT4, CastContext::Assignment) {
                let message = "array subscript must have type integer";
                return Err(place(SqlError::new(SqlState::DATATYPE_MISMATCH, message), e.at));
            }
            self.coerce(e, Oid::INT4, CastContext::Assignment)
        };
        let mut checked = Vec::with_capacity(subscripts.len());
        for subscript in subscripts {
            checked.push(match subscript {
                Subscript::Index(e) => Subscript::Index(index(e)?),
                Subscript::Slice { lower, upper } => Subscript::Slice {
                    lower: lower.map(&mut index).transpose()?,
                    upper: upper.map(&mut index).transpose()?,
                },
            });
        }
        let ty = if is_slice { arg.ty } else { TypeRef { typmod: arg.ty.typmod, ..self.ty(element) } };
        let kind = ExprKind::Subscript { arg: Box::new(arg), subscripts: checked };
        Ok(Expr::new(kind, ty).with_at(at))
    }

    fn collate(&mut self, inner: &ast::Expr, collation: &ast::ObjectName) -> Result<Expr> {
        let arg = self.expr(inner)?;
        let arg = self.unknown_to_text(arg);
        let at = arg.at;
        if Registry::get().type_by_oid(arg.ty.oid).is_none_or(|row| row.collation == Oid::NONE) {
            let message = format!("collations are not supported by type {}", self.type_label(arg.ty.oid));
            return Err(place(SqlError::new(SqlState::DATATYPE_MISMATCH, message), at));
        }
        let name = collation.0.last().and_then(|p| p.as_ident()).map_or("", |i| i.value.as_str());
        let collation = match name {
            "C" | "POSIX" | "ucs_basic" => Oid::C_COLLATION,
            "default" => Oid::DEFAULT_COLLATION,
            _ => {
                let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
                return Err(place(SqlError::new(SqlState::UNDEFINED_OBJECT, message), at));
            }
        };
        let ty = TypeRef { collation, ..arg.ty };
        Ok(Expr::new(ExprKind::Collate { arg: Box::new(arg) }, ty).with_at(at))
    }
}

/// The operator's name as in `pg_operator`.
pub(super) fn operator_name(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::PGCustomBinaryOperator(parts) => parts.last().cloned().unwrap_or_default(),
        BinaryOperator::Custom(name) => name.clone(),
        BinaryOperator::PGExp => "^".into(),
        other => other.to_string(),
    }
}

/// The fields of `(a, b)` and `ROW(a, b)`.
pub(super) fn row_fields(tree: &ast::Expr) -> Option<&[ast::Expr]> {
    match tree {
        ast::Expr::Tuple(fields) => Some(fields),
        ast::Expr::Prefixed { prefix, value } if prefix.value == "row" => row_fields(value),
        _ => None,
    }
}

fn row_compare_op(name: &str) -> Option<RowCompareOp> {
    Some(match name {
        "=" => RowCompareOp::Eq,
        "<>" => RowCompareOp::Ne,
        "<" => RowCompareOp::Lt,
        "<=" => RowCompareOp::Le,
        ">" => RowCompareOp::Gt,
        ">=" => RowCompareOp::Ge,
        _ => return None,
    })
}

/// Several tests of an IN list as one.
fn join(mut parts: Vec<Expr>, negated: bool) -> Expr {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let at = parts.first().and_then(|p| p.at);
    let kind = if negated { ExprKind::And(parts) } else { ExprKind::Or(parts) };
    Expr::new(kind, TypeRef::of(Oid::BOOL)).with_at(at)
}
