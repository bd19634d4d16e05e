//! Evaluation of compiled expressions, a row at a time.

use super::special;
use crate::ir::{BoolTest, RowCompareOp, SessionValue};
use crate::kernels::{CallContext, ScalarFn};
use crate::types::{self, Coercion, Datum, TypeRef};
use crate::{Oid, Result, SqlError};
use smallvec::SmallVec;

/// What an evaluation may use besides the row.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    pub call: CallContext<'a>,
    /// Values of `$1`, `$2`, …
    pub params: &'a [Datum],
}

/// A function ready to be called.
#[derive(Clone, Debug)]
pub(super) struct Callee {
    pub(super) run: ScalarFn,
    pub(super) strict: bool,
    /// Actual argument and result types.
    pub(super) args: Box<[Oid]>,
    pub(super) result: Oid,
}

impl Callee {
    fn invoke(&self, cx: &EvalContext<'_>, args: &[Datum]) -> Result<Datum> {
        (self.run)(&CallContext { args: &self.args, result: self.result, ..cx.call }, args)
    }
}

/// A compiled expression. Immutable and shared between executions.
#[derive(Clone, Debug)]
pub struct Compiled(pub(super) Node);

#[derive(Clone, Debug)]
pub(super) enum Node {
    Const(Datum),
    Slot(usize),
    Param(usize),
    Call {
        callee: Callee,
        args: Vec<Node>,
    },
    /// Binary call on values that are not null: the common shape of comparisons and arithmetic.
    Call2 {
        callee: Callee,
        left: Box<Node>,
        right: Box<Node>,
    },
    InOut {
        from: Oid,
        to: TypeRef,
        arg: Box<Node>,
    },
    Length {
        ty: TypeRef,
        coercion: Coercion,
        arg: Box<Node>,
    },
    /// Element-wise cast of an array; `item` reads the element from `Node::CaseOperand`.
    ArrayCast {
        element: Oid,
        item: Box<Node>,
        arg: Box<Node>,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull {
        arg: Box<Node>,
        negated: bool,
    },
    BoolTest {
        arg: Box<Node>,
        test: BoolTest,
    },
    Distinct {
        callee: Callee,
        left: Box<Node>,
        right: Box<Node>,
        negated: bool,
    },
    Case {
        operand: Option<Box<Node>>,
        arms: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    CaseOperand,
    Coalesce(Vec<Node>),
    NullIf {
        callee: Callee,
        left: Box<Node>,
        right: Box<Node>,
    },
    MinMax {
        greatest: bool,
        ty: Oid,
        args: Vec<Node>,
    },
    Array {
        element: Oid,
        items: Vec<Node>,
        nested: bool,
    },
    Row {
        types: Vec<Oid>,
        fields: Vec<Node>,
    },
    RowCompare {
        op: RowCompareOp,
        callees: Vec<Callee>,
        left: Vec<Node>,
        right: Vec<Node>,
    },
    ArrayOp {
        callee: Callee,
        all: bool,
        left: Box<Node>,
        array: Box<Node>,
    },
    Subscript {
        arg: Box<Node>,
        indexes: Vec<Node>,
    },
    Slice {
        arg: Box<Node>,
        bounds: Vec<(Option<Node>, Option<Node>)>,
    },
    Field {
        arg: Box<Node>,
        field: usize,
    },
    Session(SessionValue),
}

/// Arguments of a call, on the stack for the usual arities.
pub(super) type Args = SmallVec<[Datum; 4]>;

impl Compiled {
    /// The value over a row of slots.
    pub fn eval(&self, cx: &EvalContext<'_>, row: &[Datum]) -> Result<Datum> {
        Evaluation { cx, row }.node(&self.0, &Datum::Null)
    }

    /// Whether a filter lets the row pass: true, not null.
    pub fn passes(&self, cx: &EvalContext<'_>, row: &[Datum]) -> Result<bool> {
        Ok(matches!(self.eval(cx, row)?, Datum::Bool(true)))
    }

    /// The constant that this expression is, if it is one.
    pub fn as_const(&self) -> Option<&Datum> {
        match &self.0 {
            Node::Const(value) => Some(value),
            _ => None,
        }
    }

    /// The slot that this expression reads, if it does nothing else.
    pub fn as_slot(&self) -> Option<usize> {
        match self.0 {
            Node::Slot(slot) => Some(slot),
            _ => None,
        }
    }
}

struct Evaluation<'e, 'a> {
    cx: &'e EvalContext<'a>,
    row: &'e [Datum],
}

impl Evaluation<'_, '_> {
    /// A flat match over the node kinds, longer than other functions because every kind stands once.
    fn node(&self, node: &Node, operand: &Datum) -> Result<Datum> {
        match node {
            Node::Const(value) => Ok(value.clone()),
            Node::Slot(slot) => Ok(self.row[*slot].clone()),
            Node::Param(i) => {
                self.cx.params.get(*i).cloned().ok_or_else(|| SqlError::internal("parameter without value"))
            }
            Node::Call2 { callee, left, right } => {
                let args = [self.node(left, operand)?, self.node(right, operand)?];
                if args[0].is_null() || args[1].is_null() {
                    return Ok(Datum::Null);
                }
                callee.invoke(self.cx, &args)
            }
            Node::Call { callee, args } => self.call(callee, &self.all(args, operand)?),
            Node::InOut { from, to, arg } => self.in_out(*from, *to, self.node(arg, operand)?),
            Node::Length { ty, coercion, arg } => match self.node(arg, operand)? {
                Datum::Null => Ok(Datum::Null),
                value => types::apply_typmod(*ty, value, *coercion),
            },
            Node::ArrayCast { element, item, arg } => match self.node(arg, operand)? {
                Datum::Null => Ok(Datum::Null),
                array => special::map_array(&array, *element, |value| self.node(item, value)),
            },
            Node::And(items) => self.junction(items, operand, false),
            Node::Or(items) => self.junction(items, operand, true),
            Node::Not(arg) => Ok(match self.node(arg, operand)? {
                Datum::Bool(v) => Datum::Bool(!v),
                _ => Datum::Null,
            }),
            Node::IsNull { arg, negated } => {
                Ok(Datum::Bool(special::is_null(&self.node(arg, operand)?, *negated)))
            }
            Node::BoolTest { arg, test } => {
                Ok(Datum::Bool(special::bool_test(&self.node(arg, operand)?, *test)))
            }
            Node::Distinct { callee, left, right, negated } => {
                let (left, right) = (self.node(left, operand)?, self.node(right, operand)?);
                Ok(Datum::Bool(self.distinct(callee, left, right)? != *negated))
            }
            Node::Case { operand: subject, arms, otherwise } => {
                self.case(subject.as_deref(), arms, otherwise.as_deref(), operand)
            }
            Node::CaseOperand => Ok(operand.clone()),
            Node::Coalesce(items) => self.coalesce(items, operand),
            Node::NullIf { callee, left, right } => {
                let (left, right) = (self.node(left, operand)?, self.node(right, operand)?);
                let equal =
                    !left.is_null() && !right.is_null() && self.is_true(callee, &[left.clone(), right])?;
                Ok(if equal { Datum::Null } else { left })
            }
            Node::MinMax { greatest, ty, args } => special::min_max(*greatest, *ty, self.all(args, operand)?),
            Node::Array { element, items, nested } => {
                special::build_array(*element, self.all(items, operand)?, *nested)
            }
            Node::Row { types, fields } => {
                let fields = self.all(fields, operand)?;
                Ok(Datum::Record(types.iter().copied().zip(fields).collect::<Vec<_>>().into()))
            }
            Node::RowCompare { op, callees, left, right } => {
                self.row_compare(*op, callees, left, right, operand)
            }
            Node::ArrayOp { callee, all, left, array } => {
                let left = self.node(left, operand)?;
                self.array_op(callee, *all, left, self.node(array, operand)?)
            }
            Node::Subscript { arg, indexes } => {
                let array = self.node(arg, operand)?;
                special::subscript(&array, &self.all(indexes, operand)?)
            }
            Node::Slice { arg, bounds } => self.slice(arg, bounds, operand),
            Node::Field { arg, field } => match self.node(arg, operand)? {
                Datum::Record(fields) => {
                    Ok(fields.get(*field).map_or(Datum::Null, |(_, value)| value.clone()))
                }
                _ => Ok(Datum::Null),
            },
            Node::Session(value) => Ok(special::session_value(*value, &self.cx.call)),
        }
    }

    fn all(&self, nodes: &[Node], operand: &Datum) -> Result<Args> {
        nodes.iter().map(|node| self.node(node, operand)).collect()
    }

    fn call(&self, callee: &Callee, args: &[Datum]) -> Result<Datum> {
        if callee.strict && args.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        callee.invoke(self.cx, args)
    }

    fn is_true(&self, callee: &Callee, args: &[Datum]) -> Result<bool> {
        Ok(matches!(self.call(callee, args)?, Datum::Bool(true)))
    }

    fn in_out(&self, from: Oid, to: TypeRef, value: Datum) -> Result<Datum> {
        if value.is_null() {
            return Ok(Datum::Null);
        }
        let mut text = Vec::with_capacity(32);
        let io = self.cx.call.io();
        io.output(from, &value, &mut text);
        let text =
            String::from_utf8(text).map_err(|_| SqlError::internal("output function gave invalid text"))?;
        io.input(to, &text)
    }

    /// AND (`stop` = false) and OR (`stop` = true) in three-valued logic, left to right.
    fn junction(&self, items: &[Node], operand: &Datum, stop: bool) -> Result<Datum> {
        let mut unknown = false;
        for item in items {
            match self.node(item, operand)? {
                Datum::Bool(v) if v == stop => return Ok(Datum::Bool(stop)),
                Datum::Bool(_) => {}
                _ => unknown = true,
            }
        }
        Ok(if unknown { Datum::Null } else { Datum::Bool(!stop) })
    }

    fn distinct(&self, equality: &Callee, left: Datum, right: Datum) -> Result<bool> {
        match (left.is_null(), right.is_null()) {
            (true, true) => Ok(false),
            (false, false) => Ok(!self.is_true(equality, &[left, right])?),
            _ => Ok(true),
        }
    }

    fn case(
        &self,
        subject: Option<&Node>,
        arms: &[(Node, Node)],
        otherwise: Option<&Node>,
        operand: &Datum,
    ) -> Result<Datum> {
        let subject = match subject {
            Some(node) => self.node(node, operand)?,
            None => operand.clone(),
        };
        for (condition, value) in arms {
            if matches!(self.node(condition, &subject)?, Datum::Bool(true)) {
                return self.node(value, operand);
            }
        }
        otherwise.map_or(Ok(Datum::Null), |node| self.node(node, operand))
    }

    fn coalesce(&self, items: &[Node], operand: &Datum) -> Result<Datum> {
        for item in items {
            let value = self.node(item, operand)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        Ok(Datum::Null)
    }

    /// `left op ANY/ALL (array)`: SQL's three-valued quantifiers.
    fn array_op(&self, callee: &Callee, all: bool, left: Datum, array: Datum) -> Result<Datum> {
        let Datum::Array(array) = array else { return Ok(Datum::Null) };
        if callee.strict && left.is_null() && !array.items.is_empty() {
            return Ok(Datum::Null);
        }
        let mut unknown = false;
        for item in &array.items {
            match self.call(callee, &[left.clone(), item.clone()])? {
                Datum::Bool(v) if v != all => return Ok(Datum::Bool(!all)),
                Datum::Bool(_) => {}
                _ => unknown = true,
            }
        }
        Ok(if unknown { Datum::Null } else { Datum::Bool(all) })
    }

    /// Row comparison, column by column: equality for `=`/`<>`; for the order operators the first
    /// column that differs decides, and the last one decides with the operator itself.
    fn row_compare(
        &self,
        op: RowCompareOp,
        callees: &[Callee],
        left: &[Node],
        right: &[Node],
        operand: &Datum,
    ) -> Result<Datum> {
        let mut unknown = false;
        for ((callee, left), right) in callees.iter().zip(left).zip(right) {
            let (left, right) = (self.node(left, operand)?, self.node(right, operand)?);
            let verdict = self.call(callee, &[left.clone(), right.clone()])?;
            match (op, verdict) {
                (RowCompareOp::Eq, Datum::Bool(false)) => return Ok(Datum::Bool(false)),
                (RowCompareOp::Ne, Datum::Bool(true)) => return Ok(Datum::Bool(true)),
                (RowCompareOp::Eq | RowCompareOp::Ne, Datum::Bool(_)) => {}
                (RowCompareOp::Eq | RowCompareOp::Ne, _) => unknown = true,
                (_, Datum::Null) => return Ok(Datum::Null),
                // `a < b` holds, or `b < a` holds: this column decides. Neither: look further.
                (_, verdict) => {
                    let reverse = self.call(callee, &[right, left])?;
                    if special::bool_of(&verdict) != special::bool_of(&reverse) {
                        return Ok(verdict);
                    }
                }
            }
        }
        Ok(match op {
            _ if unknown => Datum::Null,
            RowCompareOp::Eq | RowCompareOp::Le | RowCompareOp::Ge => Datum::Bool(true),
            RowCompareOp::Ne | RowCompareOp::Lt | RowCompareOp::Gt => Datum::Bool(false),
        })
    }

    fn slice(&self, arg: &Node, bounds: &[(Option<Node>, Option<Node>)], operand: &Datum) -> Result<Datum> {
        let array = self.node(arg, operand)?;
        let bound = |node: &Option<Node>| node.as_ref().map(|n| self.node(n, operand)).transpose();
        let bounds =
            bounds.iter().map(|(lo, hi)| Ok((bound(lo)?, bound(hi)?))).collect::<Result<Vec<_>>>()?;
        special::slice(&array, &bounds)
    }
}
