//! A shim under test with everything around it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::{Message, Name};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use ttrpc::client::{Client, Error, Invocation};
use ttrpc::server::Server;
use wire::Any;
use wire::api::bootstrap::{BootstrapParams, BootstrapResult, Extension};
use wire::api::runc::Options;
use wire::api::shim_events::ForwardRequest;
use wire::api::task_v3 as api;
use wire::api::types::Envelope;

/// Longest wait for anything that has to come.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The shim, its client and the events it sends.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub id: String,
    pub bundle: PathBuf,
    pub client: Client,
    pub events: mpsc::UnboundedReceiver<Envelope>,
    pub address: PathBuf,
    pub shim_pid: u32,
    pub runtime: String,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// A root file system of nothing but busybox.
fn busybox(dir: &Path) -> PathBuf {
    let root = dir.join("busybox");
    for sub in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
        std::fs::create_dir_all(root.join(sub)).expect("mkdir");
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    for applet in
        ["sh", "echo", "cat", "sleep", "true", "stty", "tty", "head", "id", "env", "kill", "dd", "wc"]
    {
        symlink("busybox", root.join("bin").join(applet)).expect("symlink");
    }
    root
}

/// A configuration with all namespaces that runs `script` in a shell.
pub fn config(id: &str, script: &str) -> Value {
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/bin/sh", "-c", script],
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": {"path": "rootfs"},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {
            "cgroupsPath": format!("/gantry-shim-test-{id}"),
            "namespaces": [
                {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"},
            ],
        },
    })
}

pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn events_server(
    path: &Path,
) -> (mpsc::UnboundedReceiver<Envelope>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let (sender, events) = mpsc::unbounded_channel();
    let server =
        Server::default().unary("containerd.services.events.ttrpc.v1.Events", "Forward", move |call| {
            let sender = sender.clone();
            async move {
                let request = ForwardRequest::decode(call.payload).expect("a forward request");
                sender.send(request.envelope.expect("an envelope")).expect("the test waits");
                Ok(Bytes::new())
            }
        });
    let listener = UnixListener::bind(path).expect("bind");
    (events, tokio::spawn(server.serve(listener, std::future::pending())))
}

impl Bench {
    /// A shim for one container that runs `script` by `runtime` (empty: the embedded one).
    pub async fn start(runtime: &str, script: &str) -> Self {
        let id = unique();
        let config = config(&id, script);
        Self::start_with(runtime, id, config).await
    }

    pub async fn start_with(runtime: &str, id: String, config: Value) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let (events, server) = events_server(&dir.path().join("events.sock"));
        busybox(dir.path());
        let bundle = make_bundle(dir.path(), &id, &config);
        let result = call_start(dir.path(), &bundle, &id, runtime);
        assert_eq!((result.version, result.protocol.as_str()), (3, "ttrpc"));
        let address = PathBuf::from(result.address.strip_prefix("unix://").expect("unix"));
        let client = Client::connect(&address).await.expect("connect");
        let mut bench = Self {
            dir,
            id,
            bundle,
            client,
            events,
            address,
            shim_pid: 0,
            runtime: runtime.to_owned(),
            server,
        };
        let connected: api::ConnectResponse = bench.call("Connect", &api::ConnectRequest::default()).await;
        bench.shim_pid = connected.shim_pid;
        bench
    }

    /// Ends the events service.
    pub async fn stop_daemon(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
        std::fs::remove_file(self.dir.path().join("events.sock")).expect("remove");
    }

    /// Serves events again.
    pub fn restart_daemon(&mut self) {
        (self.events, self.server) = events_server(&self.dir.path().join("events.sock"));
    }

    pub async fn try_call<A: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<A, String> {
        let invocation = Invocation {
            service: "containerd.task.v3.Task".into(),
            method: method.into(),
            payload: request.encode_to_vec().into(),
            timeout: Some(PATIENCE),
            ..Default::default()
        };
        match self.client.call(invocation).await {
            Ok(bytes) => Ok(A::decode(bytes).expect("an answer")),
            Err(Error::Status(status)) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    pub async fn call<A: Message + Default>(&self, method: &str, request: &impl Message) -> A {
        self.try_call(method, request).await.unwrap_or_else(|e| panic!("{method}: {e}"))
    }

    pub fn creation(&self) -> api::CreateTaskRequest {
        creation(self.dir.path(), &self.bundle, &self.id, &self.runtime)
    }

    pub async fn create(&self, edit: impl FnOnce(&mut api::CreateTaskRequest)) -> u32 {
        let mut request = self.creation();
        edit(&mut request);
        let created: api::CreateTaskResponse = self.call("Create", &request).await;
        created.pid
    }

    pub async fn start_task(&self) -> u32 {
        let request = api::StartRequest { id: self.id.clone(), ..Default::default() };
        self.call::<api::StartResponse>("Start", &request).await.pid
    }

    pub async fn wait(&self, exec: &str) -> api::WaitResponse {
        self.call("Wait", &api::WaitRequest { id: self.id.clone(), exec_id: exec.into() }).await
    }

    pub async fn state(&self, exec: &str) -> api::StateResponse {
        self.call("State", &api::StateRequest { id: self.id.clone(), exec_id: exec.into() }).await
    }

    pub async fn delete(&self, exec: &str) -> api::DeleteResponse {
        self.call("Delete", &api::DeleteRequest { id: self.id.clone(), exec_id: exec.into() }).await
    }

    pub async fn kill(&self, exec: &str, signal: u32) {
        let request = api::KillRequest { id: self.id.clone(), exec_id: exec.into(), signal, all: false };
        self.call::<()>("Kill", &request).await;
    }

    /// Records a process that runs `script`.
    pub async fn add_exec(&self, exec: &str, script: &str, edit: impl FnOnce(&mut api::ExecProcessRequest)) {
        let process = json!({"args": ["/bin/sh", "-c", script], "env": ["PATH=/bin"], "cwd": "/",
            "user": {"uid": 0, "gid": 0}});
        let mut request = api::ExecProcessRequest {
            id: self.id.clone(),
            exec_id: exec.into(),
            spec: Some(Any::json(wire::typeurl::OCI_PROCESS, process.to_string())),
            ..Default::default()
        };
        edit(&mut request);
        self.call::<()>("Exec", &request).await;
    }

    pub async fn start_exec(&self, exec: &str) -> u32 {
        let request = api::StartRequest { id: self.id.clone(), exec_id: exec.into() };
        self.call::<api::StartResponse>("Start", &request).await.pid
    }

    /// The next event and its topic.
    pub async fn event(&mut self) -> (String, Any) {
        let next = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        let envelope = next.expect("an event in time").expect("an event");
        assert_eq!(envelope.namespace, "bench");
        (envelope.topic, envelope.event.expect("a payload"))
    }

    /// The next event, which has to be of this type.
    pub async fn expect<E: Message + Name + Default>(&mut self) -> E {
        let (topic, any) = self.event().await;
        any.unpack()
            .unwrap_or_else(|| panic!("{topic}: {} came, not {}", any.type_url, E::full_name()))
            .expect("bytes")
    }

    pub fn fifo(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o700);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("mkfifo");
        path.to_str().expect("utf-8").to_owned()
    }

    /// Kills and deletes what is left and ends the shim.
    pub async fn finish(self) {
        let request = api::StateRequest { id: self.id.clone(), ..Default::default() };
        if let Ok(state) = self.try_call::<api::StateResponse>("State", &request).await {
            if state.pid != 0 && state.exit_status == 0 && state.status != 3 {
                let request = api::KillRequest { id: self.id.clone(), signal: 9, ..Default::default() };
                let _ = self.try_call::<()>("Kill", &request).await;
                self.wait("").await;
            }
            self.delete("").await;
        }
        self.call::<()>("Shutdown", &api::ShutdownRequest { id: self.id.clone(), now: false }).await;
        tokio::time::timeout(PATIENCE, self.client.closed()).await.expect("the shim ends");
        assert!(!self.address.exists(), "the socket is removed");
        self.server.abort();
        let left = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let dir = self.dir.path().to_str().expect("utf-8");
        assert!(!left.contains(dir), "nothing stays mounted");
    }
}

impl Drop for Bench {
    /// A failed test leaves a shim and a container behind; both go.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.bundle.join("log")).unwrap_or_default());
            let _ = Command::new(env!("CARGO_BIN_EXE_gantry-shim"))
                .args(["-namespace", "bench", "-id", &self.id, "-bundle"])
                .arg(&self.bundle)
                .arg("delete")
                .current_dir(&self.bundle)
                .output();
            let _ = Command::new("kill").arg("-9").arg(self.shim_pid.to_string()).status();
        }
    }
}

pub fn make_bundle(dir: &Path, id: &str, config: &Value) -> PathBuf {
    let bundle = dir.join(id);
    std::fs::create_dir(&bundle).expect("mkdir");
    std::fs::set_permissions(&bundle, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    std::fs::create_dir(bundle.join("work")).expect("mkdir");
    std::fs::write(bundle.join("log"), "").expect("write");
    std::fs::write(bundle.join("config.json"), config.to_string()).expect("write");
    bundle
}

fn options(dir: &Path, runtime: &str) -> Any {
    let root = dir.join("runc").to_str().expect("utf-8").to_owned();
    Any::pack(&Options { binary_name: runtime.to_owned(), root, ..Default::default() })
}

pub fn creation(dir: &Path, bundle: &Path, id: &str, runtime: &str) -> api::CreateTaskRequest {
    api::CreateTaskRequest {
        id: id.to_owned(),
        bundle: bundle.to_str().expect("utf-8").to_owned(),
        rootfs: vec![wire::api::types::Mount {
            r#type: "bind".into(),
            source: dir.join("busybox").to_str().expect("utf-8").to_owned(),
            options: vec!["rbind".into(), "rw".into()],
            ..Default::default()
        }],
        options: Some(options(dir, runtime)),
        ..Default::default()
    }
}

/// Calls `start` as the daemon does.
pub fn call_start(dir: &Path, bundle: &Path, id: &str, runtime: &str) -> BootstrapResult {
    let path = |name: &str| dir.join(name).to_str().expect("utf-8").to_owned();
    let params = BootstrapParams {
        instance_id: id.to_owned(),
        namespace: "bench".into(),
        containerd_grpc_address: path("daemon.sock"),
        containerd_ttrpc_address: path("events.sock"),
        socket_dir: Some(path("s")),
        extensions: vec![Extension { value: Some(options(dir, runtime)) }],
        ..Default::default()
    };
    let flags = ["-namespace", "bench", "-address", &path("daemon.sock"), "-id", id, "start"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_gantry-shim"))
        .args(flags)
        .current_dir(bundle)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spawn");
    let mut stdin = child.stdin.take().expect("stdin");
    std::io::Write::write_all(&mut stdin, &params.encode_to_vec()).expect("write");
    drop(stdin);
    let output = child.wait_with_output().expect("output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "start: {said}");
    BootstrapResult::decode(&output.stdout[..]).expect("a bootstrap result")
}
