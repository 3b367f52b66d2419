//! A stage for one test: directories, a namespace, an event server like the daemon's, and containers of busybox.

use model::containers::{Container, RuntimeChoice};
use model::events::{Envelope, Event};
use model::tasks::{Create, Exit, Runtime, Task};
use model::{Any, Mount, Namespace, Result, Scope};
use prost::Message;
use shims::{Limits, LogLevel, Records, Reloaded, Setup, Shims};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use wire::api::{event, shim_events, task_v2, task_v3};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

static STAGES: AtomicU32 = AtomicU32::new(0);

/// Debian's shim of containerd 1.6: version 2 of the task API, options the old way, a bare address.
pub const DEBIAN: &str = "/usr/bin/containerd-shim-runc-v2";

/// A shim to test with, and the OCI runtime it is to use: empty for its own choice.
#[derive(Clone, Debug)]
pub struct Peer {
    pub shim: PathBuf,
    pub runtime: &'static str,
}

impl Peer {
    pub fn debian() -> Self {
        Self { shim: PathBuf::from(DEBIAN), runtime: "" }
    }
}

/// Our shim with both runtimes, and Debian's; or the one that `GANTRY_TEST_SHIM` names.
pub fn peers() -> Vec<Peer> {
    let ours = |runtime| Peer { shim: our_shim(), runtime };
    match std::env::var("GANTRY_TEST_SHIM").as_deref() {
        Ok("ours") => vec![ours("")],
        Ok("ours with runc") => vec![ours("runc")],
        Ok("debian") => vec![Peer::debian()],
        _ => vec![ours(""), ours("runc"), Peer::debian()],
    }
}

/// Our shim as the sources have it, built once.
pub fn our_shim() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let build = || {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "gantry-shim", "--message-format", "json"]);
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("run cargo");
        let errors = String::from_utf8_lossy(&built.stderr).into_owned();
        assert!(built.status.success(), "these tests need a gantry-shim that builds:\n{errors}");
        let lines = String::from_utf8(built.stdout).expect("text");
        let messages = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let path = messages.filter_map(|m| Some(PathBuf::from(m["executable"].as_str()?))).next_back();
        path.expect("cargo names the executable")
    };
    BUILT.get_or_init(build).clone()
}

/// What somebody was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub topic: String,
    /// The container, and the exec if any.
    pub of: String,
    /// The exit status, 0 for other events.
    pub status: u32,
}

pub struct Stage {
    pub dir: TempDir,
    pub scope: Scope,
    pub peer: Peer,
    pub shims: Shims,
    pub limits: Limits,
    news: Mutex<mpsc::UnboundedReceiver<Told>>,
    tell: mpsc::UnboundedSender<Told>,
    server: Mutex<Option<oneshot::Sender<()>>>,
    /// What of the shims' events gets as far as the daemon.
    gate: Arc<Mutex<Gate>>,
    /// The name of the state directory of the daemon that comes back.
    pub state: &'static str,
}

/// Looks at an envelope; false when it goes no further.
type Gate = Box<dyn FnMut(&Envelope) -> bool + Send>;

impl Stage {
    pub async fn new(peer: &Peer) -> Self {
        let dir = tempfile::Builder::new().prefix("gs").tempdir().expect("dir");
        let name = format!("gs{}-{}", std::process::id(), STAGES.fetch_add(1, Ordering::Relaxed));
        let (tell, news) = mpsc::unbounded_channel();
        let limits = Limits { state: PATIENCE, ..Limits::default() };
        make_root(&dir.path().join("image"));
        let namespace = Namespace::new(&name).expect("name");
        let shims = Shims::new(setup(dir.path(), limits), sink(tell.clone()));
        let stage = Self {
            scope: Scope::new(namespace),
            peer: peer.clone(),
            shims,
            limits,
            news: Mutex::new(news),
            tell,
            server: Mutex::default(),
            gate: Arc::new(Mutex::new(Box::new(|_| true))),
            state: "state",
            dir,
        };
        // Nothing was missed.
        stage.shims.announce();
        stage.serve_events();
        stage
    }

    /// The daemon's end for events.
    pub fn serve_events(&self) {
        let path = self.dir.path().join("d.ttrpc");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("bind");
        let (shims, tell, gate) = (self.shims.clone(), self.tell.clone(), Arc::clone(&self.gate));
        let forward = move |call: ttrpc::Call| {
            let (shims, tell, gate) = (shims.clone(), tell.clone(), Arc::clone(&gate));
            async move {
                let request = shim_events::ForwardRequest::decode(call.payload).expect("request");
                let envelope = request.envelope.expect("envelope");
                let event = envelope.event.map(Any::from);
                let at = model::Timestamp::NEVER;
                let envelope =
                    Envelope { timestamp: at, namespace: envelope.namespace, topic: envelope.topic, event };
                if (*gate.lock().expect("lock"))(&envelope) {
                    let told = read(&envelope);
                    let _ = shims.pass(envelope, |_| tell.send(told));
                }
                Ok(bytes::Bytes::new())
            }
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let server = ttrpc::server::Server::default().unary(
            shim_events::events_methods::SERVICE,
            shim_events::events_methods::FORWARD,
            forward,
        );
        tokio::spawn(server.serve(listener, async {
            let _ = stopped.await;
        }));
        *self.server.lock().expect("lock") = Some(stop);
    }

    /// Has every event of the shims looked at before the daemon sees it, which it does not when `gate` says no.
    pub fn intercept(&self, gate: impl FnMut(&Envelope) -> bool + Send + 'static) {
        *self.gate.lock().expect("lock") = Box::new(gate);
    }

    /// The daemon goes away: no client of the shims, nobody to take events.
    pub async fn leave(&self) {
        self.server.lock().expect("lock").take();
        let _ = std::fs::remove_file(self.dir.path().join("d.ttrpc"));
        self.shims.close().await;
    }

    /// The daemon comes back.
    pub async fn come_back(&mut self) -> Reloaded {
        let setup = Setup { state: self.dir.path().join(self.state), ..setup(self.dir.path(), self.limits) };
        self.shims = Shims::new(setup, sink(self.tell.clone()));
        let records = Known(self.peer.shim.display().to_string());
        let reloaded = self.shims.reload(Arc::new(records)).await.expect("reload");
        self.serve_events();
        reloaded
    }

    /// The record of a container that runs a script.
    pub fn container(&self, id: &str, args: &[&str]) -> Container {
        let cgroup = format!("/{}/{id}", self.scope.namespace);
        let spec = serde_json::json!({
            "ociVersion": "1.0.2",
            "process": {
                "args": args, "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 },
                "capabilities": { "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"] },
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
            ],
            "linux": {
                "cgroupsPath": cgroup,
                "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }],
            },
        });
        let options = wire::api::runc::Options {
            root: self.dir.path().join("runc").display().to_string(),
            binary_name: self.peer.runtime.to_owned(),
            ..Default::default()
        };
        Container {
            id: id.to_owned(),
            spec: Some(Any { type_url: model::any::SPEC_URL.to_owned(), value: spec.to_string().into() }),
            runtime: RuntimeChoice {
                name: self.peer.shim.display().to_string(),
                options: Some(wire::Any::pack(&options).into()),
            },
            ..Container::default()
        }
    }

    pub fn request(&self, id: &str) -> Create {
        let source = self.dir.path().join("image").display().to_string();
        let options = vec!["rbind".to_owned(), "rw".to_owned()];
        let mount = Mount { kind: "bind".to_owned(), source, options, target: String::new() };
        Create { container_id: id.to_owned(), rootfs: vec![mount], ..Create::default() }
    }

    /// Creates a task.
    pub async fn create(&self, id: &str, args: &[&str]) -> Result<u32> {
        let (container, request) = (self.container(id, args), self.request(id));
        within(self.shims.create(&self.scope, &container, &request)).await
    }

    /// Creates and starts a task that does nothing.
    pub async fn run(&self, id: &str) -> Arc<dyn Task> {
        self.create(id, &["/bin/sleep", "1000"]).await.expect("create");
        let task = self.task(id);
        within(task.start("")).await.expect("start");
        task
    }

    pub fn task(&self, id: &str) -> Arc<dyn Task> {
        self.shims.get(&self.scope, id).expect("task")
    }

    /// Kills and deletes a task.
    pub async fn end(&self, id: &str) -> Exit {
        let task = self.task(id);
        let _ = within(task.kill(kill(9))).await;
        within(task.wait("")).await.expect("wait");
        within(task.delete()).await.expect("delete")
    }

    /// The next thing that somebody was told.
    pub async fn next(&self) -> Told {
        let next = std::future::poll_fn(|cx| self.news.lock().expect("lock").poll_recv(cx));
        within(next).await.expect("more news")
    }

    /// What was told so far.
    pub fn rest(&self) -> Vec<Told> {
        let mut news = self.news.lock().expect("lock");
        std::iter::from_fn(|| news.try_recv().ok()).collect()
    }

    pub fn bundle(&self, id: &str) -> PathBuf {
        self.dir.path().join("state/io.containerd.runtime.v2.task").join(&*self.scope.namespace).join(id)
    }

    pub fn work(&self, id: &str) -> PathBuf {
        self.dir.path().join("root/io.containerd.runtime.v2.task").join(&*self.scope.namespace).join(id)
    }

    /// Where a task's shim listens, without the scheme.
    pub fn socket(&self, id: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.bundle(id).join("bootstrap.json")).expect("bootstrap");
        let value: serde_json::Value = serde_json::from_str(&text).expect("json");
        let address = value["address"].as_str().expect("address");
        PathBuf::from(address.strip_prefix("unix://").expect("unix"))
    }

    /// The pid of a task's shim.
    pub async fn shim_pid(&self, id: &str) -> rustix::process::Pid {
        let request = task_v3::ConnectRequest { id: id.to_owned() };
        let answer: task_v3::ConnectResponse = self.ask(id, "Connect", &request).await;
        rustix::process::Pid::from_raw(answer.shim_pid.cast_signed()).expect("pid")
    }

    /// Waits until a shim knows that its task has ended, without the daemon.
    pub async fn stopped(&self, id: &str) {
        let request = task_v3::StateRequest { id: id.to_owned(), ..Default::default() };
        let stopped = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            loop {
                tick.tick().await;
                let state: task_v3::StateResponse = self.ask(id, "State", &request).await;
                if state.status() == wire::api::process::Status::Stopped {
                    return;
                }
            }
        };
        within(stopped).await;
    }

    /// Asks a shim past the daemon.
    async fn ask<A: Message + Default>(&self, id: &str, method: &str, request: &impl Message) -> A {
        let client = ttrpc::client::Client::connect(self.socket(id)).await.expect("connect");
        for service in [task_v3::task_methods::SERVICE, task_v2::task_methods::SERVICE] {
            let invocation = ttrpc::client::Invocation {
                service: service.to_owned(),
                method: method.to_owned(),
                payload: request.encode_to_vec().into(),
                ..Default::default()
            };
            if let Ok(answer) = client.call(invocation).await {
                return A::decode(answer).expect("answer");
            }
        }
        panic!("the shim knows no version of the API");
    }
}

impl Drop for Stage {
    /// Removes the empty control groups above the containers', and whatever a failed test has left.
    fn drop(&mut self) {
        let name = self.scope.namespace.as_str();
        if std::thread::panicking() {
            kill_all(name);
            unmount_all(self.dir.path());
        }
        for group in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let group = group.path().join(name);
            for container in std::fs::read_dir(&group).into_iter().flatten().flatten() {
                let _ = std::fs::remove_dir(container.path());
            }
            let _ = std::fs::remove_dir(group);
        }
    }
}

/// The shims and the processes of containers of a namespace.
pub fn processes(namespace: &str) -> Vec<i32> {
    // Whole components: `gs1-1` is not the stage `gs1-10`.
    let marks = |file: &str| {
        let text = std::fs::read(file).unwrap_or_default();
        text.split(|b| [0, b'\n', b'/', b':'].contains(b)).any(|part| part == namespace.as_bytes())
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|p| p.file_name().to_str()?.parse::<i32>().ok());
    let others = pids.filter(|pid| *pid != std::process::id().cast_signed());
    others
        .filter(|pid| marks(&format!("/proc/{pid}/cmdline")) || marks(&format!("/proc/{pid}/cgroup")))
        .collect()
}

/// Kills the shims and the containers of a namespace and waits for their end.
fn kill_all(namespace: &str) {
    for pid in processes(namespace) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid)
            && let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        {
            let _ = rustix::process::pidfd_send_signal(&fd, rustix::process::Signal::KILL);
            let mut polled = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
            let patience = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
            let _ = rustix::event::poll(&mut polled, Some(&patience));
        }
    }
}

fn unmount_all(dir: &Path) {
    let info = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = info.lines().filter_map(|line| line.split(' ').nth(4));
    let mut below: Vec<&str> = points.filter(|point| Path::new(point).starts_with(dir)).collect();
    below.reverse();
    for point in below {
        let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
    }
}

pub fn kill(signal: u32) -> model::tasks::Kill {
    model::tasks::Kill { signal, ..Default::default() }
}

/// Waits with patience.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

/// Waits until something holds that nobody tells.
pub async fn until(holds: impl Fn() -> bool) {
    let polled = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            tick.tick().await;
        }
    };
    within(polled).await;
}

/// Stops a process and waits until it has stopped.
pub async fn freeze(pid: rustix::process::Pid) {
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("stop");
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    until(|| std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))).await;
}

pub fn is_running(pid: rustix::process::Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

struct Known(String);

#[async_trait::async_trait]
impl Records for Known {
    async fn runtime_of(&self, _: &Namespace, _: &str) -> Result<Option<String>> {
        Ok(Some(self.0.clone()))
    }
}

fn setup(dir: &Path, limits: Limits) -> Setup {
    Setup {
        root: dir.join("root"),
        state: dir.join("state"),
        grpc_address: dir.join("d").display().to_string(),
        ttrpc_address: dir.join("d.ttrpc").display().to_string(),
        executable: PathBuf::from("/nowhere/gantryd"),
        version: "0.1.0".to_owned(),
        log_level: LogLevel::Info,
        socket_dir: Some(dir.join("s").display().to_string()),
        env: Vec::new(),
        open_files: None,
        limits,
    }
}

fn sink(tell: mpsc::UnboundedSender<Told>) -> shims::Sink {
    Arc::new(move |_, event| {
        let topic = event.topic().to_owned();
        if let Event::TaskExit { container_id: of, exit } | Event::TaskDelete { container_id: of, exit } =
            event
        {
            let _ = tell.send(Told { topic, of, status: exit.status });
        }
    })
}

fn read(envelope: &Envelope) -> Told {
    let any = wire::Any::from(envelope.event.clone().expect("event"));
    let topic = envelope.topic.clone();
    let told = |of: String, status| Told { topic: topic.clone(), of, status };
    if let Some(Ok(e)) = any.unpack::<event::TaskExit>() {
        let of = if e.id == e.container_id { e.id } else { format!("{}/{}", e.container_id, e.id) };
        return told(of, e.exit_status);
    }
    if let Some(Ok(e)) = any.unpack::<event::TaskDelete>() {
        return told(e.container_id, e.exit_status);
    }
    if let Some(Ok(e)) = any.unpack::<event::TaskExecAdded>() {
        return told(format!("{}/{}", e.container_id, e.exec_id), 0);
    }
    if let Some(Ok(e)) = any.unpack::<event::TaskExecStarted>() {
        return told(format!("{}/{}", e.container_id, e.exec_id), 0);
    }
    if let Some(Ok(e)) = any.unpack::<event::TaskCreate>() {
        return told(e.container_id, 0);
    }
    if let Some(Ok(e)) = any.unpack::<event::TaskStart>() {
        return told(e.container_id, 0);
    }
    told(any.type_url, 0)
}

fn make_root(root: &Path) {
    for dir in ["bin", "proc", "dev"] {
        std::fs::create_dir_all(root.join(dir)).expect("mkdir");
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("copy");
    for name in ["sh", "sleep", "true", "false", "kill"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("link");
    }
}
