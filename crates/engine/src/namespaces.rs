//! Namespaces: made with their first object or by themselves, removed when nothing is left in them.

use crate::database::Database;
use crate::gc::Gone;
use async_trait::async_trait;
use model::events::Event;
use model::namespaces::NamespaceInfo;
use model::{Error, Kind, Labels, Mask, Result, ids, labels};
use std::sync::Arc;
use store::namespaces::{self, Contents};

/// The namespaces of the store.
pub(crate) struct Namespaces {
    pub(crate) database: Arc<Database>,
}

#[async_trait]
impl model::namespaces::Namespaces for Namespaces {
    async fn get(&self, name: &str) -> Result<NamespaceInfo> {
        let found = self.database.read(|tx| namespaces::find(tx, name))?;
        Ok(found.unwrap_or_else(|| NamespaceInfo { name: name.to_owned(), labels: Labels::new() }))
    }

    async fn list(&self) -> Result<Vec<NamespaceInfo>> {
        self.database.read(|tx| namespaces::list(tx))
    }

    async fn create(&self, namespace: NamespaceInfo) -> Result<NamespaceInfo> {
        ids::validate(&namespace.name)?;
        labels::validate("namespace.Labels", &namespace.labels)?;
        if namespace.name == "version" {
            return Err(Error::unknown("incompatible value"));
        }
        let request = namespace.clone();
        let write = self.database.write(move |tx| {
            if namespaces::find(tx, &namespace.name)?.is_some() {
                return Err(Error::already_exists(format!("namespace {:?}", namespace.name)));
            }
            check_keys(&namespace.labels)?;
            let stored = NamespaceInfo {
                labels: labels::without_empty(&namespace.labels),
                name: namespace.name.clone(),
            };
            namespaces::put(tx, &stored);
            let name = namespace.name.clone();
            tx.emit(&name, Event::NamespaceCreate { name: name.clone(), labels: namespace.labels });
            Ok(())
        });
        write.await?;
        Ok(request)
    }

    async fn update(&self, namespace: NamespaceInfo, mask: Mask) -> Result<()> {
        let name = namespace.name.clone();
        let write = self.database.write(move |tx| {
            let stored = namespaces::find(tx, &namespace.name)?;
            let touched = mask.paths().is_some() || !namespace.labels.is_empty();
            let updated = apply(stored.as_ref().map(|n| &n.labels), &namespace.labels, &mask)?;
            if stored.is_some() || touched {
                if namespace.name.is_empty() {
                    return Err(Error::unknown("bucket name required"));
                }
                namespaces::put(tx, &NamespaceInfo { name: namespace.name.clone(), labels: updated });
            }
            let name = namespace.name.clone();
            tx.emit(&name, Event::NamespaceUpdate { name: name.clone(), labels: namespace.labels });
            Ok(())
        });
        write.await?;
        check_published(&name)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        let published = name.clone();
        let write = self.database.remove(Gone::Content, move |tx| {
            if namespaces::find(tx, &name)?.is_none() {
                return Err(Error::not_found(format!("namespace {name:?}")));
            }
            if let Some(what) = remaining(&namespaces::contents(tx, &name)?) {
                let text = format!("namespace {name:?} must be empty, but it still has {what}");
                return Err(Error::failed_precondition(text));
            }
            namespaces::delete(tx, &name)?;
            tx.emit(&name, Event::NamespaceDelete { name: name.clone() });
            Ok(())
        });
        write.await?;
        check_published(&published)
    }
}

/// The labels after an update.
fn apply(stored: Option<&Labels>, request: &Labels, mask: &Mask) -> Result<Labels> {
    let mut updated = stored.cloned().unwrap_or_default();
    match mask.paths() {
        None => updated.clone_from(request),
        Some(paths) => {
            for path in paths {
                let Some(key) = path.strip_prefix("labels.") else {
                    return Err(Error::new(Kind::InvalidArgument, format!("cannot update {path:?} field")));
                };
                updated.insert(key.to_owned(), request.get(key).cloned().unwrap_or_default());
            }
        }
    }
    labels::validate("namespace.Labels", &updated).map_err(|e| e.with_kind(Kind::Unknown))?;
    check_keys(&updated)?;
    Ok(labels::without_empty(&updated))
}

fn check_keys(labels: &Labels) -> Result<()> {
    match labels.get("") {
        Some(value) if !value.is_empty() => Err(Error::unknown("key required")),
        _ => Ok(()),
    }
}

/// The event of a namespace whose name is no identifier cannot be published; its write stays.
fn check_published(name: &str) -> Result<()> {
    ids::validate(name).map_err(|e| {
        e.during("namespace validation").during("failed publishing event").with_kind(Kind::Unknown)
    })
}

/// What is left, as the refusal lists it; `None` for nothing.
fn remaining(contents: &Contents) -> Option<String> {
    let kinds = [(contents.images, "images"), (contents.blobs, "blobs"), (contents.containers, "containers")];
    let mut left: Vec<String> =
        kinds.iter().filter(|(some, _)| *some).map(|(_, kind)| (*kind).to_owned()).collect();
    left.extend(contents.snapshotters.iter().map(|name| format!("snapshots on {name:?} snapshotter")));
    (!left.is_empty()).then(|| left.join(", "))
}
