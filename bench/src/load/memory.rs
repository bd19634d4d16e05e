//! What the clients know.

/// A commit that was sent and not answered: after the crash it is there or it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// One more on the counter.
    Counter,
    /// One more line of the ledger.
    Transfer,
}

/// One worker's knowledge.
#[derive(Debug, Clone, Default)]
pub struct Worker {
    /// Acknowledged value of its counter.
    pub counter: i64,
    /// Highest acknowledged `seq` of its ledger lines.
    pub seq: i64,
    /// Lines up to here were verified and deleted.
    pub forgotten: i64,
    /// The commit whose answer never came, if any.
    pub open: Option<Open>,
}

/// All workers' knowledge.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// By worker number.
    pub workers: Vec<Worker>,
}

impl Memory {
    /// Nothing has happened yet.
    pub fn new(workers: usize) -> Memory {
        Memory { workers: vec![Worker::default(); workers] }
    }
}
