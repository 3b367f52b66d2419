//! Making, listing and removing directories of one hierarchy.

use std::io;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::{Error, Result};
use super::file::{Node, Pauses};
use super::parse;

/// How long a group whose processes are dying may keep its directory.
const REMOVAL: Duration = Duration::from_secs(2);

/// Whether the directory was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    New,
    Found,
}

/// Makes the directory and what is missing above it; `made` is called for each new one, outermost first.
pub(super) fn make(node: &Node, made: &dyn Fn(&Node) -> Result<()>) -> Result<Made> {
    match rustix::fs::mkdirat(node.hierarchy.dir(), &node.path, Mode::from_raw_mode(0o755)) {
        Ok(()) => {
            made(node)?;
            Ok(Made::New)
        }
        Err(Errno::EXIST) => Ok(Made::Found),
        Err(Errno::NOENT) if node.path.contains('/') => {
            make(&parent(node), made)?;
            make(node, made)
        }
        Err(error) => Err(Error::io("mkdir", node.full(), error)),
    }
}

/// The directory above.
pub(super) fn parent(node: &Node) -> Node {
    let path = node.path.rsplit_once('/').map_or("", |(parent, _)| parent);
    Node::new(node.hierarchy, path.to_owned())
}

/// Ids of all processes of the directory and those below it; none when it is gone.
pub(super) fn pids(node: &Node) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    collect(node, &mut found)?;
    Ok(found)
}

fn collect(node: &Node, found: &mut Vec<i32>) -> Result<()> {
    match node.try_read("cgroup.procs") {
        Ok(text) => found.extend(numbers(&text)),
        // Gone, or a threaded group, whose processes its parent lists.
        Err(e) if gone(&e) || e.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(e) => return Err(Error::io("read", node.full().join("cgroup.procs"), e)),
    }
    for child in children(node)? {
        collect(&child, found)?;
    }
    Ok(())
}

/// The processes a file lists. Those outside of the reader's pid namespace are all listed as 0, which in kill(2) would
/// be the reader's own group.
fn numbers(text: &str) -> impl Iterator<Item = i32> {
    text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0)
}

/// The directories directly below.
pub(super) fn children(node: &Node) -> Result<Vec<Node>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = match rustix::fs::openat(node.hierarchy.dir(), &node.path, flags, Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("open", node.full(), e)),
    };
    let mut found = Vec::new();
    for entry in Dir::new(dir).map_err(|e| Error::io("list", node.full(), e))? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(Errno::NODEV | Errno::NOENT) => break,
            Err(e) => return Err(Error::io("list", node.full(), e)),
        };
        if entry.file_type() == FileType::Directory {
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                found.push(Node::new(node.hierarchy, parse::clean(&format!("{}/{name}", node.path))));
            }
        }
    }
    Ok(found)
}

/// Removes the directory and those below it; one that is gone is no error.
pub(super) fn remove(node: &Node) -> Result<()> {
    let mut pauses = Pauses::until(REMOVAL);
    loop {
        match rustix::fs::unlinkat(node.hierarchy.dir(), &node.path, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) => {
                let below = children(node)?;
                let nested = !below.is_empty();
                below.iter().try_for_each(remove)?;
                if !nested && !pauses.pause() {
                    return Err(Error::io("rmdir", node.full(), Errno::BUSY));
                }
            }
            Err(error) => return Err(Error::io("rmdir", node.full(), error)),
        }
    }
}

/// Whether a file's error means that its group was removed.
pub(super) fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_no_processes() {
        assert_eq!(numbers("0\n7\n0\n12\n").collect::<Vec<_>>(), [7, 12]);
    }
}
