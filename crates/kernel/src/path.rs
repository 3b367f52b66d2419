//! Paths inside a directory that somebody else filled: nothing resolves to a place outside.
//!
//! Every lookup is one `openat2` with `RESOLVE_IN_ROOT`, so symbolic links, also absolute ones and `..`, stay below
//! the root and magic links of procfs are refused. There is no window between a check and a use.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::Context;
use crate::{KernelError, Result};

/// How many dangling links one path may go through.
const MOST_LINKS: u32 = 40;

/// A directory that lookups cannot leave.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Opens a directory.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { directory: rustix::fs::open(path, flags, Mode::empty()).during("open", path)? })
    }

    /// Takes an open directory.
    pub fn new(directory: OwnedFd) -> Self {
        Self { directory }
    }

    /// Opens what is at `path`; symbolic links are followed unless `flags` has `NOFOLLOW`.
    pub fn open_at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        self.open2(path, flags, Mode::empty()).during("open", path)
    }

    /// Opens what is at `path` only for use as a place (`O_PATH`); `None` when nothing is there.
    pub fn find(&self, path: &Path) -> Result<Option<OwnedFd>> {
        match self.open2(path, OFlags::PATH, Mode::empty()) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno).during("open", path),
        }
    }

    /// Opens the directory at `path`, making it and its parents where missing.
    pub fn make_directories(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.open2(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return other.during("mkdir", path),
        }
        if let Some(made) = self.make_last(path, mode) {
            return Ok(made);
        }
        let mut todo: Vec<OsString> = components(path);
        let mut done = PathBuf::from(".");
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let next = done.join(&name);
            match self.open2(&next, flags, Mode::empty()) {
                Ok(_) => done = next,
                Err(Errno::NOENT) => match self.make_one(&done, &name, mode).during("mkdir", path)? {
                    None => done = next,
                    Some(link) if links < MOST_LINKS => {
                        links += 1;
                        if link.is_absolute() {
                            done = PathBuf::from(".");
                        }
                        todo.extend(components(&link));
                    }
                    Some(_) => return Err(Errno::LOOP).during("mkdir", path),
                },
                Err(errno) => return Err(errno).during("mkdir", path),
            }
        }
        self.open2(&done, flags, Mode::empty()).during("mkdir", path)
    }

    /// The frequent case: only the last directory of the path is missing.
    fn make_last(&self, path: &Path, mode: u32) -> Option<OwnedFd> {
        let (parent, name) = (path.parent()?, path.file_name()?);
        let parent = self.open2(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).ok()?;
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)).ok()?;
        self.open2(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).ok()
    }

    /// Makes directory `name` below `parent`; when a dangling link is there, its target is returned instead.
    fn make_one(&self, parent: &Path, name: &OsString, mode: u32) -> rustix::io::Result<Option<PathBuf>> {
        let parent = self.open2(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
            Ok(()) => Ok(None),
            Err(Errno::EXIST) => {
                let target = rustix::fs::readlinkat(&parent, name, Vec::new())?;
                Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes()))))
            }
            Err(errno) => Err(errno),
        }
    }

    /// Opens (`O_PATH`) the file at `path`, making an empty one and its parents where missing.
    pub fn make_file(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        match self.open2(path, OFlags::PATH, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return other.during("open", path),
        }
        if let Some(parent) = path.parent() {
            self.make_directories(parent, 0o755)?;
        }
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        drop(self.open2(path, flags, Mode::from_raw_mode(mode)).during("create", path)?);
        self.open2(path, OFlags::PATH, Mode::empty()).during("open", path)
    }

    /// openat2 with the restrictions of the root; tried again while somebody renames things on the way.
    fn open2(&self, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        for _ in 0..1000 {
            match rustix::fs::openat2(&self.directory, path, flags | OFlags::CLOEXEC, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The path without `.`, with `..` taken back by words alone, always absolute: `/a/../b/.` is `/b`.
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The path of an open descriptor below `/proc/self/fd`, for calls that take only paths.
pub fn descriptor_path(fd: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Where an open descriptor lies, as the kernel tells it.
pub fn location(fd: impl AsFd) -> Result<PathBuf> {
    let link = descriptor_path(fd);
    let target = rustix::fs::readlink(&link, Vec::new())
        .map_err(|errno| KernelError::new("readlink", link.clone(), errno))?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// The names of a path, last first, with `..` kept for the kernel to resolve.
fn components(path: &Path) -> Vec<OsString> {
    let named = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(OsString::from_vec(name.as_bytes().to_vec())),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    let mut names: Vec<OsString> = named.collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("root");
        std::fs::create_dir(&inside).unwrap();
        let root = Root::open(&inside).unwrap();
        (directory, root)
    }

    #[test]
    fn links_stay_inside() {
        let (directory, root) = root();
        let inside = directory.path().join("root");
        std::fs::create_dir(directory.path().join("outside")).unwrap();
        symlink(directory.path().join("outside"), inside.join("absolute")).unwrap();
        symlink("../../../outside", inside.join("relative")).unwrap();
        symlink("/loop", inside.join("loop")).unwrap();
        root.make_directories(Path::new("/absolute/x"), 0o755).unwrap();
        root.make_directories(Path::new("relative/y"), 0o755).unwrap();
        root.make_file(Path::new("/absolute/z/file"), 0o644).unwrap();
        assert_eq!(std::fs::read_dir(directory.path().join("outside")).unwrap().count(), 0);
        assert!(inside.join("outside/y").is_dir());
        let error = root.make_directories(Path::new("/loop/a"), 0o755).unwrap_err();
        assert_eq!(error.errno(), Errno::LOOP);
    }

    #[test]
    fn dangling_links_are_made_where_they_point_inside() {
        let (directory, root) = root();
        let inside = directory.path().join("root");
        symlink("/var/run", inside.join("run")).unwrap();
        root.make_directories(Path::new("/run/deep"), 0o755).unwrap();
        assert!(inside.join("var/run/deep").is_dir());
        symlink("var/new", inside.join("file")).unwrap();
        root.make_file(Path::new("/file"), 0o644).unwrap();
        assert!(inside.join("var/new").is_file());
    }

    #[test]
    fn magic_links_are_refused() {
        let root = Root::open(Path::new("/")).unwrap();
        assert!(root.open_at(Path::new("/proc/self/fd/0"), OFlags::PATH).is_err());
    }

    #[test]
    fn cleaning() {
        for (path, expected) in [("/a/../b/.", "/b"), ("../x", "/x"), ("", "/"), ("/a//b/", "/a/b")] {
            assert_eq!(clean(Path::new(path)), Path::new(expected));
        }
    }
}
