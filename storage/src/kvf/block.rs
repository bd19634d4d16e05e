//! Frames and the entries in them.

use xxhash_rust::xxh3::xxh3_64;

use super::MAX_BLOCK;
use crate::engine::batch::{get_varint, put_varint};

/// Bytes of a frame in front of what it stores.
pub(super) const FRAME_HEADER: usize = 9;
/// Bytes of a frame around what it stores.
pub(super) const FRAME: usize = FRAME_HEADER + 8;

const RAW: u8 = 0;
const LZ4: u8 = 1;

/// Appends `raw` as a frame, compressed when that makes it smaller.
pub(super) fn push_frame(out: &mut Vec<u8>, raw: &[u8]) {
    let start = out.len();
    let packed = lz4_flex::block::compress(raw);
    let (codec, stored) = if packed.len() < raw.len() { (LZ4, &packed[..]) } else { (RAW, raw) };
    out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.push(codec);
    out.extend_from_slice(stored);
    let sum = xxh3_64(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// The raw bytes of a whole frame; `Err` says what is wrong with it.
pub(super) fn read_frame(frame: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (body, sum) = frame.split_last_chunk::<8>().ok_or("a frame is cut short")?;
    if xxh3_64(body) != u64::from_le_bytes(*sum) {
        return Err("a checksum does not match");
    }
    let (header, stored) = body.split_first_chunk::<FRAME_HEADER>().ok_or("a frame is cut short")?;
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")) as usize;
    let (stored_len, raw_len) = (word(0), word(4));
    if stored_len != stored.len() || raw_len > MAX_BLOCK {
        return Err("a frame has a wrong length");
    }
    match header[8] {
        RAW if raw_len == stored_len => Ok(stored.to_vec()),
        LZ4 => match lz4_flex::block::decompress(stored, raw_len) {
            Ok(raw) if raw.len() == raw_len => Ok(raw),
            _ => Err("a frame does not decompress"),
        },
        _ => Err("a frame has an unknown codec"),
    }
}

/// Appends an entry after one with key `before`.
pub(super) fn push_entry(out: &mut Vec<u8>, before: &[u8], key: &[u8], value: &[u8]) {
    let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    put_varint(out, shared as u64);
    put_varint(out, (key.len() - shared) as u64);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(&key[shared..]);
    out.extend_from_slice(value);
}

/// Reads the entry at the front of `rest`: `key` turns from the key before into its key, the value
/// is answered. `None` when the bytes are no entry.
pub(super) fn read_entry<'a>(rest: &mut &'a [u8], key: &mut Vec<u8>) -> Option<&'a [u8]> {
    let shared = usize::try_from(get_varint(rest)?).ok()?;
    let more = usize::try_from(get_varint(rest)?).ok()?;
    let value_len = usize::try_from(get_varint(rest)?).ok()?;
    if shared > key.len() {
        return None;
    }
    key.truncate(shared);
    let (suffix, tail) = rest.split_at_checked(more)?;
    let (value, tail) = tail.split_at_checked(value_len)?;
    key.extend_from_slice(suffix);
    *rest = tail;
    Some(value)
}
