//! Keys: a table's number, then components whose order as bytes is the order of the components.
//!
//! Components are free text and may contain NUL, so each is escaped (`00` becomes `00 FF`) and closed with `00 01`.
//! A prefix of components is a prefix of bytes: that is how a namespace's rows are listed.

use crate::tables::Table;

const NUL: u8 = 0;
const ESCAPED: u8 = 0xff;
const CLOSED: u8 = 1;

/// A key, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    /// The key of these components in a table.
    pub(crate) fn new(table: Table, components: &[&str]) -> Self {
        let length: usize = components.iter().map(|c| c.len() + 2).sum();
        let mut bytes = Vec::with_capacity(1 + length);
        bytes.push(table as u8);
        for component in components {
            push(&mut bytes, component.as_bytes());
        }
        Self(bytes)
    }

    /// The key as bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The least key that does not begin with this one.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        // The table's number is never 255 and no component's encoding begins with 255, so one is left to raise.
        while let Some(last) = bytes.pop() {
            if last < u8::MAX {
                bytes.push(last + 1);
                break;
            }
        }
        bytes
    }
}

fn push(bytes: &mut Vec<u8>, component: &[u8]) {
    for byte in component {
        bytes.push(*byte);
        if *byte == NUL {
            bytes.push(ESCAPED);
        }
    }
    bytes.extend_from_slice(&[NUL, CLOSED]);
}

/// The components of a key; `None` when its bytes are no key.
pub(crate) fn split(key: &[u8]) -> Option<Vec<String>> {
    let mut components = Vec::new();
    let mut current = Vec::new();
    let mut rest = key.get(1..)?.iter();
    while let Some(byte) = rest.next() {
        match (*byte, if *byte == NUL { rest.next() } else { None }) {
            (NUL, Some(&ESCAPED)) => current.push(NUL),
            (NUL, Some(&CLOSED)) => components.push(String::from_utf8(std::mem::take(&mut current)).ok()?),
            (NUL, _) => return None,
            (byte, _) => current.push(byte),
        }
    }
    current.is_empty().then_some(components)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_and_components_survive(
            a in prop::collection::vec("[a\0\u{1}\u{ff}é]{0,4}", 0..4),
            b in prop::collection::vec("[a\0\u{1}\u{ff}é]{0,4}", 0..4),
        ) {
            let key = |c: &[String]| Key::new(Table::Image, &c.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(split(key(&a).as_bytes()), Some(a.clone()));
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
            let inside = key(&b).as_bytes() < key(&a).end().as_slice() && key(&b) >= key(&a);
            prop_assert_eq!(inside, b.starts_with(&a));
        }
    }

    #[test]
    fn foreign_bytes_are_no_key() {
        for bytes in [&b""[..], b"\x01a", b"\x01a\0", b"\x01a\0\x02", b"\x01\xff\0\x01"] {
            assert_eq!(split(bytes), None, "{bytes:?}");
        }
    }
}
