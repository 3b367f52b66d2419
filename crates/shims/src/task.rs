//! A task, as the engine asks it: one call of the shim for each question.

use crate::connect::{Call, Failure};
use crate::shim::Shim;
use crate::shims::Inner;
use crate::waits::answered;
use async_trait::async_trait;
use model::tasks::{Exec, Exit, Kill, Pid, Process, Resize, Task, Update};
use model::{Any, ContainerId, Error, Kind, Namespace, Result};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use wire::api::task_v3::{
    CloseIoRequest, DeleteRequest, DeleteResponse, ExecProcessRequest, KillRequest, PauseRequest,
    PidsRequest, PidsResponse, ResizePtyRequest, ResumeRequest, StartRequest, StartResponse, StateRequest,
    StateResponse, StatsRequest, StatsResponse, UpdateTaskRequest, WaitRequest, WaitResponse,
    task_methods as method,
};

/// A shim and those it lives among.
pub(crate) struct Handle {
    pub(crate) inner: Arc<Inner>,
    pub(crate) shim: Arc<Shim>,
}

impl Handle {
    fn container(&self) -> String {
        self.shim.id.to_string()
    }

    /// A call that a healthy shim answers at once.
    async fn ask<Q: Message, A: Message + Default>(&self, method: &'static str, request: &Q) -> Result<A> {
        self.within(self.inner.setup.limits.call, method, request).await
    }

    /// A call that runs hooks or waits for output.
    async fn ask_long<Q: Message, A: Message + Default>(
        &self,
        method: &'static str,
        request: &Q,
    ) -> Result<A> {
        self.within(self.inner.setup.limits.long, method, request).await
    }

    async fn within<Q: Message, A: Message + Default>(
        &self,
        limit: Duration,
        method: &'static str,
        request: &Q,
    ) -> Result<A> {
        let call = Call { method, request, limit: Some(limit), probes: false };
        let answer = self.shim.channel.call(call).await;
        answer.map_err(|failure| match Error::from(failure) {
            e if e.kind() == Kind::DeadlineExceeded => e.during(format!("task {}", self.shim.id)),
            e => e,
        })
    }
}

#[async_trait]
impl Task for Handle {
    fn id(&self) -> &ContainerId {
        &self.shim.id
    }

    fn namespace(&self) -> &Namespace {
        &self.shim.namespace
    }

    async fn start(&self, exec_id: &str) -> Result<u32> {
        let request = StartRequest { id: self.container(), exec_id: exec_id.to_owned() };
        let response: StartResponse = self.ask_long(method::START, &request).await?;
        match response.pid {
            0 => Ok(self.state(exec_id).await?.pid),
            pid => Ok(pid),
        }
    }

    async fn delete(&self) -> Result<Exit> {
        self.inner.finish(Arc::clone(&self.inner).delete(Arc::clone(&self.shim))).await
    }

    async fn delete_process(&self, exec_id: &str) -> Result<Exit> {
        let request = DeleteRequest { id: self.container(), exec_id: exec_id.to_owned() };
        let response: DeleteResponse = self.ask_long(method::DELETE, &request).await?;
        self.shim.waits.forget(exec_id);
        Ok(Exit { id: exec_id.to_owned(), ..response.into() })
    }

    async fn state(&self, exec_id: &str) -> Result<Process> {
        let request = StateRequest { id: self.container(), exec_id: exec_id.to_owned() };
        let limit = Some(self.inner.setup.limits.state);
        let call = Call { method: method::STATE, request: &request, limit, probes: false };
        match self.shim.channel.call::<_, StateResponse>(call).await {
            Ok(state) => Ok(state.into()),
            Err(Failure::Refused(e)) if e.kind() == Kind::DeadlineExceeded => {
                tracing::warn!(task = self.shim.label(), "the shim does not answer");
                Err(Error::new(Kind::DeadlineExceeded, Kind::DeadlineExceeded.text()))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn kill(&self, kill: Kill) -> Result<()> {
        self.ask(method::KILL, &KillRequest::from((self.container(), kill))).await
    }

    async fn exec(&self, exec: Exec) -> Result<()> {
        self.ask(method::EXEC, &ExecProcessRequest::from((self.container(), exec))).await
    }

    async fn resize(&self, resize: Resize) -> Result<()> {
        self.ask(method::RESIZE_PTY, &ResizePtyRequest::from((self.container(), resize))).await
    }

    async fn close_stdin(&self, exec_id: &str) -> Result<()> {
        let request = CloseIoRequest { id: self.container(), exec_id: exec_id.to_owned(), stdin: true };
        self.ask(method::CLOSE_IO, &request).await
    }

    async fn pause(&self) -> Result<()> {
        self.ask(method::PAUSE, &PauseRequest { id: self.container() }).await
    }

    async fn resume(&self) -> Result<()> {
        self.ask(method::RESUME, &ResumeRequest { id: self.container() }).await
    }

    async fn pids(&self) -> Result<Vec<Pid>> {
        let response: PidsResponse = self.ask(method::PIDS, &PidsRequest { id: self.container() }).await?;
        Ok(response.into())
    }

    async fn update(&self, update: Update) -> Result<()> {
        self.ask(method::UPDATE, &UpdateTaskRequest::from((self.container(), update))).await
    }

    async fn stats(&self) -> Result<Option<Any>> {
        let limit = self.inner.setup.limits.stats;
        let response: StatsResponse =
            self.within(limit, method::STATS, &StatsRequest { id: self.container() }).await?;
        Ok(response.stats.map(Any::from))
    }

    async fn wait(&self, exec_id: &str) -> Result<Exit> {
        let (waiting, question) = self.shim.waits.join(exec_id);
        if let Some(question) = question {
            let (shim, exec_id) = (Arc::clone(&self.shim), exec_id.to_owned());
            self.inner.spawn(async move {
                let answer = wait(&shim, exec_id).await;
                shim.waits.answer(question, answer);
            });
        }
        let mut stopping = self.inner.stopping.subscribe();
        tokio::select! {
            exit = answered(waiting) => exit,
            _ = stopping.wait_for(|stop| *stop) => Err(Error::unavailable("the daemon is stopping")),
        }
    }
}

/// Asks a shim for the exit of a process.
async fn wait(shim: &Shim, exec_id: String) -> Result<Exit> {
    let request = WaitRequest { id: shim.id.to_string(), exec_id };
    let call = Call { method: method::WAIT, request: &request, limit: None, probes: false };
    let response: WaitResponse = shim.channel.call(call).await?;
    let pid = if request.exec_id.is_empty() { shim.exits.pid() } else { 0 };
    Ok(Exit { id: request.exec_id, pid, ..response.into() })
}
