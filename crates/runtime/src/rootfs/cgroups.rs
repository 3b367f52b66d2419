//! The container's view of its control group.
//!
//! With and without a cgroup namespace it is the same: the container's own directories, bound below a tmpfs (version 1,
//! one per hierarchy) or at the place itself (version 2).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kernel::mount::attributes::set_attributes;
use kernel::mount::{self, Attributes, Options, Reach};
use kernel::path::clean;
use oci::runtime::Mount;

use super::Tree;
use crate::Result;

impl Tree<'_> {
    pub(super) fn mount_cgroups(&self, mount: &Mount, options: &Options, place: &OwnedFd) -> Result<()> {
        let hierarchies = hierarchies(self.plan.cgroups);
        if hierarchies.is_empty() {
            return match self.plan.cgroups.get("") {
                Some(directory) => Ok(self
                    .bind_cgroup(directory, options, place)
                    .map_err(|error| self.failed(mount, options, &error.text()))?),
                None => Ok(()),
            };
        }
        let tmpfs = Mount {
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            destination: mount.destination.clone(),
            ..Mount::default()
        };
        let safe = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        let flags = options.flags & !libc::MS_RDONLY | safe;
        let data = vec!["mode=755".to_owned()];
        self.mount_plain(&tmpfs, &Options { flags, data, ..Options::default() }, place)?;
        let destination = clean(Path::new(&mount.destination));
        for (name, (directory, controllers)) in &hierarchies {
            let place = self.root.make_directories(&destination.join(name), 0o755)?;
            self.bind_cgroup(directory, options, &place)
                .map_err(|error| self.failed(mount, options, &error.text()))?;
            self.link_controllers(&destination, name, controllers)?;
        }
        if options.flags & libc::MS_RDONLY != 0 {
            self.make_read_only(&destination)?;
        }
        Ok(())
    }

    fn bind_cgroup(&self, directory: &Path, options: &Options, place: &OwnedFd) -> kernel::Result<()> {
        let tree = mount::detach_copy(directory, Reach::One)?;
        let attributes = Attributes::from_flags(options.flags, options.cleared);
        if !attributes.is_empty() {
            set_attributes(&tree, &attributes)?;
        }
        mount::attach(&tree, place)
    }

    /// `cpu` leads to `cpu,cpuacct` where the two share a hierarchy.
    fn link_controllers(&self, destination: &Path, name: &str, controllers: &[String]) -> Result<()> {
        for controller in controllers.iter().filter(|controller| *controller != name) {
            let directory = self.root.make_directories(destination, 0o755)?;
            let answer = rustix::fs::symlinkat(name, &directory, controller.as_str());
            if let Err(errno) =
                answer.or_else(|errno| if errno == kernel::Errno::EXIST { Ok(()) } else { Err(errno) })
            {
                return Err(kernel::KernelError::new("symlink", controller.clone(), errno).into());
            }
        }
        Ok(())
    }
}

/// Version 1 hierarchies by the name of their mount point: the container's directory and the controllers.
fn hierarchies(paths: &BTreeMap<String, PathBuf>) -> BTreeMap<String, (PathBuf, Vec<String>)> {
    let mut found: BTreeMap<String, (PathBuf, Vec<String>)> = BTreeMap::new();
    for (controller, path) in paths.iter().filter(|(controller, _)| !controller.is_empty()) {
        let plain = controller.strip_prefix("name=").unwrap_or(controller);
        let point = path.strip_prefix("/sys/fs/cgroup").ok().and_then(|rest| rest.components().next());
        let name = point.map_or(plain.to_owned(), |name| name.as_os_str().to_string_lossy().into_owned());
        found.entry(name).or_insert_with(|| (path.clone(), Vec::new())).1.push(plain.to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_share_hierarchies() {
        let paths = [
            ("cpu", "/sys/fs/cgroup/cpu,cpuacct/ns/id"),
            ("cpuacct", "/sys/fs/cgroup/cpu,cpuacct/ns/id"),
            ("name=systemd", "/sys/fs/cgroup/systemd/ns/id"),
            ("", "/sys/fs/cgroup/unified/ns/id"),
        ];
        let paths = paths.map(|(controller, path)| (controller.to_owned(), PathBuf::from(path)));
        let found = hierarchies(&BTreeMap::from(paths));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["cpu,cpuacct", "systemd"]);
        assert_eq!(found["cpu,cpuacct"].1, ["cpu", "cpuacct"]);
    }
}
