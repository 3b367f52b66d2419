//! The one error of this crate: what was being done, to what, and the kernel's answer.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use rustix::io::Errno;

/// A failed system call with its context. Displays as `mount overlay on /x: invalid argument`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelError {
    op: Cow<'static, str>,
    detail: String,
    errno: Errno,
}

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, KernelError>;

impl KernelError {
    /// An error of operation `op` (`open`, `mount overlay on`) on `detail` (mostly a path; may be empty).
    pub fn new(op: impl Into<Cow<'static, str>>, detail: impl Into<String>, errno: Errno) -> Self {
        Self { op: op.into(), detail: detail.into(), errno }
    }

    /// An error of operation `op` with what the standard library reported.
    pub fn from_io(op: impl Into<Cow<'static, str>>, path: &Path, error: &std::io::Error) -> Self {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        Self::new(op, path.to_string_lossy(), errno)
    }

    /// The kernel's answer.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// The kernel's answer in words, without the context.
    pub fn text(&self) -> String {
        strerror(self.errno)
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.detail.is_empty() { "" } else { " " };
        write!(f, "{}{space}{}: {}", self.op, self.detail, strerror(self.errno))
    }
}

impl std::error::Error for KernelError {}

impl From<KernelError> for std::io::Error {
    fn from(error: KernelError) -> Self {
        Self::new(std::io::Error::from(error.errno).kind(), error)
    }
}

/// Puts the context on a bare answer of the kernel.
pub trait Context<T> {
    /// Says what was being done, to what.
    fn during(self, op: &'static str, detail: impl AsRef<Path>) -> Result<T>;
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn during(self, op: &'static str, detail: impl AsRef<Path>) -> Result<T> {
        self.map_err(|errno| KernelError::new(op, detail.as_ref().to_string_lossy(), errno))
    }
}

/// The answer of a raw system call as a result.
pub(crate) fn check(answer: libc::c_long) -> rustix::io::Result<libc::c_long> {
    if answer < 0 { Err(last_errno()) } else { Ok(answer) }
}

/// What the last failed call of the C library left behind.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The text of an error number, the same on every C library and in lower case.
pub fn strerror(errno: Errno) -> String {
    let number = errno.raw_os_error();
    match TEXTS.binary_search_by_key(&number, |entry| entry.0) {
        Ok(found) => TEXTS[found].1.to_owned(),
        Err(_) => format!("errno {number}"),
    }
}

/// Error numbers of Linux and their texts, by number.
const TEXTS: &[(i32, &str)] = &[
    (1, "operation not permitted"),
    (2, "no such file or directory"),
    (3, "no such process"),
    (4, "interrupted system call"),
    (5, "input/output error"),
    (6, "no such device or address"),
    (7, "argument list too long"),
    (8, "exec format error"),
    (9, "bad file descriptor"),
    (10, "no child processes"),
    (11, "resource temporarily unavailable"),
    (12, "cannot allocate memory"),
    (13, "permission denied"),
    (14, "bad address"),
    (15, "block device required"),
    (16, "device or resource busy"),
    (17, "file exists"),
    (18, "invalid cross-device link"),
    (19, "no such device"),
    (20, "not a directory"),
    (21, "is a directory"),
    (22, "invalid argument"),
    (23, "too many open files in system"),
    (24, "too many open files"),
    (25, "inappropriate ioctl for device"),
    (26, "text file busy"),
    (27, "file too large"),
    (28, "no space left on device"),
    (29, "illegal seek"),
    (30, "read-only file system"),
    (31, "too many links"),
    (32, "broken pipe"),
    (33, "numerical argument out of domain"),
    (34, "numerical result out of range"),
    (35, "resource deadlock avoided"),
    (36, "file name too long"),
    (37, "no locks available"),
    (38, "function not implemented"),
    (39, "directory not empty"),
    (40, "too many levels of symbolic links"),
    (42, "no message of desired type"),
    (43, "identifier removed"),
    (52, "invalid exchange"),
    (60, "device not a stream"),
    (61, "no data available"),
    (62, "timer expired"),
    (64, "machine is not on the network"),
    (66, "object is remote"),
    (67, "link has been severed"),
    (70, "communication error on send"),
    (71, "protocol error"),
    (72, "multihop attempted"),
    (74, "bad message"),
    (75, "value too large for defined data type"),
    (76, "name not unique on network"),
    (77, "file descriptor in bad state"),
    (84, "invalid or incomplete multibyte or wide character"),
    (85, "interrupted system call should be restarted"),
    (86, "streams pipe error"),
    (87, "too many users"),
    (88, "socket operation on non-socket"),
    (89, "destination address required"),
    (90, "message too long"),
    (91, "protocol wrong type for socket"),
    (92, "protocol not available"),
    (93, "protocol not supported"),
    (94, "socket type not supported"),
    (95, "operation not supported"),
    (96, "protocol family not supported"),
    (97, "address family not supported by protocol"),
    (98, "address already in use"),
    (99, "cannot assign requested address"),
    (100, "network is down"),
    (101, "network is unreachable"),
    (102, "network dropped connection on reset"),
    (103, "software caused connection abort"),
    (104, "connection reset by peer"),
    (105, "no buffer space available"),
    (106, "transport endpoint is already connected"),
    (107, "transport endpoint is not connected"),
    (108, "cannot send after transport endpoint shutdown"),
    (109, "too many references: cannot splice"),
    (110, "connection timed out"),
    (111, "connection refused"),
    (112, "host is down"),
    (113, "no route to host"),
    (114, "operation already in progress"),
    (115, "operation now in progress"),
    (116, "stale file handle"),
    (117, "structure needs cleaning"),
    (121, "remote I/O error"),
    (122, "disk quota exceeded"),
    (123, "no medium found"),
    (124, "wrong medium type"),
    (125, "operation canceled"),
    (126, "required key not available"),
    (127, "key has expired"),
    (128, "key has been revoked"),
    (129, "key was rejected by service"),
    (130, "owner died"),
    (131, "state not recoverable"),
    (132, "operation not possible due to RF-kill"),
    (133, "memory page has hardware error"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sorted_and_lower_case() {
        assert!(TEXTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(strerror(Errno::NOENT), "no such file or directory");
        assert_eq!(strerror(Errno::from_raw_os_error(4000)), "errno 4000");
    }

    #[test]
    fn display_names_step_and_object() {
        let error = KernelError::new("mount overlay on", "/x", Errno::INVAL);
        assert_eq!(error.to_string(), "mount overlay on /x: invalid argument");
        assert_eq!(
            KernelError::new("setsid", "", Errno::PERM).to_string(),
            "setsid: operation not permitted"
        );
    }
}
