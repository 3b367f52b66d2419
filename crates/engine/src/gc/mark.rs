//! Marking: which objects of a namespace something wants.

use super::graph::{Graph, Key, Noun};
use std::collections::HashSet;

/// The objects that nothing wants. Pure.
///
/// A lease that follows no labels wants what it lists, a snapshot's parents and an image's target, and nothing that
/// would be kept by a marked object.
pub(super) fn unwanted(graph: &Graph) -> Vec<Key> {
    let mut marked = HashSet::new();
    let mut stack: Vec<&Key> = graph.roots.iter().collect();
    while let Some(node) = stack.pop() {
        if marked.insert(node) {
            for links in [&graph.structure, &graph.needs, &graph.keeps] {
                stack.extend(links.get(node).into_iter().flatten());
            }
        }
    }
    let mut flat = HashSet::new();
    let mut stack: Vec<&Key> = graph.flat_roots.iter().collect();
    while let Some(node) = stack.pop() {
        if flat.insert(node) {
            stack.extend(graph.structure.get(node).into_iter().flatten());
        }
    }
    let mut left: Vec<Key> = graph
        .needs
        .keys()
        .filter(|key| is_collected(key.noun) && !marked.contains(key) && !flat.contains(key))
        .cloned()
        .collect();
    left.sort_unstable();
    left
}

/// Whether the collector removes objects of this kind. Containers and sandboxes are only ever removed by clients.
fn is_collected(noun: Noun) -> bool {
    !matches!(noun, Noun::Container | Noun::Sandbox)
}
