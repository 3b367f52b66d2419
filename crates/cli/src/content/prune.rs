//! `gantry content prune`

use crate::{Context, Output, output};
use anyhow::{Context as _, Result};
use model::content::Info;
use model::labels::GC_REF_CONTENT;
use model::leases::Delete;
use model::{Labels, Mask, Scope};
use serde_json::json;

/// Give up content that is not needed.
#[derive(Debug, clap::Subcommand)]
pub enum Prune {
    /// Let go of the layers of images that are unpacked: the snapshots stay, the compressed blobs go.
    References(References),
}

/// Let go of the layers of images that are unpacked: the snapshots stay, the compressed blobs go.
#[derive(Debug, clap::Args)]
pub struct References {
    /// Do not wait until the blobs are gone.
    #[arg(long)]
    r#async: bool,
    /// Only print which labels would go.
    #[arg(long)]
    dry: bool,
}

impl Prune {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let Prune::References(verb) = self;
        verb.run(cx).await
    }
}

impl References {
    async fn run(self, cx: &Context) -> Result<u8> {
        let scope = cx.lease().await?;
        let pruned = self.prune(cx, &scope).await;
        let id = scope.lease.clone().unwrap_or_default();
        // The collection that this lease's end asks for is the one to wait for.
        let sync = !self.r#async && !self.dry && pruned.is_ok();
        let released = cx.services.leases.delete(&cx.scope, Delete { id, sync }).await;
        pruned?;
        released?;
        Ok(0)
    }

    async fn prune(&self, cx: &Context, scope: &Scope) -> Result<()> {
        let mut rows = Vec::new();
        for blob in cx.services.content.list(scope, &[]).await? {
            let keys: Vec<String> = blob.labels.keys().filter(|key| is_layer(key)).cloned().collect();
            if keys.is_empty() {
                continue;
            }
            if self.dry && cx.output == Output::Table {
                keys.iter().try_for_each(|key| output::line(format!("{} {key}", blob.digest)))?;
            }
            rows.push(json!({"digest": blob.digest.to_string(), "labels": keys}));
            if !self.dry {
                let digest = blob.digest.clone();
                let mask = Mask(keys.into_iter().map(|key| format!("labels.{key}")).collect());
                let bare = Info { labels: Labels::new(), ..blob };
                let done = cx.services.content.update(scope, bare, mask).await;
                done.with_context(|| format!("prune references of {digest}"))?;
            }
        }
        if cx.output == Output::Json {
            output::json(&rows)?;
        }
        Ok(())
    }
}

/// Whether a label holds a layer: `….l.<anything>`, or `….<number>` as older clients wrote it, where 0 is the config.
fn is_layer(key: &str) -> bool {
    let Some(kind) = key.strip_prefix(GC_REF_CONTENT).and_then(|rest| rest.strip_prefix('.')) else {
        return false;
    };
    kind.starts_with("l.") || kind.parse::<u64>().is_ok_and(|number| number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_layers() {
        for (kind, layer) in [
            (".l.0", true),
            (".l.7.1", true),
            (".7", true),
            (".0", false),
            (".m.0", false),
            (".config", false),
            (".12.1", false),
            (".lx", false),
            (".l", false),
            ("", false),
            ("/x", false),
        ] {
            assert_eq!(is_layer(&format!("containerd.io/gc.ref.content{kind}")), layer, "{kind}");
        }
        assert!(!is_layer("containerd.io/gc.ref.snapshot.l.0"));
    }
}
