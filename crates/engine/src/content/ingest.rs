//! Opening and dropping ingests.

use super::writer::{IngestWriter, State};
use super::{Content, Sharing, missing_ingest};
use crate::{clock, leased};
use model::content::{Blobs, Ingest, Writer};
use model::{Error, Kind, Result, Scope};
use oci::Digest;
use std::time::Duration;
use store::content;

/// How long an ingest lives that no lease holds.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a writer is opened on.
enum Opened {
    /// The namespace has the blob already.
    Exists(Digest),
    /// Another namespace has it; no bytes are needed.
    Shared { digest: Digest, size: u64, backend: String },
    /// An ingest with bytes of its own.
    Own { backend: String },
}

impl Content {
    pub(super) async fn open_writer(&self, scope: Scope, ingest: Ingest) -> Result<Box<dyn Writer>> {
        if ingest.reference.is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "ref must not be empty: invalid argument"));
        }
        // What is no digest is nobody's blob: it fails at commit.
        let expected = Digest::parse(&ingest.expected).ok();
        let claim = match expected.clone() {
            Some(digest) => Some(self.claims.hold(digest).await?),
            None => None,
        };
        let on_disk = match expected {
            Some(digest) => self.find_on_disk(digest, ingest.total).await?,
            None => None,
        };
        let opened = self.record(&scope, &ingest, on_disk).await?;
        drop(claim);
        let (state, backend) = match opened {
            Opened::Exists(digest) => return Err(Error::already_exists(format!("content {digest}"))),
            Opened::Shared { digest, size, backend } => {
                (State::Shared { digest, size, started_at: clock::now() }, backend)
            }
            Opened::Own { backend } => {
                let own = Ingest { reference: backend.clone(), total: ingest.total, expected: String::new() };
                let step = format!("open ingest {}", ingest.reference);
                (State::Own(self.on_disk(&step, move |blobs| blobs.ingest(&own)).await?), backend)
            }
        };
        Ok(Box::new(IngestWriter::new(self.clone(), scope, (ingest.reference, backend), state)))
    }

    /// The blob on disk, if it has the size that is asked for.
    async fn find_on_disk(&self, digest: Digest, total: i64) -> Result<Option<(Digest, u64)>> {
        let step = format!("look at blob {digest}");
        self.on_disk(&step, move |blobs| match blobs.info(&digest) {
            Ok(info) if total == 0 || i64::try_from(info.size).is_ok_and(|size| size == total) => {
                Ok(Some((digest, info.size)))
            }
            Ok(_) => Ok(None),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        })
        .await
    }

    /// The write that opens an ingest, or finds the blob in the namespace and leases it.
    async fn record(&self, scope: &Scope, ingest: &Ingest, on_disk: Option<(Digest, u64)>) -> Result<Opened> {
        let (scope, sharing) = (scope.clone(), self.sharing);
        let (reference, expected) = (ingest.reference.clone(), Digest::parse(&ingest.expected).ok());
        let write = self.database.write(move |tx| {
            if let Some(digest) = expected
                && content::exists(tx, &scope.namespace, &digest)?
            {
                leased::add(tx, &scope, &leased::content(digest.as_str()))
                    .map_err(|e| e.during("unable to lease content"))?;
                return Ok(Opened::Exists(digest));
            }
            let shared = match on_disk {
                Some((digest, size)) if sharing == Sharing::Shared || content::is_shareable(tx, &digest)? => {
                    Some((digest, size))
                }
                _ => None,
            };
            let is_leased = leased::add(tx, &scope, &leased::ingest(&reference))?;
            let stored = content::find_ingest(tx, &scope.namespace, &reference)?;
            let backend = match &stored {
                Some(stored) => stored.backend.clone(),
                None => format!("{}/{}/{reference}", scope.namespace, content::next_ingest(tx)?),
            };
            let expires_at = match (is_leased, &stored) {
                (true, stored) => stored.as_ref().and_then(|s| s.expires_at),
                (false, _) => Some(clock::now().plus(LIFE)),
            };
            let expected = shared.as_ref().map(|(digest, _)| digest.to_string()).unwrap_or_default();
            let record = content::Ingest { reference, backend: backend.clone(), expires_at, expected };
            content::put_ingest(tx, &scope.namespace, &record)?;
            Ok(match shared {
                Some((digest, size)) => Opened::Shared { digest, size, backend },
                None => Opened::Own { backend },
            })
        });
        write.await
    }

    pub(super) async fn abort_ingest(&self, scope: Scope, reference: String) -> Result<()> {
        let step = format!("remove ingest {reference}");
        let write = self.database.write(move |tx| {
            let Some(stored) = content::find_ingest(tx, &scope.namespace, &reference)? else {
                return Err(missing_ingest(&reference));
            };
            content::delete_ingest(tx, &scope.namespace, &reference)?;
            leased::remove(tx, &scope, &leased::ingest(&reference))?;
            Ok(stored.backend)
        });
        let backend = write.await?;
        self.on_disk(&step, move |blobs| abort(blobs, &backend)).await
    }

    /// Ends an ingest whose blob has come to the namespace by another way. No lease holds the blob for that, unlike when an
    /// ingest is opened or committed, as clients know it.
    ///
    /// # Errors
    /// `AlreadyExists` if it has.
    pub(super) async fn refuse_known(&self, scope: Scope, reference: String, wanted: Digest) -> Result<()> {
        if !self.database.read(|tx| content::exists(tx, &scope.namespace, &wanted))? {
            return Ok(());
        }
        let step = format!("remove ingest {reference}");
        let write = self.database.write(move |tx| {
            if !content::exists(tx, &scope.namespace, &wanted)? {
                return Ok(None);
            }
            let stored = content::find_ingest(tx, &scope.namespace, &reference)?;
            content::delete_ingest(tx, &scope.namespace, &reference)?;
            leased::remove(tx, &scope, &leased::ingest(&reference))?;
            let text = format!("blob with expected digest {wanted} exists");
            Ok(Some((Error::new(Kind::AlreadyExists, text), stored)))
        });
        let Some((known, stored)) = write.await? else { return Ok(()) };
        let Some(stored) = stored else { return Err(known) };
        match self.on_disk(&step, move |blobs| abort(blobs, &stored.backend)).await {
            Err(second) => Err(known.beside(second)),
            Ok(()) => Err(known),
        }
    }
}

/// Drops an ingest's bytes. One that is share-pending has none, normally.
pub(super) fn abort(blobs: &dyn Blobs, backend: &str) -> Result<()> {
    match blobs.abort(backend) {
        Err(e) if e.is_not_found() => Ok(()),
        result => result,
    }
}
