//! A controller limits a group only when every directory above passes it on.

use super::super::error::Result;
use super::super::file::Node;

/// Turns on every controller of the host from the root down to the parent of `node`.
///
/// What a directory refuses (it has processes of its own, or lacks the controller) is left; a limit that needs it
/// fails later, with the file's name.
pub(in super::super) fn enable(node: &Node, controllers: &[String]) -> Result<()> {
    let mut above = vec![Node::new(node.hierarchy, String::new())];
    above.extend(
        node.path.match_indices('/').map(|(at, _)| Node::new(node.hierarchy, node.path[..at].to_owned())),
    );
    if above.last().is_some_and(|parent| missing(parent, controllers).is_empty()) {
        return Ok(());
    }
    for parent in &above {
        let missing = missing(parent, controllers);
        if missing.is_empty() {
            continue;
        }
        let all: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
        if parent.try_write("cgroup.subtree_control", &all.join(" ")).is_err() {
            for one in &all {
                // One by one: the others are worth having without this one.
                let _ = parent.try_write("cgroup.subtree_control", one);
            }
        }
    }
    Ok(())
}

fn missing<'a>(parent: &Node, controllers: &'a [String]) -> Vec<&'a str> {
    let on = parent.try_read("cgroup.subtree_control").unwrap_or_default();
    let on: Vec<&str> = on.split_whitespace().collect();
    controllers.iter().map(String::as_str).filter(|name| !on.contains(name)).collect()
}
