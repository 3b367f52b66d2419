//! Container records across the wire.

use model::containers::{Container, RuntimeChoice};
use model::{Error, Mask, Result};

use crate::api::containers::{self, CreateContainerRequest, UpdateContainerRequest, container};
use crate::fields::{map, mask, required, time, wire_mask, wire_time};

impl From<container::Runtime> for RuntimeChoice {
    fn from(wire: container::Runtime) -> Self {
        Self { name: wire.name, options: wire.options.map(Into::into) }
    }
}

impl From<RuntimeChoice> for container::Runtime {
    fn from(runtime: RuntimeChoice) -> Self {
        Self { name: runtime.name, options: runtime.options.map(Into::into) }
    }
}

impl From<containers::Container> for Container {
    fn from(wire: containers::Container) -> Self {
        Self {
            id: wire.id,
            labels: wire.labels,
            image: wire.image,
            runtime: wire.runtime.map(Into::into).unwrap_or_default(),
            spec: wire.spec.map(Into::into),
            snapshotter: wire.snapshotter,
            snapshot_key: wire.snapshot_key,
            created_at: time(wire.created_at),
            updated_at: time(wire.updated_at),
            extensions: map(wire.extensions),
            sandbox: wire.sandbox,
        }
    }
}

impl From<Container> for containers::Container {
    fn from(container: Container) -> Self {
        Self {
            id: container.id,
            labels: container.labels,
            image: container.image,
            runtime: Some(container.runtime.into()),
            spec: container.spec.map(Into::into),
            snapshotter: container.snapshotter,
            snapshot_key: container.snapshot_key,
            created_at: wire_time(container.created_at),
            updated_at: wire_time(container.updated_at),
            extensions: map(container.extensions),
            sandbox: container.sandbox,
        }
    }
}

impl TryFrom<CreateContainerRequest> for Container {
    type Error = Error;
    fn try_from(request: CreateContainerRequest) -> Result<Self> {
        Ok(required(request.container, "container")?.into())
    }
}

impl TryFrom<UpdateContainerRequest> for (Container, Mask) {
    type Error = Error;
    fn try_from(request: UpdateContainerRequest) -> Result<Self> {
        Ok((required(request.container, "container")?.into(), mask(request.update_mask)))
    }
}

impl From<(Container, Mask)> for UpdateContainerRequest {
    fn from((container, mask): (Container, Mask)) -> Self {
        Self { container: Some(container.into()), update_mask: wire_mask(mask) }
    }
}
