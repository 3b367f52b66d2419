//! Several directories seen as overlayfs would show them stacked, without mounting anything.
//!
//! A name is looked up from the top layer down: a whiteout ends the search, a directory goes on collecting until an
//! opaque one. Directory paths must be canonical (no symbolic links inside), which the walkers guarantee by descending
//! themselves. Not here: redirected directories and metadata-only copies; [`Layers::lookup`] refuses them.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::xattr;

/// A stack of directories, top first.
pub(crate) struct Layers {
    roots: Vec<(OwnedFd, PathBuf)>,
    whiteouts: bool,
}

/// What stands under a name in a stack.
pub(crate) enum Found {
    /// Nothing, or it is hidden.
    Nothing,
    /// Something that is no directory.
    Leaf(Object),
    /// A directory, and the layers (by position) that it is merged from.
    Directory(Object, Vec<u16>),
}

/// An open (`O_PATH`) file system object.
pub(crate) struct Object {
    pub fd: OwnedFd,
    pub stat: Stat,
}

impl Found {
    /// The object, if there is one.
    pub(crate) fn object(&self) -> Option<&Object> {
        match self {
            Found::Nothing => None,
            Found::Leaf(object) | Found::Directory(object, _) => Some(object),
        }
    }
}

impl Object {
    /// What kind of file it is.
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

/// Opens a directory by path, for use as the root of lookups.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd> {
    fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::io("open directory", path, e))
}

/// Whether this is overlayfs' mark for a deleted name: a character device 0:0.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

impl Layers {
    /// Layers of an overlay, top first.
    pub(crate) fn overlay(roots: &[PathBuf]) -> Result<Layers> {
        Layers::open(roots, true)
    }

    /// One plain directory.
    pub(crate) fn plain(root: &Path) -> Result<Layers> {
        Layers::open(&[root.to_owned()], false)
    }

    fn open(roots: &[PathBuf], whiteouts: bool) -> Result<Layers> {
        let open = |root: &PathBuf| Ok((open_root(root)?, root.clone()));
        Ok(Layers { roots: roots.iter().map(open).collect::<Result<_>>()?, whiteouts })
    }

    /// Whether there is no layer at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// All layers.
    pub(crate) fn all(&self) -> Vec<u16> {
        (0..self.roots.len() as u16).collect()
    }

    /// The root directory of one layer.
    pub(crate) fn root(&self, layer: u16) -> BorrowedFd<'_> {
        self.roots[usize::from(layer)].0.as_fd()
    }

    /// The path of a name in one layer, for messages.
    pub(crate) fn path_of(&self, layer: u16, path: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        self.roots[usize::from(layer)].1.join(std::ffi::OsStr::from_bytes(path))
    }

    /// Looks a path up in the given layers.
    pub(crate) fn lookup(&self, among: &[u16], path: &[u8]) -> Result<Found> {
        let mut top: Option<Object> = None;
        let mut merged = Vec::new();
        for layer in among {
            let Some(object) = self.open_object(*layer, path)? else { continue };
            if self.whiteouts && is_whiteout(&object.stat) {
                break;
            }
            if object.kind() != FileType::Directory {
                if top.is_none() {
                    return Ok(Found::Leaf(object));
                }
                break;
            }
            let opaque = self.whiteouts && self.check_directory(*layer, path, &object)?;
            merged.push(*layer);
            top.get_or_insert(object);
            if opaque {
                break;
            }
        }
        Ok(top.map_or(Found::Nothing, |object| Found::Directory(object, merged)))
    }

    /// Whether the directory hides those below; an error if it stands for one of another name.
    fn check_directory(&self, layer: u16, path: &[u8], object: &Object) -> Result<bool> {
        let fail = |e: io::Error| Error::io("read attributes of", self.path_of(layer, path), e);
        if xattr::get(object.fd.as_fd(), b"", b"trusted.overlay.redirect").map_err(fail)?.is_some() {
            return Err(fail(io::Error::other("redirected overlay directory")));
        }
        xattr::is_opaque(object.fd.as_fd()).map_err(fail)
    }

    /// Opens what one layer itself has under a path.
    pub(crate) fn open_object(&self, layer: u16, path: &[u8]) -> Result<Option<Object>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = if path.is_empty() { &b"."[..] } else { path };
        let fail = |e: Errno| Error::io("look up", self.path_of(layer, path), e);
        let fd = match fs::openat2(self.root(layer), path, flags, Mode::empty(), resolve) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let stat = fs::fstat(&fd).map_err(fail)?;
        Ok(Some(Object { fd, stat }))
    }

    /// The names in a directory of one layer, whiteouts included, sorted.
    pub(crate) fn names_in(&self, layer: u16, path: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
        let fail = |e: Errno| Error::io("read directory", self.path_of(layer, path), e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let name = if path.is_empty() { &b"."[..] } else { path };
        let fd = fs::openat2(self.root(layer), name, flags, Mode::empty(), resolve).map_err(fail)?;
        read_names(fd).map_err(fail)
    }

    /// The names in a merged directory, without those hidden, sorted.
    pub(crate) fn names(&self, layers: &[u16], path: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
        let mut names = BTreeSet::new();
        for layer in layers {
            names.append(&mut self.names_in(*layer, path)?);
        }
        if !self.whiteouts {
            return Ok(names);
        }
        let mut shown = BTreeSet::new();
        for name in names {
            if !matches!(self.lookup(layers, &join(path, &name))?, Found::Nothing) {
                shown.insert(name);
            }
        }
        Ok(shown)
    }
}

/// The names in an open directory without `.` and `..`.
pub(crate) fn read_names(fd: OwnedFd) -> std::result::Result<BTreeSet<Vec<u8>>, Errno> {
    let mut names = BTreeSet::new();
    for entry in fs::Dir::new(fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.insert(name.to_vec());
        }
    }
    Ok(names)
}

/// `dir/name`, or `name` in the root.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}
