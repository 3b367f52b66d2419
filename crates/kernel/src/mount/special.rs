//! Mounts that need a device or a program first.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::{Mount, Options, mount_with_options};
use crate::error::Context;
use crate::loopdev::{self, Attach};
use crate::{KernelError, Result};

/// How often a FUSE program is started again when somebody else reaped it.
const FUSE_TRIES: u32 = 10;

/// How much of what a FUSE program said is told, bytes.
const FUSE_WORDS: usize = 1024;

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
    match mount.kind.split_once('.') {
        Some((family, kind)) => run_fuse(&format!("mount.{family}"), kind, mount, at),
        None => run_fuse("mount.fuse", &mount.kind, mount, at),
    }
}

/// Runs a program that mounts; the error holds what it said.
fn run_fuse(program: &str, kind: &str, mount: &Mount, at: &Path) -> Result<()> {
    let step = || format!("run {program} for");
    let place = at.to_string_lossy();
    for _ in 0..FUSE_TRIES {
        // A file and no pipe: the file system's server, which stays, may keep it open.
        let said = File::from(memfd_create("fuse", MemfdFlags::CLOEXEC).during("memfd_create", "")?);
        let [out, err] = [said.try_clone(), said.try_clone()]
            .map(|copy| copy.map_err(|error| KernelError::from_io("dup output of", at, &error)));
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(out?).stderr(err?).arg(&mount.source).arg(at);
        for option in &mount.options {
            command.args(["-o", option]);
        }
        match command.args(["-t", kind]).status() {
            Ok(status) if status.success() => return Ok(()),
            Ok(_) => {
                let text = format!("{place}: {}", beginning(&said).trim());
                return Err(KernelError::new(step(), text, Errno::IO));
            }
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {}
            Err(error) => return Err(KernelError::from_io(step(), at, &error)),
        }
    }
    Err(KernelError::new(step(), place, Errno::CHILD))
}

/// The beginning of a file.
fn beginning(file: &File) -> String {
    let mut buffer = [0; FUSE_WORDS];
    // What cannot be read was not said.
    let length = file.read_at(&mut buffer, 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_error_of_a_fuse_program_holds_its_words() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("mount.fuse");
        std::fs::write(&program, "#!/bin/sh\ncat; echo no such device: $1 >&2; exit 1\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.to_str().unwrap();
        let mount = Mount { source: "thing".into(), ..Mount::default() };
        let error = run_fuse(program, "kind", &mount, Path::new("/nowhere")).unwrap_err();
        let expected = format!("run {program} for /nowhere: no such device: thing: input/output error");
        assert_eq!(error.to_string(), expected);
    }
}
