//! `gantry containers remove`

use crate::{Context, context, tasks};
use anyhow::{Result, bail};
use model::tasks::Status;

/// Remove containers and their snapshots.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Leave the snapshot.
    #[arg(long)]
    keep_snapshot: bool,
    /// Their ids.
    #[arg(required = true)]
    containers: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        context::each(&self.containers, async |id| self.remove(cx, id).await).await
    }

    async fn remove(&self, cx: &Context, id: &str) -> Result<()> {
        let container = cx.services.containers.get(&cx.scope, id).await?;
        match cx.services.tasks.get(&cx.scope, id, "").await {
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.into()),
            Ok(task) if matches!(task.status, Status::Stopped | Status::Created) => {
                cx.services.tasks.delete(&cx.scope, id).await?;
                tasks::remove_fifos(&task.io)?;
            }
            Ok(_) => {
                bail!("cannot delete a non stopped container: {id}; stop it with `gantry tasks kill {id}`")
            }
        }
        match self.keep_snapshot {
            true => Ok(cx.services.containers.delete(&cx.scope, id).await?),
            false => super::remove(cx, &container).await,
        }
    }
}
