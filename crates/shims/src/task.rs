//! A task, as the engine asks it: one call of the shim for each question.

use crate::connect::{Call, Failure};
use crate::convert::{from_delete, from_state, from_time};
use crate::shim::Shim;
use crate::shims::Inner;
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
        Ok(from_delete(exec_id, response))
    }

    async fn state(&self, exec_id: &str) -> Result<Process> {
        let request = StateRequest { id: self.container(), exec_id: exec_id.to_owned() };
        let limit = Some(self.inner.setup.limits.state);
        let call = Call { method: method::STATE, request: &request, limit, probes: false };
        match self.shim.channel.call::<_, StateResponse>(call).await {
            Ok(state) => Ok(from_state(state)),
            Err(Failure::Refused(e)) if e.kind() == Kind::DeadlineExceeded => {
                tracing::warn!(task = self.shim.label(), "the shim does not answer");
                Err(Error::new(Kind::DeadlineExceeded, Kind::DeadlineExceeded.text()))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn kill(&self, kill: Kill) -> Result<()> {
        let Kill { exec_id, signal, all } = kill;
        self.ask(method::KILL, &KillRequest { id: self.container(), exec_id, signal, all }).await
    }

    async fn exec(&self, exec: Exec) -> Result<()> {
        let request = ExecProcessRequest {
            id: self.container(),
            exec_id: exec.exec_id,
            terminal: exec.io.terminal,
            stdin: exec.io.stdin,
            stdout: exec.io.stdout,
            stderr: exec.io.stderr,
            spec: exec.spec.map(wire::Any::from),
        };
        self.ask(method::EXEC, &request).await
    }

    async fn resize(&self, resize: Resize) -> Result<()> {
        let Resize { exec_id, width, height } = resize;
        self.ask(method::RESIZE_PTY, &ResizePtyRequest { id: self.container(), exec_id, width, height }).await
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
        let pid =
            |info: wire::api::process::ProcessInfo| Pid { pid: info.pid, info: info.info.map(Any::from) };
        Ok(response.processes.into_iter().map(pid).collect())
    }

    async fn update(&self, update: Update) -> Result<()> {
        let request = UpdateTaskRequest {
            id: self.container(),
            resources: update.resources.map(wire::Any::from),
            annotations: update.annotations,
        };
        self.ask(method::UPDATE, &request).await
    }

    async fn stats(&self) -> Result<Option<Any>> {
        let response: StatsResponse = self.ask(method::STATS, &StatsRequest { id: self.container() }).await?;
        Ok(response.stats.map(Any::from))
    }

    async fn wait(&self, exec_id: &str) -> Result<Exit> {
        let request = WaitRequest { id: self.container(), exec_id: exec_id.to_owned() };
        let call = Call { method: method::WAIT, request: &request, limit: None, probes: false };
        let response: WaitResponse = self.shim.channel.call(call).await?;
        let pid = if exec_id.is_empty() { self.shim.exits.pid() } else { 0 };
        let (status, at) = (response.exit_status, from_time(response.exited_at));
        Ok(Exit { id: exec_id.to_owned(), pid, status, at })
    }
}
