//! Executing programs, and being executed from a sealed place.

use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{CWD, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;

use crate::error::{Context, last_errno};
use crate::mount::attributes::{Attributes, set_attributes};
use crate::{KernelError, Result};

/// A program with its arguments and environment, ready for execve(2).
#[derive(Debug)]
pub struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    /// Collects the strings; fails with `EINVAL` when one has a zero byte inside.
    pub fn new<S: AsRef<[u8]>>(path: &[u8], arguments: &[S], environment: &[S]) -> Result<Self> {
        let text = |bytes: &[u8]| {
            CString::new(bytes)
                .map_err(|_| KernelError::new("exec", String::from_utf8_lossy(bytes), Errno::INVAL))
        };
        let all = |list: &[S]| list.iter().map(|one| text(one.as_ref())).collect::<Result<Vec<_>>>();
        Ok(Self { path: text(path)?, arguments: all(arguments)?, environment: all(environment)? })
    }

    /// Replaces the process by the program; returns only with the reason why that failed.
    pub fn execute(&self) -> KernelError {
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // SAFETY: all pointers are C strings owned by `self`, both lists end with a null pointer.
        unsafe { libc::execve(self.path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        KernelError::new("exec", self.path.to_string_lossy(), last_errno())
    }
}

/// Ends the process at once, without destructors or exit handlers.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: always sound; nothing of the process runs afterwards.
    unsafe { libc::_exit(status) }
}

/// Whether the running program lies on a read-only mount, so that nobody who gets hold of `/proc/<pid>/exe` can
/// open it for writing.
pub fn is_sealed() -> bool {
    rustix::fs::statvfs("/proc/self/exe").is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Executes the file `path` from a detached read-only mount of its own; returns only with the reason why not.
///
/// The mount is in no mount namespace, so no container can make it writable again. This answers CVE-2019-5736 for
/// a runtime whose first process in the container is a fork of itself: `#!/proc/self/exe` in the container runs
/// this program there, but never gives a way to overwrite it. The pages stay shared with every other execution.
pub fn run_sealed(path: &Path, arguments: &[CString], environment: &[CString]) -> KernelError {
    match sealed(path) {
        Ok(file) => {
            let (arguments, environment) = (pointers(arguments), pointers(environment));
            // SAFETY: the lists are null-terminated arrays of C strings that outlive the call; the path is empty.
            unsafe {
                libc::syscall(
                    libc::SYS_execveat,
                    file.as_raw_fd(),
                    c"".as_ptr(),
                    arguments.as_ptr(),
                    environment.as_ptr(),
                    libc::AT_EMPTY_PATH,
                )
            };
            KernelError::new("exec", path.to_string_lossy(), last_errno())
        }
        Err(error) => error,
    }
}

/// A file in a read-only detached mount of its own; executed as `/proc/self/fd/<number>` it is sealed.
pub fn sealed(path: &Path) -> Result<std::os::fd::OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, path, flags).during("open_tree", path)?;
    set_attributes(&tree, &Attributes { set: crate::mount::attributes::RDONLY, ..Attributes::default() })?;
    Ok(tree)
}

/// The pointers of the strings and a null pointer.
fn pointers(strings: &[impl AsRef<CStr>]) -> Vec<*const libc::c_char> {
    strings.iter().map(|one| one.as_ref().as_ptr()).chain([std::ptr::null()]).collect()
}
