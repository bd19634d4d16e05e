//! Expressions as SQL text, the way PostgreSQL prints its own trees (`pg_get_expr`).
//!
//! Descriptors keep an expression as the text it was written in. The catalogs' `pg_node_tree` columns
//! show that text wrapped; it is bound and printed when someone asks, by `pg_get_expr`:
//!
//! | value | stands for |
//! |---|---|
//! | `{DEFAULT n text}` | what column `n` of the table is assigned |
//! | `{CONDITION text}` | a CHECK, or the WHERE of an index |
//! | `{EXPR text}` | index expressions |

use super::Names;
use crate::bind::{BindContext, ParamTypes, bind_expr_text};
use crate::catalog::TableDescriptor;
use crate::ir::{BoolTest, CastKind, Expr, ExprKind, RowCompareOp, SessionValue, Subscript};
use crate::kernels::text::{quote_identifier, quote_literal};
use crate::registry::{OperatorKind, Registry};
use crate::session::info::OutputFormat;
use crate::types::{Datum, Io, TypeRef};
use crate::{Oid, Result};

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Default or generation expression of the column of that number.
    Column(i16),
    Condition,
    Expression,
}

/// How the text is laid out: PostgreSQL's own, or with only the parentheses that reading needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Pretty,
}

/// A stored expression as a value of `pg_node_tree`.
pub(super) fn node_tree(kind: Kind, text: &str) -> Datum {
    Datum::text(match kind {
        Kind::Column(number) => format!("{{DEFAULT {number} {text}}}"),
        Kind::Condition => format!("{{CONDITION {text}}}"),
        Kind::Expression => format!("{{EXPR {text}}}"),
    })
}

/// The other way; `None` for a text that is no stored expression.
pub(super) fn read_node_tree(tree: &str) -> Option<(Kind, &str)> {
    let inner = tree.strip_prefix('{')?.strip_suffix('}')?;
    let (word, rest) = inner.split_once(' ')?;
    match word {
        "DEFAULT" => {
            let (number, text) = rest.split_once(' ')?;
            Some((Kind::Column(number.parse().ok()?), text))
        }
        "CONDITION" => Some((Kind::Condition, rest)),
        "EXPR" => Some((Kind::Expression, rest)),
        _ => None,
    }
}

/// Binds a stored expression of a table.
pub(super) fn bound(names: &Names<'_>, table: &TableDescriptor, kind: Kind, text: &str) -> Result<Expr> {
    let want = match kind {
        Kind::Column(number) => table.column(number).map(|c| c.ty),
        Kind::Condition => Some(TypeRef::of(Oid::BOOL)),
        Kind::Expression => None,
    };
    let mut params = ParamTypes::default();
    let mut cx = BindContext {
        catalog: names.catalog,
        search_path: &names.session.search_path,
        session: names.session,
        params: &mut params,
    };
    bind_expr_text(&mut cx, text, Some(table), want)
}

/// A stored expression in PostgreSQL's spelling. One that no longer binds is shown as it was written.
pub(super) fn shown(
    names: &Names<'_>,
    table: &TableDescriptor,
    kind: Kind,
    text: &str,
    style: Style,
) -> String {
    match bound(names, table, kind, text) {
        Ok(expr) => print(names, table, &expr, style),
        Err(_) => text.to_owned(),
    }
}

/// The columns of the table that an expression reads, in order.
pub(super) fn columns_read(expr: &Expr) -> Vec<i16> {
    let mut columns = Vec::new();
    expr.walk(&mut |e| {
        if let ExprKind::Column(c) = &e.kind
            && !columns.contains(&c.column)
        {
            columns.push(c.column);
        }
    });
    columns.sort_unstable();
    columns
}

/// Prints a bound expression over one table.
pub(super) fn print(names: &Names<'_>, table: &TableDescriptor, expr: &Expr, style: Style) -> String {
    let mut printer = Printer { names, table, style, out: String::new(), indent: 0 };
    printer.expr(expr, false);
    printer.out
}

/// Whether an index prints the expression without parentheses of its own.
pub(super) fn is_call(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call { operator, .. } => *operator == Oid::NONE,
        ExprKind::Coalesce(_) | ExprKind::MinMax { .. } | ExprKind::NullIf { .. } | ExprKind::Session(_) => {
            true
        }
        _ => false,
    }
}

const INDENT: usize = 4;

struct Printer<'a> {
    names: &'a Names<'a>,
    table: &'a TableDescriptor,
    style: Style,
    out: String,
    indent: usize,
}

impl Printer<'_> {
    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Parentheses that only the plain style writes.
    fn plain(&mut self, paren: &str) {
        if self.style == Style::Plain {
            self.text(paren);
        }
    }

    fn keyword(&mut self, word: &str) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', self.indent));
        self.text(word);
    }

    /// An operand, in parentheses where the pretty style needs them.
    fn operand(&mut self, expr: &Expr, implicit: bool, parent: &Expr, first: bool) {
        let paren = self.style == Style::Pretty && !is_simple(expr, parent, first);
        if paren {
            self.text("(");
        }
        self.expr(expr, implicit);
        if paren {
            self.text(")");
        }
    }

    fn list(&mut self, items: &[Expr], implicit: bool) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.text(", ");
            }
            self.expr(item, implicit);
        }
    }

    /// A flat match: every kind of expression stands once. `implicit`: casts that nobody wrote show.
    fn expr(&mut self, expr: &Expr, implicit: bool) {
        match &expr.kind {
            ExprKind::Const(value) => self.constant(value, expr.ty, true),
            ExprKind::Column(c) => match self.table.column(c.column) {
                Some(column) => self.out.push_str(&quote_identifier(&column.name)),
                None => self.text(&quote_identifier(&self.table.name)),
            },
            ExprKind::Param(n) => self.out.push_str(&format!("${n}")),
            ExprKind::Call { function, operator, args } => self.call(expr, *function, *operator, args),
            ExprKind::SetCall { function, args } => self.call(expr, *function, Oid::NONE, args),
            ExprKind::Cast { kind, arg, explicit } => self.cast(expr, *kind, arg, *explicit, implicit),
            ExprKind::And(items) => self.junction(expr, items, " AND "),
            ExprKind::Or(items) => self.junction(expr, items, " OR "),
            ExprKind::Not(arg) => {
                self.plain("(");
                self.text("NOT ");
                self.operand(arg, false, expr, true);
                self.plain(")");
            }
            ExprKind::IsNull { arg, negated } => {
                self.test(expr, arg, if *negated { " IS NOT NULL" } else { " IS NULL" });
            }
            ExprKind::BoolTest { arg, test } => self.test(expr, arg, bool_test(*test)),
            ExprKind::Distinct { left, right, negated, .. } => {
                if *negated {
                    self.plain("(");
                    self.text("NOT ");
                    self.text("(");
                }
                self.infix(expr, left, " IS DISTINCT FROM ", right, *negated);
                if *negated {
                    self.text(")");
                    self.plain(")");
                }
            }
            ExprKind::Case { operand, arms, otherwise } => {
                self.case(operand.as_deref(), arms, otherwise.as_deref())
            }
            ExprKind::CaseOperand => self.text("CASE_TEST_EXPR"),
            ExprKind::Coalesce(items) => self.function("COALESCE", items),
            ExprKind::NullIf { left, right, .. } => {
                self.text("NULLIF(");
                self.expr(left, true);
                self.text(", ");
                self.expr(right, true);
                self.text(")");
            }
            ExprKind::MinMax { greatest, args, .. } => {
                self.function(if *greatest { "GREATEST" } else { "LEAST" }, args);
            }
            ExprKind::Array { items, .. } => {
                self.text("ARRAY[");
                self.list(items, true);
                self.text("]");
                if items.is_empty() {
                    let ty = self.names.format_type(expr.ty.oid, expr.ty.typmod);
                    self.out.push_str(&format!("::{ty}"));
                }
            }
            ExprKind::Row(items) => self.function("ROW", items),
            ExprKind::RowCompare { op, left, right, .. } => {
                self.text("(ROW(");
                self.list(left, true);
                self.text(row_compare(*op));
                self.list(right, true);
                self.text("))");
            }
            ExprKind::ArrayOp { operator, all, left, array, .. } => {
                self.plain("(");
                self.operand(left, true, expr, true);
                let name = Registry::get().operator(*operator).map_or("=", |row| row.name);
                self.out.push_str(&format!(" {name} {} (", if *all { "ALL" } else { "ANY" }));
                self.operand(array, true, expr, false);
                self.text(")");
                self.plain(")");
            }
            ExprKind::Subscript { arg, subscripts } => self.subscript(arg, subscripts),
            ExprKind::Field { arg, field } => {
                self.text("(");
                self.expr(arg, true);
                self.out.push_str(&format!(").f{field}"));
            }
            ExprKind::Session(value) => self.out.push_str(&session_value(*value)),
            ExprKind::Collate { arg } => {
                self.plain("(");
                self.operand(arg, true, expr, true);
                let name = match expr.ty.collation {
                    Oid::DEFAULT_COLLATION => "\"default\"",
                    Oid(951) => "\"POSIX\"",
                    _ => "\"C\"",
                };
                self.out.push_str(&format!(" COLLATE {name}"));
                self.plain(")");
            }
            // None of these may stand in a stored expression.
            ExprKind::Subquery(_) | ExprKind::Aggregate(_) | ExprKind::Window(_) | ExprKind::Grouping(_) => {
                self.text("?");
            }
            ExprKind::Default => self.text("DEFAULT"),
        }
    }

    fn function(&mut self, name: &str, args: &[Expr]) {
        self.text(name);
        self.text("(");
        self.list(args, true);
        self.text(")");
    }

    fn junction(&mut self, parent: &Expr, items: &[Expr], word: &str) {
        self.plain("(");
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.text(word);
            }
            self.operand(item, false, parent, at == 0);
        }
        self.plain(")");
    }

    fn test(&mut self, parent: &Expr, arg: &Expr, words: &str) {
        self.plain("(");
        self.operand(arg, true, parent, true);
        self.text(words);
        self.plain(")");
    }

    fn infix(&mut self, parent: &Expr, left: &Expr, word: &str, right: &Expr, bare: bool) {
        if !bare {
            self.plain("(");
        }
        self.operand(left, true, parent, true);
        self.text(word);
        self.operand(right, true, parent, false);
        if !bare {
            self.plain(")");
        }
    }

    fn call(&mut self, expr: &Expr, function: Oid, operator: Oid, args: &[Expr]) {
        let registry = Registry::get();
        if let Some(row) = registry.operator(operator) {
            match (row.kind, args) {
                (OperatorKind::Prefix, [arg]) => {
                    // The grammar folds the sign into a constant.
                    if let (true, ExprKind::Const(value)) = (row.name == "-", &arg.kind) {
                        return self.negative(value, arg.ty);
                    }
                    self.plain("(");
                    self.out.push_str(&format!("{} ", row.name));
                    self.operand(arg, true, expr, true);
                    self.plain(")");
                }
                (_, [left, right]) => {
                    let word = format!(" {} ", row.name);
                    self.infix(expr, left, &word, right, false);
                }
                (_, args) => self.list(args, true),
            }
            return;
        }
        let Some(row) = registry.proc(function) else {
            return self.function("?", args);
        };
        let name = self.names.function_shown(row);
        self.function(&name, args);
    }

    fn negative(&mut self, value: &Datum, ty: TypeRef) {
        let fmt = OutputFormat::default();
        let text = Io { fmt: &fmt, lookup: self.names, now: None }.to_text(ty.oid, value).unwrap_or_default();
        let ty = self.names.format_type(ty.oid, ty.typmod);
        self.out.push_str(&format!("'-{text}'::{ty}"));
    }

    fn cast(&mut self, expr: &Expr, kind: CastKind, arg: &Expr, explicit: bool, implicit: bool) {
        if !explicit && !implicit {
            return self.operand(arg, false, expr, true);
        }
        // A length coercion after a cast is one cast to the type with its modifier.
        let arg = match (&arg.kind, kind) {
            (ExprKind::Cast { arg: inner, explicit: inner_explicit, .. }, CastKind::Length)
                if arg.ty.oid == expr.ty.oid && *inner_explicit == explicit =>
            {
                inner
            }
            _ => arg,
        };
        match &arg.kind {
            ExprKind::Const(value) if arg.ty.oid == expr.ty.oid && arg.ty.typmod == -1 => {
                self.constant(value, arg.ty, false);
            }
            _ => {
                self.plain("(");
                self.operand(arg, false, expr, true);
                self.plain(")");
            }
        }
        let ty = self.names.format_type(expr.ty.oid, expr.ty.typmod);
        self.out.push_str(&format!("::{ty}"));
    }

    fn constant(&mut self, value: &Datum, ty: TypeRef, typed: bool) {
        let shown = self.names.format_type(ty.oid, ty.typmod);
        let fmt = OutputFormat::default();
        let io = Io { fmt: &fmt, lookup: self.names, now: None };
        let Some(text) = io.to_text(ty.oid, value) else {
            self.text("NULL");
            if typed {
                self.out.push_str(&format!("::{shown}"));
            }
            return;
        };
        let digits = text.starts_with(|c: char| c.is_ascii_digit());
        let bare = match ty.oid {
            Oid::INT4 => digits,
            Oid::NUMERIC => digits && text.contains(['e', 'E', '.']),
            _ => false,
        };
        match ty.oid {
            Oid::BOOL => return self.text(if text == "t" { "true" } else { "false" }),
            Oid::UNKNOWN => return self.out.push_str(&quote_literal(&text)),
            _ if bare => self.text(&text),
            _ => self.out.push_str(&quote_literal(&text)),
        }
        if typed && (!bare || (ty.oid == Oid::NUMERIC && ty.typmod >= 0)) {
            self.out.push_str(&format!("::{shown}"));
        }
    }

    fn case(&mut self, operand: Option<&Expr>, arms: &[(Expr, Expr)], otherwise: Option<&Expr>) {
        self.keyword("CASE");
        self.indent += INDENT;
        if let Some(operand) = operand {
            self.text(" ");
            self.expr(operand, true);
        }
        for (condition, result) in arms {
            self.keyword("WHEN ");
            match (operand, &condition.kind) {
                // The simple form compares with the operand; only the value is written.
                (Some(_), ExprKind::Call { args, .. }) if args.len() == 2 => self.expr(&args[1], false),
                _ => self.expr(condition, false),
            }
            self.text(" THEN ");
            self.expr(result, true);
        }
        self.keyword("ELSE ");
        match otherwise {
            Some(result) => self.expr(result, true),
            None => {
                let ty = arms.first().map_or(Oid::TEXT, |(_, result)| result.ty.oid);
                let ty = self.names.format_type(ty, -1);
                self.out.push_str(&format!("NULL::{ty}"));
            }
        }
        self.indent -= INDENT;
        self.keyword("END");
    }

    fn subscript(&mut self, arg: &Expr, subscripts: &[Subscript]) {
        let paren = !matches!(arg.kind, ExprKind::Column(_));
        if paren {
            self.text("(");
        }
        self.expr(arg, true);
        if paren {
            self.text(")");
        }
        for subscript in subscripts {
            self.text("[");
            match subscript {
                Subscript::Index(index) => self.expr(index, false),
                Subscript::Slice { lower, upper } => {
                    lower.iter().for_each(|lower| self.expr(lower, false));
                    self.text(":");
                    upper.iter().for_each(|upper| self.expr(upper, false));
                }
            }
            self.text("]");
        }
    }
}

fn bool_test(test: BoolTest) -> &'static str {
    match test {
        BoolTest::True => " IS TRUE",
        BoolTest::NotTrue => " IS NOT TRUE",
        BoolTest::False => " IS FALSE",
        BoolTest::NotFalse => " IS NOT FALSE",
        BoolTest::Unknown => " IS UNKNOWN",
        BoolTest::NotUnknown => " IS NOT UNKNOWN",
    }
}

fn row_compare(op: RowCompareOp) -> &'static str {
    match op {
        RowCompareOp::Eq => ") = ROW(",
        RowCompareOp::Ne => ") <> ROW(",
        RowCompareOp::Lt => ") < ROW(",
        RowCompareOp::Le => ") <= ROW(",
        RowCompareOp::Gt => ") > ROW(",
        RowCompareOp::Ge => ") >= ROW(",
    }
}

fn session_value(value: SessionValue) -> String {
    let with = |word: &str, typmod: i32| match typmod {
        typmod if typmod < 0 => word.to_owned(),
        typmod => format!("{word}({typmod})"),
    };
    match value {
        SessionValue::CurrentDate => "CURRENT_DATE".to_owned(),
        SessionValue::CurrentTime { typmod } => with("CURRENT_TIME", typmod),
        SessionValue::CurrentTimestamp { typmod } => with("CURRENT_TIMESTAMP", typmod),
        SessionValue::LocalTime { typmod } => with("LOCALTIME", typmod),
        SessionValue::LocalTimestamp { typmod } => with("LOCALTIMESTAMP", typmod),
        SessionValue::CurrentUser => "CURRENT_USER".to_owned(),
        SessionValue::SessionUser => "SESSION_USER".to_owned(),
        SessionValue::CurrentCatalog => "CURRENT_CATALOG".to_owned(),
        SessionValue::CurrentSchema => "CURRENT_SCHEMA".to_owned(),
    }
}

/// Additive and multiplicative operators, whose precedence everyone knows.
fn precedence(expr: &Expr) -> Option<u8> {
    let ExprKind::Call { operator, args, .. } = &expr.kind else { return None };
    let row = Registry::get().operator(*operator).filter(|_| args.len() == 2)?;
    match row.name {
        "+" | "-" => Some(1),
        "*" | "/" | "%" => Some(2),
        _ => None,
    }
}

fn is_operator(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { operator, .. } if *operator != Oid::NONE)
}

/// Parents that enclose their operands by themselves.
fn encloses(parent: &Expr) -> bool {
    match &parent.kind {
        ExprKind::Call { operator, .. } => *operator == Oid::NONE,
        ExprKind::Array { .. }
        | ExprKind::Row(_)
        | ExprKind::Coalesce(_)
        | ExprKind::MinMax { .. }
        | ExprKind::NullIf { .. }
        | ExprKind::Subscript { .. }
        | ExprKind::Case { .. } => true,
        _ => false,
    }
}

/// Whether an operand can stand in its parent without parentheses (PostgreSQL's rule for pretty
/// printing). `first`: it is the parent's first operand.
fn is_simple(expr: &Expr, parent: &Expr, first: bool) -> bool {
    let junction = |e: &Expr| matches!(e.kind, ExprKind::And(_) | ExprKind::Or(_));
    match &expr.kind {
        ExprKind::Call { .. } if is_operator(expr) => {
            if is_operator(parent) {
                return match (precedence(expr), precedence(parent)) {
                    (Some(own), Some(around)) => own > around || (own == around && first),
                    _ => false,
                };
            }
            encloses(parent) || junction(parent) || matches!(parent.kind, ExprKind::Not(_))
        }
        ExprKind::IsNull { .. }
        | ExprKind::BoolTest { .. }
        | ExprKind::Distinct { .. }
        | ExprKind::Subquery(_) => {
            encloses(parent) || junction(parent) || matches!(parent.kind, ExprKind::Not(_))
        }
        ExprKind::And(_) | ExprKind::Not(_) => encloses(parent) || junction(parent),
        ExprKind::Or(_) => encloses(parent) || matches!(parent.kind, ExprKind::Or(_)),
        ExprKind::Cast { arg, .. } => is_simple(arg, expr, true),
        ExprKind::ArrayOp { .. } | ExprKind::RowCompare { .. } | ExprKind::Collate { .. } => false,
        _ => true,
    }
}
