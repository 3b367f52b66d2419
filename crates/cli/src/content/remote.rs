//! `gantry content fetch-object`, `fetch-blob` and `push-object`: single objects from and to a registry, to which this
//! process speaks itself.

use super::digest;
use crate::images::registry;
use crate::{Context, output};
use anyhow::{Context as _, Result, ensure};
use model::registries::{Push, Repository, Sent};
use oci::{Descriptor, Digester};
use std::io::{Write, stdout};
use std::sync::Arc;

/// Write what a reference stands for, a manifest or an index, to standard output.
#[derive(Debug, clap::Args)]
pub struct FetchObject {
    #[command(flatten)]
    registry: registry::Flags,
    /// The reference.
    remote: String,
    /// Have no effect.
    #[arg(hide = true)]
    hints: Vec<String>,
}

/// Write blobs of a repository to standard output, one after the other.
#[derive(Debug, clap::Args)]
pub struct FetchBlob {
    #[command(flatten)]
    registry: registry::Flags,
    /// What the registry is asked for; manifests and indexes are found by their media type only.
    #[arg(long, default_value = "")]
    media_type: String,
    /// A reference of the repository.
    remote: String,
    /// Their digests.
    #[arg(required = true)]
    digests: Vec<String>,
}

/// Bring an object of the content store to a registry.
#[derive(Debug, clap::Args)]
pub struct PushObject {
    #[command(flatten)]
    registry: registry::Flags,
    /// The reference; a manifest gets its tag.
    remote: String,
    /// The object's digest.
    object: String,
    /// Its media type.
    media_type: String,
}

impl FetchObject {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let registry = self.registry.registry(&self.remote)?;
        registry
            .directly(cx, async |repository| {
                let found = repository.resolve().await?;
                print(repository, &found).await
            })
            .await?;
        Ok(0)
    }
}

impl FetchBlob {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let digests = self.digests.iter().map(|text| digest(text)).collect::<Result<Vec<_>>>()?;
        let registry = self.registry.registry(&self.remote)?;
        registry
            .directly(cx, async |repository| {
                for digest in digests {
                    print(repository, &Descriptor::new(self.media_type.clone(), digest, 0)).await?;
                }
                Ok(())
            })
            .await?;
        Ok(0)
    }
}

impl PushObject {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let digest = digest(&self.object)?;
        let info = cx.services.content.info(&cx.scope, &digest).await?;
        let reader = cx.services.content.reader(&cx.scope, &digest).await?;
        let descriptor = Descriptor::new(self.media_type.clone(), digest.clone(), info.size.cast_signed());
        let push = Push {
            descriptor,
            root: digest.clone(),
            reader: Arc::from(reader),
            labels: info.labels,
            sent: Sent::default(),
        };
        let registry = self.registry.registry(&self.remote)?;
        registry
            .directly(cx, async |repository| Ok(repository.push(push).await.map(drop)?))
            .await
            .with_context(|| format!("push {digest} to {}", self.remote))?;
        output::line(format!("Pushed {digest} {}", self.media_type))?;
        Ok(0)
    }
}

/// Writes an object to standard output; says so if it was not the one asked for.
async fn print(repository: &dyn Repository, wanted: &Descriptor) -> Result<()> {
    let mut body = repository.fetch(wanted, 0).await?;
    let mut digester = Digester::new(wanted.digest.algorithm());
    let mut out = stdout().lock();
    while let Some(piece) = body.next().await? {
        digester.update(&piece);
        out.write_all(&piece)?;
    }
    out.flush()?;
    let got = digester.finish();
    ensure!(
        got == wanted.digest,
        "the registry sent {got} for {}: do not use what was written",
        wanted.digest
    );
    Ok(())
}
