//! A layer's blob without its compression, as a blob.
//!
//! The bytes come from the daemon and go back to it; a thread between two short queues unpacks them.

use crate::{Context, context};
use anyhow::{Context as _, Result, anyhow, ensure};
use archive::decompress::Decompressor;
use bytes::Bytes;
use model::Scope;
use model::content::{Commit, Ingest, Reader, Writer};
use oci::{Descriptor, Digest};
use std::io::{self, Read};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// How much is read, unpacked and written at once, in bytes.
const PART: usize = 1 << 20;
/// How many parts wait on each side of the unpacking.
const WAITING: usize = 2;

/// Unpacks a layer into a blob; the blob's digest and size. `expected` is what the digest has to be, if that is known.
///
/// # Errors
/// The layer is not there or damaged, or is something else than the image's config says.
pub async fn uncompress(
    cx: &Context,
    scope: &Scope,
    layer: &Descriptor,
    expected: Option<&Digest>,
) -> Result<(Digest, i64)> {
    let content = &cx.services.content;
    if let Some(expected) = expected
        && let Ok(info) = content.info(scope, expected).await
    {
        return Ok((expected.clone(), info.size.cast_signed()));
    }
    let reader = content.reader(scope, &layer.digest).await?;
    let reference = format!("convert-{}-{}", context::unique(), layer.digest);
    let ingest = Ingest { reference: reference.clone(), ..Ingest::default() };
    let mut writer = content.writer(scope, ingest).await?;
    let done = fill(&*reader, &mut *writer, expected).await;
    drop(writer);
    if done.is_err() {
        // What is wrong with the layer matters more than what is left of it: the lease's end removes that too.
        content.abort(scope, &reference).await.ok();
    }
    done
}

async fn fill(
    reader: &dyn Reader,
    writer: &mut dyn Writer,
    expected: Option<&Digest>,
) -> Result<(Digest, i64)> {
    let (packed, unpacking) = mpsc::channel(WAITING);
    let (unpacked, mut arriving) = mpsc::channel(WAITING);
    let unpack = async { spawn_blocking(move || unpack(unpacking, &unpacked)).await.context("unpack")? };
    let write = async {
        let mut size = 0;
        while let Some(part) = arriving.recv().await {
            let part: Bytes = part;
            size += part.len() as i64;
            writer.write(part).await?;
        }
        Ok(size)
    };
    let ((), (), size) = tokio::try_join!(feed(reader, packed), unpack, write)?;
    let digest = writer.digest().await?;
    if let Some(expected) = expected {
        ensure!(
            digest == *expected,
            "it unpacks to {digest}, the image's config says {expected}: the layer is damaged or the image is wrong"
        );
    }
    let commit = Commit { size, expected: digest.to_string(), ..Commit::default() };
    match writer.commit(commit).await {
        Err(e) if e.is_already_exists() => {}
        other => drop(other?),
    }
    Ok((digest, size))
}

/// Reads the blob into the queue.
async fn feed(reader: &dyn Reader, packed: mpsc::Sender<Bytes>) -> Result<()> {
    let mut offset = 0;
    while offset < reader.size() {
        let part = reader.read_at(offset, PART).await?;
        ensure!(!part.is_empty(), "the blob ends after {offset} of {} bytes", reader.size());
        offset += part.len() as u64;
        if packed.send(part).await.is_err() {
            // Who unpacks has stopped, and says why.
            return Ok(());
        }
    }
    Ok(())
}

/// Unpacks from queue to queue, on a thread of its own.
fn unpack(packed: mpsc::Receiver<Bytes>, unpacked: &mpsc::Sender<Bytes>) -> Result<()> {
    let mut source = Parts { queue: packed, part: Bytes::new() };
    let mut plain = Decompressor::detect(&mut source)?;
    loop {
        let mut part = Vec::with_capacity(PART);
        (&mut plain).take(PART as u64).read_to_end(&mut part)?;
        if part.is_empty() {
            return Ok(());
        }
        unpacked.blocking_send(part.into()).map_err(|_| anyhow!("nobody takes what is unpacked"))?;
    }
}

/// A queue of parts as a stream of bytes.
struct Parts {
    queue: mpsc::Receiver<Bytes>,
    part: Bytes,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            self.part = self.queue.blocking_recv().unwrap_or_default();
        }
        let part = self.part.split_to(buffer.len().min(self.part.len()));
        buffer[..part.len()].copy_from_slice(&part);
        Ok(part.len())
    }
}
