//! The names under which messages and JSON documents travel in an [`Any`](crate::Any).
//!
//! A message goes by its bare full name, without `type.googleapis.com/`. Readers take any prefix up to the last
//! slash. Documents that are no messages go by a path, which is compared whole.

use prost::Name;

use crate::api::{
    bootstrap, cgroups_v1, cgroups_v2, endpoint, event, images, runc, runtimeoptions, streams, types,
};

/// OCI runtime configuration, JSON.
pub const OCI_SPEC: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
/// OCI process, JSON; what an exec carries.
pub const OCI_PROCESS: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// OCI Linux resources, JSON; what a task update carries.
pub const OCI_LINUX_RESOURCES: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
/// OCI Windows resources, JSON.
pub const OCI_WINDOWS_RESOURCES: &str = "types.containerd.io/opencontainers/runtime-spec/1/WindowsResources";
/// OCI runtime features, JSON.
pub const OCI_FEATURES: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
/// Error detail: a registry answered with an unexpected status, JSON.
pub const UNEXPECTED_STATUS: &str =
    "github.com/containerd/containerd/v2/core/remotes/errors/ErrUnexpectedStatus";
/// Container extension of a container with a network of its own, JSON.
pub const NETWORK_META: &str = "github.com/containerd/containerd/v2/cmd/ctr/commands/NetworkMetaData";
/// Payload for stream processors that decrypt, JSON.
pub const OCICRYPT_PAYLOAD: &str = "io.containerd.ocicrypt.v1.Payload";
/// Container extension of the Kubernetes side, JSON.
pub const CRI_CONTAINER: &str = "github.com/containerd/cri/pkg/store/container/Metadata";
/// Sandbox extension of the Kubernetes side, JSON.
pub const CRI_SANDBOX: &str = "github.com/containerd/cri/pkg/store/sandbox/Metadata";
/// Resources of a sandbox after an update by the Kubernetes side, JSON.
pub const CRI_UPDATED_RESOURCES: &str = "io.containerd.cri.v1/UpdatedResources";
/// `google.protobuf.Empty`.
pub const EMPTY: &str = "google.protobuf.Empty";

/// What stands after the last slash, or everything.
pub fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

macro_rules! names {
    ($($constant:ident = $name:literal is $message:ty;)*) => {
        $(#[doc = concat!("`", $name, "`.")] pub const $constant: &str = $name;)*

        /// Every constant of a message beside the name its type carries.
        pub fn messages() -> Vec<(&'static str, String)> {
            vec![$(($constant, <$message>::full_name())),*]
        }
    };
}

names! {
    CONTAINER_CREATE = "containerd.events.ContainerCreate" is event::ContainerCreate;
    CONTAINER_UPDATE = "containerd.events.ContainerUpdate" is event::ContainerUpdate;
    CONTAINER_DELETE = "containerd.events.ContainerDelete" is event::ContainerDelete;
    CONTENT_CREATE = "containerd.events.ContentCreate" is event::ContentCreate;
    CONTENT_DELETE = "containerd.events.ContentDelete" is event::ContentDelete;
    IMAGE_CREATE = "containerd.services.images.v1.ImageCreate" is images::ImageCreate;
    IMAGE_UPDATE = "containerd.services.images.v1.ImageUpdate" is images::ImageUpdate;
    IMAGE_DELETE = "containerd.services.images.v1.ImageDelete" is images::ImageDelete;
    NAMESPACE_CREATE = "containerd.events.NamespaceCreate" is event::NamespaceCreate;
    NAMESPACE_UPDATE = "containerd.events.NamespaceUpdate" is event::NamespaceUpdate;
    NAMESPACE_DELETE = "containerd.events.NamespaceDelete" is event::NamespaceDelete;
    SANDBOX_CREATE = "containerd.events.SandboxCreate" is event::SandboxCreate;
    SANDBOX_START = "containerd.events.SandboxStart" is event::SandboxStart;
    SANDBOX_EXIT = "containerd.events.SandboxExit" is event::SandboxExit;
    SNAPSHOT_PREPARE = "containerd.events.SnapshotPrepare" is event::SnapshotPrepare;
    SNAPSHOT_COMMIT = "containerd.events.SnapshotCommit" is event::SnapshotCommit;
    SNAPSHOT_REMOVE = "containerd.events.SnapshotRemove" is event::SnapshotRemove;
    TASK_CREATE = "containerd.events.TaskCreate" is event::TaskCreate;
    TASK_START = "containerd.events.TaskStart" is event::TaskStart;
    TASK_DELETE = "containerd.events.TaskDelete" is event::TaskDelete;
    TASK_EXIT = "containerd.events.TaskExit" is event::TaskExit;
    TASK_OOM = "containerd.events.TaskOOM" is event::TaskOom;
    TASK_EXEC_ADDED = "containerd.events.TaskExecAdded" is event::TaskExecAdded;
    TASK_EXEC_STARTED = "containerd.events.TaskExecStarted" is event::TaskExecStarted;
    TASK_PAUSED = "containerd.events.TaskPaused" is event::TaskPaused;
    TASK_RESUMED = "containerd.events.TaskResumed" is event::TaskResumed;
    TASK_CHECKPOINTED = "containerd.events.TaskCheckpointed" is event::TaskCheckpointed;
    RUNC_OPTIONS = "containerd.runc.v1.Options" is runc::Options;
    RUNC_CHECKPOINT_OPTIONS = "containerd.runc.v1.CheckpointOptions" is runc::CheckpointOptions;
    RUNC_PROCESS_DETAILS = "containerd.runc.v1.ProcessDetails" is runc::ProcessDetails;
    RUNTIME_OPTIONS = "runtimeoptions.v1.Options" is runtimeoptions::Options;
    RUNTIME_REQUEST = "containerd.types.RuntimeRequest" is types::RuntimeRequest;
    RUNTIME_INFO = "containerd.types.RuntimeInfo" is types::RuntimeInfo;
    BOOTSTRAP_PARAMS = "containerd.runtime.bootstrap.v1.BootstrapParams" is bootstrap::BootstrapParams;
    CGROUPS_V1_METRICS = "io.containerd.cgroups.v1.Metrics" is cgroups_v1::Metrics;
    CGROUPS_V2_METRICS = "io.containerd.cgroups.v2.Metrics" is cgroups_v2::Metrics;
    STREAM_INIT = "containerd.services.streaming.v1.StreamInit" is streams::StreamInit;
    IMAGE_STORE = "containerd.types.transfer.ImageStore" is endpoint::ImageStore;
    OCI_REGISTRY = "containerd.types.transfer.OCIRegistry" is endpoint::OciRegistry;
    IMAGE_IMPORT_STREAM = "containerd.types.transfer.ImageImportStream" is endpoint::ImageImportStream;
    IMAGE_EXPORT_STREAM = "containerd.types.transfer.ImageExportStream" is endpoint::ImageExportStream;
    CONTAINER_PATH = "containerd.types.transfer.ContainerPath" is endpoint::ContainerPath;
    READ_STREAM = "containerd.types.transfer.ReadStream" is endpoint::ReadStream;
    WRITE_STREAM = "containerd.types.transfer.WriteStream" is endpoint::WriteStream;
    PROGRESS = "containerd.types.transfer.Progress" is endpoint::Progress;
    AUTH_REQUEST = "containerd.types.transfer.AuthRequest" is endpoint::AuthRequest;
    AUTH_RESPONSE = "containerd.types.transfer.AuthResponse" is endpoint::AuthResponse;
    DATA = "containerd.types.transfer.Data" is endpoint::Data;
    WINDOW_UPDATE = "containerd.types.transfer.WindowUpdate" is endpoint::WindowUpdate;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_the_names_of_their_messages() {
        for (constant, name) in messages() {
            assert_eq!(constant, name);
        }
    }

    #[test]
    fn a_name_stands_after_the_last_slash() {
        for (url, expected) in [
            ("containerd.events.TaskExit", "containerd.events.TaskExit"),
            ("type.googleapis.com/containerd.events.TaskExit", "containerd.events.TaskExit"),
            ("a/b/c", "c"),
            ("", ""),
            ("a/", ""),
        ] {
            assert_eq!(name(url), expected, "{url}");
        }
    }
}
