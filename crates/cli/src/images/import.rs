//! `gantry images import`

use super::progress::{self, Shown};
use super::{stream_id, unless_interrupted};
use crate::Context;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use model::Scope;
use model::streams::{Sink, Stream};
use model::transfer::{self, Endpoint, ImageReference, ImageStore, Progress, ProgressSink, Request, Unpack};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How often it is told how much of the archive is read.
const NEWS: Duration = Duration::from_millis(300);

/// Read images from an archive.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The name's beginning for images that the archive names by tag only.
    #[arg(long)]
    base_name: Option<String>,
    /// Also name images by their digest.
    #[arg(long)]
    digests: bool,
    /// No digest name where there is another name.
    #[arg(long)]
    skip_digest_for_named: bool,
    /// A name for the archive's index.
    #[arg(long)]
    index_name: Option<String>,
    /// Keep every platform.
    #[arg(long)]
    all_platforms: bool,
    /// Keep this platform.
    #[arg(long)]
    platform: Option<String>,
    /// Do not unpack.
    #[arg(long)]
    no_unpack: bool,
    /// Compress layers that are not.
    #[arg(long)]
    compress_blobs: bool,
    /// Labels for the images, key=value.
    #[arg(long)]
    label: Vec<String>,
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// Not offered: the daemon does it.
    #[arg(long, hide = true)]
    local: bool,
    /// Not offered: `gantry content prune references` does it afterwards.
    #[arg(long, hide = true)]
    discard_unpacked_layers: bool,
    /// Has no effect: the daemon's configuration says it.
    #[arg(long, hide = true)]
    sync_fs: bool,
    #[command(flatten)]
    progress: progress::Flag,
    /// The archive; - for standard input.
    archive: String,
}

/// An archive that is being read.
struct Archive<'a> {
    name: &'a str,
    bytes: Box<dyn AsyncRead + Send + Unpin>,
    /// 0 when it is not known.
    size: u64,
}

impl Import {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        ensure!(!self.local, "--local is not offered: the daemon reads the archive");
        ensure!(
            !self.discard_unpacked_layers,
            "--discard-unpacked-layers is not offered: `gantry content prune references` does it afterwards"
        );
        let mut archive = Archive::open(&self.archive).await?;
        cx.leased(async |scope| unless_interrupted(self.transfer(cx, scope, &mut archive)).await)
            .await
            .with_context(|| format!("import {}", self.archive))?;
        Ok(0)
    }

    async fn transfer(&self, cx: &Context, scope: &Scope, archive: &mut Archive<'_>) -> Result<()> {
        let store = self.store()?;
        let id = stream_id("import");
        let stream = cx.services.streams.open(scope, &id).await?;
        let import =
            transfer::Import { stream: id, media_type: String::new(), force_compress: self.compress_blobs };
        let shown = Arc::new(self.progress.shown(cx, progress::To::Out));
        let request = Request {
            source: Endpoint::Import(import),
            destination: Endpoint::ImageStore(Box::new(store)),
            progress: Some(shown.clone()),
        };
        let work = async {
            tokio::select! {
                done = cx.services.transfer.transfer(scope, request) => done.map_err(Into::into),
                Err(e) = archive.feed(&*stream, &shown) => Err(e),
            }
        };
        let done = shown.watch(work).await;
        stream.close().await;
        done
    }

    fn store(&self) -> Result<ImageStore> {
        let platform = self.platform.as_deref().map(oci::Platform::parse).transpose()?;
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let prefix = self.base_name.clone().unwrap_or_else(|| format!("import-{today}"));
        let reference = ImageReference {
            name: prefix,
            is_prefix: true,
            allow_overwrite: self.base_name.is_none(),
            add_digest: self.digests,
            skip_named_digest: self.skip_digest_for_named,
        };
        let unpack = Unpack { platform: platform.clone(), snapshotter: self.snapshotter.clone() };
        Ok(ImageStore {
            name: self.index_name.clone().unwrap_or_default(),
            labels: crate::context::parse_labels(&self.label)?,
            platforms: if self.all_platforms {
                Vec::new()
            } else {
                vec![platform.unwrap_or_else(|| oci::Platform::host(""))]
            },
            extra_references: vec![reference],
            unpacks: if self.no_unpack { Vec::new() } else { vec![unpack] },
            ..ImageStore::default()
        })
    }
}

impl<'a> Archive<'a> {
    async fn open(name: &'a str) -> Result<Self> {
        if name == "-" {
            return Ok(Self { name, bytes: Box::new(tokio::io::stdin()), size: 0 });
        }
        let opening = || format!("open archive {name}");
        let file = tokio::fs::File::open(name).await.with_context(opening)?;
        let size = file.metadata().await.with_context(opening)?.len();
        Ok(Self { name, bytes: Box::new(file), size })
    }

    /// Feeds the archive into a stream; never returns but with an error, so that the transfer decides when all is
    /// done.
    async fn feed(&mut self, stream: &dyn Stream, shown: &Shown) -> Result<()> {
        let mut sink = Sink::new(stream);
        let mut sent = 0;
        let mut told = None;
        loop {
            let mut buffer = bytes::BytesMut::with_capacity(model::streams::FRAME);
            if self.bytes.read_buf(&mut buffer).await.context("read the archive")? == 0 {
                stream.close().await;
                std::future::pending::<()>().await;
            }
            sent += buffer.len() as u64;
            if sink.write(Bytes::from(buffer)).await.is_err() {
                std::future::pending::<()>().await;
            }
            let due = told.is_none_or(|at: Instant| at.elapsed() > NEWS);
            if self.size > 0 && (due || sent >= self.size) {
                told = Some(Instant::now());
                shown.report(self.progress(sent));
            }
        }
    }

    fn progress(&self, sent: u64) -> Progress {
        Progress {
            event: if sent < self.size { "reading".into() } else { "read".into() },
            name: self.name.into(),
            progress: sent.cast_signed(),
            total: self.size.cast_signed(),
            ..Progress::default()
        }
    }
}
