//! Tasks: a container's processes, from creation to deletion.
//!
//! ```text
//!             create          start            exit
//!   (record) ────────▶ Created ─────▶ Running ─────────▶ Stopped ──delete──▶ (record)
//!                         │           │    ▲                ▲
//!                         │    pause  ▼    │ resume         │
//!                         │         Pausing─▶Paused ──exit──┤
//!                         └──────────────exit───────────────┘
//! ```
//!
//! The shim owns the truth about a task; [`Status`] is what it reports. [`Tasks`] is what clients see; [`Runtime`] and
//! [`Task`] are what the engine needs of whoever runs shims.

use crate::{Any, ContainerId, Labels, Mount, Namespace, Result, Scope, Timestamp, containers};
use async_trait::async_trait;
use std::sync::Arc;

/// The state of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// The shim could not say.
    #[default]
    Unknown,
    /// It exists, its program is not started.
    Created,
    /// It runs.
    Running,
    /// It has exited.
    Stopped,
    /// It is frozen.
    Paused,
    /// It is being frozen.
    Pausing,
}

/// Where a process reads and writes: fifo paths or URIs, empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Standard input.
    pub stdin: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error; empty with a terminal.
    pub stderr: String,
    /// Whether the process gets a terminal.
    pub terminal: bool,
}

/// What is known of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The container's id for the first process, else the exec's.
    pub id: String,
    /// The pid in the daemon's pid namespace; 0 before it exists.
    pub pid: u32,
    /// Its state.
    pub status: Status,
    /// Its stdio.
    pub io: Io,
    /// Its exit status, once stopped.
    pub exit_status: u32,
    /// When it exited; [`Timestamp::NEVER`] before.
    pub exited_at: Timestamp,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The process: empty for the first one, else the exec's id.
    pub id: String,
    /// Its pid.
    pub pid: u32,
    /// Its exit status; 128 plus the signal when it was killed.
    pub status: u32,
    /// When; [`Timestamp::NEVER`] when it never ran.
    pub at: Timestamp,
}

/// A request to create a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    /// The container.
    pub container_id: String,
    /// The root file system's mounts.
    pub rootfs: Vec<Mount>,
    /// Its stdio.
    pub io: Io,
    /// The checkpoint to restore, if any.
    pub checkpoint: Option<crate::images::Target>,
    /// Options for the shim; they win over the container's.
    pub options: Option<Any>,
    /// A shim to use instead of the container's runtime; empty for none.
    pub runtime_path: String,
    /// The address of a running sandbox's task API (`ttrpc+unix:///…`), or empty.
    pub api_address: String,
    /// The version of that API.
    pub api_version: u32,
}

/// A request to add a process to a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// The new process' id.
    pub exec_id: String,
    /// Its stdio.
    pub io: Io,
    /// The OCI process as JSON.
    pub spec: Option<Any>,
}

/// A request to send a signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kill {
    /// The process; empty for the first one.
    pub exec_id: String,
    /// The signal's number.
    pub signal: u32,
    /// Every process of the container.
    pub all: bool,
}

/// A request to change the size of a terminal, in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resize {
    /// The process; empty for the first one.
    pub exec_id: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A request to change resource limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// OCI Linux resources as JSON.
    pub resources: Option<Any>,
    /// Annotations for the shim.
    pub annotations: Labels,
}

/// A process in a container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pid {
    /// The pid in the daemon's pid namespace.
    pub pid: u32,
    /// What the shim knows of it (`containerd.runc.v1.ProcessDetails`).
    pub info: Option<Any>,
}

/// A task's statistics at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// When they were read.
    pub timestamp: Timestamp,
    /// The container.
    pub id: String,
    /// The cgroup statistics.
    pub data: Option<Any>,
}

/// A task and its state, as `list` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The container.
    pub container_id: String,
    /// Its first process.
    pub process: Process,
}

/// The tasks service. `exec_id` is empty for the first process.
///
/// Every method answers `NotFound` for a container or task that is not there; what a shim refuses arrives with the
/// shim's own kind and text.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Starts a shim and creates the first process; returns its pid.
    async fn create(&self, scope: &Scope, create: Create) -> Result<u32>;
    /// Starts a process; returns its pid.
    async fn start(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<u32>;
    /// Removes a stopped task and its shim.
    async fn delete(&self, scope: &Scope, id: &str) -> Result<Exit>;
    /// Removes a stopped exec.
    async fn delete_process(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Exit>;
    /// A process' state.
    async fn get(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Process>;
    /// Every task that answers.
    async fn list(&self, scope: &Scope) -> Result<Vec<Listed>>;
    /// Sends a signal.
    async fn kill(&self, scope: &Scope, id: &str, kill: Kill) -> Result<()>;
    /// Adds a process; it is started by [`Tasks::start`].
    async fn exec(&self, scope: &Scope, id: &str, exec: Exec) -> Result<()>;
    /// Changes the size of a terminal.
    async fn resize(&self, scope: &Scope, id: &str, resize: Resize) -> Result<()>;
    /// Closes a process' standard input.
    async fn close_stdin(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<()>;
    /// Freezes all processes.
    async fn pause(&self, scope: &Scope, id: &str) -> Result<()>;
    /// Thaws them.
    async fn resume(&self, scope: &Scope, id: &str) -> Result<()>;
    /// All processes in the container.
    async fn pids(&self, scope: &Scope, id: &str) -> Result<Vec<Pid>>;
    /// Changes resource limits.
    async fn update(&self, scope: &Scope, id: &str, update: Update) -> Result<()>;
    /// The statistics of the tasks that match any filter (`id`, `namespace`).
    async fn metrics(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Metric>>;
    /// Waits for a process to end.
    async fn wait(&self, scope: &Scope, id: &str, exec_id: &str) -> Result<Exit>;
}

/// Whoever runs shims.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Makes the bundle, starts or joins a shim and creates the task; returns the first process' pid. Nothing is left
    /// behind on an error.
    async fn create(&self, scope: &Scope, container: &containers::Container, create: &Create) -> Result<u32>;
    /// The task of a container. Errors: `NotFound`.
    fn get(&self, scope: &Scope, id: &str) -> Result<Arc<dyn Task>>;
    /// All tasks of a namespace.
    fn list(&self, namespace: &Namespace) -> Vec<Arc<dyn Task>>;
    /// Whether any namespace has a task of this container, running or being made: the collector asks.
    fn owns(&self, namespace: &Namespace, id: &str) -> bool;
}

/// One task, as its shim offers it. Calls have deadlines; an error names the shim and the step.
#[async_trait]
pub trait Task: Send + Sync {
    /// The container's id.
    fn id(&self) -> &ContainerId;
    /// The namespace.
    fn namespace(&self) -> &Namespace;
    /// See [`Tasks::start`].
    async fn start(&self, exec_id: &str) -> Result<u32>;
    /// Deletes the task, ends its shim and removes its bundle.
    async fn delete(&self) -> Result<Exit>;
    /// See [`Tasks::delete_process`].
    async fn delete_process(&self, exec_id: &str) -> Result<Exit>;
    /// See [`Tasks::get`].
    async fn state(&self, exec_id: &str) -> Result<Process>;
    /// See [`Tasks::kill`].
    async fn kill(&self, kill: Kill) -> Result<()>;
    /// See [`Tasks::exec`].
    async fn exec(&self, exec: Exec) -> Result<()>;
    /// See [`Tasks::resize`].
    async fn resize(&self, resize: Resize) -> Result<()>;
    /// See [`Tasks::close_stdin`].
    async fn close_stdin(&self, exec_id: &str) -> Result<()>;
    /// See [`Tasks::pause`].
    async fn pause(&self) -> Result<()>;
    /// See [`Tasks::resume`].
    async fn resume(&self) -> Result<()>;
    /// See [`Tasks::pids`].
    async fn pids(&self) -> Result<Vec<Pid>>;
    /// See [`Tasks::update`].
    async fn update(&self, update: Update) -> Result<()>;
    /// The task's statistics, `None` when the shim has none.
    async fn stats(&self) -> Result<Option<Any>>;
    /// See [`Tasks::wait`].
    async fn wait(&self, exec_id: &str) -> Result<Exit>;
}
