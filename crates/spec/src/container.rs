//! From what a user asks for to the spec.

use crate::{Accounts, DEFAULT_PATH, defaults};
use model::{Error, Result};
use oci::config::RunConfig;
use oci::runtime::{
    ConsoleSize, Linux, LinuxCpu, LinuxDevice, LinuxDeviceCgroup, LinuxIdMapping, LinuxMemory,
    LinuxNamespace, LinuxResources, LinuxSeccomp, Mount, PosixRlimit, Process, Root, Spec,
};
use std::collections::BTreeMap;

/// What a user asks for. Empty fields leave the image's or the default's choice.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// The namespace.
    pub namespace: String,
    /// The id.
    pub id: String,
    /// The command and its arguments; they replace all of the image's.
    pub args: Vec<String>,
    /// Environment, `KEY=value`, on top of the image's.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: String,
    /// `name|uid[:group|gid]`.
    pub user: String,
    /// A terminal, and its size in characters if known.
    pub terminal: Option<Option<(u16, u16)>>,
    /// The host's name inside.
    pub hostname: String,
    /// Further mounts; one with a default's destination replaces it.
    pub mounts: Vec<Mount>,
    /// The root file system's path; empty for the bundle's own.
    pub rootfs: String,
    /// The root file system is read-only.
    pub read_only: bool,
    /// All of the host's powers.
    pub privileged: bool,
    /// The host's network.
    pub net_host: bool,
    /// Namespaces to join, by type and path.
    pub join: Vec<(String, String)>,
    /// Capabilities to add.
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    pub cap_drop: Vec<String>,
    /// Let programs gain privileges on exec.
    pub allow_new_privs: bool,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Limits.
    pub resources: Resources,
    /// The cgroup's path; empty for `/<namespace>/<id>`.
    pub cgroup: String,
    /// Devices of the host to pass through.
    pub devices: Vec<LinuxDevice>,
    /// A seccomp profile.
    pub seccomp: Option<LinuxSeccomp>,
    /// Mount propagation of the root file system.
    pub rootfs_propagation: String,
    /// User ids in a user namespace of the container's own.
    pub uid_mappings: Vec<LinuxIdMapping>,
    /// Group ids in it.
    pub gid_mappings: Vec<LinuxIdMapping>,
}

/// Limits. `None` leaves the kernel's value.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// Memory, in bytes.
    pub memory_limit: Option<i64>,
    /// CPU time per period, in microseconds.
    pub cpu_quota: Option<i64>,
    /// The period, in microseconds.
    pub cpu_period: Option<u64>,
    /// The relative share of CPU time.
    pub cpu_shares: Option<u64>,
    /// The CPUs it may use (`0-2,4`).
    pub cpuset_cpus: String,
    /// The memory nodes it may use.
    pub cpuset_mems: String,
    /// Open files.
    pub nofile: Option<u64>,
}

/// What has to be known of the machine on which the container will run.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Every capability the daemon has.
    pub capabilities: Vec<String>,
    /// Every device, for privileged containers; `None` gives them no more than others.
    pub devices: Option<Vec<LinuxDevice>>,
    /// Its name, for containers on its network.
    pub hostname: String,
}

impl Container {
    /// Builds the spec.
    ///
    /// # Errors
    /// `InvalidArgument`: no command, an unknown user, a capability that is none.
    pub fn build(&self, image: &RunConfig, accounts: &Accounts, host: &Host) -> Result<Spec> {
        let mut spec = defaults::default(&self.namespace, &self.id);
        let mut process = spec.process.take().unwrap_or_default();
        let mut linux = spec.linux.take().unwrap_or_default();
        self.add_mounts(&mut spec.mounts);
        spec.root = Some(self.root());
        spec.hostname.clone_from(&self.hostname);
        spec.annotations.clone_from(&self.annotations);
        self.fill_process(&mut process, image, accounts)?;
        self.fill_linux(&mut linux);
        if self.privileged {
            privilege(&mut process, &mut linux, &mut spec.mounts, host);
        }
        self.add_devices(&mut linux);
        if self.net_host {
            use_host_network(&mut linux, &mut spec.mounts);
            process.env = merged_env(process.env, &[format!("HOSTNAME={}", host.hostname)]);
        }
        for (kind, path) in &self.join {
            join(&mut linux.namespaces, kind, path);
        }
        self.adjust_capabilities(&mut process)?;
        process.no_new_privileges &= !self.allow_new_privs;
        spec.process = Some(process);
        spec.linux = Some(linux);
        Ok(spec)
    }

    fn root(&self) -> Root {
        let path = if self.rootfs.is_empty() { "rootfs".into() } else { self.rootfs.clone() };
        Root { path, readonly: self.read_only }
    }

    fn add_mounts(&self, mounts: &mut Vec<Mount>) {
        mounts.retain(|default| !self.mounts.iter().any(|m| m.destination == default.destination));
        mounts.extend(self.mounts.iter().cloned());
    }

    fn fill_process(&self, process: &mut Process, image: &RunConfig, accounts: &Accounts) -> Result<()> {
        process.args = match self.args.is_empty() {
            true => image.entrypoint.iter().chain(&image.cmd).cloned().collect(),
            false => self.args.clone(),
        };
        if process.args.is_empty() {
            return Err(Error::invalid(
                "no command to run: the image names none, so give one after the container's id",
            ));
        }
        let base = if image.env.is_empty() { vec![DEFAULT_PATH.into()] } else { image.env.clone() };
        process.env = merged_env(base, &self.env);
        for cwd in [&image.working_dir, &self.cwd] {
            if !cwd.is_empty() {
                process.cwd.clone_from(cwd);
            }
        }
        let user = if self.user.is_empty() { &image.user } else { &self.user };
        let user = accounts.resolve(if user.is_empty() { "0" } else { user })?;
        process.user.uid = user.uid;
        process.user.gid = user.gid;
        process.user.additional_gids = user.groups;
        if let Some(size) = self.terminal {
            process.terminal = true;
            process.console_size =
                size.map(|(width, height)| ConsoleSize { width: width.into(), height: height.into() });
            process.env.push("TERM=xterm".into());
        }
        if let Some(nofile) = self.resources.nofile {
            process.rlimits = vec![PosixRlimit { kind: "RLIMIT_NOFILE".into(), hard: nofile, soft: nofile }];
        }
        Ok(())
    }

    fn fill_linux(&self, linux: &mut Linux) {
        let resources = linux.resources.get_or_insert_with(LinuxResources::default);
        let wanted = &self.resources;
        if wanted.memory_limit.is_some() {
            resources.memory = Some(LinuxMemory { limit: wanted.memory_limit, ..LinuxMemory::default() });
        }
        let cpu = LinuxCpu {
            shares: wanted.cpu_shares,
            quota: wanted.cpu_quota,
            period: wanted.cpu_period,
            cpus: wanted.cpuset_cpus.clone(),
            mems: wanted.cpuset_mems.clone(),
            ..LinuxCpu::default()
        };
        if cpu != LinuxCpu::default() {
            resources.cpu = Some(cpu);
        }
        if !self.cgroup.is_empty() {
            linux.cgroups_path.clone_from(&self.cgroup);
        }
        if !self.uid_mappings.is_empty() {
            linux.namespaces.push(defaults::namespace_of("user"));
            linux.uid_mappings.clone_from(&self.uid_mappings);
            linux.gid_mappings.clone_from(&self.gid_mappings);
        }
        linux.seccomp.clone_from(&self.seccomp);
        linux.rootfs_propagation.clone_from(&self.rootfs_propagation);
    }

    fn add_devices(&self, linux: &mut Linux) {
        let resources = linux.resources.get_or_insert_with(LinuxResources::default);
        for device in &self.devices {
            resources.devices.push(LinuxDeviceCgroup {
                allow: true,
                kind: device.kind.clone(),
                major: Some(device.major),
                minor: Some(device.minor),
                access: "rwm".into(),
            });
            linux.devices.push(device.clone());
        }
    }

    fn adjust_capabilities(&self, process: &mut Process) -> Result<()> {
        for name in self.cap_add.iter().chain(&self.cap_drop) {
            if !name.starts_with("CAP_") {
                return Err(Error::invalid(format!("capability {name:?} must start with \"CAP_\"")));
            }
        }
        let Some(capabilities) = &mut process.capabilities else { return Ok(()) };
        for set in [&mut capabilities.bounding, &mut capabilities.effective, &mut capabilities.permitted] {
            for name in &self.cap_add {
                if !set.contains(name) {
                    set.push(name.clone());
                }
            }
            set.retain(|name| !self.cap_drop.contains(name));
        }
        Ok(())
    }
}

/// The host's network, names and resolver.
fn use_host_network(linux: &mut Linux, mounts: &mut Vec<Mount>) {
    linux.namespaces.retain(|n| n.kind != "network");
    for file in ["/etc/hosts", "/etc/resolv.conf"] {
        mounts.push(Mount {
            destination: file.into(),
            kind: "bind".into(),
            source: file.into(),
            options: vec!["rbind".into(), "ro".into()],
            ..Mount::default()
        });
    }
}

/// Environment upon environment: an entry replaces the one of `base` with the same key, and an entry without `=` takes
/// it away.
pub fn merged_env(base: Vec<String>, over: &[String]) -> Vec<String> {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let keys: Vec<String> = base.iter().map(|entry| key(entry)).collect();
    let mut merged: Vec<Option<String>> = base.into_iter().map(Some).collect();
    for entry in over {
        let known = keys.iter().rposition(|old| *old == key(entry));
        match (known, entry.contains('=')) {
            (Some(at), true) => merged[at] = Some(entry.clone()),
            (Some(at), false) => merged[at] = None,
            (None, true) => merged.push(Some(entry.clone())),
            (None, false) => {}
        }
    }
    merged.into_iter().flatten().collect()
}

fn join(namespaces: &mut Vec<LinuxNamespace>, kind: &str, path: &str) {
    let joined = LinuxNamespace { kind: kind.into(), path: path.into() };
    match namespaces.iter_mut().find(|n| n.kind == kind) {
        Some(own) => *own = joined,
        None => namespaces.push(joined),
    }
}

/// All of the host's powers: capabilities, devices, writable kernel file systems, nothing masked.
fn privilege(process: &mut Process, linux: &mut Linux, mounts: &mut [Mount], host: &Host) {
    process.capabilities = Some(defaults::capabilities(&host.capabilities));
    process.apparmor_profile.clear();
    process.selinux_label.clear();
    linux.masked_paths.clear();
    linux.readonly_paths.clear();
    linux.seccomp = None;
    linux.devices.extend(host.devices.iter().flatten().cloned());
    if let (Some(resources), Some(_)) = (&mut linux.resources, &host.devices) {
        resources.devices =
            vec![LinuxDeviceCgroup { allow: true, access: "rwm".into(), ..LinuxDeviceCgroup::default() }];
    }
    for mount in mounts.iter_mut().filter(|m| m.kind == "sysfs" || m.kind == "cgroup") {
        for option in mount.options.iter_mut().filter(|o| *o == "ro") {
            *option = "rw".into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(container: Container) -> Result<Spec> {
        let image = RunConfig {
            env: vec!["PATH=/bin".into(), "A=1".into()],
            entrypoint: vec!["/bin/sh".into()],
            cmd: vec!["-c".into(), "true".into()],
            working_dir: "/srv".into(),
            ..RunConfig::default()
        };
        let host = Host { capabilities: vec!["CAP_SYS_ADMIN".into()], ..Host::default() };
        container.build(&image, &Accounts::default(), &host)
    }

    fn container() -> Container {
        Container { namespace: "n".into(), id: "c".into(), ..Container::default() }
    }

    #[test]
    fn the_image_speaks_first_and_the_user_last() {
        let spec = build(container()).expect("build");
        let process = spec.process.expect("process");
        assert_eq!(process.args, ["/bin/sh", "-c", "true"]);
        assert_eq!((process.cwd.as_str(), process.env.len()), ("/srv", 2));
        let asked = Container {
            args: vec!["id".into()],
            env: vec!["A=2".into(), "B=3".into()],
            cwd: "/".into(),
            ..container()
        };
        let process = build(asked).expect("build").process.expect("process");
        assert_eq!(
            (process.args, process.env),
            (vec!["id".to_owned()], ["PATH=/bin", "A=2", "B=3"].map(String::from).into())
        );
        assert_eq!(process.cwd, "/");
    }

    #[test]
    fn environment_upon_environment() {
        for (base, over, merged) in [
            ("A=1 B=2", "B=3 C=4", "A=1 B=3 C=4"),
            ("A=1 B=2", "A", "B=2"),
            ("A=1", "A A=2", "A=2"),
            ("", "A A=1 A=2 B=", "A=1 A=2 B="),
            ("A=1 A=2", "A=3", "A=1 A=3"),
        ] {
            let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
            assert_eq!(merged_env(words(base), &words(over)), words(merged), "{base} + {over}");
        }
    }

    #[test]
    fn privileged_is_all() {
        let spec = build(Container { privileged: true, ..container() }).expect("build");
        let linux = spec.linux.expect("linux");
        assert!(linux.masked_paths.is_empty() && linux.readonly_paths.is_empty());
        assert_eq!(spec.process.expect("process").capabilities.expect("caps").bounding, ["CAP_SYS_ADMIN"]);
        assert!(spec.mounts.iter().any(|m| m.kind == "sysfs" && m.options.contains(&"rw".into())));
    }

    #[test]
    fn capabilities_are_checked() {
        let error =
            build(Container { cap_add: vec!["SYS_ADMIN".into()], ..container() }).expect_err("refused");
        assert!(error.text().contains("must start with \"CAP_\""), "{error}");
        let spec = build(Container { cap_drop: vec!["CAP_KILL".into()], ..container() }).expect("build");
        assert!(
            !spec
                .process
                .expect("process")
                .capabilities
                .expect("caps")
                .effective
                .contains(&"CAP_KILL".into())
        );
    }
}
