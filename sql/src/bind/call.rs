//! Calls: functions, aggregates, window functions, and the forms that look like functions.

use super::Binder;
use super::coerce::place;
use super::resolve::{Candidate, Found};
use super::scope::Clause;
use super::walk::{any, find};
use crate::ir::{
    Aggregate, Expr, ExprKind, Frame, FrameBound, FrameExclude, FrameMode, Offset, Subquery, SubqueryKind,
    WindowCall, WindowSpec,
};
use crate::parse::lexer::offset_of;
use crate::registry::{AggregateKind, CastContext, ProcKind, ProcRow, Registry};
use crate::types::TypeRef;
use crate::{Oid, Result, SqlError, SqlState};
use sqlparser::ast::{
    self, DuplicateTreatment, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, WindowFrameUnits, WindowType,
};

/// The arguments of a call, bound.
#[derive(Default)]
struct Arguments {
    values: Vec<Expr>,
    names: Vec<Option<String>>,
    star: bool,
    distinct: bool,
    variadic: bool,
    order_by: Vec<ast::OrderByExpr>,
}

impl Binder<'_> {
    pub(super) fn function(&mut self, call: &Function) -> Result<Expr> {
        let parts: Vec<&ast::Ident> = call.name.0.iter().filter_map(|p| p.as_ident()).collect();
        let at = parts.first().and_then(|p| offset_of(p.span));
        let (schema, name) = match parts.as_slice() {
            [name] => (None, *name),
            [.., schema, name] => (Some(schema.value.as_str()), *name),
            [] => return Err(SqlError::internal("a function name is empty")),
        };
        if let FunctionArguments::Subquery(query) = &call.args {
            return self.array_subquery(query, at);
        }
        if schema.is_none()
            && name.quote_style.is_none()
            && let Some(special) = self.keyword_call(&name.value, call, at)?
        {
            return Ok(special);
        }
        let args = self.arguments(call)?;
        let known = |s: &str| s == "pg_catalog" || self.catalog.schema(s).is_some();
        if let Some(missing) = schema.filter(|s| !known(s)) {
            let message = format!("schema \"{missing}\" does not exist");
            return Err(place(SqlError::new(SqlState::INVALID_SCHEMA_NAME, message), at));
        }
        if schema.is_some_and(|s| s != "pg_catalog") {
            let shown = format!("{}.{}", schema.unwrap_or_default(), name.value);
            return Err(self.no_function(&shown, &args.values, at));
        }
        self.resolved_call(&name.value, args, call, at)
    }

    /// COALESCE and the like: key words, not functions.
    fn keyword_call(&mut self, name: &str, call: &Function, at: Offset) -> Result<Option<Expr>> {
        if matches!(call.args, FunctionArguments::None) {
            return match super::special::session_word(name) {
                Some(value) => self.session_value(value, None, at).map(Some),
                None => Ok(None),
            };
        }
        if matches!(name, "current_time" | "current_timestamp" | "localtime" | "localtimestamp") {
            let value = super::special::session_word(name);
            let args = self.arguments(call)?.values;
            let precision = match args.first().map(|a| &a.kind) {
                Some(ExprKind::Const(crate::types::Datum::Int4(p))) => Some(*p),
                _ => None,
            };
            return value.map(|v| self.session_value(v, precision, at)).transpose();
        }
        let kind = match name {
            "coalesce" => {
                let args = self.arguments(call)?.values;
                let (args, ty) = self.unify(args, "COALESCE")?;
                return Ok(Some(Expr::new(ExprKind::Coalesce(args), ty).with_at(at)));
            }
            "greatest" | "least" => {
                let args = self.arguments(call)?.values;
                let (args, ty) = self.unify(args, &name.to_uppercase())?;
                let class = Registry::get().default_btree_opclass(self.class_type(ty.oid));
                let Some(class) = class else {
                    let message = format!(
                        "could not identify a comparison function for type {}",
                        self.type_label(ty.oid)
                    );
                    return Err(place(SqlError::new(SqlState::UNDEFINED_FUNCTION, message), at));
                };
                let kind = ExprKind::MinMax { greatest: name == "greatest", function: class.compare, args };
                return Ok(Some(Expr::new(kind, ty).with_at(at)));
            }
            "nullif" => {
                let mut args = self.arguments(call)?.values;
                let (Some(right), Some(left), true) = (args.pop(), args.pop(), args.is_empty()) else {
                    return Err(place(
                        SqlError::new(SqlState::SYNTAX_ERROR, "NULLIF takes two arguments"),
                        at,
                    ));
                };
                let (function, left, right) = self.equality(left, right, at)?;
                let ty = left.ty;
                let kind = ExprKind::NullIf { function, left: Box::new(left), right: Box::new(right) };
                return Ok(Some(Expr::new(kind, ty).with_at(at)));
            }
            "grouping" => {
                let args = self.arguments(call)?.values;
                self.grouping(args, at)?
            }
            _ => return Ok(None),
        };
        Ok(Some(kind))
    }

    fn grouping(&mut self, args: Vec<Expr>, at: Offset) -> Result<Expr> {
        let groups = self.level().query.group_by.clone();
        let mut positions = Vec::with_capacity(args.len());
        for arg in args {
            let Some(position) = groups.iter().position(|g| super::walk::same(g, &arg)) else {
                let message =
                    "arguments to GROUPING must be grouping expressions of the associated query level";
                return Err(place(SqlError::new(SqlState::GROUPING_ERROR, message), arg.at));
            };
            positions.push(position as u32);
        }
        Ok(Expr::new(ExprKind::Grouping(positions), self.ty(Oid::INT4)).with_at(at))
    }

    /// The type whose operator class serves: enums share one, rows another.
    pub(super) fn class_type(&self, oid: Oid) -> Oid {
        if self.is_enum(oid) { Oid::ANYENUM } else { oid }
    }

    fn array_subquery(&mut self, tree: &ast::Query, at: Offset) -> Result<Expr> {
        let mut query = self.query(tree)?;
        self.finish_unknown_targets(&mut query);
        let mut outputs = query.targets.iter().filter(|t| !t.junk);
        let (Some(only), None) = (outputs.next(), outputs.next()) else {
            let message = "subquery must return only one column";
            return Err(place(SqlError::new(SqlState::SYNTAX_ERROR, message), at));
        };
        let oid = only.expr.ty.oid;
        let array = if self.element_of(oid).is_some() { Some(oid) } else { self.array_of(oid) };
        let Some(array) = array else {
            let message = format!("could not find array type for data type {}", self.type_label(oid));
            return Err(place(SqlError::new(SqlState::UNDEFINED_OBJECT, message), at));
        };
        let subquery = Box::new(Subquery { kind: SubqueryKind::Array, query });
        Ok(Expr::new(ExprKind::Subquery(subquery), self.ty(array)).with_at(at))
    }

    fn arguments(&mut self, call: &Function) -> Result<Arguments> {
        let mut out = Arguments::default();
        let FunctionArguments::List(list) = &call.args else { return Ok(out) };
        out.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) => out.order_by.clone_from(keys),
                other => return Err(SqlError::not_built(format!("{other} in a function call"))),
            }
        }
        for arg in &list.args {
            let (name, value) = match arg {
                FunctionArg::Named { name, arg, .. } => (Some(name.value.clone()), arg),
                FunctionArg::ExprNamed { name: ast::Expr::Identifier(name), arg, .. } => {
                    (Some(name.value.clone()), arg)
                }
                FunctionArg::ExprNamed { .. } => return Err(SqlError::not_built("this form of argument")),
                FunctionArg::Unnamed(arg) => (None, arg),
            };
            match value {
                FunctionArgExpr::Expr(ast::Expr::Prefixed { prefix, value })
                    if prefix.value == "variadic" =>
                {
                    out.variadic = true;
                    let value = self.expr(value)?;
                    out.values.push(value);
                }
                FunctionArgExpr::Expr(e) => {
                    let value = self.expr(e)?;
                    out.values.push(value);
                }
                FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => {
                    out.star = true;
                    continue;
                }
                FunctionArgExpr::QualifiedWildcard(name) => {
                    let ident = name.0.last().and_then(|p| p.as_ident()).cloned();
                    let Some(ident) = ident else { return Err(SqlError::internal("a name is empty")) };
                    let row = self.column(&ident)?;
                    out.values.push(row);
                }
            }
            out.names.push(name);
        }
        Ok(out)
    }

    /// Calls a function of `pg_catalog` by name.
    pub(super) fn call_named(&mut self, name: &str, args: Vec<Expr>, at: Offset) -> Result<Expr> {
        let types: Vec<Oid> = args.iter().map(|a| a.ty.oid).collect();
        match self.find_function(name, &types, false) {
            Found::Function(found) => self.plain_call(found, args, at),
            Found::None => Err(self.no_function(name, &args, at)),
            Found::Ambiguous => Err(self.not_unique(name, &args, at)),
        }
    }

    fn resolved_call(&mut self, name: &str, args: Arguments, call: &Function, at: Offset) -> Result<Expr> {
        if args.names.iter().any(Option::is_some) {
            return self.named_call(name, args, at);
        }
        let mut types: Vec<Oid> = args.values.iter().map(|a| a.ty.oid).collect();
        let mut values = args.values;
        let direct = values.len();
        // Ordered-set aggregates take their sort columns as further arguments.
        let within = &call.within_group;
        let mut sorted = Vec::new();
        for key in within {
            let value = self.expr_in(Clause::Aggregate, &key.expr)?;
            types.push(value.ty.oid);
            sorted.push(value);
        }
        values.extend(sorted);
        let found = match self.find_function(name, &types, args.variadic) {
            Found::Function(found) => found,
            Found::Ambiguous => return Err(self.not_unique(name, &values, at)),
            Found::None => {
                if let Some(cast) = self.type_call(name, &mut values)? {
                    return Ok(cast);
                }
                return Err(self.no_function(name, &values, at));
            }
        };
        match found.row.kind {
            ProcKind::Aggregate => {
                if args.star && name != "count" {
                    return Err(self.no_function(name, &values, at));
                }
                let order = if within.is_empty() { &args.order_by } else { within };
                let shape = AggregateShape { star: args.star, distinct: args.distinct, order, direct };
                self.aggregate(found, values, shape, call, at)
            }
            ProcKind::Window => self.window_function(found, values, call, at),
            ProcKind::Procedure => Err(place(
                SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{name}() is a procedure"))
                    .with_hint("To call a procedure, use CALL."),
                at,
            )),
            ProcKind::Function => {
                if let Some(message) = misuse(name, &args.order_by, args.distinct, args.star, call) {
                    return Err(place(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message), at));
                }
                self.plain_call(found, values, at)
            }
        }
    }

    /// `type(value)`, where no function has that name.
    fn type_call(&mut self, name: &str, values: &mut Vec<Expr>) -> Result<Option<Expr>> {
        let Some(row) = Registry::get().type_by_name(name) else { return Ok(None) };
        if values.len() != 1 {
            return Ok(None);
        }
        let from = values[0].ty.oid;
        let fits = from == Oid::UNKNOWN
            || matches!(
                self.pathway(from, row.oid, CastContext::Explicit),
                Some(crate::ir::CastKind::Relabel | crate::ir::CastKind::InOut)
            );
        match values.pop() {
            Some(value) if fits => self.cast(value, TypeRef { ..self.ty(row.oid) }).map(Some),
            Some(value) => {
                values.push(value);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// A call with `name => value` arguments.
    fn named_call(&mut self, name: &str, args: Arguments, at: Offset) -> Result<Expr> {
        let positional = args.names.iter().take_while(|n| n.is_none()).count();
        let fits = |row: &&&'static ProcRow| {
            args.names[positional..].iter().all(|n| {
                n.as_ref().is_some_and(|n| row.arg_names.iter().take(row.args.len()).any(|a| a == n))
            }) && args.names.len() <= row.args.len()
        };
        let Some(row) = Registry::get().procs_named(name).iter().find(fits).copied() else {
            return Err(self.no_function(name, &args.values, at));
        };
        let mut slots: Vec<Option<Expr>> = vec![None; row.args.len()];
        for (i, (value, name)) in args.values.into_iter().zip(&args.names).enumerate() {
            let slot = match name {
                None => i,
                Some(name) => row.arg_names.iter().position(|a| a == name).unwrap_or(i),
            };
            slots[slot] = Some(value);
        }
        let values = self.fill_defaults(row, slots, at)?;
        let found = Candidate { row, args: row.args.to_vec(), variadic: 0, defaulted: 0 };
        self.plain_call(found, values, at)
    }

    fn fill_defaults(&mut self, row: &ProcRow, slots: Vec<Option<Expr>>, at: Offset) -> Result<Vec<Expr>> {
        let first = row.args.len() - usize::from(row.defaults);
        let defaults = match row.default_text {
            Some(text) => crate::parse::expression(&format!("ROW({text})"))?,
            None => ast::Expr::Tuple(Vec::new()),
        };
        let defaults = super::expr::row_fields(&defaults).unwrap_or(&[]);
        let mut values = Vec::with_capacity(slots.len());
        for (i, slot) in slots.into_iter().enumerate() {
            values.push(match slot {
                Some(value) => value,
                None => match i.checked_sub(first).and_then(|d| defaults.get(d)) {
                    Some(tree) => self.expr(tree)?.with_at(at),
                    None => return Err(self.no_function(row.name, &values, at)),
                },
            });
        }
        Ok(values)
    }

    fn plain_call(
        &mut self,
        found: Candidate<&'static ProcRow>,
        mut values: Vec<Expr>,
        at: Offset,
    ) -> Result<Expr> {
        let row = found.row;
        let mut declared = found.args.clone();
        if found.defaulted > 0 {
            let mut slots: Vec<Option<Expr>> = values.into_iter().map(Some).collect();
            slots.resize(row.args.len(), None);
            values = self.fill_defaults(row, slots, at)?;
            declared = row.args.to_vec();
        }
        let (args, result) = self.coerce_args(values, &declared, row.ret, at)?;
        let args: Vec<Expr> = args.into_iter().map(|a| self.unknown_to_text(a)).collect();
        let args = self.gather_variadic(args, found.variadic)?;
        let ty = self.ty(result);
        let kind = if row.returns_set {
            ExprKind::SetCall { function: row.oid, args }
        } else {
            ExprKind::Call { function: row.oid, operator: Oid::NONE, args }
        };
        Ok(Expr::new(kind, ty).with_at(at))
    }

    /// The trailing arguments of a variadic call as one array.
    fn gather_variadic(&self, mut args: Vec<Expr>, count: usize) -> Result<Vec<Expr>> {
        if count == 0 {
            return Ok(args);
        }
        let items = args.split_off(args.len() - count);
        let element = items.first().map_or(Oid::TEXT, |i| i.ty.oid);
        let Some(array) = self.array_of(element) else {
            return Err(SqlError::internal("a variadic argument has no array type"));
        };
        let at = items.first().and_then(|i| i.at);
        let kind = ExprKind::Array { element, items, nested: false };
        args.push(Expr::new(kind, self.ty(array)).with_at(at));
        Ok(args)
    }

    fn signature(&self, name: &str, args: &[Expr]) -> String {
        let types: Vec<String> = args.iter().map(|a| self.type_label(a.ty.oid)).collect();
        format!("{name}({})", types.join(", "))
    }

    fn no_function(&self, name: &str, args: &[Expr], at: Offset) -> SqlError {
        let message = format!("function {} does not exist", self.signature(name, args));
        place(
            SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
                "No function matches the given name and argument types. You might need to add explicit type casts.",
            ),
            at,
        )
    }

    fn not_unique(&self, name: &str, args: &[Expr], at: Offset) -> SqlError {
        let message = format!("function {} is not unique", self.signature(name, args));
        place(
            SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).with_hint(
                "Could not choose a best candidate function. You might need to add explicit type casts.",
            ),
            at,
        )
    }

    fn aggregate(
        &mut self,
        found: Candidate<&'static ProcRow>,
        values: Vec<Expr>,
        shape: AggregateShape<'_>,
        call: &Function,
        at: Offset,
    ) -> Result<Expr> {
        let row = found.row;
        let windowed = call.over.is_some();
        if !windowed {
            if let Some(place_name) = self.clause.refuses_aggregates() {
                let message = format!("aggregate functions are not allowed in {place_name}");
                return Err(place(SqlError::new(SqlState::GROUPING_ERROR, message), at));
            }
            let nested = |e: &Expr| matches!(e.kind, ExprKind::Aggregate(_));
            if let Some(inner) = values.iter().find_map(|v| find(v, &nested)) {
                let message = "aggregate function calls cannot be nested";
                return Err(place(SqlError::new(SqlState::GROUPING_ERROR, message), inner.at));
            }
            let is_window = |e: &Expr| matches!(e.kind, ExprKind::Window(_));
            if values.iter().any(|v| any(v, &is_window)) {
                let message = "aggregate function calls cannot contain window function calls";
                return Err(place(SqlError::new(SqlState::GROUPING_ERROR, message), at));
            }
        }
        let (args, result) = self.coerce_args(values, &found.args, row.ret, at)?;
        let args: Vec<Expr> = args.into_iter().map(|a| self.unknown_to_text(a)).collect();
        let mut args = self.gather_variadic(args, found.variadic)?;
        let filter = match &call.filter {
            Some(filter) => Some(self.condition(Clause::Filter, "FILTER", filter)?),
            None => None,
        };
        let ty = self.ty(result);
        if let Some(over) = &call.over {
            if shape.distinct {
                let message = "DISTINCT is not implemented for window functions";
                return Err(place(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message), at));
            }
            let window = self.window(over, at)?;
            let kind = ExprKind::Window(Box::new(WindowCall {
                function: row.oid,
                is_aggregate: true,
                args,
                filter,
                star: shape.star,
                window,
            }));
            return Ok(Expr::new(kind, ty).with_at(at));
        }
        let ordered_set = Registry::get().aggregate(row.oid).is_some_and(|a| a.kind != AggregateKind::Normal);
        let mut order_by = Vec::with_capacity(shape.order.len());
        let direct = if ordered_set {
            let sorted = args.split_off(shape.direct.min(args.len()));
            for (key, value) in shape.order.iter().zip(sorted.clone()) {
                order_by.push(self.sort_key(value, &key.options)?);
            }
            std::mem::replace(&mut args, sorted)
        } else {
            for key in shape.order {
                let value = self.expr_in(Clause::Aggregate, &key.expr)?;
                let value = self.unknown_to_text(value);
                order_by.push(self.sort_key(value, &key.options)?);
            }
            Vec::new()
        };
        if shape.distinct && order_by.iter().any(|k| !args.iter().any(|a| super::walk::same(a, &k.expr))) {
            let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
            return Err(place(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message), at));
        }
        self.level().has_aggregates = true;
        let kind = ExprKind::Aggregate(Box::new(Aggregate {
            function: row.oid,
            args,
            distinct: shape.distinct,
            order_by,
            filter,
            star: shape.star,
            direct,
        }));
        Ok(Expr::new(kind, ty).with_at(at))
    }

    fn window_function(
        &mut self,
        found: Candidate<&'static ProcRow>,
        values: Vec<Expr>,
        call: &Function,
        at: Offset,
    ) -> Result<Expr> {
        let row = found.row;
        let Some(over) = &call.over else {
            let message = format!("window function {} requires an OVER clause", row.name);
            return Err(place(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message), at));
        };
        let (args, result) = self.coerce_args(values, &found.args, row.ret, at)?;
        let args: Vec<Expr> = args.into_iter().map(|a| self.unknown_to_text(a)).collect();
        let window = self.window(over, at)?;
        let ty = self.ty(result);
        let kind = ExprKind::Window(Box::new(WindowCall {
            function: row.oid,
            is_aggregate: false,
            args,
            filter: None,
            star: false,
            window,
        }));
        Ok(Expr::new(kind, ty).with_at(at))
    }

    /// The window that OVER means, as an index into the level's windows.
    fn window(&mut self, over: &WindowType, at: Offset) -> Result<u32> {
        if !self.clause.allows_windows() {
            let message = format!("window functions are not allowed in {}", self.clause.label());
            return Err(place(SqlError::new(SqlState::WINDOWING_ERROR, message), at));
        }
        match over {
            WindowType::NamedWindow(name) => self.named_window(&name.value, offset_of(name.span)),
            WindowType::WindowSpec(spec) => {
                let spec = self.window_spec(spec)?;
                let windows = &mut self.level().query.windows;
                let known = windows.iter().position(|w| same_window(w, &spec));
                let index = known.unwrap_or(windows.len());
                if known.is_none() {
                    windows.push(spec);
                }
                Ok(index as u32)
            }
        }
    }

    fn named_window(&mut self, name: &str, at: Offset) -> Result<u32> {
        let found = self.level().windows.iter().find(|(n, _)| n == name).map(|(_, index)| *index);
        found.ok_or_else(|| {
            let message = format!("window \"{name}\" does not exist");
            place(SqlError::new(SqlState::UNDEFINED_OBJECT, message), at)
        })
    }

    pub(super) fn window_spec(&mut self, spec: &ast::WindowSpec) -> Result<WindowSpec> {
        let mut bound = match &spec.window_name {
            Some(name) => {
                let index = self.named_window(&name.value, offset_of(name.span))?;
                self.level().query.windows[index as usize].clone()
            }
            None => WindowSpec { partition_by: Vec::new(), order_by: Vec::new(), frame: default_frame() },
        };
        for tree in &spec.partition_by {
            let e = self.expr_in(Clause::Window, tree)?;
            let e = self.unknown_to_text(e);
            bound.partition_by.push(e);
        }
        for key in &spec.order_by {
            let e = self.expr_in(Clause::Window, &key.expr)?;
            let e = self.unknown_to_text(e);
            let key = self.sort_key(e, &key.options)?;
            bound.order_by.push(key);
        }
        if let Some(frame) = &spec.window_frame {
            bound.frame = self.frame(frame, &bound)?;
        }
        Ok(bound)
    }

    fn frame(&mut self, frame: &ast::WindowFrame, spec: &WindowSpec) -> Result<Frame> {
        let mode = match frame.units {
            WindowFrameUnits::Rows => FrameMode::Rows,
            WindowFrameUnits::Range => FrameMode::Range,
            WindowFrameUnits::Groups => FrameMode::Groups,
        };
        let start = self.frame_bound(&frame.start_bound, mode, spec)?;
        let end = match &frame.end_bound {
            Some(end) => self.frame_bound(end, mode, spec)?,
            None => FrameBound::CurrentRow,
        };
        Ok(Frame { mode, start, end, exclude: FrameExclude::NoOthers })
    }

    fn frame_bound(
        &mut self,
        bound: &ast::WindowFrameBound,
        mode: FrameMode,
        spec: &WindowSpec,
    ) -> Result<FrameBound> {
        let mut offset = |tree: &ast::Expr| {
            let value = self.expr_in(Clause::Window, tree)?;
            let to = match (mode, spec.order_by.first().map(|k| k.expr.ty.oid)) {
                (FrameMode::Range, Some(Oid::DATE | Oid::TIMESTAMP | Oid::TIMESTAMPTZ | Oid::TIME)) => {
                    Oid::INTERVAL
                }
                (FrameMode::Range, Some(key)) => key,
                _ => Oid::INT8,
            };
            self.coerce(value, to, CastContext::Implicit).map(Box::new)
        };
        Ok(match bound {
            ast::WindowFrameBound::CurrentRow => FrameBound::CurrentRow,
            ast::WindowFrameBound::Preceding(None) => FrameBound::UnboundedPreceding,
            ast::WindowFrameBound::Following(None) => FrameBound::UnboundedFollowing,
            ast::WindowFrameBound::Preceding(Some(e)) => FrameBound::Preceding(offset(e)?),
            ast::WindowFrameBound::Following(Some(e)) => FrameBound::Following(offset(e)?),
        })
    }
}

/// What a call says of an aggregate beside its arguments.
struct AggregateShape<'a> {
    star: bool,
    distinct: bool,
    order: &'a [ast::OrderByExpr],
    /// How many arguments stand before WITHIN GROUP.
    direct: usize,
}

fn default_frame() -> Frame {
    Frame {
        mode: FrameMode::Range,
        start: FrameBound::UnboundedPreceding,
        end: FrameBound::CurrentRow,
        exclude: FrameExclude::NoOthers,
    }
}

fn same_window(a: &WindowSpec, b: &WindowSpec) -> bool {
    let keys = a.order_by.len() == b.order_by.len()
        && a.order_by.iter().zip(&b.order_by).all(|(x, y)| {
            (x.descending, x.nulls_first) == (y.descending, y.nulls_first)
                && super::walk::same(&x.expr, &y.expr)
        });
    keys && a.partition_by.len() == b.partition_by.len()
        && a.partition_by.iter().zip(&b.partition_by).all(|(x, y)| super::walk::same(x, y))
        && super::walk::same_frame(&a.frame, &b.frame)
}

/// What only aggregates take, on an ordinary function.
fn misuse(
    name: &str,
    order_by: &[ast::OrderByExpr],
    distinct: bool,
    star: bool,
    call: &Function,
) -> Option<String> {
    let clause = if star {
        return Some(format!("{name}(*) specified, but {name} is not an aggregate function"));
    } else if distinct {
        "DISTINCT"
    } else if !call.within_group.is_empty() {
        "WITHIN GROUP"
    } else if !order_by.is_empty() {
        "ORDER BY"
    } else if call.filter.is_some() {
        "FILTER"
    } else if call.over.is_some() {
        return Some(format!(
            "OVER specified, but {name} is not a window function nor an aggregate function"
        ));
    } else {
        return None;
    };
    Some(format!("{clause} specified, but {name} is not an aggregate function"))
}
