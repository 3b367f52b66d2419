//! Mounts across the wire.

use model::Mount;

use crate::api::types;

impl From<types::Mount> for Mount {
    fn from(wire: types::Mount) -> Self {
        Self { kind: wire.r#type, source: wire.source, target: wire.target, options: wire.options }
    }
}

impl From<Mount> for types::Mount {
    fn from(mount: Mount) -> Self {
        Self { r#type: mount.kind, source: mount.source, target: mount.target, options: mount.options }
    }
}
