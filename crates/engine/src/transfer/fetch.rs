//! One object from a registry into the content store: resumed where it was left, checked while it arrives.

use super::progress::Job;
use bytes::{Bytes, BytesMut};
use model::content::{Commit, Content, Ingest, Writer};
use model::registries::{Body, Repository};
use model::{Error, Kind, Labels, Mask, Result, Scope};
use oci::Descriptor;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::interval;

/// How much is written at a time, in bytes.
const PIECE: usize = 1 << 20;
/// How often is looked whether another writer is done.
const LOOK: Duration = Duration::from_millis(100);
/// How long another writer may stand still.
const STILL: Duration = Duration::from_secs(60);
/// The longest list of repositories that fits into a label, in bytes.
const SOURCES: usize = 4000;

/// Brings objects of one repository into a namespace.
pub struct Fetcher {
    /// Where they go.
    pub content: Arc<dyn Content>,
    /// On whose behalf.
    pub scope: Scope,
    /// Where they come from.
    pub repository: Arc<dyn Repository>,
    /// How many are on their way at a time, of all transfers.
    pub permits: Arc<Semaphore>,
}

/// Whether an object needs another try.
enum Ended {
    /// It is there.
    Here,
    /// What an earlier transfer left of it was damaged; it is gone now.
    Again,
}

impl Fetcher {
    /// Fetches an object, unless it is there.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArgument` (a descriptor without size), `FailedPrecondition` (other bytes than promised),
    /// `Unavailable` (another writer holds it and does not move), what the registry and the disk say.
    pub async fn fetch(&self, descriptor: &Descriptor, job: &Job) -> Result<()> {
        if descriptor.size <= 0 {
            let text = format!(
                "unable to fetch descriptor ({}) which reports content size of zero",
                descriptor.digest
            );
            return Err(Error::invalid(text));
        }
        let _permit = self.permits.acquire().await.map_err(|_| Error::cancelled("fetch"))?;
        loop {
            match self.fetch_once(descriptor, job).await {
                Ok(Ended::Here) => return Ok(()),
                Ok(Ended::Again) => {}
                Err(e) => return Err(e.during(format!("fetch {}", descriptor.ref_key()))),
            }
        }
    }

    async fn fetch_once(&self, descriptor: &Descriptor, job: &Job) -> Result<Ended> {
        let reference = descriptor.ref_key();
        let ingest = Ingest {
            reference: reference.clone(),
            total: descriptor.size,
            expected: descriptor.digest.to_string(),
        };
        let mut writer = match self.open(ingest).await {
            Err(e) if e.is_already_exists() => {
                self.note_source(descriptor).await?;
                job.exists();
                return Ok(Ended::Here);
            }
            other => other?,
        };
        job.begin();
        let size = descriptor.size as u64;
        let mut offset = writer.status().await?.offset;
        if offset > size {
            writer.truncate().await?;
            offset = 0;
        }
        let filled = self.fill(&mut *writer, (descriptor, offset), job).await;
        let done = match filled {
            Ok(()) => self.commit(&mut *writer, descriptor).await,
            Err(e) => Err(e),
        };
        drop(writer);
        match done {
            Ok(()) => {
                job.complete();
                Ok(Ended::Here)
            }
            Err(e) if e.kind() == Kind::FailedPrecondition => {
                // Other bytes than promised are of no use to anybody.
                if let Err(second) = self.content.abort(&self.scope, &reference).await
                    && !second.is_not_found()
                {
                    return Err(e.beside(second));
                }
                if offset > 0 {
                    tracing::warn!(error = %e, reference, "a resumed download was damaged and is fetched anew");
                    return Ok(Ended::Again);
                }
                Err(e)
            }
            Err(e) => Err(e),
        }
    }

    /// Opens the ingest; waits while somebody else writes it, as long as that one moves.
    async fn open(&self, ingest: Ingest) -> Result<Box<dyn Writer>> {
        let mut looks = interval(LOOK);
        let (mut seen, mut since) = (None, Instant::now());
        loop {
            looks.tick().await;
            let error = match self.content.writer(&self.scope, ingest.clone()).await {
                Err(e) if e.kind() == Kind::Unavailable => e,
                other => return other,
            };
            let offset = self.content.status(&self.scope, &ingest.reference).await.ok().map(|s| s.offset);
            if offset != seen {
                (seen, since) = (offset, Instant::now());
            } else if since.elapsed() > STILL {
                return Err(error.during(format!("another transfer holds it and did not move for {STILL:?}")));
            }
        }
    }

    /// Writes what is missing; the next bytes arrive while the last are hashed and written.
    async fn fill(
        &self,
        writer: &mut dyn Writer,
        (descriptor, mut offset): (&Descriptor, u64),
        job: &Job,
    ) -> Result<()> {
        let size = descriptor.size as u64;
        job.done.reset();
        job.done.add(offset);
        if offset == size {
            return Ok(());
        }
        if let Some(data) = descriptor.inline_data() {
            writer.truncate().await?;
            return writer.write(Bytes::copy_from_slice(data)).await.map(drop);
        }
        let begun = offset;
        let mut body = self.repository.fetch(descriptor, offset).await?;
        let mut piece = gather(&mut *body, job).await?;
        while !piece.is_empty() {
            offset += piece.len() as u64;
            if offset > size {
                return Err(Error::failed_precondition(format!(
                    "{:?} failed size validation: more than {size} bytes came",
                    descriptor.ref_key()
                )));
            }
            let (written, next) = tokio::join!(writer.write(piece), gather(&mut *body, job));
            written?;
            piece = next?;
        }
        if offset < size {
            return Err(Error::unknown(format!(
                "failed to copy: short read: expected {} bytes but got {}: unexpected EOF",
                size - begun,
                offset - begun
            )));
        }
        Ok(())
    }

    async fn commit(&self, writer: &mut dyn Writer, descriptor: &Descriptor) -> Result<()> {
        let (key, repository) = self.repository.source();
        let commit = Commit {
            size: descriptor.size,
            expected: descriptor.digest.to_string(),
            labels: Labels::from([(key, repository)]),
        };
        match writer.commit(commit).await {
            Err(e) if e.is_already_exists() => self.note_source(descriptor).await,
            other => other.map(drop),
        }
    }

    /// Adds the repository to those that a blob is known to be in.
    async fn note_source(&self, descriptor: &Descriptor) -> Result<()> {
        let (key, repository) = self.repository.source();
        let mut info = self.content.info(&self.scope, &descriptor.digest).await?;
        let known = info.labels.get(&key).map(String::as_str).unwrap_or_default();
        let mut all: Vec<&str> = known.split(',').filter(|known| !known.is_empty()).collect();
        if all.contains(&repository.as_str()) {
            return Ok(());
        }
        all.push(&repository);
        all.sort_unstable();
        let all = all.join(",");
        if all.len() > SOURCES {
            return Ok(());
        }
        info.labels = Labels::from([(key.clone(), all)]);
        self.content.update(&self.scope, info, Mask(vec![format!("labels.{key}")])).await.map(drop)
    }
}

/// About a piece of a body, nothing at its end. What came before an error is lost with it: less than a piece.
async fn gather(body: &mut dyn Body, job: &Job) -> Result<Bytes> {
    let Some(first) = body.next().await? else { return Ok(Bytes::new()) };
    job.done.add(first.len() as u64);
    if first.len() >= PIECE {
        return Ok(first);
    }
    let mut piece = BytesMut::with_capacity(PIECE);
    piece.extend_from_slice(&first);
    while piece.len() < PIECE
        && let Some(next) = body.next().await?
    {
        job.done.add(next.len() as u64);
        piece.extend_from_slice(&next);
    }
    Ok(piece.freeze())
}
