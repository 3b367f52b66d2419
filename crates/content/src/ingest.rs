//! An ingest: bytes on their way to become a blob.

use crate::locks::Locked;
use kernel::file::{FileTime, set_times, sync_directory};
use model::content::{Ingest, Ingesting, Status};
use model::{Error, Result, Timestamp};
use oci::{Algorithm, Digest, Digester};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much is read at a time when a digest is computed again, in bytes.
const BUFFER: usize = 1 << 20;

/// An open ingest.
pub struct OpenIngest {
    dir: PathBuf,
    blobs: PathBuf,
    data: File,
    digester: Digester,
    status: Status,
    synced: bool,
    _locked: Locked,
}

/// Where an ingest lies and who may write it.
pub struct Place {
    /// Its directory.
    pub dir: PathBuf,
    /// The directory of all blobs.
    pub blobs: PathBuf,
    /// The right to write.
    pub locked: Locked,
}

impl OpenIngest {
    /// Opens an ingest, resuming what is there. Bytes for another size are dropped.
    pub fn open(place: Place, ingest: &Ingest) -> Result<Self> {
        let Place { dir, blobs, locked } = place;
        let now = Timestamp::from(SystemTime::now());
        let found = read_status(&dir, &ingest.reference)?;
        let resumed = match found {
            Some(old) if old.total != 0 && ingest.total != 0 && old.total != ingest.total => {
                remove(&dir)?;
                None
            }
            other => other,
        };
        let fresh = resumed.is_none();
        let status = Status {
            reference: ingest.reference.clone(),
            offset: 0,
            total: if ingest.total != 0 { ingest.total } else { resumed.as_ref().map_or(0, |s| s.total) },
            expected: String::new(),
            started_at: resumed.as_ref().map_or(now, |s| s.started_at),
            updated_at: now,
        };
        if fresh {
            remove(&dir)?;
            fs::create_dir_all(&dir).map_err(|e| Error::io("mkdir", &dir, e))?;
            write(&dir.join("startedat"), &status.started_at.to_rfc3339())?;
            if status.total > 0 {
                write(&dir.join("total"), &status.total.to_string())?;
            }
        }
        write(&dir.join("updatedat"), &now.to_rfc3339())?;
        let path = dir.join("data");
        let mut options = OpenOptions::new();
        let data = options.read(true).write(true).create(true).truncate(false).open(&path);
        let data = data.map_err(|e| Error::io("open", &path, e))?;
        if fresh {
            name(&dir, &status.reference)?;
        }
        let digester = Digester::default();
        let mut open = Self { dir, blobs, data, digester, status, synced: false, _locked: locked };
        if !fresh {
            open.digester = open.hash(Algorithm::Sha256)?;
            open.status.offset = open.digester.len();
        }
        Ok(open)
    }

    /// Reads the data again from the beginning; the file then stands at its end.
    fn hash(&mut self, algorithm: Algorithm) -> Result<Digester> {
        let failed = |dir: &Path, e| Error::io("read", dir.join("data"), e);
        let mut digester = Digester::new(algorithm);
        let mut buffer = vec![0; BUFFER];
        self.data.seek(SeekFrom::Start(0)).map_err(|e| failed(&self.dir, e))?;
        loop {
            match self.data.read(&mut buffer).map_err(|e| failed(&self.dir, e))? {
                0 => return Ok(digester),
                n => digester.update(&buffer[..n]),
            }
        }
    }

    /// Drops the data from an offset on and goes on there.
    fn cut(&mut self, offset: u64) -> Result<()> {
        let cut = self.data.set_len(offset).and_then(|()| self.data.seek(SeekFrom::Start(offset)));
        cut.map(drop).map_err(|e| Error::io("truncate", self.dir.join("data"), e))
    }

    fn check(&mut self, size: i64, expected: &str) -> Result<Digest> {
        if size > 0 && size as u64 != self.status.offset {
            return Err(Error::failed_precondition(format!(
                "{:?} failed size validation: {} != {size}",
                self.status.reference, self.status.offset
            )));
        }
        let digest = match Digest::parse(expected).map(|wanted| wanted.algorithm()) {
            Ok(other) if other != Algorithm::Sha256 => self.hash(other)?.finish(),
            _ => self.digester.current(),
        };
        if !expected.is_empty() && digest.as_str() != expected {
            return Err(Error::failed_precondition(format!(
                "unexpected commit digest {digest}, expected {expected}"
            )));
        }
        Ok(digest)
    }

    fn publish(&self, target: &Path) -> Result<()> {
        let data = self.dir.join("data");
        fs::set_permissions(&data, Permissions::from_mode(0o444))
            .map_err(|e| Error::io("chmod", &data, e))?;
        let began = self.status.started_at;
        let began = FileTime { seconds: began.seconds, nanoseconds: began.nanos };
        let now = Timestamp::from(SystemTime::now());
        let now = FileTime { seconds: now.seconds, nanoseconds: now.nanos };
        set_times(&data, now, began).map_err(|e| Error::unknown(e.to_string()).with_source(e))?;
        if let Some(parent) = target.parent() {
            match fs::rename(&data, target) {
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    fs::create_dir_all(parent).map_err(|e| Error::io("mkdir", parent, e))?;
                    // The first blob of an algorithm: its directory must last too, and the one above.
                    for above in self.blobs.ancestors().take(2) {
                        sync(above)?;
                    }
                    fs::rename(&data, target).map_err(|e| Error::io("rename", target, e))?;
                }
                other => other.map_err(|e| Error::io("rename", target, e))?,
            }
            sync(parent)?;
        }
        remove(&self.dir)
    }
}

impl Ingesting for OpenIngest {
    fn status(&self) -> Status {
        self.status.clone()
    }

    fn digest(&self) -> Digest {
        self.digester.current()
    }

    fn write(&mut self, data: &[u8]) -> Result<()> {
        self.synced = false;
        if let Err(e) = self.data.write_all(data) {
            let full = e.kind() == ErrorKind::StorageFull;
            let error = Error::io("write", self.dir.join("data"), e);
            let error = if full { error.with_kind(model::Kind::ResourceExhausted) } else { error };
            // A part of it may be there.
            return Err(match self.cut(self.status.offset) {
                Ok(()) => error,
                Err(second) => error.beside(second),
            });
        }
        self.digester.update(data);
        self.status.offset += data.len() as u64;
        self.status.updated_at = SystemTime::now().into();
        Ok(())
    }

    fn truncate(&mut self) -> Result<()> {
        self.synced = false;
        self.cut(0)?;
        self.digester = Digester::default();
        self.status.offset = 0;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        if !self.synced {
            self.data.sync_data().map_err(|e| Error::io("fsync", self.dir.join("data"), e))?;
            self.synced = true;
        }
        Ok(())
    }

    fn commit(&mut self, size: i64, expected: &str) -> Result<Digest> {
        let digest = self.check(size, expected)?;
        let target = self.blobs.join(digest.algorithm().as_str()).join(digest.hex());
        if target.exists() {
            remove(&self.dir)?;
            return Err(Error::already_exists(format!("content {digest}")));
        }
        self.sync()?;
        self.publish(&target)?;
        Ok(digest)
    }
}

/// An ingest's state as it lies on the disk; nothing when it is not there.
///
/// # Errors
/// The directory is another ref's, which only damage can bring about.
pub fn read_status(dir: &Path, reference: &str) -> Result<Option<Status>> {
    let path = dir.join("ref");
    let found = match fs::read_to_string(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|e| Error::io("read", &path, e))?,
    };
    let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap_or_default();
    let time = |name: &str| Timestamp::from_rfc3339(text(name).trim());
    // An ingest that was torn while it was made is none.
    let (false, Some(started_at), Ok(data)) =
        (found.is_empty(), time("startedat"), fs::metadata(dir.join("data")))
    else {
        return Ok(None);
    };
    if found != reference {
        return Err(Error::data_loss(format!(
            "ingest {} belongs to ref {found:?}, not {reference:?}",
            dir.display()
        )));
    }
    Ok(Some(Status {
        reference: found,
        offset: data.len(),
        total: text("total").trim().parse().unwrap_or(0),
        expected: String::new(),
        started_at,
        updated_at: time("updatedat").unwrap_or(started_at),
    }))
}

/// Removes an ingest's directory.
pub fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", dir, e)),
        _ => Ok(()),
    }
}

/// Says whose ingest this is. Its ref comes last and whole: without it there is no ingest.
fn name(dir: &Path, reference: &str) -> Result<()> {
    let (fresh, path) = (dir.join("ref.new"), dir.join("ref"));
    write(&fresh, reference)?;
    fs::rename(&fresh, &path).map_err(|e| Error::io("rename", &path, e))
}

fn sync(dir: &Path) -> Result<()> {
    sync_directory(dir).map_err(|e| Error::unknown(e.to_string()).with_source(e))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| Error::io("write", path, e))
}
