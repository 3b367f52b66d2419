//! The Debian packages the tests need, installed when they are missing.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::run;

/// A package and the file that shows it is there.
struct Package {
    name: &'static str,
    file: &'static str,
}

const fn package(name: &'static str, file: &'static str) -> Package {
    Package { name, file }
}

/// What the tests need. `golang` is left out where a `go` is in PATH.
const PACKAGES: [Package; 12] = [
    package("busybox-static", "/usr/share/doc/busybox-static/copyright"),
    package("bsdutils", "/usr/bin/script"),
    package("containerd", "/usr/bin/containerd"),
    package("containernetworking-plugins", "/usr/lib/cni/bridge"),
    package("crun", "/usr/bin/crun"),
    package("docker-registry", "/usr/bin/docker-registry"),
    package("libseccomp-dev", "/usr/include/seccomp.h"),
    package("pkg-config", "/usr/bin/pkg-config"),
    package("runc", "/usr/sbin/runc"),
    package("skopeo", "/usr/bin/skopeo"),
    package("umoci", "/usr/bin/umoci"),
    package("gcc", "/usr/bin/cc"),
];

/// Installs what is missing. Errors: not root, or no `apt-get` where something is missing.
pub fn install() -> Result<()> {
    let mut missing: Vec<&str> =
        PACKAGES.iter().filter(|p| !std::path::Path::new(p.file).exists()).map(|p| p.name).collect();
    if !found("go") {
        missing.push("golang");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !found("apt-get") {
        bail!("the tests need these Debian packages or their like: {}", missing.join(" "));
    }
    run(apt().arg("update")).context("apt-get update")?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(&missing))
        .with_context(|| format!("install {}", missing.join(" ")))
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    // A daemon that a package brings must not start by itself.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").arg("--quiet").stdin(Stdio::null());
    command
}

/// Whether a program is in PATH.
pub fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
