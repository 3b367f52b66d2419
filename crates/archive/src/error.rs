//! What can go wrong with an archive: the stream, its form, or the file system.

use std::io;
use std::path::{Path, PathBuf};

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an archive could not be read, applied or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a path failed.
    #[error("{step} {}: {}", path.display(), io_text(source))]
    Io {
        /// What was tried.
        step: &'static str,
        /// On which path.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The stream that brings or takes the archive failed.
    #[error("{}", io_text(.0))]
    Stream(#[source] io::Error),
    /// The bytes are no archive of the promised form.
    #[error("{0}")]
    Form(String),
    /// An entry of a type that no layer has.
    #[error("unhandled tar header type {0}")]
    EntryType(u8),
    /// Something that the archive names is not there.
    #[error("{0}: not found")]
    Missing(String),
}

impl Error {
    /// A failed system call on a path.
    pub fn io(step: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Error {
        Error::Io { step, path: path.as_ref().to_owned(), source: source.into() }
    }

    /// Bytes of the wrong form.
    pub fn form(text: impl Into<String>) -> Error {
        Error::Form(text.into())
    }

    /// The tar header is damaged.
    pub(crate) fn header(what: &str) -> Error {
        Error::Form(format!("archive/tar: invalid tar header: {what}"))
    }
}

fn io_text(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof { "unexpected EOF".into() } else { error.to_string() }
}
