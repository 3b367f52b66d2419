//! Whether overlayfs works on this machine, below this directory.

use kernel::mount::{Detach, Mount, unmount};
use model::{Error, Result};
use std::path::Path;

/// Whether the kernel lets overlay mounts switch the inode index off.
const INDEX: &str = "/sys/module/overlay/parameters/index";

/// Tries what snapshots need: file types in directories, and an overlay mount with two lower directories. Says whether
/// such a mount maps ids, too.
///
/// # Errors
/// What is missing, and what to do.
pub fn probe(root: &Path) -> Result<bool> {
    let typed =
        kernel::file::has_file_types(root).map_err(|e| Error::unknown(e.to_string()).with_source(e))?;
    if !typed {
        return Err(Error::unknown(format!(
            "{} lies on a file system that does not tell file types (d_type): skip plugin; format xfs with ftype=1, or use the native snapshotter",
            root.display()
        )));
    }
    let dir = root.join(format!("probe-{}", std::process::id()));
    let tried = match try_mount(&dir, &["uidmap=0:1:1", "gidmap=0:1:1"]) {
        Ok(()) => Ok(true),
        Err(_) => try_mount(&dir, &[]).map(|()| false),
    };
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(|e| Error::io("remove", &dir, e))?;
    }
    tried.map_err(|e| e.during("overlayfs cannot be used here: skip plugin; use the native snapshotter"))
}

/// What the driver can do on this machine, as clients know it. It changes no owners: ids are mapped by the mount or not
/// at all.
pub fn capabilities(maps_ids: bool) -> Vec<&'static str> {
    let all = [("remap-ids", maps_ids), ("only-remap-ids", true), ("rebase", !in_user_namespace())];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

fn try_mount(dir: &Path, options: &[&str]) -> Result<()> {
    for name in ["lower1", "lower2", "upper", "work", "merged"] {
        let path = dir.join(name);
        std::fs::create_dir_all(&path).map_err(|e| Error::io("mkdir", &path, e))?;
    }
    let text = |name: &str| dir.join(name).display().to_string();
    let directories = [
        format!("lowerdir={}:{}", text("lower2"), text("lower1")),
        format!("upperdir={}", text("upper")),
        format!("workdir={}", text("work")),
    ];
    let mount = Mount {
        kind: "overlay".into(),
        source: "overlay".into(),
        options: options.iter().map(|o| (*o).to_owned()).chain(directories).collect(),
        ..Mount::default()
    };
    let at = dir.join("merged");
    mount
        .mount(&at)
        .and_then(|()| unmount(&at, Detach::Yes))
        .map_err(|e| Error::unknown(e.to_string()).with_source(e))
}

/// The options that this machine needs on every overlay mount, after the configured ones.
pub fn options(configured: &[String]) -> Vec<String> {
    let mut options = configured.to_vec();
    let has = |options: &[String], name: &str| options.iter().any(|o| o == name);
    if in_user_namespace() && !has(&options, "userxattr") {
        options.push("userxattr".into());
    }
    if Path::new(INDEX).exists() && !has(&options, "index") {
        options.push("index=off".into());
    }
    options
}

/// Whether this process' ids are not the machine's own (user_namespaces(7)).
fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"])
}
