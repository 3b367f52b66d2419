//! From an archive to the image store.
//!
//! The archive's blobs go into the content store while it arrives. Then the documents are walked to hang children on
//! parents, the platforms asked for are unpacked, and last the images get their names: an image that has a name is whole.

use super::{Failed, News, Transfers, documents, unpack};
use crate::{fresh, pipe};
use archive::compress::{Compression, Compressor};
use archive::decompress::{MAGIC_LEN, Packing};
use archive::import::{Imported, Incoming, Options, Sink};
use bytes::Bytes;
use model::content::{Commit, Content, Ingest, Writer};
use model::leases::{Leases, Resource};
use model::streams::{Source, Stream};
use model::transfer::{ImageStore, Import};
use model::{Error, Result, Scope, labels};
use oci::{Algorithm, Descriptor, Digest, Matcher, Platform, media_type};
use std::io::{Read, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How much of a blob is handed over at a time, in bytes.
const PIECE: usize = 1 << 20;

impl Transfers {
    /// Reads an archive from a stream into the image store.
    pub(super) async fn import(
        &self,
        scope: &Scope,
        ends: (&Import, &ImageStore),
        news: &News,
    ) -> Result<()> {
        let (source, store) = ends;
        news.event("Importing");
        let stream = self.streams.take(&scope.namespace, &source.stream)?;
        let options = Options { pack_layers: source.force_compress };
        let imported = match self.unpacker.check(&store.unpacks) {
            Ok(()) => self.receive(scope, &*stream, options).await,
            Err(e) => Err(e),
        };
        stream.close().await;
        let imported = imported?;
        let mut entries = imported.index.manifests;
        retain(&mut entries, &store.platforms);
        if entries.is_empty() {
            return Err(Error::unknown("image might be filtered out"));
        }
        self.hold_tree(scope, &imported.descriptor, &store.platforms).await?;
        for entry in &entries {
            self.unpack_entry(scope, entry, store).await?;
        }
        let mut names = Vec::new();
        for entry in &entries {
            names.extend(self.keep_imported(scope, store, entry).await?);
        }
        match self.keep(scope, store, &imported.descriptor).await {
            Err(e) if e.is_not_found() => {}
            kept => names.extend(kept?),
        }
        for name in &names {
            news.named("saved", name);
        }
        news.event("Completed import");
        Ok(())
    }

    async fn receive(&self, scope: &Scope, stream: &dyn Stream, options: Options) -> Result<Imported> {
        let (sender, mut reader) = pipe::inward();
        let (wants, enough) = oneshot::channel::<()>();
        let mut sink = Blobs {
            content: self.content.clone(),
            leases: self.leases.clone(),
            scope: scope.clone(),
            handle: Handle::current(),
            wants: Some(wants),
        };
        let reading = self.archives.run("import", move || {
            archive::import::import(&mut reader, &mut sink, options).map_err(|Failed(e)| e)
        });
        let feeding = async move {
            let mut source = Source::new(stream);
            tokio::pin!(enough);
            loop {
                let read = tokio::select! {
                    read = source.read() => read,
                    _ = &mut enough => return Ok(()),
                };
                let piece = match read {
                    Ok(Some(data)) => Ok(data),
                    Ok(None) => return Ok(()),
                    Err(e) => Err(e),
                };
                let last = piece.is_err();
                // The reader is gone when it has found a mistake.
                if sender.send(piece).await.is_err() || last {
                    return Ok(());
                }
            }
        };
        // A client that stalls does not keep the answer to a mistake in what it has sent: see [`Sink::enough`].
        tokio::try_join!(reading, feeding).map(|(imported, ())| imported)
    }

    /// Hangs children on parents, for the platforms asked for; all if none is.
    async fn hold_tree(&self, scope: &Scope, root: &Descriptor, platforms: &[Platform]) -> Result<()> {
        let mut seen = documents::Seen::new(root);
        let mut waiting = vec![root.clone()];
        while let Some(next) = waiting.pop() {
            if !seen.is_new(&next)? {
                continue;
            }
            let mut children = documents::children(&*self.content, scope, &next).await?;
            documents::hold(&*self.content, scope, &next, &children).await?;
            if media_type::is_index(&next.media_type) {
                retain(&mut children, platforms);
            }
            waiting.extend(children);
        }
        Ok(())
    }

    async fn unpack_entry(&self, scope: &Scope, entry: &Descriptor, store: &ImageStore) -> Result<()> {
        if store.unpacks.is_empty() {
            return Ok(());
        }
        let manifests = documents::manifests(&*self.content, scope, entry).await?;
        for unpack in &store.unpacks {
            let platform = unpack.platform.clone().unwrap_or_else(|| Platform::host(""));
            let Some(image) = documents::best(&manifests, &Matcher::only(&platform)) else { continue };
            self.unpacker.unpack(scope, image, unpack::snapshotter(unpack)).await?;
        }
        Ok(())
    }
}

/// Leaves the entries of an index that are for one of the platforms; all if none is named.
fn retain(entries: &mut Vec<Descriptor>, platforms: &[Platform]) {
    if !platforms.is_empty() {
        let matcher = Matcher::any(platforms);
        entries.retain(|entry| entry.platform.as_ref().is_none_or(|p| matcher.matches(p)));
    }
}

/// The content store, from the synchronous side.
struct Blobs {
    content: Arc<dyn Content>,
    leases: Arc<dyn Leases>,
    scope: Scope,
    handle: Handle,
    /// As long as more of the archive is wanted.
    wants: Option<oneshot::Sender<()>>,
}

impl Blobs {
    /// Stores what `fill` writes; `expected` is the digest it must have.
    fn store(
        &self,
        what: &str,
        expected: Option<&Digest>,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<Digest> {
        let reference = format!("import-{}-{what}", fresh::name());
        let expected = expected.map(Digest::to_string).unwrap_or_default();
        let ingest = Ingest { reference: reference.clone(), total: 0, expected: expected.clone() };
        let mut writer = match self.handle.block_on(self.content.writer(&self.scope, ingest)) {
            Err(e) if e.is_already_exists() => {
                fill(&mut std::io::sink())?;
                return Digest::parse(&expected).map_err(Error::invalid);
            }
            other => other?,
        };
        // The ref is fresh: bytes that are there already are the blob itself, adopted from another namespace.
        let adopted = self.handle.block_on(writer.status())?.offset > 0;
        let mut ingesting = Ingesting { writer, handle: &self.handle };
        let filled = if adopted { fill(&mut std::io::sink()) } else { fill(&mut ingesting) };
        let stored = filled.and_then(|()| {
            let digest = self.handle.block_on(ingesting.writer.digest())?;
            let commit = Commit { expected, ..Commit::default() };
            match self.handle.block_on(ingesting.writer.commit(commit)) {
                Err(e) if e.is_already_exists() => Ok(digest),
                other => other,
            }
        });
        drop(ingesting);
        if stored.is_err() {
            match self.handle.block_on(self.content.abort(&self.scope, &reference)) {
                Err(second) if !second.is_not_found() => return stored.map_err(|first| first.beside(second)),
                _ => {}
            }
        }
        stored.map_err(|e| e.during(format!("failed to ingest {what:?}")))
    }

    fn copy(&self, digest: &Digest, out: &mut dyn Write) -> Result<()> {
        let reader = self.handle.block_on(self.content.reader(&self.scope, digest))?;
        let mut offset = 0;
        while offset < reader.size() {
            let piece = self.handle.block_on(reader.read_at(offset, PIECE))?;
            if piece.is_empty() {
                return Err(Error::data_loss(format!("blob {digest} ends after {offset} bytes")));
            }
            offset += piece.len() as u64;
            out.write_all(&piece).map_err(written)?;
        }
        Ok(())
    }
}

impl Blobs {
    /// A packed blob that is known to hold a layer, as a pull leaves it. The lease holds it from here on.
    async fn packed(&self, diff_id: &Digest) -> Result<Option<Descriptor>> {
        let Self { content, scope, leases, .. } = self;
        let filter = format!("labels.{:?}=={diff_id}", labels::UNCOMPRESSED);
        for info in content.list(scope, &[filter]).await?.into_iter().filter(|info| info.digest != *diff_id) {
            if let Some(lease) = &scope.lease {
                let resource = Resource { kind: "content".into(), id: info.digest.to_string() };
                leases.add_resource(scope, lease, resource).await?;
            }
            // It may have gone before it was held.
            let head = match content.reader(scope, &info.digest).await {
                Err(e) if e.is_not_found() => continue,
                reader => reader?.read_at(0, MAGIC_LEN).await?,
            };
            let media_type = match Packing::detect(&head) {
                Packing::Plain => continue,
                Packing::Gzip => media_type::DOCKER_LAYER_GZIP,
                Packing::Zstd => media_type::DOCKER_LAYER_ZSTD,
            };
            return Ok(Some(Descriptor::new(media_type, info.digest, info.size as i64)));
        }
        Ok(None)
    }
}

impl Sink for Blobs {
    type Error = Failed;

    fn put_blob(&mut self, blob: Incoming<'_>) -> Result<Digest, Failed> {
        let Incoming { path, size, data } = blob;
        let named = path_digest(path);
        let stored = self.store(path, named.as_ref(), |out| {
            let copied = copy_all(data, out)?;
            match copied == size {
                true => Ok(()),
                false => Err(Error::unknown(format!(
                    "short read: expected {size} bytes but got {copied}: unexpected EOF"
                ))),
            }
        });
        Ok(stored?)
    }

    fn put_document(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Failed> {
        let digest = &descriptor.digest;
        self.store(digest.as_str(), Some(digest), |out| out.write_all(bytes).map_err(written))?;
        Ok(())
    }

    fn read_blob(&mut self, digest: &Digest) -> Result<Vec<u8>, Failed> {
        Ok(self.handle.block_on(documents::read(&*self.content, &self.scope, digest))?)
    }

    fn find_packed(&mut self, diff_id: &Digest) -> Result<Option<Descriptor>, Failed> {
        Ok(self.handle.block_on(self.packed(diff_id))?)
    }

    fn enough(&mut self) {
        self.wants = None;
    }

    fn pack_layer(&mut self, layer: &Descriptor) -> Result<Descriptor, Failed> {
        let mut size = 0;
        let what = format!("compress-blob-{}", layer.digest.hex());
        let digest = self.store(&what, None, |out| {
            let counting = Counting { out, count: &mut size };
            let mut packing = Compressor::new(counting, Compression::Gzip).map_err(written)?;
            self.copy(&layer.digest, &mut packing)?;
            packing.finish().map_err(written).map(drop)
        })?;
        let media_type = match media_type::is_docker(&layer.media_type) {
            true => media_type::DOCKER_LAYER_GZIP,
            false => media_type::OCI_LAYER_GZIP,
        };
        Ok(Descriptor::new(media_type, digest, size))
    }
}

/// The digest that a path in an OCI layout promises.
fn path_digest(path: &str) -> Option<Digest> {
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    Digest::from_parts(Algorithm::find(algorithm)?, hex).ok()
}

fn copy_all(data: &mut dyn Read, out: &mut dyn Write) -> Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut copied = 0;
    loop {
        match data.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => {
                out.write_all(&buffer[..n]).map_err(written)?;
                copied += n as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(Error::unknown("short read: unexpected EOF").with_source(e));
            }
            Err(e) => return Err(Error::unknown(format!("read archive: {e}")).with_source(e)),
        }
    }
}

fn written(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => own,
        Err(error) => Error::unknown(format!("write blob: {error}")).with_source(error),
    }
}

/// An ingest as a synchronous writer.
struct Ingesting<'a> {
    writer: Box<dyn Writer>,
    handle: &'a Handle,
}

impl Write for Ingesting<'_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let piece = Bytes::copy_from_slice(data);
        self.handle.block_on(self.writer.write(piece)).map_err(std::io::Error::other)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Counts what is written.
struct Counting<'a> {
    out: &'a mut dyn Write,
    count: &'a mut i64,
}

impl Write for Counting<'_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let n = self.out.write(data)?;
        *self.count += n as i64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
