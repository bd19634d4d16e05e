//! Rows of one table, in blocks: by key, by a list of keys, by a span of the rows or of an index.

use super::txn_error;
use crate::expr::EvalContext;
use crate::plan::{Access, Bound, Inclusive, RangeBound, TableRead};
use crate::table::{IndexCodec, TableCodec, push_key};
use crate::types::{self, Datum};
use crate::{Oid, Result, SqlError};
use storage::engine::{Direction, Span};
use storage::key::{KeyWriter, prefix_end};
use txn::{Key, KvBlock, Lookup, ReadView, Scan};

/// Rows and bytes that one block of a scan holds at most.
const BLOCK_ROWS: usize = 1024;
const BLOCK_BYTES: usize = 256 << 10;

/// Walks the rows that a `TableRead` names, over one view.
pub(crate) struct Cursor {
    view: ReadView,
    source: Source,
    block: KvBlock,
    /// Next row of the block.
    at: usize,
    more: bool,
}

enum Source {
    /// Rows are in the block already, or there are none.
    Nothing,
    Keys(std::vec::IntoIter<Key>),
    Rows(Scan),
    /// Entries first, then the rows they point at.
    Index {
        scan: Scan,
        index: usize,
        entries: KvBlock,
    },
}

impl Cursor {
    /// Opens a cursor; a single key is looked up at once.
    pub(crate) async fn open(read: &TableRead, view: ReadView, eval: &EvalContext<'_>) -> Result<Cursor> {
        let mut cursor =
            Cursor { view, source: Source::Nothing, block: KvBlock::default(), at: 0, more: false };
        let codec = &read.codec;
        match &read.access {
            Access::Key(bounds) => {
                if let Some(key) = whole_key(codec, bounds, eval)?
                    && let Some(row) = lookup(&cursor.view, &key).await?
                {
                    cursor.block.push(&key, &row);
                }
            }
            Access::KeyList { array, ty } => {
                let keys = listed_keys(codec, &array.eval(eval, &[])?, *ty)?;
                cursor.start(Source::Keys(keys.into_iter()));
            }
            Access::Rows(range) => {
                if let Some(span) = span_of(KeyWriter::after(codec.prefix().to_vec()), range, eval)? {
                    let scan = cursor.view.scan(span, read.direction);
                    cursor.start(Source::Rows(scan));
                }
            }
            Access::Index { index, range } => {
                if let Some(span) = span_of(codec.indexes[*index].search_key(), range, eval)? {
                    let scan = cursor.view.scan(span, read.direction);
                    cursor.start(Source::Index { scan, index: *index, entries: KvBlock::default() });
                }
            }
        }
        Ok(cursor)
    }

    fn start(&mut self, source: Source) {
        self.source = source;
        self.more = true;
    }

    /// The next row of the block in hand: key and row bytes.
    pub(crate) fn next_in_block(&mut self) -> Option<(&[u8], &[u8])> {
        if self.at >= self.block.len() {
            return None;
        }
        self.at += 1;
        let at = self.at - 1;
        Some((self.block.key(at), self.block.row(at)))
    }

    /// Fetches the next block; `false` when there are no more rows.
    pub(crate) async fn refill(&mut self, codec: &TableCodec) -> Result<bool> {
        while self.more {
            self.block.clear();
            self.at = 0;
            self.more = match &mut self.source {
                Source::Nothing => false,
                Source::Keys(keys) => fill_by_keys(&self.view, keys, &mut self.block).await?,
                Source::Rows(scan) => {
                    scan.next_block(BLOCK_ROWS, BLOCK_BYTES, &mut self.block).await.map_err(txn_error)?
                }
                Source::Index { scan, index, entries } => {
                    entries.clear();
                    let more = scan.next_block(BLOCK_ROWS, BLOCK_BYTES, entries).await.map_err(txn_error)?;
                    fetch_rows(&self.view, codec, &codec.indexes[*index], entries, &mut self.block).await?;
                    more
                }
            };
            if !self.block.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A row by its key, without waiting when it is in the cache.
pub(super) async fn lookup(view: &ReadView, key: &Key) -> Result<Option<bytes::Bytes>> {
    match view.get_cached(key).map_err(txn_error)? {
        Lookup::Found(row) => Ok(Some(row)),
        Lookup::Absent => Ok(None),
        Lookup::Wait => view.get(key).await.map_err(txn_error),
    }
}

async fn fill_by_keys(
    view: &ReadView,
    keys: &mut std::vec::IntoIter<Key>,
    out: &mut KvBlock,
) -> Result<bool> {
    let batch: Vec<Key> = keys.by_ref().take(BLOCK_ROWS).collect();
    let rows = view.get_many(&batch).await.map_err(txn_error)?;
    for (key, row) in batch.iter().zip(rows) {
        if let Some(row) = row {
            out.push(key, &row);
        }
    }
    Ok(keys.len() > 0)
}

/// The rows that index entries point at. An entry and its row have the same snapshot, so a missing
/// row means that index and table disagree.
async fn fetch_rows(
    view: &ReadView,
    codec: &TableCodec,
    index: &IndexCodec,
    entries: &KvBlock,
    out: &mut KvBlock,
) -> Result<()> {
    let keys = entries
        .iter()
        .map(|(key, value)| Ok(Key::from(codec.key_from_suffix(index.row_suffix(key, value)?))))
        .collect::<Result<Vec<_>>>()?;
    let rows = view.get_many(&keys).await.map_err(txn_error)?;
    for (key, row) in keys.iter().zip(rows) {
        let row = row.ok_or_else(|| {
            SqlError::new(
                crate::SqlState::INDEX_CORRUPTED,
                format!("index \"{}\" points at a row that does not exist", index.name),
            )
        })?;
        out.push(key, &row);
    }
    Ok(())
}

/// The key that equality on every key column names; `None`: no row can have it.
pub(super) fn whole_key(codec: &TableCodec, bounds: &[Bound], eval: &EvalContext<'_>) -> Result<Option<Key>> {
    let mut key = KeyWriter::after(codec.prefix().to_vec());
    Ok(push_equal(&mut key, bounds, eval)?.then(|| key.finish().into()))
}

/// Appends equality values; `false`: no key can match (null, or out of the column's range).
fn push_equal(key: &mut KeyWriter, bounds: &[Bound], eval: &EvalContext<'_>) -> Result<bool> {
    for bound in bounds {
        match fit(bound.value.eval(eval, &[])?, bound.ty) {
            Fit::Value(value) => push_key(key, &value, bound.ty, bound.order)?,
            Fit::Null | Fit::Below | Fit::Above => return Ok(false),
        }
    }
    Ok(true)
}

/// The span of keys that a range bound names; `None`: empty.
fn span_of(mut key: KeyWriter, range: &RangeBound, eval: &EvalContext<'_>) -> Result<Option<Span>> {
    if !push_equal(&mut key, &range.equal, eval)? {
        return Ok(None);
    }
    let base = key.finish();
    let mut span = Span { hi: prefix_end(&base), lo: base.clone() };
    // In a descending column the greater values come first, and nulls must stay outside of a range.
    for (bound, upper) in [(&range.lower, false), (&range.upper, true)] {
        let Some((bound, inclusive)) = bound else { continue };
        let fitted = fit(bound.value.eval(eval, &[])?, bound.ty);
        let mut at = KeyWriter::after(base.clone());
        match (fitted, upper) {
            (Fit::Null, _) | (Fit::Below, true) | (Fit::Above, false) => return Ok(None),
            (Fit::Below, false) | (Fit::Above, true) => continue,
            (Fit::Value(value), _) => push_key(&mut at, &value, bound.ty, bound.order)?,
        }
        let at = at.finish();
        let descending = bound.order.sort == storage::key::SortOrder::Descending;
        match (upper != descending, inclusive) {
            (true, Inclusive::Yes) => span.hi = prefix_end(&at),
            (true, Inclusive::No) => span.hi = at,
            (false, Inclusive::Yes) => span.lo = at,
            (false, Inclusive::No) => span.lo = prefix_end(&at),
        }
    }
    Ok(Some(span))
}

/// A comparison value on the scale of a key column's type.
enum Fit {
    Value(Datum),
    Null,
    /// Below, above everything that the column can hold.
    Below,
    Above,
}

fn fit(value: Datum, column: Oid) -> Fit {
    let integer = match (&value, column) {
        (Datum::Null, _) => return Fit::Null,
        (Datum::Int2(v), Oid::INT4 | Oid::INT8) => i64::from(*v),
        (Datum::Int4(v), Oid::INT2 | Oid::INT8) => i64::from(*v),
        (Datum::Int8(v), Oid::INT2 | Oid::INT4) => *v,
        _ => return Fit::Value(value),
    };
    let (min, max) = match column {
        Oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    match integer {
        v if v < min => Fit::Below,
        v if v > max => Fit::Above,
        v => Fit::Value(match column {
            Oid::INT2 => Datum::Int2(v as i16),
            Oid::INT4 => Datum::Int4(v as i32),
            _ => Datum::Int8(v),
        }),
    }
}

/// The keys of an array's elements, each once, in key order.
fn listed_keys(codec: &TableCodec, array: &Datum, ty: Oid) -> Result<Vec<Key>> {
    let Datum::Array(array) = array else { return Ok(vec![]) };
    let mut values: Vec<Datum> = array
        .items
        .iter()
        .filter_map(|item| match fit(item.clone(), ty) {
            Fit::Value(value) => Some(value),
            Fit::Null | Fit::Below | Fit::Above => None,
        })
        .collect();
    values.sort_by(|a, b| types::compare(ty, a, b));
    values.dedup_by(|a, b| types::compare(ty, a, b).is_eq());
    let order = storage::key::ColumnOrder::KEY;
    values
        .iter()
        .map(|value| {
            let mut key = KeyWriter::after(codec.prefix().to_vec());
            push_key(&mut key, value, ty, order)?;
            Ok(key.finish().into())
        })
        .collect()
}

/// Rows of a span of the primary index, for code that reads a whole table (backfills, checks).
pub(super) fn table_cursor(view: ReadView, span: Span) -> Cursor {
    let scan = view.scan(span, Direction::Forward);
    Cursor { view, source: Source::Rows(scan), block: KvBlock::default(), at: 0, more: true }
}

/// All rows of a table with whole values: for DDL, which reads what is there now, own writes included.
pub struct TableReader {
    cursor: Cursor,
    columns: Vec<usize>,
}

impl TableReader {
    pub fn all(codec: &TableCodec, cx: &mut super::ExecContext<'_>) -> Result<TableReader> {
        let view = cx.txn.open(cx.node).fresh_view();
        let columns = codec.table.live_columns().map(|c| c.number as usize - 1).collect();
        Ok(TableReader { cursor: table_cursor(view, codec.span()), columns })
    }

    /// Fetches the next block; `false` at the end.
    pub async fn refill(&mut self, codec: &TableCodec) -> Result<bool> {
        self.cursor.refill(codec).await
    }

    /// The next row of the block.
    pub fn next_row(&mut self, codec: &TableCodec) -> Result<Option<(Key, Vec<Datum>)>> {
        let Some((key, row)) = self.cursor.next_in_block() else { return Ok(None) };
        let mut values = vec![Datum::Null; codec.width()];
        codec.decode(key, row, &self.columns, &mut values)?;
        Ok(Some((Key::copy_from_slice(key), values)))
    }
}
