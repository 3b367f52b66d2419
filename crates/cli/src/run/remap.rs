//! A root file system for a user namespace: a copy of the image whose files belong to the ids outside.
//!
//! The copy is made once for an image and a mapping, as a committed snapshot of its own that containers then share.

use crate::{Context, context, mounts, output};
use anyhow::{Context as _, Result, bail};
use model::snapshots::{Commit, Prepare};
use model::{Labels, Scope};
use oci::Digest;
use oci::runtime::LinuxIdMapping;
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

/// How ids inside become ids outside.
pub struct Mapping {
    /// User ids.
    pub uids: Vec<LinuxIdMapping>,
    /// Group ids.
    pub gids: Vec<LinuxIdMapping>,
}

/// Whose snapshot it is.
#[derive(Clone, Copy)]
pub struct Image<'a> {
    /// The snapshotter.
    pub snapshotter: &'a str,
    /// The image's top snapshot.
    pub chain_id: &'a Digest,
}

/// The name of the remapped snapshot, which is made if it is not there. `scope` holds a lease.
///
/// # Errors
/// The snapshot cannot be made or mounted (this has to be root on the daemon's machine), an id has no mapping.
pub async fn ensure(cx: &Context, scope: &Scope, image: Image<'_>, mapping: &Mapping) -> Result<String> {
    let name = format!("{}-{}-{}", image.chain_id, text(&mapping.uids), text(&mapping.gids));
    let snapshots = cx.snapshotter(image.snapshotter);
    match snapshots.stat(scope, &name).await {
        Err(e) if e.is_not_found() => {}
        other => return Ok(other.map(|_| name)?),
    }
    let key = format!("{name}-remap-{}", context::unique());
    let parent = image.chain_id.to_string();
    let prepare = Prepare { key: key.clone(), parent, labels: Labels::new() };
    let mounts = snapshots.prepare(scope, prepare).await?;
    let commit = Commit { name: name.clone(), key: key.clone(), ..Commit::default() };
    let done = match mounts::with(&mounts, |root| Walk { mapping, done: BTreeSet::new() }.remap(root)) {
        Ok(()) => snapshots.commit(scope, commit).await.map_err(anyhow::Error::from),
        Err(e) => Err(e.context("give the image's files to the user namespace")),
    };
    let Err(e) = done else { return Ok(name) };
    if let Err(second) = snapshots.remove(scope, &key).await {
        output::complain(&second.into());
    }
    match e.downcast_ref::<model::Error>() {
        Some(refused) if refused.is_already_exists() => Ok(name),
        _ => Err(e),
    }
}

/// The labels that ask a snapshotter to map ids itself.
pub fn labels(mapping: &Mapping) -> Labels {
    let label = |kind: &str| format!("{}{kind}mapping", model::labels::SNAPSHOT);
    Labels::from([(label("uid"), text(&mapping.uids)), (label("gid"), text(&mapping.gids))])
}

fn text(mappings: &[LinuxIdMapping]) -> String {
    let one = |m: &LinuxIdMapping| format!("{}:{}:{}", m.container_id, m.host_id, m.size);
    mappings.iter().map(one).collect::<Vec<_>>().join(",")
}

/// A walk through a file system. A file of several names is met several times and remapped once.
struct Walk<'a> {
    mapping: &'a Mapping,
    done: BTreeSet<(u64, u64)>,
}

impl Walk<'_> {
    /// Gives everything at and below a path to the ids outside. Links are not followed.
    fn remap(&mut self, path: &Path) -> Result<()> {
        let shown = || path.display().to_string();
        let found = std::fs::symlink_metadata(path).with_context(shown)?;
        if !found.is_dir() && found.nlink() > 1 && !self.done.insert((found.dev(), found.ino())) {
            return Ok(());
        }
        let uid = outside(&self.mapping.uids, found.uid()).with_context(shown)?;
        let gid = outside(&self.mapping.gids, found.gid()).with_context(shown)?;
        lchown(path, Some(uid), Some(gid)).with_context(shown)?;
        let mode = found.mode() & 0o7777;
        if mode & 0o6000 != 0 && !found.is_symlink() {
            // A change of owner takes these bits away.
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).with_context(shown)?;
        }
        if found.is_dir() {
            for entry in std::fs::read_dir(path).with_context(shown)? {
                self.remap(&entry.with_context(shown)?.path())?;
            }
        }
        Ok(())
    }
}

fn outside(mappings: &[LinuxIdMapping], id: u32) -> Result<u32> {
    for m in mappings {
        if let Some(offset) = id.checked_sub(m.container_id).filter(|offset| *offset < m.size) {
            return m.host_id.checked_add(offset).context("the mapping leads beyond the largest id");
        }
    }
    bail!("id {id} has no mapping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_ids_outside() {
        let root = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| root.path().join(name);
        std::fs::write(path("setuid"), "").expect("write");
        std::fs::set_permissions(path("setuid"), PermissionsExt::from_mode(0o4755)).expect("chmod");
        std::fs::hard_link(path("setuid"), path("again")).expect("link");
        std::os::unix::fs::symlink("/etc/passwd", path("link")).expect("symlink");
        lchown(path("link"), Some(3), Some(4)).expect("chown");
        let map = |host_id| vec![LinuxIdMapping { container_id: 0, host_id, size: 10 }];
        let mapping = Mapping { uids: map(100_000), gids: map(200_000) };
        Walk { mapping: &mapping, done: BTreeSet::new() }.remap(root.path()).expect("remap");
        for (name, owner, mode) in
            [("again", (100_000, 200_000), 0o4755), ("link", (100_003, 200_004), 0o777)]
        {
            let found = std::fs::symlink_metadata(path(name)).expect(name);
            assert_eq!(((found.uid(), found.gid()), found.mode() & 0o7777), (owner, mode), "{name}");
        }
        let error = Walk { mapping: &mapping, done: BTreeSet::new() }.remap(root.path()).expect_err("twice");
        assert!(crate::explain(&error).ends_with("id 100000 has no mapping"), "{error:#}");
    }
}
