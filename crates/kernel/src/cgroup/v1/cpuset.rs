//! A new cpuset is empty and takes no process: it gets what its parent has.

use super::super::error::Result;
use super::super::file::Node;
use super::super::tree;

/// Copies CPUs and memory nodes from the parent where the new group has none. The parent may be somebody's who has made
/// it just now and not filled it yet: then it is filled first.
pub(in super::super) fn inherit(node: &Node) -> Result<()> {
    let parent = tree::parent(node);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if !node.read(name)?.trim().is_empty() {
            continue;
        }
        let mut value = parent.read(name)?;
        if value.trim().is_empty() && !parent.is_root() {
            inherit(&parent)?;
            value = parent.read(name)?;
        }
        node.write(name, value.trim())?;
    }
    Ok(())
}
