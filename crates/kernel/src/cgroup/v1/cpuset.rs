//! A new cpuset is empty and takes no process: it gets what its parent has.

use super::super::error::Result;
use super::super::file::Node;
use super::super::tree;

/// Copies CPUs and memory nodes from the parent where the new group has none.
pub(in super::super) fn inherit(node: &Node) -> Result<()> {
    let parent = tree::parent(node);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if node.read(name)?.trim().is_empty() {
            node.write(name, parent.read(name)?.trim())?;
        }
    }
    Ok(())
}
