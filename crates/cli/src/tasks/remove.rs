//! `gantry tasks remove`

use crate::{Context, context};
use anyhow::{Result, bail};
use model::tasks::{Kill, Status};

/// Remove stopped tasks.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Kill running ones first.
    #[arg(long, short)]
    force: bool,
    /// Remove this process of the task instead.
    #[arg(long)]
    exec_id: Option<String>,
    /// The containers.
    #[arg(required = true)]
    containers: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let mut exec_code = 0;
        let code = context::each(&self.containers, async |id| {
            exec_code = self.remove(cx, id).await?;
            Ok(())
        })
        .await?;
        Ok(if code == 0 && self.exec_id.is_some() { exec_code } else { code })
    }

    async fn remove(&self, cx: &Context, id: &str) -> Result<u8> {
        let tasks = &cx.services.tasks;
        let exec_id = self.exec_id.as_deref().unwrap_or_default();
        let process = tasks.get(&cx.scope, id, exec_id).await?;
        if !matches!(process.status, Status::Stopped | Status::Created | Status::Unknown) {
            if !self.force {
                bail!(
                    "task {id} must be stopped before deletion: it is {}; use --force to kill it",
                    super::word(process.status).to_lowercase()
                );
            }
            let kill = Kill { exec_id: exec_id.into(), signal: 9, all: exec_id.is_empty() };
            tasks.kill(&cx.scope, id, kill).await?;
            tasks.wait(&cx.scope, id, exec_id).await?;
        }
        let exit = match exec_id {
            "" => tasks.delete(&cx.scope, id).await?,
            exec_id => tasks.delete_process(&cx.scope, id, exec_id).await?,
        };
        super::remove_fifos(&process.io)?;
        if exit.status != 0 {
            eprintln!("gantry: {id} ended with exit code {}", exit.status);
        }
        Ok(exit.status as u8)
    }
}
