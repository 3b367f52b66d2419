//! Containers: records of what tasks are made from.

use crate::database::Database;
use crate::gc::Gone;
use crate::{clock, masks};
use async_trait::async_trait;
use model::containers::Container;
use model::events::Event;
use model::filters::Filters;
use model::{Any, Error, Kind, Mask, Result, Scope};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::containers;

/// What an update without a mask replaces.
const MUTABLE: [&str; 5] = ["labels", "spec", "extensions", "image", "snapshotkey"];

/// The containers of the store.
pub(crate) struct Containers {
    pub(crate) database: Arc<Database>,
}

#[async_trait]
impl model::containers::Containers for Containers {
    async fn get(&self, scope: &Scope, id: &str) -> Result<Container> {
        let found = self.database.read(|tx| containers::find(tx, &scope.namespace, id))?;
        found.ok_or_else(|| missing(scope, id))
    }

    async fn check(&self, scope: &Scope, id: &str) -> Result<()> {
        match self.database.read(|tx| containers::exists(tx, &scope.namespace, id))? {
            true => Ok(()),
            false => Err(missing(scope, id)),
        }
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Container>> {
        let filters = Filters::parse(filters).map_err(masks::twice)?;
        let mut found = self.database.read(|tx| containers::list(tx, &scope.namespace))?;
        found.retain(|container| filters.matches(container));
        Ok(found)
    }

    async fn create(&self, scope: &Scope, mut container: Container) -> Result<Container> {
        container.validate().map_err(|e| e.during("create container failed validation"))?;
        let namespace = scope.namespace.clone();
        let write = self.database.write(move |tx| {
            if containers::find(tx, &namespace, &container.id)?.is_some() {
                return Err(Error::already_exists(format!("container {:?}", container.id)));
            }
            container.created_at = clock::now();
            container.updated_at = container.created_at;
            write_labels(&mut container)?;
            containers::put(tx, &namespace, &container)?;
            let (id, image, runtime) =
                (container.id.clone(), container.image.clone(), container.runtime.clone());
            tx.emit(&namespace, Event::ContainerCreate { id, image, runtime });
            Ok(container)
        });
        write.await
    }

    async fn update(&self, scope: &Scope, container: Container, mask: Mask) -> Result<Container> {
        if container.id.is_empty() {
            return Err(Error::new(Kind::InvalidArgument, "Container.ID required"));
        }
        let namespace = scope.namespace.clone();
        let write = self.database.write(move |tx| {
            let Some(stored) = containers::find(tx, &namespace, &container.id)? else {
                return Err(Error::not_found(format!("container {:?}", container.id)));
            };
            let mut updated = apply(&stored, &container, &mask)?;
            updated.validate().map_err(|e| e.during("update failed validation"))?;
            updated.updated_at = clock::now();
            write_labels(&mut updated)?;
            containers::put(tx, &namespace, &merged(stored, &updated))?;
            let Container { id, image, labels, snapshot_key, .. } = updated.clone();
            tx.emit(&namespace, Event::ContainerUpdate { id, image, labels, snapshot_key });
            Ok(updated)
        });
        write.await
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<()> {
        let (namespace, id) = (scope.namespace.clone(), id.to_owned());
        let write = self.database.remove(Gone::Holder, move |tx| {
            if containers::find(tx, &namespace, &id)?.is_none() {
                return Err(Error::not_found(format!("container {id}")));
            }
            containers::delete(tx, &namespace, &id)?;
            tx.emit(&namespace, Event::ContainerDelete { id });
            Ok(())
        });
        write.await
    }
}

fn missing(scope: &Scope, id: &str) -> Error {
    Error::not_found(format!("container {id:?} in namespace {:?}", scope.namespace.as_str()))
}

/// The record a request makes of the stored one, as the answer shows it.
fn apply(stored: &Container, request: &Container, mask: &Mask) -> Result<Container> {
    let mut updated = stored.clone();
    let all = MUTABLE.map(String::from);
    let paths = mask.paths().unwrap_or(&all);
    if mask.paths().is_none() {
        if stored.snapshotter != request.snapshotter {
            return Err(Error::invalid("container.Snapshotter field is immutable"));
        }
        if stored.runtime.name != request.runtime.name {
            return Err(Error::invalid("container.Runtime.Name field is immutable"));
        }
    }
    for path in paths {
        match path.as_str() {
            "spec" => updated.spec.clone_from(&request.spec),
            "image" => updated.image.clone_from(&request.image),
            "snapshotkey" => updated.snapshot_key.clone_from(&request.snapshot_key),
            path if masks::take_labels(&mut updated.labels, path, &request.labels) => {}
            path if take_extensions(&mut updated.extensions, path, &request.extensions) => {}
            path => return Err(masks::refused(path, &format!("{:?}", request.id))),
        }
    }
    Ok(updated)
}

/// Takes the extensions that a mask path names. One that the request does not have becomes an empty one.
pub(crate) fn take_extensions(
    extensions: &mut BTreeMap<String, Any>,
    path: &str,
    request: &BTreeMap<String, Any>,
) -> bool {
    if path == "extensions" {
        extensions.clone_from(request);
        return true;
    }
    match path.strip_prefix("extensions.") {
        Some(name) => {
            extensions.insert(name.to_owned(), request.get(name).cloned().unwrap_or_default());
            true
        }
        None => false,
    }
}

/// What is stored: extensions are never removed, and no spec leaves the old one.
fn merged(stored: Container, updated: &Container) -> Container {
    let mut record = updated.clone();
    let mut extensions = stored.extensions;
    extensions.append(&mut record.extensions);
    record.extensions = extensions;
    record.spec = record.spec.or(stored.spec);
    record
}

fn write_labels(container: &mut Container) -> Result<()> {
    let step = || format!("failed to write container {:?}", container.id);
    container.labels = masks::storable(&container.labels).map_err(|e| e.during(step()))?;
    Ok(())
}
