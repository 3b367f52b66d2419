//! Leases across the wire.

use model::leases::{Delete, Lease, Resource};
use model::{Error, Result};

use crate::api::leases::{self, AddResourceRequest, DeleteRequest, DeleteResourceRequest};
use crate::fields::{required, time, wire_time};

impl From<leases::Lease> for Lease {
    fn from(wire: leases::Lease) -> Self {
        Self { id: wire.id, created_at: time(wire.created_at), labels: wire.labels }
    }
}

impl From<Lease> for leases::Lease {
    fn from(lease: Lease) -> Self {
        Self { id: lease.id, created_at: wire_time(lease.created_at), labels: lease.labels }
    }
}

impl From<leases::Resource> for Resource {
    fn from(wire: leases::Resource) -> Self {
        Self { kind: wire.r#type, id: wire.id }
    }
}

impl From<Resource> for leases::Resource {
    fn from(resource: Resource) -> Self {
        Self { id: resource.id, r#type: resource.kind }
    }
}

impl From<DeleteRequest> for Delete {
    fn from(request: DeleteRequest) -> Self {
        Self { id: request.id, sync: request.sync }
    }
}

impl From<Delete> for DeleteRequest {
    fn from(delete: Delete) -> Self {
        Self { id: delete.id, sync: delete.sync }
    }
}

/// The lease's id and what it is to hold.
impl TryFrom<AddResourceRequest> for (String, Resource) {
    type Error = Error;
    fn try_from(request: AddResourceRequest) -> Result<Self> {
        Ok((request.id, required(request.resource, "resource")?.into()))
    }
}

/// The lease's id and what it is to let go.
impl TryFrom<DeleteResourceRequest> for (String, Resource) {
    type Error = Error;
    fn try_from(request: DeleteResourceRequest) -> Result<Self> {
        Ok((request.id, required(request.resource, "resource")?.into()))
    }
}
