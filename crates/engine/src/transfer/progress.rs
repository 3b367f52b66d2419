//! How far a transfer is: one line for each object, then news of those that move.
//!
//! ```text
//! waiting ─▶ downloading (uploading) ─▶ complete ─▶ extracting ─▶ extracted
//!        └─▶ already exists
//! ```
//!
//! Clients draw a tree from it, so an object is told of after the one it is part of.

use super::{News, documents};
use model::registries::Sent;
use model::transfer::Progress;
use oci::{Descriptor, Digest};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often moving objects are told of.
const TICK: Duration = Duration::from_millis(300);

/// The objects of a transfer.
pub struct Tracker {
    news: News,
    /// What moving objects do: `downloading`, `uploading`.
    verb: &'static str,
    jobs: Mutex<HashMap<Digest, Arc<Job>>>,
}

/// One object.
pub struct Job {
    news: News,
    verb: &'static str,
    descriptor: Descriptor,
    name: String,
    parents: Vec<String>,
    /// Bytes done.
    pub done: Sent,
    moving: Mutex<bool>,
}

impl Tracker {
    /// A tracker of a transfer that has no object yet.
    pub fn new(news: &News, verb: &'static str) -> Arc<Self> {
        Arc::new(Self { news: news.clone(), verb, jobs: Mutex::default() })
    }

    fn jobs(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of an object that is part of `parent`; the same one again for a digest that is known.
    pub fn add(&self, descriptor: &Descriptor, parent: &str) -> Arc<Job> {
        if let Some(known) = self.jobs().get(&descriptor.digest) {
            return known.clone();
        }
        let job = Arc::new(Job {
            news: self.news.clone(),
            verb: self.verb,
            descriptor: descriptor.clone(),
            name: descriptor.ref_key(),
            parents: vec![parent.to_owned()],
            done: Sent::default(),
            moving: Mutex::new(false),
        });
        job.tell("waiting", 0);
        self.jobs().insert(descriptor.digest.clone(), job.clone());
        job
    }

    /// The object of a digest.
    pub fn find(&self, digest: &Digest) -> Option<Arc<Job>> {
        self.jobs().get(digest).cloned()
    }

    /// Runs the transfer and tells of what moves meanwhile.
    pub async fn watch<T>(&self, transfer: impl Future<Output = T>) -> T {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(transfer);
        loop {
            tokio::select! {
                biased;
                result = &mut transfer => return result,
                _ = ticks.tick() => self.jobs().values().for_each(|job| job.tell_if_moving()),
            }
        }
    }
}

impl Job {
    /// The name under which clients know the object.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn moving(&self) -> MutexGuard<'_, bool> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It moves from now on.
    pub fn begin(&self) {
        *self.moving() = true;
    }

    /// It is where it should be.
    pub fn complete(&self) {
        *self.moving() = false;
        self.tell("complete", self.descriptor.size);
    }

    /// It was there before.
    pub fn exists(&self) {
        *self.moving() = false;
        let event = "already exists".into();
        self.news.tell(Progress { event, parents: Vec::new(), ..self.line(self.descriptor.size) });
    }

    /// It is a layer and becomes a snapshot.
    pub fn extracting(&self) {
        self.tell("extracting", self.descriptor.size);
    }

    /// It is a layer and became a snapshot.
    pub fn extracted(&self) {
        self.tell("extracted", self.descriptor.size);
    }

    fn tell_if_moving(&self) {
        if *self.moving() {
            self.tell(self.verb, i64::try_from(self.done.get()).unwrap_or(i64::MAX));
        }
    }

    fn tell(&self, event: &str, progress: i64) {
        self.news.tell(Progress { event: event.into(), ..self.line(progress) });
    }

    fn line(&self, progress: i64) -> Progress {
        Progress {
            event: String::new(),
            name: self.name.clone(),
            parents: self.parents.clone(),
            progress,
            total: self.descriptor.size,
            descriptor: Some(documents::target(&self.descriptor)),
        }
    }
}
