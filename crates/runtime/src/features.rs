//! What this runtime can do.

use kernel::capability;
use kernel::mount::OCI_WORDS;
use kernel::namespace::Namespaces;
use oci::runtime::{
    AvailabilityFeature, CgroupFeature, Features, IdmapFeature, IntelRdtFeature, LinuxFeatures,
    MemoryPolicyFeature, MountExtensions, SeccompFeature, VERSION,
};

use crate::{placement, seccomp};

/// Hooks run, in the order of a container's life.
const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The document `features` prints.
pub fn features() -> Features {
    Features {
        oci_version_min: "1.0.0".into(),
        oci_version_max: VERSION.into(),
        hooks: owned(&HOOKS),
        mount_options: owned(&OCI_WORDS),
        linux: Some(linux()),
        ..Features::default()
    }
}

fn linux() -> LinuxFeatures {
    let available = |enabled| Some(AvailabilityFeature { enabled: Some(enabled) });
    let mut namespaces: Vec<String> = Namespaces::KINDS.iter().map(|kind| kind.1.to_owned()).collect();
    namespaces.sort();
    LinuxFeatures {
        namespaces,
        capabilities: owned(
            &capability::NAMES[..(capability::count() as usize).min(capability::NAMES.len())],
        ),
        cgroup: Some(CgroupFeature {
            v1: Some(true),
            v2: Some(true),
            systemd: Some(true),
            systemd_user: Some(false),
            rdma: Some(true),
        }),
        seccomp: Some(filters()),
        apparmor: available(true),
        selinux: available(true),
        intel_rdt: Some(IntelRdtFeature { enabled: Some(false), ..IntelRdtFeature::default() }),
        memory_policy: Some(MemoryPolicyFeature {
            modes: placement::mode_names(),
            flags: placement::flag_names(),
        }),
        mount_extensions: Some(MountExtensions { idmap: Some(IdmapFeature { enabled: Some(true) }) }),
        net_devices: available(true),
    }
}

fn filters() -> SeccompFeature {
    let known = |name: &&&str| kernel::seccomp::has_flag(flag_bits(name));
    SeccompFeature {
        enabled: Some(true),
        actions: owned(&seccomp::ACTIONS),
        operators: owned(&seccomp::OPERATORS),
        archs: owned(&seccomp::ARCHITECTURES),
        known_flags: owned(&seccomp::FLAGS),
        supported_flags: seccomp::FLAGS.iter().filter(known).map(|name| (*name).to_owned()).collect(),
    }
}

/// The kernel's bits of a filter flag; a flag that needs another one comes with it.
fn flag_bits(name: &str) -> u32 {
    match name {
        "SECCOMP_FILTER_FLAG_TSYNC" => 1,
        "SECCOMP_FILTER_FLAG_LOG" => 2,
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 4,
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => 8 | 32,
        _ => u32::MAX,
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
