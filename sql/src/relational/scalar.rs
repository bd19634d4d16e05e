//! A compiled expression as a function of DataFusion: the whole tree runs a row at a time over the
//! columns that it reads, so that every path gives the same values and errors.

use super::column::{ColumnBuilder, ColumnReader, arrow_type};
use super::env::QueryEnv;
use super::error::to_df;
use crate::expr::Compiled;
use crate::types::{Datum, TypeRef};
use crate::{Oid, Result};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One expression tree. Slots of the compiled form are the positions of its arguments.
#[derive(Debug)]
struct RowExpression {
    /// Names it apart from every other expression of the process.
    id: u64,
    name: String,
    compiled: Compiled,
    args: Vec<Oid>,
    returns: Oid,
    env: Arc<QueryEnv>,
    signature: Signature,
    /// Gives a new value for every row, even without arguments.
    volatile: bool,
}

/// Wraps an expression over arguments of the types `args`.
pub(super) fn row_function(
    compiled: Compiled,
    args: Vec<Oid>,
    returns: TypeRef,
    volatile: bool,
    env: &Arc<QueryEnv>,
) -> ScalarUDF {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    // An expression without columns must not be computed while planning: its error may never be due.
    let volatility = if volatile || args.is_empty() { Volatility::Volatile } else { Volatility::Immutable };
    let signature = match args.len() {
        0 => Signature::nullary(volatility),
        n => Signature::any(n, volatility),
    };
    ScalarUDF::new_from_impl(RowExpression {
        id,
        name: format!("expr{id}"),
        compiled,
        args,
        returns: returns.oid,
        env: env.clone(),
        signature,
        volatile,
    })
}

impl PartialEq for RowExpression {
    fn eq(&self, other: &RowExpression) -> bool {
        self.id == other.id
    }
}

impl Eq for RowExpression {}

impl Hash for RowExpression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl RowExpression {
    fn rows(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.env.cancel.check()?;
        let readers = arrays
            .iter()
            .zip(&self.args)
            .map(|(array, ty)| ColumnReader::new(array, *ty))
            .collect::<Result<Vec<_>>>()?;
        let params = self.env.params();
        let eval = self.env.eval(&params);
        let mut row = vec![Datum::Null; readers.len()];
        let mut builder = ColumnBuilder::new(self.returns, rows);
        for at in 0..rows {
            for (slot, reader) in row.iter_mut().zip(&readers) {
                *slot = reader.get(at)?;
            }
            builder.push(&self.compiled.eval(&eval, &row)?)?;
        }
        Ok(builder.finish())
    }
}

impl ScalarUDFImpl for RowExpression {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(arrow_type(self.returns))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let once = !self.volatile && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if once { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|a| a.to_array(rows)).collect::<DfResult<Vec<_>>>()?;
        let array = self.rows(&arrays, rows).map_err(to_df)?;
        Ok(match once {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
            false => ColumnarValue::Array(array),
        })
    }
}
