//! Deleting a task: the container, its shim, its bundle.

use crate::connect::{Call, Failure};
use crate::shim::{Life, Shim};
use crate::shims::{Inner, blocking};
use model::tasks::Exit;
use model::{Error, Kind, Result};
use std::sync::Arc;
use wire::api::task_v3::{DeleteRequest, DeleteResponse, task_methods};

impl Inner {
    /// Deletes a stopped or created task.
    ///
    /// A shim that does not know the task any more is removed all the same, and its answer is the error. One that died
    /// meanwhile has been cleaned up after by its owner.
    pub(crate) async fn delete(self: Arc<Self>, shim: Arc<Shim>) -> Result<Exit> {
        let request = DeleteRequest { id: shim.id.to_string(), exec_id: String::new() };
        let limit = Some(self.setup.limits.long);
        let call = Call { method: task_methods::DELETE, request: &request, limit, probes: false };
        let exit = match shim.channel.call::<_, DeleteResponse>(call).await {
            Ok(response) => Ok(Exit::from(response)),
            Err(Failure::Refused(e)) if e.is_not_found() => Err(e),
            Err(Failure::Refused(e)) => return Err(e),
            Err(Failure::Closed) => {
                shim.gone().await;
                let absent = || Error::new(Kind::NotFound, format!("task {} not found", shim.id));
                return shim.exits.told().ok_or_else(absent);
            }
        };
        if shim.leave() {
            self.take_down(&shim).await?;
        } else {
            shim.gone().await;
        }
        exit
    }

    /// Ends the shim, removes the bundle, frees the name. The shim is `Leaving`.
    pub(crate) async fn take_down(&self, shim: &Arc<Shim>) -> Result<()> {
        let (at_once, later) = (shim.bundle.clone(), shim.bundle.clone());
        let end = async {
            if shim.binary.is_some() {
                shim.shut_down(self).await;
            }
        };
        let step = kernel::trace::begin();
        let (mut deleted, ()) = tokio::join!(blocking(move || at_once.delete()), end);
        step.end("daemon.end-shim-and-bundle", &shim.id);
        if deleted.is_err() {
            // The shim may have written into the bundle with its last breath.
            deleted = blocking(move || later.delete()).await;
        }
        self.table.remove(&shim.namespace, &shim.id);
        shim.life.send_replace(Life::Gone);
        deleted.map_err(|e| e.during("failed to delete bundle"))
    }
}
