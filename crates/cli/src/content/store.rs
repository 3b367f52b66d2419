//! Blobs in and out.

use crate::Context;
use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::BytesMut;
use model::content::{Reader, Writer};
use oci::Digest;
use std::io::Write;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of a blob is asked for at once, in bytes.
const PART: usize = 1 << 20;

/// A digest from an argument.
pub(crate) fn digest(text: &str) -> Result<Digest> {
    Digest::parse(text).map_err(|e| anyhow!("{text:?}: {e}"))
}

/// A small blob, whole.
///
/// # Errors
/// It is not there, or larger than `max` bytes.
pub(crate) async fn read(cx: &Context, digest: &Digest, max: u64) -> Result<Vec<u8>> {
    let reader = cx.services.content.reader(&cx.scope, digest).await?;
    let size = reader.size();
    ensure!(size <= max, "blob {digest} has {size} bytes, more than {max}");
    let mut bytes = Vec::with_capacity(size as usize);
    drain(&*reader, digest, &mut bytes).await?;
    Ok(bytes)
}

/// Copies a blob.
///
/// # Errors
/// It is not there, or shorter than the daemon says; what it is written to refuses.
pub(crate) async fn copy(cx: &Context, digest: &Digest, out: &mut impl Write) -> Result<()> {
    let reader = cx.services.content.reader(&cx.scope, digest).await?;
    drain(&*reader, digest, out).await
}

async fn drain(reader: &dyn Reader, digest: &Digest, out: &mut impl Write) -> Result<()> {
    let mut offset = 0;
    while offset < reader.size() {
        let part = reader.read_at(offset, PART).await?;
        ensure!(!part.is_empty(), "blob {digest} ends after {offset} of {} bytes", reader.size());
        out.write_all(&part)?;
        offset += part.len() as u64;
    }
    Ok(out.flush()?)
}

/// Fills an ingest. One that was begun before goes on where it stands.
///
/// # Errors
/// `bytes` ends before that place; those of reading and writing.
pub(super) async fn fill(writer: &mut dyn Writer, bytes: &mut (dyn AsyncRead + Send + Unpin)) -> Result<()> {
    let begun = writer.status().await?.offset;
    let skipped = tokio::io::copy(&mut (&mut *bytes).take(begun), &mut tokio::io::sink()).await;
    let skipped = skipped.context("read")?;
    ensure!(skipped == begun, "the ingest has {begun} bytes already, and there are only {skipped} to read");
    loop {
        let mut buffer = BytesMut::with_capacity(PART);
        while buffer.len() < PART && bytes.read_buf(&mut buffer).await.context("read")? > 0 {}
        if buffer.is_empty() {
            return Ok(());
        }
        writer.write(buffer.freeze()).await?;
    }
}
