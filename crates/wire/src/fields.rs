//! Parts of messages: what must be there, times, masks, platforms.

use model::{Error, Mask, Result};
use prost_types::{FieldMask, Timestamp};

use crate::api::types;

/// A sub-message that the request makes no sense without.
///
/// # Errors
/// `InvalidArgument` naming the field.
pub fn required<T>(field: Option<T>, name: &str) -> Result<T> {
    field.ok_or_else(|| Error::invalid(format!("field {name:?} is required")))
}

/// A time; absent means never, as it does for clients.
pub fn time(wire: Option<Timestamp>) -> model::Timestamp {
    optional_time(wire).unwrap_or(model::Timestamp::NEVER)
}

/// A time that may be absent. Nanoseconds outside of a second are carried into the seconds.
pub fn optional_time(wire: Option<Timestamp>) -> Option<model::Timestamp> {
    const SECOND: i32 = 1_000_000_000;
    wire.map(|time| model::Timestamp {
        seconds: time.seconds.saturating_add(time.nanos.div_euclid(SECOND).into()),
        nanos: time.nanos.rem_euclid(SECOND).cast_unsigned(),
    })
}

/// A time on the wire: always there, never included.
pub fn wire_time(time: model::Timestamp) -> Option<Timestamp> {
    Some(Timestamp { seconds: time.seconds, nanos: time.nanos.cast_signed() })
}

/// A field mask; an absent one is one without paths.
pub fn mask(wire: Option<FieldMask>) -> Mask {
    Mask(wire.map(|mask| mask.paths).unwrap_or_default())
}

/// A field mask on the wire; absent when it has no paths.
pub fn wire_mask(mask: Mask) -> Option<FieldMask> {
    mask.paths().is_some().then_some(FieldMask { paths: mask.0 })
}

/// Converts the members of a list.
pub fn list<A: Into<B>, B>(items: impl IntoIterator<Item = A>) -> Vec<B> {
    items.into_iter().map(Into::into).collect()
}

/// Converts the values of a map.
pub fn map<A: Into<B>, B>(
    entries: std::collections::BTreeMap<String, A>,
) -> std::collections::BTreeMap<String, B> {
    entries.into_iter().map(|(key, value)| (key, value.into())).collect()
}

impl From<types::Platform> for oci::Platform {
    fn from(wire: types::Platform) -> Self {
        let types::Platform { os, architecture, variant, os_version, os_features } = wire;
        Self { architecture, os, os_version, os_features, variant }
    }
}

impl From<oci::Platform> for types::Platform {
    fn from(platform: oci::Platform) -> Self {
        let oci::Platform { architecture, os, os_version, os_features, variant } = platform;
        Self { os, architecture, variant, os_version, os_features }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Kind;

    #[test]
    fn a_missing_part_is_named() {
        let error = required(None::<()>, "container").expect_err("missing");
        assert_eq!(
            (error.kind(), error.text()),
            (Kind::InvalidArgument, "field \"container\" is required: invalid argument")
        );
    }

    #[test]
    fn times_are_normalised() {
        for ((seconds, nanos), expected) in [
            ((5, 7), (5, 7)),
            ((5, -1), (4, 999_999_999)),
            ((5, 1_000_000_001), (6, 1)),
            ((-1, 0), (-1, 0)),
            ((i64::MAX, i32::MAX), (i64::MAX, 147_483_647)),
            ((i64::MIN, i32::MIN), (i64::MIN, 852_516_352)),
        ] {
            let time = time(Some(Timestamp { seconds, nanos }));
            assert_eq!((time.seconds, time.nanos), expected, "{seconds} {nanos}");
        }
        assert!(time(None).is_never());
        assert_eq!(wire_time(model::Timestamp::NEVER).expect("always").seconds, -62_135_596_800);
    }

    #[test]
    fn a_mask_without_paths_is_no_mask() {
        assert_eq!(mask(Some(FieldMask::default())), Mask::default());
        assert_eq!(wire_mask(Mask::default()), None);
        let paths = Mask(vec!["labels".to_owned()]);
        assert_eq!(mask(wire_mask(paths.clone())), paths);
    }
}
