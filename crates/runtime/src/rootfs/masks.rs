//! Places of the container that are hidden or read-only.

use std::os::fd::OwnedFd;
use std::path::Path;

use kernel::Errno;
use kernel::mount::attributes::{RDONLY, set_attributes};
use kernel::mount::{self, Attributes, Reach};
use rustix::fs::FileType;

use super::Tree;
use crate::{Error, Result};

const READ_ONLY: Attributes<'static> =
    Attributes { set: RDONLY, clear: 0, propagation: 0, user_namespace: None, reach: Reach::One };

impl Tree<'_> {
    /// Read-only paths, masked paths, then the root itself.
    pub(super) fn protect(&self) -> Result<()> {
        for path in &self.plan.linux.readonly_paths {
            self.protect_path(path)
                .map_err(|error| Error::unknown(format!("can't make {path:?} read-only: {error}")))?;
        }
        let mut empty = None;
        for path in &self.plan.linux.masked_paths {
            self.mask(path, &mut empty)
                .map_err(|error| Error::unknown(format!("can't mask path {path:?}: {error}")))?;
        }
        if self.plan.spec.root.as_ref().is_some_and(|root| root.readonly) {
            set_attributes(&self.root, &READ_ONLY)
                .map_err(|error| Error::from(error).during("error remounting root read-only"))?;
        }
        Ok(())
    }

    /// Puts a read-only copy of a place, with all that is mounted below, over itself. A missing place is no error.
    fn protect_path(&self, path: &str) -> kernel::Result<()> {
        let Some(place) = self.root.find(Path::new(path))? else { return Ok(()) };
        let tree = mount::detach_copy_of(&place, Reach::Tree)?;
        set_attributes(&tree, &READ_ONLY)?;
        mount::attach(&tree, &place)
    }

    /// Hides a file under the host's `/dev/null`, a directory under an empty one. A missing place is no error.
    ///
    /// The copy of `/dev/null` is read-only, which forbids nobody to write to the device: the container's root could
    /// otherwise change the mode and the owner of the host's node.
    fn mask(&self, path: &str, empty: &mut Option<OwnedFd>) -> kernel::Result<()> {
        let Some(place) = self.root.find(Path::new(path))? else { return Ok(()) };
        let found =
            rustix::fs::fstat(&place).map_err(|errno| kernel::KernelError::new("stat", path, errno))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            // Host's tree: nobody in the container can have put something else there.
            let null = mount::detach_copy(Path::new("/dev/null"), Reach::One)?;
            check_null(&null)?;
            set_attributes(&null, &READ_ONLY)?;
            return mount::attach(&null, &place);
        }
        // All masked directories show the same one: the first is mounted, the others are copies of it.
        match empty {
            Some(mounted) => {
                let copy = mount::detach_copy_of(&*mounted, Reach::One)?;
                mount::attach(&copy, &place)
            }
            None => {
                let tree = self.empty_directory()?;
                mount::attach(&tree, &place)?;
                *empty = Some(tree);
                Ok(())
            }
        }
    }
}

/// Refuses a `/dev/null` that is something else: what it is bound over would not be hidden.
fn check_null(null: &OwnedFd) -> kernel::Result<()> {
    let is_null = rustix::fs::fstat(null).is_ok_and(|found| found.st_rdev == rustix::fs::makedev(1, 3));
    if is_null { Ok(()) } else { Err(kernel::KernelError::new("bind", "/dev/null", Errno::NODEV)) }
}
