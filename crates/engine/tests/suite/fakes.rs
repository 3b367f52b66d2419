//! Small honest things: blobs in memory, snapshots as plain directories, events as text.

use model::containers::Container;
use model::content::{Blob, Blobs, Info, Ingest, Ingesting, Status};
use model::events::{Codec, Event};
use model::filters::Fields;
use model::snapshots::{Driver, Layer, Usage};
use model::tasks::{Create, Runtime, Task};
use model::{Any, Error, Labels, Mount, Namespace, Result, Scope, Timestamp};
use oci::Digest;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct Inside {
    blobs: BTreeMap<Digest, Arc<Vec<u8>>>,
    ingests: BTreeMap<String, (Vec<u8>, i64)>,
    locked: BTreeSet<String>,
}

/// Blobs in memory.
#[derive(Default)]
pub struct Memory(Arc<Mutex<Inside>>);

impl Memory {
    pub fn digests(&self) -> Vec<Digest> {
        self.0.lock().expect("lock").blobs.keys().cloned().collect()
    }

    pub fn refs(&self) -> Vec<String> {
        self.0.lock().expect("lock").ingests.keys().cloned().collect()
    }
}

fn info(digest: &Digest, bytes: &[u8]) -> Info {
    let (created_at, updated_at) = (Timestamp::NEVER, Timestamp::NEVER);
    Info { digest: digest.clone(), size: bytes.len() as u64, created_at, updated_at, labels: Labels::new() }
}

fn status(reference: &str, (data, total): &(Vec<u8>, i64)) -> Status {
    Status {
        reference: reference.to_owned(),
        offset: data.len() as u64,
        total: *total,
        expected: String::new(),
        started_at: Timestamp::NEVER,
        updated_at: Timestamp::NEVER,
    }
}

impl Blobs for Memory {
    fn info(&self, digest: &Digest) -> Result<Info> {
        let inside = self.0.lock().expect("lock");
        inside.blobs.get(digest).map(|b| info(digest, b)).ok_or_else(|| Error::not_found("blob"))
    }
    fn list(&self) -> Result<Vec<Info>> {
        Ok(self.0.lock().expect("lock").blobs.iter().map(|(d, b)| info(d, b)).collect())
    }
    fn delete(&self, digest: &Digest) -> Result<()> {
        self.0.lock().expect("lock").blobs.remove(digest).map(drop).ok_or_else(|| Error::not_found("blob"))
    }
    fn open(&self, digest: &Digest) -> Result<Box<dyn Blob>> {
        let inside = self.0.lock().expect("lock");
        inside
            .blobs
            .get(digest)
            .map(|b| Box::new(Opened(b.clone())) as _)
            .ok_or_else(|| Error::not_found("blob"))
    }
    fn ingest(&self, ingest: &Ingest) -> Result<Box<dyn Ingesting>> {
        let mut inside = self.0.lock().expect("lock");
        if !inside.locked.insert(ingest.reference.clone()) {
            return Err(Error::unavailable(format!("ref {} locked", ingest.reference)));
        }
        inside.ingests.entry(ingest.reference.clone()).or_insert((Vec::new(), ingest.total));
        Ok(Box::new(Open { store: self.0.clone(), reference: ingest.reference.clone() }))
    }
    fn status(&self, reference: &str) -> Result<Status> {
        let inside = self.0.lock().expect("lock");
        inside.ingests.get(reference).map(|i| status(reference, i)).ok_or_else(|| Error::not_found("ingest"))
    }
    fn ingests(&self) -> Result<Vec<String>> {
        Ok(self.refs())
    }
    fn ingest_name(&self, reference: &str) -> String {
        reference.to_owned()
    }
    fn discard(&self, name: &str) -> Result<()> {
        self.abort(name)
    }
    fn abort(&self, reference: &str) -> Result<()> {
        self.0
            .lock()
            .expect("lock")
            .ingests
            .remove(reference)
            .map(drop)
            .ok_or_else(|| Error::not_found("ingest"))
    }
}

struct Opened(Arc<Vec<u8>>);

impl Blob for Opened {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

struct Open {
    store: Arc<Mutex<Inside>>,
    reference: String,
}

impl Open {
    fn data(&self) -> Vec<u8> {
        self.store.lock().expect("lock").ingests.get(&self.reference).map(|i| i.0.clone()).unwrap_or_default()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.store.lock().expect("lock").locked.remove(&self.reference);
    }
}

impl Ingesting for Open {
    fn status(&self) -> Status {
        let inside = self.store.lock().expect("lock");
        inside
            .ingests
            .get(&self.reference)
            .map_or_else(|| status(&self.reference, &(Vec::new(), 0)), |i| status(&self.reference, i))
    }
    fn digest(&self) -> Digest {
        Digest::of(&self.data())
    }
    fn write(&mut self, data: &[u8]) -> Result<()> {
        let mut inside = self.store.lock().expect("lock");
        inside.ingests.entry(self.reference.clone()).or_default().0.extend_from_slice(data);
        Ok(())
    }
    fn truncate(&mut self) -> Result<()> {
        self.store.lock().expect("lock").ingests.entry(self.reference.clone()).or_default().0.clear();
        Ok(())
    }
    fn sync(&mut self) -> Result<()> {
        Ok(())
    }
    fn commit(&mut self, _size: i64, expected: &str) -> Result<Digest> {
        let data = self.data();
        let digest = Digest::of(&data);
        if !expected.is_empty() && digest != *expected {
            return Err(Error::failed_precondition(format!(
                "unexpected commit digest {digest}, expected {expected}"
            )));
        }
        let mut inside = self.store.lock().expect("lock");
        if inside.ingests.remove(&self.reference).is_none() {
            return Err(Error::unknown("no such file or directory"));
        }
        match inside.blobs.insert(digest.clone(), Arc::new(data)) {
            Some(_) => Err(Error::already_exists("blob")),
            None => Ok(digest),
        }
    }
}

/// Snapshots as directories that share nothing.
pub struct Directories {
    root: PathBuf,
    /// Whether `create` fails.
    pub refuse: Mutex<bool>,
    /// The directories that cannot be removed.
    pub stuck: Mutex<BTreeSet<u64>>,
    /// Where `commit` waits.
    pub door: Door,
    /// Where `remove` waits.
    pub exit: Door,
    /// What it adds to labels.
    pub labels: Mutex<Labels>,
}

/// Where threads wait while it is shut.
#[derive(Default)]
pub struct Door {
    shut: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Door {
    pub fn shut(&self) {
        *self.shut.lock().expect("lock") = true;
    }

    /// Shuts it until the guard is dropped: a test that fails leaves nobody waiting.
    pub fn shut_for_now(&self) -> impl Drop {
        struct Shut<'a>(&'a Door);
        impl Drop for Shut<'_> {
            fn drop(&mut self) {
                self.0.open();
            }
        }
        self.shut();
        Shut(self)
    }

    pub fn open(&self) {
        *self.shut.lock().expect("lock") = false;
        self.opened.notify_all();
    }

    pub fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        drop(self.opened.wait_while(self.shut.lock().expect("lock"), |shut| *shut).expect("lock"));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many are at the door.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Directories {
    pub fn new(root: &Path) -> Self {
        std::fs::create_dir_all(root).expect("root");
        let (refuse, stuck, door, exit, labels) = Default::default();
        Self { root: root.to_owned(), refuse, stuck, door, exit, labels }
    }

    fn at(&self, id: u64) -> PathBuf {
        self.root.join(id.to_string())
    }
}

impl Driver for Directories {
    fn probe(&self) -> Result<()> {
        Ok(())
    }
    fn create(&self, layer: &Layer) -> Result<()> {
        if *self.refuse.lock().expect("lock") {
            return Err(Error::exhausted("no space"));
        }
        for parent in &layer.parents {
            assert!(self.at(*parent).exists(), "parent {parent} has its directory");
        }
        std::fs::create_dir(self.at(layer.id)).map_err(|e| Error::io("create", self.at(layer.id), e))
    }
    fn mounts(&self, layer: &Layer) -> Result<Vec<Mount>> {
        let options = layer.parents.iter().map(u64::to_string).collect();
        Ok(vec![Mount {
            kind: "bind".into(),
            source: self.at(layer.id).display().to_string(),
            target: String::new(),
            options,
        }])
    }
    fn usage(&self, layer: &Layer) -> Result<Usage> {
        let files =
            std::fs::read_dir(self.at(layer.id)).map_err(|e| Error::io("read", self.at(layer.id), e))?;
        Ok(Usage { size: 0, inodes: 1 + files.count() as i64 })
    }
    fn commit(&self, layer: &Layer) -> Result<Usage> {
        self.door.pass();
        self.usage(layer)
    }
    fn remove(&self, id: u64) -> Result<()> {
        self.exit.pass();
        if self.stuck.lock().expect("lock").contains(&id) {
            return Err(Error::unknown(format!("remove {id}: operation not permitted")));
        }
        match std::fs::remove_dir_all(self.at(id)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", self.at(id), e)),
            _ => Ok(()),
        }
    }
    fn list(&self) -> Result<Vec<u64>> {
        let entries = std::fs::read_dir(&self.root).map_err(|e| Error::io("read", &self.root, e))?;
        let mut ids: Vec<u64> = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
        ids.sort_unstable();
        Ok(ids)
    }
    fn can_rebase(&self) -> bool {
        true
    }
    fn labels(&self, id: u64) -> Labels {
        let labels = self.labels.lock().expect("lock").clone();
        labels.into_iter().map(|(key, value)| (key, format!("{value}{id}"))).collect()
    }
}

/// Events as text; a field is `name` in `name=value` lines.
pub struct Plain;

impl Codec for Plain {
    fn encode(&self, event: &Event) -> Any {
        Any { type_url: event.topic().to_owned(), value: format!("{event:?}").into_bytes().into() }
    }
    fn decode(&self, event: &Any) -> Box<dyn Fields> {
        Box::new(Lines(String::from_utf8_lossy(&event.value).into_owned()))
    }
}

struct Lines(String);

impl Fields for Lines {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        let value = self.0.lines().find_map(|l| l.strip_prefix(&path.join("."))?.strip_prefix('='));
        value.map(Cow::Borrowed)
    }
}

/// A runtime without tasks.
pub struct Idle;

#[async_trait::async_trait]
impl Runtime for Idle {
    async fn create(&self, _: &Scope, _: &Container, _: &Create) -> Result<u32> {
        Err(Error::not_implemented("tasks"))
    }
    fn get(&self, _: &Scope, id: &str) -> Result<Arc<dyn Task>> {
        Err(Error::new(model::Kind::NotFound, format!("task {id} not found")))
    }
    fn list(&self, _: &Namespace) -> Vec<Arc<dyn Task>> {
        Vec::new()
    }
    fn owns(&self, _: &Namespace, _: &str) -> bool {
        false
    }
}
