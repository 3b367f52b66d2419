//! The store: every blob and every ingest below one directory.

use crate::ingest::{self, OpenIngest, Place};
use crate::locks::Locks;
use model::content::{Blob, Blobs, Info, Ingest, Ingesting, Status};
use model::{Error, Labels, Result, Timestamp};
use oci::{Algorithm, Digest};
use std::fs::{self, DirEntry, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Blobs in a directory.
pub struct Store {
    root: PathBuf,
    locks: Locks,
}

impl Store {
    /// Opens the store below `root`, which is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root).map_err(|e| Error::io("mkdir", &root, e))?;
        Ok(Self { root, locks: Locks::default() })
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.algorithm().as_str()).join(digest.hex())
    }

    fn ingest_place(&self) -> PathBuf {
        self.root.join("ingest")
    }

    fn ingest_dir(&self, reference: &str) -> PathBuf {
        self.ingest_place().join(self.ingest_name(reference))
    }
}

impl Blobs for Store {
    fn info(&self, digest: &Digest) -> Result<Info> {
        let path = self.blob(digest);
        let metadata = fs::metadata(&path).map_err(|e| absent(e, "stat", (digest, &path)))?;
        Ok(info(digest.clone(), &metadata))
    }

    fn list(&self) -> Result<Vec<Info>> {
        let mut found = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
            let dir = self.blobs().join(algorithm.as_str());
            for entry in entries(&dir)? {
                let name = entry.file_name();
                let digest = name.to_str().and_then(|hex| Digest::from_parts(algorithm, hex).ok());
                match (digest, entry.metadata()) {
                    (Some(digest), Ok(metadata)) => found.push(info(digest, &metadata)),
                    // What is no blob is not ours to judge; what has gone meanwhile is gone.
                    _ => continue,
                }
            }
        }
        Ok(found)
    }

    fn delete(&self, digest: &Digest) -> Result<()> {
        let path = self.blob(digest);
        fs::remove_file(&path).map_err(|e| absent(e, "remove", (digest, &path)))
    }

    fn open(&self, digest: &Digest) -> Result<Box<dyn Blob>> {
        let path = self.blob(digest);
        let file = File::open(&path).map_err(|e| absent(e, "open", (digest, &path)))?;
        let size = file.metadata().map_err(|e| Error::io("stat", &path, e))?.len();
        Ok(Box::new(Opened { file, size, path }))
    }

    fn ingest(&self, ingest: &Ingest) -> Result<Box<dyn Ingesting>> {
        let locked = self.locks.take(&ingest.reference)?;
        let place = Place { dir: self.ingest_dir(&ingest.reference), blobs: self.blobs(), locked };
        Ok(Box::new(OpenIngest::open(place, ingest)?))
    }

    fn status(&self, reference: &str) -> Result<Status> {
        ingest::read_status(&self.ingest_dir(reference), reference)?
            .ok_or_else(|| Error::not_found(format!("reference {reference}")))
    }

    fn abort(&self, reference: &str) -> Result<()> {
        match self.discard(&self.ingest_name(reference)) {
            Err(e) if e.is_not_found() => Err(Error::not_found(format!("reference {reference}"))),
            other => other,
        }
    }

    fn ingests(&self) -> Result<Vec<String>> {
        let entries = entries(&self.ingest_place())?.into_iter();
        // What is no ingest is not ours to judge; what has gone meanwhile is gone.
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = directories.filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| Digest::from_parts(Algorithm::Sha256, name).is_ok()).collect())
    }

    fn ingest_name(&self, reference: &str) -> String {
        Digest::of(reference.as_bytes()).hex().to_owned()
    }

    fn discard(&self, name: &str) -> Result<()> {
        let dir = self.ingest_place().join(name);
        if !dir.exists() {
            return Err(Error::not_found(format!("ingest {name}")));
        }
        ingest::remove(&dir)
    }
}

/// An open blob.
struct Opened {
    file: File,
    size: u64,
    path: PathBuf,
}

impl Blob for Opened {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buffer, offset).map_err(|e| Error::io("read", &self.path, e))
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

fn info(digest: Digest, metadata: &Metadata) -> Info {
    let time = |seconds, nanos: i64| Timestamp { seconds, nanos: nanos as u32 };
    Info {
        digest,
        size: metadata.len(),
        created_at: time(metadata.mtime(), metadata.mtime_nsec()),
        updated_at: time(metadata.atime(), metadata.atime_nsec()),
        labels: Labels::new(),
    }
}

fn absent(error: std::io::Error, op: &str, (digest, path): (&Digest, &Path)) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::not_found(format!("content {digest}")),
        _ => Error::io(op, path, error),
    }
}

/// A directory's entries; none when it is not there.
fn entries(dir: &Path) -> Result<Vec<DirEntry>> {
    let failed = |e| Error::io("read", dir, e);
    match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(failed)?.collect::<std::io::Result<_>>().map_err(failed),
    }
}
