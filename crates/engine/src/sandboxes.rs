//! Sandboxes: the records of groups of containers.

use crate::containers::take_extensions;
use crate::database::Database;
use crate::{clock, masks};
use async_trait::async_trait;
use model::filters::Filters;
use model::sandboxes::Sandbox;
use model::{Error, Mask, Result, Scope, ids};
use std::sync::Arc;
use store::{Rows, namespaces, sandboxes};

/// What an update without a mask replaces.
const MUTABLE: [&str; 4] = ["labels", "extensions", "spec", "runtime"];

/// The sandboxes of the store.
pub(crate) struct Sandboxes {
    pub(crate) database: Arc<Database>,
}

#[async_trait]
impl model::sandboxes::Sandboxes for Sandboxes {
    async fn get(&self, scope: &Scope, id: &str) -> Result<Sandbox> {
        self.database.read(|tx| find(tx, &scope.namespace, id))
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Sandbox>> {
        let filters = Filters::parse(filters).map_err(masks::twice)?;
        let mut found = self.database.read(|tx| sandboxes::list(tx, &scope.namespace))?;
        found.retain(|sandbox| filters.matches(sandbox));
        Ok(found)
    }

    async fn create(&self, scope: &Scope, mut sandbox: Sandbox) -> Result<Sandbox> {
        let invalid = |e: Error| e.during("failed to validate sandbox");
        ids::validate(&sandbox.id).map_err(|e| invalid(e.during("invalid sandbox ID")))?;
        check_runtime(&sandbox).map_err(invalid)?;
        let namespace = scope.namespace.clone();
        let write = self.database.write(move |tx| {
            if sandboxes::find(tx, &namespace, &sandbox.id)?.is_some() {
                let text = format!("write error: sandbox bucket {:?} already exists", sandbox.id);
                return Err(Error::already_exists(text));
            }
            sandbox.created_at = clock::now();
            sandbox.updated_at = sandbox.created_at;
            sandbox.labels = masks::storable(&sandbox.labels).map_err(|e| e.during("write error"))?;
            sandboxes::put(tx, &namespace, &sandbox)?;
            Ok(sandbox)
        });
        write.await
    }

    async fn update(&self, scope: &Scope, sandbox: Sandbox, mask: Mask) -> Result<Sandbox> {
        let namespace = scope.namespace.clone();
        let write = self.database.write(move |tx| {
            let stored = find(tx, &namespace, &sandbox.id)?;
            let mut updated = apply(&stored, &sandbox, &mask)?;
            updated.updated_at = clock::now();
            updated.labels = masks::storable(&updated.labels)?;
            sandboxes::put(tx, &namespace, &merged(stored, &updated))?;
            Ok(updated)
        });
        write.await
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<()> {
        let (namespace, id) = (scope.namespace.clone(), id.to_owned());
        let write = self.database.write(move |tx| {
            if sandboxes::find(tx, &namespace, &id)?.is_none() {
                return Err(match namespaces::find(tx, &namespace)? {
                    Some(_) => Error::not_found(format!("failed to delete sandbox {id:?}")),
                    None => Error::not_found("no sandbox buckets"),
                });
            }
            sandboxes::delete(tx, &namespace, &id)
        });
        write.await
    }
}

fn find(tx: &dyn Rows, namespace: &str, id: &str) -> Result<Sandbox> {
    if let Some(sandbox) = sandboxes::find(tx, namespace, id)? {
        return Ok(sandbox);
    }
    Err(match namespaces::find(tx, namespace)? {
        Some(_) => Error::not_found(format!("bucket {id:?} not found")),
        None => Error::not_found("no sandbox buckets"),
    })
}

fn check_runtime(sandbox: &Sandbox) -> Result<()> {
    if sandbox.runtime.is_none() {
        return Err(Error::invalid("sandbox.Runtime must be set"));
    }
    Ok(())
}

fn apply(stored: &Sandbox, request: &Sandbox, mask: &Mask) -> Result<Sandbox> {
    let mut updated = stored.clone();
    let all = MUTABLE.map(String::from);
    let paths = mask.paths().unwrap_or(&all);
    if mask.paths().is_none() {
        check_runtime(request)?;
        let name = |s: &Sandbox| s.runtime.as_ref().map(|r| r.name.clone());
        if name(stored) != name(request) {
            return Err(Error::invalid("sandbox.Runtime.Name field is immutable"));
        }
    }
    for path in paths {
        match path.as_str() {
            "spec" => updated.spec.clone_from(&request.spec),
            "runtime" => {
                check_runtime(request)?;
                updated.runtime.clone_from(&request.runtime);
            }
            path if masks::take_labels(&mut updated.labels, path, &request.labels) => {}
            path if take_extensions(&mut updated.extensions, path, &request.extensions) => {}
            path => return Err(masks::refused(path, &format!("sandbox {:?}", request.id))),
        }
    }
    Ok(updated)
}

/// What is stored: extensions are never removed; no spec and no runtime options leave the old ones.
fn merged(stored: Sandbox, updated: &Sandbox) -> Sandbox {
    let mut record = updated.clone();
    let mut extensions = stored.extensions;
    extensions.append(&mut record.extensions);
    record.extensions = extensions;
    record.spec = record.spec.or(stored.spec);
    if let (Some(new), Some(old)) = (&mut record.runtime, stored.runtime) {
        new.options = new.options.take().or(old.options);
    }
    record
}
