//! Applies a layer to a directory: the tar stream in, files out.
//!
//! A layer may delete what lies below it (`.wh.NAME`, `.wh..wh..opq`). In a plain directory the names are removed; in the
//! upper directory of an overlay they become overlayfs' own marks, so that mounting shows the same. Both follow the OCI
//! image specification: a whiteout never hides what its own layer brings, wherever it stands in the stream.
//!
//! Every name is cleaned, then resolved component by component on directory descriptors ([`walk`]); symbolic links met on
//! the way are followed inside of the target only. Not here: mounting, `fsync`, comparing the diffID.

mod attributes;
mod copy_up;
mod create;
mod remove;
mod seen;
mod walk;
mod whiteout;

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use oci::Digest;

use crate::decompress::Decompressor;
use crate::error::{Error, Result};
use crate::merged::{self, Layers};
use crate::stream::{Ahead, Hashing};
use crate::tar::{Entry, Kind, Reader, Time};

use seen::Seen;
use walk::{Missing, Tree, Walk};

/// Where a layer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Into a directory that shows all lower layers; deletions delete.
    Directory(PathBuf),
    /// Into the upper directory of an overlay; deletions leave marks.
    Upper {
        /// The upper directory.
        upper: PathBuf,
        /// The lower directories, nearest first; empty if they are not known yet.
        lowers: Vec<PathBuf>,
    },
}

/// How the bytes of the layer come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// As plain tar, whatever they look like.
    Plain,
    /// Packed as their first bytes say.
    Detect,
}

/// What went by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Applies a layer stream, reading it to its end. The stream is unpacked on a second thread while files are written.
/// After an error the target holds part of the layer.
pub fn apply(target: &Target, layer: &mut (dyn Read + Send), input: Input) -> Result<Applied> {
    let stream = match input {
        Input::Plain => Decompressor::plain(layer),
        Input::Detect => Decompressor::detect(layer).map_err(Error::Stream)?,
    };
    let mut applier = Applier::open(target)?;
    std::thread::scope(|scope| {
        let mut reader = Reader::new(Hashing::new(Ahead::spawn(scope, stream)));
        applier.take_all(&mut reader)?;
        reader.drain()?;
        let (diff_id, size) = reader.into_inner().finish();
        Ok(Applied { diff_id, size })
    })
}

/// The longest name we take, in bytes: what the kernel would take.
const LONGEST_PATH: usize = 4095;

/// One layer on its way into one target.
struct Applier {
    tree: Tree,
    /// The directory of the present entry.
    here: Walk,
    /// The directory of the present hard link's target.
    there: Walk,
    /// What this layer brought so far.
    seen: Seen,
    /// Directories whose times are set at the end, when nothing is written into them any more.
    dir_times: Vec<(Vec<u8>, Time, Time)>,
    /// Some of those directories may be there no more.
    lost_directory: bool,
    /// A `system.` attribute was set: modes of new files may depend on it.
    has_acl: bool,
    in_user_namespace: bool,
}

impl Applier {
    fn open(target: &Target) -> Result<Applier> {
        let (path, lowers) = match target {
            Target::Directory(path) => (path, None),
            Target::Upper { upper, lowers } => (upper, Some(Layers::overlay(lowers)?)),
        };
        let tree = Tree {
            root: merged::open_root(path)?,
            path: path.clone(),
            lowers,
            umask: attributes::umask(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        };
        Ok(Applier {
            tree,
            here: Walk::default(),
            there: Walk::default(),
            seen: Seen::default(),
            dir_times: Vec::new(),
            lost_directory: false,
            has_acl: false,
            in_user_namespace: attributes::in_user_namespace(),
        })
    }

    fn take_all<R: std::io::BufRead>(&mut self, reader: &mut Reader<R>) -> Result<()> {
        let mut entry = Entry::default();
        let mut name = Vec::new();
        while reader.next_entry(&mut entry)? {
            if entry.path.len() > LONGEST_PATH || entry.path.contains(&0) {
                let shown = String::from_utf8_lossy(&entry.path[..entry.path.len().min(100)]).into_owned();
                return Err(Error::io("apply", shown, rustix::io::Errno::NAMETOOLONG));
            }
            let Some(split) = clean(&entry.path, &mut name) else { continue };
            let (parent, rest) = name.split_at(split);
            let last = rest.strip_prefix(b"/").unwrap_or(rest);
            self.here.enter(&self.tree, parent, Missing::Create)?;
            if last.starts_with(whiteout::PREFIX) {
                self.take_whiteout(last)?;
                continue;
            }
            self.here.mark(last, &mut self.seen);
            self.create(&entry, last, reader)?;
        }
        self.set_directory_times()
    }

    fn create<R: std::io::BufRead>(
        &mut self,
        entry: &Entry,
        last: &[u8],
        reader: &mut Reader<R>,
    ) -> Result<()> {
        match entry.kind {
            Kind::Regular => self.create_file(entry, last, reader),
            Kind::Directory => self.create_directory(entry, last),
            Kind::Symlink => self.create_symlink(entry, last),
            Kind::Link => self.create_link(entry, last),
            Kind::Char | Kind::Block | Kind::Fifo => self.create_node(entry, last),
            Kind::Other(flag) => Err(Error::EntryType(flag)),
        }
    }

    /// Times of directories come last: everything written into them has moved them.
    fn set_directory_times(&mut self) -> Result<()> {
        let mut times = std::mem::take(&mut self.here.copied);
        times.append(&mut self.there.copied);
        times.append(&mut self.dir_times);
        for (path, atime, mtime) in times {
            let split = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
            let (parent, rest) = path.split_at(split);
            let last = rest.strip_prefix(b"/").unwrap_or(rest);
            if self.here.enter(&self.tree, parent, Missing::Stop)? {
                self.set_times_of_directory(last, atime, mtime)?;
            }
        }
        Ok(())
    }

    /// The full path of a name in the present directory, for messages.
    fn shown(&self, last: &[u8]) -> PathBuf {
        self.here.shown(&self.tree, last)
    }
}

/// Cleans a name into `out`: no leading or doubled slashes, no `.`, `..` taken away with what it follows and clamped at the
/// root. Returns where the last component's slash stands (0 if there is but one), or `None` for the root itself.
fn clean(path: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    out.clear();
    for word in path.split(|b| *b == b'/') {
        match word {
            b"" | b"." => {}
            b".." => out.truncate(out.iter().rposition(|b| *b == b'/').unwrap_or(0)),
            word => {
                if !out.is_empty() {
                    out.push(b'/');
                }
                out.extend_from_slice(word);
            }
        }
    }
    (!out.is_empty()).then(|| out.iter().rposition(|b| *b == b'/').unwrap_or(0))
}

/// Bytes as a path.
fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned() {
        let mut out = Vec::new();
        for (path, want, split) in [
            ("a/b/c", "a/b/c", Some(3)),
            ("/a", "a", Some(0)),
            ("./a//b/", "a/b", Some(1)),
            ("../../a", "a", Some(0)),
            ("a/../../b/c", "b/c", Some(1)),
            ("a/b/../c", "a/c", Some(1)),
            ("", "", None),
            ("/", "", None),
            (".", "", None),
            ("a/..", "", None),
            ("..", "", None),
        ] {
            assert_eq!(clean(path.as_bytes(), &mut out), split, "{path}");
            assert_eq!(String::from_utf8(out.clone()).unwrap(), want);
        }
    }
}
