//! Identifiers: the names that become paths and cgroups, so they are checked once, where they are made.

use crate::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// The longest identifier, in bytes.
const MAX_LEN: usize = 76;

/// Checks an identifier: letters and digits, in between single `.`, `_` or `-`; 1 to 76 bytes.
///
/// # Errors
/// `InvalidArgument` with the text containerd's clients know.
pub fn validate(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::invalid("identifier must not be empty"));
    }
    if id.len() > MAX_LEN {
        return Err(Error::invalid(format!(
            "identifier {id:?} greater than maximum length ({MAX_LEN} characters)"
        )));
    }
    if !well_formed(id.as_bytes()) {
        return Err(Error::invalid(format!(
            "identifier {id:?} must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$"
        )));
    }
    Ok(())
}

fn well_formed(bytes: &[u8]) -> bool {
    let edges = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    edges(bytes.first())
        && edges(bytes.last())
        && bytes.windows(2).all(|w| w[0].is_ascii_alphanumeric() || w[1].is_ascii_alphanumeric())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and keeps an identifier.
            ///
            /// # Errors
            /// `InvalidArgument` when it is not one, see [`validate`].
            pub fn new(id: &str) -> Result<Self> {
                validate(id)?;
                Ok(Self(id.into()))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

identifier!(
    /// A namespace's name.
    Namespace
);
identifier!(
    /// The id of a container and of its task; also of a sandbox.
    ContainerId
);
identifier!(
    /// The id of a further process in a task.
    ExecId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_containerd_accepts() {
        for good in ["a", "A9", "a.b_c-d", "0", "k8s.io", &"a".repeat(76)] {
            assert!(validate(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", "-a", "a..b", "a.-b", "a/b", "..", "ä", "a b", "a\0b", &"a".repeat(77)] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
