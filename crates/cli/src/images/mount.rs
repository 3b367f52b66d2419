//! `gantry images mount`

use super::{Wanted, unless_interrupted, unpack};
use crate::{Context, Output, context, mounts, output};
use anyhow::{Context as _, Result};
use model::snapshots::Prepare;
use model::{Labels, Scope, leases};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// Mount an image's root file system on a directory.
///
/// A snapshot of the directory's name holds it, and a lease of that name holds the snapshot.
#[derive(Debug, clap::Args)]
pub struct Mount {
    /// Let it be written to; what is written goes with the snapshot.
    #[arg(long)]
    rw: bool,
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// Labels for the snapshot, key=value.
    #[arg(long)]
    label: Vec<String>,
    /// The image for this platform instead of the machine's.
    #[arg(long)]
    platform: Option<String>,
    /// How long the snapshot is held; a mount that lasts longer may lose its files.
    #[arg(long, short = 'x', value_parser = crate::parse_duration, default_value = "1h")]
    expiration: Duration,
    /// The image.
    reference: String,
    /// The directory.
    target: String,
}

impl Mount {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let wanted = Wanted::new(&self.reference, &self.snapshotter, self.platform.as_deref())?;
        // That the image is there is found out before anything is made.
        cx.services.images.get(&cx.scope, &self.reference).await?;
        let scope = self.lease(cx).await?;
        match unless_interrupted(self.mount(cx, &scope, &wanted)).await {
            Ok(chain_id) if cx.output == Output::Json => {
                output::json(&json!({"chainID": chain_id, "target": self.target}))?;
            }
            Ok(_) => output::line(&self.target)?,
            Err(e) => {
                cx.release(&scope).await.unwrap_or_else(|second| output::complain(&second));
                return Err(e);
            }
        }
        Ok(0)
    }

    /// A scope under a lease of the directory's name.
    async fn lease(&self, cx: &Context) -> Result<Scope> {
        let seconds = i64::try_from(self.expiration.as_secs()).unwrap_or(i64::MAX);
        let end = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(seconds));
        let end = end.with_context(|| format!("--expiration {seconds}s"))?;
        let labels = Labels::from([(model::labels::GC_EXPIRE.into(), end.to_string())]);
        let made = cx.services.leases.create(&cx.scope, &self.target, labels).await;
        let lease = made.with_context(|| {
            format!(
                "mount on {0}: an image may be mounted there; `gantry images unmount {0}` ends that",
                self.target
            )
        })?;
        Ok(cx.scope.with_lease(lease.id))
    }

    /// Mounts it; the name of the top snapshot.
    async fn mount(&self, cx: &Context, scope: &Scope, wanted: &Wanted<'_>) -> Result<String> {
        let unpacked = unpack(cx, scope, wanted).await?;
        if cx.output == Output::Table {
            output::line(&unpacked.chain_id)?;
        }
        let snapshots = cx.snapshotter(&self.snapshotter);
        let prepare = Prepare {
            key: self.target.clone(),
            parent: unpacked.chain_id.to_string(),
            labels: context::parse_labels(&self.label)?,
        };
        let mounted = match self.rw {
            true => snapshots.prepare(scope, prepare).await?,
            false => snapshots.view(scope, prepare).await?,
        };
        if let Err(e) = mounts::on(&mounted, Path::new(&self.target)) {
            if let Err(second) = snapshots.remove(scope, &self.target).await {
                output::complain(&second.into());
            }
            return Err(e.context(format!("mount {}", self.reference)));
        }
        Ok(unpacked.chain_id.to_string())
    }
}

/// Unmount what `mount` mounted.
///
/// The lease of the directory's name goes too, and with it, some time later, the snapshot.
#[derive(Debug, clap::Args)]
pub struct Unmount {
    /// Remove the snapshot now.
    #[arg(long)]
    rm: bool,
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// The directory.
    target: String,
}

impl Unmount {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        mounts::off(Path::new(&self.target))?;
        if self.rm {
            match cx.snapshotter(&self.snapshotter).remove(&cx.scope, &self.target).await {
                Err(e) if e.is_not_found() => {}
                other => other?,
            }
        }
        let lease = leases::Delete { id: self.target.clone(), sync: true };
        match cx.services.leases.delete(&cx.scope, lease).await {
            Err(e) if e.is_not_found() => {}
            other => other?,
        }
        output::line(&self.target)?;
        Ok(0)
    }
}
