//! Mounts that need a device or a program first.

use std::path::Path;
use std::process::Command;

use rustix::io::Errno;

use super::{Mount, Options, mount_with_options};
use crate::loopdev::{self, Attach};
use crate::{KernelError, Result};

/// How often a FUSE program is started again when somebody else reaped it.
const FUSE_TRIES: u32 = 10;

/// Attaches the source file to a loop device that goes away with the mount, and mounts that.
pub(super) fn mount_loop(mount: &Mount, options: &Options, at: &Path) -> Result<()> {
    let attach = Attach {
        file: Path::new(&mount.source),
        read_only: options.flags & libc::MS_RDONLY != 0,
        direct_io: options.direct_io,
        auto_clear: true,
    };
    let device = loopdev::attach(&attach)?;
    // The device is kept open until it is mounted: closing its last use would clear it.
    mount_with_options(&device.path.to_string_lossy(), at, &mount.kind, options)
}

/// Runs `mount.fuse SOURCE TARGET -o OPTIONS -t TYPE`, or `mount.fuse3` for types `fuse3.…`.
pub(super) fn mount_fuse(mount: &Mount, at: &Path) -> Result<()> {
    let (program, kind) = match mount.kind.split_once('.') {
        Some((family, kind)) => (format!("mount.{family}"), kind),
        None => ("mount.fuse".to_owned(), mount.kind.as_str()),
    };
    let failed = |errno| KernelError::new(format!("run {program} for"), at.to_string_lossy(), errno);
    for _ in 0..FUSE_TRIES {
        let mut command = Command::new(&program);
        command.arg(&mount.source).arg(at);
        for option in &mount.options {
            command.args(["-o", option]);
        }
        match command.args(["-t", kind]).status() {
            Ok(status) if status.success() => return Ok(()),
            Ok(_) => return Err(failed(Errno::IO)),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {}
            Err(error) => return Err(KernelError::from_io(format!("run {program} for"), at, &error)),
        }
    }
    Err(failed(Errno::CHILD))
}
