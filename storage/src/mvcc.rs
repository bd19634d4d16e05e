//! Versioned keys: `user key ‖ !ts` (8 bytes, big-endian), so that the newest version sorts first.
//!
//! The value of a version: `kind u8 · transaction tag u64 (little-endian) · row bytes`; kind 1 is a
//! put, kind 2 a delete marker (no row bytes). The tag lets a re-sent commit recognise itself.

use crate::{Error, Result, Ts};

/// Bytes of the version suffix of a key.
pub const SUFFIX: usize = 8;
/// Bytes in front of a version's row: kind and transaction tag.
pub const HEADER: usize = 9;

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// Identifies the transaction that wrote a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TxnTag(pub u64);

/// What a version says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    pub tag: TxnTag,
    /// `None` for a delete marker.
    pub row: Option<&'a [u8]>,
}

/// Appends the version suffix to a user key.
pub fn push_suffix(key: &mut Vec<u8>, ts: Ts) {
    key.extend_from_slice(&(!ts.0).to_be_bytes());
}

/// Splits an engine key of the data space into user key and timestamp.
pub fn split(key: &[u8]) -> Result<(&[u8], Ts)> {
    let at = key.len().checked_sub(SUFFIX).ok_or(Error::Malformed { what: "versioned key" })?;
    let (user, suffix) = key.split_at(at);
    let suffix: [u8; SUFFIX] = suffix.try_into().expect("split at the suffix length");
    Ok((user, Ts(!u64::from_be_bytes(suffix))))
}

/// Appends the value of a version.
pub fn push_version(out: &mut Vec<u8>, version: Version<'_>) {
    out.push(if version.row.is_some() { PUT } else { DELETE });
    out.extend_from_slice(&version.tag.0.to_le_bytes());
    out.extend_from_slice(version.row.unwrap_or_default());
}

/// Reads the value of a version.
pub fn read_version(value: &[u8]) -> Result<Version<'_>> {
    let malformed = Error::Malformed { what: "version" };
    if value.len() < HEADER {
        return Err(malformed);
    }
    let tag = TxnTag(u64::from_le_bytes(value[1..HEADER].try_into().expect("eight bytes")));
    match value[0] {
        PUT => Ok(Version { tag, row: Some(&value[HEADER..]) }),
        DELETE if value.len() == HEADER => Ok(Version { tag, row: None }),
        _ => Err(malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions_sort_first_and_read_back() {
        let key = |ts| {
            let mut k = b"k".to_vec();
            push_suffix(&mut k, Ts(ts));
            k
        };
        assert!(key(2) < key(1));
        assert_eq!(split(&key(7)).unwrap(), (&b"k"[..], Ts(7)));
        assert!(split(b"short").is_err());
        for row in [None, Some(&b""[..]), Some(&b"row"[..])] {
            let mut out = vec![];
            push_version(&mut out, Version { tag: TxnTag(9), row });
            assert_eq!(read_version(&out).unwrap(), Version { tag: TxnTag(9), row });
        }
        assert!(read_version(b"\x03aaaaaaaa").is_err());
    }
}
