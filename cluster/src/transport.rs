//! Raft messages between nodes. The network arrives later; one node talks to nobody.

use raft::eraftpb::Message;
use storage::engine::RangeId;

use crate::NodeId;

/// A raft message and the group it belongs to.
#[derive(Clone, Debug)]
pub struct Frame {
    pub range: RangeId,
    pub message: Message,
}

/// The queue towards a node has no room: the frame is dropped, raft sends it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Carries frames; drops instead of waiting.
pub trait Transport: Send + 'static {
    fn send(&mut self, to: NodeId, frame: Frame) -> Result<(), Full>;
    /// Takes what has arrived.
    fn poll(&mut self, out: &mut Vec<(NodeId, Frame)>);
    fn peer_up(&self, node: NodeId) -> bool;
}

/// The transport of a node without peers.
#[derive(Debug, Default)]
pub struct LocalTransport;

impl Transport for LocalTransport {
    fn send(&mut self, _: NodeId, _: Frame) -> Result<(), Full> {
        Err(Full)
    }

    fn poll(&mut self, _: &mut Vec<(NodeId, Frame)>) {}

    fn peer_up(&self, _: NodeId) -> bool {
        false
    }
}
