//! Control groups, version 1 and 2.
//!
//! A [`Cgroup`] is one directory in each hierarchy of the host, at the same path. On a version 1 host that is one per
//! controller; on a hybrid host also one in the version 2 tree, which limits nothing there; on a version 2 host just
//! one. Nothing outside of the directories it made is touched, except that a version 2 group turns controllers
//! on in the directories above it.
//!
//! The fast way in: moving a process by its id ([`Cgroup::add`]) takes a kernel lock that waits for all CPUs, a millisecond in the
//! first hierarchy. A process that moves itself while it has one thread does not: clone it with
//! `CLONE_INTO_CGROUP` and [`Entry::unified`], then let it call [`Entry::enter`] first thing.
//!
//! Not here: systemd (its `slice:prefix:name` paths), kernel memory limits (the kernel dropped them).

mod devices;
mod entry;
mod error;
mod file;
mod freeze;
mod host;
mod kill;
mod oom;
mod parse;
mod rdma;
mod resources;
mod stats;
mod tree;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use entry::Entry;
pub use error::{Error, Result};
pub use host::{Version, held};
pub use oom::OomWatch;
pub use resources::{
    Access, BlockIo, Cpu, DeviceKind, DeviceRule, DeviceWeight, Memory, Rdma, Resources, Throttle,
};
pub use stats::{
    BlkioEntryV1, BlkioV1, CpuUsageV1, CpuV1, CpuV2, HugetlbV1, HugetlbV2, IoEntryV2, IoV2, MemoryEntryV1,
    MemoryEventsV2, MemoryV1, MemoryV2, OomControlV1, Pids, Pressure, PressureData, RdmaEntry, RdmaStat,
    Stats, StatsV1, StatsV2, ThrottlingV1,
};

use file::Node;
use host::{Hierarchy, Host};
use rdma::rdma;
use tree::Made;

/// One control group in all hierarchies.
#[derive(Clone, Debug)]
pub struct Cgroup {
    version: Version,
    /// In the host's order; the version 2 tree is last.
    nodes: Vec<Node>,
}

/// Which version's files hold the limits on this host.
pub fn version() -> Result<Version> {
    Ok(Host::get()?.mode)
}

impl Cgroup {
    /// The group at a path as [`Cgroup::create`] takes it; it is neither made nor looked for.
    pub fn named(path: &str) -> Result<Self> {
        let host = Host::get()?;
        Ok(Self { version: host.mode, nodes: nodes_at(host, path)? })
    }

    /// Makes the group. `path` is counted from the mount points; without a slash in front from the caller's own group, or
    /// in version 2 from the one above, as one with processes may not limit groups below it.
    ///
    /// A group that exists is taken if it has no processes. On failure what was made is removed.
    pub fn create(path: &str) -> Result<Self> {
        let host = Host::get()?;
        let group = Self::named(path)?;
        let mut new = Vec::new();
        for node in &group.nodes {
            match group.make(node, host) {
                Ok(Made::New) => new.push(node),
                Ok(Made::Found) => {}
                Err(error) => {
                    for node in new {
                        // The first error is the one to tell.
                        let _ = tree::remove(node);
                    }
                    return Err(error);
                }
            }
        }
        Ok(group)
    }

    fn make(&self, node: &Node, host: &Host) -> Result<Made> {
        let made = match node.hierarchy.has("cpuset") {
            true => tree::make(node, &v1::inherit)?,
            false => tree::make(node, &|_| Ok(()))?,
        };
        if made == Made::Found {
            let pids = tree::pids(node)?;
            if !pids.is_empty() {
                return Err(Error::NotEmpty(pids.len()));
            }
            if is_frozen(self.version, node)? {
                return Err(Error::invalid("container's cgroup unexpectedly frozen"));
            }
        }
        if self.version == Version::V2 {
            v2::enable(node, &host.unified_controllers)?;
        }
        Ok(made)
    }

    /// The group at these directories, by controller as [`Cgroup::paths`] gives them. They need not exist any more.
    pub fn load(paths: &BTreeMap<String, PathBuf>) -> Result<Self> {
        let host = Host::get()?;
        let mut nodes: Vec<Node> = Vec::new();
        for hierarchy in &host.hierarchies {
            let named = |(controller, path)| hierarchy.has(controller).then_some(path);
            let Some(path) = paths.iter().map(|(c, p)| (c.as_str(), p)).find_map(named) else { continue };
            let Ok(below) = path.strip_prefix(&hierarchy.point) else {
                return Err(Error::invalid(format!(
                    "cgroup path {} is not below {}",
                    path.display(),
                    hierarchy.point.display()
                )));
            };
            nodes.push(Node::new(hierarchy, parse::clean(&below.to_string_lossy())));
        }
        Ok(Self { version: host.mode, nodes })
    }

    /// The group a process is in.
    pub fn of_pid(pid: i32) -> Result<Self> {
        let host = Host::get()?;
        let nodes = host.paths_of(&pid.to_string())?;
        let nodes = nodes.into_iter().map(|(hierarchy, path)| Node::new(hierarchy, parse::clean(&path)));
        Ok(Self { version: host.mode, nodes: nodes.collect() })
    }

    /// The directories by controller; the version 2 tree is called "".
    pub fn paths(&self) -> BTreeMap<String, PathBuf> {
        let mut paths = BTreeMap::new();
        for node in &self.nodes {
            for controller in &node.hierarchy.controllers {
                paths.insert(controller.clone(), node.full());
            }
            if node.hierarchy.is_unified() {
                paths.insert(String::new(), node.full());
            }
        }
        paths
    }

    /// Whether the group exists.
    pub fn exists(&self) -> bool {
        self.nodes.first().is_some_and(|node| node.full().is_dir())
    }

    /// The same group's child `path` in each hierarchy; it is neither made nor looked for.
    pub fn child(&self, path: &str) -> Self {
        let child = |node: &Node| Node::new(node.hierarchy, parse::clean(&format!("{}/{path}", node.path)));
        Self { version: self.version, nodes: self.nodes.iter().map(child).collect() }
    }

    /// Moves a process into the group.
    pub fn add(&self, pid: i32) -> Result<()> {
        let pid = pid.to_string();
        self.nodes.iter().try_for_each(|node| node.write("cgroup.procs", &pid))
    }

    /// Opens the group for processes that move themselves into it.
    pub fn entry(&self) -> Result<Entry> {
        Entry::open(&self.nodes)
    }

    /// The same for a process that is to join process `pid` of the group. A version 2 group that hands controllers on to
    /// groups below takes no process itself: then it is the group below that `pid` has moved to.
    pub fn entry_beside(&self, pid: i32) -> Result<Entry> {
        let crowded = |node: &Node| {
            self.version == Version::V2
                && node.try_read("cgroup.subtree_control").is_ok_and(|names| !names.trim().is_empty())
        };
        if !self.nodes.iter().any(crowded) {
            return self.entry();
        }
        let group = Self::of_pid(pid)?;
        let below = |(node, own): (&Node, &Node)| node.full().starts_with(own.full());
        let inside = group.nodes.len() == self.nodes.len() && group.nodes.iter().zip(&self.nodes).all(below);
        if inside { group.entry() } else { self.entry() }
    }

    /// Sets limits; those absent stay as they are.
    pub fn apply(&self, wanted: &Resources) -> Result<()> {
        match self.version {
            Version::V1 | Version::Hybrid => v1::apply(self, wanted),
            Version::V2 => v2::apply(self, wanted),
        }
    }

    /// Stops all processes; gives up after seconds, with the group thawed.
    pub fn freeze(&self) -> Result<()> {
        self.refuse_root()?;
        match self.version {
            Version::V1 | Version::Hybrid => freeze::freeze_v1(self.get("freezer")?),
            Version::V2 => freeze::freeze_v2(self.get("")?),
        }
    }

    /// Resumes all processes.
    pub fn thaw(&self) -> Result<()> {
        match self.version {
            Version::V1 | Version::Hybrid => freeze::thaw_v1(self.get("freezer")?),
            Version::V2 => freeze::thaw_v2(self.get("")?),
        }
    }

    /// Whether the group is frozen; one that is gone is not.
    pub fn is_frozen(&self) -> Result<bool> {
        self.nodes.iter().try_fold(false, |frozen, node| Ok(frozen || is_frozen(self.version, node)?))
    }

    /// The topmost group holds every process of the host: a damaged path must not stop or end them.
    fn refuse_root(&self) -> Result<()> {
        match self.nodes.iter().find(|node| node.is_root()) {
            Some(node) => Err(Error::invalid(format!("{} is no container's cgroup", node.full().display()))),
            None => Ok(()),
        }
    }

    /// Ids of all processes of the group and those below it; none when it is gone.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let preferred = ["freezer", "devices", "memory", "pids"].iter().find_map(|name| self.find(name));
        match preferred.or(self.nodes.last()) {
            Some(node) => tree::pids(node),
            None => Ok(Vec::new()),
        }
    }

    /// Sends a signal to every process, missing none that is being forked. SIGKILL also thaws a frozen group.
    pub fn kill_all(&self, signal: i32) -> Result<()> {
        self.refuse_root()?;
        kill::kill_all(self, signal)
    }

    /// Removes the group and those below it. Waits a moment for dying processes; a group that is gone is no error.
    pub fn remove(&self) -> Result<()> {
        let mut result = Ok(());
        for node in &self.nodes {
            // Every directory is tried; the first error is the one to tell.
            result = result.and(tree::remove(node));
        }
        result
    }

    /// Reads all counters. `None` when the group is gone.
    pub fn stats(&self) -> Result<Option<Stats>> {
        if !self.exists() {
            return Ok(None);
        }
        Ok(Some(match self.version {
            Version::V1 | Version::Hybrid => Stats::V1(Box::new(v1::stats(self))),
            Version::V2 => Stats::V2(Box::new(v2::stats(self.get("")?))),
        }))
    }

    /// Watches for running out of memory.
    pub fn oom_watch(&self) -> Result<OomWatch> {
        match self.version {
            Version::V1 | Version::Hybrid => OomWatch::v1(self.get("memory")?),
            Version::V2 => OomWatch::v2(self.get("")?),
        }
    }

    /// Content of a file, in the directory of `controller` in version 1 and in the only one in version 2.
    pub fn read_file(&self, controller: &str, name: &str) -> Result<String> {
        let controller = if self.version == Version::V2 { "" } else { controller };
        self.get(controller)?.read(name)
    }

    /// The directory in the hierarchy that has `controller`; "" is the version 2 tree.
    fn find(&self, controller: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.hierarchy.has(controller))
    }

    fn get(&self, controller: &str) -> Result<&Node> {
        self.find(controller).ok_or_else(|| Error::invalid(format!("no {controller} cgroup on this host")))
    }

    /// The directory whose files limit what `controller` counts.
    fn limiting(&self, controller: &str) -> Result<&Node> {
        let controller = if self.version == Version::V2 { "" } else { controller };
        self.find(controller).ok_or_else(|| Error::NoController(controller.to_owned()))
    }
}

fn is_frozen(version: Version, node: &Node) -> Result<bool> {
    match version {
        Version::V2 => freeze::is_frozen_v2(node),
        Version::V1 | Version::Hybrid if node.hierarchy.has("freezer") => freeze::is_frozen_v1(node),
        Version::V1 | Version::Hybrid => Ok(false),
    }
}

/// A node per hierarchy for a path as `cgroupsPath` has it.
fn nodes_at(host: &'static Host, path: &str) -> Result<Vec<Node>> {
    let cleaned = parse::clean(path);
    if cleaned.is_empty() {
        return Err(Error::invalid(format!("cgroup path {path:?} names no group")));
    }
    if path.starts_with('/') {
        return Ok(host.hierarchies.iter().map(|h| Node::new(h, cleaned.clone())).collect());
    }
    let own = host.paths_of("self")?;
    let own = |hierarchy: &Hierarchy| {
        let (_, path) = own.iter().find(|(h, _)| h.point == hierarchy.point)?;
        Some(path.as_str())
    };
    let node = |hierarchy: &'static Hierarchy| {
        let own = own(hierarchy).unwrap_or_default();
        let start = match host.mode {
            Version::V2 => own.rsplit_once('/').map_or("", |(above, _)| above),
            _ => own,
        };
        Node::new(hierarchy, parse::clean(&format!("{start}/{cleaned}")))
    };
    Ok(host.hierarchies.iter().map(node).collect())
}

#[cfg(test)]
mod tests;
