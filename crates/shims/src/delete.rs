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
            self.take_down(&shim).await;
        } else {
            shim.gone().await;
        }
        exit
    }

    /// Ends the shim, takes the bundle out of sight, frees the name. The shim is `Leaving`. A bundle that cannot be taken
    /// away keeps nobody from learning the exit: it is logged, and the next start finds it.
    pub(crate) async fn take_down(&self, shim: &Arc<Shim>) {
        let end = async {
            if shim.binary.is_some() {
                shim.shut_down(self).await;
            }
        };
        let hide = async {
            shim.exits.close().await;
            let bundle = shim.bundle.clone();
            blocking(move || bundle.hide()).await
        };
        let step = kernel::trace::begin();
        let (mut hidden, ()) = tokio::join!(hide, end);
        step.end("daemon.end-shim-and-bundle", &shim.id);
        if hidden.is_err() {
            // The shim may have mounted something with its last breath.
            let bundle = shim.bundle.clone();
            hidden = blocking(move || bundle.hide()).await;
        }
        match hidden {
            // Only now that the shim is gone, so that it writes nothing more into it.
            Ok(hidden) => self.remove_later(hidden),
            Err(error) => tracing::error!(task = shim.label(), %error, "failed to delete bundle"),
        }
        self.table.remove(&shim.namespace, &shim.id);
        shim.life.send_replace(Life::Gone);
    }
}
