//! The one error of the house: a kind for programs, a text for people, a source for the log.
//!
//! Programs branch on [`Kind`], never on the text. The text is what a client sees and is written the way containerd's
//! clients know it: the context from the outside in, joined by `: `, the class text of the kind last
//! (`image "x": not found`). [`Error::new`] takes the text as it is; the constructors named after a kind append the
//! class text. [`Error::during`] puts a step in front.
//!
//! ```
//! # use model::Error;
//! let e = Error::not_found("image \"x\"").during("create task");
//! assert_eq!(e.to_string(), "create task: image \"x\": not found");
//! ```

use std::fmt;
use std::path::Path;

/// A result, with the house's error unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a program may care: containerd's error classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing more specific is known; also every failed system call.
    Unknown,
    /// The caller went away.
    Cancelled,
    /// The request itself is wrong, whatever the state.
    InvalidArgument,
    /// Time ran out.
    DeadlineExceeded,
    /// The named object does not exist.
    NotFound,
    /// The named object exists already.
    AlreadyExists,
    /// The caller may not do this.
    PermissionDenied,
    /// A limit is reached: message size, space, quota.
    ResourceExhausted,
    /// The state of the object forbids the request.
    FailedPrecondition,
    /// Another writer came in between.
    Aborted,
    /// An offset lies outside of the object.
    OutOfRange,
    /// This daemon or plugin does not offer the method.
    NotImplemented,
    /// An invariant of ours is broken.
    Internal,
    /// It cannot be done now; the same request may succeed later.
    Unavailable,
    /// Bytes are lost or damaged.
    DataLoss,
    /// The caller did not say who it is.
    Unauthenticated,
}

impl Kind {
    /// The class text that ends an error of this kind.
    pub const fn text(self) -> &'static str {
        match self {
            Kind::Unknown => "unknown",
            Kind::Cancelled => "context canceled",
            Kind::InvalidArgument => "invalid argument",
            Kind::DeadlineExceeded => "context deadline exceeded",
            Kind::NotFound => "not found",
            Kind::AlreadyExists => "already exists",
            Kind::PermissionDenied => "permission denied",
            Kind::ResourceExhausted => "resource exhausted",
            Kind::FailedPrecondition => "failed precondition",
            Kind::Aborted => "aborted",
            Kind::OutOfRange => "out of range",
            Kind::NotImplemented => "not implemented",
            Kind::Internal => "internal",
            Kind::Unavailable => "unavailable",
            Kind::DataLoss => "data loss",
            Kind::Unauthenticated => "unauthenticated",
        }
    }
}

/// An error: one pointer wide.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    text: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    beside: Option<Error>,
}

/// Constructors that append the class text of their kind.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $($(#[$doc])*
            pub fn $name(what: impl fmt::Display) -> Self {
                Self::new(Kind::$kind, format!("{what}: {}", Kind::$kind.text()))
            })*
        }
    };
}

kinds! {
    /// `<what>: invalid argument`
    invalid => InvalidArgument,
    /// `<what>: not found`
    not_found => NotFound,
    /// `<what>: already exists`
    already_exists => AlreadyExists,
    /// `<what>: failed precondition`
    failed_precondition => FailedPrecondition,
    /// `<what>: not implemented`
    not_implemented => NotImplemented,
    /// `<what>: unavailable`
    unavailable => Unavailable,
    /// `<what>: out of range`
    out_of_range => OutOfRange,
    /// `<what>: data loss`
    data_loss => DataLoss,
    /// `<what>: context deadline exceeded`
    deadline => DeadlineExceeded,
    /// `<what>: context canceled`
    cancelled => Cancelled,
    /// `<what>: internal`
    internal => Internal,
    /// `<what>: resource exhausted`
    exhausted => ResourceExhausted,
    /// `<what>: permission denied`
    denied => PermissionDenied,
    /// `<what>: aborted`
    aborted => Aborted,
}

impl Error {
    /// An error with exactly this text.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, text: text.into(), source: None, beside: None }))
    }

    /// An error of no class with exactly this text.
    pub fn unknown(text: impl Into<String>) -> Self {
        Self::new(Kind::Unknown, text)
    }

    /// A failed system call on a path: `<op> <path>: no such file or directory`.
    pub fn io(op: &str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        let text = format!("{op} {}: {}", path.as_ref().display(), os_text(&source));
        Self::unknown(text).with_source(source)
    }

    /// Puts a step in front of the text: `<step>: <text>`.
    #[must_use]
    pub fn during(mut self, step: impl fmt::Display) -> Self {
        self.0.text = format!("{step}: {}", self.0.text);
        self
    }

    /// The same text under another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Keeps what caused this error, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Keeps a second error that happened while the first was being cleaned up.
    #[must_use]
    pub fn beside(mut self, other: Error) -> Self {
        self.0.beside = Some(other);
        self
    }

    /// What went wrong, for programs.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The whole text, as a client sees it.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The error that happened while this one was being cleaned up, if one did.
    pub fn second(&self) -> Option<&Error> {
        self.0.beside.as_ref()
    }

    /// Whether the kind is [`Kind::NotFound`].
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
    }

    /// Whether the kind is [`Kind::AlreadyExists`].
    pub fn is_already_exists(&self) -> bool {
        self.0.kind == Kind::AlreadyExists
    }
}

/// The kernel's text of an I/O error, without Rust's ` (os error N)` and in lower case.
pub fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error")) {
        (Some(_), Some(end)) => {
            let mut chars = text[..end].chars();
            chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
        }
        _ => text,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{:?}]", self.0.text, self.0.kind)?;
        if let Some(beside) = &self.0.beside {
            write!(f, " (and while cleaning up: {beside:?})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|s| &**s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_from_the_outside_in() {
        let e = Error::io("open", "/x", std::io::Error::from_raw_os_error(2)).during("read spec");
        assert_eq!(e.to_string(), "read spec: open /x: no such file or directory");
        assert_eq!(e.kind(), Kind::Unknown);
        let e = Error::invalid("label \"a\"").with_kind(Kind::Unknown);
        assert_eq!((e.kind(), e.text()), (Kind::Unknown, "label \"a\": invalid argument"));
    }

    #[test]
    fn is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
