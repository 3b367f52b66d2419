//! The terminal of the first process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use kernel::pty::{self, Pty};
use kernel::{mount, socket};
use rustix::fs::OFlags;

use super::Tree;
use crate::{Error, Result};

/// File system type of devpts.
const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

/// Opens a terminal of the container's devpts, gives the master away, and binds the slave over `/dev/console`.
pub(super) fn make(tree: &Tree<'_>, socket: &OwnedFd) -> Result<OwnedFd> {
    let master = open_master(|path| tree.root.open_at(Path::new(path), OFlags::RDWR | OFlags::NOCTTY))?;
    let size = tree.plan.spec.process.as_ref().and_then(|process| process.console_size);
    let terminal = hand_over(master, socket, size)?;
    // The slave came from the master itself, so what is bound is a terminal whatever lies in the image.
    let copy = mount::detach_copy_of(&terminal, mount::Reach::One)?;
    let place = tree.root.make_file(Path::new("/dev/console"), 0o600)?;
    mount::attach(&copy, &place).map_err(|error| Error::from(error).during("error binding /dev/console"))?;
    Ok(terminal)
}

/// Opens a fresh master through `open`; refuses what is not a master of a devpts.
pub(crate) fn open_master(open: impl Fn(&str) -> kernel::Result<OwnedFd>) -> Result<OwnedFd> {
    let master = open("/dev/pts/ptmx").or_else(|_| open("/dev/ptmx")).map_err(Error::from)?;
    let found = rustix::fs::fstat(&master).map_err(|errno| Error::unknown(kernel::strerror(errno)))?;
    let system = rustix::fs::fstatfs(&master).map_err(|errno| Error::unknown(kernel::strerror(errno)))?;
    let is_ptmx = found.st_rdev == rustix::fs::makedev(5, 2);
    // A ptmx node outside of devpts (on the host's /dev, bound into the container) leads to the devpts beside it.
    if !is_ptmx || (system.f_type as i64 != DEVPTS_SUPER_MAGIC && found.st_uid != 0) {
        return Err(Error::unknown("open /dev/ptmx: not a pseudo terminal"));
    }
    Ok(master)
}

/// Sends the master through the socket and returns the slave.
pub(crate) fn hand_over(
    master: OwnedFd,
    socket: &OwnedFd,
    size: Option<oci::runtime::ConsoleSize>,
) -> Result<OwnedFd> {
    let terminal = Pty::from_master(master)?;
    if let Some(size) = size {
        pty::set_size(&terminal.master, size.height as u16, size.width as u16)?;
    }
    socket::send(socket, b"/dev/ptmx", &[terminal.master.as_fd()])
        .map_err(|error| Error::from(error).during("send console"))?;
    Ok(terminal.slave)
}
