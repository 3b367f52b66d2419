//! Copying a tree with owners, modes, times, extended attributes, hard links and device nodes.

use kernel::file::{self, FileTime};
use model::{Error, Result};
use std::collections::HashMap;
use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

/// A copy on its way: where each file with several names was copied to first.
#[derive(Default)]
struct Copy {
    links: HashMap<(u64, u64), PathBuf>,
}

/// Copies everything below `from` into the directory `to`, which is there and gets the same extended attributes. Sockets
/// are left out.
///
/// # Errors
/// The path and the step that failed.
pub fn tree(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Copy::default();
    xattrs(from, to)?;
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = waiting.pop() {
        for entry in fs::read_dir(&from).map_err(|e| Error::io("read", &from, e))? {
            let entry = entry.map_err(|e| Error::io("read", &from, e))?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let metadata = source.symlink_metadata().map_err(|e| Error::io("stat", &source, e))?;
            copy.entry(&source, &target, &metadata)?;
            if metadata.is_dir() {
                waiting.push((source, target));
            }
        }
    }
    Ok(())
}

impl Copy {
    fn entry(&mut self, source: &Path, target: &Path, metadata: &Metadata) -> Result<()> {
        // Nobody answers at the copy of a socket.
        if metadata.file_type().is_socket() {
            return Ok(());
        }
        if !metadata.is_dir() && metadata.nlink() > 1 {
            let first =
                self.links.entry((metadata.dev(), metadata.ino())).or_insert_with(|| target.to_owned());
            if *first != target {
                return fs::hard_link(&*first, target).map_err(|e| Error::io("link", target, e));
            }
        }
        make(source, target, metadata)?;
        attributes(source, target, metadata)
    }
}

fn make(source: &Path, target: &Path, metadata: &Metadata) -> Result<()> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        return fs::create_dir(target).map_err(|e| Error::io("mkdir", target, e));
    }
    if kind.is_symlink() {
        let to = fs::read_link(source).map_err(|e| Error::io("readlink", source, e))?;
        return symlink(to, target).map_err(|e| Error::io("symlink", target, e));
    }
    if kind.is_file() {
        let from = File::open(source).map_err(|e| Error::io("open", source, e))?;
        let to = File::create_new(target).map_err(|e| Error::io("create", target, e))?;
        return file::copy_contents(&from, &to).map(drop).map_err(system);
    }
    let device = metadata.rdev();
    file::make_node(target, metadata.mode(), major(device), minor(device)).map_err(system)
}

fn attributes(source: &Path, target: &Path, metadata: &Metadata) -> Result<()> {
    lchown(target, Some(metadata.uid()), Some(metadata.gid())).map_err(|e| Error::io("chown", target, e))?;
    if !metadata.is_symlink() {
        let mode = Permissions::from_mode(metadata.mode() & 0o7777);
        fs::set_permissions(target, mode).map_err(|e| Error::io("chmod", target, e))?;
    }
    xattrs(source, target)?;
    if metadata.is_dir() {
        return Ok(());
    }
    let time = |seconds, nanos: i64| FileTime { seconds, nanoseconds: nanos as u32 };
    let access = time(metadata.atime(), metadata.atime_nsec());
    let modification = time(metadata.mtime(), metadata.mtime_nsec());
    file::set_times(target, access, modification).map_err(system)
}

fn xattrs(source: &Path, target: &Path) -> Result<()> {
    for name in file::list_xattrs(source).map_err(system)? {
        if let Some(value) = file::get_xattr(source, &name).map_err(system)? {
            file::set_xattr(target, &name, &value).map_err(system)?;
        }
    }
    Ok(())
}

/// The numbers of a device as Linux packs them into 64 bits (makedev(3)).
fn major(device: u64) -> u32 {
    (((device >> 8) & 0xfff) | ((device >> 32) & !0xfff)) as u32
}

fn minor(device: u64) -> u32 {
    ((device & 0xff) | ((device >> 12) & !0xff)) as u32
}

fn system(error: kernel::KernelError) -> Error {
    Error::unknown(error.to_string()).with_source(error)
}
