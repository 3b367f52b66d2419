//! Mounts whose ids are shifted by a user namespace.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use super::attributes::{Attributes, IDMAP, set_attributes};
use super::{Mount, Options, Reach, attach, change_propagation, detach_copy, mount_with_options};
use crate::Result;
use crate::error::Context;
use crate::userns::{detached, parse_ranges};

use super::options::IdMapping;

/// A user namespace that stands for the mapping.
pub(super) fn namespace(mapping: &IdMapping) -> Result<std::os::fd::OwnedFd> {
    detached(&parse_ranges(&mapping.uids)?, &parse_ranges(&mapping.gids)?)
}

/// Mounts with `uidmap=`/`gidmap=`: a bind is copied, mapped and attached; anything else is mounted first and then
/// mapped in place.
pub(super) fn mount_idmapped(mount: &Mount, options: &Options, at: &Path) -> Result<()> {
    let Some(mapping) = &options.id_mapping else {
        return mount_with_options(&mount.source, at, &mount.kind, options);
    };
    let users = namespace(mapping)?;
    let mut attributes =
        Attributes { set: IDMAP, user_namespace: Some(users.as_fd()), ..Attributes::default() };
    if options.flags & libc::MS_BIND == 0 {
        mount_with_options(&mount.source, at, &mount.kind, options)?;
        let tree = detach_copy(at, Reach::One)?;
        set_attributes(&tree, &attributes)?;
        super::unmount(at, super::unmount::Detach::No)?;
        return put(&tree, at);
    }
    let reach = if options.flags & libc::MS_REC != 0 { Reach::Tree } else { Reach::One };
    let tree = detach_copy(Path::new(&mount.source), reach)?;
    let flags = Attributes::from_flags(options.flags, options.cleared);
    attributes.set |= flags.set;
    attributes.clear |= flags.clear;
    attributes.reach = reach;
    set_attributes(&tree, &attributes)?;
    put(&tree, at)?;
    options.propagation.iter().try_for_each(|propagation| change_propagation(at, *propagation))
}

/// Attaches a detached mount at a path.
pub(super) fn put(tree: impl AsFd, at: &Path) -> Result<()> {
    let place =
        rustix::fs::openat(CWD, at, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).during("open", at)?;
    attach(tree, place)
}
