//! Names that nobody else has.

use crate::clock;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher, RandomState};

/// The alphabet of base64url (RFC 4648 §5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `<nanoseconds since 1970>-<4 random characters>`, as clients make and expect such names.
pub fn name() -> String {
    after(clock::now().as_nanos())
}

/// `<moment>-<4 random characters>`; a lease without an id gets the nanosecond of its second.
pub fn after(moment: impl Display) -> String {
    let random = RandomState::new().build_hasher().finish();
    let tail: String = (0..4).map(|i| char::from(ALPHABET[(random >> (6 * i)) as usize & 63])).collect();
    format!("{moment}-{tail}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_differ() {
        assert_ne!(super::name(), super::name());
    }
}
