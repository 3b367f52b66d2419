//! User namespaces: writing maps, and namespaces without a process for idmapped mounts.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use crate::error::Context;
use crate::namespace::{self, Namespaces};
use crate::process::{Clone, close_range, exit_now, wait_pid};
use crate::procfs::ProcFs;
use crate::{KernelError, Result, pidfd};

/// One range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub size: u32,
}

/// Writes the maps of a process that was just put into a new user namespace. Groups may be changed inside.
pub fn write_maps(proc: &ProcFs, pid: i32, uids: &[IdRange], gids: &[IdRange]) -> Result<()> {
    if !uids.is_empty() {
        proc.write(&format!("{pid}/uid_map"), text(uids).as_bytes())?;
    }
    if !gids.is_empty() {
        proc.write(&format!("{pid}/gid_map"), text(gids).as_bytes())?;
    }
    Ok(())
}

/// A user namespace with these maps and no process in it.
pub fn detached(uids: &[IdRange], gids: &[IdRange]) -> Result<OwnedFd> {
    let proc = ProcFs::open()?;
    let (release, wait) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map(|(read, write)| (write, read))
        .during("pipe", "")?;
    // The child only calls the kernel: in the copy of a threaded process nothing else is safe, not even allocating.
    let clone = Clone { namespaces: Namespaces::USER, ..Clone::default() };
    let Some(child) = clone.clone3()? else {
        let mut byte = [0_u8; 1];
        // The child's own copy of the writing end would keep its read from ending.
        let wait_fd = wait.as_raw_fd();
        let _ = close_range(3, wait_fd - 1, 0);
        let _ = close_range(wait_fd + 1, i32::MAX, 0);
        let _ = rustix::io::read(&wait, &mut byte);
        exit_now(0);
    };
    let made = write_maps(&proc, child.pid, uids, gids)
        .and_then(|()| namespace::open(Path::new(&format!("/proc/{}/ns/user", child.pid))));
    drop(release);
    let _ = pidfd::kill(child.pidfd.as_fd(), libc::SIGKILL);
    match wait_pid(child.pid) {
        Ok(_) => {}
        // Somebody else in the process reaps all children: gone is gone.
        Err(error) if error.errno() == rustix::io::Errno::CHILD => {}
        Err(error) => return Err(error),
    }
    made
}

/// Parses `inside:outside:size`, several separated by commas.
pub fn parse_ranges(list: &str) -> Result<Vec<IdRange>> {
    let parse = |part: &str| {
        let mut numbers = part.split(':').map(|number| number.parse::<u32>().ok());
        let range = IdRange { inside: numbers.next()??, outside: numbers.next()??, size: numbers.next()?? };
        numbers.next().is_none().then_some(range)
    };
    let ranges: Option<Vec<IdRange>> = list.split(',').map(parse).collect();
    ranges.ok_or_else(|| KernelError::new("parse id mapping", list, rustix::io::Errno::INVAL))
}

fn text(ranges: &[IdRange]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_without_a_process() {
        let range = [IdRange { inside: 0, outside: 100_000, size: 65_536 }];
        let made = detached(&range, &range).unwrap();
        let link = crate::path::location(&made).unwrap();
        assert!(link.to_string_lossy().starts_with("user:["), "{link:?}");
    }

    #[test]
    fn ranges() {
        let expected =
            vec![IdRange { inside: 0, outside: 5, size: 1 }, IdRange { inside: 1, outside: 9, size: 2 }];
        assert_eq!(parse_ranges("0:5:1,1:9:2").unwrap(), expected);
        for bad in ["", "1:2", "1:2:3:4", "a:1:1"] {
            assert!(parse_ranges(bad).is_err(), "{bad}");
        }
    }
}
