//! What a raft entry carries: `version u8 = 1 · write batch` (`storage::engine::batch`).
//!
//! An entry without data is raft's own, made when a leader is elected. An unknown version stops the
//! node: skipping a command that other replicas apply would let them drift apart.

use bytes::Bytes;
use storage::engine::{RangeId, WriteBatch};

use crate::{Error, Result};

const VERSION: u8 = 1;

/// The bytes of an entry that applies `batch`.
pub(crate) fn encode(batch: &WriteBatch) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + batch.as_bytes().len());
    out.push(VERSION);
    out.extend_from_slice(batch.as_bytes());
    out
}

/// The batch of an entry; empty for raft's own entries.
pub(crate) fn decode(range: RangeId, data: &Bytes) -> Result<WriteBatch> {
    match data.split_first() {
        None => Ok(WriteBatch::new()),
        Some((&VERSION, batch)) => Ok(WriteBatch::from_bytes(batch.to_vec())?),
        Some((&found, _)) => Err(Error::NewerCommand { range, found, supported: VERSION }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::engine::Space;

    #[test]
    fn entries_read_back_and_unknown_versions_are_refused() {
        let mut batch = WriteBatch::new();
        batch.put(Space::Data, b"k", b"v");
        let bytes = Bytes::from(encode(&batch));
        assert_eq!(&bytes[..], b"\x01\x00\x01k\x01v");
        assert_eq!(decode(RangeId(2), &bytes).unwrap(), batch);
        assert!(decode(RangeId(2), &Bytes::new()).unwrap().is_empty());
        let newer = Bytes::from_static(b"\x02");
        assert!(matches!(decode(RangeId(2), &newer), Err(Error::NewerCommand { found: 2, .. })));
        assert!(decode(RangeId(2), &Bytes::from_static(b"\x01\x00")).is_err());
    }
}
