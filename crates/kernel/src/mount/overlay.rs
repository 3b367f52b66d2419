//! Overlay mounts with more layers than one page of options names, and with shifted ids.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::attributes::{Attributes, IDMAP, RDONLY, set_attributes};
use super::options::IdMapping;
use super::{Mount, Options, Reach, detach_copy, idmap, mount_with_options, page_size};
use crate::error::Context;
use crate::process::is_single_threaded;
use crate::{KernelError, Result};

/// Room the kernel needs beside the options in their page.
const MARGIN: usize = 512;

/// Mounts an overlay.
pub(super) fn mount_overlay(mount: &Mount, mut options: Options, at: &Path) -> Result<()> {
    let Some(mapping) = options.id_mapping.take() else { return mount_plain(mount, &options, at) };
    let temporary = idmapped_layers(&mut options, &mapping)?;
    let mounted = mount_plain(mount, &options, at);
    // The overlay holds copies of the mounts of its layers, so these are no longer needed.
    let cleaned = super::unmount(&temporary, super::unmount::Detach::Yes);
    let removed = std::fs::remove_dir(&temporary);
    mounted?;
    cleaned?;
    removed.map_err(|error| KernelError::from_io("remove", &temporary, &error))
}

fn mount_plain(mount: &Mount, options: &Options, at: &Path) -> Result<()> {
    let length: usize = options.data.iter().map(|word| word.len() + 1).sum();
    if length < page_size() - MARGIN {
        return mount_with_options(&mount.source, at, &mount.kind, options);
    }
    match shortened(&options.data) {
        Some((directory, data)) => {
            let options = Options { data, ..options.clone() };
            mount_inside(&directory, mount, &options, at)
        }
        None => mount_with_options(&mount.source, at, &mount.kind, options),
    }
}

/// Mounts with `directory` as the working directory: for a moment where there is one thread, in a thread of its own
/// where there are others. The former leaves a process as it was, which may clone itself next: the kernel counts a
/// joined thread a while longer.
fn mount_inside(directory: &Path, mount: &Mount, options: &Options, at: &Path) -> Result<()> {
    let at = std::path::absolute(at).map_err(|error| KernelError::from_io("find", at, &error))?;
    let work = || {
        rustix::process::chdir(directory).during("chdir", directory)?;
        mount_with_options(&mount.source, &at, &mount.kind, options)
    };
    if is_single_threaded() {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let before = rustix::fs::open(".", flags, Mode::empty()).during("open", ".")?;
        let mounted = work();
        let back = rustix::process::fchdir(before).during("chdir", "");
        return mounted.and(back);
    }
    let apart = || {
        // SAFETY: CLONE_FS gives this thread a working directory of its own and touches no descriptors or memory.
        crate::error::check(unsafe { libc::unshare(libc::CLONE_FS) }.into()).during("unshare", "")?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(1 << 18).spawn_scoped(scope, apart);
        let thread = thread.map_err(|error| KernelError::from_io("spawn thread", &at, &error))?;
        thread
            .join()
            .unwrap_or_else(|_| Err(KernelError::new("mount overlay on", at.to_string_lossy(), Errno::IO)))
    })
}

/// The parent that all lower directories share, and the options with lower directories relative to it.
fn shortened(data: &[String]) -> Option<(PathBuf, Vec<String>)> {
    let lower = data.iter().find_map(|word| word.strip_prefix("lowerdir="))?;
    let directories: Vec<&str> = lower.split(':').collect();
    let parent = shared_parent(&directories)?;
    let relative: Option<Vec<&str>> = directories
        .iter()
        .map(|directory| {
            Path::new(directory).strip_prefix(&parent).ok()?.to_str().filter(|rest| !rest.is_empty())
        })
        .collect();
    let relative = format!("lowerdir={}", relative?.join(":"));
    let data =
        data.iter().map(|word| if word.starts_with("lowerdir=") { relative.clone() } else { word.clone() });
    Some((parent, data.collect()))
}

/// The deepest directory that holds all of the given absolute ones.
fn shared_parent(directories: &[&str]) -> Option<PathBuf> {
    let mut parent = Path::new(directories.first()?).parent()?.to_path_buf();
    for directory in directories {
        while !Path::new(directory).starts_with(&parent) || Path::new(directory) == parent {
            if !parent.pop() {
                return None;
            }
        }
    }
    (parent.is_absolute() && parent != Path::new("/")).then_some(parent)
}

/// Puts an idmapped read-only copy of the lower directories' parent on a temporary directory and points the options
/// there. Returns that directory.
fn idmapped_layers(options: &mut Options, mapping: &IdMapping) -> Result<PathBuf> {
    let invalid = || KernelError::new("idmap overlay", options.data.join(","), Errno::INVAL);
    let lower = options.data.iter().find_map(|word| word.strip_prefix("lowerdir=")).ok_or_else(invalid)?;
    let directories: Vec<&str> = lower.split(':').collect();
    let parent = shared_parent(&directories).ok_or_else(invalid)?;
    let users = idmap::namespace(mapping)?;
    let tree = detach_copy(&parent, Reach::One)?;
    let attributes =
        Attributes { set: IDMAP | RDONLY, user_namespace: Some(users.as_fd()), ..Attributes::default() };
    set_attributes(&tree, &attributes)?;
    let temporary = temporary_directory()?;
    if let Err(error) = idmap::put(&tree, &temporary) {
        let _ = std::fs::remove_dir(&temporary);
        return Err(error);
    }
    let moved: Vec<String> = directories
        .iter()
        .map(|directory| {
            let rest = Path::new(directory).strip_prefix(&parent).unwrap_or(Path::new(directory));
            temporary.join(rest).to_string_lossy().into_owned()
        })
        .collect();
    for word in &mut options.data {
        if word.starts_with("lowerdir=") {
            *word = format!("lowerdir={}", moved.join(":"));
        }
    }
    Ok(temporary)
}

/// A new empty directory among the temporary ones.
fn temporary_directory() -> Result<PathBuf> {
    let parent = std::env::temp_dir();
    for number in 0..10_000_u32 {
        let path = parent.join(format!("ovl-idmapped{}-{number}", std::process::id()));
        match rustix::fs::mkdir(&path, rustix::fs::Mode::RWXU) {
            Err(Errno::EXIST) => {}
            other => return other.map(|()| path.clone()).during("mkdir", &path),
        }
    }
    Err(KernelError::new("mkdir", parent.to_string_lossy(), Errno::EXIST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_directories_become_relative() {
        let data = vec!["index=off".to_owned(), "lowerdir=/s/snapshots/12/fs:/s/snapshots/3/fs".to_owned()];
        let (parent, short) = shortened(&data).unwrap();
        assert_eq!(parent, Path::new("/s/snapshots"));
        assert_eq!(short, ["index=off", "lowerdir=12/fs:3/fs"]);
        assert_eq!(shared_parent(&["/a/x", "/b/x"]), None);
        assert_eq!(shared_parent(&["/a/b", "/a/b/c"]), Some(PathBuf::from("/a")));
    }
}
