//! The name of an output column that has no alias.

use super::Binder;
use sqlparser::ast::{self, AccessExpr, FunctionArguments, ObjectName, TrimWhereField};

impl Binder<'_> {
    /// PostgreSQL's choice of a name, `?column?` where nothing suggests one.
    pub(super) fn column_name(&self, tree: &ast::Expr) -> String {
        self.suggested(tree).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
    }

    /// A name and whether it is a strong one, which a cast around it leaves alone.
    fn suggested(&self, tree: &ast::Expr) -> Option<(String, bool)> {
        let strong = |name: &str| Some((name.to_owned(), true));
        let weak = |name: &str| Some((name.to_owned(), false));
        match tree {
            ast::Expr::Identifier(name) => strong(&name.value),
            ast::Expr::CompoundIdentifier(parts) => parts.last().and_then(|p| strong(&p.value)),
            ast::Expr::Nested(inner) | ast::Expr::Collate { expr: inner, .. } => self.suggested(inner),
            ast::Expr::Function(call) => match &call.args {
                FunctionArguments::Subquery(_) => strong("array"),
                _ => last_part(&call.name).and_then(|n| strong(&n)),
            },
            ast::Expr::Cast { expr, data_type, .. } => match self.suggested(expr) {
                Some((name, true)) => strong(&name),
                _ => weak(&self.catalog_type_name(data_type)?),
            },
            ast::Expr::TypedString(literal) => weak(&self.catalog_type_name(&literal.data_type)?),
            ast::Expr::Interval(_) => weak("interval"),
            ast::Expr::Value(v) => match v.value {
                ast::Value::NationalStringLiteral(_) => weak("bpchar"),
                _ => None,
            },
            ast::Expr::Case { else_result, .. } => {
                match else_result.as_ref().and_then(|e| self.suggested(e)) {
                    Some((name, true)) => strong(&name),
                    _ => weak("case"),
                }
            }
            ast::Expr::Array(_) => strong("array"),
            ast::Expr::Tuple(_) => strong("row"),
            ast::Expr::Prefixed { prefix, .. } if prefix.value == "row" => strong("row"),
            ast::Expr::Exists { negated: false, .. } => strong("exists"),
            ast::Expr::Subquery(query) => self.query_column_name(query).and_then(|n| strong(&n)),
            ast::Expr::Extract { .. } => strong("extract"),
            ast::Expr::Position { .. } => strong("position"),
            ast::Expr::Substring { .. } => strong("substring"),
            ast::Expr::Overlay { .. } => strong("overlay"),
            ast::Expr::Trim { trim_where, .. } => strong(match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }),
            ast::Expr::AtTimeZone { .. } => strong("timezone"),
            ast::Expr::Ceil { .. } => strong("ceil"),
            ast::Expr::Floor { .. } => strong("floor"),
            ast::Expr::CompoundFieldAccess { root, access_chain } => {
                let field = access_chain.iter().rev().find_map(|a| match a {
                    AccessExpr::Dot(ast::Expr::Identifier(name)) => Some(name.value.clone()),
                    _ => None,
                });
                match field {
                    Some(field) => strong(&field),
                    None => self.suggested(root),
                }
            }
            _ => None,
        }
    }

    /// The type's catalog name, of an array its element's.
    fn catalog_type_name(&self, data_type: &ast::DataType) -> Option<String> {
        let ty = self.type_name(data_type).ok()?;
        let oid = self.element_of(ty.oid).unwrap_or(ty.oid);
        match crate::registry::Registry::get().type_by_oid(oid) {
            Some(row) => Some(row.name.to_owned()),
            None => self.catalog.get(oid).map(|d| d.name().to_owned()),
        }
    }

    fn query_column_name(&self, query: &ast::Query) -> Option<String> {
        match &*query.body {
            ast::SetExpr::Select(select) => match select.projection.as_slice() {
                [ast::SelectItem::UnnamedExpr(e)] => Some(self.column_name(e)),
                [ast::SelectItem::ExprWithAlias { alias, .. }] => Some(alias.value.clone()),
                _ => None,
            },
            ast::SetExpr::Query(inner) => self.query_column_name(inner),
            ast::SetExpr::Values(_) => Some("column1".to_owned()),
            _ => None,
        }
    }
}

fn last_part(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|p| p.as_ident()).map(|i| i.value.clone())
}
