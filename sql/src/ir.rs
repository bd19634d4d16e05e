//! The typed tree: what the binder makes of a statement, and all that planning and execution see.
//!
//! Close to PostgreSQL's analysed Query: a range table, expressions with types on every node, and
//! function OIDs in place of names. Columns are named by (range-table index, column number), so no
//! text name survives binding except for output.

use crate::Oid;
use crate::types::{Datum, TypeRef};
use std::sync::Arc;

/// Byte offset into the statement's text, for error positions.
pub type Offset = Option<usize>;

/// An entry of a query's range table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeIndex(pub u32);

/// A column of a range-table entry: number from 1 (attnum for tables; position in the output for
/// everything else), 0: the whole row; negative: system columns as PostgreSQL numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnRef {
    /// 0: this query, 1: the query around it, …
    pub levels_up: u16,
    pub range: RangeIndex,
    pub column: i16,
}

/// A scalar expression with its type.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: TypeRef,
    pub at: Offset,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Const(Datum),
    Column(ColumnRef),
    /// `$n`, from 1.
    Param(u16),
    /// A function or operator by the OID of its `pg_proc` row; arguments already coerced. The
    /// operator's OID is kept for display and index matching (`Oid::NONE` for a function call).
    Call {
        function: Oid,
        operator: Oid,
        args: Vec<Expr>,
    },
    /// A call that returns a set, in a select list or FROM.
    SetCall {
        function: Oid,
        args: Vec<Expr>,
    },
    Cast {
        kind: CastKind,
        arg: Box<Expr>,
        explicit: bool,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull {
        arg: Box<Expr>,
        negated: bool,
    },
    /// IS [NOT] TRUE / FALSE / UNKNOWN.
    BoolTest {
        arg: Box<Expr>,
        test: BoolTest,
    },
    /// IS [NOT] DISTINCT FROM; `function` is the equality's.
    Distinct {
        function: Oid,
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    /// `operand` is `None` for the searched form; arms hold conditions (already `operand = value`
    /// comparisons over `CaseOperand` in the simple form).
    Case {
        operand: Option<Box<Expr>>,
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// The operand of the innermost simple CASE.
    CaseOperand,
    Coalesce(Vec<Expr>),
    /// NULLIF; `function` is the equality's.
    NullIf {
        function: Oid,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// GREATEST / LEAST; `function` is the comparison `btree` support function's OID (`bt…cmp`).
    MinMax {
        greatest: bool,
        function: Oid,
        args: Vec<Expr>,
    },
    Array {
        element: Oid,
        items: Vec<Expr>,
        nested: bool,
    },
    Row(Vec<Expr>),
    /// Row comparison `(a, b) < (c, d)`: functions are the operators' per column.
    RowCompare {
        op: RowCompareOp,
        functions: Vec<Oid>,
        left: Vec<Expr>,
        right: Vec<Expr>,
    },
    /// `left op ANY/ALL (array)`, also IN lists.
    ArrayOp {
        function: Oid,
        operator: Oid,
        all: bool,
        left: Box<Expr>,
        array: Box<Expr>,
    },
    Subscript {
        arg: Box<Expr>,
        subscripts: Vec<Subscript>,
    },
    /// `(row).field`, field number from 1.
    Field {
        arg: Box<Expr>,
        field: i16,
    },
    Subquery(Box<Subquery>),
    Aggregate(Box<Aggregate>),
    Window(Box<WindowCall>),
    /// GROUPING(…): positions in the GROUP BY list.
    Grouping(Vec<u32>),
    /// CURRENT_USER, CURRENT_TIMESTAMP, …
    Session(SessionValue),
    Collate {
        arg: Box<Expr>,
    },
    /// DEFAULT as a value of INSERT or UPDATE.
    Default,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoolTest {
    True,
    NotTrue,
    False,
    NotFalse,
    Unknown,
    NotUnknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowCompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// How a cast is carried out (PostgreSQL's `castmethod`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastKind {
    /// By the function of that OID; a length-coercion function gets (value, typmod, explicit).
    Function(Oid),
    /// Same representation, nothing to do.
    Relabel,
    /// Output function of the source, input function of the target.
    InOut,
    /// Element by element, with the kind of the element's cast.
    ArrayElements(ArrayElementCast),
    /// Applies the target's modifier only: `varchar(3)`, `numeric(5,2)`, `timestamp(0)`.
    Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrayElementCast {
    Function(Oid),
    Relabel,
    InOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionValue {
    CurrentDate,
    CurrentTime { typmod: i32 },
    CurrentTimestamp { typmod: i32 },
    LocalTime { typmod: i32 },
    LocalTimestamp { typmod: i32 },
    CurrentUser,
    SessionUser,
    CurrentCatalog,
    CurrentSchema,
}

#[derive(Clone, Debug)]
pub enum Subscript {
    Index(Expr),
    Slice { lower: Option<Expr>, upper: Option<Expr> },
}

#[derive(Clone, Debug)]
pub struct Subquery {
    pub kind: SubqueryKind,
    pub query: Query,
}

#[derive(Clone, Debug)]
pub enum SubqueryKind {
    Scalar,
    Exists,
    /// `left op ANY/ALL (query)`; IN is `= ANY`. One function an output column.
    Quantified {
        all: bool,
        left: Vec<Expr>,
        functions: Vec<Oid>,
        negated: bool,
    },
    Array,
}

#[derive(Clone, Debug)]
pub struct Aggregate {
    pub function: Oid,
    pub args: Vec<Expr>,
    pub distinct: bool,
    pub order_by: Vec<SortKey>,
    pub filter: Option<Expr>,
    /// `count(*)`.
    pub star: bool,
    /// Direct arguments of an ordered-set aggregate.
    pub direct: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub struct WindowCall {
    pub function: Oid,
    /// An aggregate used as a window function.
    pub is_aggregate: bool,
    pub args: Vec<Expr>,
    pub filter: Option<Expr>,
    pub star: bool,
    /// Index into `Query::windows`.
    pub window: u32,
}

#[derive(Clone, Debug)]
pub struct WindowSpec {
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortKey>,
    pub frame: Frame,
}

#[derive(Clone, Debug)]
pub struct Frame {
    pub mode: FrameMode,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclude: FrameExclude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameMode {
    Rows,
    Range,
    Groups,
}

#[derive(Clone, Debug)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameExclude {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

#[derive(Clone, Debug)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

/// An output column of a query.
#[derive(Clone, Debug)]
pub struct Target {
    pub expr: Expr,
    pub name: String,
    /// Table OID and column number when it is a plain column (RowDescription shows them).
    pub origin: Option<(Oid, i16)>,
    /// Only there for ORDER BY, GROUP BY or DISTINCT ON; not part of the output.
    pub junk: bool,
}

/// A bound SELECT (or VALUES, or set operation).
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub ranges: Vec<RangeEntry>,
    pub from: Vec<FromItem>,
    pub filter: Option<Expr>,
    pub targets: Vec<Target>,
    /// GROUP BY expressions; grouping sets index into them. `aggregated` is set when the query
    /// aggregates, also without GROUP BY.
    pub group_by: Vec<Expr>,
    pub grouping_sets: Option<Vec<Vec<u32>>>,
    pub aggregated: bool,
    pub having: Option<Expr>,
    pub windows: Vec<WindowSpec>,
    pub distinct: Distinct,
    pub order_by: Vec<SortKey>,
    pub limit: Option<Expr>,
    pub with_ties: bool,
    pub offset: Option<Expr>,
    /// The body when this is a set operation; `ranges` then holds the two sides as subqueries.
    pub set_op: Option<Box<SetOp>>,
    /// Rows when this is a VALUES list; targets refer to its columns as range 0.
    pub ctes: Vec<Cte>,
    pub locking: Vec<RowLock>,
}

#[derive(Clone, Debug, Default)]
pub enum Distinct {
    #[default]
    No,
    All,
    On(Vec<Expr>),
}

#[derive(Clone, Debug)]
pub struct SetOp {
    pub kind: SetOpKind,
    pub all: bool,
    pub left: Query,
    pub right: Query,
    /// Common types of the output columns; the sides are already coerced to them.
    pub types: Vec<TypeRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOpKind {
    Union,
    Intersect,
    Except,
}

#[derive(Clone, Debug)]
pub struct Cte {
    pub name: String,
    pub body: CteBody,
    pub recursive: bool,
    /// Some(false): NOT MATERIALIZED.
    pub materialized: Option<bool>,
    pub columns: Vec<(String, TypeRef)>,
}

#[derive(Clone, Debug)]
pub enum CteBody {
    Query(Box<Query>),
    Modify(Box<Modify>),
}

#[derive(Clone, Debug)]
pub struct RowLock {
    pub strength: LockStrength,
    /// Empty: every range of the query.
    pub ranges: Vec<RangeIndex>,
    pub wait: LockWait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockStrength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    Block,
    NoWait,
    SkipLocked,
}

#[derive(Clone, Debug)]
pub struct RangeEntry {
    pub kind: RangeKind,
    pub alias: String,
    /// Names and types of the columns in order; the column number is the position from 1, except
    /// for tables, where `numbers` says it.
    pub columns: Vec<RangeColumn>,
}

#[derive(Clone, Debug)]
pub struct RangeColumn {
    pub name: String,
    pub ty: TypeRef,
    pub number: i16,
}

#[derive(Clone, Debug)]
pub enum RangeKind {
    Table(Arc<crate::catalog::Descriptor>),
    /// A virtual catalog table (pg_catalog, information_schema), by OID.
    Virtual(Oid),
    Subquery {
        query: Box<Query>,
        lateral: bool,
    },
    Values(Vec<Vec<Expr>>),
    Functions {
        calls: Vec<Expr>,
        ordinality: bool,
        lateral: bool,
    },
    /// `levels_up` queries out, index into its `ctes`.
    Cte {
        levels_up: u16,
        index: u32,
    },
    /// The working table of the recursive CTE around it.
    WorkTable {
        levels_up: u16,
        index: u32,
    },
    /// The merged columns of a join with an alias or USING.
    Join {
        merged: Vec<Expr>,
    },
}

#[derive(Clone, Debug)]
pub enum FromItem {
    Range(RangeIndex),
    Join {
        kind: JoinKind,
        left: Box<FromItem>,
        right: Box<FromItem>,
        on: Option<Expr>,
        /// The join's own range entry when its columns are merged (USING, NATURAL) or aliased.
        range: Option<RangeIndex>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

/// INSERT, UPDATE or DELETE. The target table is range 0 of `query`.
#[derive(Clone, Debug)]
pub struct Modify {
    pub table: Arc<crate::catalog::Descriptor>,
    pub kind: ModifyKind,
    /// UPDATE/DELETE: FROM/USING and WHERE over the target (range 0) and the rest; `targets` empty.
    /// INSERT: unused ranges but for RETURNING and ON CONFLICT (range 0 target, range 1 `excluded`).
    pub query: Query,
    /// RETURNING over range 0.
    pub returning: Vec<Target>,
}

#[derive(Clone, Debug)]
pub enum ModifyKind {
    Insert {
        /// Column numbers given, in order of the source's columns.
        columns: Vec<i16>,
        source: InsertSource,
        on_conflict: Option<OnConflict>,
        overriding: Option<Overriding>,
    },
    /// Column number and value, in terms of the target's row and FROM.
    Update {
        set: Vec<(i16, Expr)>,
    },
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    System,
    User,
}

#[derive(Clone, Debug)]
pub enum InsertSource {
    DefaultValues,
    /// Rows of expressions, coerced to the columns' types.
    Values(Vec<Vec<Expr>>),
    /// Output columns coerced to the columns' types.
    Query(Box<Query>),
}

#[derive(Clone, Debug)]
pub struct OnConflict {
    /// Arbiter index; `None`: any unique index (DO NOTHING only).
    pub arbiter: Option<Oid>,
    pub action: ConflictAction,
}

#[derive(Clone, Debug)]
pub enum ConflictAction {
    Nothing,
    Update { set: Vec<(i16, Expr)>, filter: Option<Expr> },
}

/// A bound statement of the part that needs binding.
#[derive(Clone, Debug)]
pub enum Bound {
    Query(Query),
    Modify(Modify),
}

impl Expr {
    pub fn new(kind: ExprKind, ty: TypeRef) -> Expr {
        Expr { kind, ty, at: None }
    }

    pub fn constant(value: Datum, ty: TypeRef) -> Expr {
        Expr::new(ExprKind::Const(value), ty)
    }

    pub fn with_at(mut self, at: Offset) -> Expr {
        self.at = at;
        self
    }
}

impl Expr {
    /// Calls `visit` on this expression and every expression below it, outside subqueries.
    pub fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        visit(self);
        self.for_each_child(&mut |child| child.walk(visit));
    }

    /// The direct operands, in order. A flat match: every kind stands once.
    pub fn for_each_child<'e>(&'e self, visit: &mut dyn FnMut(&'e Expr)) {
        match &self.kind {
            ExprKind::Const(_)
            | ExprKind::Column(_)
            | ExprKind::Param(_)
            | ExprKind::CaseOperand
            | ExprKind::Grouping(_)
            | ExprKind::Session(_)
            | ExprKind::Default => {}
            ExprKind::Call { args, .. } | ExprKind::SetCall { args, .. } | ExprKind::MinMax { args, .. } => {
                args.iter().for_each(visit);
            }
            ExprKind::And(items) | ExprKind::Or(items) | ExprKind::Coalesce(items) | ExprKind::Row(items) => {
                items.iter().for_each(visit);
            }
            ExprKind::Array { items, .. } => items.iter().for_each(visit),
            ExprKind::Cast { arg, .. }
            | ExprKind::Not(arg)
            | ExprKind::IsNull { arg, .. }
            | ExprKind::BoolTest { arg, .. }
            | ExprKind::Field { arg, .. }
            | ExprKind::Collate { arg } => visit(arg),
            ExprKind::Distinct { left, right, .. }
            | ExprKind::NullIf { left, right, .. }
            | ExprKind::ArrayOp { left, array: right, .. } => {
                visit(left);
                visit(right);
            }
            ExprKind::Case { operand, arms, otherwise } => {
                operand.iter().for_each(|e| visit(e));
                arms.iter().for_each(|(condition, value)| {
                    visit(condition);
                    visit(value);
                });
                otherwise.iter().for_each(|e| visit(e));
            }
            ExprKind::RowCompare { left, right, .. } => left.iter().chain(right).for_each(visit),
            ExprKind::Subscript { arg, subscripts } => {
                visit(arg);
                for subscript in subscripts {
                    match subscript {
                        Subscript::Index(e) => visit(e),
                        Subscript::Slice { lower, upper } => lower.iter().chain(upper).for_each(&mut *visit),
                    }
                }
            }
            ExprKind::Subquery(subquery) => {
                if let SubqueryKind::Quantified { left, .. } = &subquery.kind {
                    left.iter().for_each(visit);
                }
            }
            ExprKind::Aggregate(call) => {
                call.args.iter().chain(&call.filter).chain(&call.direct).for_each(&mut *visit);
                call.order_by.iter().for_each(|key| visit(&key.expr));
            }
            ExprKind::Window(call) => call.args.iter().chain(&call.filter).for_each(visit),
        }
    }
}
