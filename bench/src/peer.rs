//! The one client for all daemons: containerd's gRPC services over a unix socket.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::Daemon;
use hyper_util::rt::TokioIo;
use kernel::trace;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{IntoRequest, Request};
use wire::Any;
use wire::api::containers::containers_client::ContainersClient;
use wire::api::containers::{Container, CreateContainerRequest, DeleteContainerRequest, container::Runtime};
use wire::api::snapshots::snapshots_client::SnapshotsClient;
use wire::api::snapshots::{PrepareSnapshotRequest, RemoveSnapshotRequest};
use wire::api::tasks::tasks_client::TasksClient;
use wire::api::tasks::{
    CreateTaskRequest, DeleteProcessRequest, DeleteTaskRequest, ExecProcessRequest, KillRequest,
    StartRequest, WaitRequest,
};

use crate::spec;

const SPEC: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
const PROCESS: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const SNAPSHOTTER: &str = "overlayfs";

/// The trace's name of a whole cycle.
pub const CYCLE: &str = "client.cycle";
/// The trace's name of a whole exec.
pub const EXEC: &str = "client.exec-cycle";

/// A connection to one daemon, and the snapshot its containers stand on.
#[derive(Debug, Clone)]
pub struct Peer {
    channel: Channel,
    namespace: String,
    parent: String,
}

impl Peer {
    /// Connects to a daemon that holds the busybox image.
    pub async fn connect(daemon: &Daemon) -> Result<Self> {
        let address: PathBuf = daemon.address();
        let connector = tower::service_fn(move |_: Uri| {
            let address = address.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(address).await?)) }
        });
        let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await?;
        let tree = daemon.ok(&["snapshots", "ls"])?;
        // The top of the image is the snapshot that is nobody's parent.
        let rows = tree.rows();
        let is_parent = |key: &str| rows.iter().any(|r| r.len() == 3 && r[1] == key);
        let top = rows.iter().map(|r| r[0]).find(|key| !is_parent(key)).context("no snapshot")?;
        Ok(Self { channel, namespace: daemon.namespace().to_owned(), parent: top.to_owned() })
    }

    /// A whole life of a container that runs `true`; answers how long it took.
    pub async fn cycle(&mut self, id: &str) -> Result<Duration> {
        let (started, step) = (Instant::now(), trace::begin());
        self.create(id, &["true"]).await?;
        self.wait_for(id, "").await?;
        self.remove(id).await?;
        step.end(CYCLE, id);
        Ok(started.elapsed())
    }

    /// A process in a running container; answers how long it took.
    pub async fn exec(&mut self, id: &str, exec_id: &str) -> Result<Duration> {
        let (started, step) = (Instant::now(), trace::begin());
        let request = ExecProcessRequest {
            container_id: id.to_owned(),
            exec_id: exec_id.to_owned(),
            spec: Some(any(PROCESS, &spec::process(&["true"]))),
            ..Default::default()
        };
        traced("client.exec", self.tasks().exec(self.scoped(request))).await?;
        self.wait_for(id, exec_id).await?;
        let request = DeleteProcessRequest { container_id: id.to_owned(), exec_id: exec_id.to_owned() };
        traced("client.delete-process", self.tasks().delete_process(self.scoped(request))).await?;
        step.end(EXEC, exec_id);
        Ok(started.elapsed())
    }

    /// A container that goes on.
    pub async fn stay(&mut self, id: &str) -> Result<()> {
        self.create(id, &["sleep", "100000"]).await?;
        let request = StartRequest { container_id: id.to_owned(), ..Default::default() };
        self.tasks().start(self.scoped(request)).await?;
        Ok(())
    }

    /// Ends a container that went on.
    pub async fn leave(&mut self, id: &str) -> Result<()> {
        let wait = WaitRequest { container_id: id.to_owned(), ..Default::default() };
        let kill = KillRequest { container_id: id.to_owned(), signal: 9, ..Default::default() };
        self.tasks().kill(self.scoped(kill)).await?;
        self.tasks().wait(self.scoped(wait)).await?;
        self.remove(id).await
    }

    async fn create(&mut self, id: &str, args: &[&str]) -> Result<()> {
        let prepare = PrepareSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: id.to_owned(),
            parent: self.parent.clone(),
            // No collector may take it before its container is there.
            labels: [("containerd.io/gc.root".to_owned(), "bench".to_owned())].into(),
        };
        let mut snapshots = self.snapshots();
        let prepared = traced("client.prepare", snapshots.prepare(self.scoped(prepare))).await?;
        let rootfs = prepared.into_inner().mounts;
        let container = Container {
            id: id.to_owned(),
            runtime: Some(Runtime { name: "io.containerd.runc.v2".to_owned(), options: None }),
            spec: Some(any(SPEC, &spec::container(&self.namespace, id, args))),
            snapshotter: SNAPSHOTTER.to_owned(),
            snapshot_key: id.to_owned(),
            ..Default::default()
        };
        let request = CreateContainerRequest { container: Some(container) };
        let mut containers = ContainersClient::new(self.channel.clone());
        traced("client.create-container", containers.create(self.scoped(request))).await?;
        let request = CreateTaskRequest { container_id: id.to_owned(), rootfs, ..Default::default() };
        traced("client.create-task", self.tasks().create(self.scoped(request))).await?;
        Ok(())
    }

    /// Starts a process, its end being waited for from before, and insists on exit code 0.
    async fn wait_for(&mut self, id: &str, exec_id: &str) -> Result<()> {
        let wait = WaitRequest { container_id: id.to_owned(), exec_id: exec_id.to_owned() };
        let start = StartRequest { container_id: id.to_owned(), exec_id: exec_id.to_owned() };
        let (mut waits, mut starts) = (self.tasks(), self.tasks());
        let (ended, started) = tokio::join!(
            traced("client.wait", waits.wait(self.scoped(wait))),
            traced("client.start", starts.start(self.scoped(start)))
        );
        started.context("start")?;
        let code = ended.context("wait")?.into_inner().exit_status;
        ensure!(code == 0, "{id} {exec_id} exited with {code}");
        Ok(())
    }

    async fn remove(&mut self, id: &str) -> Result<()> {
        let request = DeleteTaskRequest { container_id: id.to_owned() };
        let deleted = traced("client.delete-task", self.tasks().delete(self.scoped(request))).await;
        deleted.context("delete the task")?;
        let request = DeleteContainerRequest { id: id.to_owned() };
        let mut containers = ContainersClient::new(self.channel.clone());
        traced("client.delete-container", containers.delete(self.scoped(request))).await?;
        let request = RemoveSnapshotRequest { snapshotter: SNAPSHOTTER.to_owned(), key: id.to_owned() };
        let removed = traced("client.remove-snapshot", self.snapshots().remove(self.scoped(request))).await;
        removed.context("remove the snapshot")?;
        Ok(())
    }

    fn tasks(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel.clone())
    }

    fn snapshots(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.channel.clone())
    }

    /// A request in this daemon's namespace.
    fn scoped<T>(&self, message: T) -> Request<T> {
        let mut request = message.into_request();
        if let Ok(value) = self.namespace.parse() {
            request.metadata_mut().insert(wire::headers::NAMESPACE, value);
        }
        request
    }
}

/// A request as a step of the trace.
async fn traced<T>(what: &'static str, request: impl Future<Output = T>) -> T {
    let step = trace::begin();
    let answer = request.await;
    step.end(what, "");
    answer
}

fn any(type_url: &str, value: &serde_json::Value) -> Any {
    Any { type_url: type_url.to_owned(), value: value.to_string().into_bytes().into() }
}
