//! `containerd.services.tasks.v1.Tasks`

use crate::{Answer, answer, scope, status, unimplemented};
use model::{Error, tasks as noun};
use std::sync::Arc;
use tonic::Request;
use wire::api::tasks::*;

pub struct Service(pub Arc<dyn noun::Tasks>);

#[tonic::async_trait]
impl tasks_server::Tasks for Service {
    async fn create(&self, request: Request<CreateTaskRequest>) -> Answer<CreateTaskResponse> {
        let scope = scope(&request)?;
        let container_id = request.get_ref().container_id.clone();
        let pid = self.0.create(&scope, request.into_inner().into()).await.map_err(status)?;
        answer(CreateTaskResponse { container_id, pid })
    }

    async fn start(&self, request: Request<StartRequest>) -> Answer<StartResponse> {
        let StartRequest { container_id, exec_id } = request.get_ref();
        let pid = self.0.start(&scope(&request)?, container_id, exec_id).await.map_err(status)?;
        answer(StartResponse { pid })
    }

    async fn delete(&self, request: Request<DeleteTaskRequest>) -> Answer<DeleteResponse> {
        let exit = self.0.delete(&scope(&request)?, &request.get_ref().container_id).await.map_err(status)?;
        answer(exit.into())
    }

    async fn delete_process(&self, request: Request<DeleteProcessRequest>) -> Answer<DeleteResponse> {
        let DeleteProcessRequest { container_id, exec_id } = request.get_ref();
        let exit = self.0.delete_process(&scope(&request)?, container_id, exec_id).await.map_err(status)?;
        answer(exit.into())
    }

    async fn get(&self, request: Request<GetRequest>) -> Answer<GetResponse> {
        let GetRequest { container_id, exec_id } = request.get_ref();
        let process = self.0.get(&scope(&request)?, container_id, exec_id).await.map_err(status)?;
        answer(GetResponse { process: Some(process.into()) })
    }

    async fn list(&self, request: Request<ListTasksRequest>) -> Answer<ListTasksResponse> {
        let tasks = self.0.list(&scope(&request)?).await.map_err(status)?;
        answer(ListTasksResponse { tasks: wire::fields::list(tasks) })
    }

    async fn kill(&self, request: Request<KillRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        let id = request.get_ref().container_id.clone();
        self.0.kill(&scope, &id, request.into_inner().into()).await.map_err(status)?;
        answer(())
    }

    async fn exec(&self, request: Request<ExecProcessRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        let id = request.get_ref().container_id.clone();
        self.0.exec(&scope, &id, request.into_inner().into()).await.map_err(status)?;
        answer(())
    }

    async fn resize_pty(&self, request: Request<ResizePtyRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        let id = request.get_ref().container_id.clone();
        self.0.resize(&scope, &id, request.into_inner().into()).await.map_err(status)?;
        answer(())
    }

    async fn close_io(&self, request: Request<CloseIoRequest>) -> Answer<()> {
        let CloseIoRequest { container_id, exec_id, stdin } = request.get_ref();
        let scope = scope(&request)?;
        if *stdin {
            self.0.close_stdin(&scope, container_id, exec_id).await.map_err(status)?;
        }
        answer(())
    }

    async fn pause(&self, request: Request<PauseTaskRequest>) -> Answer<()> {
        self.0.pause(&scope(&request)?, &request.get_ref().container_id).await.map_err(status)?;
        answer(())
    }

    async fn resume(&self, request: Request<ResumeTaskRequest>) -> Answer<()> {
        self.0.resume(&scope(&request)?, &request.get_ref().container_id).await.map_err(status)?;
        answer(())
    }

    async fn list_pids(&self, request: Request<ListPidsRequest>) -> Answer<ListPidsResponse> {
        let pids = self.0.pids(&scope(&request)?, &request.get_ref().container_id).await.map_err(status)?;
        answer(ListPidsResponse { processes: wire::fields::list(pids) })
    }

    async fn checkpoint(&self, _: Request<CheckpointTaskRequest>) -> Answer<CheckpointTaskResponse> {
        unimplemented("containerd.services.tasks.v1.Tasks/Checkpoint")
    }

    async fn update(&self, request: Request<UpdateTaskRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        let id = request.get_ref().container_id.clone();
        self.0.update(&scope, &id, request.into_inner().into()).await.map_err(status)?;
        answer(())
    }

    async fn metrics(&self, request: Request<MetricsRequest>) -> Answer<MetricsResponse> {
        // What is wrong with this request has no class, unlike everywhere else.
        let unclassed = |e: Error| status(e.with_kind(model::Kind::Unknown));
        let scope = wire::headers::from_metadata(request.metadata()).map_err(unclassed)?;
        let metrics = self.0.metrics(&scope, &request.get_ref().filters).await.map_err(unclassed)?;
        answer(MetricsResponse { metrics: wire::fields::list(metrics) })
    }

    async fn wait(&self, request: Request<WaitRequest>) -> Answer<WaitResponse> {
        let WaitRequest { container_id, exec_id } = request.get_ref();
        let exit = self.0.wait(&scope(&request)?, container_id, exec_id).await.map_err(status)?;
        answer(exit.into())
    }
}
