//! Bind mounts: a detached copy of the source gets its attributes first and is put in place last, so that it is never
//! seen without them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use kernel::mount::attributes::{IDMAP, set_attributes};
use kernel::mount::{self, Attributes, Flags, Options, PROPAGATION, Reach};
use kernel::userns::IdRange;
use kernel::{KernelError, namespace, userns};
use oci::runtime::{LinuxIdMapping, Mount, Spec};
use rustix::fs::FileType;

use super::Tree;
use super::mounts::MountError;
use crate::{Error, Result};

/// The source of a bind mount as the runtime has left it.
#[derive(Debug)]
pub(crate) enum Source {
    /// Not a bind mount, or one that the container's first process can open itself.
    None,
    /// A detached copy.
    Tree(OwnedFd),
    /// It could not be opened; told when its turn comes.
    Failed(KernelError),
}

/// Opens those bind sources that the first process cannot: all of them when its users may not reach them, and idmapped
/// ones, because a user namespace for the mapping can only be made where process numbers mean what procfs shows.
pub(crate) fn open_sources(spec: &Spec, bundle: &Path, users: bool) -> Result<Vec<Source>> {
    let open = |mount: &Mount| -> Result<Source> {
        if !is_bind(mount) || !(users || has_mappings(mount)) {
            return Ok(Source::None);
        }
        let options = super::mounts::parse(mount)?;
        Ok(open_source(mount, &options, bundle).map_or_else(Source::Failed, Source::Tree))
    };
    spec.mounts.iter().map(open).collect()
}

fn open_source(mount: &Mount, options: &Options, bundle: &Path) -> kernel::Result<OwnedFd> {
    let tree = mount::detach_copy(&source_path(mount, bundle), reach(options))?;
    if has_mappings(mount) {
        let users = userns::detached(&ranges(&mount.uid_mappings), &ranges(&mount.gid_mappings))?;
        map_ids(&tree, &users, options)?;
    }
    Ok(tree)
}

fn has_mappings(mount: &Mount) -> bool {
    !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty()
}

/// Shifts the ids of a detached copy.
fn map_ids(tree: &OwnedFd, users: &OwnedFd, options: &Options) -> kernel::Result<()> {
    let reach = options.idmap.unwrap_or(Reach::One);
    let attributes =
        Attributes { set: IDMAP, user_namespace: Some(users.as_fd()), reach, ..Attributes::default() };
    set_attributes(tree, &attributes)
}

/// Whether a mount binds something that is there already.
pub(crate) fn is_bind(mount: &Mount) -> bool {
    mount.kind == "bind" || mount.options.iter().any(|word| word == "bind" || word == "rbind")
}

fn source_path(mount: &Mount, bundle: &Path) -> PathBuf {
    bundle.join(&mount.source)
}

fn reach(options: &Options) -> Reach {
    if options.flags & libc::MS_REC != 0 { Reach::Tree } else { Reach::One }
}

impl Tree<'_> {
    pub(super) fn bind(&self, number: usize, mount: &Mount, options: &Options) -> Result<()> {
        let opened;
        let tree = match self.plan.sources.get(number) {
            Some(Source::Tree(tree)) => tree,
            Some(Source::Failed(error)) => return Err(self.bind_failed(mount, options, error)),
            Some(Source::None) | None => {
                opened = mount::detach_copy(&source_path(mount, self.plan.bundle), reach(options))
                    .map_err(|error| self.bind_failed(mount, options, &error))?;
                &opened
            }
        };
        self.set_bind_attributes(tree, mount, options)
            .and_then(|()| {
                let found = rustix::fs::fstat(tree)
                    .map_err(|errno| KernelError::new("stat", mount.source.clone(), errno))?;
                let destination = Path::new(&mount.destination);
                let place = match FileType::from_raw_mode(found.st_mode) {
                    FileType::Directory => self.root.make_directories(destination, 0o755)?,
                    _ => self.root.make_file(destination, 0o755)?,
                };
                self.check_place(mount, tree, &place)?;
                mount::attach(tree, &place)
                    .map_err(|error| KernelError::new("mount", mount.destination.clone(), error.errno()))
            })
            .map_err(|error| self.bind_failed(mount, options, &error))
    }

    fn bind_failed(&self, mount: &Mount, options: &Options, error: &KernelError) -> Error {
        let source = source_path(mount, self.plan.bundle).to_string_lossy().into_owned();
        let flags = options.flags & !PROPAGATION;
        MountError { source: &source, mount, flags, data: "", reason: &error.text() }.into()
    }

    /// A bind on `/proc` itself must be a procfs: anything else would deceive every program.
    fn check_place(&self, mount: &Mount, tree: &OwnedFd, place: &OwnedFd) -> kernel::Result<()> {
        let proc = rustix::fs::PROC_SUPER_MAGIC;
        let refused = || KernelError::new("mount", mount.destination.clone(), kernel::Errno::INVAL);
        if kernel::path::clean(Path::new(&mount.destination)) != Path::new("/proc") {
            return self.check_below_proc(mount, place);
        }
        match rustix::fs::fstatfs(tree) {
            Ok(found) if found.f_type == proc => Ok(()),
            _ => Err(refused()),
        }
    }

    fn set_bind_attributes(&self, tree: &OwnedFd, mount: &Mount, options: &Options) -> kernel::Result<()> {
        let plain = Attributes::from_flags(options.flags, options.cleared);
        if !plain.is_empty() {
            set_attributes(tree, &plain)?;
        }
        if !options.recursive.is_empty() {
            set_attributes(tree, &options.recursive)?;
        }
        if options.idmap.is_some() && !has_mappings(mount) {
            // Without mappings of its own the mount has those of the container.
            map_ids(tree, &namespace::open(Path::new("/proc/self/ns/user"))?, options)?;
        }
        let mut spreads: Vec<Flags> = options.propagation.clone();
        if spreads.is_empty() && self.plan.user_namespace {
            // The copy was made on the host and still is a peer of what it was copied from.
            spreads.push(libc::MS_SLAVE | libc::MS_REC);
        }
        for flags in spreads {
            let reach = if flags & libc::MS_REC != 0 { Reach::Tree } else { Reach::One };
            let propagation = flags & !libc::MS_REC;
            set_attributes(tree, &Attributes { propagation, reach, ..Attributes::default() })?;
        }
        Ok(())
    }
}

/// Mappings of the specification as the kernel takes them.
pub(crate) fn ranges(mappings: &[LinuxIdMapping]) -> Vec<IdRange> {
    let range = |mapping: &LinuxIdMapping| IdRange {
        inside: mapping.container_id,
        outside: mapping.host_id,
        size: mapping.size,
    };
    mappings.iter().map(range).collect()
}
