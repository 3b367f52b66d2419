//! Writes changes as tar entries: parents first, hard links by their inode, deletions as `.wh.` names.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};

use rustix::fs::{self, FileType, Stat};

use super::compare;
use crate::error::{Error, Result};
use crate::merged::{Found, Layers, Object, join};
use crate::tar::{Entry, Kind, Time, Writer};
use crate::xattr;

/// The layer being written.
pub(super) struct Changes<W: Write> {
    tar: Writer<W>,
    latest: Option<i64>,
    /// Directories that have their entry.
    written: HashSet<Vec<u8>>,
    /// The first name written of each inode with several names.
    sources: HashMap<(u64, u64), Vec<u8>>,
    /// Names of inodes of which no name was written yet.
    waiting: HashMap<(u64, u64), Vec<Vec<u8>>>,
}

impl<W: Write> Changes<W> {
    /// Begins a layer without entries.
    pub(super) fn new(tar: Writer<W>, latest: Option<i64>) -> Changes<W> {
        Changes { tar, latest, written: HashSet::new(), sources: HashMap::new(), waiting: HashMap::new() }
    }

    /// Ends the tar.
    pub(super) fn finish(self) -> Result<W> {
        self.tar.finish()
    }

    /// A name that is gone.
    pub(super) fn delete(&mut self, new: &Layers, path: &[u8]) -> Result<()> {
        self.put_parents(new, path)?;
        let slash = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        let name = [&path[..slash], b".wh.", &path[slash..]].concat();
        self.tar.append_bytes(&Entry::new(Kind::Regular, name, 0), b"")
    }

    /// A name that is new or has changed.
    pub(super) fn put(&mut self, new: &Layers, path: &[u8], object: &Object) -> Result<()> {
        if matches!(object.kind(), FileType::Socket | FileType::Unknown) {
            return Ok(());
        }
        let entry = self.describe(path, object).map_err(|e| Error::io("read", new.path_of(0, path), e))?;
        self.put_parents(new, path)?;
        if entry.kind == Kind::Directory {
            if self.written.insert(path.to_vec()) {
                self.tar.append_bytes(&entry, b"")?;
            }
            return Ok(());
        }
        let inode = (object.stat.st_dev, object.stat.st_ino);
        let mut others = Vec::new();
        if object.stat.st_nlink > 1 {
            if let Some(source) = self.sources.get(&inode) {
                let source = source.clone();
                return self.put_link(&entry, path, source);
            }
            self.sources.insert(inode, path.to_vec());
            others = self.waiting.remove(&inode).unwrap_or_default();
        }
        self.put_data(&entry, object)?;
        for other in others {
            self.put_parents(new, &other)?;
            self.put_link(&entry, &other, path.to_vec())?;
        }
        Ok(())
    }

    /// An unchanged file with several names: written as a link once another of them is written.
    pub(super) fn keep(&mut self, new: &Layers, path: &[u8], object: &Object) -> Result<()> {
        let inode = (object.stat.st_dev, object.stat.st_ino);
        if !self.sources.contains_key(&inode) {
            self.waiting.entry(inode).or_default().push(path.to_vec());
            return Ok(());
        }
        self.put(new, path, object)
    }

    fn put_link(&mut self, entry: &Entry, path: &[u8], source: Vec<u8>) -> Result<()> {
        let link = Entry { kind: Kind::Link, path: path.to_vec(), link: source, size: 0, ..entry.clone() };
        self.tar.append_bytes(&link, b"")
    }

    fn put_data(&mut self, entry: &Entry, object: &Object) -> Result<()> {
        if entry.kind != Kind::Regular || entry.size == 0 {
            return self.tar.append_bytes(entry, b"");
        }
        let mut file = compare::open(object).map_err(Error::Stream)?.take(entry.size);
        self.tar.append(entry, &mut file)
    }

    /// Directories above a name that have no entry yet.
    fn put_parents(&mut self, new: &Layers, path: &[u8]) -> Result<()> {
        let Some(slash) = path.iter().rposition(|b| *b == b'/') else { return Ok(()) };
        let parent = &path[..slash];
        if self.written.contains(parent) {
            return Ok(());
        }
        match new.lookup(&new.all(), parent)? {
            Found::Directory(object, _) => self.put(new, parent, &object),
            _ => Ok(()),
        }
    }

    fn describe(&self, path: &[u8], object: &Object) -> io::Result<Entry> {
        let stat = &object.stat;
        let mut entry = Entry {
            kind: kind(object.kind()),
            path: path.to_vec(),
            mode: stat.st_mode & 0o7777,
            uid: u64::from(stat.st_uid),
            gid: u64::from(stat.st_gid),
            mtime: Time { secs: self.bound(stat), nanos: 0 },
            ..Entry::default()
        };
        match entry.kind {
            Kind::Directory => entry.path = join(path, b""),
            Kind::Symlink => entry.link = compare::read_link(object)?,
            Kind::Regular => entry.size = stat.st_size as u64,
            Kind::Char | Kind::Block => {
                (entry.major, entry.minor) = (fs::major(stat.st_rdev), fs::minor(stat.st_rdev));
            }
            _ => {}
        }
        if let Some(value) = compare::capability(object)? {
            entry.xattrs.push((xattr::CAPABILITY.to_vec(), value));
        }
        Ok(entry)
    }

    fn bound(&self, stat: &Stat) -> i64 {
        self.latest.map_or(stat.st_mtime, |latest| stat.st_mtime.min(latest))
    }
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice => Kind::Char,
        FileType::BlockDevice => Kind::Block,
        FileType::Fifo => Kind::Fifo,
        _ => Kind::Regular,
    }
}
