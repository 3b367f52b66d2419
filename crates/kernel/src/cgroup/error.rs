//! What can go wrong with a control group, in runc's words where it has some.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// A failed operation on a control group.
#[derive(Debug)]
pub enum Error {
    /// A system call failed.
    Io {
        /// What was being done, as a verb: `open`, `write "5" to`.
        step: String,
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The group to be created has processes in it already; how many.
    NotEmpty(usize),
    /// A limit was asked for whose controller this host does not have.
    NoController(String),
    /// The request makes no sense; the whole text.
    Invalid(String),
    /// Something that should have happened did not, in time.
    Deadline {
        /// What was waited for.
        step: &'static str,
        /// Of which directory.
        path: PathBuf,
    },
    /// The host has no control groups.
    Absent,
}

/// What the functions of this module return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The error number of the failed system call, if one failed.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Io { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    pub(super) fn io(
        step: impl Into<String>,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { step: step.into(), path: path.into(), source: source.into() }
    }

    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { step, path, source } => {
                write!(f, "{step} {}: ", path.display())?;
                match source.raw_os_error() {
                    Some(number) => f.write_str(&crate::strerror(Errno::from_raw_os_error(number))),
                    None => write!(f, "{source}"),
                }
            }
            Self::NotEmpty(count) => {
                write!(f, "container's cgroup is not empty: {count} process(es) found")
            }
            Self::NoController(name) => {
                write!(f, "cannot set {name} limit: container could not join or create cgroup")
            }
            Self::Invalid(text) => f.write_str(text),
            Self::Deadline { step, path } => write!(f, "{step} {}: deadline exceeded", path.display()),
            Self::Absent => f.write_str("no cgroup hierarchy is mounted"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
