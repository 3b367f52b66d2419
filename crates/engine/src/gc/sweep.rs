//! Sweeping: the write that removes what nothing wants.

use super::graph::{Collectible, Key, Noun, Reader, Resource, namespaces_of};
use super::mark::unwanted;
use super::pressure::Dirty;
use crate::clock;
use model::Result;
use model::events::Event;
use std::sync::Arc;
use store::snapshots::Ledger;
use store::{WriteTx, content, images, leases};

/// What a sweep removed, and what is left to do on disks.
#[derive(Default)]
pub(super) struct Swept {
    /// Rows removed.
    pub(super) rows: usize,
    /// The disks that have things without a row now.
    pub(super) dirty: Dirty,
    /// Things elsewhere that are to be removed.
    pub(super) resources: Vec<(Arc<dyn Collectible>, Resource)>,
}

/// Marks and sweeps every namespace in one write.
///
/// # Errors
/// Those of the store; then nothing is removed.
pub(super) fn sweep(tx: &mut WriteTx<'_>, collectibles: &[Arc<dyn Collectible>]) -> Result<Swept> {
    let resources: Vec<_> = collectibles.iter().map(|c| (c.clone(), c.list())).collect();
    let mut swept = Swept::default();
    let mut names = namespaces_of(tx)?;
    names.extend(resources.iter().flat_map(|(_, found)| found.iter().map(|r| r.namespace.clone())));
    names.sort_unstable();
    names.dedup();
    for namespace in names {
        let left = unwanted(&Reader { tx, now: clock::now(), resources: &resources }.read(&namespace)?);
        for key in left {
            remove(tx, &namespace, &key, &mut swept)?;
            if let Noun::Resource(kind) = key.noun
                && let Some((collectible, _)) = resources.iter().find(|(c, _)| c.kind() == kind)
            {
                let resource = Resource { namespace: namespace.clone(), id: key.id, ..Resource::default() };
                swept.resources.push((collectible.clone(), resource));
            }
        }
    }
    Ok(swept)
}

fn remove(tx: &mut WriteTx<'_>, namespace: &str, key: &Key, swept: &mut Swept) -> Result<()> {
    let id = key.id.as_str();
    match key.noun {
        Noun::Content => {
            content::delete(tx, namespace, id)?;
            swept.dirty.content = true;
        }
        Noun::Ingest => {
            content::delete_ingest(tx, namespace, id)?;
            swept.dirty.content = true;
        }
        Noun::Snapshot => {
            let (snapshotter, key) = id.split_once('/').unwrap_or((id, ""));
            Ledger { namespace, snapshotter }.delete(tx, key)?;
            swept.dirty.snapshotters.insert(snapshotter.to_owned());
            let (key, snapshotter) = (key.to_owned(), snapshotter.to_owned());
            tx.emit(namespace, Event::SnapshotRemove { key, snapshotter });
        }
        Noun::Image => {
            images::delete(tx, namespace, id)?;
            tx.emit(namespace, Event::ImageDelete { name: id.to_owned() });
        }
        Noun::Lease => leases::delete(tx, namespace, id)?,
        // Never among the unwanted, or removed elsewhere.
        Noun::Container | Noun::Sandbox | Noun::Resource(_) => return Ok(()),
    }
    swept.rows += 1;
    Ok(())
}
