//! Events across the wire: envelopes, and the payloads of what the engine itself reports.

use model::events::{Codec, Envelope, Event};
use model::filters::Fields;
use model::{Error, Result, Timestamp, tasks};

use crate::Any;
use crate::api::event::{
    ContainerCreate, ContainerDelete, ContainerUpdate, ContentCreate, ContentDelete, NamespaceCreate,
    NamespaceDelete, NamespaceUpdate, SnapshotCommit, SnapshotPrepare, SnapshotRemove, TaskDelete, TaskExit,
    container_create,
};
use crate::api::events::ForwardRequest;
use crate::api::images::{ImageCreate, ImageDelete, ImageUpdate};
use crate::api::{shim_events, types};
use crate::content::signed;
use crate::fieldpath::Payload;
use crate::fields::{optional_time, required, wire_time};

/// A time that a forwarded event lacks arrives as the beginning of 1970.
impl From<types::Envelope> for Envelope {
    fn from(wire: types::Envelope) -> Self {
        Self {
            timestamp: optional_time(wire.timestamp).unwrap_or(Timestamp { seconds: 0, nanos: 0 }),
            namespace: wire.namespace,
            topic: wire.topic,
            event: wire.event.map(Into::into),
        }
    }
}

impl From<Envelope> for types::Envelope {
    fn from(envelope: Envelope) -> Self {
        Self {
            timestamp: wire_time(envelope.timestamp),
            namespace: envelope.namespace,
            topic: envelope.topic,
            event: envelope.event.map(Into::into),
        }
    }
}

impl TryFrom<ForwardRequest> for Envelope {
    type Error = Error;
    fn try_from(request: ForwardRequest) -> Result<Self> {
        Ok(required(request.envelope, "envelope")?.into())
    }
}

impl TryFrom<shim_events::ForwardRequest> for Envelope {
    type Error = Error;
    fn try_from(request: shim_events::ForwardRequest) -> Result<Self> {
        Ok(required(request.envelope, "envelope")?.into())
    }
}

/// The payload of an event.
pub fn encode(event: Event) -> Any {
    match event {
        Event::NamespaceCreate { name, labels } => Any::pack(&NamespaceCreate { name, labels }),
        Event::NamespaceUpdate { name, labels } => Any::pack(&NamespaceUpdate { name, labels }),
        Event::NamespaceDelete { name } => Any::pack(&NamespaceDelete { name }),
        Event::ContainerCreate { id, image, runtime } => {
            let options = runtime.options.map(Into::into);
            let runtime = Some(container_create::Runtime { name: runtime.name, options });
            Any::pack(&ContainerCreate { id, image, runtime })
        }
        Event::ContainerUpdate { id, image, labels, snapshot_key } => {
            Any::pack(&ContainerUpdate { id, image, labels, snapshot_key })
        }
        Event::ContainerDelete { id } => Any::pack(&ContainerDelete { id }),
        Event::ImageCreate { name, labels } => Any::pack(&ImageCreate { name, labels }),
        Event::ImageUpdate { name, labels } => Any::pack(&ImageUpdate { name, labels }),
        Event::ImageDelete { name } => Any::pack(&ImageDelete { name }),
        Event::ContentCreate { digest, size } => Any::pack(&ContentCreate { digest, size: signed(size) }),
        Event::ContentDelete { digest } => Any::pack(&ContentDelete { digest }),
        Event::SnapshotPrepare { key, parent, snapshotter } => {
            Any::pack(&SnapshotPrepare { key, parent, snapshotter })
        }
        Event::SnapshotCommit { key, name, snapshotter } => {
            Any::pack(&SnapshotCommit { key, name, snapshotter })
        }
        Event::SnapshotRemove { key, snapshotter } => Any::pack(&SnapshotRemove { key, snapshotter }),
        Event::TaskExit { container_id, exit } => Any::pack(&task_exit(container_id, exit)),
        Event::TaskDelete { container_id, exit } => Any::pack(&task_delete(container_id, exit)),
    }
}

/// The first process of a task goes by the container's id here.
fn task_exit(container_id: String, exit: tasks::Exit) -> TaskExit {
    let id = if exit.id.is_empty() { container_id.clone() } else { exit.id };
    TaskExit { container_id, id, pid: exit.pid, exit_status: exit.status, exited_at: wire_time(exit.at) }
}

/// The first process of a task has no id here.
fn task_delete(container_id: String, exit: tasks::Exit) -> TaskDelete {
    TaskDelete {
        container_id,
        pid: exit.pid,
        exit_status: exit.status,
        exited_at: wire_time(exit.at),
        id: exit.id,
    }
}

/// The engine's view of payloads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Payloads;

impl Codec for Payloads {
    fn encode(&self, event: &Event) -> model::Any {
        encode(event.clone()).into()
    }

    fn decode(&self, event: &model::Any) -> Box<dyn Fields> {
        Box::new(Payload::decode(&event.clone().into()))
    }
}
