//! Sequences inside expressions. A kernel cannot wait, so the executor fetches the values of
//! `nextval` before it evaluates a row, and stores what `setval` set when the statement pauses or
//! ends.

use super::ExecContext;
use crate::catalog::CatalogSnapshot;
use crate::expr::{Compiled, EvalContext};
use crate::kernels::system::sequence_of;
use crate::node::SqlNode;
use crate::session::SessionInfo;
use crate::types::Datum;
use crate::{Oid, Result, SqlError, SqlState};
use txn::Access;

/// Fetches what one row's calls need: `calls` holds the argument of each.
pub(crate) async fn fetch_for_row(
    cx: &ExecContext<'_>,
    eval: &EvalContext<'_>,
    calls: &[Compiled],
) -> Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let sequences = named(calls, eval)?;
    for (at, sequence) in sequences.iter().enumerate() {
        if sequences[..at].contains(sequence) {
            continue;
        }
        check_access(cx, "nextval")?;
        let wanted = sequences.iter().filter(|call| *call == sequence).count();
        let missing = wanted.saturating_sub(cx.info.sequences.fetched(*sequence));
        fetch(cx.node, cx.info, eval.call.catalog, *sequence, missing).await?;
    }
    Ok(())
}

/// The sequences that the arguments of calls name.
pub(crate) fn named(calls: &[Compiled], eval: &EvalContext<'_>) -> Result<Vec<Oid>> {
    let mut sequences = vec![];
    for call in calls {
        if let Datum::Oid(oid) = call.eval(eval, &[])? {
            sequences.push(oid);
        }
    }
    Ok(sequences)
}

/// Fetches `count` values beside those at hand.
pub(crate) async fn fetch(
    node: &SqlNode,
    info: &SessionInfo,
    catalog: &CatalogSnapshot,
    sequence: Oid,
    count: usize,
) -> Result<()> {
    if count == 0 {
        return Ok(());
    }
    let values = node.sequences.take(&node.db, sequence_of(catalog, sequence)?, count).await?;
    info.sequences.add_fetched(sequence, values);
    Ok(())
}

/// Stores what the statement's calls of `setval` set.
pub(super) async fn store_set(cx: &ExecContext<'_>) -> Result<()> {
    for (sequence, state) in cx.info.sequences.take_unstored() {
        check_access(cx, "setval")?;
        let descriptor = sequence_of(cx.txn.catalog().snapshot(), sequence)?;
        cx.node.sequences.set(&cx.node.db, descriptor, state).await?;
    }
    Ok(())
}

fn check_access(cx: &ExecContext<'_>, function: &str) -> Result<()> {
    if cx.txn.options().access == Access::ReadOnly {
        return Err(read_only(function));
    }
    Ok(())
}

/// 25006 for a function that changes a sequence.
pub(crate) fn read_only(function: &str) -> SqlError {
    SqlError::new(
        SqlState::READ_ONLY_SQL_TRANSACTION,
        format!("cannot execute {function}() in a read-only transaction"),
    )
}
