//! Mounts as data: what a snapshot hands out and a shim performs.

/// One mount, in the terms of mount(8): type, source, optional sub-path of the target, options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mount {
    /// The file system type (`overlay`, `bind`, `erofs`, …).
    pub kind: String,
    /// The device, directory or pseudo source.
    pub source: String,
    /// A path below the mount target; empty for the target itself.
    pub target: String,
    /// Options as in fstab(5).
    pub options: Vec<String>,
}

impl Mount {
    /// Whether the options ask for a read-only mount.
    pub fn is_read_only(&self) -> bool {
        self.options.iter().any(|o| o == "ro")
    }
}
