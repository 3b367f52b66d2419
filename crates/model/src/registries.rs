//! Registries: images at a distance, one repository at a time.
//!
//! A [`Repository`] is opened for one transfer: it remembers which host answered and what it may do there. Whoever
//! implements it speaks HTTP; whoever uses it sees descriptors and bytes. Not here: referrers, and several connections
//! for one blob.

use crate::{Any, Labels, Result, content, transfer};
use async_trait::async_trait;
use bytes::Bytes;
use oci::{Descriptor, Digest};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The prefix of the labels that tell from which repositories a blob came; the host's name without its port follows,
/// and the value lists repositories.
pub const SOURCE: &str = "containerd.io/distribution.source.";

/// What a transfer wants to reach, and on whose behalf.
pub struct Access {
    /// The image, and how its registry is found.
    pub registry: transfer::Registry,
    /// Who is asked for credentials; nobody for anonymous access.
    pub credentials: Option<Arc<dyn Credentials>>,
}

/// A registry wants to know who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The registry's host.
    pub host: String,
    /// The image's reference, as the client wrote it.
    pub reference: String,
    /// The registry's challenges (`WWW-Authenticate`).
    pub challenges: Vec<String>,
}

/// What somebody shows to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    None,
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        secret: String,
    },
    /// A token with which to get tokens.
    Refresh(String),
    /// The value of the `Authorization` header, as it is.
    Header(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::None => "None",
            Credential::Basic { .. } => "Basic(…)",
            Credential::Refresh(_) => "Refresh(…)",
            Credential::Header(_) => "Header(…)",
        })
    }
}

/// Whoever knows credentials.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Answers a question; [`Credential::None`] when there is nothing to show.
    async fn ask(&self, question: Question) -> Result<Credential>;
}

/// Questions and answers as they cross a client's stream.
pub trait Phrases: Send + Sync {
    /// A question as a message.
    fn question(&self, question: Question) -> Any;
    /// A message as an answer. Errors: `InvalidArgument` for what is none.
    fn answer(&self, message: Any) -> Result<Credential>;
}

/// All registries.
#[async_trait]
pub trait Registries: Send + Sync {
    /// Finds out how a reference's repository is reached; asks no registry yet. Errors: `InvalidArgument` (reference,
    /// configuration), `NotFound` (a certificate).
    async fn open(&self, access: Access) -> Result<Arc<dyn Repository>>;
}

/// A repository, opened for one transfer.
#[async_trait]
pub trait Repository: Send + Sync {
    /// The label that says of a blob that it is in this repository: key and value.
    fn source(&self) -> (String, String);
    /// What the reference stands for now. Errors: `NotFound`, `Unknown` (refused, unreachable).
    async fn resolve(&self) -> Result<Descriptor>;
    /// The content from `offset` on. It may be shorter or longer than the descriptor says, and other bytes: the caller
    /// checks. Errors: as [`Repository::resolve`].
    async fn fetch(&self, descriptor: &Descriptor, offset: u64) -> Result<Box<dyn Body>>;
    /// Brings content into the repository. Errors: `Unknown` (refused, unreachable), `NotFound` (nobody to push to).
    async fn push(&self, push: Push) -> Result<Pushed>;
}

/// Content on its way from a registry.
#[async_trait]
pub trait Body: Send {
    /// The next bytes, never empty; `None` at the end. A broken connection is taken up again before it is an error.
    async fn next(&mut self) -> Result<Option<Bytes>>;
}

/// Content on its way to a registry.
#[derive(Clone)]
pub struct Push {
    /// What it is.
    pub descriptor: Descriptor,
    /// The image that the reference will stand for; it gets the reference's tag.
    pub root: Digest,
    /// Its bytes.
    pub reader: Arc<dyn content::Reader>,
    /// The labels of its blob: they name repositories of the same registry that have it already.
    pub labels: Labels,
    /// How far it is.
    pub sent: Sent,
}

/// Bytes sent so far; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicU64>);

impl Sent {
    /// Counts bytes.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Begins anew.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The number of bytes.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The repository has it already.
    Exists,
    /// The registry took it over from another of its repositories.
    Mounted,
    /// Every byte was sent.
    Sent,
}
