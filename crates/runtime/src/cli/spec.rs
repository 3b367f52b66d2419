//! `spec`: a bundle to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use oci::runtime::{
    Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxIdMapping, LinuxNamespace, LinuxResources, Mount,
    PosixRlimit, Process, Root, Spec, VERSION,
};

use super::arguments::{Count, Flag, Order, Parsed};
use super::show::pretty;
use super::{Failure, Globals, NAME, Outcome, Verb};

const FILE: &str = "config.json";

pub(super) const SPEC: Verb = Verb {
    name: "spec",
    usage: "[command options]",
    about: "create a new specification file",
    flags: &[
        Flag::value(&["bundle", "b"], "bundle directory, defaults to the current directory"),
        Flag::switch(&["rootless"], "generate a configuration for a user without privileges"),
    ],
    count: Count::Exactly(0),
    order: Order::Mixed,
    run: write,
};

fn write(_: &Globals, parsed: Parsed) -> Outcome {
    let path = Path::new(parsed.value("bundle").unwrap_or_default()).join(FILE);
    let mut spec = example();
    if parsed.has("rootless") {
        without_privileges(&mut spec);
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::new(format!("File {FILE} exists. Remove it first")),
            _ => Failure::new(format!("open {}: {e}", path.display())),
        })?;
    let text = pretty(&spec, "\t")?;
    file.write_all(text.as_bytes()).map_err(|e| Failure::new(format!("write {}: {e}", path.display())))?;
    Ok(0)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A shell in a read-only root with namespaces of its own.
fn example() -> Spec {
    let capabilities = words(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let namespace = |kind: &&str| LinuxNamespace { kind: (*kind).to_owned(), ..LinuxNamespace::default() };
    Spec {
        oci_version: VERSION.to_owned(),
        process: Some(Process {
            terminal: true,
            args: words(&["sh"]),
            env: words(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
            cwd: "/".to_owned(),
            capabilities: Some(LinuxCapabilities {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities,
                ..LinuxCapabilities::default()
            }),
            rlimits: vec![PosixRlimit { kind: "RLIMIT_NOFILE".to_owned(), hard: 1024, soft: 1024 }],
            no_new_privileges: true,
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".to_owned(), readonly: true }),
        hostname: NAME.to_owned(),
        mounts: mounts(),
        linux: Some(Linux {
            resources: Some(LinuxResources {
                devices: vec![LinuxDeviceCgroup { access: "rwm".to_owned(), ..LinuxDeviceCgroup::default() }],
                ..LinuxResources::default()
            }),
            namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].iter().map(namespace).collect(),
            masked_paths: words(&[
                "/proc/acpi",
                "/proc/asound",
                "/proc/kcore",
                "/proc/keys",
                "/proc/latency_stats",
                "/proc/timer_list",
                "/proc/timer_stats",
                "/proc/sched_debug",
                "/sys/firmware",
                "/proc/scsi",
            ]),
            readonly_paths: words(&[
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
            ]),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

fn mounts() -> Vec<Mount> {
    let rows: [(&str, &str, &str, &[&str]); 7] = [
        ("/proc", "proc", "proc", &[]),
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
        ("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ];
    let mount = |(destination, kind, source, options): (&str, &str, &str, &[&str])| Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: words(options),
        ..Mount::default()
    };
    rows.into_iter().map(mount).collect()
}

/// A user namespace with the caller as root, the host's network, no limits.
fn without_privileges(spec: &mut Spec) {
    let mapping = |host_id: u32| vec![LinuxIdMapping { container_id: 0, host_id, size: 1 }];
    if let Some(linux) = &mut spec.linux {
        linux.namespaces.retain(|namespace| namespace.kind != "network");
        linux.namespaces.push(LinuxNamespace { kind: "user".to_owned(), ..LinuxNamespace::default() });
        linux.uid_mappings = mapping(rustix::process::geteuid().as_raw());
        linux.gid_mappings = mapping(rustix::process::getegid().as_raw());
        linux.resources = None;
    }
    for mount in &mut spec.mounts {
        mount.options.retain(|option| option != "gid=5");
        if mount.destination == "/sys" {
            (mount.kind, mount.source) = ("none".to_owned(), "/sys".to_owned());
            mount.options.insert(0, "rbind".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unprivileged_spec_has_no_network_and_no_groups() {
        let mut spec = example();
        without_privileges(&mut spec);
        let linux = spec.linux.unwrap();
        assert!(linux.namespaces.iter().any(|n| n.kind == "user"));
        assert!(linux.namespaces.iter().all(|n| n.kind != "network"));
        assert!(linux.resources.is_none());
        let sys = spec.mounts.iter().find(|m| m.destination == "/sys").unwrap();
        assert_eq!((sys.kind.as_str(), sys.options[0].as_str()), ("none", "rbind"));
        assert!(spec.mounts.iter().all(|m| !m.options.contains(&"gid=5".to_owned())));
    }
}
