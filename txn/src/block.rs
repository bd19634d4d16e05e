//! A block of key and row pairs in one allocation.

/// What a scan fills: pairs in scan order, bytes in one arena. Reuse it from block to block.
#[derive(Clone, Debug, Default)]
pub struct KvBlock {
    arena: Vec<u8>,
    /// Start of each key, end of each key (start of its row), end of each row.
    pairs: Vec<(usize, usize, usize)>,
}

impl KvBlock {
    pub fn new() -> KvBlock {
        KvBlock::default()
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Bytes of all keys and rows.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Key of pair `at`. Panics beyond `len`.
    pub fn key(&self, at: usize) -> &[u8] {
        let (start, key, _) = self.pairs[at];
        &self.arena[start..key]
    }

    /// Row of pair `at`. Panics beyond `len`.
    pub fn row(&self, at: usize) -> &[u8] {
        let (_, key, end) = self.pairs[at];
        &self.arena[key..end]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        (0..self.len()).map(|at| (self.key(at), self.row(at)))
    }

    pub fn clear(&mut self) {
        self.arena.clear();
        self.pairs.clear();
    }

    /// Appends a pair.
    pub fn push(&mut self, key: &[u8], row: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        let mid = self.arena.len();
        self.arena.extend_from_slice(row);
        self.pairs.push((start, mid, self.arena.len()));
    }
}
