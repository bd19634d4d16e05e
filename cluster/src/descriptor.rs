//! What a range is: its span, its replicas and their epochs. Replicated state of its own group.
//!
//! Format, integers are LEB128 varints:
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | format | 1 | 1 |
//! | range | varint | id of the range and its group |
//! | span | varint, n, varint, n | lower and upper bound (user keys); an empty upper bound is open |
//! | conf version, version | varint ×2 | epochs: of the replica set, of the span |
//! | replicas | varint | how many follow |
//! | replica | varint ×2, 1 | node, replica id (never used again), role: 0 voter, 1 learner |

use storage::engine::batch::{get_varint, put_varint};
use storage::engine::{RangeId, Span};

use crate::{NodeId, Result};

const FORMAT: u8 = 1;
/// Replicas a descriptor can name: bounds what a decoder allocates.
const MAX_REPLICAS: u64 = 64;

/// Whether a replica's vote counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    Voter = 0,
    Learner = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    pub node: NodeId,
    pub replica: u64,
    pub role: Role,
}

/// A range, as its own group knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub range: RangeId,
    pub span: Span,
    /// Rises with every change of the replicas.
    pub conf_version: u64,
    /// Rises with every change of the span.
    pub version: u64,
    pub replicas: Vec<Replica>,
}

impl Descriptor {
    /// A range with one voter.
    pub(crate) fn first(range: RangeId, span: Span, node: NodeId) -> Descriptor {
        let replicas = vec![Replica { node, replica: 1, role: Role::Voter }];
        Descriptor { range, span, conf_version: 1, version: 1, replicas }
    }

    /// Whether a user key belongs to this range.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.span.lo[..] && (self.span.hi.is_empty() || key < &self.span.hi[..])
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_varint(&mut out, self.range.0);
        for bound in [&self.span.lo, &self.span.hi] {
            put_varint(&mut out, bound.len() as u64);
            out.extend_from_slice(bound);
        }
        put_varint(&mut out, self.conf_version);
        put_varint(&mut out, self.version);
        put_varint(&mut out, self.replicas.len() as u64);
        for replica in &self.replicas {
            put_varint(&mut out, replica.node.0);
            put_varint(&mut out, replica.replica);
            out.push(replica.role as u8);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Descriptor> {
        let malformed = storage::Error::Malformed { what: "range descriptor" };
        Ok(read(bytes).ok_or(malformed)?)
    }
}

fn read(bytes: &[u8]) -> Option<Descriptor> {
    let mut rest = bytes.strip_prefix(&[FORMAT])?;
    let range = RangeId(get_varint(&mut rest)?);
    let span = Span { lo: read_bound(&mut rest)?, hi: read_bound(&mut rest)? };
    let conf_version = get_varint(&mut rest)?;
    let version = get_varint(&mut rest)?;
    let count = get_varint(&mut rest)?;
    if count > MAX_REPLICAS {
        return None;
    }
    let replicas = (0..count).map(|_| read_replica(&mut rest)).collect::<Option<Vec<_>>>()?;
    rest.is_empty().then_some(Descriptor { range, span, conf_version, version, replicas })
}

fn read_bound(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let len = usize::try_from(get_varint(rest)?).ok()?;
    let (bound, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(bound.to_vec())
}

fn read_replica(rest: &mut &[u8]) -> Option<Replica> {
    let node = NodeId(get_varint(rest)?);
    let replica = get_varint(rest)?;
    let (&role, tail) = rest.split_first()?;
    *rest = tail;
    let role = match role {
        0 => Role::Voter,
        1 => Role::Learner,
        _ => return None,
    };
    Some(Replica { node, replica, role })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_the_documented_picture() {
        let span = Span { lo: vec![3], hi: vec![] };
        let descriptor = Descriptor::first(RangeId(2), span, NodeId(1));
        let bytes = descriptor.encode();
        assert_eq!(bytes, b"\x01\x02\x01\x03\x00\x01\x01\x01\x01\x01\x00");
        assert_eq!(Descriptor::decode(&bytes).unwrap(), descriptor);
        for cut in 0..bytes.len() {
            assert!(Descriptor::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Descriptor::decode(&[&bytes[..], b"x"].concat()).is_err());
        assert!(descriptor.contains(b"\x03k") && !descriptor.contains(b"\x02k"));
    }
}
