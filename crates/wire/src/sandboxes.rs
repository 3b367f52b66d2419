//! Sandbox records across the wire.

use model::containers::RuntimeChoice;
use model::sandboxes::Sandbox;
use model::{Error, Mask, Result};

use crate::api::sandboxes::{StoreCreateRequest, StoreUpdateRequest};
use crate::api::types::{self, sandbox};
use crate::fields::{map, required, time, wire_time};

impl From<sandbox::Runtime> for RuntimeChoice {
    fn from(wire: sandbox::Runtime) -> Self {
        Self { name: wire.name, options: wire.options.map(Into::into) }
    }
}

impl From<RuntimeChoice> for sandbox::Runtime {
    fn from(runtime: RuntimeChoice) -> Self {
        Self { name: runtime.name, options: runtime.options.map(Into::into) }
    }
}

impl From<types::Sandbox> for Sandbox {
    fn from(wire: types::Sandbox) -> Self {
        Self {
            id: wire.sandbox_id,
            labels: wire.labels,
            runtime: wire.runtime.map(Into::into),
            spec: wire.spec.map(Into::into),
            sandboxer: wire.sandboxer,
            created_at: time(wire.created_at),
            updated_at: time(wire.updated_at),
            extensions: map(wire.extensions),
        }
    }
}

impl From<Sandbox> for types::Sandbox {
    fn from(sandbox: Sandbox) -> Self {
        Self {
            sandbox_id: sandbox.id,
            runtime: sandbox.runtime.map(Into::into),
            spec: sandbox.spec.map(Into::into),
            labels: sandbox.labels,
            created_at: wire_time(sandbox.created_at),
            updated_at: wire_time(sandbox.updated_at),
            extensions: map(sandbox.extensions),
            sandboxer: sandbox.sandboxer,
        }
    }
}

impl TryFrom<StoreCreateRequest> for Sandbox {
    type Error = Error;
    fn try_from(request: StoreCreateRequest) -> Result<Self> {
        Ok(required(request.sandbox, "sandbox")?.into())
    }
}

impl TryFrom<StoreUpdateRequest> for (Sandbox, Mask) {
    type Error = Error;
    fn try_from(request: StoreUpdateRequest) -> Result<Self> {
        Ok((required(request.sandbox, "sandbox")?.into(), Mask(request.fields)))
    }
}

impl From<(Sandbox, Mask)> for StoreUpdateRequest {
    fn from((sandbox, mask): (Sandbox, Mask)) -> Self {
        Self { sandbox: Some(sandbox.into()), fields: mask.0 }
    }
}
