//! Scans of a span at a snapshot, block by block, with a transaction's own writes laid over.
//!
//! A scan fences its span once, before its first block: it raises the high-water mark and waits for
//! commits under way at or below its snapshot. After that no version that it must see can appear, so
//! it may take a new engine snapshot whenever it likes; it does so every few seconds, to let the engine
//! drop files.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use storage::Ts;
use storage::engine::{Direction, Span};

use crate::buffer::Position;
use crate::cursor::Cursor;
use crate::db::off_thread;
use crate::large::Large;
use crate::large::area::AreaCursor;
use crate::participant::RANGE;
use crate::pins::Pin;
use crate::view::Overlay;
use crate::{Key, KvBlock, ReadView, Result, TxnDb, key};

/// Own writes taken from the buffer at once.
const PAGE: usize = 256;

/// A running scan. Dropping it ends it.
pub struct Scan {
    /// Away only while a block is being read on another thread.
    core: Option<Box<Core>>,
    fenced: bool,
    /// Later blocks are read away from the network's threads: they wait for the disk.
    first: bool,
}

struct Core {
    db: Arc<TxnDb>,
    span: Span,
    direction: Direction,
    pin: Pin,
    base: Option<Cursor>,
    areas: Vec<Area>,
    opened: Instant,
    own: Option<OwnWrites>,
    /// The last key that was delivered or skipped.
    last: Option<Vec<u8>>,
    done: bool,
}

struct OwnWrites {
    overlay: Overlay,
    page: VecDeque<(Key, Option<Bytes>)>,
    last: Option<Key>,
    done: bool,
    /// Generation of the buffer when the areas were opened.
    generation: u64,
}

/// The area of a large transaction that the scan sees.
struct Area {
    cursor: AreaCursor,
    large: Arc<Large>,
    source: Source,
}

enum Source {
    /// The scan's own transaction, below a position.
    Own(Position),
    /// Another one, committed and not resolved.
    Committed(Ts),
}

impl Scan {
    pub(crate) fn new(view: &ReadView, span: Span, direction: Direction) -> Scan {
        let own = view.overlay().map(|overlay| OwnWrites {
            overlay: overlay.clone(),
            page: VecDeque::new(),
            last: None,
            done: false,
            generation: 0,
        });
        let core = Core {
            db: view.db().clone(),
            pin: view.db().pins.pin(view.ts()),
            done: !span.hi.is_empty() && span.lo >= span.hi,
            span,
            direction,
            base: None,
            areas: Vec::new(),
            opened: Instant::now(),
            own,
            last: None,
        };
        Scan { core: Some(Box::new(core)), fenced: false, first: true }
    }

    /// Replaces `out` by the next pairs, up to `max_rows`, and as soon as they have `max_bytes`.
    /// `false`: the scan is over and `out` is empty. After an error the scan is over, too.
    pub async fn next_block(&mut self, max_rows: usize, max_bytes: usize, out: &mut KvBlock) -> Result<bool> {
        self.fence().await;
        if std::mem::replace(&mut self.first, false) {
            return self.fill(max_rows, max_bytes, out);
        }
        let Some(mut core) = self.core.take() else {
            out.clear();
            return Ok(false);
        };
        let mut block = std::mem::take(out);
        let (core, block) = off_thread(move || {
            core.fill(max_rows, max_bytes, &mut block)?;
            Ok((core, block))
        })
        .await?;
        self.core = Some(core);
        *out = block;
        Ok(!out.is_empty())
    }

    /// As `next_block`, for a thread that may wait for the disk.
    pub fn next_block_blocking(&mut self, rows: usize, max_bytes: usize, out: &mut KvBlock) -> Result<bool> {
        futures::executor::block_on(self.fence());
        self.first = false;
        self.fill(rows, max_bytes, out)
    }

    fn fill(&mut self, max_rows: usize, max_bytes: usize, out: &mut KvBlock) -> Result<bool> {
        out.clear();
        let Some(core) = &mut self.core else { return Ok(false) };
        if let Err(error) = core.fill(max_rows, max_bytes, out) {
            self.core = None;
            return Err(error);
        }
        Ok(!out.is_empty())
    }

    async fn fence(&mut self) {
        let Some(core) = &self.core else { return };
        if std::mem::replace(&mut self.fenced, true) {
            return;
        }
        let coverage = key::coverage(&core.span);
        loop {
            let commits = core.db.participant.fence_span(&core.span, coverage, core.pin.ts());
            if commits.is_empty() {
                return;
            }
            for commit in commits {
                core.db.await_commit(&commit).await;
            }
        }
    }
}

impl Core {
    fn fill(&mut self, max_rows: usize, max_bytes: usize, out: &mut KvBlock) -> Result<()> {
        out.clear();
        if self.done {
            return Ok(());
        }
        self.open()?;
        while out.len() < max_rows && out.bytes() < max_bytes && self.step(out)? {}
        self.db.check_age(self.pin.ts())?;
        if out.is_empty() {
            self.done = true;
            self.base = None;
        }
        Ok(())
    }

    /// Opens the cursors, again if they are old or if own writes have moved to an area.
    fn open(&mut self) -> Result<()> {
        let fresh = self.base.is_some() && self.opened.elapsed() < self.db.limits.scan_reopen;
        if fresh && !self.own.as_ref().is_some_and(OwnWrites::moved) {
            return Ok(());
        }
        self.reopen()
    }

    fn reopen(&mut self) -> Result<()> {
        let (ts, after) = (self.pin.ts(), self.last.as_deref());
        if let Some(own) = &mut self.own {
            own.generation = own.overlay.buffer.read().generation();
        }
        // The list before the snapshot: what is resolved in between is in the data space.
        let mut sources: Vec<(Arc<Large>, Source)> = Vec::new();
        for large in self.db.participant.large.unresolved(ts) {
            let at = large.committed().expect("unresolved ones are committed");
            sources.push((large, Source::Committed(at)));
        }
        if let Some(OwnWrites { overlay: Overlay { large: Some(large), limit, .. }, .. }) = &self.own {
            sources.push((large.clone(), Source::Own(*limit)));
        }
        let snapshot = self.db.backend.snapshot();
        self.areas.clear();
        for (large, source) in sources.into_iter().filter(|(large, _)| large.touches(&self.span)) {
            let cursor = AreaCursor::open(&snapshot, RANGE, large.id, &self.span, self.direction, after)?;
            self.areas.push(Area { cursor, large, source });
        }
        self.base = Some(Cursor::open(&snapshot, &self.span, self.direction, ts, after)?);
        self.opened = Instant::now();
        Ok(())
    }

    /// Delivers or skips one key; `false` at the end.
    fn step(&mut self, out: &mut KvBlock) -> Result<bool> {
        if self.own.is_some() || !self.areas.is_empty() {
            return self.merge_step(out);
        }
        let base = self.base.as_mut().expect("opened before the first step");
        let Some((key, _, row)) = base.current()? else { return Ok(false) };
        if let Some(row) = row {
            out.push(key, row);
        }
        remember(&mut self.last, key);
        base.advance()?;
        Ok(true)
    }

    /// One key of several sources. What wins: the buffer, the transaction's area, then the newest of
    /// the committed versions.
    fn merge_step(&mut self, out: &mut KvBlock) -> Result<bool> {
        if self.own.as_ref().is_some_and(|own| own.page.is_empty() && own.moved()) {
            self.reopen()?;
        }
        let Some(key) = self.next_key() else { return Ok(false) };
        let base = self.base.as_mut().expect("opened before the first step");
        let mut newest = Ts::ZERO;
        let mut row: Option<Bytes> = None;
        if let Some((at, ts, version)) = base.current()?
            && at == &key[..]
        {
            (newest, row) = (ts, version.map(Bytes::copy_from_slice));
            base.advance()?;
        }
        let mut own_area: Option<Option<Bytes>> = None;
        for area in &mut self.areas {
            let Some((at, writes)) = area.cursor.current() else { continue };
            if at != &key[..] {
                continue;
            }
            let seen =
                |limit: Position| writes.iter().find(|s| s.write.at < limit && area.large.keeps(s.write.at));
            match area.source {
                Source::Own(limit) => own_area = seen(limit).map(|spilled| spilled.write.row.clone()),
                Source::Committed(ts) => {
                    if let Some(spilled) = seen(Position(u64::MAX)).filter(|_| ts > newest) {
                        (newest, row) = (ts, spilled.write.row.clone());
                    }
                }
            }
            area.cursor.advance()?;
        }
        let page = self.own.as_mut().and_then(|own| own.take(&key));
        if let Some(row) = page.or(own_area).unwrap_or(row) {
            out.push(&key, &row);
        }
        self.last = Some(key);
        Ok(true)
    }

    /// The next key of all sources.
    fn next_key(&mut self) -> Option<Vec<u8>> {
        let direction = self.direction;
        let mut next: Option<&[u8]> = self.base.as_ref().and_then(Cursor::key);
        let areas = self.areas.iter().filter_map(|area| area.cursor.current().map(|(key, _)| key));
        let own = self.own.as_mut().and_then(|own| own.peek(&self.span, direction)).map(|key| &key[..]);
        for key in areas.chain(own) {
            let earlier = next.is_none_or(|next| match direction {
                Direction::Forward => key < next,
                Direction::Reverse => key > next,
            });
            if earlier {
                next = Some(key);
            }
        }
        next.map(<[u8]>::to_vec)
    }
}

fn remember(last: &mut Option<Vec<u8>>, key: &[u8]) {
    let last = last.get_or_insert_default();
    last.clear();
    last.extend_from_slice(key);
}

impl OwnWrites {
    /// The next key of the buffer.
    fn peek(&mut self, span: &Span, direction: Direction) -> Option<&Key> {
        if self.page.is_empty() && !self.done {
            let buffer = self.overlay.buffer.read();
            self.page = buffer.page(span, direction, self.last.as_ref(), self.overlay.limit, PAGE).into();
            self.done = self.page.len() < PAGE;
        }
        self.page.front().map(|(key, _)| key)
    }

    /// The write of `key`, if the page is there.
    fn take(&mut self, key: &[u8]) -> Option<Option<Bytes>> {
        if self.page.front()?.0 != key {
            return None;
        }
        let (front, row) = self.page.pop_front()?;
        self.last = Some(front);
        Some(row)
    }

    /// Writes have left the buffer for an area since the cursors were opened.
    fn moved(&self) -> bool {
        self.overlay.buffer.read().generation() != self.generation
    }
}
