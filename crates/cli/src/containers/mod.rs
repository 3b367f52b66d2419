//! `gantry containers`

mod create;
mod info;
mod label;
mod list;
mod remove;

use crate::{Context, tasks};
use anyhow::{Result, bail};
use model::tasks::Status;

/// Work with containers.
#[derive(Debug, clap::Subcommand)]
pub enum Containers {
    /// Make a container without running it.
    Create(Box<create::Create>),
    /// Show a container's record.
    Info(info::Info),
    /// Set or, with an empty value, clear labels.
    Label(label::Label),
    /// List containers.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Remove containers and their snapshots.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
}

impl Containers {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Containers::Create(verb) => verb.run(cx).await,
            Containers::Info(verb) => verb.run(cx).await,
            Containers::Label(verb) => verb.run(cx).await,
            Containers::List(verb) => verb.run(cx).await,
            Containers::Remove(verb) => verb.run(cx).await,
        }
    }
}

/// What becomes of a container's snapshot when the container goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// It goes too.
    Removed,
    /// It stays.
    Kept,
}

/// Removes a container: first what is left of its task, then its snapshot, then the record.
pub(crate) async fn remove_ended(cx: &Context, id: &str, snapshot: Snapshot) -> Result<()> {
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
    match snapshot {
        Snapshot::Kept => Ok(cx.services.containers.delete(&cx.scope, id).await?),
        Snapshot::Removed => remove(cx, &container).await,
    }
}

/// Removes a container's record and its snapshot.
async fn remove(cx: &Context, container: &model::containers::Container) -> Result<()> {
    if !container.snapshot_key.is_empty() {
        match cx.snapshotter(&container.snapshotter).remove(&cx.scope, &container.snapshot_key).await {
            Err(e) if e.is_not_found() => {}
            other => other?,
        }
    }
    Ok(cx.services.containers.delete(&cx.scope, &container.id).await?)
}
