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
            let end = exit.as_ref().ok().cloned().or_else(|| shim.exits.told());
            self.take_down(&shim, end).await;
        } else {
            shim.gone().await;
        }
        exit
    }

    /// Ends the shim, takes the bundle out of sight, tells of the end if the shim has not, frees the name. The shim is
    /// `Leaving`. A bundle that cannot be taken away keeps nobody from learning the exit: it is logged, and the next
    /// start finds it.
    pub(crate) async fn take_down(self: &Arc<Self>, shim: &Arc<Shim>, end: Option<Exit>) {
        let shut_down = async {
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
        let (mut hidden, ()) = tokio::join!(hide, shut_down);
        step.end("daemon.end-shim-and-bundle", &shim.id);
        if hidden.is_err() {
            // The shim may have mounted something with its last breath.
            let bundle = shim.bundle.clone();
            hidden = blocking(move || bundle.hide()).await;
        }
        match hidden {
            // Only now that the shim is gone, so that it writes nothing more into it.
            Ok(hidden) => self.remove_later(hidden),
            Err(error) => {
                tracing::error!(task = shim.label(), %error, "failed to delete bundle");
                if let Some(end) = &end {
                    self.mark_deleted(&shim.bundle, end);
                }
            }
        }
        if let Some(end) = end.filter(|_| !shim.exits.is_deleted()) {
            self.see_off(shim, end);
        }
        self.table.remove(&shim.namespace, &shim.id);
        shim.life.send_replace(Life::Gone);
    }

    /// Sees to it that a deletion is told that the shim has not told so far. One that is gone will not, and one that
    /// goes on, for other tasks, has a while to do so.
    fn see_off(self: &Arc<Self>, shim: &Arc<Shim>, end: Exit) {
        self.departed.add(shim);
        let (inner, shim) = (Arc::clone(self), Arc::clone(shim));
        if shim.channel.is_closed() {
            return inner.conclude(&shim, &end);
        }
        let limit = self.setup.limits.call;
        self.spawn(async move {
            let told = async {
                tokio::select! {
                    () = shim.exits.deleted() => {}
                    () = shim.channel.closed() => {}
                }
            };
            // However it ends: who has not told by then has lost it.
            let _ = tokio::time::timeout(limit, told).await;
            inner.conclude(&shim, &end);
        });
    }

    /// Tells what has not been told of a task that is gone.
    pub(crate) fn conclude(&self, shim: &Shim, end: &Exit) {
        shim.exits.conclude(&shim.id, end, |event| self.publish(&shim.namespace, event));
    }
}
