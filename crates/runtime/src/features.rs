//! What this runtime can do.

use oci::runtime::{Features, VERSION};

/// The document `features` prints.
pub fn features() -> Features {
    Features { oci_version_min: "1.0.0".into(), oci_version_max: VERSION.into(), ..Features::default() }
}
