//! Finds the directory of an entry, safely and with few system calls.
//!
//! A [`Walk`] stands in one directory of the target and holds a descriptor for each component on the way to it. Going to
//! another directory keeps what both paths share. Each step opens one component without following links; a symbolic link is
//! read and its target walked, `..` goes back on the stack, an absolute target starts at the root of the target. So no name
//! and no link leads outside. In an overlay's upper directory, links and directories of the layers below count, too.
//!
//! Not here: protection against someone who moves directories about while we work.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::seen::Seen;
use super::{LONGEST_PATH, as_path, attributes};
use crate::error::{Error, Result};
use crate::merged::{self, Found, Layers};
use crate::tar::Time;
use crate::xattr;

/// Links followed for one name before giving up.
const MOST_LINKS: usize = 255;
/// Descriptors a walk keeps open.
const MOST_OPEN: usize = 64;

/// The target.
pub(super) struct Tree {
    pub root: OwnedFd,
    pub path: PathBuf,
    /// The layers below, if the target is an overlay's upper directory.
    pub lowers: Option<Layers>,
    pub umask: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What to do about directories that are not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make them.
    Create,
    /// Make those that a lower layer has.
    CopyUp,
    /// Stop; stop at links, too.
    Stop,
}

/// A place in the target.
#[derive(Default)]
pub(super) struct Walk {
    /// The canonical path of the present directory: no links, no slash at either end.
    path: Vec<u8>,
    levels: Vec<Level>,
    /// The name by which we came here last.
    literal: Vec<u8>,
    literal_holds: bool,
    /// Directories made with the attributes of a lower one; their times are due at the end.
    pub copied: Vec<(Vec<u8>, Time, Time)>,
}

struct Level {
    /// Length of the canonical path down to here.
    end: usize,
    /// Open unless the walk is very deep; always open at the top.
    fd: Option<OwnedFd>,
    /// The lower layers that this directory is merged from, once asked for.
    lowers: Option<Vec<u16>>,
    /// The directory is among the seen names already.
    marked: bool,
    /// New files take this directory's group, once asked for.
    setgid: Option<bool>,
}

enum Step {
    Entered,
    Link(Vec<u8>),
    Missing,
}

impl Walk {
    /// Goes to a directory (a cleaned name); returns whether it is there.
    pub(super) fn enter(&mut self, tree: &Tree, literal: &[u8], missing: Missing) -> Result<bool> {
        if self.literal_holds && self.literal == literal {
            return Ok(true);
        }
        self.literal_holds = false;
        let mut rest = self.keep_shared(tree, literal)?;
        let mut target;
        let mut links = 0;
        while let Some((word, tail)) = next_word(rest) {
            match word {
                b"." => rest = tail,
                b".." => {
                    self.truncate(tree, self.levels.len().saturating_sub(1))?;
                    rest = tail;
                }
                word => match self.descend(tree, word, missing)? {
                    Step::Entered => rest = tail,
                    Step::Missing => return Ok(false),
                    Step::Link(link) => {
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(Error::io("resolve", tree.path.join(as_path(literal)), Errno::LOOP));
                        }
                        if link.starts_with(b"/") {
                            self.truncate(tree, 0)?;
                        }
                        target = [&link, &b"/"[..], tail].concat();
                        rest = &target;
                    }
                },
            }
        }
        self.literal.clear();
        self.literal.extend_from_slice(literal);
        self.literal_holds = true;
        Ok(true)
    }

    /// The present directory.
    pub(super) fn dir<'a>(&'a self, tree: &'a Tree) -> BorrowedFd<'a> {
        self.levels.last().and_then(|l| l.fd.as_ref()).unwrap_or(&tree.root).as_fd()
    }

    /// Whether the present directory is the target itself.
    pub(super) fn is_root(&self) -> bool {
        self.levels.is_empty()
    }

    /// The canonical path of a name in the present directory.
    pub(super) fn join(&self, last: &[u8]) -> Vec<u8> {
        merged::join(&self.path, last)
    }

    /// The canonical path of the present directory.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The full path of a name, for messages.
    pub(super) fn shown(&self, tree: &Tree, last: &[u8]) -> PathBuf {
        tree.path.join(as_path(&self.join(last)))
    }

    /// Adds a name in the present directory, and the directories above, to the seen ones.
    pub(super) fn mark(&mut self, last: &[u8], seen: &mut Seen) {
        for level in self.levels.iter_mut().rev().take_while(|l| !l.marked) {
            seen.insert(&self.path[..level.end]);
            level.marked = true;
        }
        let len = self.path.len();
        if len > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(last);
        seen.insert(&self.path);
        self.path.truncate(len);
    }

    /// Whether new files here take the directory's group.
    pub(super) fn is_setgid(&mut self, tree: &Tree) -> Result<bool> {
        if let Some(known) = self.levels.last().and_then(|l| l.setgid) {
            return Ok(known);
        }
        let stat = fs::fstat(self.dir(tree)).map_err(|e| Error::io("stat", self.shown(tree, b""), e))?;
        let setgid = stat.st_mode & Mode::SGID.as_raw_mode() != 0;
        if let Some(level) = self.levels.last_mut() {
            level.setgid = Some(setgid);
        }
        Ok(setgid)
    }

    /// Forgets what is no longer so: something was removed at this canonical path, or marked as hiding those below.
    pub(super) fn forget(&mut self, tree: &Tree, path: &[u8]) -> Result<()> {
        self.literal_holds = false;
        for level in &mut self.levels {
            (level.lowers, level.setgid) = (None, None);
        }
        let inside = self.path.starts_with(path) && matches!(self.path.get(path.len()), None | Some(b'/'));
        if inside && !path.is_empty() {
            let keep = self.levels.iter().take_while(|l| l.end < path.len()).count();
            self.truncate(tree, keep)?;
        }
        Ok(())
    }

    /// The lower layers that the directory `depth` components below the root is merged from.
    pub(super) fn lowers_at(&mut self, tree: &Tree, depth: usize) -> Result<Vec<u16>> {
        let Some(layers) = &tree.lowers else { return Ok(Vec::new()) };
        let Some(index) = depth.checked_sub(1) else { return Ok(layers.all()) };
        if let Some(known) = &self.levels[index].lowers {
            return Ok(known.clone());
        }
        let above = self.lowers_at(tree, index)?;
        let path = &self.path[..self.levels[index].end];
        let found = if above.is_empty() || self.is_opaque(tree, path)? {
            Vec::new()
        } else {
            match layers.lookup(&above, path)? {
                Found::Directory(_, merged) => merged,
                _ => Vec::new(),
            }
        };
        self.levels[index].lowers = Some(found.clone());
        Ok(found)
    }

    /// The lower layers of the present directory.
    pub(super) fn lowers(&mut self, tree: &Tree) -> Result<Vec<u16>> {
        self.lowers_at(tree, self.levels.len())
    }

    fn is_opaque(&self, tree: &Tree, path: &[u8]) -> Result<bool> {
        let fd = reopen(tree, path)?;
        xattr::is_opaque(fd.as_fd())
            .map_err(|e| Error::io("read attributes of", tree.path.join(as_path(path)), e))
    }

    /// Goes back to where this path and the present one part; returns what is left of the path.
    fn keep_shared<'p>(&mut self, tree: &Tree, path: &'p [u8]) -> Result<&'p [u8]> {
        let (mut rest, mut depth, mut start) = (path, 0, 0);
        while let (Some(level), Some((word, tail))) = (self.levels.get(depth), next_word(rest)) {
            if &self.path[start..level.end] != word {
                break;
            }
            (depth, start, rest) = (depth + 1, level.end + 1, tail);
        }
        self.truncate(tree, depth)?;
        Ok(rest)
    }

    fn truncate(&mut self, tree: &Tree, depth: usize) -> Result<()> {
        if depth >= self.levels.len() {
            return Ok(());
        }
        self.levels.truncate(depth);
        self.path.truncate(self.levels.last().map_or(0, |l| l.end));
        if let Some(Level { fd: fd @ None, .. }) = self.levels.last_mut() {
            *fd = Some(reopen(tree, &self.path)?);
        }
        Ok(())
    }

    fn descend(&mut self, tree: &Tree, word: &[u8], missing: Missing) -> Result<Step> {
        match open_directory(self.dir(tree), word) {
            Ok(fd) => self.push(tree, word, fd),
            Err(Errno::NOENT) => self.descend_below(tree, word, missing),
            Err(Errno::NOTDIR | Errno::LOOP) => self.descend_other(tree, word, missing),
            Err(e) => Err(Error::io("open directory", self.shown(tree, word), e)),
        }
    }

    /// The name is there and no directory.
    fn descend_other(&mut self, tree: &Tree, word: &[u8], missing: Missing) -> Result<Step> {
        if missing == Missing::Stop {
            return Ok(Step::Missing);
        }
        let fail = |e: Errno| Error::io("resolve", self.shown(tree, word), e);
        let stat = fs::statat(self.dir(tree), word, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let link = fs::readlinkat(self.dir(tree), word, Vec::new()).map_err(fail)?;
            return Ok(Step::Link(link.into_bytes()));
        }
        if tree.lowers.is_none() || !merged::is_whiteout(&stat) {
            return Err(fail(Errno::NOTDIR));
        }
        if missing != Missing::Create {
            return Ok(Step::Missing);
        }
        fs::unlinkat(self.dir(tree), word, AtFlags::empty()).map_err(fail)?;
        let step = self.make(tree, word)?;
        xattr::set(self.dir(tree), b"", xattr::OPAQUE, b"y")
            .map_err(|e| Error::io("mark opaque", self.shown(tree, b""), e))?;
        Ok(step)
    }

    /// The name is not there; perhaps a lower layer has it.
    fn descend_below(&mut self, tree: &Tree, word: &[u8], missing: Missing) -> Result<Step> {
        if let (Some(layers), true) = (&tree.lowers, missing != Missing::Stop) {
            let among = self.lowers(tree)?;
            match layers.lookup(&among, &self.join(word))? {
                Found::Leaf(object) if object.kind() == FileType::Symlink => {
                    let link = fs::readlinkat(&object.fd, c"", Vec::new())
                        .map_err(|e| Error::io("read link", self.shown(tree, word), e))?;
                    return Ok(Step::Link(link.into_bytes()));
                }
                Found::Leaf(_) => return Err(Error::io("resolve", self.shown(tree, word), Errno::NOTDIR)),
                Found::Directory(lower, _) => {
                    let step = self.make(tree, word)?;
                    let times = attributes::copy_directory(&lower, self.dir(tree))
                        .map_err(|e| Error::io("copy attributes to", self.shown(tree, b""), e))?;
                    self.copied.push((self.path.clone(), times.0, times.1));
                    return Ok(step);
                }
                Found::Nothing => {}
            }
        }
        if missing == Missing::Create { self.make(tree, word) } else { Ok(Step::Missing) }
    }

    /// Makes a directory that no entry describes.
    fn make(&mut self, tree: &Tree, word: &[u8]) -> Result<Step> {
        let fail = |e: Errno| Error::io("mkdir", self.shown(tree, word), e);
        let mode = Mode::from_raw_mode(0o755);
        fs::mkdirat(self.dir(tree), word, mode).map_err(fail)?;
        if tree.umask & 0o755 != 0 {
            fs::chmodat(self.dir(tree), word, mode, AtFlags::empty()).map_err(fail)?;
        }
        let fd = open_directory(self.dir(tree), word).map_err(fail)?;
        self.push(tree, word, fd)
    }

    fn push(&mut self, tree: &Tree, word: &[u8], fd: OwnedFd) -> Result<Step> {
        if self.path.len() + word.len() >= LONGEST_PATH {
            return Err(Error::io("resolve", self.shown(tree, b""), Errno::NAMETOOLONG));
        }
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(word);
        if let Some(far) = self.levels.len().checked_sub(MOST_OPEN) {
            self.levels[far].fd = None;
        }
        let end = self.path.len();
        self.levels.push(Level { end, fd: Some(fd), lowers: None, marked: false, setgid: None });
        Ok(Step::Entered)
    }
}

fn open_directory(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::empty())
}

/// Opens a directory by its canonical path.
fn reopen(tree: &Tree, path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    fs::openat2(&tree.root, path, flags, Mode::empty(), resolve)
        .map_err(|e| Error::io("open directory", tree.path.join(as_path(path)), e))
}

/// The first component and the rest; empty components are skipped.
fn next_word(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|b| *b != b'/')?;
    let path = &path[start..];
    let end = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
    Some((&path[..end], path.get(end + 1..).unwrap_or_default()))
}
