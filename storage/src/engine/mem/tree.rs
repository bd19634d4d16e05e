//! A persistent ordered map: a treap whose nodes are shared between versions.
//!
//! A clone is one pointer. A change copies the nodes on its path that another version still holds.
//! The heap order comes from a hash of the key, so the shape depends on the contents alone and a
//! replay under the same seed allocates the same.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

type Link = Option<Arc<Node>>;

#[derive(Clone)]
struct Node {
    key: Bytes,
    value: Bytes,
    priority: u64,
    left: Link,
    right: Link,
}

#[derive(Clone, Default)]
pub(super) struct Tree {
    root: Link,
}

impl Tree {
    pub(super) fn insert(&mut self, key: Bytes, value: Bytes) {
        let (left, rest) = split(self.root.take(), &key, Ordering::Less);
        let (_, right) = split(rest, &key, Ordering::Equal);
        let node = Arc::new(Node { priority: xxh3_64(&key), key, value, left: None, right: None });
        self.root = merge(merge(left, Some(node)), right);
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let (left, rest) = split(self.root.take(), key, Ordering::Less);
        let (_, right) = split(rest, key, Ordering::Equal);
        self.root = merge(left, right);
    }

    /// Removes `[lo, hi)`; an empty `hi` has no upper bound.
    pub(super) fn remove_range(&mut self, lo: &[u8], hi: &[u8]) {
        if !hi.is_empty() && hi <= lo {
            return;
        }
        let (left, rest) = split(self.root.take(), lo, Ordering::Less);
        let right = if hi.is_empty() { None } else { split(rest, hi, Ordering::Less).1 };
        self.root = merge(left, right);
    }

    pub(super) fn first_ge(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        self.first(|k| k >= key)
    }

    pub(super) fn first_gt(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        self.first(|k| k > key)
    }

    pub(super) fn last_lt(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        let mut best = None;
        let mut at = &self.root;
        while let Some(node) = at {
            if &node.key[..] < key {
                best = Some((&node.key, &node.value));
                at = &node.right;
            } else {
                at = &node.left;
            }
        }
        best
    }

    /// The first entry whose key is behind a boundary.
    fn first(&self, behind: impl Fn(&[u8]) -> bool) -> Option<(&Bytes, &Bytes)> {
        let mut best = None;
        let mut at = &self.root;
        while let Some(node) = at {
            if behind(&node.key) {
                best = Some((&node.key, &node.value));
                at = &node.left;
            } else {
                at = &node.right;
            }
        }
        best
    }
}

/// Entries below `key` and the others; `up_to == Equal` puts an entry equal to `key` on the left.
fn split(link: Link, key: &[u8], up_to: Ordering) -> (Link, Link) {
    let Some(mut arc) = link else { return (None, None) };
    let node = Arc::make_mut(&mut arc);
    if node.key[..].cmp(key) <= up_to {
        let (left, right) = split(node.right.take(), key, up_to);
        node.right = left;
        (Some(arc), right)
    } else {
        let (left, right) = split(node.left.take(), key, up_to);
        node.left = right;
        (left, Some(arc))
    }
}

/// Joins two trees, every key of the first below every key of the second.
fn merge(left: Link, right: Link) -> Link {
    let (mut left, mut right) = match (left, right) {
        (None, link) | (link, None) => return link,
        (Some(left), Some(right)) => (left, right),
    };
    if left.priority >= right.priority {
        let node = Arc::make_mut(&mut left);
        node.right = merge(node.right.take(), Some(right));
        Some(left)
    } else {
        let node = Arc::make_mut(&mut right);
        node.left = merge(Some(left), node.left.take());
        Some(right)
    }
}
