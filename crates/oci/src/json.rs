//! How strangers' JSON is read: `null` means empty, as in the language most of it was written by.

use serde::{Deserialize, Deserializer};

/// Reads a field whose `null` is the type's empty value.
pub(crate) fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}
