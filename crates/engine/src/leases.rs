//! Leases: what keeps objects from the collector.

use crate::database::Database;
use crate::gc::{Collector, Gone};
use crate::{clock, fresh, masks};
use async_trait::async_trait;
use model::filters::Filters;
use model::leases::{Delete, Lease, Resource};
use model::{Error, Labels, Result, Scope};
use oci::Digest;
use std::sync::Arc;
use store::{Rows, leases};

/// The leases of the store.
pub(crate) struct Leases {
    pub(crate) database: Arc<Database>,
    pub(crate) collector: Arc<Collector>,
}

#[async_trait]
impl model::leases::Leases for Leases {
    async fn create(&self, scope: &Scope, id: &str, labels: Labels) -> Result<Lease> {
        let created_at = clock::now();
        let id = if id.is_empty() { fresh::after(created_at.nanos) } else { id.to_owned() };
        let namespace = scope.namespace.clone();
        let write = self.database.write(move |tx| {
            if leases::exists(tx, &namespace, &id)? {
                return Err(Error::already_exists(format!("lease {id:?}")));
            }
            let lease = Lease { id, created_at, labels: masks::storable(&labels)? };
            leases::put(tx, &namespace, &lease)?;
            Ok(lease)
        });
        write.await
    }

    async fn delete(&self, scope: &Scope, delete: Delete) -> Result<()> {
        let (namespace, id) = (scope.namespace.clone(), delete.id);
        let write = self.database.remove(Gone::Holder, move |tx| {
            check(tx, &namespace, &id)?;
            leases::delete(tx, &namespace, &id)?;
            Ok(())
        });
        write.await?;
        if delete.sync {
            self.collector.collect().await?;
        }
        Ok(())
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Lease>> {
        let filters = Filters::parse(filters).map_err(masks::twice)?;
        let mut found = self.database.read(|tx| leases::list(tx, &scope.namespace))?;
        found.retain(|lease| filters.matches(lease));
        Ok(found)
    }

    async fn add_resource(&self, scope: &Scope, id: &str, resource: Resource) -> Result<()> {
        let (namespace, id) = (scope.namespace.clone(), id.to_owned());
        let write = self.database.write(move |tx| {
            check(tx, &namespace, &id)?;
            validate(&resource)?;
            if resource.kind == "snapshots/" {
                return Err(Error::unknown("bucket name required"));
            }
            if resource.id.is_empty() {
                return Err(Error::unknown("key required"));
            }
            leases::add_resource(tx, &namespace, &id, &resource);
            Ok(())
        });
        write.await
    }

    async fn delete_resource(&self, scope: &Scope, id: &str, resource: Resource) -> Result<()> {
        let (namespace, id) = (scope.namespace.clone(), id.to_owned());
        let write = self.database.remove(Gone::Holder, move |tx| {
            check(tx, &namespace, &id)?;
            validate(&resource)?;
            leases::delete_resource(tx, &namespace, &id, &resource)?;
            Ok(())
        });
        write.await
    }

    async fn list_resources(&self, scope: &Scope, id: &str) -> Result<Vec<Resource>> {
        self.database.read(|tx| {
            check(tx, &scope.namespace, id)?;
            leases::resources(tx, &scope.namespace, id)
        })
    }
}

fn check(tx: &dyn Rows, namespace: &str, id: &str) -> Result<()> {
    if leases::exists(tx, namespace, id)? { Ok(()) } else { Err(Error::not_found(format!("lease {id:?}"))) }
}

fn validate(resource: &Resource) -> Result<()> {
    let Resource { kind, id } = resource;
    let mut words = kind.split('/');
    let (noun, more) = (words.next().unwrap_or_default(), words.count());
    match (noun, more) {
        ("content", 0) => match Digest::parse(id) {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::invalid(format!("invalid content resource id {id}: {e}"))),
        },
        ("ingests" | "images", 0) | ("snapshots", 1) => Ok(()),
        ("content" | "ingests" | "images", _) => Err(Error::invalid(format!("invalid resource type {kind}"))),
        ("snapshots", _) => Err(Error::invalid(format!("invalid snapshot resource type {kind}"))),
        _ => Err(Error::not_implemented(format!("resource type {kind} not supported yet"))),
    }
}
