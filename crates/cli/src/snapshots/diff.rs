//! `gantry snapshots diff`

use crate::context::{self, parse_labels};
use crate::{Context, content, output};
use anyhow::Result;
use model::diff::Compare;
use model::snapshots::{Kind, Prepare, Snapshotter};
use model::{Labels, Mount, Scope, Timestamp};
use std::io::stdout;

/// Write the difference between two snapshots to standard output, as a layer.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The layer's media type.
    #[arg(long, default_value = oci::media_type::OCI_LAYER_GZIP)]
    media_type: String,
    /// The ref of the ingest; one is made up by default.
    #[arg(long, default_value = "", hide_default_value = true)]
    r#ref: String,
    /// Keep the layer in the content store.
    #[arg(long)]
    keep: bool,
    /// Labels for it, key=value.
    #[arg(long)]
    label: Vec<String>,
    /// Let no time in the layer be later; seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    source_date: Option<i64>,
    /// The snapshot: what it adds to its parent is written.
    #[arg(value_name = "A")]
    first: String,
    /// A second one: what it adds to the first is written.
    #[arg(value_name = "B")]
    second: Option<String>,
}

/// Looks at snapshots; [`Eyes::close`] ends it.
struct Eyes<'a> {
    cx: &'a Context,
    scope: &'a Scope,
    snapshots: &'a dyn Snapshotter,
    views: Vec<String>,
}

impl Diff {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        cx.leased(async |scope| {
            let mut eyes = Eyes { cx, scope, snapshots, views: Vec::new() };
            let done = self.write(&mut eyes).await;
            let closed = eyes.close().await;
            match (done, closed) {
                (Err(e), Err(second)) => {
                    output::complain(&second);
                    Err(e)
                }
                (done, closed) => done.and(closed),
            }
        })
        .await?;
        Ok(0)
    }

    async fn write(&self, eyes: &mut Eyes<'_>) -> Result<()> {
        let (cx, scope) = (eyes.cx, eyes.scope);
        let (lower, upper) = match &self.second {
            Some(second) => (eyes.mounts_of(&self.first).await?, eyes.mounts_of(second).await?),
            None => {
                let parent = eyes.snapshots.stat(scope, &self.first).await?.parent;
                (eyes.view(parent).await?, eyes.mounts_of(&self.first).await?)
            }
        };
        let mut labels = parse_labels(&self.label)?;
        if self.keep {
            labels.extend([context::rooted()]);
        }
        let compare = Compare {
            lower,
            upper,
            media_type: self.media_type.clone(),
            reference: self.r#ref.clone(),
            labels,
            source_date: self.source_date.map(|seconds| Timestamp { seconds, nanos: 0 }).or(cx.source_date),
        };
        let layer = cx.services.diff.compare(scope, compare).await?;
        content::copy(cx, &layer.parse_digest()?, &mut stdout()).await
    }
}

impl Eyes<'_> {
    /// How to mount a snapshot: itself, or a view of a committed one.
    async fn mounts_of(&mut self, key: &str) -> Result<Vec<Mount>> {
        match self.snapshots.stat(self.scope, key).await?.kind {
            Kind::Committed => self.view(key.into()).await,
            Kind::Active | Kind::View => Ok(self.snapshots.mounts(self.scope, key).await?),
        }
    }

    /// A view of a committed snapshot, or of nothing.
    async fn view(&mut self, parent: String) -> Result<Vec<Mount>> {
        let key = format!("diff-{}-{} {parent}", context::unique(), self.views.len());
        let prepare = Prepare { key: key.clone(), parent, labels: Labels::new() };
        let mounts = self.snapshots.view(self.scope, prepare).await?;
        self.views.push(key);
        Ok(mounts)
    }

    /// Removes the views.
    async fn close(self) -> Result<()> {
        let mut closed = Ok(());
        for view in &self.views {
            if let Err(e) = self.snapshots.remove(self.scope, view).await {
                match closed {
                    Ok(()) => closed = Err(e.into()),
                    Err(_) => output::complain(&e.into()),
                }
            }
        }
        closed
    }
}
