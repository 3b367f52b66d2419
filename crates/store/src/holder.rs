//! Who holds the lock of a file, for the error that names them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// `process 42 (gantryd)`, when the kernel's list of locks tells.
pub(crate) fn describe(path: &Path) -> Option<String> {
    let inode = std::fs::metadata(path).ok()?.ino();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| holder(line, inode))?;
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("process {pid} ({})", name.trim_end()))
}

/// The pid of a line like `1: FLOCK  ADVISORY  WRITE 42 00:1f:1234 0 EOF`, if the lock is on this inode.
fn holder(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip_while(|w| *w == "->").skip(4);
    let pid = words.next()?.parse().ok()?;
    let locked: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
    (locked == inode && pid > 0).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_list() {
        assert_eq!(holder("1: FLOCK  ADVISORY  WRITE 42 00:1f:1234 0 EOF", 1234), Some(42));
        assert_eq!(holder("1: FLOCK  ADVISORY  WRITE 42 00:1f:1234 0 EOF", 1), None);
        assert_eq!(holder("2: OFDLCK ADVISORY  WRITE -1 00:1f:1234 0 EOF", 1234), None);
        assert_eq!(holder("", 1234), None);
    }
}
