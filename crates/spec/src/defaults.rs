//! The spec that every container begins with: the one containerd's clients make.

use oci::runtime::{
    Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxNamespace, LinuxResources, Mount, PosixRlimit, Process,
    Root, Spec, VERSION,
};

/// The environment of an image that sets none.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a container may do unless told otherwise.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Destination, type, source, options.
const MOUNTS: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/run", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
];

const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/proc/scsi",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The devices of every container, by major and minor number; no minor: all of them.
const DEVICES: [(i64, Option<i64>); 9] = [
    (1, Some(3)),
    (1, Some(8)),
    (1, Some(7)),
    (5, Some(0)),
    (1, Some(5)),
    (1, Some(9)),
    (5, Some(1)),
    (136, None),
    (5, Some(2)),
];

/// The spec of a container `id` in `namespace` before anybody asks for anything.
pub fn default(namespace: &str, id: &str) -> Spec {
    Spec {
        oci_version: VERSION.into(),
        process: Some(process()),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        mounts: MOUNTS.iter().map(mount).collect(),
        linux: Some(Linux {
            cgroups_path: format!("/{namespace}/{id}"),
            masked_paths: MASKED.map(String::from).into(),
            readonly_paths: READ_ONLY.map(String::from).into(),
            namespaces: ["pid", "ipc", "uts", "mount", "network"].map(namespace_of).into(),
            resources: Some(LinuxResources { devices: devices(), ..LinuxResources::default() }),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

/// A fresh namespace of a type.
pub(crate) fn namespace_of(kind: &str) -> LinuxNamespace {
    LinuxNamespace { kind: kind.into(), path: String::new() }
}

/// The same set wherever a default container has capabilities.
pub(crate) fn capabilities(names: &[String]) -> LinuxCapabilities {
    LinuxCapabilities {
        bounding: names.to_vec(),
        effective: names.to_vec(),
        permitted: names.to_vec(),
        ..LinuxCapabilities::default()
    }
}

fn process() -> Process {
    Process {
        cwd: "/".into(),
        no_new_privileges: true,
        capabilities: Some(capabilities(&CAPABILITIES.map(String::from))),
        rlimits: vec![PosixRlimit { kind: "RLIMIT_NOFILE".into(), hard: 1024, soft: 1024 }],
        ..Process::default()
    }
}

fn mount((destination, kind, source, options): &(&str, &str, &str, &[&str])) -> Mount {
    Mount {
        destination: (*destination).into(),
        kind: (*kind).into(),
        source: (*source).into(),
        options: options.iter().map(|o| (*o).into()).collect(),
        ..Mount::default()
    }
}

fn devices() -> Vec<LinuxDeviceCgroup> {
    let none = LinuxDeviceCgroup { allow: false, access: "rwm".into(), ..LinuxDeviceCgroup::default() };
    let some = DEVICES.map(|(major, minor)| LinuxDeviceCgroup {
        allow: true,
        kind: "c".into(),
        major: Some(major),
        minor,
        access: "rwm".into(),
    });
    std::iter::once(none).chain(some).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_denies_devices_first() {
        let json = serde_json::to_value(super::default("default", "c1")).expect("encode");
        assert_eq!(
            json["linux"]["resources"]["devices"][0],
            serde_json::json!({"allow": false, "access": "rwm"})
        );
        assert_eq!(json["linux"]["cgroupsPath"], "/default/c1");
        assert_eq!(json["process"]["noNewPrivileges"], true);
        assert_eq!(json["mounts"][4]["destination"], "/dev/mqueue");
    }
}
