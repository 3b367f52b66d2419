//! What the daemon tells this crate about itself, once.

use std::path::PathBuf;
use std::time::Duration;

/// The directory of task bundles below the root and the state directory.
const TASKS: &str = "io.containerd.runtime.v2.task";
/// The directory of sandbox bundles below the state directory.
const SANDBOXES: &str = "io.containerd.sandbox.controller.v1.shim";

/// Where things are and how shims are to be started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The daemon's root directory (`/var/lib/containerd`).
    pub root: PathBuf,
    /// The daemon's state directory (`/run/containerd`).
    pub state: PathBuf,
    /// The path of the daemon's gRPC socket.
    pub grpc_address: String,
    /// The path of the daemon's ttrpc socket, to which shims send their events.
    pub ttrpc_address: String,
    /// The daemon's executable; shims are looked for beside it first.
    pub executable: PathBuf,
    /// The daemon's version.
    pub version: String,
    /// How much shims are to log.
    pub log_level: LogLevel,
    /// Where shims are to make their sockets; `None` leaves it to them.
    pub socket_dir: Option<String>,
    /// Entries for the shims' environment, after those of the daemon.
    pub env: Vec<(String, String)>,
    /// How many files shims may have open to begin with; `None` for as many as the daemon itself.
    pub open_files: Option<u64>,
    /// How long to wait for what.
    pub limits: Limits,
}

impl Setup {
    /// The directory of the task bundles' working directories.
    pub(crate) fn work_dir(&self) -> PathBuf {
        self.root.join(TASKS)
    }

    /// The directory of the task bundles.
    pub(crate) fn bundles_dir(&self) -> PathBuf {
        self.state.join(TASKS)
    }

    /// The directory of the sandbox bundles.
    pub(crate) fn sandboxes_dir(&self) -> PathBuf {
        self.state.join(SANDBOXES)
    }
}

/// How much a shim logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find mistakes.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

/// The deadlines of everything that is asked of a shim.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `<shim> start`.
    pub start: Duration,
    /// Connecting to a shim's socket.
    pub dial: Duration,
    /// A process' state (`io.containerd.timeout.task.state`).
    pub state: Duration,
    /// Counting what a task uses (`io.containerd.timeout.metrics.shimstats`).
    pub stats: Duration,
    /// Making a task, starting, adding or removing a process: hooks of any length run there.
    pub long: Duration,
    /// Every other call; `wait` has no limit.
    pub call: Duration,
    /// The first call after the daemon's start (`io.containerd.timeout.shim.load`).
    pub load: Duration,
    /// `<shim> delete` (`io.containerd.timeout.shim.cleanup`).
    pub cleanup: Duration,
    /// A shim's shutdown (`io.containerd.timeout.shim.shutdown`).
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            dial: Duration::from_secs(10),
            state: Duration::from_secs(2),
            stats: Duration::from_secs(2),
            long: Duration::from_secs(120),
            call: Duration::from_secs(30),
            load: Duration::from_secs(5),
            cleanup: Duration::from_secs(5),
            shutdown: Duration::from_secs(3),
        }
    }
}
