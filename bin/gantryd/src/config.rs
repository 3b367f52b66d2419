//! The daemon's configuration: containerd's file format, the keys that this daemon obeys.
//!
//! A key that is in a file but not here is named in a warning and otherwise ignored, so that a node's existing file
//! works. `config/load.rs` reads files, imports and older versions.

mod load;
mod text;

pub use load::{Loaded, Presence, load};
pub use text::{dump, human_duration};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The version of the file format that this daemon writes.
pub const VERSION: i64 = 4;
/// Where the file lies unless `--config` says otherwise; it may be absent.
pub const DEFAULT_PATH: &str = "/etc/containerd/config.toml";

/// Everything the daemon can be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The version of the file format.
    pub version: i64,
    /// Where data lies that outlives a reboot.
    pub root: PathBuf,
    /// Where data lies that does not.
    pub state: PathBuf,
    /// Plugins not to build, as `type.id`.
    pub disabled_plugins: Vec<String>,
    /// Plugins without which not to start, as `type.id`.
    pub required_plugins: Vec<String>,
    /// The daemon's oom_score_adj; 0 leaves it.
    pub oom_score: i32,
    /// Further files.
    pub imports: Vec<String>,
    /// Logging.
    pub debug: Debug,
    /// Deadlines, as Go durations.
    pub timeouts: BTreeMap<String, String>,
    /// One section a plugin.
    pub plugins: Plugins,
}

impl Default for Config {
    fn default() -> Self {
        let timeouts = [
            ("metrics.shimstats", "2s"),
            ("shim.cleanup", "5s"),
            ("shim.load", "5s"),
            ("shim.shutdown", "3s"),
            ("task.state", "2s"),
        ];
        Self {
            version: VERSION,
            root: "/var/lib/containerd".into(),
            state: "/run/containerd".into(),
            disabled_plugins: Vec::new(),
            required_plugins: Vec::new(),
            oom_score: 0,
            imports: vec!["/etc/containerd/conf.d/*.toml".into()],
            debug: Debug::default(),
            timeouts: timeouts.map(|(k, v)| (format!("io.containerd.timeout.{k}"), v.to_owned())).into(),
            plugins: Plugins::default(),
        }
    }
}

impl Config {
    /// A deadline of `[timeouts]` by its short name (`shim.load`).
    ///
    /// # Errors
    /// When the text is no duration.
    pub fn timeout(&self, name: &str) -> anyhow::Result<Duration> {
        let key = format!("io.containerd.timeout.{name}");
        let text = self.timeouts.get(&key).map_or("", String::as_str);
        human_duration(text).ok_or_else(|| {
            anyhow::anyhow!(
                "timeouts.\"{key}\" = {text:?} is not a duration; write for example \"5s\" or \"1m30s\""
            )
        })
    }

    /// The ttrpc socket: configured, or the gRPC socket's path with `.ttrpc`.
    pub fn ttrpc_address(&self) -> String {
        match self.plugins.ttrpc.address.as_str() {
            "" => format!("{}.ttrpc", self.plugins.grpc.address),
            address => address.to_owned(),
        }
    }
}

/// `[debug]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Debug {
    /// trace, debug, info, warn, error, fatal or panic; empty for info.
    pub level: String,
    /// text or json; empty for text.
    pub format: String,
}

/// `[plugins]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plugins {
    /// The collector's schedule.
    #[serde(rename = "io.containerd.gc.v1.scheduler")]
    pub gc: Gc,
    /// Metadata.
    #[serde(rename = "io.containerd.metadata.v1.bolt")]
    pub metadata: Metadata,
    /// The main socket.
    #[serde(rename = "io.containerd.server.v1.grpc")]
    pub grpc: Grpc,
    /// The shims' socket.
    #[serde(rename = "io.containerd.server.v1.ttrpc")]
    pub ttrpc: Ttrpc,
    /// The diff service.
    #[serde(rename = "io.containerd.service.v1.diff-service")]
    pub diff: Diff,
    /// How shims are started.
    #[serde(rename = "io.containerd.shim.v1.manager")]
    pub shims: Shims,
    /// The snapshotters this daemon is built with.
    #[serde(flatten)]
    pub snapshots: crate::plugins::Snapshotters,
    /// The transfer service.
    #[serde(rename = "io.containerd.transfer.v1.local")]
    pub transfer: Transfer,
}

/// The collector's schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gc {
    /// The share of time it may spend, 0 to 0.5.
    pub pause_threshold: f64,
    /// This many deletions force a run; 0 for none.
    pub deletion_threshold: i64,
    /// This many changes make the timer run it.
    pub mutation_threshold: i64,
    /// How long to wait after a trigger.
    pub schedule_delay: String,
    /// How long to wait after the start.
    pub startup_delay: String,
}

impl Default for Gc {
    fn default() -> Self {
        Self {
            pause_threshold: 0.02,
            deletion_threshold: 0,
            mutation_threshold: 100,
            schedule_delay: "0s".into(),
            startup_delay: "100ms".into(),
        }
    }
}

/// Metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// `shared`, or `isolated`: whether a namespace may adopt another's blob without supplying its bytes.
    pub content_sharing_policy: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { content_sharing_policy: "shared".into() }
    }
}

/// The main socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grpc {
    /// The socket's path.
    pub address: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The largest message taken, in bytes.
    pub max_recv_message_size: usize,
    /// The largest message sent, in bytes.
    pub max_send_message_size: usize,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            address: "/run/containerd/containerd.sock".into(),
            uid: 0,
            gid: 0,
            max_recv_message_size: 16 << 20,
            max_send_message_size: 16 << 20,
        }
    }
}

/// The shims' socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ttrpc {
    /// The socket's path; empty for the main socket's with `.ttrpc`.
    pub address: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The diff service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Diff {
    /// The differs, in the order in which they are asked.
    pub default: Vec<String>,
    /// Make every applied layer durable before answering.
    pub sync_fs: bool,
}

impl Default for Diff {
    fn default() -> Self {
        Self { default: vec!["walking".into()], sync_fs: false }
    }
}

/// How shims are started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shims {
    /// Further environment, `KEY=value`.
    pub env: Vec<String>,
    /// Where shims put their sockets; empty for `/run/containerd/s`.
    pub socket_dir: String,
}

/// A snapshotter: where it lies, and what its plugin can be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshotter<C: Default> {
    /// Its directory; empty for the one below the root.
    pub root_path: String,
    /// The plugin's own keys.
    #[serde(flatten)]
    pub own: C,
}

/// No key at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nothing {}

/// The transfer service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transfer {
    /// How many blobs to fetch at once.
    pub max_concurrent_downloads: usize,
    /// How many blobs to send at once.
    pub max_concurrent_uploaded_layers: usize,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { max_concurrent_downloads: 3, max_concurrent_uploaded_layers: 3 }
    }
}
