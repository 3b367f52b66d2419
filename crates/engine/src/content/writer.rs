//! An open ingest: bytes of its own, or a blob that another namespace has.

use super::ingest::abort;
use super::{Content, missing, shown, to_end};
use crate::claims::Claim;
use crate::gc::Gone;
use crate::{clock, leased, masks};
use async_trait::async_trait;
use bytes::Bytes;
use model::content::{Blobs, Commit, Info, Ingest, Ingesting, Status, Writer};
use model::events::Event;
use model::{Error, Result, Scope, Timestamp, labels};
use oci::Digest;
use std::sync::{Arc, Mutex, PoisonError};
use store::content;

/// How much is copied at a time when a shared blob gets bytes of its own.
const COPY: usize = 1 << 20;

/// What an open writer stands on.
pub(super) enum State {
    /// A blob on disk that the namespace may have as it is.
    Shared { digest: Digest, size: u64, started_at: Timestamp },
    /// Bytes of its own.
    Own(Box<dyn Ingesting>),
    /// Committed, or lost with a panic.
    Closed,
}

/// An open ingest of a namespace.
pub(super) struct IngestWriter {
    content: Content,
    scope: Scope,
    /// The ref, as the client named it.
    reference: String,
    /// The ref on disk.
    backend: String,
    state: Arc<Mutex<State>>,
}

/// What a commit has to write down.
struct Finished {
    digest: Digest,
    size: u64,
}

impl IngestWriter {
    pub(super) fn new(
        content: Content,
        scope: Scope,
        (reference, backend): (String, String),
        state: State,
    ) -> Self {
        Self { content, scope, reference, backend, state: Arc::new(Mutex::new(state)) }
    }

    /// Works with the state on the disk's side of the fence.
    async fn with_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (state, step) = (self.state.clone(), format!("ingest {}", self.reference));
        let gate = &self.content.gate;
        gate.run(&step, move || work(&mut state.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// Gives the ingest bytes of its own, then works with them.
    async fn with_own<T: Send + 'static>(
        &self,
        copy: Copy,
        work: impl FnOnce(&mut dyn Ingesting) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (blobs, backend) = (self.content.blobs.clone(), self.backend.clone());
        self.with_state(move |state| {
            if let State::Shared { digest, size, .. } = state {
                let total = i64::try_from(*size).unwrap_or(i64::MAX);
                let mut own = blobs.ingest(&Ingest { reference: backend, total, expected: String::new() })?;
                own.truncate()?;
                if copy == Copy::Blob {
                    copy_blob(&*blobs, digest, &mut *own)?;
                }
                *state = State::Own(own);
            }
            match state {
                State::Own(own) => work(&mut **own),
                _ => Err(closed()),
            }
        })
        .await
    }

    /// Makes the bytes a blob on disk. The claim is held until the row is there.
    async fn finish(&self, commit: &Commit) -> Result<(Finished, Arc<Claim<Digest>>)> {
        let (reference, size) = (self.reference.clone(), commit.size);
        let expected = commit.expected.clone();
        let digest = self
            .with_state(move |state| match state {
                State::Shared { digest, size: actual, .. } => {
                    check_size(&reference, *actual, size)?;
                    if !expected.is_empty() && *digest != *expected.as_str() {
                        return Err(Error::failed_precondition(format!("{reference:?} unexpected digest")));
                    }
                    Ok(digest.clone())
                }
                State::Own(own) => {
                    own.sync().map_err(|e| e.during("failed to perform sync"))?;
                    check_size(&reference, own.status().offset, size)?;
                    Ok(Digest::parse(&expected).unwrap_or_else(|_| own.digest()))
                }
                State::Closed => Err(closed()),
            })
            .await?;
        let claim = Arc::new(self.content.claims.hold(digest.clone()).await?);
        let (expected, blobs) = (commit.expected.clone(), self.content.blobs.clone());
        let (held, backend) = (claim.clone(), self.backend.clone());
        let finished = self.with_state(move |state| {
            let _held = held;
            let finished = match state {
                State::Shared { digest, size, .. } => {
                    // Its record kept the blob; without the record it may be gone.
                    blobs.info(digest).map_err(|e| if e.is_not_found() { missing(digest) } else { e })?;
                    // It may have been opened before for bytes of its own.
                    abort(&*blobs, &backend)?;
                    Finished { digest: digest.clone(), size: *size }
                }
                State::Own(own) => {
                    let actual = own.status().offset;
                    match own.commit(size, &expected) {
                        Ok(digest) => Finished { digest, size: actual },
                        Err(e) if e.is_already_exists() => Finished { digest, size: actual },
                        Err(e) => return Err(e),
                    }
                }
                State::Closed => return Err(closed()),
            };
            *state = State::Closed;
            Ok(finished)
        });
        Ok((finished.await?, claim))
    }

    /// The one write that turns the ingest into a blob of the namespace.
    async fn name(&self, finished: Finished, commit: Commit) -> Result<Digest> {
        let (scope, reference) = (self.scope.clone(), self.reference.clone());
        let write = self.content.database.write(move |tx| {
            let Finished { digest, size } = finished;
            content::delete_ingest(tx, &scope.namespace, &reference)?;
            leased::remove(tx, &scope, &leased::ingest(&reference))?;
            leased::add(tx, &scope, &leased::content(digest.as_str()))?;
            if content::exists(tx, &scope.namespace, &digest)? {
                return Ok(Err(Error::already_exists(format!("content {digest}"))));
            }
            let now = clock::now();
            let labels = masks::storable(&commit.labels)?;
            let info = Info { digest: digest.clone(), size, created_at: now, updated_at: now, labels };
            content::put(tx, &scope.namespace, &info)?;
            tx.emit(&scope.namespace, Event::ContentCreate { digest: digest.to_string(), size });
            Ok(Ok(digest))
        });
        write.await?
    }

    async fn commit_to_end(self, commit: Commit) -> Result<Digest> {
        labels::validate("info.Labels", &commit.labels)?;
        masks::storable(&commit.labels)?;
        let (finished, claim) = self.finish(&commit).await?;
        let result = self.name(finished, commit).await;
        drop(claim);
        if result.is_err() {
            // The bytes may have a place and no row.
            self.content.pressure.removed(Gone::Content);
        }
        result
    }

    fn clone_handle(&self) -> Self {
        Self {
            content: self.content.clone(),
            scope: self.scope.clone(),
            reference: self.reference.clone(),
            backend: self.backend.clone(),
            state: self.state.clone(),
        }
    }
}

/// What a shared ingest's own bytes begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copy {
    Blob,
    Nothing,
}

fn copy_blob(blobs: &dyn Blobs, digest: &Digest, own: &mut dyn Ingesting) -> Result<()> {
    let blob = blobs.open(digest)?;
    let mut buffer = vec![0; COPY.min(usize::try_from(blob.size()).unwrap_or(COPY))];
    let mut offset = 0;
    loop {
        let n = blob.read_at(&mut buffer, offset)?;
        if n == 0 {
            return Ok(());
        }
        own.write(&buffer[..n])?;
        offset += n as u64;
    }
}

fn check_size(reference: &str, actual: u64, size: i64) -> Result<()> {
    if size != 0 && i64::try_from(actual) != Ok(size) {
        let text = format!("{reference:?} failed size validation: {actual} != {size}");
        return Err(Error::failed_precondition(text));
    }
    Ok(())
}

fn closed() -> Error {
    Error::failed_precondition("the ingest is closed")
}

#[async_trait]
impl Writer for IngestWriter {
    async fn status(&mut self) -> Result<Status> {
        let reference = self.reference.clone();
        self.with_state(move |state| match state {
            State::Shared { digest, size, started_at } => Ok(Status {
                reference,
                offset: *size,
                total: i64::try_from(*size).unwrap_or(i64::MAX),
                expected: digest.to_string(),
                started_at: *started_at,
                updated_at: *started_at,
            }),
            State::Own(own) => Ok(shown(own.status(), &reference)),
            State::Closed => Err(closed()),
        })
        .await
    }

    async fn digest(&mut self) -> Result<Digest> {
        self.with_state(|state| match state {
            State::Shared { digest, .. } => Ok(digest.clone()),
            State::Own(own) => Ok(own.digest()),
            State::Closed => Err(closed()),
        })
        .await
    }

    async fn expect(&mut self, digest: &Digest) -> Result<()> {
        let (content, scope) = (self.content.clone(), self.scope.clone());
        let (reference, digest) = (self.reference.clone(), digest.clone());
        to_end(async move { content.refuse_known(scope, reference, digest).await }).await
    }

    async fn write(&mut self, data: Bytes) -> Result<Digest> {
        if data.is_empty() {
            return self.digest().await;
        }
        self.with_own(Copy::Blob, move |own| own.write(&data).map(|()| own.digest())).await
    }

    async fn truncate(&mut self) -> Result<()> {
        self.with_own(Copy::Nothing, |own| own.truncate()).await
    }

    async fn commit(&mut self, commit: Commit) -> Result<Digest> {
        to_end(self.clone_handle().commit_to_end(commit)).await
    }
}
