//! The real node.

use std::sync::Arc;

use cluster::{Node, ProposeError, RangeHandler};
use futures::FutureExt;
use futures::future::BoxFuture;
use storage::Ts;
use storage::engine::{AnySnapshot, Engine, RangeId, WriteBatch};

use super::{Backend, Refused};
use crate::participant::RANGE;
use crate::{Error, Limits, Participant, Result, TxnDb};

impl Backend for Node {
    fn next_ts(&self) -> Result<Ts> {
        self.tso().next().map_err(|error| Error::Cluster(Box::new(error)))
    }

    fn snapshot(&self) -> AnySnapshot {
        self.engine().snapshot()
    }

    fn propose(&self, batch: WriteBatch) -> BoxFuture<'static, Result<(), Refused>> {
        Node::propose(self, RANGE, batch).map(|outcome| outcome.map(drop).map_err(refused)).boxed()
    }

    fn spawn(&self, job: Box<dyn FnOnce() + Send>) {
        let spawned = std::thread::Builder::new().name("txn-resolve".into()).spawn(job);
        if let Err(error) = spawned {
            // What the job would have moved stays readable where it is, until the next start.
            tracing::error!(%error, "could not start a thread to resolve a large transaction");
        }
    }

    fn set_gc_safe_point(&self, ts: Ts) {
        self.engine().set_gc_safe_point(ts);
    }
}

fn refused(error: ProposeError) -> Refused {
    match error {
        ProposeError::Overloaded => Refused::Busy,
        ProposeError::DiskFull => Refused::Not(Error::DiskFull),
        ProposeError::Unknown => Refused::Unknown(Error::OutcomeUnknown),
        other => Refused::Not(Error::Cluster(Box::new(other))),
    }
}

impl RangeHandler for Participant {
    fn applied(&self, range: RangeId, _index: u64, batch: &WriteBatch) {
        if range == RANGE {
            self.on_applied(batch);
        }
    }

    fn lease_gained(&self, range: RangeId, floor: Ts) {
        if range == RANGE {
            self.on_lease_gained(floor);
        }
    }

    fn lease_lost(&self, range: RangeId) {
        if range == RANGE {
            self.on_lease_lost();
        }
    }
}

impl TxnDb {
    /// The transactions of `node`, which was started with `participant` as its handler.
    /// Takes up what large transactions left behind when the node stopped.
    pub fn new(node: Arc<Node>, participant: Arc<Participant>, limits: Limits) -> Result<Arc<TxnDb>> {
        TxnDb::with_backend(node, participant, limits)
    }
}
