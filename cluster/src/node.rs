//! A node: the driver with threads around it.
//!
//! Two threads: the loop (`threads`), which alone touches driver, log and raft groups, and the
//! checkpointer (`checkpoint`), which makes the engine durable in the background. Everyone else
//! talks to the loop through the `mailbox`. An error or panic of either thread ends the process: what
//! is on the disk is right, what is in memory may not be.

mod checkpoint;
mod ids;
mod mailbox;
mod threads;

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use storage::engine::{AnyEngine, RangeId, WriteBatch};
use storage::log::RaftLog;
use tokio::sync::oneshot;

use crate::driver::{Descriptors, Driver, Event, Parts};
use crate::metrics::Counters;
use crate::{
    Applied, Descriptor, Env, Error, LocalTransport, NodeId, NodeMetrics, ProposeError, RangeHandler, Result,
    Tso,
};
use checkpoint::Checkpointer;
use mailbox::{Mailbox, Ticket};

/// What a node needs to know of itself.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub node_id: NodeId,
    /// Applied bytes after which the engine is checkpointed and the log cut.
    pub checkpoint_bytes: u64,
}

impl Default for NodeOptions {
    fn default() -> NodeOptions {
        NodeOptions { node_id: NodeId(1), checkpoint_bytes: crate::limits::CHECKPOINT_BYTES }
    }
}

/// A running node. Dropping it without [`Node::shutdown`] stops the threads and leaves the engine as
/// a crash would: the next start replays the log.
pub struct Node {
    engine: Arc<AnyEngine>,
    tso: Arc<Tso>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    descriptors: Descriptors,
    ids: ids::Allocators,
    threads: Mutex<Option<threads::Threads>>,
}

impl Node {
    /// Opens what the disk holds (or begins with two empty ranges), replays the log, wins the elections
    /// of its one-voter groups and starts the threads. Every range is led when it returns, and the
    /// handler has heard so. Blocks: replay reads up to a gigabyte of log.
    pub fn start(
        options: NodeOptions,
        engine: Arc<AnyEngine>,
        log: RaftLog,
        handler: Arc<dyn RangeHandler>,
        env: Arc<dyn Env>,
    ) -> Result<Arc<Node>> {
        let mailbox = Arc::new(Mailbox::default());
        let bell = Arc::clone(&mailbox);
        let tso = Arc::new(Tso::new(Arc::clone(&env), Box::new(move || bell.post(Event::RaiseTsoLimit))));
        let mut driver = Driver::open(Parts {
            node: options.node_id,
            engine: Arc::clone(&engine),
            log,
            handler,
            env: Arc::clone(&env),
            tso: Arc::clone(&tso),
            transport: Box::new(LocalTransport),
            planted: None,
        })?;
        threads::lead(&mut driver)?;
        let counters = driver.counters();
        let descriptors = driver.descriptors();
        let checkpointer = Arc::new(Checkpointer::new(
            Arc::clone(&engine),
            Arc::clone(&mailbox),
            Arc::clone(&counters),
            options.checkpoint_bytes,
        ));
        let threads = threads::Threads::spawn(driver, Arc::clone(&mailbox), checkpointer, env)?;
        Ok(Arc::new(Node {
            engine,
            tso,
            mailbox,
            counters,
            descriptors,
            ids: ids::Allocators::default(),
            threads: Mutex::new(Some(threads)),
        }))
    }

    /// Replicates `batch` in `range`: when the proposal answers `Ok`, the batch is durable in the log,
    /// applied to the engine, and the handler has heard of it. Never blocks; dropping the proposal does
    /// not take the batch back.
    pub fn propose(&self, range: RangeId, batch: WriteBatch) -> Proposal {
        match self.mailbox.admit(batch.as_bytes().len()) {
            Ok(bytes) => {
                let (sender, receiver) = oneshot::channel();
                self.mailbox.post(Event::Propose { range, batch, waiter: Ticket { sender, bytes } });
                Proposal(State::Waiting(receiver))
            }
            Err(error) => {
                Counters::add(&self.counters.refused, 1);
                Proposal(State::Refused(error))
            }
        }
    }

    /// Takes `count` ids that nobody has taken before from the replicated allocator `name`, which
    /// begins at `first`. Ids taken and not used are lost. One raft round.
    pub async fn allocate_ids(&self, name: &str, first: u64, count: u64) -> Result<Range<u64>> {
        self.ids.allocate(self, name, first, count).await
    }

    pub fn engine(&self) -> &Arc<AnyEngine> {
        &self.engine
    }

    pub fn tso(&self) -> &Arc<Tso> {
        &self.tso
    }

    /// The ranges of this node, as they are now.
    pub fn ranges(&self) -> BTreeMap<RangeId, Arc<Descriptor>> {
        self.descriptors.read().clone()
    }

    /// The range that holds a key, range-local ones included; `None` when it is not on this node.
    pub fn range_of(&self, key: &[u8]) -> Option<RangeId> {
        let ranges = self.descriptors.read();
        match crate::keys::owner(key) {
            Some(owner) => ranges.contains_key(&owner).then_some(owner),
            None => ranges.values().find(|d| d.contains(key)).map(|d| d.range),
        }
    }

    pub fn metrics(&self) -> NodeMetrics {
        self.counters.read(self.mailbox.queued_bytes())
    }

    /// Answers what has been proposed, makes engine and log durable and stops the threads. Later
    /// proposals are refused. Blocks; a second call does nothing.
    pub fn shutdown(&self) -> Result<()> {
        self.stop(mailbox::Ending::Clean)
    }

    fn stop(&self, ending: mailbox::Ending) -> Result<()> {
        match self.threads.lock().take() {
            Some(threads) => threads.stop(&self.mailbox, ending),
            None => Ok(()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.stop(mailbox::Ending::Abrupt) {
            tracing::error!(%error, "node did not stop cleanly");
        }
    }
}

/// The outcome of a proposed batch, to be awaited, or waited for from a thread.
#[must_use = "only the outcome tells whether the batch was replicated"]
#[derive(Debug)]
pub struct Proposal(State);

#[derive(Debug)]
enum State {
    Refused(ProposeError),
    Waiting(oneshot::Receiver<Result<Applied, ProposeError>>),
}

impl Proposal {
    /// Waits on the calling thread, which must not be one of an async runtime.
    pub fn wait(self) -> Result<Applied, ProposeError> {
        match self.0 {
            State::Refused(error) => Err(error),
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or(Err(ProposeError::Unknown)),
        }
    }
}

impl Future for Proposal {
    type Output = Result<Applied, ProposeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Refused(error) => Poll::Ready(Err(*error)),
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(context).map(|answer| answer.unwrap_or(Err(ProposeError::Unknown)))
            }
        }
    }
}

/// The error of a start or a turn that found the log's device full.
fn device_full() -> Error {
    Error::Propose(ProposeError::DiskFull)
}
