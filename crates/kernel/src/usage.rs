//! What a directory tree occupies on its disk.

use crate::{KernelError, Result};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes of allocated blocks and number of inodes of a tree, its root included; a file with several names counts once.
/// What is removed meanwhile is left out.
///
/// # Errors
/// A directory cannot be read.
pub fn tree(root: &Path) -> Result<(u64, u64)> {
    let mut seen = HashSet::new();
    let (mut bytes, mut inodes) = (0, 0);
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let failed = |op, e: std::io::Error| KernelError::from_io(op, &path, &e);
        let metadata = match path.symlink_metadata() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && path != root => continue,
            other => other.map_err(|e| failed("stat", e))?,
        };
        if metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        bytes += metadata.blocks() * 512;
        inodes += 1;
        if metadata.is_dir() {
            let entries = match fs::read_dir(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && path != root => continue,
                other => other.map_err(|e| failed("read", e))?,
            };
            for entry in entries {
                waiting.push(entry.map_err(|e| failed("read", e))?.path());
            }
        }
    }
    Ok((bytes, inodes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_one_file_count_once() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::write(dir.path().join("a"), vec![1; 8192]).expect("write");
        let (bytes, inodes) = super::tree(dir.path()).expect("usage");
        std::fs::hard_link(dir.path().join("a"), dir.path().join("b")).expect("link");
        assert_eq!(super::tree(dir.path()).expect("usage"), (bytes, inodes));
        assert_eq!(inodes, 2);
        assert!(bytes >= 8192);
    }
}
