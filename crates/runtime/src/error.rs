//! What can go wrong, in runc's words: programs branch on [`Kind`], people read the text.

use std::fmt;

/// Classes of errors a caller may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No such container.
    NotFound,
    /// The container is there already.
    AlreadyExists,
    /// The request or the bundle makes no sense.
    Invalid,
    /// The container is in a state that forbids it.
    FailedPrecondition,
    /// Everything else.
    Unknown,
}

/// A failed operation of the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// What the runtime's functions return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of class `kind` with the whole text.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The bundle or request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// The container's state forbids it.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::FailedPrecondition, message)
    }

    /// Any other failure.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Kind::Unknown, message)
    }

    /// There is no such container.
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "container does not exist")
    }

    /// Puts what was being done in front: `step: text`.
    #[must_use]
    pub fn during(mut self, step: impl fmt::Display) -> Self {
        self.message = format!("{step}: {}", self.message);
        self
    }

    /// The class.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<kernel::KernelError> for Error {
    fn from(error: kernel::KernelError) -> Self {
        Self::unknown(error.to_string())
    }
}

impl From<kernel::cgroup::Error> for Error {
    fn from(error: kernel::cgroup::Error) -> Self {
        Self::unknown(error.to_string())
    }
}
