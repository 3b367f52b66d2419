//! `gantry images export`

use super::{progress, stream_id, unless_interrupted};
use crate::{Context, output};
use anyhow::{Context as _, Result, bail, ensure};
use model::leases;
use model::streams::{Source, Stream};
use model::transfer::{self, Endpoint, ImageReference, ImageStore, Request};
use std::io::ErrorKind;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Write images to an archive.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// Leave Docker's manifest.json out.
    #[arg(long)]
    skip_manifest_json: bool,
    /// Leave layers out that may not be distributed.
    #[arg(long)]
    skip_non_distributable: bool,
    /// Only these platforms.
    #[arg(long)]
    platform: Vec<String>,
    /// Every platform.
    #[arg(long)]
    all_platforms: bool,
    /// Not offered: the daemon does it.
    #[arg(long, hide = true)]
    local: bool,
    #[command(flatten)]
    progress: progress::Flag,
    /// The archive; - for standard output.
    archive: String,
    /// The images.
    #[arg(required = true)]
    images: Vec<String>,
}

impl Export {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        ensure!(!self.local, "--local is not offered: the daemon writes the archive");
        let (mut archive, made) = open(&self.archive).await?;
        let Err(e) = self.export(cx, &mut *archive).await else { return Ok(0) };
        if made {
            std::fs::remove_file(&self.archive).with_context(|| format!("remove {}", self.archive))?;
        }
        Err(e.context(format!("export to {}", self.archive)))
    }

    async fn export(&self, cx: &Context, archive: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
        let id = stream_id("export");
        let shown = Arc::new(self.progress.shown(cx, progress::To::Err));
        let request = Request { progress: Some(shown.clone()), ..self.request(id.clone())? };
        let scope = cx.lease().await?;
        let done = async {
            let stream = cx.services.streams.open(&scope, &id).await?;
            let transfer = async {
                cx.services.transfer.transfer(&scope, request).await?;
                // The daemon ends the stream when the collector finds its lease gone; hence the wait.
                let lease = leases::Delete { id: scope.lease.clone().unwrap_or_default(), sync: true };
                Ok(cx.services.leases.delete(&cx.scope, lease).await?)
            };
            tokio::try_join!(transfer, drain(&*stream, archive))
        };
        if let Err(e) = shown.watch(unless_interrupted(done)).await {
            cx.release(&scope).await.unwrap_or_else(|second| output::complain(&second));
            return Err(e);
        }
        Ok(())
    }

    fn request(&self, stream: String) -> Result<Request> {
        let [name, further @ ..] = &self.images[..] else { bail!("no image to export") };
        let extra = |name: &String| ImageReference { name: name.clone(), ..ImageReference::default() };
        let store = ImageStore {
            name: name.clone(),
            extra_references: further.iter().map(extra).collect(),
            ..ImageStore::default()
        };
        let export = transfer::Export {
            stream,
            media_type: String::new(),
            platforms: self.platform.iter().map(|p| oci::Platform::parse(p)).collect::<Result<_, _>>()?,
            all_platforms: self.all_platforms,
            skip_docker_manifest: self.skip_manifest_json,
            skip_non_distributable: self.skip_non_distributable,
        };
        Ok(Request {
            source: Endpoint::ImageStore(Box::new(store)),
            destination: Endpoint::Export(export),
            progress: None,
        })
    }
}

/// Where the archive goes, and whether it is a new file. What was there before, a device perhaps, is never removed.
async fn open(path: &str) -> Result<(Box<dyn AsyncWrite + Send + Unpin>, bool)> {
    if path == "-" {
        return Ok((Box::new(tokio::io::stdout()), false));
    }
    match File::create_new(path).await {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let file = File::create(path).await.with_context(|| format!("open archive {path}"))?;
            Ok((Box::new(file), false))
        }
        made => Ok((Box::new(made.with_context(|| format!("create archive {path}"))?), true)),
    }
}

async fn drain(stream: &dyn Stream, archive: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<()> {
    let mut source = Source::new(stream);
    while let Some(data) = source.read().await? {
        archive.write_all(&data).await.context("write the archive")?;
    }
    archive.flush().await.context("write the archive")
}
