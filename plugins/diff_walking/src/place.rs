//! Where the files of a list of mounts are: in a directory that is there, or mounted for a while.

use archive::apply::Target;
use archive::diff::Source;
use kernel::mount::{self, Detach, mount_all, unmount_recursive};
use model::{Error, Mount, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Hands the place to write a layer to: the upper directory of a single overlay, the source of a single bind mount,
/// else a temporary mount.
pub fn fill<T>(temporary: &Path, mounts: &[Mount], work: impl FnOnce(&Target) -> Result<T>) -> Result<T> {
    if let [only] = mounts {
        if let Some(overlay) = Overlay::of(only)
            && let Some(upper) = overlay.upper
        {
            return work(&Target::Upper { upper, lowers: overlay.lowers });
        }
        if let Some(directory) = bound(only) {
            if only.is_read_only() {
                return Err(Error::invalid(format!(
                    "apply a layer to {}: the mount is read-only",
                    only.source
                )));
            }
            return work(&Target::Directory(directory));
        }
    }
    mounted(temporary, mounts, |at| work(&Target::Directory(at.to_owned())))
}

/// Hands the two trees to compare. An overlay on just the lower tree is read without mounting anything.
pub fn look<T>(
    temporary: &Path,
    lower: &[Mount],
    upper: &[Mount],
    work: impl FnOnce(&Source) -> Result<T>,
) -> Result<T> {
    if let [only] = upper
        && let Some(Overlay { upper: Some(directory), lowers }) = Overlay::of(only)
        && says_all(only)
        && shown(lower).is_some_and(|below| below == lowers)
    {
        return work(&Source::Upper { upper: directory, lowers });
    }
    see(temporary, lower, |lower| {
        let lower = lower.map(Path::to_owned);
        see(temporary, upper, |upper| match upper {
            Some(upper) => work(&Source::Trees { lower, upper: upper.to_owned() }),
            None => mounted(temporary, &[], |empty| work(&Source::Trees { lower, upper: empty.to_owned() })),
        })
    })
}

/// The directory of a target.
pub fn directory(target: &Target) -> &Path {
    match target {
        Target::Directory(path) | Target::Upper { upper: path, .. } => path,
    }
}

/// An overlay mount's directories.
struct Overlay {
    upper: Option<PathBuf>,
    lowers: Vec<PathBuf>,
}

impl Overlay {
    fn of(mount: &Mount) -> Option<Self> {
        if mount.kind != "overlay"
            || !mount.target.is_empty()
            || mount.options.iter().any(|o| o.starts_with("uidmap="))
        {
            return None;
        }
        // Another user's overlay has other marks than those we write and read.
        if mount.options.iter().any(|o| o == "userxattr") {
            return None;
        }
        let value = |key: &str| mount.options.iter().find_map(|o| o.strip_prefix(key));
        let lowers =
            value("lowerdir=").map(|l| l.split(':').map(PathBuf::from).collect()).unwrap_or_default();
        Some(Self { upper: value("upperdir=").map(PathBuf::from), lowers })
    }
}

/// Whether an overlay's upper directory says all that is in it: no directory stands for one of another name, no file
/// has its bytes in a lower layer.
fn says_all(overlay: &Mount) -> bool {
    ["redirect_dir", "metacopy"].iter().all(|feature| {
        let asked = overlay.options.iter().rev().find_map(|o| o.strip_prefix(feature)?.strip_prefix('='));
        match asked {
            Some(asked) => asked == "off",
            None => std::fs::read_to_string(format!("/sys/module/overlay/parameters/{feature}"))
                .is_ok_and(|value| value.trim() == "N"),
        }
    })
}

/// The mounts to look at the same files without being able to change them. An overlay's upper directory, which may be
/// in use elsewhere, becomes its nearest lower one.
fn read_only(mounts: &[Mount]) -> Vec<Mount> {
    let mut mounts = mounts.to_vec();
    let Some(last) = mounts.last_mut() else { return mounts };
    if last.kind == "overlay" {
        let upper = last.options.iter().find_map(|o| o.strip_prefix("upperdir=").map(str::to_owned));
        if let Some(upper) = upper {
            let own = ["upperdir=", "workdir=", "uidmap=", "gidmap="];
            last.options.retain(|o| !own.iter().any(|key| o.starts_with(key)));
            for option in &mut last.options {
                if let Some(lowers) = option.strip_prefix("lowerdir=") {
                    *option = format!("lowerdir={upper}:{lowers}");
                }
            }
        }
    }
    last.options.retain(|o| o != "rw" && o != "ro");
    last.options.push("ro".into());
    mounts
}

/// The directory that a bind mount shows.
fn bound(mount: &Mount) -> Option<PathBuf> {
    let plain = mount.target.is_empty() && !mount.options.iter().any(|o| o.starts_with("uidmap="));
    (mount.kind == "bind" && plain).then(|| mount.source.clone().into())
}

/// The directories of which a read-only list of mounts consists, nearest first.
fn shown(mounts: &[Mount]) -> Option<Vec<PathBuf>> {
    let [only] = mounts else { return None };
    if let Some(directory) = bound(only) {
        return Some(vec![directory]);
    }
    Overlay::of(only).filter(|o| o.upper.is_none()).map(|o| o.lowers)
}

fn see<T>(temporary: &Path, mounts: &[Mount], work: impl FnOnce(Option<&Path>) -> Result<T>) -> Result<T> {
    match mounts {
        [] => work(None),
        [only] if bound(only).is_some() => work(bound(only).as_deref()),
        _ => mounted(temporary, &read_only(mounts), |at| work(Some(at))),
    }
}

/// Mounts for as long as `work` takes.
fn mounted<T>(temporary: &Path, mounts: &[Mount], work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("diff-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let at = temporary.join(name);
    std::fs::create_dir_all(&at).map_err(|e| Error::io("mkdir", &at, e))?;
    let mounts: Vec<mount::Mount> = mounts.iter().map(converted).collect();
    let worked = mount_all(&mounts, &at).map_err(system).and_then(|()| {
        let worked = work(&at);
        let unmounted = unmount_recursive(&at, Detach::Yes).map_err(system);
        match (worked, unmounted) {
            (Err(first), Err(second)) => Err(first.beside(second)),
            (worked, unmounted) => unmounted.and(worked),
        }
    });
    match std::fs::remove_dir(&at).map_err(|e| Error::io("remove", &at, e)) {
        Err(second) if worked.is_err() => worked.map_err(|first| first.beside(second)),
        removed => removed.and(worked),
    }
}

/// A mount for a while: its writes must not be lost, whatever its owner thinks of them.
fn converted(mount: &Mount) -> mount::Mount {
    let volatile = |option: &str| matches!(option, "volatile" | "fsync=volatile");
    mount::Mount {
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        options: mount.options.iter().filter(|o| !volatile(o)).cloned().collect(),
    }
}

/// A failed system call.
pub fn system(error: kernel::KernelError) -> Error {
    Error::unknown(error.to_string()).with_source(error)
}
