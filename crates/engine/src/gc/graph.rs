//! The graph of one moment: every object the collector knows, and what refers to what.

use super::labels::{self, Condition, Reference};
use async_trait::async_trait;
use model::{Labels, Result, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Rows, containers, content, images, leases, namespaces, sandboxes, snapshots};

/// What kind of object a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Noun {
    Content,
    Snapshot,
    Container,
    Image,
    Lease,
    Ingest,
    Sandbox,
    /// A resource that lives elsewhere, by the name labels have for its kind.
    Resource(&'static str),
}

/// An object of a namespace. A snapshot's id is `<snapshotter>/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) noun: Noun,
    pub(super) id: String,
}

impl Key {
    pub(super) fn new(noun: Noun, id: &str) -> Self {
        Self { noun, id: id.to_owned() }
    }

    pub(super) fn snapshot(snapshotter: &str, key: &str) -> Self {
        Self { noun: Noun::Snapshot, id: format!("{snapshotter}/{key}") }
    }
}

/// Things that live elsewhere and are collected with the rest, such as streams.
#[async_trait]
pub trait Collectible: Send + Sync {
    /// The word that labels have for them (`stream` in `containerd.io/gc.ref.stream`).
    fn kind(&self) -> &'static str;
    /// All there are. Called inside of a metadata write: no I/O, no waiting.
    fn list(&self) -> Vec<Resource>;
    /// Removes one that nothing holds, after the write; no error if it is gone.
    async fn remove(&self, namespace: &str, id: &str) -> Result<()>;
}

/// A thing that lives elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Its namespace.
    pub namespace: String,
    /// Its id.
    pub id: String,
    /// The lease it was made under; empty for none.
    pub lease: String,
    /// It is in use and stays.
    pub active: bool,
    /// Its labels.
    pub labels: Labels,
}

/// The objects of one namespace.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Every object, and what it needs.
    pub(super) needs: HashMap<Key, Vec<Key>>,
    /// What an object needs even if its holder follows no labels: a snapshot's parent, an image's target.
    pub(super) structure: HashMap<Key, Vec<Key>>,
    /// Where marking begins.
    pub(super) roots: Vec<Key>,
    /// The same for leases that follow no labels.
    pub(super) flat_roots: Vec<Key>,
    /// What an object keeps alive.
    pub(super) keeps: HashMap<Key, Vec<Key>>,
}

/// What the graph is read with.
pub(super) struct Reader<'a> {
    pub(super) tx: &'a dyn Rows,
    pub(super) now: Timestamp,
    pub(super) resources: &'a [(Arc<dyn Collectible>, Vec<Resource>)],
}

impl Reader<'_> {
    /// The graph of a namespace.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn read(&self, namespace: &str) -> Result<Graph> {
        let mut building = Building { graph: Graph::default(), kinds: self.kinds(), conditions: Vec::new() };
        let mut snapshot_labels = HashMap::new();
        for (snapshotter, key, record) in snapshots::list_all(self.tx, namespace)? {
            let node = Key::snapshot(&snapshotter, &key);
            if !record.parent.is_empty() {
                building.link(&node, Key::snapshot(&snapshotter, &record.parent));
            }
            building.add(node.clone(), &record.labels, labels::is_root(&record.labels));
            if record.labels.contains_key(labels::USED_AT) {
                snapshot_labels.insert(node, record.labels);
            }
        }
        for info in content::list(self.tx, namespace)? {
            let node = Key::new(Noun::Content, info.digest.as_str());
            building.add(node, &info.labels, labels::is_root(&info.labels));
        }
        for image in images::list(self.tx, namespace)? {
            let node = Key::new(Noun::Image, &image.name);
            building.link(&node, Key::new(Noun::Content, &image.target.digest));
            building.add(node, &image.labels, !labels::has_expired(&image.labels, self.now));
        }
        for container in containers::list(self.tx, namespace)? {
            let node = Key::new(Noun::Container, &container.id);
            if !container.snapshot_key.is_empty() {
                building.link(&node, Key::snapshot(&container.snapshotter, &container.snapshot_key));
            }
            building.add(node, &container.labels, true);
        }
        for sandbox in sandboxes::list(self.tx, namespace)? {
            building.add(Key::new(Noun::Sandbox, &sandbox.id), &sandbox.labels, true);
        }
        for ingest in content::list_ingests(self.tx, namespace)? {
            let node = Key::new(Noun::Ingest, &ingest.reference);
            if !ingest.expected.is_empty() {
                building.link(&node, Key::new(Noun::Content, &ingest.expected));
            }
            building.add(node, &Labels::new(), ingest.expires_at.is_some_and(|at| at > self.now));
        }
        self.read_leases(namespace, &mut building)?;
        self.read_resources(namespace, &mut building);
        Ok(building.finish(&snapshot_labels, self.now))
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.resources.iter().map(|(collectible, _)| collectible.kind()).collect()
    }

    fn read_leases(&self, namespace: &str, building: &mut Building) -> Result<()> {
        for lease in leases::list(self.tx, namespace)? {
            let node = Key::new(Noun::Lease, &lease.id);
            building.graph.needs.entry(node.clone()).or_default();
            if labels::has_expired(&lease.labels, self.now) {
                continue;
            }
            building.graph.roots.push(node);
            let held = leases::resources(self.tx, namespace, &lease.id)?;
            let held = held.into_iter().filter_map(|resource| leased(&resource));
            let elsewhere = self.resources.iter().flat_map(|(kind, found)| {
                let mine = found.iter().filter(|r| r.namespace == namespace && r.lease == lease.id);
                mine.map(|r| Key::new(Noun::Resource(kind.kind()), &r.id))
            });
            let is_flat = lease.labels.contains_key(model::labels::GC_FLAT);
            let roots = if is_flat { &mut building.graph.flat_roots } else { &mut building.graph.roots };
            roots.extend(held.chain(elsewhere));
        }
        Ok(())
    }

    fn read_resources(&self, namespace: &str, building: &mut Building) {
        for (collectible, found) in self.resources {
            for resource in found.iter().filter(|r| r.namespace == namespace) {
                let node = Key::new(Noun::Resource(collectible.kind()), &resource.id);
                building.add(node, &resource.labels, resource.active);
            }
        }
    }
}

/// The object that a lease names.
fn leased(resource: &model::leases::Resource) -> Option<Key> {
    let noun = match resource.kind.as_str() {
        "content" => Noun::Content,
        "ingests" => Noun::Ingest,
        "images" => Noun::Image,
        kind => return kind.strip_prefix("snapshots/").map(|s| Key::snapshot(s, &resource.id)),
    };
    Some(Key::new(noun, &resource.id))
}

struct Building {
    graph: Graph,
    kinds: Vec<&'static str>,
    conditions: Vec<(Condition, Key, Key)>,
}

impl Building {
    fn add(&mut self, node: Key, labels: &Labels, is_root: bool) {
        self.graph.needs.entry(node.clone()).or_default();
        for reference in labels::references(labels, &self.kinds) {
            match reference {
                Reference::Forward(needed) => self.graph.needs.entry(node.clone()).or_default().push(needed),
                Reference::Back(keeper) => self.graph.keeps.entry(keeper).or_default().push(node.clone()),
                Reference::If(condition, keeper) => self.conditions.push((condition, keeper, node.clone())),
            }
        }
        if is_root {
            self.graph.roots.push(node);
        }
    }

    /// Notes what an object needs by what it is.
    fn link(&mut self, node: &Key, needed: Key) {
        self.graph.structure.entry(node.clone()).or_default().push(needed);
    }

    fn finish(mut self, snapshots: &HashMap<Key, Labels>, now: Timestamp) -> Graph {
        for (condition, keeper, node) in self.conditions {
            if snapshots.get(&keeper).is_some_and(|labels| condition.holds(labels, now)) {
                self.graph.keeps.entry(keeper).or_default().push(node);
            }
        }
        self.graph
    }
}

/// The names of all namespaces.
pub(super) fn namespaces_of(tx: &dyn Rows) -> Result<Vec<String>> {
    Ok(namespaces::list(tx)?.into_iter().map(|n| n.name).collect())
}
