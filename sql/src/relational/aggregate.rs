//! Aggregates as functions of DataFusion: kernels by OID, DISTINCT and ORDER BY inside the call, and
//! `first`, which carries a group's value along its key.
//!
//! A call's arguments are the aggregate's own, then its sort keys (already keys, see `key`).

use super::column::{ColumnBuilder, ColumnReader, arrow_type};
use super::env::QueryEnv;
use super::error::{from_df, to_df};
use super::key;
use crate::kernels::{AggregateKernel, AggregateState};
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result, SqlError, SqlState};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use rustc_hash::FxHashSet;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};

/// Estimated bytes of a group's state beside what it reports itself.
const GROUP_BYTES: usize = 96;

/// What is computed over the rows of a group.
#[derive(Clone, Copy)]
pub(super) enum Compute {
    Kernel(&'static dyn AggregateKernel),
    /// The value of the first row.
    First,
}

/// A sort key inside a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallOrder {
    pub(super) ty: Oid,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

/// One aggregate call of a query.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) compute: Compute,
    pub(super) args: Vec<Oid>,
    pub(super) returns: TypeRef,
    pub(super) distinct: bool,
    pub(super) order: Vec<CallOrder>,
    pub(super) env: Arc<QueryEnv>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("args", &self.args)
            .field("returns", &self.returns)
            .finish_non_exhaustive()
    }
}

/// The call as a function of DataFusion.
pub(super) fn aggregate_function(call: Call) -> AggregateUDF {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Atomic::Relaxed);
    let signature = match call.args.len() + call.order.len() {
        0 => Signature::nullary(Volatility::Immutable),
        n => Signature::any(n, Volatility::Immutable),
    };
    AggregateUDF::new_from_impl(AggregateCall { id, name: format!("agg{id}"), call, signature })
}

#[derive(Debug)]
struct AggregateCall {
    id: u64,
    name: String,
    call: Call,
    signature: Signature,
}

impl PartialEq for AggregateCall {
    fn eq(&self, other: &AggregateCall) -> bool {
        self.id == other.id
    }
}

impl Eq for AggregateCall {}

impl Hash for AggregateCall {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl AggregateUDFImpl for AggregateCall {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(arrow_type(self.call.returns.oid))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup(parking_lot::Mutex::new(Groups::new(&self.call)))))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> DfResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(&self.call)))
    }
}

/// The states of all groups of one call.
struct Groups {
    call: Call,
    groups: Vec<Group>,
    bytes: usize,
}

enum Group {
    Kernel(Box<dyn AggregateState>),
    /// Rows are kept and sorted at the end: keys and arguments.
    Sorted(Vec<(Vec<Datum>, Vec<Datum>)>),
    First(Option<Datum>),
    Distinct(FxHashSet<Vec<u8>>, Box<Group>),
}

impl Groups {
    fn new(call: &Call) -> Groups {
        Groups { call: call.clone(), groups: vec![], bytes: 0 }
    }

    fn new_group(&self) -> Group {
        let inner = match self.call.compute {
            Compute::First => Group::First(None),
            Compute::Kernel(_) if !self.call.order.is_empty() => Group::Sorted(vec![]),
            Compute::Kernel(kernel) => Group::Kernel(kernel.start()),
        };
        match self.call.distinct {
            true => Group::Distinct(FxHashSet::default(), Box::new(inner)),
            false => inner,
        }
    }

    fn update(
        &mut self,
        arrays: &[ArrayRef],
        groups: impl Iterator<Item = usize>,
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.call.env.cancel.check()?;
        while self.groups.len() < total {
            let group = self.new_group();
            self.groups.push(group);
            self.bytes += GROUP_BYTES;
        }
        let types = self.call.args.iter().copied().chain(self.call.order.iter().map(|o| o.ty));
        let readers =
            arrays.iter().zip(types).map(|(a, ty)| ColumnReader::new(a, ty)).collect::<Result<Vec<_>>>()?;
        let Groups { call, groups: states, bytes } = self;
        let mut row = vec![Datum::Null; readers.len()];
        for (at, group) in groups.enumerate() {
            if filter.is_some_and(|f| f.is_null(at) || !f.value(at)) {
                continue;
            }
            let state = &mut states[group];
            if matches!(state, Group::First(Some(_))) {
                continue;
            }
            for (slot, reader) in row.iter_mut().zip(&readers) {
                *slot = reader.get(at)?;
            }
            *bytes += state.add(call, &row)?;
        }
        Ok(())
    }

    fn finish(&mut self, groups: Vec<Group>) -> Result<ArrayRef> {
        self.bytes = self.bytes.saturating_sub(groups.len() * GROUP_BYTES);
        let mut builder = ColumnBuilder::new(self.call.returns.oid, groups.len());
        for group in groups {
            builder.push(&group.finish(&self.call)?)?;
        }
        Ok(builder.finish())
    }
}

impl Group {
    /// Adds one row (arguments, then sort keys); answers the bytes that the state grew by.
    fn add(&mut self, call: &Call, row: &[Datum]) -> Result<usize> {
        let (args, keys) = row.split_at(call.args.len());
        match self {
            Group::First(value) => {
                value.get_or_insert_with(|| args[0].clone());
                Ok(0)
            }
            Group::Kernel(state) => accumulate(&mut **state, call, args),
            Group::Sorted(rows) => {
                rows.push((keys.to_vec(), args.to_vec()));
                Ok(size_of_val(row) + 2 * size_of::<Vec<Datum>>())
            }
            Group::Distinct(seen, inner) => {
                let typed: Vec<_> = call.args.iter().copied().zip(args).collect();
                let mut key = vec![];
                key::row_key(&typed, &call.env.catalog, &mut key)?;
                let bytes = key.len() + size_of::<Vec<u8>>();
                match seen.insert(key) {
                    true => Ok(bytes + inner.add(call, row)?),
                    false => Ok(0),
                }
            }
        }
    }

    fn finish(self, call: &Call) -> Result<Datum> {
        match self {
            Group::First(value) => Ok(value.unwrap_or(Datum::Null)),
            Group::Kernel(state) => finish_state(state, call),
            Group::Distinct(_, inner) => inner.finish(call),
            Group::Sorted(mut rows) => {
                let Compute::Kernel(kernel) = call.compute else {
                    return Err(SqlError::internal("sorted rows without a kernel"));
                };
                rows.sort_by(|(a, _), (b, _)| compare_keys(&call.order, a, b));
                let mut state = kernel.start();
                for (_, args) in &rows {
                    accumulate(&mut *state, call, args)?;
                }
                finish_state(state, call)
            }
        }
    }
}

fn accumulate(state: &mut dyn AggregateState, call: &Call, args: &[Datum]) -> Result<usize> {
    let before = state.bytes();
    let params = [];
    let eval = call.env.eval(&params);
    state.accumulate(&eval.call, args)?;
    Ok(state.bytes().saturating_sub(before))
}

fn finish_state(state: Box<dyn AggregateState>, call: &Call) -> Result<Datum> {
    let params = [];
    let eval = call.env.eval(&params);
    state.finish(&eval.call)
}

/// The order of two rows by their sort keys.
pub(super) fn compare_keys(order: &[CallOrder], a: &[Datum], b: &[Datum]) -> Ordering {
    order
        .iter()
        .zip(a.iter().zip(b))
        .map(|(by, (a, b))| compare_key(*by, a, b))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_key(by: CallOrder, a: &Datum, b: &Datum) -> Ordering {
    let nulls = |first: bool| if first { Ordering::Less } else { Ordering::Greater };
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => nulls(by.nulls_first),
        (false, true) => nulls(!by.nulls_first),
        (false, false) => {
            let order = crate::types::compare(by.ty, a, b);
            if by.descending { order.reverse() } else { order }
        }
    }
}

/// States leave memory only for `first`; the rest must fit.
fn no_state() -> DataFusionError {
    to_df(
        SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
            .with_detail("The states of the aggregates do not fit into the memory of queries."),
    )
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DfResult<()> {
        self.update(values, group_indices.iter().copied(), opt_filter, total_num_groups).map_err(to_df)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DfResult<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        self.finish(groups).map_err(to_df)
    }

    fn state(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        match self.call.compute {
            Compute::First => Ok(vec![self.evaluate(emit_to)?]),
            Compute::Kernel(_) => Err(no_state()),
        }
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total: usize) -> DfResult<()> {
        match self.call.compute {
            Compute::First => self.update_batch(values, group_indices, None, total),
            Compute::Kernel(_) => Err(no_state()),
        }
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> DfResult<Vec<ArrayRef>> {
        match (self.call.compute, filter) {
            (Compute::First, None) => Ok(values.to_vec()),
            _ => Err(no_state()),
        }
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

/// A call without GROUP BY: one group.
struct OneGroup(parking_lot::Mutex<Groups>);

impl fmt::Debug for OneGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneGroup")
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let rows = values.first().map_or(0, |array| array.len());
        self.0.get_mut().update(values, std::iter::repeat_n(0, rows), None, 1).map_err(to_df)
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let groups = self.0.get_mut();
        let done = match groups.groups.pop() {
            Some(group) => group,
            None => groups.new_group(),
        };
        let array = groups.finish(vec![done]).map_err(to_df)?;
        ScalarValue::try_from_array(&array, 0).map_err(from_df).map_err(to_df)
    }

    fn size(&self) -> usize {
        self.0.lock().bytes
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        match self.0.get_mut().call.compute {
            Compute::First => Ok(vec![self.evaluate()?]),
            Compute::Kernel(_) => Err(no_state()),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        match self.0.get_mut().call.compute {
            Compute::First => self.update_batch(states),
            Compute::Kernel(_) => Err(no_state()),
        }
    }
}
