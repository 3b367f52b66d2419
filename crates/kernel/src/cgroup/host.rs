//! Where this host's hierarchies are mounted.
//!
//! The usual places are tried first, because reading a long mount table costs more than all the rest: a cgroup2
//! file system at `/sys/fs/cgroup`, or one directory below it for each hierarchy that `/proc/self/cgroup` names. What
//! is not found there is looked up in `/proc/self/mountinfo`.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags};

use super::error::{Error, Result};
use super::parse::{self, MountLine};

/// `f_type` of a version 1 hierarchy (linux/magic.h).
const CGROUP1_MAGIC: u64 = 0x0027_e0eb;
/// `f_type` of the version 2 hierarchy (linux/magic.h).
const CGROUP2_MAGIC: u64 = 0x6367_7270;
/// Where distributions mount them.
const USUAL: &str = "/sys/fs/cgroup";
/// Hierarchies a container joins; others (say `debug`) are left alone.
const KNOWN: [&str; 14] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "name=systemd",
];

/// Whose files hold the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Version 1 hierarchies only.
    V1,
    /// Version 1 hierarchies; the version 2 tree is joined as well but limits nothing.
    Hybrid,
    /// Version 2 only.
    V2,
}

/// One mounted hierarchy.
#[derive(Debug)]
pub(super) struct Hierarchy {
    /// Version 1: its controllers, or `name=…`. Version 2: empty.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub point: PathBuf,
    dir: OwnedFd,
}

impl Hierarchy {
    /// The mount point.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Whether this is the version 2 tree.
    pub fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    /// Whether a version 1 hierarchy has this controller; the version 2 tree is called "".
    pub fn has(&self, controller: &str) -> bool {
        if controller.is_empty() {
            self.is_unified()
        } else {
            self.controllers.iter().any(|c| c == controller)
        }
    }
}

static HOST: OnceLock<Host> = OnceLock::new();

/// The descriptors that this process holds for its host's hierarchies. A forked child that closes what it inherited
/// must keep them, or it can do nothing with control groups.
pub fn held() -> Vec<RawFd> {
    HOST.get().map_or_else(Vec::new, |host| host.hierarchies.iter().map(|h| h.dir.as_raw_fd()).collect())
}

/// All hierarchies of the host, version 1 first.
#[derive(Debug)]
pub(super) struct Host {
    pub hierarchies: Vec<Hierarchy>,
    /// Whose files hold the limits.
    pub mode: Version,
    /// Controllers of the version 2 tree.
    pub unified_controllers: Vec<String>,
}

impl Host {
    /// This host's, found once per process.
    pub fn get() -> Result<&'static Host> {
        if let Some(host) = HOST.get() {
            return Ok(host);
        }
        let found = Self::detect()?;
        Ok(HOST.get_or_init(|| found))
    }

    fn detect() -> Result<Host> {
        if let Some(dir) = open_cgroup(Path::new(USUAL), CGROUP2_MAGIC) {
            return Self::from(vec![Hierarchy { controllers: Vec::new(), point: USUAL.into(), dir }]);
        }
        let own = own_lines()?;
        let usual: Option<Vec<Hierarchy>> = own
            .iter()
            .filter(|line| wanted(&line.controllers))
            .map(|line| open_usual(&line.controllers))
            .collect();
        match usual {
            Some(found) => Self::from(found),
            None => Self::from(open_listed(&mount_lines()?)?),
        }
    }

    fn from(mut hierarchies: Vec<Hierarchy>) -> Result<Host> {
        if hierarchies.is_empty() {
            return Err(Error::Absent);
        }
        hierarchies.sort_by_key(Hierarchy::is_unified);
        let mode = match (hierarchies[0].is_unified(), hierarchies[hierarchies.len() - 1].is_unified()) {
            (true, _) => Version::V2,
            (false, true) => Version::Hybrid,
            (false, false) => Version::V1,
        };
        let unified_controllers = match mode {
            Version::V2 => {
                let dir = hierarchies[0].dir();
                let text = super::file::read(dir, "cgroup.controllers")
                    .map_err(|e| Error::io("read", hierarchies[0].point.join("cgroup.controllers"), e))?;
                text.split_whitespace().map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        Ok(Host { hierarchies, mode, unified_controllers })
    }

    /// The path of a process in each hierarchy, as seen from the mount points; what lies outside of them is left out.
    pub fn paths_of(&self, pid: &str) -> Result<Vec<(&Hierarchy, String)>> {
        let file = format!("/proc/{pid}/cgroup");
        let text = fs::read_to_string(&file).map_err(|e| Error::io("read", file, e))?;
        let lines = parse::own_cgroups(&text);
        let mounts = mount_lines()?;
        let mut paths = Vec::new();
        for hierarchy in &self.hierarchies {
            let line = lines.iter().find(|line| match hierarchy.controllers.first() {
                Some(first) => line.controllers.contains(first),
                None => line.controllers.is_empty(),
            });
            let root = mounts.iter().find(|mount| mount.point == hierarchy.point).map_or("/", |m| &m.root);
            if let Some(path) = line.and_then(|line| below(&line.path, root)) {
                paths.push((hierarchy, path));
            }
        }
        Ok(paths)
    }
}

/// `path` as seen from `root`, without slashes around it.
fn below(path: &str, root: &str) -> Option<String> {
    let rest = path.strip_prefix(root.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/').to_owned())
}

fn wanted(controllers: &[String]) -> bool {
    controllers.is_empty() || controllers.iter().any(|c| KNOWN.contains(&c.as_str()))
}

fn own_lines() -> Result<Vec<parse::OwnLine>> {
    let file = "/proc/self/cgroup";
    let text = fs::read_to_string(file).map_err(|e| Error::io("read", file, e))?;
    Ok(parse::own_cgroups(&text))
}

fn mount_lines() -> Result<Vec<MountLine>> {
    let file = "/proc/self/mountinfo";
    let text = fs::read_to_string(file).map_err(|e| Error::io("read", file, e))?;
    Ok(parse::cgroup_mounts(&text))
}

fn open_usual(controllers: &[String]) -> Option<Hierarchy> {
    let (name, magic) = match controllers.first() {
        None => ("unified".to_owned(), CGROUP2_MAGIC),
        Some(first) => match first.strip_prefix("name=") {
            Some(name) => (name.to_owned(), CGROUP1_MAGIC),
            None => (controllers.join(","), CGROUP1_MAGIC),
        },
    };
    let point = Path::new(USUAL).join(name);
    let dir = open_cgroup(&point, magic)?;
    Some(Hierarchy { controllers: controllers.to_vec(), point, dir })
}

fn open_listed(mounts: &[MountLine]) -> Result<Vec<Hierarchy>> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in mounts.iter().filter(|mount| wanted(&mount.controllers)) {
        if found.iter().any(|old| old.controllers == mount.controllers) {
            continue;
        }
        let dir = open_dir(&mount.point).map_err(|e| Error::io("open", &mount.point, e))?;
        found.push(Hierarchy { controllers: mount.controllers.clone(), point: mount.point.clone(), dir });
    }
    Ok(found)
}

fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn open_cgroup(path: &Path, magic: u64) -> Option<OwnedFd> {
    let dir = open_dir(path).ok()?;
    let kind = rustix::fs::fstatfs(&dir).ok()?.f_type;
    (kind as u64 == magic).then_some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_mount_root() {
        let table = [
            ("/a/b", "/", Some("a/b")),
            ("/", "/", Some("")),
            ("/docker/x", "/docker/x", Some("")),
            ("/docker/x/y", "/docker/x", Some("y")),
            ("/docker/xy", "/docker/x", None),
            ("/other", "/docker/x", None),
        ];
        for (path, root, expected) in table {
            assert_eq!(below(path, root).as_deref(), expected, "{path} from {root}");
        }
    }

    #[test]
    fn the_mount_table_and_the_usual_places_agree() {
        let host = Host::get().unwrap();
        let listed = open_listed(&mount_lines().unwrap()).unwrap();
        assert_eq!(host.hierarchies.len(), listed.len());
        for hierarchy in &host.hierarchies {
            let same = listed.iter().find(|l| l.controllers == hierarchy.controllers).unwrap();
            assert_eq!(same.point, hierarchy.point);
        }
    }
}
