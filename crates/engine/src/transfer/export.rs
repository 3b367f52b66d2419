//! From the image store to an archive.

use super::{Failed, News, Transfers, documents};
use crate::pipe;
use archive::export::{Image, Platforms, Source};
use model::content::{Content, Reader};
use model::images;
use model::streams::{Sink, Stream};
use model::transfer::{Export, ImageStore};
use model::{Error, Result, Scope};
use oci::{Descriptor, Digest, Matcher, Platform};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How much of a blob is handed over at a time, in bytes.
const PIECE: usize = 1 << 20;
/// Labels that tell from which registry a blob came.
const DISTRIBUTION: &str = "containerd.io/distribution.source.";

impl Transfers {
    /// Writes images to a stream as an archive. The stream is closed at the end, so that the client sees it.
    pub(super) async fn export(
        &self,
        scope: &Scope,
        ends: (&ImageStore, &Export),
        news: &News,
    ) -> Result<()> {
        let (store, export) = ends;
        news.event("Exporting");
        // Taken first, so that it ends whatever comes.
        let stream = self.streams.take(&scope.namespace, &export.stream)?;
        let sent = self.send_images(scope, (store, export), &*stream).await;
        stream.close().await;
        sent?;
        news.event("Completed export");
        Ok(())
    }

    async fn send_images(
        &self,
        scope: &Scope,
        (store, export): (&ImageStore, &Export),
        stream: &dyn Stream,
    ) -> Result<()> {
        let images = self.wanted(scope, store).await?;
        let wanted = archive::export::Export {
            images,
            platforms: platforms(export),
            skip_docker_manifest: export.skip_docker_manifest,
            skip_nondistributable: export.skip_non_distributable,
        };
        let (mut writer, receiver) = pipe::outward();
        let mut source =
            Blobs { content: self.content.clone(), scope: scope.clone(), handle: Handle::current() };
        let writing = self.archives.run("export", move || {
            archive::export::export(&wanted, &mut source, &mut writer).map_err(|Failed(e)| e)?;
            writer.flush().map_err(|e| Error::unknown(format!("write archive: {e}")))
        });
        let (written, sent) = tokio::join!(writing, send(receiver, stream));
        sent.and(written)
    }

    /// The images that the request names.
    async fn wanted(&self, scope: &Scope, store: &ImageStore) -> Result<Vec<Image>> {
        let mut names: Vec<&str> = Vec::new();
        names.extend(Some(store.name.as_str()).filter(|name| !name.is_empty()));
        for reference in &store.extra_references {
            if reference.is_prefix {
                return Err(Error::not_implemented("prefix export"));
            }
            names.push(&reference.name);
        }
        let mut images = Vec::new();
        for name in names {
            let images::Image { name, target, .. } = self.images.get(scope, name).await?;
            images.push(Image { name, target: documents::descriptor(&target)? });
        }
        Ok(images)
    }
}

fn platforms(export: &Export) -> Platforms {
    match (&export.platforms[..], export.all_platforms) {
        (_, true) => Platforms::All(Matcher::only(&Platform::host(""))),
        ([], false) => Platforms::Matching(Matcher::only_strict(&Platform::host(""))),
        (some, false) => Platforms::Matching(Matcher::ordered(some)),
    }
}

async fn send(mut receiver: mpsc::Receiver<bytes::Bytes>, stream: &dyn Stream) -> Result<()> {
    let mut sink = Sink::new(stream);
    while let Some(piece) = receiver.recv().await {
        sink.write(piece).await?;
    }
    Ok(())
}

/// The content store, from the synchronous side.
struct Blobs {
    content: Arc<dyn Content>,
    scope: Scope,
    handle: Handle,
}

impl Source for Blobs {
    type Error = Failed;

    fn open(&mut self, digest: &Digest) -> Result<Option<Box<dyn Read + '_>>, Failed> {
        match self.handle.block_on(self.content.reader(&self.scope, digest)) {
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
            Ok(reader) => Ok(Some(Box::new(Opened { reader, offset: 0, handle: &self.handle }))),
        }
    }

    fn annotations(&mut self, target: &Descriptor) -> Result<BTreeMap<String, String>, Failed> {
        let mut labels = match self.handle.block_on(self.content.info(&self.scope, &target.digest)) {
            Err(e) if e.is_not_found() => return Ok(BTreeMap::new()),
            other => other?.labels,
        };
        labels.retain(|key, _| key.starts_with(DISTRIBUTION));
        Ok(labels)
    }
}

/// A blob as a synchronous reader.
struct Opened<'a> {
    reader: Box<dyn Reader>,
    offset: u64,
    handle: &'a Handle,
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(PIECE);
        let piece =
            self.handle.block_on(self.reader.read_at(self.offset, most)).map_err(std::io::Error::other)?;
        buffer[..piece.len()].copy_from_slice(&piece);
        self.offset += piece.len() as u64;
        Ok(piece.len())
    }
}
