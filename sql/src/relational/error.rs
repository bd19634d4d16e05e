//! Errors through DataFusion: ours travel as `External` and come out unchanged.

use crate::{SqlError, SqlState};
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

/// For code that DataFusion calls.
pub(super) fn to_df(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// What the client is told of an error that came out of DataFusion.
pub(super) fn from_df(error: DataFusionError) -> SqlError {
    find(&error).unwrap_or_else(|| match error.find_root() {
        DataFusionError::ResourcesExhausted(detail) => {
            SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").with_detail(detail.clone())
        }
        DataFusionError::ArrowError(arrow, _) => of_arrow(arrow),
        other => SqlError::internal(format!("query execution failed: {other}")),
    })
}

/// The `SqlError` somewhere among the sources of an error.
fn find(error: &(dyn std::error::Error + 'static)) -> Option<SqlError> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(sql) = error.downcast_ref::<SqlError>() {
            return Some(sql.clone());
        }
        at = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(&**inner),
            Some(DataFusionError::Shared(inner)) => Some(&**inner),
            _ => match error.downcast_ref::<ArrowError>() {
                Some(ArrowError::ExternalError(inner)) => Some(&**inner),
                _ => error.source(),
            },
        };
    }
    None
}

fn of_arrow(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::DivideByZero => SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(_) => {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range")
        }
        ArrowError::IoError(message, _) => SqlError::new(SqlState::IO_ERROR, message.clone()),
        other => SqlError::internal(format!("query execution failed: {other}")),
    }
}
