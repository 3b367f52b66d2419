//! What a request's lease does to what it makes and removes.

use model::leases::Resource;
use model::{Error, Result, Scope};
use store::{Rows, WriteTx, leases};

/// A blob as leases name it.
pub(crate) fn content(digest: &str) -> Resource {
    Resource { kind: String::from("content"), id: digest.to_owned() }
}

/// An ingest as leases name it.
pub(crate) fn ingest(reference: &str) -> Resource {
    Resource { kind: String::from("ingests"), id: reference.to_owned() }
}

/// An image as leases name it.
pub(crate) fn image(name: &str) -> Resource {
    Resource { kind: String::from("images"), id: name.to_owned() }
}

/// A snapshot as leases name it.
pub(crate) fn snapshot(snapshotter: &str, key: &str) -> Resource {
    Resource { kind: format!("snapshots/{snapshotter}"), id: key.to_owned() }
}

/// Checks that the request's lease, if it has one, is there.
///
/// # Errors
/// `NotFound` when it is not.
pub(crate) fn check(tx: &dyn Rows, scope: &Scope) -> Result<()> {
    match &scope.lease {
        Some(lease) if !leases::exists(tx, &scope.namespace, lease)? => {
            Err(Error::not_found("lease does not exist"))
        }
        _ => Ok(()),
    }
}

/// Lets the request's lease, if it has one, hold a resource. Returns whether it has one.
///
/// # Errors
/// `NotFound` when the lease is not there.
pub(crate) fn add(tx: &mut WriteTx<'_>, scope: &Scope, resource: &Resource) -> Result<bool> {
    check(tx, scope)?;
    let Some(lease) = &scope.lease else { return Ok(false) };
    leases::add_resource(tx, &scope.namespace, lease, resource);
    Ok(true)
}

/// Lets the request's lease go of a resource; a lease that is not there is no error.
///
/// # Errors
/// Those of the disk.
pub(crate) fn remove(tx: &mut WriteTx<'_>, scope: &Scope, resource: &Resource) -> Result<()> {
    match &scope.lease {
        Some(lease) => leases::delete_resource(tx, &scope.namespace, lease, resource),
        None => Ok(()),
    }
}
