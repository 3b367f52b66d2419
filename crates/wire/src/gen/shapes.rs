// Field tables of the messages that events carry, for filters and for printing.
// Generated from `proto/` by `cargo xtask codegen`; edit those files, not these.

use crate::shape::{Field, Kind, Message};

static CONTAINERD_EVENTS_CONTAINER_CREATE: Message = Message {
    name: "containerd.events.ContainerCreate",
    fields: &[
        Field { number: 1, name: "id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "image", kind: Kind::Text, repeated: false },
        Field { number: 3, name: "runtime", kind: Kind::Message(&CONTAINERD_EVENTS_CONTAINER_CREATE_RUNTIME), repeated: false },
    ],
};

static CONTAINERD_EVENTS_CONTAINER_CREATE_RUNTIME: Message = Message {
    name: "containerd.events.ContainerCreate.Runtime",
    fields: &[
        Field { number: 1, name: "name", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "options", kind: Kind::Message(&GOOGLE_PROTOBUF_ANY), repeated: false },
    ],
};

static CONTAINERD_EVENTS_CONTAINER_DELETE: Message = Message {
    name: "containerd.events.ContainerDelete",
    fields: &[
        Field { number: 1, name: "id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_CONTAINER_UPDATE: Message = Message {
    name: "containerd.events.ContainerUpdate",
    fields: &[
        Field { number: 1, name: "id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "image", kind: Kind::Text, repeated: false },
        Field { number: 3, name: "labels", kind: Kind::Map, repeated: false },
        Field { number: 4, name: "snapshot_key", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_CONTENT_CREATE: Message = Message {
    name: "containerd.events.ContentCreate",
    fields: &[
        Field { number: 1, name: "digest", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "size", kind: Kind::Signed, repeated: false },
    ],
};

static CONTAINERD_EVENTS_CONTENT_DELETE: Message = Message {
    name: "containerd.events.ContentDelete",
    fields: &[
        Field { number: 1, name: "digest", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_NAMESPACE_CREATE: Message = Message {
    name: "containerd.events.NamespaceCreate",
    fields: &[
        Field { number: 1, name: "name", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "labels", kind: Kind::Map, repeated: false },
    ],
};

static CONTAINERD_EVENTS_NAMESPACE_DELETE: Message = Message {
    name: "containerd.events.NamespaceDelete",
    fields: &[
        Field { number: 1, name: "name", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_NAMESPACE_UPDATE: Message = Message {
    name: "containerd.events.NamespaceUpdate",
    fields: &[
        Field { number: 1, name: "name", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "labels", kind: Kind::Map, repeated: false },
    ],
};

static CONTAINERD_EVENTS_SANDBOX_CREATE: Message = Message {
    name: "containerd.events.SandboxCreate",
    fields: &[
        Field { number: 1, name: "sandbox_id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_SANDBOX_EXIT: Message = Message {
    name: "containerd.events.SandboxExit",
    fields: &[
        Field { number: 1, name: "sandbox_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "exit_status", kind: Kind::Unsigned, repeated: false },
        Field { number: 3, name: "exited_at", kind: Kind::Message(&GOOGLE_PROTOBUF_TIMESTAMP), repeated: false },
    ],
};

static CONTAINERD_EVENTS_SANDBOX_START: Message = Message {
    name: "containerd.events.SandboxStart",
    fields: &[
        Field { number: 1, name: "sandbox_id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_SNAPSHOT_COMMIT: Message = Message {
    name: "containerd.events.SnapshotCommit",
    fields: &[
        Field { number: 1, name: "key", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "name", kind: Kind::Text, repeated: false },
        Field { number: 5, name: "snapshotter", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_SNAPSHOT_PREPARE: Message = Message {
    name: "containerd.events.SnapshotPrepare",
    fields: &[
        Field { number: 1, name: "key", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "parent", kind: Kind::Text, repeated: false },
        Field { number: 5, name: "snapshotter", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_SNAPSHOT_REMOVE: Message = Message {
    name: "containerd.events.SnapshotRemove",
    fields: &[
        Field { number: 1, name: "key", kind: Kind::Text, repeated: false },
        Field { number: 5, name: "snapshotter", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_CHECKPOINTED: Message = Message {
    name: "containerd.events.TaskCheckpointed",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "checkpoint", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_CREATE: Message = Message {
    name: "containerd.events.TaskCreate",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "bundle", kind: Kind::Text, repeated: false },
        Field { number: 3, name: "rootfs", kind: Kind::Message(&CONTAINERD_TYPES_MOUNT), repeated: true },
        Field { number: 4, name: "io", kind: Kind::Message(&CONTAINERD_EVENTS_TASK_IO), repeated: false },
        Field { number: 5, name: "checkpoint", kind: Kind::Text, repeated: false },
        Field { number: 6, name: "pid", kind: Kind::Unsigned, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_DELETE: Message = Message {
    name: "containerd.events.TaskDelete",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "pid", kind: Kind::Unsigned, repeated: false },
        Field { number: 3, name: "exit_status", kind: Kind::Unsigned, repeated: false },
        Field { number: 4, name: "exited_at", kind: Kind::Message(&GOOGLE_PROTOBUF_TIMESTAMP), repeated: false },
        Field { number: 5, name: "id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_EXEC_ADDED: Message = Message {
    name: "containerd.events.TaskExecAdded",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "exec_id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_EXEC_STARTED: Message = Message {
    name: "containerd.events.TaskExecStarted",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "exec_id", kind: Kind::Text, repeated: false },
        Field { number: 3, name: "pid", kind: Kind::Unsigned, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_EXIT: Message = Message {
    name: "containerd.events.TaskExit",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "id", kind: Kind::Text, repeated: false },
        Field { number: 3, name: "pid", kind: Kind::Unsigned, repeated: false },
        Field { number: 4, name: "exit_status", kind: Kind::Unsigned, repeated: false },
        Field { number: 5, name: "exited_at", kind: Kind::Message(&GOOGLE_PROTOBUF_TIMESTAMP), repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_IO: Message = Message {
    name: "containerd.events.TaskIO",
    fields: &[
        Field { number: 1, name: "stdin", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "stdout", kind: Kind::Text, repeated: false },
        Field { number: 3, name: "stderr", kind: Kind::Text, repeated: false },
        Field { number: 4, name: "terminal", kind: Kind::Flag, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_OOM: Message = Message {
    name: "containerd.events.TaskOOM",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_PAUSED: Message = Message {
    name: "containerd.events.TaskPaused",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_RESUMED: Message = Message {
    name: "containerd.events.TaskResumed",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_EVENTS_TASK_START: Message = Message {
    name: "containerd.events.TaskStart",
    fields: &[
        Field { number: 1, name: "container_id", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "pid", kind: Kind::Unsigned, repeated: false },
    ],
};

static CONTAINERD_SERVICES_IMAGES_V1_IMAGE_CREATE: Message = Message {
    name: "containerd.services.images.v1.ImageCreate",
    fields: &[
        Field { number: 1, name: "name", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "labels", kind: Kind::Map, repeated: false },
    ],
};

static CONTAINERD_SERVICES_IMAGES_V1_IMAGE_DELETE: Message = Message {
    name: "containerd.services.images.v1.ImageDelete",
    fields: &[
        Field { number: 1, name: "name", kind: Kind::Text, repeated: false },
    ],
};

static CONTAINERD_SERVICES_IMAGES_V1_IMAGE_UPDATE: Message = Message {
    name: "containerd.services.images.v1.ImageUpdate",
    fields: &[
        Field { number: 1, name: "name", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "labels", kind: Kind::Map, repeated: false },
    ],
};

static CONTAINERD_TYPES_MOUNT: Message = Message {
    name: "containerd.types.Mount",
    fields: &[
        Field { number: 1, name: "type", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "source", kind: Kind::Text, repeated: false },
        Field { number: 3, name: "target", kind: Kind::Text, repeated: false },
        Field { number: 4, name: "options", kind: Kind::Text, repeated: true },
    ],
};

static GOOGLE_PROTOBUF_ANY: Message = Message {
    name: "google.protobuf.Any",
    fields: &[
        Field { number: 1, name: "type_url", kind: Kind::Text, repeated: false },
        Field { number: 2, name: "value", kind: Kind::Bytes, repeated: false },
    ],
};

static GOOGLE_PROTOBUF_TIMESTAMP: Message = Message {
    name: "google.protobuf.Timestamp",
    fields: &[
        Field { number: 1, name: "seconds", kind: Kind::Signed, repeated: false },
        Field { number: 2, name: "nanos", kind: Kind::Signed, repeated: false },
    ],
};

/// Every event message, sorted by full name.
pub(crate) static EVENTS: [&Message; 28] = [
    &CONTAINERD_EVENTS_CONTAINER_CREATE,
    &CONTAINERD_EVENTS_CONTAINER_DELETE,
    &CONTAINERD_EVENTS_CONTAINER_UPDATE,
    &CONTAINERD_EVENTS_CONTENT_CREATE,
    &CONTAINERD_EVENTS_CONTENT_DELETE,
    &CONTAINERD_EVENTS_NAMESPACE_CREATE,
    &CONTAINERD_EVENTS_NAMESPACE_DELETE,
    &CONTAINERD_EVENTS_NAMESPACE_UPDATE,
    &CONTAINERD_EVENTS_SANDBOX_CREATE,
    &CONTAINERD_EVENTS_SANDBOX_EXIT,
    &CONTAINERD_EVENTS_SANDBOX_START,
    &CONTAINERD_EVENTS_SNAPSHOT_COMMIT,
    &CONTAINERD_EVENTS_SNAPSHOT_PREPARE,
    &CONTAINERD_EVENTS_SNAPSHOT_REMOVE,
    &CONTAINERD_EVENTS_TASK_CHECKPOINTED,
    &CONTAINERD_EVENTS_TASK_CREATE,
    &CONTAINERD_EVENTS_TASK_DELETE,
    &CONTAINERD_EVENTS_TASK_EXEC_ADDED,
    &CONTAINERD_EVENTS_TASK_EXEC_STARTED,
    &CONTAINERD_EVENTS_TASK_EXIT,
    &CONTAINERD_EVENTS_TASK_IO,
    &CONTAINERD_EVENTS_TASK_OOM,
    &CONTAINERD_EVENTS_TASK_PAUSED,
    &CONTAINERD_EVENTS_TASK_RESUMED,
    &CONTAINERD_EVENTS_TASK_START,
    &CONTAINERD_SERVICES_IMAGES_V1_IMAGE_CREATE,
    &CONTAINERD_SERVICES_IMAGES_V1_IMAGE_DELETE,
    &CONTAINERD_SERVICES_IMAGES_V1_IMAGE_UPDATE,
];
