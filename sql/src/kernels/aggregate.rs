//! Aggregates: a state a group, fed with rows, merged with other states, finished to a value.

use super::args;
use crate::registry::Registry;
use crate::types::{Datum, Interval, Numeric, compare_with};
use crate::{Oid, Result, SqlError};
use rustc_hash::FxHashMap;
use std::any::Any;
use std::sync::OnceLock;

use super::CallContext;
use super::args::integer_range;

/// One aggregate function.
pub trait AggregateKernel: Send + Sync {
    /// The state of an empty group.
    fn start(&self) -> Box<dyn AggregateState>;
}

/// What one group has collected.
pub trait AggregateState: Send + Any {
    /// Takes one row's arguments, nulls included. `count(*)` gets no arguments.
    fn accumulate(&mut self, cx: &CallContext<'_>, args: &[Datum]) -> Result<()>;
    /// Takes another state of the same aggregate, as if its rows came after this one's.
    fn merge(&mut self, cx: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()>;
    /// The group's value; the state stays usable (window frames grow).
    fn finish(&self, cx: &CallContext<'_>) -> Result<Datum>;
    /// Bytes held beyond the state itself.
    fn bytes(&self) -> usize {
        0
    }
    /// For `merge`.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

fn downcast<S: AggregateState>(state: Box<dyn AggregateState>) -> Result<Box<S>> {
    state.into_any().downcast().map_err(|_| SqlError::internal("aggregate states of different kinds"))
}

struct Start<S>(fn() -> S);

impl<S: AggregateState> AggregateKernel for Start<S> {
    fn start(&self) -> Box<dyn AggregateState> {
        Box::new((self.0)())
    }
}

/// `count(*)` and `count(x)`.
#[derive(Default)]
struct Count(i64);

impl AggregateState for Count {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if !args.iter().any(Datum::is_null) {
            self.0 += 1;
        }
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        self.0 += downcast::<Count>(other)?.0;
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        Ok(Datum::Int8(self.0))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What a sum over integers answers.
#[derive(Clone, Copy)]
enum IntegerResult {
    /// `sum(int2)`, `sum(int4)`.
    Int8,
    /// `sum(int8)`.
    Numeric,
    /// `avg` of any.
    Average,
}

/// Integer sums are exact: 128 bits hold 2^64 values of 64 bits.
struct IntegerSum {
    result: IntegerResult,
    count: i64,
    sum: i128,
}

impl AggregateState for IntegerSum {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if let Some(value) = args.first().filter(|value| !value.is_null()) {
            self.count += 1;
            self.sum += i128::from(args::integer(value)?);
        }
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<IntegerSum>(other)?;
        self.count += other.count;
        self.sum += other.sum;
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        Ok(match self.result {
            IntegerResult::Int8 => Datum::Int8(i64::try_from(self.sum).map_err(|_| integer_range("bigint"))?),
            IntegerResult::Numeric => Datum::Numeric(Numeric::from_i128(self.sum)),
            IntegerResult::Average => {
                Datum::Numeric(Numeric::from_i128(self.sum).div(&Numeric::from_i64(self.count))?)
            }
        })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// sum and avg of numeric.
struct NumericSum {
    average: bool,
    count: i64,
    sum: Numeric,
}

impl AggregateState for NumericSum {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if let Some(value) = args.first().filter(|value| !value.is_null()) {
            self.count += 1;
            self.sum = self.sum.add(args::numeric(value)?)?;
        }
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<NumericSum>(other)?;
        self.count += other.count;
        self.sum = self.sum.add(&other.sum)?;
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        Ok(Datum::Numeric(match self.average {
            true => self.sum.div(&Numeric::from_i64(self.count))?,
            false => self.sum.clone(),
        }))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Moments of a group: what variance and standard deviation need.
#[derive(Clone, Copy)]
struct Spread {
    /// Divides by n instead of n - 1.
    population: bool,
    root: bool,
}

/// variance and stddev over integers and numeric: exact sums.
struct NumericSpread {
    spread: Spread,
    count: i64,
    sum: Numeric,
    squares: Numeric,
}

impl AggregateState for NumericSpread {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let Some(value) = args.first().filter(|value| !value.is_null()) else { return Ok(()) };
        let value = match value {
            Datum::Numeric(value) => value.clone(),
            other => Numeric::from_i64(args::integer(other)?),
        };
        self.count += 1;
        self.squares = self.squares.add(&value.mul(&value)?)?;
        self.sum = self.sum.add(&value)?;
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<NumericSpread>(other)?;
        self.count += other.count;
        self.sum = self.sum.add(&other.sum)?;
        self.squares = self.squares.add(&other.squares)?;
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        let least = if self.spread.population { 1 } else { 2 };
        if self.count < least {
            return Ok(Datum::Null);
        }
        if !self.sum.is_finite() || !self.squares.is_finite() {
            return Ok(Datum::Numeric(Numeric::nan()));
        }
        let count = Numeric::from_i64(self.count);
        // (n · Σx² − (Σx)²) / (n · (n − 1)), or / n² over the population.
        let spread = count.mul(&self.squares)?.sub(&self.sum.mul(&self.sum)?)?;
        if spread.signum() <= 0 {
            return Ok(Datum::Numeric(Numeric::zero(0)));
        }
        let by = if self.spread.population { count.clone() } else { Numeric::from_i64(self.count - 1) };
        let variance = spread.div(&count.mul(&by)?)?;
        Ok(Datum::Numeric(if self.spread.root { variance.sqrt()? } else { variance }))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What a float aggregate answers.
#[derive(Clone, Copy)]
enum FloatResult {
    Sum4,
    Sum8,
    Average,
    Spread(Spread),
}

/// Float aggregates by Youngs and Cramer's recurrence, as PostgreSQL computes them.
struct FloatState {
    result: FloatResult,
    count: f64,
    sum: f64,
    /// Σ (x − mean)².
    spread: f64,
}

impl FloatState {
    fn overflow() -> SqlError {
        SqlError::new(crate::SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
    }
}

impl AggregateState for FloatState {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let value = match args.first() {
            None | Some(Datum::Null) => return Ok(()),
            Some(Datum::Float4(value)) => f64::from(*value),
            Some(other) => args::float8(other)?,
        };
        let before = self.count;
        let sum = match self.result {
            // sum(float4) adds in single precision.
            FloatResult::Sum4 => f64::from(self.sum as f32 + value as f32),
            _ => self.sum + value,
        };
        if sum.is_infinite() && !self.sum.is_infinite() && !value.is_infinite() {
            return Err(FloatState::overflow());
        }
        self.count += 1.0;
        if matches!(self.result, FloatResult::Spread(_) | FloatResult::Average) {
            if before > 0.0 {
                let part = value * self.count - sum;
                self.spread += part * part / (self.count * before);
                if self.spread.is_infinite() {
                    if !self.sum.is_infinite() && !value.is_infinite() {
                        return Err(FloatState::overflow());
                    }
                    self.spread = f64::NAN;
                }
            } else if value.is_nan() || value.is_infinite() {
                self.spread = f64::NAN;
            }
        }
        self.sum = sum;
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<FloatState>(other)?;
        if other.count == 0.0 {
            return Ok(());
        }
        if self.count == 0.0 {
            (self.count, self.sum, self.spread) = (other.count, other.sum, other.spread);
            return Ok(());
        }
        let count = self.count + other.count;
        let difference = self.sum / self.count - other.sum / other.count;
        self.spread += other.spread + self.count * other.count * difference * difference / count;
        let sum = self.sum + other.sum;
        if sum.is_infinite() && !self.sum.is_infinite() && !other.sum.is_infinite() {
            return Err(FloatState::overflow());
        }
        (self.count, self.sum) = (count, sum);
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        if self.count == 0.0 {
            return Ok(Datum::Null);
        }
        Ok(match self.result {
            FloatResult::Sum4 => Datum::Float4(self.sum as f32),
            FloatResult::Sum8 => Datum::Float8(self.sum),
            FloatResult::Average => Datum::Float8(self.sum / self.count),
            FloatResult::Spread(spread) => {
                let by = if spread.population { self.count } else { self.count - 1.0 };
                if by <= 0.0 {
                    return Ok(Datum::Null);
                }
                let variance = self.spread / by;
                Datum::Float8(if spread.root { variance.sqrt() } else { variance })
            }
        })
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// sum and avg of interval.
struct IntervalSum {
    average: bool,
    count: i64,
    sum: Interval,
}

impl AggregateState for IntervalSum {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if let Some(value) = args.first().filter(|value| !value.is_null()) {
            self.count += 1;
            self.sum = super::datetime::add_intervals(self.sum, args::interval(value)?)?;
        }
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<IntervalSum>(other)?;
        self.count += other.count;
        self.sum = super::datetime::add_intervals(self.sum, other.sum)?;
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        Ok(Datum::Interval(match self.average {
            true => super::datetime::divide_interval(self.sum, self.count as f64)?,
            false => self.sum,
        }))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// min and max of a type.
struct Extreme {
    ty: Oid,
    greatest: bool,
    value: Datum,
}

impl Extreme {
    fn take(&mut self, cx: &CallContext<'_>, value: &Datum) {
        if value.is_null() {
            return;
        }
        // Enums and arrays order by the actual type.
        let ty = if self.ty == Oid::ANYENUM { cx.arg_type(0) } else { self.ty };
        let better = self.value.is_null() || {
            let order = compare_with(cx, ty, value, &self.value);
            if self.greatest { order.is_gt() } else { order.is_lt() }
        };
        if better {
            self.value = value.clone();
        }
    }
}

impl AggregateState for Extreme {
    fn accumulate(&mut self, cx: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        args.first().into_iter().for_each(|value| self.take(cx, value));
        Ok(())
    }

    fn merge(&mut self, cx: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<Extreme>(other)?;
        self.take(cx, &other.value);
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        Ok(self.value.clone())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// bool_and, bool_or, and the bit aggregates.
struct Fold {
    with: fn(&Datum, &Datum) -> Result<Datum>,
    value: Datum,
}

impl AggregateState for Fold {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        match args.first() {
            None | Some(Datum::Null) => {}
            Some(value) if self.value.is_null() => self.value = value.clone(),
            Some(value) => self.value = (self.with)(&self.value, value)?,
        }
        Ok(())
    }

    fn merge(&mut self, cx: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<Fold>(other)?;
        self.accumulate(cx, std::slice::from_ref(&other.value))
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        Ok(self.value.clone())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

fn fold_bool(a: &Datum, b: &Datum, op: fn(bool, bool) -> bool) -> Result<Datum> {
    Ok(Datum::Bool(op(args::boolean(a)?, args::boolean(b)?)))
}

fn fold_bits(a: &Datum, b: &Datum, op: fn(i64, i64) -> i64) -> Result<Datum> {
    let value = op(args::integer(a)?, args::integer(b)?);
    Ok(match a {
        Datum::Int2(_) => Datum::Int2(value as i16),
        Datum::Int4(_) => Datum::Int4(value as i32),
        _ => Datum::Int8(value),
    })
}

/// string_agg(text, delimiter): the first row's delimiter is not used.
#[derive(Default)]
struct StringAgg {
    text: Option<String>,
    /// The first row's delimiter, for a merge.
    first: String,
}

impl AggregateState for StringAgg {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let [value, delimiter] = args else {
            return Err(SqlError::internal("string_agg takes two arguments"));
        };
        if value.is_null() {
            return Ok(());
        }
        let delimiter = if delimiter.is_null() { "" } else { args::text(delimiter)? };
        match &mut self.text {
            None => {
                self.first = delimiter.to_owned();
                self.text = Some(args::text(value)?.to_owned());
            }
            Some(text) => {
                text.push_str(delimiter);
                text.push_str(args::text(value)?);
            }
        }
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<StringAgg>(other)?;
        match (&mut self.text, other.text) {
            (Some(text), Some(tail)) => {
                text.push_str(&other.first);
                text.push_str(&tail);
            }
            (None, Some(tail)) => (self.text, self.first) = (Some(tail), other.first),
            (_, None) => {}
        }
        Ok(())
    }

    fn finish(&self, _: &CallContext<'_>) -> Result<Datum> {
        Ok(self.text.as_ref().map_or(Datum::Null, Datum::text))
    }

    fn bytes(&self) -> usize {
        self.text.as_ref().map_or(0, String::capacity)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What a list of rows becomes.
#[derive(Clone, Copy)]
enum ListResult {
    Array,
    Json,
    Jsonb,
    JsonObject,
    JsonbObject,
}

/// array_agg, json_agg and their kin: every row is kept.
struct List {
    result: ListResult,
    rows: Vec<Datum>,
    bytes: usize,
}

fn size(value: &Datum) -> usize {
    size_of::<Datum>()
        + match value {
            Datum::Text(text) => text.len(),
            Datum::Bytes(bytes) => bytes.len(),
            Datum::Numeric(number) => number.digits.len() * 2,
            Datum::Array(array) => array.items.iter().map(size).sum(),
            _ => 0,
        }
}

impl AggregateState for List {
    fn accumulate(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        for value in args {
            self.bytes += size(value);
            self.rows.push(value.clone());
        }
        Ok(())
    }

    fn merge(&mut self, _: &CallContext<'_>, other: Box<dyn AggregateState>) -> Result<()> {
        let other = downcast::<List>(other)?;
        self.bytes += other.bytes;
        self.rows.extend(other.rows);
        Ok(())
    }

    fn finish(&self, cx: &CallContext<'_>) -> Result<Datum> {
        if self.rows.is_empty() {
            return Ok(Datum::Null);
        }
        match self.result {
            ListResult::Array => Ok(Datum::array(cx.arg_type(0), self.rows.clone())),
            ListResult::Json => super::json::list(cx, &self.rows, false),
            ListResult::Jsonb => super::json::list(cx, &self.rows, true),
            ListResult::JsonObject => super::json::object(cx, &self.rows, false),
            ListResult::JsonbObject => super::json::object(cx, &self.rows, true),
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

type Kernels = FxHashMap<Oid, Box<dyn AggregateKernel>>;

fn add<S: AggregateState>(kernels: &mut Kernels, oid: u32, start: fn() -> S) {
    kernels.insert(Oid(oid), Box::new(Start(start)));
}

struct StartExtreme {
    ty: Oid,
    greatest: bool,
}

impl AggregateKernel for StartExtreme {
    fn start(&self) -> Box<dyn AggregateState> {
        Box::new(Extreme { ty: self.ty, greatest: self.greatest, value: Datum::Null })
    }
}

struct StartSpread {
    spread: Spread,
    float: bool,
}

impl AggregateKernel for StartSpread {
    fn start(&self) -> Box<dyn AggregateState> {
        let spread = self.spread;
        match self.float {
            true => Box::new(float_state(FloatResult::Spread(spread))),
            false => {
                Box::new(NumericSpread { spread, count: 0, sum: Numeric::zero(0), squares: Numeric::zero(0) })
            }
        }
    }
}

fn float_state(result: FloatResult) -> FloatState {
    FloatState { result, count: 0.0, sum: 0.0, spread: 0.0 }
}

fn integer_sum(result: IntegerResult) -> IntegerSum {
    IntegerSum { result, count: 0, sum: 0 }
}

fn list(result: ListResult) -> List {
    List { result, rows: Vec::new(), bytes: 0 }
}

fn fold(with: fn(&Datum, &Datum) -> Result<Datum>) -> Fold {
    Fold { with, value: Datum::Null }
}

fn build() -> Kernels {
    let mut kernels = Kernels::default();
    let k = &mut kernels;
    add(k, 2147, Count::default);
    add(k, 2803, Count::default);
    for oid in [2108, 2109] {
        add(k, oid, || integer_sum(IntegerResult::Int8));
    }
    add(k, 2107, || integer_sum(IntegerResult::Numeric));
    for oid in [2100, 2101, 2102] {
        add(k, oid, || integer_sum(IntegerResult::Average));
    }
    add(k, 2114, || NumericSum { average: false, count: 0, sum: Numeric::zero(0) });
    add(k, 2103, || NumericSum { average: true, count: 0, sum: Numeric::zero(0) });
    add(k, 2110, || float_state(FloatResult::Sum4));
    add(k, 2111, || float_state(FloatResult::Sum8));
    add(k, 2104, || float_state(FloatResult::Average));
    add(k, 2105, || float_state(FloatResult::Average));
    add(k, 2113, || IntervalSum { average: false, count: 0, sum: Interval::default() });
    add(k, 2106, || IntervalSum { average: true, count: 0, sum: Interval::default() });
    // bool_and, every, bool_or
    add(k, 2517, || fold(|a, b| fold_bool(a, b, |a, b| a && b)));
    add(k, 2519, || fold(|a, b| fold_bool(a, b, |a, b| a && b)));
    add(k, 2518, || fold(|a, b| fold_bool(a, b, |a, b| a || b)));
    add(k, 3538, StringAgg::default);
    add(k, 2335, || list(ListResult::Array));
    add(k, 3175, || list(ListResult::Json));
    add(k, 3267, || list(ListResult::Jsonb));
    add(k, 3197, || list(ListResult::JsonObject));
    add(k, 3270, || list(ListResult::JsonbObject));
    by_name(k);
    kernels
}

/// The aggregates that one implementation serves for many argument types.
fn by_name(kernels: &mut Kernels) {
    let registry = Registry::get();
    for (name, greatest) in [("min", false), ("max", true)] {
        for row in registry.procs_named(name) {
            let ty = row.args[0];
            // Types whose values are not built have no order here.
            let built = !matches!(ty, Oid::MONEY | Oid::TID) && (ty.0 != 869 && ty.0 != 3220);
            if built {
                kernels.insert(row.oid, Box::new(StartExtreme { ty, greatest }));
            }
        }
    }
    for (name, population, root) in [
        ("variance", false, false),
        ("var_samp", false, false),
        ("var_pop", true, false),
        ("stddev", false, true),
        ("stddev_samp", false, true),
        ("stddev_pop", true, true),
    ] {
        for row in registry.procs_named(name) {
            let float = matches!(row.args[0], Oid::FLOAT4 | Oid::FLOAT8);
            let spread = Spread { population, root };
            kernels.insert(row.oid, Box::new(StartSpread { spread, float }));
        }
    }
    for (name, op) in [
        ("bit_and", (|a, b| fold_bits(a, b, |a, b| a & b)) as fn(&Datum, &Datum) -> Result<Datum>),
        ("bit_or", |a, b| fold_bits(a, b, |a, b| a | b)),
        ("bit_xor", |a, b| fold_bits(a, b, |a, b| a ^ b)),
    ] {
        for row in registry.procs_named(name) {
            if matches!(row.args[0], Oid::INT2 | Oid::INT4 | Oid::INT8) {
                kernels.insert(row.oid, Box::new(StartFold(op)));
            }
        }
    }
}

struct StartFold(fn(&Datum, &Datum) -> Result<Datum>);

impl AggregateKernel for StartFold {
    fn start(&self) -> Box<dyn AggregateState> {
        Box::new(fold(self.0))
    }
}

/// The aggregate's kernel; `None` when it is not built.
pub fn aggregate(function: Oid) -> Option<&'static dyn AggregateKernel> {
    static KERNELS: OnceLock<Kernels> = OnceLock::new();
    KERNELS.get_or_init(build).get(&function).map(|kernel| &**kernel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CatalogSnapshot;
    use crate::types::{TypeRef, builtin_type_named};

    /// One aggregate over values in text form, whole and in two merged halves.
    fn run(name: &str, ty: &str, values: &[&str]) -> String {
        let ty = builtin_type_named(ty).unwrap();
        let row = Registry::get().procs_named(name).iter().find(|p| p.args.first() == Some(&ty)).copied();
        let row = row.unwrap_or_else(|| Registry::get().procs_named(name)[0]);
        let kernel = aggregate(row.oid).unwrap_or_else(|| panic!("{name}({ty})"));
        let session = super::super::tests::session();
        let catalog = CatalogSnapshot::default();
        let types = [ty, Oid::TEXT];
        let cx = CallContext {
            session: &session,
            fmt: &session.format,
            catalog: &catalog,
            args: &types,
            result: row.ret,
        };
        let feed = |values: &[&str]| {
            let mut state = kernel.start();
            for value in values {
                let value = match *value {
                    "NULL" => Datum::Null,
                    text => cx.io().input(TypeRef::of(ty), text).unwrap(),
                };
                let args = if row.args.len() == 2 { vec![value, Datum::text(",")] } else { vec![value] };
                state.accumulate(&cx, &args).unwrap();
            }
            state
        };
        let whole = feed(values).finish(&cx).unwrap();
        let (head, tail) = values.split_at(values.len() / 2);
        let mut merged = feed(head);
        merged.merge(&cx, feed(tail)).unwrap();
        let ret = match row.ret {
            Oid::ANYARRAY => Registry::get().array_of(ty).unwrap(),
            Oid::ANYELEMENT => ty,
            ret => ret,
        };
        let show = |value: &Datum| cx.io().to_text(ret, value).unwrap_or_else(|| "NULL".to_owned());
        // Halves of a float variance round differently, PostgreSQL's own too.
        if !(name == "variance" && ty == Oid::FLOAT8) {
            assert_eq!(show(&whole), show(&merged.finish(&cx).unwrap()), "{name}: merged");
        }
        show(&whole)
    }

    #[test]
    fn answers_as_postgres() {
        for (name, ty, values, shown) in [
            ("sum", "int4", &["1", "2", "NULL", "4"][..], "7"),
            ("sum", "int8", &["9223372036854775807", "1"], "9223372036854775808"),
            ("avg", "int4", &["1", "2", "4"], "2.3333333333333333"),
            ("avg", "numeric", &["1.5", "2.25"], "1.8750000000000000"),
            ("sum", "numeric", &["1.50", "NaN"], "NaN"),
            ("sum", "float8", &["0.1", "0.2"], "0.30000000000000004"),
            ("avg", "float8", &["1", "2"], "1.5"),
            ("sum", "int4", &[], "NULL"),
            ("count", "any", &[], "0"),
            ("min", "text", &["b", "a", "NULL"], "a"),
            ("max", "numeric", &["1.0", "1.00", "-2"], "1.0"),
            ("max", "float8", &["1", "NaN", "2"], "NaN"),
            ("bool_and", "bool", &["t", "f"], "f"),
            ("bool_or", "bool", &["NULL", "f", "t"], "t"),
            ("string_agg", "text", &["a", "NULL", "b"], "a,b"),
            ("array_agg", "int4", &["1", "NULL", "3"], "{1,NULL,3}"),
            ("variance", "int4", &["1", "2", "4"], "2.3333333333333333"),
            ("stddev", "int4", &["1", "2", "4"], "1.5275252316519467"),
            ("stddev_pop", "numeric", &["1", "2", "4"], "1.2472191289246471"),
            ("var_pop", "int4", &["5"], "0"),
            ("variance", "float8", &["1", "2", "4"], "2.3333333333333335"),
            ("bit_or", "int4", &["1", "6"], "7"),
            ("sum", "interval", &["1 day", "02:00:00"], "1 day 02:00:00"),
            ("avg", "interval", &["1 day", "02:00:00"], "13:00:00"),
        ] {
            assert_eq!(run(name, ty, values), shown, "{name}({ty}) of {values:?}");
        }
    }
}
