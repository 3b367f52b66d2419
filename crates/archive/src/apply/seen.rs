//! The names a layer has brought so far, as hashes: a whiteout must not touch them.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// A set of canonical paths. Sixteen bytes a name; two names collide once in 10⁹ layers of 10⁵ names, under a key that
/// nobody outside knows.
#[derive(Default)]
pub(super) struct Seen {
    hashes: HashSet<u64>,
    key: RandomState,
}

impl Seen {
    /// Adds a path.
    pub(super) fn insert(&mut self, path: &[u8]) {
        self.hashes.insert(self.key.hash_one(path));
    }

    /// Whether the path was added.
    pub(super) fn contains(&self, path: &[u8]) -> bool {
        self.hashes.contains(&self.key.hash_one(path))
    }
}
