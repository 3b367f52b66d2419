//! Tasks over gRPC.

use crate::connect::answer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::tasks::{Create, Exec, Exit, Kill, Listed, Metric, Pid, Process, Resize, Tasks, Update};
use model::{Result, Scope};
use tonic::transport::Channel;
use wire::api::tasks::*;
use wire::fields::{list, required};

impl Client {
    fn tasks(&self) -> tasks_client::TasksClient<Channel> {
        stub!(self, tasks::tasks_client::TasksClient)
    }
}

#[async_trait]
impl Tasks for Client {
    async fn create(&self, scope: &Scope, create: Create) -> Result<u32> {
        let request = scoped(scope, CreateTaskRequest::from(create))?;
        Ok(answer(self.tasks().create(request).await)?.pid)
    }

    async fn start(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<u32> {
        let message = StartRequest { container_id: id.into(), exec_id: exec_id.into() };
        Ok(answer(self.tasks().start(scoped(scope, message)?).await)?.pid)
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<Exit> {
        let message = DeleteTaskRequest { container_id: id.into() };
        Ok(answer(self.tasks().delete(scoped(scope, message)?).await)?.into())
    }

    async fn delete_process(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Exit> {
        let message = DeleteProcessRequest { container_id: id.into(), exec_id: exec_id.into() };
        Ok(answer(self.tasks().delete_process(scoped(scope, message)?).await)?.into())
    }

    async fn get(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Process> {
        let message = GetRequest { container_id: id.into(), exec_id: exec_id.into() };
        let found = answer(self.tasks().get(scoped(scope, message)?).await)?;
        Ok(required(found.process, "process")?.into())
    }

    async fn list(&self, scope: &Scope) -> Result<Vec<Listed>> {
        let request = scoped(scope, ListTasksRequest::default())?;
        Ok(list(answer(self.tasks().list(request).await)?.tasks))
    }

    async fn kill(&self, scope: &Scope, id: &str, kill: Kill) -> Result<()> {
        let request = scoped(scope, KillRequest::from((id.to_owned(), kill)))?;
        answer(self.tasks().kill(request).await)
    }

    async fn exec(&self, scope: &Scope, id: &str, exec: Exec) -> Result<()> {
        let request = scoped(scope, ExecProcessRequest::from((id.to_owned(), exec)))?;
        answer(self.tasks().exec(request).await)
    }

    async fn resize(&self, scope: &Scope, id: &str, resize: Resize) -> Result<()> {
        let request = scoped(scope, ResizePtyRequest::from((id.to_owned(), resize)))?;
        answer(self.tasks().resize_pty(request).await)
    }

    async fn close_stdin(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<()> {
        let message = CloseIoRequest { container_id: id.into(), exec_id: exec_id.into(), stdin: true };
        answer(self.tasks().close_io(scoped(scope, message)?).await)
    }

    async fn pause(&self, scope: &Scope, id: &str) -> Result<()> {
        let request = scoped(scope, PauseTaskRequest { container_id: id.into() })?;
        answer(self.tasks().pause(request).await)
    }

    async fn resume(&self, scope: &Scope, id: &str) -> Result<()> {
        let request = scoped(scope, ResumeTaskRequest { container_id: id.into() })?;
        answer(self.tasks().resume(request).await)
    }

    async fn pids(&self, scope: &Scope, id: &str) -> Result<Vec<Pid>> {
        let request = scoped(scope, ListPidsRequest { container_id: id.into() })?;
        Ok(list(answer(self.tasks().list_pids(request).await)?.processes))
    }

    async fn update(&self, scope: &Scope, id: &str, update: Update) -> Result<()> {
        let request = scoped(scope, UpdateTaskRequest::from((id.to_owned(), update)))?;
        answer(self.tasks().update(request).await)
    }

    async fn metrics(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Metric>> {
        let request = scoped(scope, MetricsRequest { filters: filters.to_vec() })?;
        Ok(list(answer(self.tasks().metrics(request).await)?.metrics))
    }

    async fn wait(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Exit> {
        let message = WaitRequest { container_id: id.into(), exec_id: exec_id.into() };
        Ok(answer(self.tasks().wait(scoped(scope, message)?).await)?.into())
    }
}
