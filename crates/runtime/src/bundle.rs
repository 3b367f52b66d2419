//! Reading and judging a bundle before anything is made.

use std::path::{Path, PathBuf};

use kernel::namespace::Namespaces;
use oci::runtime::{Linux, Process, Spec};

use crate::rootfs::check_mount;
use crate::state::from_io;
use crate::{Error, Flags, Result};

/// A bundle that can be made into a container.
#[derive(Debug)]
pub(crate) struct Bundle {
    pub path: PathBuf,
    pub spec: Spec,
    pub linux: Linux,
    pub process: Process,
    /// The root directory on the host, absolute and without symbolic links.
    pub rootfs: PathBuf,
}

impl Bundle {
    /// Reads `config.json` and refuses what cannot work.
    pub fn open(path: &Path, flags: &Flags) -> Result<Self> {
        let path = std::fs::canonicalize(path).map_err(|error| from_io("chdir", path, &error))?;
        let file = path.join("config.json");
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::invalid("JSON specification file config.json not found"));
            }
            Err(error) => return Err(from_io("open", &file, &error)),
        };
        let mut spec: Spec = serde_json::from_slice(&text)
            .map_err(|error| Error::invalid(format!("unable to parse config.json: {error}")))?;
        let linux = spec.linux.take().unwrap_or_default();
        let process =
            spec.process.clone().ok_or_else(|| Error::invalid("process property must not be empty"))?;
        let root = spec.root.as_ref().ok_or_else(|| Error::invalid("root must be specified"))?;
        let given = path.join(&root.path);
        let rootfs = std::fs::canonicalize(&given)
            .map_err(|error| from_io("stat", &given, &error).during("invalid rootfs"))?;
        let bundle = Self { path, spec, linux, process, rootfs };
        bundle.check(flags)?;
        Ok(bundle)
    }

    /// What a control group path means: absolute from the root, relative below the caller's own group.
    pub fn cgroup_path(&self, id: &str, flags: &Flags) -> Result<String> {
        let path = &self.linux.cgroups_path;
        if flags.systemd_cgroup {
            return systemd_path(path, id);
        }
        Ok(if path.is_empty() { id.to_owned() } else { path.clone() })
    }

    fn check(&self, flags: &Flags) -> Result<()> {
        check_process(&self.process)?;
        let kinds = self.check_namespaces()?;
        let private = |kind| kinds.contains(kind);
        if !self.spec.hostname.is_empty() && !private(Namespaces::UTS) {
            return Err(Error::invalid("unable to set hostname without a private UTS namespace"));
        }
        if !self.spec.domainname.is_empty() && !private(Namespaces::UTS) {
            return Err(Error::invalid("unable to set domainname without a private UTS namespace"));
        }
        if !private(Namespaces::MOUNT) {
            return Err(Error::invalid("unable to create a container without a private MNT namespace"));
        }
        let mapped = !self.linux.uid_mappings.is_empty() || !self.linux.gid_mappings.is_empty();
        if mapped && !private(Namespaces::USER) {
            return Err(Error::invalid(
                "user namespace mappings specified, but user namespace isn't enabled in the config",
            ));
        }
        for (what, mappings) in [("uid", &self.linux.uid_mappings), ("gid", &self.linux.gid_mappings)] {
            if self.makes_users() && mappings.is_empty() {
                return Err(Error::invalid(format!("user namespaces enabled, but no {what} mappings found")));
            }
        }
        if !self.linux.time_offsets.is_empty() && !private(Namespaces::TIME) {
            return Err(Error::invalid(
                "time namespace offsets specified, but time namespace isn't enabled in the config",
            ));
        }
        if flags.no_pivot && self.linux.rootfs_propagation.ends_with("private") {
            return Err(Error::invalid("rootfsPropagation of [r]private is not safe without pivot_root"));
        }
        if self.linux.intel_rdt.is_some() {
            return Err(Error::invalid(
                "intelRdt is specified in config, but Intel RDT is not supported or enabled",
            ));
        }
        self.spec.mounts.iter().try_for_each(check_mount)?;
        self.check_sysctl(kinds)
    }

    /// Whether a new user namespace is asked for.
    fn makes_users(&self) -> bool {
        self.linux.namespaces.iter().any(|namespace| namespace.kind == "user" && namespace.path.is_empty())
    }

    fn check_namespaces(&self) -> Result<Namespaces> {
        let mut kinds = Namespaces::NONE;
        for namespace in &self.linux.namespaces {
            let kind = Namespaces::from_word(&namespace.kind)
                .ok_or_else(|| Error::invalid(format!("namespace {:?} does not exist", namespace.kind)))?;
            if kinds.contains(kind) {
                return Err(Error::invalid(format!(
                    "malformed spec file: duplicated ns {:?}",
                    namespace.kind
                )));
            }
            kinds = kinds.with(kind);
        }
        Ok(kinds)
    }

    /// Only parameters that belong to one of the container's own namespaces may be set.
    fn check_sysctl(&self, kinds: Namespaces) -> Result<()> {
        const IPC: [&str; 8] = [
            "kernel.msgmax",
            "kernel.msgmnb",
            "kernel.msgmni",
            "kernel.sem",
            "kernel.shmall",
            "kernel.shmmax",
            "kernel.shmmni",
            "kernel.shm_rmid_forced",
        ];
        for name in self.linux.sysctl.keys() {
            let dotted = crate::rootfs::sysctl_path(name).replace('/', ".");
            let refused = || Error::invalid(format!("sysctl {name:?} is not in a separate kernel namespace"));
            if dotted.split('.').any(str::is_empty) {
                // Dots in a row would climb out of the part of the tree that was checked.
                return Err(refused());
            }
            let allowed = match dotted.as_str() {
                "kernel.domainname" => kinds.contains(Namespaces::UTS),
                "kernel.hostname" if !self.spec.hostname.is_empty() => {
                    let text = format!(
                        "sysctl {name:?} is not allowed as it conflicts with the OCI {:?} field",
                        "hostname"
                    );
                    return Err(Error::invalid(text));
                }
                "kernel.hostname" => kinds.contains(Namespaces::UTS),
                other if IPC.contains(&other) || other.starts_with("fs.mqueue.") => {
                    kinds.contains(Namespaces::IPC)
                }
                other if other.starts_with("net.") => {
                    if !kinds.contains(Namespaces::NETWORK) {
                        let text = format!("sysctl {name:?} not allowed in host network namespace");
                        return Err(Error::invalid(text));
                    }
                    true
                }
                other if other.starts_with("user.") => kinds.contains(Namespaces::USER),
                _ => false,
            };
            if !allowed {
                return Err(refused());
            }
        }
        Ok(())
    }
}

/// What holds for every process, also for those added by exec.
pub(crate) fn check_process(process: &Process) -> Result<()> {
    if process.args.is_empty() {
        return Err(Error::invalid("args must not be empty"));
    }
    if process.cwd.is_empty() {
        return Err(Error::invalid("Cwd property must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(Error::invalid("Cwd must be an absolute path"));
    }
    Ok(())
}

/// The directory systemd would use for `slice:prefix:name`. It is made without asking systemd.
fn systemd_path(path: &str, id: &str) -> Result<String> {
    let path = if path.is_empty() { format!("system.slice:runc:{id}") } else { path.to_owned() };
    let parts: Vec<&str> = path.split(':').collect();
    let [slice, prefix, name] = parts[..] else {
        return Err(Error::invalid(format!(
            "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
        )));
    };
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    let unit = match (name.ends_with(".slice"), prefix) {
        (true, _) => name.to_owned(),
        (false, "") => format!("{name}.scope"),
        (false, prefix) => format!("{prefix}-{name}.scope"),
    };
    Ok(format!("/{}/{unit}", slice_path(slice)?))
}

/// `a-b.slice` lies in `a.slice`; `-.slice` is the root.
fn slice_path(slice: &str) -> Result<String> {
    let invalid = || Error::invalid(format!("invalid slice name: {slice}"));
    let stem = slice.strip_suffix(".slice").filter(|stem| !stem.contains('/')).ok_or_else(invalid)?;
    if stem == "-" {
        return Ok(String::new());
    }
    let mut path = Vec::new();
    let mut name = String::new();
    for part in stem.split('-') {
        if part.is_empty() {
            return Err(invalid());
        }
        if !name.is_empty() {
            name.push('-');
        }
        name.push_str(part);
        path.push(format!("{name}.slice"));
    }
    Ok(path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_paths() {
        for (path, expected) in [
            (
                "kubepods-besteffort-pod1.slice:cri:x",
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-x.scope",
            ),
            ("", "/system.slice/runc-id.scope"),
            ("a.slice::n", "/a.slice/n.scope"),
        ] {
            assert_eq!(systemd_path(path, "id").unwrap(), expected);
        }
        let text = systemd_path("/plain/path", "id").unwrap_err().to_string();
        let expected = "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"/plain/path\" instead";
        assert_eq!(text, expected);
        assert!(slice_path("a--b.slice").is_err() && slice_path("a/b.slice").is_err());
    }
}
