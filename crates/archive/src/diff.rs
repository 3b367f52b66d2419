//! The difference of two directory trees as a layer.
//!
//! The same trees give the same bytes: names in order, times in whole seconds, no user names, PAX where needed. What is
//! written: new and changed files, the directories above them, `.wh.NAME` for what is gone. A file has changed if its
//! owner, mode, device number, size, time or file capabilities differ, or its bytes where times are too coarse to tell.
//! Not written: sockets, extended attributes other than file capabilities, access times, the root itself.
//!
//! [`Source::Upper`] compares without mounting and without looking at what an overlay has not touched; the result is
//! that of comparing the mounted trees.

mod compare;
mod write;

use std::io::Write;
use std::path::PathBuf;

use oci::Digester;

use crate::apply::Applied;
use crate::compress::{Compression, Compressor};
use crate::error::{Error, Result};
use crate::merged::{Found, Layers, join};
use crate::tar::Writer;

use write::Changes;

/// The two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Two directories with everything in them; no lower one means: everything is new.
    Trees {
        /// The older tree.
        lower: Option<PathBuf>,
        /// The newer tree.
        upper: PathBuf,
    },
    /// The upper directory of an overlay and what it lies on.
    Upper {
        /// The upper directory.
        upper: PathBuf,
        /// The lower directories, nearest first.
        lowers: Vec<PathBuf>,
    },
}

/// How the layer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How it is packed.
    pub compression: Compression,
    /// No time in it is later than this (seconds since 1970).
    pub latest: Option<i64>,
}

/// Writes the difference as a layer to `out`; returns the uncompressed tar's digest and size.
pub fn write(source: &Source, options: Options, out: &mut (dyn Write + Send)) -> Result<Applied> {
    let compressor = Compressor::new(out, options.compression).map_err(Error::Stream)?;
    let tar = Writer::new(Hashing { inner: compressor, digester: Digester::default() });
    let changes = Changes::new(tar, options.latest);
    let hashing = match source {
        Source::Trees { lower, upper } => {
            let old = lower.as_ref().map(|path| Layers::plain(path)).transpose()?;
            let new = Layers::plain(upper)?;
            Walk { old, new, whole: true, changes }.finish()?
        }
        Source::Upper { upper, lowers } => {
            let old = Layers::overlay(lowers)?;
            let stack: Vec<PathBuf> = std::iter::once(upper).chain(lowers).cloned().collect();
            let new = Layers::overlay(&stack)?;
            Walk { old: Some(old), new, whole: false, changes }.finish()?
        }
    };
    hashing.inner.finish().map_err(Error::Stream)?;
    let size = hashing.digester.len();
    Ok(Applied { diff_id: hashing.digester.finish(), size })
}

struct Hashing<W: Write> {
    inner: Compressor<W>,
    digester: Digester,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.digester.update(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Both trees walked together, in the order of names.
struct Walk<W: Write> {
    old: Option<Layers>,
    new: Layers,
    /// Look at every name; otherwise at those that the new tree's top layer has.
    whole: bool,
    changes: Changes<W>,
}

/// One directory of both trees: its path and the layers it is merged from; no layers: it is not there.
struct Pair<'p> {
    path: &'p [u8],
    old: Vec<u16>,
    new: Vec<u16>,
}

impl<W: Write> Walk<W> {
    fn finish(mut self) -> Result<W> {
        let old = match &self.old {
            Some(layers) => layers.all(),
            None => Vec::new(),
        };
        let new = self.new.all();
        self.directory(&Pair { path: b"", old, new })?;
        self.changes.finish()
    }

    fn directory(&mut self, pair: &Pair<'_>) -> Result<()> {
        let touched = pair.new.first() == Some(&0);
        if !self.whole && !touched {
            return Ok(());
        }
        // An opaque directory merges from itself alone while the old one is still there: every old name counts.
        let everything = self.whole || (!pair.old.is_empty() && pair.new.len() == 1);
        let mut names = if self.whole {
            self.new.names(&pair.new, pair.path)?
        } else {
            self.new.names_in(0, pair.path)?
        };
        if let (Some(old), true) = (&self.old, everything) {
            names.append(&mut old.names(&pair.old, pair.path)?);
        }
        names.iter().try_for_each(|name| self.name(pair, name))
    }

    fn name(&mut self, pair: &Pair<'_>, name: &[u8]) -> Result<()> {
        let path = join(pair.path, name);
        let old = match &self.old {
            Some(layers) => layers.lookup(&pair.old, &path)?,
            None => Found::Nothing,
        };
        let new = self.new.lookup(&pair.new, &path)?;
        let Some(now) = new.object() else {
            if old.object().is_some() {
                self.changes.delete(&self.new, &path)?;
            }
            return Ok(());
        };
        let changed = match old.object() {
            None => true,
            Some(before) if compare::is_same_object(before, now) => return self.linked(&path, &new),
            Some(before) => {
                !compare::is_same(before, now).map_err(|e| Error::io("compare", merged_path(&path), e))?
            }
        };
        if changed {
            self.changes.put(&self.new, &path, now)?;
        } else {
            self.linked(&path, &new)?;
        }
        let Found::Directory(_, new_layers) = new else { return Ok(()) };
        let old_layers = match old {
            Found::Directory(_, layers) => layers,
            _ => Vec::new(),
        };
        self.directory(&Pair { path: &path, old: old_layers, new: new_layers })
    }

    /// An unchanged file with several names: another of them may have changed.
    fn linked(&mut self, path: &[u8], new: &Found) -> Result<()> {
        match new {
            Found::Leaf(object) if object.stat.st_nlink > 1 => self.changes.keep(&self.new, path, object),
            _ => Ok(()),
        }
    }
}

fn merged_path(path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(path))
}
