//! What a container may leave behind, counted: mounts, cgroups, network namespaces, processes, sockets and their files,
//! bundles, snapshots, blobs.
//!
//! A census is a set of lines, so that a difference names the thing that was left and not only its number.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of our programs and of those the tests run beside them.
const OURS: [&str; 8] =
    ["gantryd", "gantry", "gantry-shim", "gantry-oci", "containerd", "containerd-shim", "runc", "ctr"];

/// Where bundles and work directories lie, in the daemon's state and in its root.
const TASKS: &str = "io.containerd.runtime.v2.task";

/// Everything counted at one moment, each thing as one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// `kind name` lines.
    pub things: BTreeSet<String>,
}

impl Census {
    /// The whole machine: all mounts, all cgroups, all network namespaces with a name, our processes, and the
    /// sockets and state under `/run/containerd`.
    pub fn of_machine() -> Self {
        let mut census = Self::default();
        census.mounts(|_| true);
        for root in cgroup_roots() {
            census.directories("cgroup", &root, usize::MAX);
        }
        census.directories("netns", Path::new("/run/netns"), 1);
        census.directories("netns", Path::new("/var/run/netns"), 1);
        for process in processes() {
            if OURS.iter().any(|name| process.is(name)) {
                census.add("process", &format!("{} {}", process.pid, process.command));
            }
        }
        census.sockets(|path| path.contains("containerd") || path.contains("gantry"));
        // Not `/run/containerd/fifo`: what lies there is the clients', and the real `ctr` leaves some behind.
        census.directories("state", Path::new("/run/containerd/runc"), 2);
        census.files("state", Path::new("/run/containerd/s"));
        census
    }

    /// One daemon: everything under its directory and under the cgroups of its namespace.
    pub fn of_daemon(dir: &Path, namespaces: &[String]) -> Self {
        let mut census = Self::default();
        // With its end: the name may be the beginning of another's.
        let text = format!("{}/", dir.display());
        census.mounts(|line| line.contains(&text));
        for path in namespaces.iter().flat_map(|ns| cgroups_of(ns)) {
            census.add("cgroup", &path.to_string_lossy());
        }
        let client = |p: &Process| p.is("ctr") || p.is("gantry");
        for process in processes().filter(|p| p.command.contains(&text) && !client(p)) {
            census.add("process", &format!("{} {}", process.pid, process.command));
        }
        census.sockets(|path| path.contains(&text));
        census.files("socketfile", &dir.join("s"));
        for namespace in namespaces {
            census.directories("bundle", &dir.join("state").join(TASKS).join(namespace), 1);
            census.directories("work", &dir.join("root").join(TASKS).join(namespace), 1);
        }
        let root = |path: &str| dir.join("root").join(path);
        census.directories("snapshot", &root("io.containerd.snapshotter.v1.overlayfs/snapshots"), 1);
        census.directories("snapshot", &root("io.containerd.snapshotter.v1.native/snapshots"), 1);
        census.files("blob", &root("io.containerd.content.v1.content/blobs/sha256"));
        census.directories("ingest", &root("io.containerd.content.v1.content/ingest"), 1);
        census.directories("temporary", &root("tmpmounts"), 1);
        for namespace in namespaces {
            census.directories("runtime", &Path::new("/run/containerd/runc").join(namespace), 1);
        }
        census
    }

    /// How many things of one kind there are.
    pub fn count(&self, kind: &str) -> usize {
        let prefix = format!("{kind} ");
        self.things.iter().filter(|t| t.starts_with(&prefix)).count()
    }

    /// What is here and was not in `before`.
    pub fn grown_since<'a>(&'a self, before: &'a Self) -> Vec<&'a str> {
        self.things.difference(&before.things).map(String::as_str).collect()
    }

    fn add(&mut self, kind: &str, name: &str) {
        self.things.insert(format!("{kind} {name}"));
    }

    fn mounts(&mut self, wanted: impl Fn(&str) -> bool) {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        for line in text.lines().filter(|l| wanted(l)) {
            let path = line.split(' ').nth(4).unwrap_or(line);
            // Mounts may lie upon each other.
            let mut number = 1;
            while !self.things.insert(match number {
                1 => format!("mount {path}"),
                _ => format!("mount {path} ({number})"),
            }) {
                number += 1;
            }
        }
    }

    fn directories(&mut self, kind: &str, root: &Path, depth: usize) {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let Ok(file_type) = entry.file_type() else { continue };
            let path = entry.path();
            if file_type.is_dir() {
                self.add(kind, &path.to_string_lossy());
                if depth > 1 {
                    self.directories(kind, &path, depth - 1);
                }
            } else if kind == "netns" {
                self.add(kind, &path.to_string_lossy());
            }
        }
    }

    fn files(&mut self, kind: &str, root: &Path) {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            self.add(kind, &entry.path().to_string_lossy());
        }
    }

    /// Sockets that somebody listens on.
    fn sockets(&mut self, wanted: impl Fn(&str) -> bool) {
        let text = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [_, _, _, flags, _, _, _, path] = words[..]
                && flags == "00010000"
                && wanted(path)
            {
                self.add("socket", path);
            }
        }
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: BTreeSet<&str> = self.things.iter().filter_map(|t| t.split(' ').next()).collect();
        let counts: Vec<String> = kinds.into_iter().map(|k| format!("{k} {}", self.count(k))).collect();
        write!(f, "{}", counts.join(", "))
    }
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its command line, words joined by blanks.
    pub command: String,
}

impl Process {
    /// Whether its program's file name is `name`.
    pub fn is(&self, name: &str) -> bool {
        let program = self.command.split(' ').next().unwrap_or_default();
        program.rsplit('/').next() == Some(name)
    }
}

/// All processes that have a command line (kernel threads and zombies have none).
pub fn processes() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let bytes = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned();
        (!command.is_empty()).then_some(Process { pid, command })
    })
}

/// Whether a thing may be on its way out when gantryd has answered: it hides a directory before it removes what lies in
/// it, and a shim that has hung up, or a child that lets go of a file system for it, still has to end.
pub fn in_motion(thing: &str) -> bool {
    let hidden = || thing.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
    thing.starts_with("process ")
        || (["bundle ", "work "].iter().any(|kind| thing.starts_with(kind)) && hidden())
}

/// The parent of a process.
pub fn parent_of(pid: i32) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `<pid> (<name>) <state> <parent> …`; a name may hold blanks.
    text.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
}

/// The mount points of every cgroup hierarchy.
pub fn cgroup_roots() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut roots: Vec<PathBuf> = text
        .lines()
        .filter(|l| l.contains(" - cgroup ") || l.contains(" - cgroup2 "))
        .filter_map(|l| l.split(' ').nth(4).map(PathBuf::from))
        .collect();
    roots.sort();
    roots.dedup();
    roots
}

/// The cgroups of the containers of one namespace, `<root>/<namespace>/<container>`, in every hierarchy.
pub fn cgroups_of(namespace: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in cgroup_roots() {
        for entry in fs::read_dir(root.join(namespace)).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                found.push(entry.path());
            }
        }
    }
    found
}

/// The pids in one cgroup.
pub fn pids_in(cgroup: &Path) -> Vec<i32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|l| l.parse().ok()).collect()
}
