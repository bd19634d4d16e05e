//! What transactions ask of the node below: timestamps, snapshots, proposals.
//!
//! `node` is the real one. The tests have another that holds proposals back, reorders and loses them
//! at will, so that every interleaving of a commit can be produced without a thread.

mod node;

use futures::future::BoxFuture;
use storage::Ts;
use storage::engine::{AnySnapshot, WriteBatch};

use crate::Result;

/// How a proposal ended badly.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Too much is queued: the batch has not been taken, and may be offered again in a moment.
    Busy,
    /// The batch has not been and will not be applied.
    Not(crate::Error),
    /// Nobody can tell.
    Unknown(crate::Error),
}

pub(crate) trait Backend: Send + Sync + 'static {
    /// A timestamp above every one given out before.
    fn next_ts(&self) -> Result<Ts>;
    /// Everything applied so far.
    fn snapshot(&self) -> AnySnapshot;
    /// Replicates a batch; the future ends when it is applied and `Participant::on_applied` has run.
    /// The batch is on its way when this returns, whether or not the future is polled.
    fn propose(&self, batch: WriteBatch) -> BoxFuture<'static, Result<(), Refused>>;
    /// Runs work that takes long and may wait for the disk and for proposals, later and elsewhere.
    fn spawn(&self, job: Box<dyn FnOnce() + Send>);
    /// Old versions below this may go.
    fn set_gc_safe_point(&self, ts: Ts);
}
